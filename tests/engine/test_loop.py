"""The loop itself: same events, same state; statuses that do not flap; refusals that change nothing."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

import samples
from engine.books import MODELS, Case, engine_of, random_case
from engine.follow import Pair
from engine.paths import Path
from seawall.core import events
from seawall.core.errors import (
    ExpiredInstrument,
    InputError,
    LimitExceeded,
    StaleEvent,
    UnknownInstrument,
    UnsafeParameters,
)
from seawall.engine.decision import Decision
from seawall.engine.loop import Engine

SECOND_NS = 10**9
HOUR_NS = 3_600 * SECOND_NS
CERTIFIED = ("fixed", "cross", "portfolio")


def sample_engine(model_name: str = "cross", rows: list[tuple[str, str, str]] | None = None, **options: Any) -> Engine:
    """An engine over the sample market; rows of account, instrument, quantity."""
    given = rows or [("a", "BTC-PERP", "1"), ("a", "USD", "3000"), ("b", "BTC-DEC-120000-C", "1"), ("b", "USD", "50000")]
    return engine_of(model_name, *given, **options)


def recorded(model_name: str, seed: int, count: int) -> tuple[Case, Pair]:
    """A case and the pair that has lived through so many of its events."""
    case = random_case(seed, model_name)
    pair = Pair(case)
    pair.run(Path(case), count)
    return case, pair


def replayed(case: Case, pair: Pair, between: Callable[[Engine], None] | None = None) -> tuple[Engine, list[Decision]]:
    """Another engine that got the pair's events as they are written down, and what it decided."""
    engine = Engine(case.book, case.market, case.model)
    decided = list(engine.opening)
    for event in pair.seen:
        decided += engine.apply(events.decode(events.encode(event)))
        if between is not None:
            between(engine)
    return engine, decided


# -- the same events give the same state ---------------------------------------------------------------


@pytest.mark.parametrize("model_name", MODELS)
def test_the_same_events_give_the_same_decisions_and_the_same_hash(model_name):
    case, pair = recorded(model_name, 41, 40)
    again, decided = replayed(case, pair)
    assert decided == pair.decided
    assert again.state_hash() == pair.engine.state_hash()


@pytest.mark.parametrize("model_name", CERTIFIED)
def test_looking_in_between_events_changes_nothing_that_follows(model_name):
    def look(engine: Engine) -> None:
        engine.sweep(), engine.audit(), engine.worst(5), engine.health_histogram(), engine.results()
        for name in engine.names:
            engine.figures(name)

    case, pair = recorded(model_name, 42, 30)
    again, decided = replayed(case, pair, look)
    assert decided == pair.decided
    assert again.state_hash() == pair.engine.state_hash()


@pytest.mark.parametrize(
    "event",
    [
        events.Tick(at_ns=0, underlying="BTC", price="113000.01"),
        events.Mark(at_ns=0, instrument="BTC-PERP", price="112951"),
        events.Surface(at_ns=0, updates={"BTC-DEC-120000-C": "0.5201"}),
        events.Clock(at_ns=1),
        events.Deposit(at_ns=0, account="b", amount="0.000001"),
        events.Withdraw(at_ns=0, account="b", amount="0.000001"),
        events.Fill(at_ns=0, account="b", instrument="BTC-PERP", quantity="0.001", price="1"),
        events.Order(at_ns=0, account="b", id="o", instrument="BTC-PERP", quantity="0.001", price="1"),
        events.Parameters(at_ns=0, changes={"liquidation_fee_ppm": "3999"}),
        events.Parameters(at_ns=0, changes={"liquidation_fee_ppm": "3999"}, glide_ns=HOUR_NS),
    ],
    ids=lambda event: type(event).__name__,
)
def test_the_hash_shows_everything_that_the_future_depends_on(event):
    engine = sample_engine()
    before = engine.state_hash()
    assert re.fullmatch(r"[0-9a-f]{64}", before)
    engine.apply(msgspec.structs.replace(event, at_ns=engine.at_ns + event.at_ns))
    assert engine.state_hash() != before


