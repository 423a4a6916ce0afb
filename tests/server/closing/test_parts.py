"""Parts of the liquidator by themselves: ladders, the schedule, orders that wait, pacing, the figures of looks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core.errors import InputError
from seawall.engine.clearing import Clearing
from seawall.liquidation.closing_events import Order, PlaceOrder, Withdraw
from seawall.liquidation.closing_state import ClosingState
from seawall.server import requests as wire
from seawall.server.closing.book import BookOf
from seawall.server.closing.depth import Ladder
from seawall.server.closing.looks import LookMaker, LookRules, funds_micro
from seawall.server.closing.others import OtherSides
from seawall.server.closing.pacing import Pacer
from seawall.server.closing.schedule import Schedule
from seawall.server.closing.waiting import Waiting
from seawall.server.turning import event_of
from server.closing.scene import config

MARK = 100 * 10**9


# -- ladders -------------------------------------------------------------------------------------


def test_a_ladder_takes_lots_at_prices_that_move_with_them():
    ladder = Ladder("x", [10_000, 30_000], [1_000 * 10**6, 3_000 * 10**6])
    assert ladder.lots(MARK).tolist() == [0, 10, 30]
    sell = ladder.quote(-1, MARK)
    assert sell(0) == (0, 0)
    assert sell(10) == (10, 10 * 100 * 10**6 * 995 // 1000)  # 0.5 % on average
    assert sell(30) == (30, 995 * 10**6 + 20 * 98 * 10**6)
    assert sell(31)[0] == 30  # no more than there is
    assert ladder.quote(1, MARK)(10)[1] == -1_005 * 10**6


@given(st.lists(st.tuples(st.integers(1, 50_000), st.integers(1, 10**12)), min_size=1, max_size=5), st.integers(1, 10**13), st.integers(0, 10**6))
def test_selling_more_never_costs_less_and_never_brings_more_than_the_mark(points, mark, size):
    moves = np.cumsum([move for move, _ in points]).tolist()
    if moves[-1] >= 10**6:
        return
    ladder = Ladder("x", moves, np.cumsum([notional for _, notional in points]).tolist())
    for side in (-1, 1):
        quote = ladder.quote(side, mark)
        costs = []
        for lots in (size // 3, size // 2, size):
            taken, cash = quote(lots)
            costs.append(-side * taken * mark - cash * 1000)
            assert taken <= lots
        assert costs == sorted(costs) or max(np.diff(costs[::-1])) <= 1000  # within the rounding of a micro
        assert all(cost >= 0 for cost in costs)


@pytest.mark.parametrize(("moves", "notional"), [([], []), ([2, 1], [1, 2]), ([1, 2], [2, 1]), ([1], [1, 2]), ([10**6], [1]), ([5], [0])])
def test_ladders_that_do_not_rise_are_refused(moves, notional):
    with pytest.raises(InputError):
        Ladder("liquidator.depth.X", moves, notional)


# -- orders that wait ----------------------------------------------------------------------------


def order(lane, lots=-5, symbol="A", name="a/1/1"):
    return Order(name, symbol, lots, None, 1, lane)


def test_what_nobody_executes_is_asked_back_once_and_then_over():
    waiting = Waiting(order_ns=100, confirm_ns=50)
    one = order("wave")
    waiting.heard(PlaceOrder("a", one), 0)
    state = ClosingState(orders=(one,))
    assert waiting.overdue("a", state, {"A": 5}, 99) == ([], [])
    assert waiting.overdue("a", state, {"A": 5}, 100) == ([one], [])
    assert waiting.asked("a", one.id)
    assert waiting.overdue("a", state, {"A": 5}, 149) == ([], [])
    assert waiting.overdue("a", state, {"A": 5}, 150) == ([], [one])
    assert set(waiting.unwanted("a")) == {"A"}
    waiting.forget("a")
    assert not waiting.unwanted("a")


def test_slices_rest_as_long_as_the_closing_lets_them_but_not_beyond_what_is_held():
    waiting = Waiting(order_ns=100, confirm_ns=50)
    one = order("slice")
    state = ClosingState(orders=(one,))
    assert waiting.overdue("a", state, {"A": 5}, 10**9) == ([], [])
    for held in (4, 0, -5):
        fresh = Waiting(order_ns=100, confirm_ns=50)
        assert fresh.overdue("a", state, {"A": held}, 0) == ([one], [])
    waiting.heard(Withdraw("a", one.id), 5)
    waiting.heard(Withdraw("a", one.id), 40)  # said again: the first time counts
    assert waiting.overdue("a", state, {"A": 5}, 55) == ([], [one])
    assert waiting.overdue("a", ClosingState(orders=(order("adl"),)), {"A": 5}, 10**9) == ([], [])


# -- a clearing ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clearing(tmp_path_factory):
    """alice is long with little margin; bob and carol are short, carol with a hedge."""
    made = config(tmp_path_factory.mktemp("none"))
    found = Clearing(made.genesis, 64)

    def write(request):
        outcome = found.apply(event_of(found, request, found.at_ns))
        assert outcome.sequence

    for name, amount in (("alice", "20000"), ("bob", "50000"), ("carol", "50000"), ("dan", "30000")):
        write(wire.OpenAccount(account=name))
        write(wire.Deposit(account=name, amount=amount))
    write(wire.Fill(maker="bob", taker="alice", instrument="BTC-PERP", quantity="1", price="113000"))
    write(wire.Fill(maker="alice", taker="backstop", instrument="ETH-PERP", quantity="2", price="3900.25"))
    write(wire.Fill(maker="carol", taker="backstop", instrument="BTC-PERP", quantity="1", price="113000"))
    write(wire.Fill(maker="backstop", taker="dan", instrument="BTC-PERP", quantity="3", price="113000"))
    write(wire.Deposit(account="insurance", amount="5000"))
    write(wire.Fund(amount="1000", market="BTC"))
    write(wire.Fund(amount="1000"))
    return found


@pytest.fixture
def maker(clearing):
    book = BookOf(clearing)
    return LookMaker(clearing, LookRules(), book, OtherSides(book, np.zeros(64, np.bool_)))


def test_a_look_has_the_engines_figures_and_all_positions(clearing, maker):
    look = maker.look("alice", clearing.at_ns)
    figures = clearing.engine.figures("alice")
    assert (look.equity_micro, look.maintenance_micro) == (figures.equity_micro, figures.maintenance_micro)
    assert [(each.symbol, each.lots) for each in look.positions] == [("BTC-PERP", 1000), ("ETH-PERP", -200)]
    assert sum(each.maintenance_micro for each in look.positions) == look.maintenance_micro
    worth = sum(each.lots * each.mark_nano for each in look.positions)
    row = clearing.engine.account_of("alice")
    assert (clearing.mirror.cash_of(row) + worth) // 1000 == look.equity_micro
    assert (look.market, look.kind, look.closes, look.winners) == ("BTC", "none", (), ())


def test_questions_about_funds_leave_the_funds_alone(clearing):
    before = clearing.state_hash()
    later = clearing.at_ns + 10**15
    assert funds_micro(clearing.desk, "BTC", later) == 1000 * 10**6 + 200 * 10**6  # a fifth of the global fund for one event
    assert funds_micro(clearing.desk, "ETH", later) == 200 * 10**6
    assert clearing.state_hash() == before


def test_the_other_side_is_users_who_are_not_being_closed_and_never_the_venues_own(clearing):
    busy = np.zeros(64, np.bool_)
    others = OtherSides(BookOf(clearing), busy)
    total, rows = others.ranks("BTC-PERP", -1, 10)
    assert {row.account for row in rows} == {"bob", "carol"}
    assert total == 2
    busy[clearing.ledger.state.rows["bob"]] = True
    assert [row.account for row in others.ranks("BTC-PERP", -1, 10)[1]] == ["carol"]
    assert others.ranks("BTC", -1, 10) == (0, []), "coins have no other side"
    # nobody is in profit at this price: only a price that costs nothing closes anybody
    cut = Order("x/1/1", "BTC-PERP", -500, 113_000 * 10**6, 113_000 * 10**6, "adl")
    assert sum(part.lots for part in others.parts("dan", cut)) == 500
    dearer = Order("x/1/1", "BTC-PERP", -500, 114_000 * 10**6, 114_000 * 10**6, "adl")
    assert others.parts("dan", dearer) == ()


def test_profits_are_those_of_the_ledger(clearing):
    book = BookOf(clearing)
    profit = book.profit_micro("BTC")
    row = clearing.ledger.state.rows
    assert profit[row["bob"]] == profit[row["alice"]] == 0
    assert not book.profit_micro("SOL").any()


# -- the schedule and pacing ---------------------------------------------------------------------


def test_the_schedule_gives_everybody_who_fails_once_and_again_when_due(clearing):
    schedule = Schedule(clearing, BookOf(clearing))
    rows = [clearing.ledger.state.rows[name] for name in ("alice", "bob")]
    levels = clearing.engine.watch.levels
    kept = levels.copy()
    try:
        levels[rows] = 2
        levels[clearing.ledger.state.rows["backstop"]] = 3  # never one of the venue's own
        assert schedule.join(1_000) == 2
        assert schedule.join(1_000) == 0
        assert sorted((schedule.take(), schedule.take())) == sorted(rows)
        assert schedule.take() == -1
        for row in rows:
            schedule.later(row, 2_000)
        assert schedule.join(1_999) == 0
        schedule.soon(rows[0])
        assert schedule.join(1_999) == 1
        assert (schedule.take(), schedule.breached(rows[0]), schedule.breached(rows[0])) == (rows[0], 1_000, 0)
    finally:
        levels[:] = kept


def test_slices_are_held_back_before_they_break_who_is_ahead(clearing):
    now = [0]
    ladder = Ladder("x", [50_000], [10_000_000 * 10**6])  # 2 million for each percent
    pacer = Pacer(clearing, {"BTC": ladder}, 500_000, 10**9, lambda: now[0])
    mark = 113_000 * 10**6  # nano of a lot of 0.001
    # dan has 339,000 notional, and the health of some 4 % of it
    free = pacer.room("BTC", -1, 10**6, mark)
    figures = clearing.engine.figures("dan")
    distance = figures.health_micro / (339_000 * 10**6)
    taken_at = free * 113 / 2_000_000 / 100
    assert taken_at < distance or free == int(ladder.lots(mark)[-1])
    assert free > 0
    again = pacer.room("BTC", -1, 10**6, mark)
    assert free + again <= int(ladder.lots(mark)[-1]), "slices of one stretch count together"
    now[0] = 2 * 10**9
    assert pacer.room("BTC", -1, 10**6, mark) == free
    assert pacer.room("ETH", -1, 77, mark) == 77, "no ladder, no bound"
