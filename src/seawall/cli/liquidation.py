"""`seawall liquidation-price`: the prices, the vols and the time at which one account is liquidated."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from seawall.cli.arguments import AccountName, AsJson, BookFile, MarketFile, ModelName, Param, Params, ask

if TYPE_CHECKING:
    from seawall.engine.corridor import Corridors
    from seawall.margin.liquidation import Crossings
    from seawall.margin.single import Single

NAME = "liquidation-price"


class _Answers(NamedTuple):
    """What was found: crossings by underlying, of all vols, of time (None where neither can matter)."""

    prices: dict[str, Crossings]
    vols: Crossings | None
    time: Crossings | None
    corridors: Corridors | None


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
    funding: list[str] | None = typer.Option(
        None, "--funding", help="UNDERLYING=0.03%: what its long perpetuals pay of their notional per day."
    ),
    corridor: bool = typer.Option(
        False, "--corridor", help="Also the bands in which nothing can happen, whatever all prices do inside theirs."
    ),
    json: AsJson = False,
) -> None:
    """Every price of an underlying at which the account's health crosses zero, exact to the tick; the move of all vols
    and the time at which it does; and, if asked for, where it certainly does not."""
    from seawall.cli import output
    from seawall.cli.what_if import percent_of

    asked = ask(model, param, params)
    paid = dict(percent_of(words, "--funding") for words in funding or [])
    with output.status("searching"):
        from seawall.ledger.book import Book
        from seawall.margin.liquidation import liquidation_time, liquidation_vols, prices_of
        from seawall.margin.single import Single
        from seawall.market.market import Market

        snapshot, held = Market.load(market), Book.load(book)
        single = Single.of(held, snapshot, asked.model, account)
        names = dict.fromkeys(single.underlyings[n] for n in single.legs.underlying[single.position])
        prices = {}
        for name in underlying or names:
            betas = {other: beta for other in single.underlyings if other != name}
            prices[name] = prices_of(single, name, betas, low, high, tick)
        options = bool((single.legs.right[single.position] != 0).any())
        vols = liquidation_vols(single) if options else None
        time = liquidation_time(single, funding=paid) if options or paid else None
    found = None
    if corridor:
        from seawall.cli.corridor import find

        found = find(held, snapshot, asked.model, account)
    answers = _Answers(prices, vols, time, found)
    if json:
        output.print_json({"account": account, **asked.words, **_to_json(single, answers)})
    else:
        _print(single, answers, f"{account}, {asked.title}")


def _to_json(single: Single, answers: _Answers) -> dict[str, Any]:
    from seawall.cli import output
    from seawall.cli.corridor import to_json
    from seawall.core.times import format_ns

    def crossings(found: Crossings, show: Any, tick: str) -> dict[str, Any]:
        rows = [
            {
                "below": show(each.below),
                "above": show(each.above),
                "health_below": output.exact(each.health_below),
                "health_above": output.exact(each.health_above),
                "liquidated": "above" if each.falling else "below",
            }
            for each in found.found
        ]
        ends = {"low": show(found.low), "high": show(found.high)}
        return {**ends, "tick": tick, "complete": found.complete, "crossings": rows}

    def plain(number: Decimal) -> str:
        return f"{number:f}"

    def moment(ns: Decimal) -> str:
        return format_ns(int(ns))

    underlyings = [
        {"underlying": name, "price": str(single.market.index[name]), **crossings(found, plain, plain(found.tick))}
        for name, found in answers.prices.items()
    ]
    vols, time = answers.vols, answers.time
    out: dict[str, Any] = {"health": output.exact(single.evaluate().health), "underlyings": underlyings}
    out["vols"] = None if vols is None else crossings(vols, plain, plain(vols.tick))
    out["time"] = None if time is None else crossings(time, moment, "1s")
    if answers.corridors is not None:
        out["corridor"] = to_json(answers.corridors)
    return out


def _print(single: Single, answers: _Answers, title: str) -> None:
    from seawall.cli import output
    from seawall.cli.corridor import print_table

    lines = []
    for name, found in answers.prices.items():
        index = float(single.market.index[name])
        for each in found.found:
            price = each.above if each.falling else each.below
            lines.append([name, f"{index:,g}", _side(each.falling), f"{price:,f}", f"{float(price) / index - 1:+.2%}"])
        if not found.found:
            lines.append([name, f"{index:,g}", _all(found, "where"), f"{found.low:,f} to {found.high:,f}", "-"])
    lines += _vol_lines(answers.vols) + _time_lines(answers.time)
    health = output.money(single.evaluate().health)
    output.print_table(["", "at present", "liquidated", "at", "away"], lines, title=f"{title}, health {health}")
    unproved = [name for name, found in answers.prices.items() if not found.complete]
    unproved += ["vols"] * (answers.vols is not None) + ["time"] * (answers.time is not None)
    if unproved:
        print(f"searched, not proved complete: {', '.join(unproved)}")
    if answers.corridors is not None:
        print()
        print_table(answers.corridors)


def _vol_lines(found: Crossings | None) -> list[list[str]]:
    """All vols moving together, relative."""
    if found is None:
        return []
    lines = []
    for each in found.found:
        move = f"{each.above if each.falling else each.below:+.2%}"
        lines.append(["all vols", "", _side(each.falling), move, move])
    return lines or [["all vols", "", _all(found, "where"), f"{found.low:+.0%} to {found.high:+.0%}", "-"]]


def _time_lines(found: Crossings | None) -> list[list[str]]:
    """Time passing while prices, vols and funding stay."""
    from seawall.core.times import DAY_NS, format_ns

    if found is None:
        return []
    lines = []
    for each in found.found:
        at = each.above if each.falling else each.below
        side = "from" if each.falling else "up to"
        lines.append(["time", format_ns(int(found.low)), side, format_ns(int(at)), f"{(at - found.low) / DAY_NS:,.2f} d"])
    return lines or [["time", format_ns(int(found.low)), _all(found, "time"), f"until {format_ns(int(found.high))}", "-"]]


def _all(found: Crossings, of: str) -> str:
    """Where nothing is crossed."""
    words = {"where": ("nowhere", "everywhere"), "time": ("never", "all the time")}
    return words[of][found.health < 0]


def _side(falling: bool) -> str:
    return "at or above" if falling else "at or below"

