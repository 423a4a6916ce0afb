"""`seawall hedge`: the cheapest trades, or the least deposit, that bring one account back to its initial margin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from seawall.cli.arguments import AccountName, AsJson, Asked, BookFile, MarketFile, ModelName, Param, Params, ask

if TYPE_CHECKING:
    from seawall.margin.hedge import Hedge, Trade
    from seawall.margin.single import Figures

NAME = "hedge"


def command(
    book: BookFile,
    market: MarketFile,
    account: AccountName,
    model: ModelName = "portfolio",
    param: Param = None,
    params: Params = None,
    candidate: list[str] | None = typer.Option(
        None, "--candidate", "-c", help="INSTRUMENT, or INSTRUMENT=MOST to trade (default: of its underlyings)."
    ),
    fee: str = typer.Option("0.05%", help="Fee of linear contracts, of the notional."),
    spread: str = typer.Option("0.01%", help="Half the spread of linear contracts, of the notional."),
    option_fee: str = typer.Option("0.03%", help="Fee of options, of the notional of their underlying."),
    option_spread: str = typer.Option("2%", help="Half the spread of options, of their mark."),
    json: AsJson = False,
) -> None:
    """The trades of least cost after which equity is at initial margin or above; exit code 1 where there are none."""
    from seawall.cli import output

    asked = ask(model, param, params)
    with output.status("searching"):
        from seawall.ledger.book import Book
        from seawall.margin.hedge import cheapest_hedge
        from seawall.margin.trials import TradingCosts
        from seawall.market.market import Market

        costs = TradingCosts(
            fee_ppm=_ppm(fee, "--fee"),
            spread_ppm=_ppm(spread, "--spread"),
            option_fee_ppm=_ppm(option_fee, "--option-fee"),
            option_spread_ppm=_ppm(option_spread, "--option-spread"),
        )
        among = None if candidate is None else _candidates(candidate)
        found = cheapest_hedge(Book.load(book), Market.load(market), asked.model, account, among, costs)
    if json:
        output.print_json(_as_json(found, asked))
    else:
        _print(found, asked)
    if not found.exists:
        raise typer.Exit(1)


def _print(found: Hedge, asked: Asked) -> None:
    from seawall.cli import output

    title = f"{found.account}, {asked.title}"
    if found.after is None:
        missing = output.money(-found.before.free)
        print(f"{title}: {missing} below initial margin, and no trades were found that restore it")
        print(f"tried: {', '.join(found.candidates) or 'nothing: no instrument of its underlyings can be traded'}")
        print(f"a deposit of {output.exact(found.deposit_micro)} does")
        return
    if not found.trades:
        print(f"{title}: free collateral {output.money(found.before.free)}, nothing to do")
        return
    rows = [
        ["buy" if trade.lots > 0 else "sell", trade.symbol, f"{abs(trade.quantity):f}", f"{trade.cost_micro / 1e6:,.4f}"]
        for trade in found.trades
    ]
    rows.append(["total", "", "", f"{found.cost_micro / 1e6:,.4f}"])
    output.print_table(["trade", "instrument", "quantity", "cost"], rows, title=title)
    figures = ("equity", "initial", "maintenance", "free")
    names = ("equity", "initial margin", "maintenance margin", "free collateral")
    rows = [
        [name, output.money(old), output.money(new), f"{(new - old) / 1e6:+,.2f}"]
        for name, old, new in zip(
            names,
            (getattr(found.before, field) for field in figures),
            (getattr(found.after, field) for field in figures),
            strict=True,
        )
    ]
    output.print_table(["", "before", "after", "change"], rows)
    alone = found.single
    if alone is not None and len(found.trades) > 1:
        side = "buy" if alone.lots > 0 else "sell"
        print(f"in one instrument: {side} {abs(alone.quantity):f} {alone.symbol}, cost {alone.cost_micro / 1e6:,.4f}")
    print(f"without a trade: a deposit of {output.exact(found.deposit_micro)}")


def _as_json(found: Hedge, asked: Asked) -> dict[str, object]:
    from seawall.cli import output

    def figures(of: Figures) -> dict[str, str]:
        return {
            "equity": output.exact(of.equity),
            "initial_margin": output.exact(of.initial),
            "maintenance_margin": output.exact(of.maintenance),
            "health": output.exact(of.health),
            "free_collateral": output.exact(of.free),
        }

    def trade(of: Trade) -> dict[str, object]:
        quantity, cost = f"{of.quantity:f}", output.exact(of.cost_micro)
        return {"instrument": of.symbol, "quantity": quantity, "lots": of.lots, "cost": cost}

    return {
        "account": found.account,
        **asked.words,
        "exists": found.exists,
        "trades": [trade(each) for each in found.trades],
        "cost": output.exact(found.cost_micro) if found.exists else None,
        "single": None if found.single is None else trade(found.single),
        "deposit": output.exact(found.deposit_micro),
        "before": figures(found.before),
        "after": None if found.after is None else figures(found.after),
        "candidates": list(found.candidates),
    }


def _candidates(words: list[str]) -> dict[str, str | None]:
    from seawall.core.errors import DuplicateRow, InputError, show

    out: dict[str, str | None] = {}
    for each in words:
        name, sign, most = each.rpartition("=") if "=" in each else (each, "", "")
        if not name or (sign and not most):
            raise InputError("--candidate", show(each), "INSTRUMENT or INSTRUMENT=MOST")
        if name in out:
            raise DuplicateRow("--candidate", f"{show(name)} twice", "each instrument once")
        out[name] = most if sign else None
    return out


def _ppm(words: str, place: str) -> int:
    """0.05% as 500."""
    from seawall.core.errors import BadNumber, show
    from seawall.core.units import parse_decimal

    share = parse_decimal(words.removesuffix("%").strip(), place) * 10_000
    if not words.endswith("%") or share != int(share) or not 0 <= share <= 10**6:
        raise BadNumber(place, show(words), "per cent with at most four decimals, like 0.05%")
    return int(share)
