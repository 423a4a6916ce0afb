"""`seawall explain`: why one account's margin is what it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from seawall.cli.arguments import AccountName, AsJson, BookFile, MarketFile, ModelName, Param, Params, ask

if TYPE_CHECKING:
    from seawall.margin.explain import Explanation

NAME = "explain"


def command(
    book: BookFile,
    market: MarketFile,
    account: AccountName,
    model: ModelName = "portfolio",
    param: Param = None,
    params: Params = None,
    chart: Path | None = typer.Option(None, help="Draw a waterfall and a spot × vol heat map to this .png or .svg."),
    scenarios: int = typer.Option(6, min=1, help="How many scenarios to show, the worst first."),
    json: AsJson = False,
) -> None:
    """Every leg's part of equity and margin, the worst scenarios, and what each position saves."""
    from seawall.cli import output
    from seawall.core.errors import InputError, show

    if chart is not None and chart.suffix not in (".png", ".svg"):
        raise InputError(str(chart), f"a name ending in {show(chart.suffix)}", ".png or .svg")
    asked = ask(model, param, params)
    with output.status("explaining"):
        from seawall.ledger.book import Book
        from seawall.margin.explain import explain
        from seawall.market.market import Market

        snapshot = Market.load(market)
        found = explain(Book.load(book), snapshot, asked.model, account)
        if chart is not None:
            from seawall.stress.explained import draw

            draw(found, snapshot, chart)
    if json:
        output.print_json({**found.to_dict(scenarios), **asked.words, "chart": None if chart is None else str(chart)})
    else:
        _print(found, asked.title, scenarios)
        if chart is not None:
            print(f"picture: {chart}")


def _print(found: Explanation, model: str, scenarios: int) -> None:
    from seawall.cli import output

    money = output.money
    total = found.result
    rows = [
        [
            found.legs[k],
            found.quantity(k),
            money(int(found.equity_micro[k])),
            money(int(found.initial_micro[k].sum())),
            money(int(found.maintenance_micro[k].sum())),
        ]
        for k in range(len(found.legs))
    ]
    rows.append(["cash", "", money(found.cash_micro), "", ""])
    amounts = (total.equity_micro, total.initial_margin_micro, total.maintenance_margin_micro)
    rows.append(["total", "", *(money(int(amount[0])) for amount in amounts)])
    title = f"{found.account}, {model}: {total.status[0].replace('_', ' ')}"
    output.print_table(["leg", "quantity", "equity", "initial margin", "maintenance margin"], rows, title=title)
    rows = [[f"{name}, {of}", money(initial), money(held)] for of, name, initial, held in found.by_component()]
    if rows:
        decided = f"decided by: {found.decided_by}" if found.decided_by else None
        output.print_table(["component", "initial margin", "maintenance margin"], rows, title=decided)
    worst = [[f"{one.name}, {one.underlying}" if one.underlying else one.name, money(one.loss_micro)]
             for one in found.scenarios(scenarios)]  # fmt: skip
    if worst:
        output.print_table(["scenario", "loss"], worst)
    rows = [
        [one.name, money(one.initial_saving_micro), money(one.maintenance_saving_micro), "yes" if one.hedges else ""]
        for one in found.positions
    ]
    if rows:
        output.print_table(["position", "saves initial", "saves maintenance", "hedges"], rows)
