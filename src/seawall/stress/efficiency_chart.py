"""Pictures of capital efficiency: one book under several models, or several accounts side by side.

Of a book: what each model locks of the equity, how much that is per unit of expected shortfall over the accounts,
and which share of the moves it does not cover. Of accounts: each model's initial margin as a rate of the account's
notional, with its expected shortfall as a line, so that portfolios of any size compare. Figures behind charts are
float; Matplotlib is an extra (`plot`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seawall.core.errors import InputError, MissingExtra
from seawall.margin.efficiency import Efficiency, UnderModel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ACCOUNTS_MAX", "SUFFIXES", "draw", "draw_accounts"]

SUFFIXES = (".png", ".svg")
ACCOUNTS_MAX = 12
COLUMNS_MAX = 3
POINTS_MAX = 20
RATIO_LEAST, RATIO_MOST = 0.05, 50.0  # the scale of ratios
_BLUE, _PALE, _RED, _GREY, _ORANGE = "#0757b8", "#c9d9ee", "#d1242f", "#8b949e", "#bf8700"
_PAPER: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.6}


def draw(found: Efficiency, path: str | Path) -> None:
    """Writes the picture of the book to a .png or .svg file. Raises MissingExtra without Matplotlib, InputError for
    another suffix or where no model can margin the book."""
    path = _checked(path)
    if all(each.unsupported for each in found.models):
        raise InputError(str(path), "no model that can margin the book", "one to draw")
    height = 1.9 + 0.42 * len(found.models)
    figure, (left, middle, right) = _figure(13, height, 1, 3, sharey=True)
    places = np.arange(len(found.models))[::-1]
    left.set_yticks(places, [each.model for each in found.models], fontsize=9)
    left.set_ylim(-0.6, len(found.models) - 0.4)
    for place, under in zip(places, found.models, strict=True):
        if under.unsupported:
            _beside(left, 0.0, place, "cannot margin this book", _GREY)
            continue
        _capital(left, place, found, under)
        _ratios(middle, place, found, under)
        _uncovered(right, place, found, under)
    shortfall = float(found.shortfall_micro.sum()) / 1e6
    left.axvline(shortfall, color=_RED, linewidth=1.3, label=f"expected shortfall, {_yardstick(found)}")
    _legend(left, 2)
    _plain(left, f"initial margin, {found.settlement}")
    middle.axvline(1.0, color=_RED, linewidth=1.3, label="the shortfall itself")
    _legend(middle, 2)
    _plain(middle, "initial margin per unit of expected shortfall (logarithmic)")
    middle.set_xscale("log")
    middle.set_xlim(RATIO_LEAST, RATIO_MOST)
    middle.set_xticks([0.1, 0.5, 1, 2, 5, 10, 20], ["0.1", "0.5", "1", "2", "5", "10", "20"], minor=False)
    middle.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    _legend(right, 2)
    _plain(right, f"share of {found.moves:,} moves not covered, %")
    for axis in (left, right):
        axis.set_xlim(min(axis.get_xlim()[0], 0.0), 1.25 * axis.get_xlim()[1])
    words = f"{len(found.names):,} accounts" if len(found.names) != 1 else found.names[0]
    equity = float(found.equity_micro.sum()) / 1e6
    figure.suptitle(f"{words}, equity {equity:,.0f} {found.settlement}, under {len(found.models)} models", fontsize=12)
    figure.savefig(path, dpi=130, metadata=_metadata(found))


def draw_accounts(found: Efficiency, path: str | Path) -> None:
    """Writes the picture of accounts side by side, a panel each; raises what `draw` raises, and InputError for more
    than ACCOUNTS_MAX accounts or for none."""
    path = _checked(path)
    count = len(found.names)
    if not 0 < count <= ACCOUNTS_MAX:
        raise InputError(str(path), f"{count:,} accounts", f"1 to {ACCOUNTS_MAX} accounts to draw side by side")
    columns = min(COLUMNS_MAX, count)
    lines = -(-count // columns)
    height = 0.9 + lines * (1.0 + 0.27 * len(found.models))
    figure, axes = _figure(1.8 + 3.9 * columns, height, lines, columns, sharey=True)
    flat = np.atleast_1d(axes).ravel()
    places = np.arange(len(found.models))[::-1]
    for row in range(count):
        _panel(flat[row], places, found, row)
    for number in range(0, len(flat), columns):
        flat[number].set_yticks(places, [each.model for each in found.models], fontsize=8.5)
    flat[0].set_ylim(-0.7, len(found.models) - 0.3)
    for axis in flat[count:]:
        axis.set_axis_off()
    words = f"bars: initial margin; red line: expected shortfall, {_yardstick(found)}; both in % of gross notional"
    figure.suptitle(words, fontsize=11)
    figure.savefig(path, dpi=130, metadata=_metadata(found))


def _capital(axis: Axes, place: int, found: Efficiency, under: UnderModel) -> None:
    sums = found.totals(under)
    locked, needed = sums.locked_micro / 1e6, sums.initial_micro / 1e6
    first = not axis.patches
    axis.barh(place, locked, color=_BLUE, height=0.62, label="locked: margin that is there" if first else None)
    missing = max(needed - locked, 0.0)
    axis.barh(place, missing, left=locked, color=_PALE, height=0.62, label="margin that accounts lack" if first else None)
    saved = "" if not sums.saved_ppm else f", {-sums.saved_ppm / 1e4:+.0f} %"
    _beside(axis, max(needed, 0.0), place, f"{needed:,.0f}{saved}")


def _ratios(axis: Axes, place: int, found: Efficiency, under: UnderModel) -> None:
    """The book's ratio, and how it spreads over accounts: each, or where they are many 5 to 95 % of them, 25 to 75 %
    and the median. What lies beyond the scale is drawn at its edge, as an arrow."""
    sums = found.totals(under)
    each = under.per_shortfall_ppm[under.per_shortfall_ppm >= 0] / 1e6
    first = not axis.lines  # no other model has been drawn
    if len(each) <= POINTS_MAX:
        inside = each[(each >= RATIO_LEAST) & (each <= RATIO_MOST)]
        axis.plot(inside, [place] * len(inside), "o", color=_GREY, markersize=4, label="an account" if first else None)
    else:
        least, low, middle, high, most = np.clip(np.quantile(each, [0.05, 0.25, 0.5, 0.75, 0.95]), RATIO_LEAST, RATIO_MOST)
        axis.plot([least, most], [place] * 2, color=_PALE, linewidth=5, label="5 to 95 % of accounts" if first else None)
        axis.plot([low, high], [place] * 2, color=_GREY, linewidth=5, label="25 to 75 %" if first else None)
        axis.plot(middle, place, "|", color="black", markersize=10, label="median" if first else None)
    for edge, marker, beyond in ((RATIO_LEAST, "<", each < RATIO_LEAST), (RATIO_MOST, ">", each > RATIO_MOST)):
        if beyond.any() and len(each) <= POINTS_MAX:
            axis.plot(edge, place, marker, color=_GREY, markersize=5, clip_on=False)
    if sums.per_shortfall_ppm is not None:
        ratio = sums.per_shortfall_ppm / 1e6
        edge = min(max(ratio, RATIO_LEAST), RATIO_MOST)
        axis.plot(edge, place, "o", color=_BLUE, markersize=6, label="the book" if first else None)
        words = f"{-(-sums.per_shortfall_ppm // 10_000) / 100:,.2f}"  # rounded up, as the table has it
        axis.annotate(words, (edge, place), (0, 7), textcoords="offset points", ha="center", fontsize=7.5)


def _uncovered(axis: Axes, place: int, found: Efficiency, under: UnderModel) -> None:
    sums = found.totals(under)
    if sums.covered_initial_ppm is None or sums.covered_maintenance_ppm is None:
        return
    initial, maintenance = (100 - ppm / 1e4 for ppm in (sums.covered_initial_ppm, sums.covered_maintenance_ppm))
    first = not axis.patches
    axis.barh(place + 0.17, initial, color=_BLUE, height=0.3, label="by initial margin" if first else None)
    axis.barh(place - 0.17, maintenance, color=_ORANGE, height=0.3, label="by maintenance margin" if first else None)
    for offset, share in ((0.17, initial), (-0.17, maintenance)):
        _beside(axis, share, place + offset, f"{share:.2f}")


def _panel(axis: Axes, places: Any, found: Efficiency, row: int) -> None:
    """One account: a bar for each model, its money and rate beside it."""
    notional = max(float(found.notional_micro[row]), 1.0)
    shortfall = 100 * float(found.shortfall_micro[row]) / notional
    rates = [0.0 if each.unsupported else 100 * int(each.initial_micro[row]) / notional for each in found.models]
    most = max(*rates, shortfall, 1e-9)
    for place, rate, under in zip(places, rates, found.models, strict=True):
        if under.unsupported:
            _beside(axis, 0.0, place, "cannot margin it", _GREY)
            continue
        axis.barh(place, rate, color=_BLUE, height=0.62)
        money = int(under.initial_micro[row]) / 1e6
        _beside(axis, max(rate, 0.0), place, f"{rate:.1f} %  ({money:,.0f})")
    axis.axvline(shortfall, color=_RED, linewidth=1.3)
    axis.set_xlim(min(0.0, *rates), most * 1.55)
    axis.set_title(f"{found.names[row]}: ES {shortfall:.2f} % ({found.shortfall_micro[row] / 1e6:,.0f})", fontsize=9)
    _plain(axis, f"% of {notional / 1e6:,.0f} {found.settlement} notional")


def _beside(axis: Axes, x: float, y: float, words: str, colour: str = "black") -> None:
    """Words to the right of a bar's end, on paper of their own where a line passes behind them."""
    axis.annotate(
        words, (x, y), (4, 0), textcoords="offset points", va="center", fontsize=7.5, color=colour, bbox=_PAPER
    )


