"""`seawall replay`: a user's own book through a user's own prices."""

from __future__ import annotations

import time
from pathlib import Path

import typer

from seawall.cli.arguments import AsJson, BookFile, ModelName, Param, Params, ask

NAME = "replay"


def command(
    book: BookFile,
    prices: Path = typer.Argument(help="Prices: ticks, bars or an option chain (Parquet, CSV, JSON lines)."),
    model: ModelName = "portfolio",
    param: Param = None,
    params: Params = None,
    market: Path | None = typer.Option(
        None, help="market.json of the instruments; default: a chain's own, or a modelled board."
    ),
    start: str | None = typer.Option(None, "--from", help="First time, as 2025-10-10T20:45:00Z."),
    end: str | None = typer.Option(None, "--to", help="End, not included."),
    venue: str | None = typer.Option(None, help="Take this venue's series alone."),
    symbol: str | None = typer.Option(None, help="Name of the only series of a file without symbols."),
    out: Path | None = typer.Option(None, help="Folder for decisions, results, summary and picture."),
    picture: str = typer.Option("png", help="png or svg."),
    json: AsJson = False,
) -> None:
    """Replay prices over a book and tell every decision: margin calls, liquidations, bankruptcies,
    recoveries."""
    from seawall.cli import compiling, output
    from seawall.cli.session import finish, modelled_over, run_headless, span
    from seawall.core.errors import InputError
    from seawall.feeds.prices import read_prices

    if picture not in ("png", "svg"):
        raise InputError("--picture", repr(picture), "png or svg")
    started = time.perf_counter()
    asked = ask(model, param, params)
    start_ns, end_ns = span(start, end)
    with output.status("reading prices, book and market"), compiling.beside(asked.model) as join:
        from seawall.engine.loop import Engine
        from seawall.ledger.book import Book
        from seawall.market.market import Market
        from seawall.stress.replay import Replay

        given = None if market is None else Market.load(market)
        names = None if given is None else {*given.underlyings, *given.instruments}
        history = read_prices(prices, names=names, symbol=symbol, venue=venue, start_ns=start_ns, end_ns=end_ns)
        label = "modelled instruments and vols over the file's prices"
        if given is not None:
            label = str(market)
        elif history.market is not None:
            label, given = f"instruments of {prices}", Market.from_document(history.market, place=str(prices))
        else:
            document, history = modelled_over(history)
            given = Market.from_document(document, place=str(prices))
        held = Book.load(book)
        join(held, given)
        engine = Engine(held, given, asked.model)
        replay = Replay(engine, history)
    run_headless(replay, "replaying")
    extra = {
        "label": label,
        **asked.words,
        "book": str(book),
        "series": history.series,
        "unused": list(history.unused),
    }
    finish(replay, extra, out, f"{book.name} through {prices.name}, {asked.title}", json, started, picture)
    if history.unused and not json:
        output.note(
            f"not used, another series of the same name was: {', '.join(history.unused[:6])}"
            + (" …" if len(history.unused) > 6 else "")
        )
