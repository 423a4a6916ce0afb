"""`seawall compare`: the same book under every model, side by side."""

from __future__ import annotations

from pathlib import Path

import typer

NAME = "compare"


def command(
    book: Path = typer.Argument(help="Book: account, instrument, quantity (Parquet, CSV, JSON lines)."),
    market: Path = typer.Argument(help="market.json, or a folder of Parquet tables."),
    model: list[str] | None = typer.Option(None, "--model", "-m", help="Only these models (default: all)."),
    account: str | None = typer.Option(None, help="One account instead of the whole book."),
    json: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
) -> None:
    """What the same book must hold under each model; a model that cannot hold the book says why."""
    from seawall.cli import output
    from seawall.core.errors import InputError

    rows = []
    with output.status("evaluating"):
        import polars as pl

        from seawall.ledger.book import Book
        from seawall.margin import models
        from seawall.margin.evaluate import evaluate
        from seawall.market.market import Market

        positions, snapshot = Book.load(book), Market.load(market)
        for name in model or models.names():
            try:
                frame = evaluate(positions, snapshot, name).to_polars()
            except InputError as error:
                if model:
                    raise
                rows.append({"model": name, "unsupported": str(error)})
                continue
            if account is not None:
                frame = frame.filter(pl.col("account") == account)
                if frame.is_empty():
                    raise InputError(str(book), f"no account {account!r}", "an account of the book")
            under = frame.filter(pl.col("status").is_in(["liquidatable", "bankrupt"])).height
            sums = {key: str(frame[key].sum()) for key in ("equity", "initial_margin", "maintenance_margin")}
            rows.append({"model": name, "accounts": frame.height, **sums, "liquidatable": under})
    if json:
        output.print_json({"book": str(book), "market": str(market), "models": rows})
        return
    lines = []
    for row in rows:
        if "unsupported" in row:
            lines.append([row["model"], "-", "-", "-", "-"])
            continue
        amounts = [f"{float(row[key]):,.2f}" for key in ("equity", "initial_margin", "maintenance_margin")]
        lines.append([row["model"], *amounts, f"{row['liquidatable']:,}"])
    output.print_table(["model", "equity", "initial margin", "maintenance margin", "liquidatable"], lines)
    for row in rows:
        if "unsupported" in row:
            output.note(f"{row['model']}: {row['unsupported']}")
