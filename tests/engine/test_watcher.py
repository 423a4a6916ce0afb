"""Attacks on lazy monitoring: whatever a stranger does, the victim is declared at the very event that breaks it.

The attacks are those of published drain reports on one deployed engine (percolator-prog issues 57 to 90): a sweep
that a move outruns, decoys that move the market on without a sweep, candidate lists padded until the victim falls
off, catch-up that skips liquidation, decoys of equal notional, an oracle that stands still.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

import samples
from engine.books import Case
from engine.follow import Pair
from seawall.core import events
from seawall.core.errors import StaleEvent
from seawall.core.times import parse_iso_ns
from seawall.engine.decision import Decision
from seawall.margin.evaluate import evaluate_bound

START_NS = parse_iso_ns(samples.market_document()["as_of"])
SECOND_NS = 10**9
HOUR_NS = 3_600 * SECOND_NS
BTC = 113_000
# cash behind one long BTC-PERP, enough to live until the price has fallen by some percent
DEPTH = {"fixed": "7000", "cross": "3000", "portfolio": "17000", "greeks": "10000"}
MODELS = sorted(DEPTH)


def cash(name: str, amount: str) -> dict[str, str]:
    return {"account": name, "instrument": "USD", "quantity": amount}


def long(name: str, amount: str, deposit: str) -> list[dict[str, str]]:
    """A perpetual position entered at the mark, and its cash."""
    return [{"account": name, "instrument": "BTC-PERP", "quantity": amount}, cash(name, deposit)]


def pair_of(model_name: str, rows: Iterable[dict[str, str]]) -> Pair:
    return Pair(Case(0, model_name, samples.market_document(), list(rows)))


def tick(price: float, at_ns: int, underlying: str = "BTC") -> events.Tick:
    return events.Tick(at_ns=at_ns, underlying=underlying, price=f"{price:.2f}")


def declared(decisions: list[Decision]) -> list[str]:
    """Accounts that these decisions make liquidatable or worse."""
    return [decision.account for decision in decisions if decision.status in ("liquidatable", "bankrupt")]


def breaking_price(model_name: str) -> int:
    """The highest whole price at which the victim is liquidatable, by bisection over full evaluations."""
    case = Case(0, model_name, samples.market_document(), long("victim", "1", DEPTH[model_name]))
    market, model = case.market, case.model
    accounts = case.book.bind(market)
    low, high = 80_000, BTC
    while high - low > 1:
        middle = (low + high) // 2
        result = evaluate_bound(accounts, model.tables(market.with_index({"BTC": middle})), model)
        low, high = (middle, high) if result.health_micro[0] < 0 else (low, middle)
    return low


@pytest.fixture(scope="module", params=MODELS)
def model_name(request):
    return request.param


@pytest.fixture(scope="module")
def breaking(model_name):
    price = breaking_price(model_name)
    assert 90_000 < price < BTC - 1_000
    return price


# -- the sweep that a move outruns -------------------------------------------------------------------


def test_one_move_declares_every_thin_account_of_four_thousand_at_once(model_name, breaking):
    rows, thin = [], []
    for number in range(4_096):
        broke = number % 16 == 15
        rows += long(f"slot{number}", "1", DEPTH[model_name] if broke else "60000")
        thin += [f"slot{number}"] * broke
    pair = pair_of(model_name, rows)
    assert declared(pair.apply(tick(breaking + 1, START_NS + SECOND_NS))) == []
    found = declared(pair.apply(tick(breaking, START_NS + 2 * SECOND_NS)))
    assert sorted(found) == sorted(thin)
    assert pair.engine.counts["ok"] == 4_096 - len(thin)


# -- decoys that move the market on --------------------------------------------------------------------


def test_what_decoys_without_positions_do_between_ticks_changes_nothing_for_the_victim(model_name, breaking):
    rows = [row for number in range(300) for row in [cash(f"decoy{number}", "1000")]]
    pair = pair_of(model_name, [*rows, *long("victim", "1", DEPTH[model_name])])
    at_ns = START_NS
    for number in range(300):
        at_ns += 10**6
        name = f"decoy{number}"
        pair.apply(events.Withdraw(at_ns=at_ns, account=name, amount="1"))
        pair.apply(events.Deposit(at_ns=at_ns, account=name, amount="1"))
        if number % 10 == 0:
            assert declared(pair.apply(tick(breaking + 301 - number, at_ns))) == []
    assert declared(pair.apply(tick(breaking, at_ns))) == ["victim"]


def test_time_that_a_decoys_own_event_lets_pass_breaks_the_victim_in_that_event():
    """The victim's option loses its time value; nothing but a decoy's deposits moves the clock."""
    rows = [
        {"account": "victim", "instrument": "BTC-DEC-120000-C", "quantity": "10"},
        cash("victim", "-20000"),
        cash("decoy", "1000"),
    ]
    pair = pair_of("portfolio", rows)
    found = []
    for day in range(1, 77):
        event = events.Deposit(at_ns=START_NS + day * 24 * HOUR_NS, account="decoy", amount="1")
        found += [(day, name) for name in declared(pair.apply(event)) if name == "victim"]
    assert found, "the victim never broke: the test is too easy"
    assert found[0][0] > 1
    assert pair.engine.status("victim") in ("liquidatable", "bankrupt")


def test_closing_a_decoy_is_no_substitute_for_looking_at_the_victim(model_name, breaking):
    """A decoy that is itself liquidated by a fill at the breaking tick's time does not use the tick up."""
    pair = pair_of(model_name, [*long("decoy", "0.5", "100"), *long("victim", "1", DEPTH[model_name])])
    at_ns = START_NS + SECOND_NS
    close = events.Fill(at_ns=at_ns, account="decoy", instrument="BTC-PERP", quantity="-0.5", price="112950")
    assert declared(pair.apply(close)) == []
    assert declared(pair.apply(tick(breaking, at_ns))) == ["victim"]


