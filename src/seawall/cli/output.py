"""How commands speak: JSON objects on stdout, tables for people, progress on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["console", "exact", "money", "note", "print_json", "print_table", "progress_bar", "status", "take"]


def print_json(value: Any) -> None:
    """One JSON object on stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str | None = None) -> None:
    """A table on stdout; the first column is text, the others are set right."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold", box=box.SIMPLE_HEAD)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    to = console()
    if not to.is_terminal:
        # Into a pipe or a file no column may be cut.
        to = console(width=240)
    to.print(table)


def console(**options: Any) -> Console:
    """A Rich console on stdout that leaves a closed pipe to the command line, where it is no failure."""
    from rich.console import Console

    class Stdout(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Stdout(**options)


def note(text: str) -> None:
    """One line on stderr."""
    print(text, file=sys.stderr)


def money(micro: int) -> str:
    """Micro-quote as text with two decimals and thousands marks, for people."""
    return f"{micro / 1e6:,.2f}"


def exact(micro: int) -> str:
    """Micro-quote as a decimal string with all six places, for machines."""
    sign = "-" if micro < 0 else ""
    return f"{sign}{abs(micro) // 10**6}.{abs(micro) % 10**6:06d}"


@contextmanager
def status(text: str) -> Iterator[None]:
    """A spinner on stderr while something without a known length runs; nothing where stderr is no
    terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(text):
        yield


@contextmanager
def progress_bar(text: str, total: float) -> Iterator[Any]:
    """A progress bar on stderr; yields a function that takes what has been done so far, and the total if it
    grew."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(text, total=total)

        def advance(done: float, of: float | None = None) -> None:
            progress.update(task, completed=done, total=total if of is None else of)

        yield advance


def take(frame: Any, limit: int | None) -> Any:
    """The first rows of a table (all for None or 0)."""
    return frame if not limit else frame.head(limit)
