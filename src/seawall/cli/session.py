"""What `demo` and `replay` have in common: where prices, market and book come from, and how a run ends."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seawall.cli import output

if TYPE_CHECKING:
    from seawall.feeds.ticks import PriceHistory
    from seawall.stress.replay import Replay

__all__ = ["finish", "modelled_over", "moment", "run_headless"]

_LONG_NS = 3 * 86_400 * 10**9


def moment(text: str | None, option: str) -> int | None:
    """The time of a --from or --to option in ns, or None."""
    if text is None:
        return None
    from seawall.core.times import parse_iso_ns

    return parse_iso_ns(int(text) if text.isdecimal() and len(text) > 12 else text, option)


def modelled_over(history: PriceHistory) -> tuple[Any, PriceHistory]:
    """A modelled board around a file's first prices, and the same prices with modelled vols along them."""
    import msgspec

    from seawall.stress.board import make_board
    from seawall.stress.vols import VolSchedule, vol_updates

    ticks = history.ticks
    # Contracts outlive a long replay; a short one has the expiries of its own day.
    span_ns = int(ticks.at_ns[-1]) - int(ticks.at_ns[0])
    until_ns = int(ticks.at_ns[-1]) if span_ns > _LONG_NS // 3 else None
    board = make_board(ticks.first_prices(), int(ticks.at_ns[0]), until_ns=until_ns)
    updates = vol_updates(board, ticks, VolSchedule(limit=200))
    return board.document, msgspec.structs.replace(history, surfaces=updates)


def run_headless(replay: Replay, text: str) -> None:
    """Runs to the end, with a progress bar on stderr where that is a terminal."""
    with output.progress_bar(text, replay.total_ticks) as advance:
        replay.run(lambda r: advance(r.ticks))


def finish(
    replay: Replay,
    extra: dict[str, Any],
    out: Path | None,
    title: str,
    as_json: bool,
    started: float,
    picture: str,
) -> dict[str, Any]:
    """Writes the files (if a folder is given), then prints the summary, as JSON or for people."""
    from seawall.core.errors import MissingExtra
    from seawall.stress.report import write_outputs

    summary = {**extra, **replay.summary(), "wall_s": round(time.perf_counter() - started, 3)}
    if out is not None:
        with output.status("writing results"):
            try:
                files = write_outputs(replay, out, summary, title=title, picture=picture)
            except MissingExtra as error:
                output.note(f"no picture: {error}")
                files = write_outputs(replay, out, summary, title=title, picture=None)
        summary["files"] = files
    if as_json:
        output.print_json(summary)
    else:
        _tell(summary, title)
    return summary


def _tell(summary: dict[str, Any], title: str) -> None:
    console = output.console(highlight=False, soft_wrap=True)
    counts, statuses = summary["decisions"], summary["accounts_by_status"]
    console.print(f"\n[bold]{title}[/bold]")
    console.print(
        f"prices      {summary['from']} to {summary['to']}, {summary['ticks']:,} ticks, "
        f"{summary['surface_updates']:,} vol updates"
    )
    console.print(
        f"accounts    {summary['accounts']:,}, at the end "
        + ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in statuses.items() if count)
    )
    console.print(
        "decisions   "
        + (
            ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count)
            or "none"
        )
    )
    console.print(
        f"engine      {summary['replay_s']:.2f} s for the whole path, {summary['ticks_per_s']:,} ticks/s"
    )
    console.print(f"state hash  {summary['state_hash']}")
    for kind, path in summary.get("files", {}).items():
        console.print(f"{kind:<11} {path}")
