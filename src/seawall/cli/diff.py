"""`seawall diff`: why margin moved between two books and markets."""

from __future__ import annotations

from pathlib import Path

import typer

from seawall.cli.arguments import AsJson, ModelName, Param, Params, ask, given_by

NAME = "diff"


def command(
    book1: Path = typer.Argument(help="The earlier book."),
    market1: Path = typer.Argument(help="The earlier market."),
    book2: Path = typer.Argument(help="The later book."),
    market2: Path = typer.Argument(help="The later market."),
    model: ModelName = "portfolio",
    param: Param = None,
    params: Params = None,
    model2: str | None = typer.Option(None, help="The later model, if it is another."),
    param2: list[str] | None = typer.Option(None, help="As --param, for the later model alone."),
    account: str | None = typer.Option(None, help="One account instead of the whole book."),
    json: AsJson = False,
) -> None:
    """What spot, vol, time, terms, parameters and trades each moved; the parts sum to the whole exactly."""
    from seawall.cli import output

    earlier = later = ask(model, param, params)
    if param2 or model2 not in (None, model):
        # the same model keeps what was changed in the earlier one, another has nothing of it
        later = given_by(model2 or model, earlier.changes if model2 in (None, model) else {}, param2)
    with output.status("evaluating"):
        from seawall.ledger.book import Book
        from seawall.margin.diff import diff
        from seawall.market.market import Market

        before = (Book.load(book1), Market.load(market1), earlier.model)
        after = (Book.load(book2), Market.load(market2), later.model)
        found = diff(before, after, account)
    fields = ("equity", "initial_margin", "maintenance_margin")
    if json:
        ends = [{name: output.exact(each) for name, each in zip(fields, end, strict=True)} for end in found[1:3]]
        parts = [
            {"part": part.name} | {name: output.exact(each) for name, each in zip(fields, part[1:], strict=True)}
            for part in found.parts
        ]
        output.print_json({"account": account, "before": ends[0], "after": ends[1], "parts": parts})
        return
    lines = [["before", *map(output.money, found.before)]]
    lines += [[part.name, *(f"{each / 1e6:+,.2f}" for each in part[1:])] for part in found.parts]
    lines.append(["after", *map(output.money, found.after)])
    output.print_table(["", *(name.replace("_", " ") for name in fields)], lines, title=found.account)
