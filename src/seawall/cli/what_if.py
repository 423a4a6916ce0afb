"""`seawall what-if`: one account after trades, a deposit and moves of the market that have not happened."""

from __future__ import annotations

import typer

from seawall.cli.arguments import AccountName, AsJson, BookFile, MarketFile, ModelName, Param, Params, ask

NAME = "what-if"


def command(
    book: BookFile,
    market: MarketFile,
    account: AccountName,
    model: ModelName = "portfolio",
    param: Param = None,
    params: Params = None,
    trade: list[str] | None = typer.Option(
        None, "--trade", "-t", help="INSTRUMENT=QUANTITY, signed, or INSTRUMENT=QUANTITY@PRICE (default: the mark)."
    ),
    deposit: str = typer.Option("0", help="Cash put in; negative to take out."),
    move: list[str] | None = typer.Option(None, "--move", help="UNDERLYING=-10%: its index price moves."),
    vol: str = typer.Option("0%", "--vol", help="+20%: every option's volatility is that much higher."),
    json: AsJson = False,
) -> None:
    """Equity and margin before and after; the trades first, then the deposit, then the moves."""
    from seawall.cli import output

    asked = ask(model, param, params)
    with output.status("evaluating"):
        from seawall.ledger.book import Book
        from seawall.margin.evaluate import STATUSES, status_codes
        from seawall.margin.headroom import scenario, withdrawable
        from seawall.margin.single import Single
        from seawall.market.market import Market

        trades = [_trade(words) for words in trade or []]
        moves = dict(percent_of(words, "--move") for words in move or [])
        shift = _percent(vol, "--vol")
        single = Single.of(Book.load(book), Market.load(market), asked.model, account)
        before = single.evaluate()
        after = scenario(single, trades, deposit, moves, shift)
        most = withdrawable(single)
    import numpy as np

    both = np.array([before[:3], after[:3]], np.int64)
    words = [STATUSES[code] for code in status_codes(both[:, 0], both[:, 1], both[:, 2])]
    rows = [
        (name, getattr(before, field), getattr(after, field))
        for name, field in (
            ("equity", "equity"),
            ("initial_margin", "initial"),
            ("maintenance_margin", "maintenance"),
            ("health", "health"),
            ("free_collateral", "free"),
        )
    ]
    if json:
        states = [
            {name: output.exact(row[k]) for name, *row in rows} | {"status": words[k]} for k in range(2)
        ]
        answer = {"account": account, **asked.words, "before": states[0], "after": states[1]}
        output.print_json(answer | {"withdrawable": output.exact(most)})
        return
    lines = [
        [name.replace("_", " "), output.money(old), output.money(new), f"{(new - old) / 1e6:+,.2f}"]
        for name, old, new in rows
    ]
    lines.append(["status", *words, ""])
    output.print_table(["", "before", "after", "change"], lines, title=f"{account}, {asked.title}")
    print(f"can be withdrawn before: {output.money(most)}")


def _trade(words: str) -> tuple[str, ...]:
    from seawall.core.errors import InputError, show

    name, sign, rest = words.rpartition("=")
    if not sign or not name or not rest:
        raise InputError("--trade", show(words), "INSTRUMENT=QUANTITY or INSTRUMENT=QUANTITY@PRICE")
    quantity, _, price = rest.partition("@")
    return (name, quantity, price) if price else (name, quantity)


def percent_of(words: str, option: str) -> tuple[str, float]:
    """BTC=-10% as ("BTC", -0.1)."""
    from seawall.core.errors import InputError, show

    name, sign, rest = words.rpartition("=")
    if not sign or not name:
        raise InputError(option, show(words), "UNDERLYING=PERCENT, like BTC=-10%")
    return name, _percent(rest, f"{option} {name}")


def _percent(words: str, place: str) -> float:
    """-10% as -0.1."""
    from seawall.core.errors import InputError, show
    from seawall.core.units import parse_decimal

    if not words.endswith("%"):
        raise InputError(place, show(words), "a relative move in per cent, like -10%")
    share = parse_decimal(words[:-1].strip().removeprefix("+"), place) / 100
    if not -1 < share < 1000:
        raise InputError(place, show(words), "a move above -100% and below 100000%")
    return float(share)
