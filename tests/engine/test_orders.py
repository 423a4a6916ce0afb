"""Orders: what covers them, what only reduces risk, what they cost, and that asking changes nothing."""

from __future__ import annotations

import itertools
import random
from decimal import Decimal

import pytest

import samples
from engine.books import MODELS, Case, engine_of, random_case
from engine.follow import Pair
from engine.paths import Path
from seawall.core.errors import (
    DuplicateRow,
    ExpiredInstrument,
    InputError,
    LimitExceeded,
    NotWholeLots,
    UnknownInstrument,
)
from seawall.engine.loop import Engine

CERTIFIED = ("fixed", "cross", "portfolio")


def underwater(model_name: str) -> Engine:
    """Long 1 BTC with next to no equity."""
    engine = engine_of(model_name, ("a", "BTC-PERP", "1"), ("a", "USD", "1000"), ("b", "USD", "5"))
    assert engine.figures("a").free_collateral_micro < 0
    return engine


# -- reducing orders are always admitted ---------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("model_name", MODELS)
def test_an_order_that_lowers_maintenance_and_grows_nothing_is_admitted_whatever_free_collateral_is(model_name, seed):
    """Every account of a random book, after a random path that leaves many under water, tries to cut each position."""
    case = random_case(900 + seed, model_name)
    pair = Pair(case)
    pair.run(Path(case), 12)
    rng = random.Random(seed)
    twin, engine, tried = pair.twin, pair.engine, 0
    legs = twin.market.legs
    live = [symbol for symbol, one in twin.market.instruments.items() if not 0 < one.expiry_ns <= twin.at_ns]
    for place, name in enumerate(twin.names):
        if place in twin.with_orders():
            continue  # its open orders count too: the paths of test_equivalence.py have those
        for symbol in live:
            instrument = twin.market.instruments[symbol]
            lots = twin.held[place].get(legs.leg_of[symbol][0], 0)
            if not lots or instrument.inverse or instrument.kind == "basket":
                continue
            cut = rng.choice((lots, lots // 2 or lots, 1 if lots > 0 else -1))
            price = f"{max(twin.market.mark(symbol), 0.0001) * rng.uniform(0.5, 1.5):.6f}"
            changes, paid_nano = twin.trade(symbol, str(-cut * instrument.lot), price)
            if twin.filled(place, changes, paid_nano)[2] >= int(twin.figures[place][2]):
                continue  # a hedge: it may be cut only if initial margin covers the rest
            tried += 1
            verdict = engine.check(name, symbol, str(-cut * instrument.lot), price)
            assert verdict.admitted, f"{name} cuts {cut} lots of {symbol} at {price}: {verdict}"
            assert engine.order(name, f"cut {symbol}", symbol, str(-cut * instrument.lot), price).admitted
            engine.cancel(name, f"cut {symbol}")
    assert tried > 0
    assert engine.audit() == []


@pytest.mark.parametrize("model_name", CERTIFIED)
def test_a_bankrupt_account_may_close_everything_at_any_price(model_name):
    engine = underwater(model_name)
    engine.tick("BTC", "60000")
    assert engine.status("a") == "bankrupt"
    for price in ("1", "60000", "1000000"):
        assert engine.check("a", "BTC-PERP", "-1", price).reason == "it only reduces risk"


@pytest.mark.parametrize("model_name", CERTIFIED)
def test_an_order_that_would_leave_a_larger_position_on_either_side_is_not_a_reduction(model_name):
    engine = underwater(model_name)
    assert engine.check("a", "BTC-PERP", "-1", "112000").admitted
    assert engine.check("a", "BTC-PERP", "-1.5", "112000").admitted
    assert not engine.check("a", "BTC-PERP", "-2.001", "112000").admitted
    assert not engine.check("a", "BTC-PERP", "0.001", "112000").admitted


@pytest.mark.parametrize("model_name", CERTIFIED)
def test_reducing_orders_may_not_leave_a_larger_position_together(model_name):
    engine = underwater(model_name)
    assert engine.order("a", "first", "BTC-PERP", "-1.2", "112000").admitted
    assert not engine.order("a", "second", "BTC-PERP", "-1.2", "112000").admitted
    assert engine.order("a", "third", "BTC-PERP", "-0.8", "112000").admitted
    engine.cancel("a", "first")
    assert engine.order("a", "fourth", "BTC-PERP", "-1.2", "112000").admitted


def test_selling_a_hedge_is_refused_although_the_position_gets_smaller():
    """Classified by effect: under `portfolio` the long future hedges the short calls."""
    rows = [("a", "BTC-DEC", "0.4"), ("a", "BTC-DEC-120000-C", "-1"), ("a", "USD", "9000")]
    engine = engine_of("portfolio", *rows)
    assert engine.figures("a").free_collateral_micro < 0
    assert engine.what_if("a", {"BTC-DEC": "-0.4"}).maintenance_micro > engine.figures("a").maintenance_micro
    assert not engine.check("a", "BTC-DEC", "-0.4", "113800").admitted


# -- what an open order costs --------------------------------------------------------------------------


@pytest.mark.parametrize("model_name", [*CERTIFIED, "expected-shortfall", "derive-standard", "derive-portfolio", "dydx"])
def test_an_open_order_raises_initial_margin_and_neither_equity_nor_maintenance(model_name):
    case = random_case(5, model_name)
    engine = Engine(case.book, case.market, case.model)
    perp = next(symbol for symbol in case.market.instruments if symbol.endswith("PERP"))
    lot = case.market.instruments[perp].lot
    engine.deposit(engine.names[0], "100000000")
    before = engine.figures(engine.names[0])
    for side in (1, -1):
        verdict = engine.order(engine.names[0], f"o{side}", perp, str(side * 10_000 * lot), f"{case.market.mark(perp):.4f}")
        assert verdict.admitted
        after = engine.figures(engine.names[0])
        assert verdict.after == after
        assert (after.equity_micro, after.maintenance_micro) == (before.equity_micro, before.maintenance_micro)
        assert after.initial_micro > before.initial_micro
    for side in (1, -1):
        engine.cancel(engine.names[0], f"o{side}")
    assert engine.figures(engine.names[0]) == before


def shortfalls(model_name: str, seed: int, away: tuple[float, float]) -> tuple[list[int], int]:
    """Three orders of a random account, their limits a share `away` on the losing side of the mark: by how much
    (micro) each subset of fills lowers free collateral below what the engine says, and all orders' gain at the mark."""
    case = random_case(300 + seed, model_name)
    pair = Pair(case)
    rng = random.Random(seed)
    name = pair.engine.names[0]
    pair.engine.deposit(name, "1000000000")
    pair.twin.cash_nano[0] += 10**18
    trades, gain = [], 0.0
    symbols = [
        symbol
        for symbol, one in case.market.instruments.items()
        if not one.inverse and one.kind != "basket" and case.market.mark(symbol) > 0.01
    ]
    for number in range(3):
        symbol = rng.choice(symbols)
        lots = rng.choice((1, -1)) * rng.randint(1, 3_000)
        size = lots * case.market.instruments[symbol].lot
        worse = rng.uniform(*away) * (1 if lots > 0 else -1)
        price = f"{case.market.mark(symbol) * (1 + worse):.6f}"
        assert pair.engine.order(name, f"o{number}", symbol, str(size), price).admitted
        trades.append(pair.twin.trade(symbol, str(size), price))
        gain += max(0.0, float(size) * (case.market.mark(symbol) - float(price)))
    free = pair.engine.figures(name).free_collateral_micro
    short = []
    for count in range(4):
        for chosen in itertools.combinations(trades, count):
            changes = [change for trade, _ in chosen for change in trade]
            equity, initial, *_ = pair.twin.filled(0, changes, sum(paid for _, paid in chosen))
            short.append(free - (equity - initial))
    return short, int(gain * 1e6)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("model_name", MODELS)
def test_initial_margin_with_orders_covers_every_subset_of_their_fills(model_name, seed):
    short, gain = shortfalls(model_name, seed, (0.0001, 0.05))
    assert gain == 0
    assert max(short) <= 20


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("model_name", MODELS)
def test_a_limit_better_than_the_mark_earns_its_gain_and_nothing_where_there_is_none(model_name, seed):
    """`portfolio` scales the gain with the scan, by 1.25: it is gone before the mark reaches the limit."""
    short, gain = shortfalls(model_name, seed, (-0.05, -0.0001))
    assert gain > 0
    assert max(short) <= 20 + (gain // 4 if model_name == "portfolio" else 0)


@pytest.mark.parametrize("model_name", CERTIFIED)
def test_an_order_away_from_the_mark_costs_its_loss_as_well(model_name):
    engine = engine_of(model_name, ("a", "USD", "1000000"))
    at_mark = engine.check("a", "BTC-PERP", "1", "112950").after.initial_micro
    above = engine.check("a", "BTC-PERP", "1", "122950").after.initial_micro
    assert above - at_mark == 10_000 * 10**6


@pytest.mark.parametrize("model_name", CERTIFIED)
def test_orders_that_close_a_position_are_free_up_to_its_size(model_name):
    engine = engine_of(model_name, ("a", "BTC-PERP", "1"), ("a", "USD", "1000000"))
    before = engine.figures("a").initial_micro
    close = engine.check("a", "BTC-PERP", "-1", "112950").after.initial_micro
    turn = engine.check("a", "BTC-PERP", "-3", "112950").after.initial_micro
    assert close <= before * 1.03  # `portfolio` charges the lots in flight their basis
    assert turn > before * 1.5


@pytest.mark.parametrize("model_name", CERTIFIED)
def test_orders_never_liquidate(model_name):
    """Orders up to the last cent of free collateral: a margin call may follow, a liquidation does not."""
    engine = engine_of(model_name, ("a", "BTC-PERP", "0.5"), ("a", "USD", "300000"))
    number = 0
    while engine.order("a", f"o{number}", "BTC-PERP", "0.5", "112000").admitted:
        number += 1
    assert number > 1
    engine.tick("BTC", "110000")
    assert engine.status("a") == "margin_call"
    assert engine.figures("a").health_micro > 0


# -- admission -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model_name", CERTIFIED)
def test_an_order_is_admitted_exactly_while_free_collateral_covers_it(model_name):
    engine = engine_of(model_name, ("a", "USD", "1000000"), ("b", "USD", "1"))
    need = engine.check("a", "BTC-PERP", "1", "113000").after.initial_micro
    spare = Decimal(engine.figures("a").equity_micro - need).scaleb(-6)
    assert engine.withdraw("a", str(spare)).admitted
    assert engine.check("a", "BTC-PERP", "1", "113000").admitted
    assert engine.withdraw("a", "0.000001").admitted
    refused = engine.order("a", "o", "BTC-PERP", "1", "113000")
    assert not refused.admitted
    assert refused.after.free_collateral_micro == -1
    assert engine.figures("a").initial_micro == 0


@pytest.mark.parametrize("model_name", MODELS)
def test_checking_changes_nothing_and_answers_what_ordering_answers(model_name):
    case = random_case(77, model_name)
    pair = Pair(case)
    path = Path(case)
    pair.run(path, 10)
    for _ in range(40):
        path.waiting.clear()
        path._order(pair.twin, pair.twin.at_ns)
        if not path.waiting:
            continue
        order = path.waiting.popleft()
        before = pair.engine.state_hash()
        counts = pair.engine.counts
        verdict = pair.engine.check(order.account, order.instrument, order.quantity, order.price)
        assert pair.engine.state_hash() == before
        assert pair.engine.counts == counts
        pair.apply(order)
        assert pair.engine.requests.last == verdict
    assert pair.engine.audit() == []


@pytest.mark.parametrize("model_name", MODELS)
def test_what_if_changes_nothing_and_is_the_account_after_the_trade_at_the_mark(model_name):
    case = random_case(78, model_name)
    pair = Pair(case)
    pair.run(Path(case), 10)
    twin, legs = pair.twin, pair.twin.market.legs
    before = pair.engine.state_hash()
    values = twin.model.tables(twin.market).values[:, 0]
    for place, name in enumerate(twin.names):
        symbol = f"{twin.market.underlyings[0]}-PERP"
        lots = 7 if place % 2 else -7
        figures = pair.engine.what_if(name, {symbol: str(lots * twin.market.instruments[symbol].lot)})
        leg = legs.leg_of[symbol][0]
        expected = twin.filled(place, [(leg, lots)], lots * int(values[leg]))
        assert (figures.equity_micro, figures.maintenance_micro) == (expected[0], expected[2])
        if place not in twin.with_orders():
            assert figures.initial_micro == expected[1]
    assert pair.engine.state_hash() == before


@pytest.mark.parametrize("model_name", CERTIFIED)
def test_what_if_of_closing_everything_at_prices_nobody_has_looked_at_yet_leaves_cash(model_name):
    held = {"BTC-PERP": "1", "ETH-DEC-4000-C": "2"}
    engine = engine_of(model_name, ("a", "USD", "900000"), *(("a", *row) for row in held.items()))
    engine.tick("BTC", "112000", at=engine.at_ns + 10**9)
    engine.tick("ETH", "3950.5")
    closed = engine.what_if("a", {symbol: "-" + quantity for symbol, quantity in held.items()})
    now = engine.figures("a")
    assert (closed.initial_micro, closed.maintenance_micro) == (0, 0) != (now.initial_micro, now.maintenance_micro)
    assert 0 <= now.equity_micro - closed.equity_micro <= 1


@pytest.mark.parametrize("model_name", ["cross", "derive-portfolio"])
def test_what_if_counts_open_orders_in_initial_margin_under_every_model(model_name):
    case = random_case(5, model_name)
    engine = Engine(case.book, case.market, case.model)
    perp = next(symbol for symbol in case.market.instruments if symbol.endswith("PERP"))
    lot, name = case.market.instruments[perp].lot, engine.names[0]
    engine.deposit(name, "100000000")
    plain = engine.what_if(name, {perp: str(lot)}).initial_micro
    assert engine.order(name, "o", perp, str(10_000 * lot), f"{case.market.mark(perp):.4f}").admitted
    assert engine.what_if(name, {perp: str(lot)}).initial_micro > plain


@pytest.mark.parametrize("ask", ["order", "withdraw"])
def test_a_verdict_brings_the_decisions_that_its_event_caused(ask):
    """`order` and `withdraw` answer with a verdict; whom the time that they let pass has broken is in it."""
    rows = [("a", "USD", "1000"), ("victim", "BTC-DEC-120000-C", "10"), ("victim", "USD", "-5000")]
    engine = engine_of("portfolio", *rows)
    assert engine.status("victim") in ("ok", "margin_call")
    count, later = engine.sequence, engine.at_ns + 70 * 86_400 * 10**9
    if ask == "order":
        verdict = engine.order("a", "o", "BTC-PERP", "0.001", "112950", at=later)
    else:
        verdict = engine.withdraw("a", "1", at=later)
    assert verdict.admitted
    assert engine.status("victim") in ("liquidatable", "bankrupt")
    assert [decision.account for decision in verdict.decisions] == ["victim"]
    assert engine.sequence == count + 1


# -- refusals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model_name", [*CERTIFIED, "dydx"])
@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"account": "nobody"}, InputError),
        ({"symbol": "NOTHING"}, UnknownInstrument),
        ({"quantity": "0.0015"}, NotWholeLots),
        ({"quantity": "0"}, InputError),
        ({"quantity": "NaN"}, InputError),
        ({"quantity": "Infinity"}, InputError),
        ({"price": "0"}, InputError),
        ({"price": "-1"}, InputError),
        ({"price": "NaN"}, InputError),
        ({"price": "cheap"}, InputError),
        ({"quantity": "1000000000000"}, LimitExceeded),
    ],
)
def test_a_bad_order_is_refused_with_nothing_changed_checked_or_sent(model_name, change, error):
    document = samples.market_document()
    if model_name == "dydx":
        document["instruments"] = [row for row in document["instruments"] if row["symbol"] == "BTC-PERP"]
        document["surfaces"] = []
    row = {"account": "a", "instrument": "USD", "quantity": "1000"}
    case = Case(0, model_name, document, [row])
    engine = Engine(case.book, case.market, case.model)
    given = {"account": "a", "symbol": "BTC-PERP", "quantity": "1", "price": "113000"} | change
    before = engine.state_hash()
    later = engine.at_ns + 10**9
    with pytest.raises(error):
        engine.order(given["account"], "o", given["symbol"], given["quantity"], given["price"], at=later)
    assert engine.state_hash() == before
    with pytest.raises(error):
        engine.check(given["account"], given["symbol"], given["quantity"], given["price"])
    if "price" not in change:
        with pytest.raises(error):
            engine.what_if(given["account"], {given["symbol"]: given["quantity"]})
    assert engine.state_hash() == before


