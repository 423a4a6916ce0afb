"""`seawall liquidation-price`: the prices at which one account is liquidated."""

from __future__ import annotations

import typer

from seawall.cli.arguments import AccountName, AsJson, BookFile, MarketFile, ModelName, Param, Params, ask

NAME = "liquidation-price"


def command(
    book: BookFile,
    market: MarketFile,
    account: AccountName,
    model: ModelName = "portfolio",
    param: Param = None,
    params: Params = None,
    underlying: list[str] | None = typer.Option(
        None, "--underlying", "-u", help="Only this underlying (default: all that the account holds)."
    ),
    beta: float = typer.Option(0.0, help="How far the other underlyings move with it; 0: they are held."),
    low: str | None = typer.Option(None, help="Lowest price looked at (default: a tenth of the present)."),
    high: str | None = typer.Option(None, help="Highest price looked at (default: ten times the present)."),
    tick: str | None = typer.Option(None, help="Step of the prices (default: at most a millionth of the price)."),
    json: AsJson = False,
) -> None:
    """Every price of an underlying at which the account's health crosses zero, exact to the tick."""
    from seawall.cli import output

    asked = ask(model, param, params)
    with output.status("searching"):
        from seawall.ledger.book import Book
        from seawall.margin.liquidation import prices_of
        from seawall.margin.single import Single
        from seawall.market.market import Market

        snapshot = Market.load(market)
        single = Single.of(Book.load(book), snapshot, asked.model, account)
        held = dict.fromkeys(single.underlyings[n] for n in single.legs.underlying[single.position])
        answers = {}
        for name in underlying or held:
            betas = {other: beta for other in single.underlyings if other != name}
            answers[name] = prices_of(single, name, betas, low, high, tick)
        figures = single.evaluate()
    if json:
        rows = [
            {
                "underlying": name,
                "price": str(snapshot.index[name]),
                "low": f"{found.low:f}",
                "high": f"{found.high:f}",
                "tick": f"{found.tick:f}",
                "complete": found.complete,
                "crossings": [
                    {
                        "below": f"{each.below:f}",
                        "above": f"{each.above:f}",
                        "health_below": output.exact(each.health_below),
                        "health_above": output.exact(each.health_above),
                        "liquidated": "above" if each.falling else "below",
                    }
                    for each in found.found
                ],
            }
            for name, found in answers.items()
        ]
        health = output.exact(figures.health)
        output.print_json({"account": account, **asked.words, "health": health, "underlyings": rows})
        return
    lines = []
    for name, found in answers.items():
        index = float(snapshot.index[name])
        for each in found.found:
            price = each.above if each.falling else each.below
            side = "at or above" if each.falling else "at or below"
            lines.append([name, f"{index:,g}", side, f"{price:,f}", f"{float(price) / index - 1:+.2%}"])
        if not found.found:
            lines.append([name, f"{index:,g}", "nowhere", f"{found.low:,f} to {found.high:,f}", "-"])
    title = f"{account}, {asked.title}, health {output.money(figures.health)}"
    output.print_table(["underlying", "price", "liquidated", "at", "away"], lines, title=title)
    unproved = [name for name, found in answers.items() if not found.complete]
    if unproved:
        print(f"searched, not proved complete: {', '.join(unproved)}")
