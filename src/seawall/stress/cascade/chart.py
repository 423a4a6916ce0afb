"""The picture of a cascade: prices under each policy, bad debt as it grows, accounts below maintenance. Needs Matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seawall.core.errors import InputError, MissingExtra

if TYPE_CHECKING:
    from seawall.stress.cascade.loop import Run

__all__ = ["draw"]

_COLOURS = {"dump": "#d1242f", "slices": "#e3a008", "dutch": "#7b2cbf", "seawall": "#0757b8"}
SUFFIXES = (".png", ".svg")


def draw(runs: dict[str, Run], path: str | Path, title: str) -> None:
    """One seed's runs on one time axis. Raises MissingExtra without Matplotlib, InputError for another suffix."""
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise InputError(str(path), f"a name ending in {path.suffix!r}", " or ".join(SUFFIXES))
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", "plot") from error
    figure = Figure(figsize=(9.0, 8.0), layout="constrained")
    FigureCanvasAgg(figure)
    price, debt, unsafe = figure.subplots(3, 1, sharex=True, height_ratios=(2, 1, 1))
    first = next(iter(runs.values()))
    weight = np.bincount(first.world.underlying, first.tally.interest_nano, len(first.world.market.underlyings))
    weight = weight / max(weight.sum(), 1e-9)
    minutes = np.array(first.tally.times) / 60
    outside = np.log(np.array(first.tally.outside)) - np.log(first.path.prices[0])
    price.plot(minutes, 100 * np.expm1(outside @ weight), color="#6e7781", linewidth=1.2, label="without liquidations")
    for name, run in runs.items():
        colour = _COLOURS.get(name)
        moved = np.log(np.array(run.tally.prices)) - np.log(first.path.prices[0])
        price.plot(minutes, 100 * np.expm1(moved @ weight), color=colour, linewidth=1.2, label=name)
        curves: Any = np.array(run.tally.curves, np.float64)
        interest = max(run.tally.interest_nano.sum(), 1.0)
        debt.plot(minutes, 1e4 * curves[:, 0] / interest, color=colour, linewidth=1.2)
        unsafe.plot(minutes, curves[:, 1], color=colour, linewidth=1.0)
    price.set_ylabel("price, %\n(names by open interest)")
    debt.set_ylabel("bad debt,\nbp of open interest")
    unsafe.set_ylabel("accounts below\nmaintenance")
    unsafe.set_xlabel("minutes")
    price.set_title(title, fontsize=10)
    price.legend(frameon=False, fontsize=8.5)
    for axis in (price, debt, unsafe):
        axis.grid(alpha=0.25, linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=140)
