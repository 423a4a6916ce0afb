"""`seawall demo`: a seeded population of accounts goes through a crash while you watch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from seawall.cli.arguments import Asked, ModelName, Param, Params, ask

if TYPE_CHECKING:
    from seawall.feeds.ticks import PriceHistory
    from seawall.market.market import Market
    from seawall.stress.population import Population
    from seawall.stress.replay import Replay

NAME = "demo"


def command(
    accounts: int | None = typer.Option(None, min=1, max=10_000_000, help="Margin accounts in the seeded population (5,000 at the venue, 100,000 in the engine)."),
    seed: int = typer.Option(7, min=0, help="Seed of the population and of the modelled path."),
    model: ModelName = "portfolio",
    param: Param = None,
    params: Params = None,
    prices: Path | None = typer.Option(
        None, help="Real prices (Parquet, CSV, JSON lines) instead of the modelled crash."
    ),
    start: str | None = typer.Option(None, "--from", help="First time of --prices, as 2025-10-10T20:45:00Z."),
    end: str | None = typer.Option(None, "--to", help="End of --prices."),
    speed: float = typer.Option(
        90.0, min=0, help="Market seconds per second in the live view; 0 is as fast as it goes."
    ),
    out: Path = typer.Option(
        Path("out/demo"), help="Folder for the picture, decisions, results, market and book."
    ),
    picture: str = typer.Option("png", help="png or svg."),
    venue: bool | None = typer.Option(
        None, "--venue/--engine",
        help="A service that closes failed accounts, keepers and markets, in processes of their own (in a terminal); or the engine alone (elsewhere, and with --prices).",
    ),
    headless: bool = typer.Option(False, "--headless", help="No live view and no dashboard."),
    port: int | None = typer.Option(None, min=0, max=65535, help="Port of the dashboard on 127.0.0.1 (default: the next free one from 8810 on)."),
    browse: bool = typer.Option(True, "--browse/--no-browse", help="Open the dashboard in a browser."),
    json: bool = typer.Option(False, "--json", help="One JSON object on stdout (implies --headless)."),
) -> None:
    """Watch a crash go through a venue (--venue), or replay one through the engine alone (--engine), with a live view and the dashboard; files and a summary at the end."""
    import sys

    from seawall.cli.screen import Screen
    from seawall.core.errors import InputError

    if picture not in ("png", "svg"):
        raise InputError("--picture", repr(picture), "png or svg")
    for option, value in (("--from", start), ("--to", end)):
        if value is not None and prices is None:
            raise InputError(option, repr(value), "--prices beside it: the modelled crash is played whole")
    started = time.perf_counter()
    asked = ask(model, param, params)
    live = not headless and not json and sys.stdout.isatty()
    if venue is None:
        venue = live and prices is None and _can_serve()
    if venue:
        if prices is not None:
            raise InputError("--prices", "prices at a venue", "--engine: a venue plays the modelled crash")
        if asked.words.get("parameters"):
            raise InputError("--param", "parameters at a venue", "--engine: a venue has the model's own")
        from seawall.cli.rehearse import rehearse

        rehearse(accounts or 5_000, seed, speed or 90.0, model, out / "venue", live, browse, json)
        return
    steps = _Steps(accounts or 100_000, seed, asked, prices, start, end)
    screen = Screen(port, browse)
    if live:
        from seawall.cli.live import watch

        replay, title = watch(steps, speed, screen)
    else:
        from seawall.cli import output
        from seawall.cli.session import run_headless

        with output.status("preparing"):
            for _ in steps.prepare():
                pass
        replay, title = steps.replay, steps.title
        run_headless(replay, "replaying")
    from seawall.cli.session import finish

    extra = {"label": steps.label, **asked.words, "seed": seed, "prepare_s": round(steps.prepared_s, 3)}
    try:
        finish(replay, extra, out, title, json, started, picture)
        steps.save(out)
        screen.hold()
    finally:
        screen.close()


def _can_serve() -> bool:
    """Whether what a service needs is installed (the `server` extra)."""
    from importlib.util import find_spec

    return all(find_spec(name) is not None for name in ("fastapi", "uvicorn", "websockets", "httpx", "cryptography"))


class _Steps:
    """The way from nothing to a replay, in named steps, so that a view can show where it is."""

    def __init__(
        self, accounts: int, seed: int, asked: Asked, prices: Path | None, start: str | None, end: str | None
    ):
        self.accounts, self.seed, self.asked, self.prices = accounts, seed, asked, prices
        self.start, self.end = start, end
        self.title = self.label = ""
        self.prepared_s = 0.0
        self._saved: tuple[Market, Population] | None = None
        self._replay: Replay | None = None

    @property
    def replay(self) -> Replay:
        """The replay, once every step is done."""
        assert self._replay is not None
        return self._replay

    def prepare(self) -> Iterator[str]:
        """Yields the name of each step before doing it."""
        from seawall.cli import compiling

        started = time.perf_counter()
        yield "prices and instruments"
        with compiling.beside(self.asked.model) as join:
            document, history = self._read()
            from seawall.market.market import Market

            market = Market.from_document(document, place=self.label)
            yield f"{self.accounts:,} accounts"
            from seawall.stress.population import populate

            population = populate(market, self.accounts, self.seed)
            yield "engine (kernels compile on the first run)"
            join(population, market)
        from seawall.engine.loop import Engine

        engine = Engine(population, market, self.asked.model)
        from seawall.stress.replay import Replay

        self._replay = Replay(engine, history)
        self._saved = market, population
        self.prepared_s = time.perf_counter() - started

    def save(self, folder: Path) -> None:
        """Market and book beside the results, so that `seawall replay` can repeat the run."""
        assert self._saved is not None
        market, population = self._saved
        market.save(folder / "market.json")
        population.write(market, folder / "book.parquet")

    def _read(self) -> tuple[dict[str, Any], PriceHistory]:
        """The market's document and the prices that run over it."""
        if self.prices is None:
            from seawall.stress.crash import LABEL, modelled_crash

            self.label = "modelled"
            self.title = f"Crash {LABEL}: {self.accounts:,} accounts, {self.asked.title}"
            board, history = modelled_crash(self.seed)
            return board.document, history
        from seawall.cli.session import modelled_over, span
        from seawall.feeds.prices import read_prices

        start_ns, end_ns = span(self.start, self.end)
        history = read_prices(self.prices, start_ns=start_ns, end_ns=end_ns)
        self.label = str(self.prices)
        self.title = f"{self.prices.name}: {self.accounts:,} modelled accounts, {self.asked.title}"
        if history.market is not None:
            return history.market, history
        return modelled_over(history)
