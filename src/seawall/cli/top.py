"""`seawall top`: a running service in the terminal, four times a second, as a risk officer would glance at it.

It is a client like any other: it follows the stream for decisions and prices and asks for totals, so that it costs the service next
to nothing. Where stdout is no terminal, or with --once, it prints what there is and ends.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import typer

from seawall.cli.arguments import AsJson
from seawall.cli.remote import DEFAULT_URL, KeyOption, UrlOption, connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from seawall.client.closing_types import Auctions, Closings, Waterfall
    from seawall.client.sync import Client
    from seawall.client.types import Overview, Prices, Status

NAME = "top"
FRAMES_PER_S = 4
ASK_S = 1.0
MARKS = {"ok": ("●", "green"), "margin_call": ("▲", "yellow"), "liquidatable": ("■", "red"), "bankrupt": ("✕", "magenta")}


def command(
    url: UrlOption = DEFAULT_URL,
    key_file: KeyOption = None,
    once: bool = typer.Option(False, "--once", help="Print it once and end."),
    worst: int = typer.Option(12, min=1, max=100, help="Accounts nearest to liquidation."),
    json: AsJson = False,
) -> int:
    """Watch a running service: totals, accounts by status, prices with their ages, who is nearest, what was decided."""
    from seawall.cli import output

    with connect(url, key_file) as client:
        view = View(client, worst)
        view.ask()
        if json:
            output.print_json(view.words())
            return 0
        console = output.console()
        if once or not console.is_terminal:
            console.print(view.render())
            return 0
        watch(view, console)
    return 0


def watch(view: View, console: Any, goes_on: Callable[[], bool] = lambda: True) -> None:
    """Draws the view until an interrupt, or until it is over."""
    from rich.live import Live

    threading.Thread(target=view.follow, name="stream", daemon=True).start()
    asked = time.monotonic()
    with Live(view.render(), console=console, screen=True, auto_refresh=False) as live:
        try:
            while goes_on():
                time.sleep(1 / FRAMES_PER_S)
                if time.monotonic() - asked >= ASK_S:
                    asked = time.monotonic()
                    view.ask()
                live.update(view.render(), refresh=True)
        except KeyboardInterrupt:
            return


class View:
    """What is known of the service, and how it looks."""

    def __init__(self, client: Client, worst: int, note: str = "") -> None:
        self._client, self._worst, self._note = client, worst, note
        self._decisions: deque[dict[str, Any]] = deque(maxlen=10)
        self._problem = ""
        self.status: Status
        self.overview: Overview
        self.prices: Prices
        self.closing: tuple[Closings, Auctions, Waterfall] | None = None
        self._closes = True

    def ask(self) -> None:
        """Totals, prices and health; what cannot be had leaves the last ones and says so."""
        from seawall.client import ServiceError, Unreachable

        try:
            self.status, self.overview, self.prices = (
                self._client.status(), self._client.overview(self._worst), self._client.prices()
            )  # fmt: skip
            self._ask_closings()
            self._problem = ""
        except (ServiceError, Unreachable) as error:
            if not hasattr(self, "prices"):
                raise
            self._problem = str(error)

    def _ask_closings(self) -> None:
        """Of a venue that closes failed accounts; any other says so once."""
        from seawall.client import ServiceError

        if not self._closes:
            return
        try:
            client = self._client
            self.closing = client.closings(limit=8), client.auctions(limit=8, points=0), client.waterfall()
        except ServiceError as error:
            if error.status != 404:
                raise
            self._closes = False

    def follow(self) -> None:
        """Decisions, as they come, for as long as there is a service."""
        from seawall.client import ServiceError, Unreachable
        from seawall.client.types import Message

        while True:
            try:
                for message in self._client.stream(["decision"]):
                    if isinstance(message, Message):
                        self._decisions.appendleft(message.data | {"seen": time.time()})
            except (ServiceError, Unreachable) as error:
                self._problem = str(error)
                time.sleep(1)

    def words(self) -> dict[str, Any]:
        """For the JSON of an answer."""
        import msgspec

        found: dict[str, Any] = msgspec.to_builtins(
            {"status": self.status, "overview": self.overview, "prices": self.prices.prices}
        )
        return found

    def render(self) -> RenderableType:
        """One frame."""
        from rich.console import Group
        from rich.text import Text

        parts: list[RenderableType] = [self._head(), self._counts(), self._nearest(), self._sources()]
        if self.closing is not None:
            parts += [self._behind(*self.closing), self._closings(*self.closing)]
        if self._decisions:
            parts.append(self._decided())
        if self._problem:
            parts.append(Text(f"not reached: {self._problem}", style="bold red"))
        return Group(*parts)

    def _head(self) -> RenderableType:
        from rich.text import Text

        status = self.status
        style = "bold" if status.state == "ok" else "bold red"
        words = f"{status.name}  {status.state}{': ' + status.reason if status.reason else ''}"
        line = Text(words, style=style)
        line.append(
            f"   sequence {status.sequence:,}   journal lag {status.lag:,}   newest event {status.staleness_s:.1f} s ago"
            f"   listeners {status.listeners}   {self._note}", style="dim",
        )  # fmt: skip
        return line

    def _counts(self) -> RenderableType:
        from rich.text import Text

        view = self.overview
        line = Text(f"accounts {view.accounts:,}   ")
        for name, count in view.by_status.items():
            mark, colour = MARKS[name]
            line.append(f"{mark} {name.replace('_', ' ')} {count:,}   ", style=colour if count else "dim")
        line.append(f"equity {view.equity:,.0f}   maintenance {view.maintenance_margin:,.0f}   orders {view.open_orders:,}   ")
        line.append("   ".join(f"{name} {amount:,.0f}" for name, amount in view.funds.items()))
        return line

    def _nearest(self) -> RenderableType:
        table = _table("nearest to liquidation", "equity", "maintenance", "health", "health / maintenance")
        for row in self.overview.worst[: self._worst]:
            mark, colour = MARKS[row.status]
            ratio = f"{row.health / row.maintenance_margin:.1%}" if row.maintenance_margin else ""
            table.add_row(
                f"[{colour}]{mark}[/] {_plain(row.account)}", f"{row.equity:,.2f}", f"{row.maintenance_margin:,.2f}",
                f"{row.health:,.2f}", ratio,
            )  # fmt: skip
        return table

    def _sources(self) -> RenderableType:
        table = _table("price", "index", "age", "source")
        for one in self.prices.prices:
            table.add_row(_plain(one.name), f"{one.price:,f}", f"{one.age_s:,.1f} s", _plain(one.source) or "at the start")
        return table

    def _behind(self, closings: Closings, auctions: Auctions, waterfall: Waterfall) -> RenderableType:
        """Who is being closed, and who stands behind it: what is left, and what each layer has paid."""
        from rich.text import Text

        line = Text(f"closing {closings.total:,}   auctions {auctions.total:,}", style="bold" if closings.total else "dim")
        tranches = sum(one.balance for one in waterfall.tranches)
        providers = sum(one.total for one in waterfall.vaults)
        left = {"tranche": tranches, "backstop": providers, "fund": waterfall.fund.balance, "deferred": waterfall.claims.owed}
        for layer, paid in waterfall.totals.items():
            held = f"{left[layer]:,.0f} " if layer in left else ""
            line.append(f"   {layer} {held}", style="")
            line.append(f"(paid {paid:,.0f})", style="red" if paid else "dim")
        return line

    def _closings(self, closings: Closings, auctions: Auctions, waterfall: Waterfall) -> RenderableType:
        table = _table("being closed", "stage", "equity", "maintenance", "auction", "asks")
        asks = {one.auction: one for one in auctions.auctions}
        for row in closings.closings:
            sale = asks.get(row.auction)
            asked = f"{sale.price:,.2f} of {sale.value:,.2f}" if sale is not None else ""
            table.add_row(
                _plain(row.account), row.stage, f"{row.equity:,.2f}", f"{row.maintenance:,.2f}", str(row.auction or ""), asked
            )  # fmt: skip
        return table

    def _decided(self) -> RenderableType:
        table = _table("decided", "account", "health", "cause")
        for one in self._decisions:
            mark, colour = MARKS[one["status"]]
            kind = f"[{colour}]{mark}[/] {one['kind'].replace('_', ' ')}"
            table.add_row(kind, _plain(one["account"]), f"{one['health_micro'] / 1e6:,.2f}", _plain(one["cause"]))
        return table


def _plain(text: str) -> str:
    """Text of others, which is no markup and moves no cursor."""
    from rich.markup import escape

    from seawall.core.errors import one_line

    return escape(one_line(text))


def _table(*columns: str) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 or column in ("account", "cause", "source") else "right")
    return table