def _figure(width: float, height: float, lines: int, columns: int, sharey: bool) -> tuple[Figure, Any]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", "plot") from error
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(lines, columns, sharey=sharey)


def _plain(axis: Axes, words: str) -> None:
    axis.set_xlabel(words, fontsize=8.5)
    axis.tick_params(labelsize=8.5)
    axis.grid(axis="x", alpha=0.25, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.locator_params(axis="x", nbins=5)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")


def _legend(axis: Axes, columns: int) -> None:
    handles, labels = axis.get_legend_handles_labels()
    if not handles:  # nothing was drawn: no account holds anything
        return
    axis.legend(handles, labels, loc="lower left", bbox_to_anchor=(0, 1.0), fontsize=7.5, frameon=False, ncols=columns)


def _yardstick(found: Efficiency) -> str:
    return f"{found.confidence_ppm / 1e4:g} % over {found.horizon_hours} h"


def _checked(path: str | Path) -> Path:
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise InputError(str(path), f"a name ending in {path.suffix!r}", " or ".join(SUFFIXES))
    return path


def _metadata(found: Efficiency) -> dict[str, str]:
    """What the picture was drawn of: initial margins of the first accounts in micro, by model."""
    parts = [
        f"{each.model} {' '.join(map(str, each.initial_micro[:ACCOUNTS_MAX].tolist()))}"
        for each in found.models
        if not each.unsupported
    ]
    return {"Description": "initial margin in 10^-6: " + "; ".join(parts)}
