"""What a replay leaves on disk: decisions and results as Parquet, a summary as JSON, and one picture.

The picture answers three questions on one time axis: what prices did, how many accounts lost their health,
and when the engine said so. Matplotlib is needed for the picture alone (extra `plot`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seawall.core.errors import InputError, MissingExtra
from seawall.feeds.tables import write_table
from seawall.stress.replay import HEALTH_LABELS, Replay

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw", "write_outputs"]

# Colour-blind safe, readable on white.
_STATUS_COLOURS = {"margin_call": "#e3a008", "liquidatable": "#d1242f", "bankrupt": "#7b2cbf"}
_KIND_COLOURS = {**_STATUS_COLOURS, "recovered": "#2da44e"}
_LINES = ("#0757b8", "#d1242f", "#2da44e", "#e3a008", "#7b2cbf", "#0e7c86", "#8c564b", "#6e7781")


def write_outputs(
    replay: Replay, folder: str | Path, summary: dict[str, Any], *, title: str, picture: str | None = "png"
) -> dict[str, str]:
    """Writes decisions.parquet, results.parquet, summary.json and the picture; returns their paths by
    kind."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            str(folder), f"no folder that can be made ({error.strerror})", "a writable folder"
        ) from error
    files = {"decisions": folder / "decisions.parquet", "results": folder / "results.parquet"}
    replay.log.write(files["decisions"])
    write_table(replay.engine.results().to_polars(), files["results"])
    if picture is not None:
        files["plot"] = folder / f"replay.{picture}"
        draw(replay, files["plot"], title)
    files["summary"] = folder / "summary.json"
    paths = {name: str(path) for name, path in files.items()}
    files["summary"].write_text(json.dumps({**summary, "files": paths}, indent=2) + "\n")
    return paths


def draw(replay: Replay, path: str | Path, title: str) -> None:
    """Draws prices, accounts under margin, health over time and decisions per second. Raises MissingExtra."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.dates import ConciseDateFormatter
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", "plot") from error
    samples = replay.samples
    if not samples:
        raise InputError("replay", "no sample", "at least one")
    when = (
        np.array([sample.at_ns for sample in samples], "datetime64[ns]")
        .astype("datetime64[ms]")
        .astype(object)
    )
    figure = Figure(figsize=(11, 10), layout="constrained")
    FigureCanvasAgg(figure)
    top, middle, heat, low = figure.subplots(4, 1, sharex=True, height_ratios=(3, 2, 2.4, 2))
    figure.suptitle(title, fontsize=12)
    _prices(top, when, replay)
    _under_margin(middle, when, replay)
    _health(heat, when, replay, figure)
    _decisions(low, replay)
    low.xaxis.set_major_formatter(ConciseDateFormatter(low.xaxis.get_major_locator()))
    for axis in (top, middle, low):
        axis.grid(alpha=0.25, linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    low.set_xlim(when[0], when[-1] if when[-1] > when[0] else None)
    figure.savefig(path, dpi=130)


def _prices(axis: Axes, when: np.ndarray, replay: Replay) -> None:
    """Prices in per cent of the first one; the eight names that fell most are named."""
    series = {}
    for name in replay.names:
        values = np.array([sample.prices.get(name, np.nan) for sample in replay.samples])
        known = values[~np.isnan(values)]
        if len(known):
            series[name] = 100.0 * values / known[0]
    deepest = sorted(series, key=lambda name: np.nanmin(series[name]))
    named = [name for name in replay.names if name in (deepest[:7] + list(series)[:1])]
    for name in series:
        if name not in named:
            axis.plot(when, series[name], color="#c4c9cf", linewidth=0.7)
    for colour, name in zip(_LINES, named):
        low = np.nanmin(series[name])
        axis.plot(when, series[name], color=colour, linewidth=1.3, label=f"{name}  low {low:.0f} %")
    axis.set_ylabel("price, % of first")
    axis.legend(fontsize=8, ncols=2, frameon=False, loc="best")


def _under_margin(axis: Axes, when: np.ndarray, replay: Replay) -> None:
    statuses = [
        status for status in _STATUS_COLOURS if any(sample.statuses.get(status) for sample in replay.samples)
    ]
    counts = [[sample.statuses.get(status, 0) for sample in replay.samples] for status in statuses]
    if counts:
        colours = [_STATUS_COLOURS[status] for status in statuses]
        axis.stackplot(
            when, counts, labels=[s.replace("_", " ") for s in statuses], colors=colours, alpha=0.85
        )
        axis.legend(fontsize=8, frameon=False, loc="upper left")
    axis.set_ylabel("accounts under margin")


def _health(axis: Axes, when: np.ndarray, replay: Replay, figure: Figure) -> None:
    """Accounts by health over time: one column per sample, share of accounts by logarithm of their number."""
    counts = np.array([sample.health for sample in replay.samples], float).T
    shade = np.where(counts > 0, np.log10(np.maximum(counts, 1.0)), np.nan)
    image = axis.pcolormesh(when, np.arange(len(counts)), shade, cmap="magma_r", shading="nearest")
    labels = HEALTH_LABELS
    axis.set_yticks(np.arange(len(labels)), labels, fontsize=7)
    axis.set_ylabel("health / maintenance margin")
    bar = figure.colorbar(image, ax=axis, pad=0.01)
    bar.set_label("accounts, log10", fontsize=8)


def _decisions(axis: Axes, replay: Replay) -> None:
    """Decisions per second of market time, from consecutive samples."""
    samples = replay.samples
    middles, previous = [], samples[0]
    rates: dict[str, list[float]] = {kind: [] for kind in _KIND_COLOURS}
    for sample in samples[1:]:
        # where ticks are rarer than samples, several samples have the time of one tick
        seconds = max(sample.at_ns - previous.at_ns, replay.step_ns) * 1e-9
        middles.append(np.datetime64(sample.at_ns, "ns").astype("datetime64[ms]").astype(object))
        for kind, rate in rates.items():
            rate.append((sample.decisions.get(kind, 0) - previous.decisions.get(kind, 0)) / seconds)
        previous = sample
    for kind, rate in rates.items():
        if any(rate):
            axis.plot(middles, rate, color=_KIND_COLOURS[kind], linewidth=1.1, label=kind.replace("_", " "))
    if axis.lines:
        if max(map(max, rates.values())) > 1.0:
            axis.set_yscale("symlog", linthresh=0.1)
        axis.legend(fontsize=8, ncols=4, frameon=False, loc="upper left")
    axis.set_ylabel("decisions / s")