# -- padded candidate lists ----------------------------------------------------------------------------


def test_a_thousand_accounts_that_every_tick_must_look_at_push_nobody_off_the_list(model_name, breaking):
    """Decoys one micro above their line have no band at all; the victim comes last."""
    probe = pair_of(model_name, long("decoy", "1", "50000"))
    maintenance = probe.engine.figures("decoy").maintenance_micro
    equity = probe.engine.figures("decoy").equity_micro
    amount = f"{(50_000_000_000 - equity + maintenance + 1) / 1e6:.6f}"
    rows = [row for number in range(1_000) for row in long(f"decoy{number}", "1", amount)]
    pair = pair_of(model_name, [*rows, *long("victim", "1", DEPTH[model_name])])
    assert declared(pair.engine.opening) == []
    first = declared(pair.apply(tick(BTC - 1, START_NS + SECOND_NS)))
    assert sorted(first) == sorted(f"decoy{number}" for number in range(1_000))
    for step in range(5):  # in and out of their line, all of them, at every tick
        pair.apply(tick(BTC - 1 + step % 2 * 3_000, START_NS + (2 + step) * SECOND_NS))
    assert "victim" in declared(pair.apply(tick(breaking, START_NS + 9 * SECOND_NS)))


def test_a_flood_of_orders_and_cancels_at_the_ticks_own_instant_delays_nothing(model_name, breaking):
    rows = [*long("decoy", "0.01", "100000"), *long("victim", "1", DEPTH[model_name])]
    pair = pair_of(model_name, rows)
    at_ns = START_NS + SECOND_NS
    for number in range(100):
        order = {"id": f"o{number}", "instrument": "BTC-PERP", "quantity": "0.001", "price": "112000"}
        pair.apply(events.Order(at_ns=at_ns, account="decoy", **order))
    assert declared(pair.apply(tick(breaking, at_ns))) == ["victim"]
    for number in range(100):
        pair.apply(events.Cancel(at_ns=at_ns, account="decoy", id=f"o{number}"))
    assert pair.engine.audit() == []


# -- catch-up ------------------------------------------------------------------------------------------