def test_the_hash_tells_open_orders_of_other_ids_apart():
    hashes = set()
    for name in ("first", "second"):
        engine = sample_engine()
        assert engine.order("b", name, "BTC-PERP", "0.001", "1").admitted
        hashes.add(engine.state_hash())
    assert len(hashes) == 2


# -- statuses do not flap ------------------------------------------------------------------------------


@pytest.mark.parametrize("model_name", CERTIFIED)
def test_a_price_that_trembles_on_the_line_changes_the_status_once(model_name):
    engine = sample_engine(model_name, [("a", "BTC-PERP", "1"), ("a", "USD", "20000")])
    price, found = 113_000, list(engine.opening)
    while engine.status("a") in ("ok", "margin_call"):
        price -= 10
        found += engine.tick("BTC", str(price))
    line = len(found)
    assert found[-1].status == "liquidatable"
    for number in range(200):
        found += engine.tick("BTC", str(price + 20 * (number % 2)))
    assert len(found) == line
    assert engine.figures("a").health_micro >= 0 or engine.tick("BTC", str(price + 20)) == []


@pytest.mark.parametrize("release_ppm", [0, 20_000, 100_000])
def test_a_status_is_left_where_equity_stands_the_release_above_the_line(release_ppm):
    engine = sample_engine("fixed", [("a", "BTC-PERP", "1"), ("a", "USD", "20000")], hysteresis_ppm=release_ppm)
    engine.tick("BTC", "95000")
    assert engine.status("a") == "bankrupt" or engine.status("a") == "liquidatable"
    price = 95_000
    while engine.status("a") != "margin_call":
        price += 1
        assert price < 113_000
        engine.tick("BTC", str(price))
    figures = engine.figures("a")
    need = figures.maintenance_micro * (1_000_000 + release_ppm) / 1_000_000
    assert need <= figures.equity_micro + 1 < need + 1.2e6  # one unit of price more than enough at most


def test_getting_worse_is_never_delayed():
    engine = sample_engine("fixed", [("a", "BTC-PERP", "1"), ("a", "USD", "20000")])
    assert [decision.status for decision in engine.tick("BTC", "50000")] == ["bankrupt"]
    assert [decision.status for decision in engine.tick("BTC", "113000")] == ["ok"]
    assert [decision.kind for decision in engine.tick("BTC", "50000")] == ["bankrupt"]


# -- what a decision says ------------------------------------------------------------------------------


def test_a_decision_says_what_happened_to_whom_when_and_why():
    engine = sample_engine("fixed", [("a", "BTC-PERP", "1"), ("a", "USD", "20000"), ("b", "USD", "1")])
    at_ns = engine.at_ns + 5 * SECOND_NS
    (decision,) = engine.tick("BTC", "103000", at=at_ns)
    figures = engine.figures("a")
    assert (decision.sequence, decision.at_ns, decision.account) == (1, at_ns, "a")
    assert (decision.kind, decision.status, engine.status("a")) == ("margin_call", "margin_call", "margin_call")
    assert decision.equity_micro == figures.equity_micro
    assert decision.initial_micro == figures.initial_micro
    assert decision.maintenance_micro == figures.maintenance_micro
    assert decision.health_micro == figures.health_micro
    assert decision.cause == "tick BTC 103000"
    (recovery,) = engine.deposit("a", "100000")
    assert (recovery.sequence, recovery.kind, recovery.status) == (2, "recovered", "ok")
    assert recovery.market_version > decision.market_version
    assert recovery.cause == "deposit 100000"


def test_decisions_of_one_event_come_in_order_of_severity():
    rows = []
    for name, deposit in (("thin", "9000"), ("ruined", "1000"), ("called", "13000"), ("thinner", "8000"), ("safe", "90000")):
        rows += [(name, "BTC-PERP", "1"), (name, "USD", deposit)]
    engine = sample_engine("fixed", [*rows, ("bystander", "USD", "5")])
    assert [d.account for d in engine.opening if d.status != "margin_call"] == ["ruined"]
    decisions = engine.tick("BTC", "108000")
    order = [(d.status, d.account) for d in decisions]
    assert order == [
        ("bankrupt", "ruined"),
        ("liquidatable", "thinner"),
        ("liquidatable", "thin"),
        ("margin_call", "called"),
    ]
    assert engine.counts == {"ok": 2, "margin_call": 1, "liquidatable": 2, "bankrupt": 1}