def test_an_id_is_used_once_while_open_and_only_open_ones_are_cancelled():
    engine = engine_of("cross", ("a", "USD", "100000"))
    assert engine.order("a", "o", "BTC-PERP", "0.1", "113000").admitted
    with pytest.raises(DuplicateRow):
        engine.order("a", "o", "BTC-PERP", "0.1", "113000")
    with pytest.raises(InputError):
        engine.cancel("a", "other")
    engine.cancel("a", "o")
    with pytest.raises(InputError):
        engine.cancel("a", "o")
    assert engine.order("a", "o", "BTC-PERP", "0.1", "113000").admitted


def test_an_expired_contract_takes_no_orders():
    engine = engine_of("cross", ("a", "USD", "100000"))
    for at in ("2025-12-26T08:00:00Z", "2025-12-26T09:00:00Z"):
        with pytest.raises(ExpiredInstrument):
            engine.order("a", "o", "BTC-DEC", "0.1", "113000", at=at)


@pytest.mark.parametrize("model_name", CERTIFIED)
def test_an_order_in_a_basket_whose_parts_cancel_out_is_judged_like_any_other(model_name):
    """A spread is worth nearly nothing while its parts are worth much."""
    document = samples.market_document()
    samples.instrument(document, "MIX")["weights"] = {"BTC": "1", "ETH": "-28.972501762"}
    case = Case(0, model_name, document, [{"account": "a", "instrument": "USD", "quantity": "1000000"}])
    engine = Engine(case.book, case.market, case.model)
    verdict = engine.check("a", "MIX", "1", "10")
    single = engine.check("a", "BTC-PERP", "1", "112950")
    assert verdict.admitted
    assert 0 < verdict.after.initial_micro < 10 * single.after.initial_micro
