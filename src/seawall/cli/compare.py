"""`seawall compare`: the same book under every model, side by side."""

from __future__ import annotations

import typer

from seawall.cli.arguments import AsJson, BookFile, MarketFile, Param, Params, ask

NAME = "compare"


def command(
    book: BookFile,
    market: MarketFile,
    model: list[str] | None = typer.Option(None, "--model", "-m", help="Only these models (default: all)."),
    param: Param = None,
    params: Params = None,
    account: str | None = typer.Option(None, help="One account instead of the whole book."),
    json: AsJson = False,
) -> None:
    """What the same book must hold under each model; a model that cannot hold the book says why."""
    from seawall.cli import output
    from seawall.core.errors import InputError
    from seawall.margin import models

    if (param or params) and not model:
        raise InputError("--param, --params", "no --model beside them", "--model: models have different parameters")
    rows = []
    asked = [ask(name, param, params) for name in model or models.names()]
    with output.status("evaluating"):
        import polars as pl

        from seawall.ledger.book import Book
        from seawall.margin.evaluate import evaluate
        from seawall.market.market import Market

        positions, snapshot = Book.load(book), Market.load(market)
        for one in asked:
            name = one.model.name
            try:
                frame = evaluate(positions, snapshot, one.model).to_polars()
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
            rows.append({**one.words, "accounts": frame.height, **sums, "liquidatable": under})
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