def test_the_opening_has_a_decision_for_every_account_that_is_not_well_at_the_start():
    case = random_case(12, "portfolio")
    engine = Engine(case.book, case.market, case.model)
    assert {d.account: d.status for d in engine.opening} == {
        name: engine.status(name) for name in engine.names if engine.status(name) != "ok"
    }
    assert all(d.cause == "start" for d in engine.opening)


# -- refusals change nothing ---------------------------------------------------------------------------


def bad_events(at_ns: int) -> list[tuple[events.Event, type[Exception]]]:
    """Events that cannot be, each with its error."""
    late_ns = 10**18 * 9 // 5  # 2027, after every expiry of the sample market
    tick = [(price, InputError) for price in ("0", "-1", "NaN", "Infinity", "abc", "", "1e400")]
    tick += [("0.0000000001", InputError), ("9000000000", LimitExceeded)]
    found: list[tuple[events.Event, type[Exception]]] = []
    found += [(events.Tick(at_ns=at_ns, underlying="BTC", price=price), error) for price, error in tick]
    found += [(events.Tick(at_ns=at_ns, underlying="XYZ", price="1"), UnknownInstrument)]
    found += [(events.Mark(at_ns=at_ns, instrument="BTC-PERP", price=price), error) for price, error in tick[:7]]
    found += [
        (events.Mark(at_ns=at_ns, instrument="BTC-PERP", price="1e15"), InputError),
        (events.Mark(at_ns=at_ns, instrument="XYZ", price="1"), UnknownInstrument),
        (events.Mark(at_ns=at_ns, instrument="MIX", price="1"), InputError),
        (events.Mark(at_ns=at_ns, instrument="BTC", price="1"), InputError),
        (events.Mark(at_ns=late_ns, instrument="BTC-DEC", price="113000"), ExpiredInstrument),
        (events.Surface(at_ns=at_ns, updates={"BTC-DEC-120000-C": "0.5", "BTC-DEC-120000-P": "NaN"}), InputError),
        (events.Surface(at_ns=at_ns, updates={"BTC-DEC-120000-C": "0.5", "XYZ": "0.5"}), UnknownInstrument),
        (events.Surface(at_ns=at_ns, updates={"BTC-PERP": "0.5"}), InputError),
        (events.Surface(at_ns=at_ns, updates={"BTC-DEC-120000-C": "-0.5"}), InputError),
        (events.Surface(at_ns=late_ns, updates={"BTC-DEC-120000-C": "0.5"}), ExpiredInstrument),
        (events.Deposit(at_ns=at_ns, account="nobody", amount="1"), InputError),
        (events.Deposit(at_ns=at_ns, account="a", amount="0"), InputError),
        (events.Deposit(at_ns=at_ns, account="a", amount="-1"), InputError),
        (events.Deposit(at_ns=at_ns, account="a", amount="0.0000001"), InputError),
        (events.Deposit(at_ns=at_ns, account="a", amount="1e18"), LimitExceeded),
        (events.Withdraw(at_ns=at_ns, account="a", amount="NaN"), InputError),
        (events.Withdraw(at_ns=at_ns, account="nobody", amount="1"), InputError),
        (events.Fill(at_ns=at_ns, account="nobody", instrument="BTC", quantity="1", price="1"), InputError),
        (events.Fill(at_ns=at_ns, account="a", instrument="XYZ", quantity="1", price="1"), UnknownInstrument),
        (events.Fill(at_ns=at_ns, account="a", instrument="BTC-PERP", quantity="0.0001", price="1"), InputError),
        (events.Fill(at_ns=at_ns, account="a", instrument="BTC-PERP", quantity="1", price="-1"), InputError),
        (events.Fill(at_ns=at_ns, account="a", instrument="BTC-PERP", quantity="1e12", price="1"), LimitExceeded),
        (events.Fill(at_ns=late_ns, account="a", instrument="BTC-DEC", quantity="1", price="1"), ExpiredInstrument),
        (events.Cancel(at_ns=at_ns, account="a", id="none"), InputError),
        (events.Parameters(at_ns=at_ns, changes={"nothing": "1"}), InputError),
        (events.Parameters(at_ns=at_ns, changes={"open_interest_to": "1.5"}), InputError),
        (events.Parameters(at_ns=at_ns, changes={"open_interest_to": "5"}, glide_ns=-1), InputError),
        (events.Parameters(at_ns=at_ns, changes={"liquidation_fee_ppm": "900000"}), UnsafeParameters),
        (events.Parameters(at_ns=at_ns, changes={"liquidation_fee_ppm": "900000"}, glide_ns=HOUR_NS), UnsafeParameters),
    ]
    return found


