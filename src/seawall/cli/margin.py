"""`seawall margin`: what each account of a book must hold, once."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from seawall.cli.arguments import AsJson, BookFile, MarketFile, ModelName, Param, Params, ask

if TYPE_CHECKING:
    from seawall.ledger.book import Book
    from seawall.margin.coming import AsOf
    from seawall.margin.model import Model
    from seawall.market.market import Market

NAME = "margin"


def command(
    book: BookFile,
    market: MarketFile,
    model: ModelName = "portfolio",
    param: Param = None,
    params: Params = None,
    account: list[str] | None = typer.Option(None, help="Only this account (may be given more than once)."),
    limit: int | None = typer.Option(None, min=1, help="At most so many accounts, least health first."),
    at: str | None = typer.Option(
        None, help="As of this coming time: what has expired by then is settled at the index, prices as they are."
    ),
    announced: list[Path] | None = typer.Option(
        None, help='With --at: a change of parameters, {"from": time, "model": name, "parameters": {}} (.json).'
    ),
    out: Path | None = typer.Option(None, help="Write the whole result to this .parquet or .csv file."),
    json: AsJson = False,
) -> None:
    """Equity, initial and maintenance margin of every account."""
    from seawall.cli import output
    from seawall.core.errors import InputError, show
    from seawall.core.times import format_ns

    if announced and at is None:
        raise InputError("--announced", "no --at", "the time to evaluate at")
    if out is not None and out.suffix not in (".parquet", ".csv"):
        raise InputError(str(out), f"a name ending in {show(out.suffix)}", ".parquet or .csv")
    asked = ask(model, param, params)
    with output.status("evaluating"):
        import polars as pl

        from seawall.ledger.book import Book
        from seawall.margin.evaluate import evaluate
        from seawall.market.market import Market

        positions, snapshot = Book.load(book), Market.load(market)
        coming = None if at is None else _coming(positions, snapshot, asked.model, at, announced or [])
        result = evaluate(positions, snapshot, asked.model) if coming is None else coming.evaluate()
        frame = result.to_polars()
    chosen = frame
    if account:
        unknown = sorted(set(account) - set(frame["account"].to_list()))
        if unknown:
            raise InputError(str(book), f"no account {unknown[0]!r}", "an account of the book")
        chosen = frame.filter(pl.col("account").is_in(account))
    if out is not None:
        from seawall.feeds.tables import write_table

        write_table(frame, out)
    shown = chosen.sort("health", maintain_order=True) if limit else chosen
    shown = output.take(shown, limit if limit or json else 40)
    if json:
        totals = dict(chosen["status"].value_counts(sort=True).iter_rows())
        rows = [
            {k: v if v is None or isinstance(v, int) else str(v) for k, v in row.items()}
            for row in shown.iter_rows(named=True)
        ]
        head: dict[str, object] = asked.words
        if coming is not None:
            if coming.model is not asked.model:  # an announced one is in force by then
                head = {"model": coming.model.name}
            head |= {"as_of": format_ns(coming.market.as_of_ns)}
            head |= {"settled": coming.settled, "fixed": coming.fixed}
        output.print_json({**head, "accounts": chosen.height, "by_status": totals, "results": rows})
    else:
        names = (
            "account",
            "equity",
            "initial_margin",
            "maintenance_margin",
            "health",
            "margin_ratio",
            "status",
        )
        lines = [
            [
                row["account"],
                *(f"{row[n]:,.2f}" for n in names[1:5]),
                _ratio(row["margin_ratio"]),
                row["status"],
            ]
            for row in shown.iter_rows(named=True)
        ]
        title = asked.title
        if coming is not None:
            named = asked.title if coming.model is asked.model else f"model {coming.model.name}"
            title = f"{named}, as of {format_ns(coming.market.as_of_ns)}"
        output.print_table([name.replace("_", " ") for name in names], lines, title=title)
        if coming is not None and coming.settled:
            print(f"settled at the index by then: {', '.join(coming.settled)}")
        if shown.height < chosen.height:
            print(
                f"{shown.height} of {chosen.height:,} accounts; see --limit, --account, --out, --json"
            )


def _coming(book: Book, market: Market, model: Model, at: str, announced: list[Path]) -> AsOf:
    from seawall.core.errors import UnreadableFile
    from seawall.core.jsontext import parse_json
    from seawall.margin.coming import announcement, as_of

    changes = []
    for path in announced:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UnreadableFile(str(path), (error.strerror or str(error)).lower(), "a .json file") from None
        changes.append(announcement(parse_json(data, str(path)), str(path)))
    return as_of(book, market, model, at, changes)


def _ratio(value: Decimal | None) -> str:
    return "-" if value is None else f"{float(value):.3f}"
