"""The live terminal view of a replay: prices, health, decisions and the worst accounts, redrawn a few times a
second.

The view owns the pace: it asks the replay to advance to where market time should be by now, within a budget
of wall time a frame, so a slow machine falls behind its pace instead of freezing the picture.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

from rich.console import Console, Group
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from seawall.cli import interrupts
from seawall.core.times import format_ns
from seawall.stress.replay import HEALTH_LABELS, Look

__all__ = ["sparkline", "watch"]

_FRAME_S = 0.12
_FIRST_SCREEN_AND_CURSOR = b"\x1b[0m\x1b[?1049l\x1b[?25h"
_SPARKS = "▁▂▃▄▅▆▇█"
_STYLES = {
    "ok": "green",
    "margin_call": "yellow",
    "liquidatable": "red",
    "bankrupt": "magenta",
    "recovered": "green",
}
_HEALTH_STYLES = ("magenta", "red", "dark_orange", "yellow", *("green",) * 5, "bright_black")
_WORST = 16
_LOOK_SHARE = 0.15  # of wall time, at most, for looking at every account
_MARKS = {"ok": "●", "margin_call": "▲", "liquidatable": "■", "bankrupt": "✕", "recovered": "●"}


def watch(steps: Any, speed: float, screen: Any) -> tuple[Any, str]:
    """Prepares a replay and plays it to its end in the terminal. speed: market seconds a second; 0 is no
    pacing. screen: the dashboard beside it (`screen.py`)."""
    console = Console()
    whole = Live(console=console, screen=True, auto_refresh=False, transient=True)
    with interrupts.leaving_with(_FIRST_SCREEN_AND_CURSOR), whole as live:
        _prepare(steps, live)
        view = _View(steps, console, speed, screen)
        live.update(view.frame(), refresh=True)
        screen.begin(steps.replay, steps.title)  # after the first frame, which need not wait for it
        view.play(live)
    return steps.replay, steps.title


def sparkline(values: list[float], width: int) -> str:
    """Values as one line of block characters; the newest at the right, resampled to the width.

    >>> sparkline([1.0, 2.0, 3.0], 3)
    '▁▅█'
    """
    if not values or width < 1:
        return ""
    if len(values) > width:
        values = (
            [values[i * (len(values) - 1) // (width - 1)] for i in range(width)] if width > 1 else values[-1:]
        )
    low, high = min(values), max(values)
    span = high - low
    if span <= 0:
        return _SPARKS[0] * len(values)
    return "".join(_SPARKS[min(7, int((value - low) / span * 8))] for value in values)


def _prepare(steps: Any, live: Live) -> None:
    """Runs the steps in a thread, so that the picture moves while kernels compile."""
    done: list[str] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            for step in steps.prepare():
                done.append(step)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that shows it
            failure.append(error)

    thread = threading.Thread(target=work, daemon=True)
    started = time.perf_counter()
    thread.start()
    while thread.is_alive():
        thread.join(_FRAME_S)
        lines = [Text(f"  ✓ {step}", style="green") for step in done[:-1]]
        lines += [
            Text(f"  {'◐◓◑◒'[int(time.perf_counter() * 6) % 4]} {step}", style="bold") for step in done[-1:]
        ]
        waited = Text(f"\n  {time.perf_counter() - started:.0f} s", style="dim")
        title = steps.title or "Seawall"
        live.update(
            Panel(Group(Text(title, style="bold"), Text(), *lines, waited), title="seawall demo"),
            refresh=True,
        )
    if failure:
        raise failure[0]


class _View:
    """What the frames need to remember: price paths, decision rates, pace."""

    def __init__(self, steps: Any, console: Console, speed: float, screen: Any):
        self.steps, self.replay, self.console, self.speed = steps, steps.replay, console, speed
        self.screen = screen
        replay = self.replay
        self.started = time.perf_counter()
        self.paths: dict[str, list[float]] = {name: [] for name in replay.names}
        self.path_step_ns = max((replay.end_ns - replay.start_ns) // 240, 1)
        self.path_due = replay.start_ns
        self.first: dict[str, float] = {}
        self.low: dict[str, float] = {}
        self.rates: deque[float] = deque(maxlen=400)
        self.rate_now = 0.0
        self.seen = (time.perf_counter(), 0, 0, replay.start_ns, 0.0)
        self.ticks_per_s = 0.0
        self.names = list(replay.names)
        self.look_cost_s = self.looked = 0.0
        self.look = self._look()

    def play(self, live: Live) -> None:
        """Advances and redraws until every event has been fed."""
        replay = self.replay
        span = replay.end_ns - replay.start_ns + 1
        target = replay.start_ns
        last = time.perf_counter()
        while not replay.done:
            now = time.perf_counter()
            target += int((now - last) * self.speed * 1e9) if self.speed else span
            last = now
            reached = replay.advance(target + 1, budget_s=_FRAME_S)
            if not reached and self.speed:
                target = replay.now_ns  # fell behind: keep the pace from here instead of chasing it
            self._remember()
            self.screen.frame()
            live.update(self.frame(), refresh=True)
            rest = _FRAME_S - (time.perf_counter() - now)
            if self.speed and rest > 0:
                time.sleep(rest)

    def frame(self) -> Layout:
        """The whole picture at this moment."""
        size = self.console.size
        layout = Layout()
        layout.split_column(Layout(self._header(size.width), name="head", size=4), Layout(name="body"))
        body = layout["body"]
        body.split_row(Layout(name="left"), Layout(name="right"))
        rows = max(size.height - 4, 8)
        prices_rows = min(len(self.names) + 3, rows // 2)
        body["left"].split_column(
            Layout(self._prices(size.width // 2, prices_rows - 3), size=prices_rows),
            Layout(self._worst(rows - prices_rows - 3)),
        )
        body["right"].split_column(
            Layout(self._health(size.width - size.width // 2), size=len(HEALTH_LABELS) + 2),
            Layout(self._decisions(size.width - size.width // 2)),
        )
        return layout

    def _look(self) -> Look:
        started = time.perf_counter()
        look = self.replay.look(_WORST)
        self.looked = time.perf_counter()
        self.look_cost_s = self.looked - started
        return look

    def _remember(self) -> None:
        replay = self.replay
        if replay.done or (time.perf_counter() - self.looked) * _LOOK_SHARE > self.look_cost_s:
            self.look = self._look()
        for name, text in replay.prices.items():
            price = float(text)
            self.first.setdefault(name, price)
            self.low[name] = min(self.low.get(name, price), price)
        if replay.now_ns >= self.path_due:
            for name, text in replay.prices.items():
                self.paths[name].append(float(text))
            self.path_due = replay.now_ns + self.path_step_ns
        wall, ticks, decisions, market_ns, busy = self.seen
        now = time.perf_counter()
        if now - wall >= 0.5:
            seconds = max((replay.now_ns - market_ns) * 1e-9, 1e-9)
            self.rate_now = (len(replay.log) - decisions) / seconds
            self.rates.append(self.rate_now)
            self.ticks_per_s = (replay.ticks - ticks) / max(replay.busy_s - busy, 1e-9)
            self.seen = (now, replay.ticks, len(replay.log), replay.now_ns, replay.busy_s)

    def _header(self, width: int) -> Panel:
        replay = self.replay
        done = (replay.now_ns - replay.start_ns) / max(replay.end_ns - replay.start_ns, 1)
        pace = f"{self.speed:g}× real time" if self.speed else "no pacing"
        line = Table.grid(expand=True, padding=(0, 2))
        line.add_column(no_wrap=True)
        line.add_column(ratio=1)
        line.add_column(no_wrap=True, justify="right")
        speed = f"engine {self.ticks_per_s:,.0f} ticks/s   {pace}"
        line.add_row(Text(format_ns(replay.now_ns // 10**9 * 10**9), style="bold"),
                     ProgressBar(total=1.0, completed=min(done, 1.0)), speed)  # fmt: skip
        counts = Text()
        for status, count in replay.engine.counts.items():
            counts.append(
                f"{_MARKS.get(status, '●')} {count:,} {status.replace('_', ' ')}   ", _STYLES.get(status, "")
            )
        title = Text(self.steps.title, style="bold", overflow="ellipsis")
        return Panel(Group(line, counts), title=title, subtitle=self.screen.note or None, height=4)

    def _prices(self, width: int, rows: int) -> Panel:
        table = Table.grid(expand=True, padding=(0, 1))
        for justify in ("left", "right", "right", "right", "left"):
            table.add_column(justify=justify, no_wrap=True)
        table.add_row(*(Text(word, style="dim") for word in ("", "price", "change", "low", "")))
        for name in self.names[: max(rows, 1)]:
            text = self.replay.prices.get(name)
            if text is None:
                table.add_row(name, "-", "", "", "")
                continue
            change = float(text) / self.first.get(name, float(text)) - 1.0
            low = self.low.get(name, float(text)) / self.first.get(name, float(text)) - 1.0
            style = "red" if change < -0.0005 else "green" if change > 0.0005 else ""
            spark = sparkline(self.paths[name], max(width - 44, 6))
            table.add_row(
                name, text, Text(f"{change:+.1%}", style), Text(f"{low:+.1%}", "dim"), Text(spark, style)
            )
        more = len(self.names) - rows
        return Panel(table, title="prices", subtitle=f"{more} more" if more > 0 else None)

    def _health(self, width: int) -> Panel:
        """Accounts by health over maintenance margin; bars on a logarithmic scale."""
        from math import log1p

        counts = self.look.health
        most = log1p(max(max(counts), 1))
        table = Table.grid(padding=(0, 1))
        table.add_column(justify="right", no_wrap=True)
        table.add_column(justify="right", no_wrap=True, width=9)
        table.add_column(no_wrap=True)
        room = max(width - 32, 4)
        for label, count, style in zip(HEALTH_LABELS, counts, _HEALTH_STYLES, strict=True):
            bar = "█" * round(room * log1p(count) / most) if count else ""
            table.add_row(Text(label, "dim"), f"{count:,}", Text(bar, style))
        return Panel(table, title="health: (equity − MM) / MM", subtitle="accounts, log scale")

    def _decisions(self, width: int) -> Panel:
        replay = self.replay
        line = Text()
        for kind, count in replay.log.counts.items():
            line.append(f"{_MARKS[kind]} {count:,} {kind.replace('_', ' ')}  ", _STYLES[kind])
        rate = Text(f"{self.rate_now:8.1f}/s  ", style="bold")
        rate.append(sparkline(list(self.rates), max(width - 20, 6)), style="yellow")
        last = Table.grid(expand=True, padding=(0, 1))
        for decision in reversed(replay.log.last):
            style = _STYLES.get(decision.kind, "")
            last.add_row(Text(f"{_MARKS[decision.kind]} {decision.kind.replace('_', ' ')}", style),
                         Text(decision.account, overflow="ellipsis", no_wrap=True),
                         Text(f"{decision.health_micro / 1e6:,.2f}", justify="right"),
                         Text(decision.cause, "dim", overflow="ellipsis", no_wrap=True))  # fmt: skip
        return Panel(
            Group(line, rate, Text(), last),
            title="decisions",
            subtitle="per second of market time; newest first",
        )

    def _worst(self, rows: int) -> Panel:
        table = Table.grid(expand=True, padding=(0, 1))
        for justify in ("left", "right", "right", "right"):
            table.add_column(justify=justify, no_wrap=True)
        table.add_row(*(Text(word, style="dim") for word in ("account", "equity", "maintenance", "health")))
        for account, equity, maintenance in self.look.worst[: max(rows, 1)]:
            style = "magenta" if equity < 0 else "red" if equity < maintenance else ""
            amounts = (equity, maintenance, equity - maintenance)
            cells = (Text(f"{amount / 1e6:,.2f}", style) for amount in amounts)
            table.add_row(Text(account, overflow="ellipsis"), *cells)
        return Panel(table, title="worst accounts")