@pytest.mark.parametrize("place", range(len(bad_events(0))))
def test_an_event_that_cannot_be_is_refused_with_nothing_changed(place):
    engine = sample_engine()
    event, error = bad_events(engine.at_ns + 7)[place]
    before, at_ns, counts = engine.state_hash(), engine.at_ns, engine.counts
    with pytest.raises(error) as caught:
        engine.apply(event)
    assert re.fullmatch(r".+: found .+, expected .+", str(caught.value))
    assert (engine.state_hash(), engine.at_ns, engine.counts) == (before, at_ns, counts)
    assert engine.tick("BTC", "113000", at=at_ns + 1) == []
    assert engine.audit() == []


@pytest.mark.parametrize("model_name", MODELS)
def test_an_event_from_the_past_is_refused_with_nothing_changed(model_name):
    _, pair = recorded(model_name, 43, 15)
    engine = pair.engine
    before = engine.state_hash()
    name = pair.twin.market.underlyings[0]
    for event in (
        events.Tick(at_ns=engine.at_ns - 1, underlying=name, price="1"),
        events.Clock(at_ns=0),
        events.Deposit(at_ns=engine.at_ns - 1, account=engine.names[0], amount="1"),
    ):
        with pytest.raises(StaleEvent):
            engine.apply(event)
    assert engine.state_hash() == before
    assert engine.audit() == []


def test_a_refusal_in_the_middle_of_a_stream_leaves_no_trace():
    case = random_case(44, "portfolio")
    plain, disturbed = Pair(case), Engine(case.book, case.market, case.model)
    path = Path(case)
    decided = list(disturbed.opening)
    for _ in range(30):
        event = path.next(plain.twin)
        plain.apply(event)
        for bad in (
            events.Tick(at_ns=event.at_ns, underlying=case.market.underlyings[0], price="1e300"),
            events.Fill(at_ns=event.at_ns, account=case.book.names[0], instrument="no", quantity="1", price="1"),
        ):
            with pytest.raises(InputError):
                disturbed.apply(bad)
        decided += disturbed.apply(event)
    assert decided == plain.decided
    assert disturbed.state_hash() == plain.engine.state_hash()


def test_an_engine_is_refused_parameters_that_do_not_survive_one_step():
    row = {"account": "a", "instrument": "USD", "quantity": "1"}
    case = Case(0, "fixed", samples.market_document(), [row], {"maintenance_ppm": 1})
    with pytest.raises(UnsafeParameters):
        Engine(case.book, case.market, case.model)


# -- money ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model_name", MODELS)
def test_cash_is_double_entry(model_name):
    """What accounts hold and what clearing holds is what came in from outside, to the nano, after every event."""
    case = random_case(45, model_name)
    pair = Pair(case)
    path = Path(case)
    book = pair.engine.book
    outside = sum(book.cash_nano.tolist())
    assert book.outside_nano == outside
    for _ in range(40):
        event = path.next(pair.twin)
        pair.apply(event)
        sign = {events.Deposit: 1, events.Withdraw: -1}.get(type(event), 0)
        if sign > 0 or (sign < 0 and pair.engine.requests.last.admitted):
            outside += sign * int(Decimal(event.amount) * 10**9)
        assert book.outside_nano == outside
        assert sum(book.cash_nano.tolist()) + book.clearing_nano == outside
        assert book.conserved()
        assert book.cash_nano.tolist() == pair.twin.cash_nano