def test_a_backlog_is_replayed_with_the_decisions_of_every_tick_in_it(model_name, breaking):
    """Hours of silence, then the backlog; the price dips for one tick only, and that tick declares."""
    pair = pair_of(model_name, long("victim", "1", DEPTH[model_name]))
    at_ns = START_NS + 5 * HOUR_NS
    found = []
    for number in range(200):
        price = breaking if number == 97 else breaking + 1 + (number * 37) % 1_500
        decisions = pair.apply(tick(price, at_ns + number * 10**7))
        found += [(number, decision.at_ns) for decision in decisions if decision.status == "liquidatable"]
    assert found == [(97, at_ns + 97 * 10**7)]


def test_the_first_tick_after_a_long_gap_declares_without_a_second(model_name, breaking):
    pair = pair_of(model_name, long("victim", "1", DEPTH[model_name]))
    assert declared(pair.apply(tick(breaking, START_NS + 72 * HOUR_NS))) == ["victim"]


# -- equal notional ------------------------------------------------------------------------------------


def test_among_decoys_of_the_victims_own_size_and_larger_the_worst_health_comes_first(model_name, breaking):
    """Order of work is by severity: not by size, not by name, not by place in the book."""
    rows = [row for number in range(200) for row in long(f"same{number}", "1", "60000")]
    rows += [row for number in range(200) for row in long(f"whale{number}", "50", "3000000")]
    rows += [*long("thinner", "1", str(int(DEPTH[model_name]) - 500)), *long("victim", "1", DEPTH[model_name])]
    pair = pair_of(model_name, rows)
    decisions = pair.apply(tick(breaking, START_NS + SECOND_NS))
    assert declared(decisions) == ["thinner", "victim"]
    assert [d.account for d in decisions][:2] == ["thinner", "victim"]


# -- an oracle that stands still -----------------------------------------------------------------------


def test_while_one_oracle_stands_still_the_other_breaks_the_victim(model_name):
    """A book on two underlyings, the first of which gets no price, or the same again, for hours."""
    rows = [
        *long("victim", "1", str(int(DEPTH[model_name]) - 5_000)),
        {"account": "victim", "instrument": "ETH", "quantity": "2"},
    ]
    pair = pair_of(model_name, rows)
    when, price = [], 3900.25
    for hour in range(1, 60):
        price *= 0.985
        at_ns = START_NS + hour * HOUR_NS
        when += [(hour, "BTC") for _ in declared(pair.apply(tick(BTC, at_ns)))]
        when += [(hour, "ETH") for _ in declared(pair.apply(tick(price, at_ns, "ETH")))]
    assert when, "the victim never broke: the test is too easy"
    assert when[0][1] == "ETH"
    assert when[0][0] > 1


def test_the_tick_that_ends_a_stall_declares(model_name, breaking):
    pair = pair_of(model_name, long("victim", "1", DEPTH[model_name]))
    for hour in range(1, 30):
        assert declared(pair.apply(tick(3900.25 + hour, START_NS + hour * HOUR_NS, "ETH"))) == []
    assert declared(pair.apply(tick(breaking, START_NS + 30 * HOUR_NS))) == ["victim"]


def test_a_price_from_before_the_last_event_is_refused_and_hides_nobody(model_name, breaking):
    pair = pair_of(model_name, long("victim", "1", DEPTH[model_name]))
    pair.apply(tick(breaking + 1, START_NS + 2 * SECOND_NS))
    with pytest.raises(StaleEvent):
        pair.engine.apply(tick(BTC, START_NS + SECOND_NS))
    assert declared(pair.apply(tick(breaking, START_NS + 2 * SECOND_NS))) == ["victim"]


# -- what the attacks have in common -------------------------------------------------------------------


def test_decoys_far_from_their_lines_cost_nothing_at_a_tick(model_name):
    """A decoy costs its owner's own events and its share of moves that reach its band, not every tick."""
    rows = [row for number in range(2_000) for row in long(f"decoy{number}", "0.01", "5000")]
    pair = pair_of(model_name, rows)
    before = pair.engine.metrics["touched"]
    for number in range(20):
        pair.apply(tick(BTC + 20 * (-1) ** number, START_NS + number * SECOND_NS))
    assert pair.engine.metrics["touched"] - before < 2_000
