"""`seawall margin`: what each account of a book must hold, once."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import typer

from seawall.cli.arguments import AsJson, BookFile, MarketFile, ModelName, Param, Params, ask

NAME = "margin"


def command(
    book: BookFile,
    market: MarketFile,
    model: ModelName = "portfolio",
    param: Param = None,
    params: Params = None,
    account: list[str] | None = typer.Option(None, help="Only this account (may be given more than once)."),
    limit: int | None = typer.Option(None, min=1, help="At most so many accounts, least health first."),
    out: Path | None = typer.Option(None, help="Write the whole result to this .parquet or .csv file."),
    json: AsJson = False,
) -> None:
    """Equity, initial and maintenance margin of every account."""
    from seawall.cli import output
    from seawall.core.errors import InputError, show

    if out is not None and out.suffix not in (".parquet", ".csv"):
        raise InputError(str(out), f"a name ending in {show(out.suffix)}", ".parquet or .csv")
    asked = ask(model, param, params)
    with output.status("evaluating"):
        import polars as pl

        from seawall.ledger.book import Book
        from seawall.margin.evaluate import evaluate
        from seawall.market.market import Market

        result = evaluate(Book.load(book), Market.load(market), asked.model)
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
        output.print_json({**asked.words, "accounts": chosen.height, "by_status": totals, "results": rows})
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
        output.print_table([name.replace("_", " ") for name in names], lines, title=asked.title)
        if shown.height < chosen.height:
            print(
                f"{shown.height} of {chosen.height:,} accounts; see --limit, --account, --out, --json"
            )


def _ratio(value: Decimal | None) -> str:
    return "-" if value is None else f"{float(value):.3f}"