def test_a_trade_between_two_accounts_makes_nothing_but_rounding():
    engine = sample_engine("cross", [("a", "USD", "100000"), ("b", "USD", "100000")])
    total = sum(engine.figures(name).equity_micro for name in "ab")
    for number, price in enumerate(("112950.123457", "113001.7", "99.000001")):
        engine.fill("a", "BTC-PERP", "0.003", price)
        engine.fill("b", "BTC-PERP", "-0.003", price)
        assert 0 <= total - sum(engine.figures(name).equity_micro for name in "ab") <= 2 * (number + 1)


@pytest.mark.parametrize("model_name", CERTIFIED)
def test_money_that_free_collateral_covers_leaves_and_not_a_micro_more(model_name):
    engine = sample_engine(model_name, [("a", "BTC-PERP", "1"), ("a", "USD", "90000")])
    free = engine.figures("a").free_collateral_micro
    assert not engine.withdraw("a", str(Decimal(free + 1).scaleb(-6))).admitted
    assert engine.figures("a").free_collateral_micro == free
    assert engine.withdraw("a", str(Decimal(free).scaleb(-6))).admitted
    assert engine.figures("a").free_collateral_micro == 0
    assert engine.status("a") == "ok"


# -- parameters glide ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["linear", "geometric"])
def test_an_announced_parameter_moves_in_stages_and_arrives_exactly(shape):
    rows = [("a", "BTC-PERP", "1"), ("a", "USD", "1000000")]
    engine = sample_engine("fixed", rows)
    start_ns, first = engine.at_ns, engine.figures("a").maintenance_micro
    engine.set_parameters({"maintenance_ppm": "90000"}, glide_ns=3_200 * SECOND_NS, shape=shape)
    assert engine.figures("a").maintenance_micro == first
    seen = []
    for second in range(50, 3_300, 50):
        engine.clock(start_ns + second * SECOND_NS)
        seen.append(engine.figures("a").maintenance_micro)
    assert seen == sorted(seen)
    assert len(set(seen)) == 33  # where it stood, and 32 stages
    assert seen[0] == first
    assert seen[-1] == pytest.approx(first * 9 / 5, abs=2)
    half = first * (1.4 if shape == "linear" else 1.8**0.5)
    assert seen[31] == pytest.approx(half, rel=1e-4)


@pytest.mark.parametrize("ask", ["check", "withdraw", "order", "surface", "mark", "tick", "deposit", "fill"])
def test_whatever_the_next_event_is_it_is_judged_by_the_parameters_of_its_own_time(ask):
    rows = [("a", "BTC-PERP", "1"), ("a", "USD", "15000"), ("b", "USD", "1000000")]
    engine = sample_engine("fixed", rows)
    assert engine.status("a") == "ok"
    end_ns = engine.at_ns + HOUR_NS
    engine.set_parameters({"initial_ppm": "200000"}, glide_ns=HOUR_NS)
    count = engine.sequence
    match ask:
        case "check":
            engine.clock(end_ns)
            assert not engine.check("a", "BTC-PERP", "0.001", "112950").admitted
        case "withdraw":
            assert not engine.withdraw("a", "1", at=end_ns).admitted
        case "order":
            assert not engine.order("a", "o", "BTC-PERP", "0.001", "112950", at=end_ns).admitted
        case "surface":
            engine.surface({"BTC-DEC-120000-C": "0.53"}, at=end_ns)
        case "mark":
            engine.tick("BTC-DEC", "113801", at=end_ns)
        case "tick":
            engine.tick("ETH", "3900", at=end_ns)
        case "deposit":
            engine.deposit("b", "1", at=end_ns)
        case "fill":
            engine.fill("b", "BTC-PERP", "0.001", "112950", at=end_ns)
    assert engine.status("a") == "margin_call"
    assert engine.sequence == count + 1
    assert engine.audit() == []


