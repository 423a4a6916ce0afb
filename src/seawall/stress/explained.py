"""The picture of an explanation: how components build up a margin, and what spot and volatility do to the account.

Left, a waterfall from nothing to initial margin, largest component first. Right, the change of the account's
equity over moves of all underlyings together and of all volatilities, with the line on which the loss is as
large as today's health. Figures behind charts are float; Matplotlib is an extra (`plot`).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seawall.core.errors import InputError, MissingExtra
from seawall.margin.explain import Explanation
from seawall.market.pricing import leg_marks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["SUFFIXES", "draw", "equity_changes"]

SUFFIXES = (".png", ".svg")
BARS_MAX = 10
MOVES = np.linspace(-0.3, 0.3, 41)
VOLS = np.linspace(0.5, 2.0, 31)
_UP, _DOWN, _TOTAL = "#d1242f", "#2da44e", "#0757b8"


def equity_changes(market: Any, found: Explanation, moves: np.ndarray, vols: np.ndarray) -> np.ndarray:
    """float64[V, M]: change of equity, in the settlement currency, with every index times 1 + moves (float64[M])
    and every volatility times vols (float64[V]); marks and forwards keep their ratio to the index."""
    legs, rows = market.legs, found.leg_rows
    now = leg_marks(legs, market.as_of_ns, market.rate)[rows]
    out = np.zeros((len(vols), len(moves)))
    for m, move in enumerate(moves):
        moved = legs.with_index(np.rint(legs.index_nano * (1.0 + move)).astype(np.int64))
        for v, multiple in enumerate(vols):
            shifted = replace(moved, iv=legs.iv * multiple)
            out[v, m] = found.lots @ (leg_marks(shifted, market.as_of_ns, market.rate)[rows] - now)
    return out


def draw(found: Explanation, market: Any, path: str | Path) -> None:
    """Writes the picture to a .png or .svg file. Raises MissingExtra without Matplotlib, InputError for another suffix
    or an account without positions."""
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise InputError(str(path), f"a name ending in {path.suffix!r}", " or ".join(SUFFIXES))
    if not found.legs:
        raise InputError(f"account {found.account!r}", "no positions", "a position to draw")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", "plot") from error
    figure = Figure(figsize=(13, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    figure.suptitle(f"{found.account}, model {found.model}", fontsize=12)
    _waterfall(left, found)
    _heat(right, found, market, figure)
    figure.savefig(path, dpi=130)


def _waterfall(axis: Axes, found: Explanation) -> None:
    """Components of initial margin, largest first; what does not fit is one bar."""
    rows = [(f"{name}, {underlying}", initial / 1e6) for underlying, name, initial, _ in found.by_component() if initial]
    if len(rows) > BARS_MAX:
        rows = [*rows[: BARS_MAX - 1], ("the rest", sum(amount for _, amount in rows[BARS_MAX - 1 :]))]
    names = [name for name, _ in rows] + ["initial margin"]
    amounts = np.array([amount for _, amount in rows])
    total = int(found.result.initial_margin_micro[0]) / 1e6
    starts = np.concatenate([[0.0], np.cumsum(amounts)[:-1], [0.0]]) if len(rows) else np.zeros(1)
    bars = np.append(amounts, total)
    colours = [_UP if amount > 0 else _DOWN for amount in amounts] + [_TOTAL]
    places = np.arange(len(bars))[::-1]
    axis.barh(places, bars, left=starts, color=colours, height=0.7)
    for place, start, bar in zip(places, starts, bars, strict=True):
        axis.annotate(f" {bar:,.0f}", (max(start, start + bar), place), va="center", fontsize=8)
    axis.set_yticks(places, names, fontsize=8)
    axis.margins(x=0.15)
    axis.grid(axis="x", alpha=0.25, linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_xlabel(f"initial margin by component, {found.settlement}")


def _heat(axis: Axes, found: Explanation, market: Any, figure: Figure) -> None:
    changes = equity_changes(market, found, MOVES, VOLS)
    most = max(float(np.abs(changes).max()), 1e-6)
    image = axis.pcolormesh(100 * MOVES, 100 * VOLS, changes, cmap="RdBu", vmin=-most, vmax=most, shading="nearest")
    health = int(found.result.health_micro[0]) / 1e6
    if health > 0 and changes.min() < -health < changes.max():
        line = axis.contour(100 * MOVES, 100 * VOLS, changes, levels=[-health], colors="black", linewidths=1.2)
        axis.clabel(line, fmt=lambda _: "loss = today's health", fontsize=8)
    axis.plot(0, 100, marker="+", color="black", markersize=9)
    axis.set_xlabel("move of every index, %")
    axis.set_ylabel("volatility, % of today's")
    bar = figure.colorbar(image, ax=axis, pad=0.01)
    bar.set_label(f"change of equity, {found.settlement}", fontsize=8)