def test_a_second_announcement_does_not_strand_the_first():
    """It may be refused while the first is on its way; it may not stop it half-way in silence."""
    engine = sample_engine("fixed", [("a", "BTC-PERP", "1"), ("a", "USD", "1000000")])
    first = engine.figures("a").maintenance_micro
    start_ns = engine.at_ns
    engine.set_parameters({"maintenance_ppm": "90000"}, glide_ns=HOUR_NS)
    engine.clock(start_ns + HOUR_NS // 2)
    with contextlib.suppress(InputError):
        engine.set_parameters({"initial_ppm": "150000"}, glide_ns=HOUR_NS)
    engine.clock(start_ns + 3 * HOUR_NS)
    assert engine.figures("a").maintenance_micro == pytest.approx(first * 9 / 5, abs=2)


def test_an_announcement_at_the_end_of_another_takes_over_what_that_one_reached():
    engine = sample_engine("fixed", [("a", "BTC-PERP", "1"), ("a", "USD", "1000000")])
    first = engine.figures("a").maintenance_micro
    start_ns = engine.at_ns
    engine.set_parameters({"maintenance_ppm": "90000"}, glide_ns=HOUR_NS)
    engine.set_parameters({"initial_ppm": "150000"}, at=start_ns + HOUR_NS, glide_ns=HOUR_NS)
    assert engine.figures("a").maintenance_micro == pytest.approx(first * 9 / 5, abs=2)


def test_a_change_without_a_glide_holds_at_once():
    engine = sample_engine("fixed", [("a", "BTC-PERP", "1"), ("a", "USD", "15000")])
    (decision,) = engine.set_parameters({"initial_ppm": "200000"})
    assert decision.status == "margin_call"
    assert decision.cause == "parameters initial_ppm"


# -- looking in ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model_name", MODELS)
def test_what_the_engine_shows_agrees_with_a_full_evaluation(model_name):
    _, pair = recorded(model_name, 46, 30)
    engine, twin = pair.engine, pair.twin
    assert engine.audit() == []
    assert engine.sweep().tolist() == [
        [*row[:1], engine.figures(name).initial_micro, *row[2:]] for name, row in zip(twin.names, twin.figures.tolist())
    ]
    results = engine.results()
    assert results.names == list(engine.names)
    assert results.health_micro.tolist() == [engine.figures(name).health_micro for name in engine.names]
    assert sum(engine.counts.values()) == len(engine.names)
    for place, name in enumerate(engine.names):
        assert engine.status(name) == ("ok", "margin_call", "liquidatable", "bankrupt")[twin.levels[place]]
    assert engine.market.legs.index_nano.tolist() == twin.market.legs.index_nano.tolist()
    assert engine.market.leg_marks().tolist() == twin.market.leg_marks().tolist()
    assert engine.market.as_of_ns == twin.at_ns
    with pytest.raises(InputError):
        engine.status("nobody")


@pytest.mark.parametrize("model_name", MODELS)
def test_the_worst_accounts_and_the_histogram_count_everybody_once(model_name):
    case = random_case(47, model_name, accounts=30)
    engine = Engine(case.book, case.market, case.model)
    total = len(engine.names)
    assert sum(engine.health_histogram()) == total
    assert sum(engine.health_histogram((0.0,))) == total
    rows = engine.worst(total + 5)
    assert sorted(name for name, _ in rows) == sorted(engine.names)
    ratios = [f.health_micro / f.maintenance_micro if f.maintenance_micro > 0 else float("inf") for _, f in rows]
    assert ratios == sorted(ratios)
    assert engine.worst(3) == rows[:3]
    assert engine.worst(0) == []
    assert all(figures == engine.figures(name) for name, figures in rows)
    below = sum(ratio < 0 for ratio in ratios)
    assert engine.health_histogram()[0] == below
    assert below >= engine.counts["liquidatable"]
