"""One account from breach to rest: each way it can end, its order, replays, and a process killed at any point."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from liquidation.closing_walk import Walk, new_desk
from seawall.core.errors import InputError, StaleEvent, UnknownKey, UnsafeParameters
from seawall.core.times import SECOND_NS
from seawall.liquidation import closing_events as ev
from seawall.liquidation import layers as last
from seawall.liquidation.auction_events import BackstopDue, Ended, Refused, SetBreaker, Settle, Started
from seawall.liquidation.closing import Closing
from seawall.liquidation.closing_desk import ToHouse
from seawall.liquidation.closing_state import ClosingRules, bankruptcy_losses
from seawall.liquidation.layers import Winner
from seawall.liquidation.transfers import Delivery, Transfer, net
from seawall.liquidation.waterfall import Layer, LayerUsed

UNIT = 10**6
S = SECOND_NS


def of(kind: type, out: list[Any]) -> list[Any]:
    return [each for each in out if isinstance(each, kind)]


def stages(out: list[Any]) -> list[str]:
    return [each.after.name for each in of(ev.Staged, out)]


class One:
    """An account long 1,000 lots at a mark of 1; numbers its events itself."""

    def __init__(self, vault: int = 0, tranche: int = 0, fund: int = 0) -> None:
        self.desk = new_desk()
        self.number = 0
        if vault:
            self.desk.layers.apply(0, last.Commit("alts", "provider", vault * UNIT))
        self.desk.layers.apply(0, last.Income("fees", tranche * UNIT, "ALT"))
        self.desk.layers.apply(0, last.Income("fees", fund * UNIT))

    @property
    def state(self) -> Any:
        return self.desk.closings["a"].state

    def do(self, event: type, seconds: int, /, **more: Any) -> list[Any]:
        self.number += 1
        return self.desk.apply(event(number=self.number, account="a", at_ns=seconds * S, **more))

    def look(self, seconds: int, equity: int, lots: int = 1_000, need: int = 50, **more: Any) -> list[Any]:
        held = ev.Held("X", lots, 10**9, need * UNIT)
        version = self.state.version if "a" in self.desk.closings else 0
        fields = {"version": version, "positions": (held,), "market": "ALT"} | more
        return self.do(ev.Look, seconds, equity_micro=equity * UNIT, maintenance_micro=need * UNIT, **fields)

    def fill(self, seconds: int, order: ev.Order, lots: int | None = None, price: float = 1) -> list[Any]:
        done = order.lots if lots is None else lots
        return self.do(ev.Filled, seconds, order=order.id, lots=done, proceeds_micro=int(-done * price * UNIT), done=True)


def slices(lots: int = -400, reserve: int = 960_000_000) -> dict[str, Any]:
    return {"kind": "partial", "closes": (ev.Slice("X", lots, 990_000_000, reserve),)}


def to_auction(one: One, equity: int = 40) -> list[Any]:
    one.look(0, equity)
    return one.look(70, equity)


def test_pacing_never_leaves_dust():
    one = One()
    rules = ClosingRules(bucket="alts", dust_micro=50 * UNIT)
    one.desk.rules_of = lambda _: rules
    one.look(0, 49)
    for room, sold in ((970, 950), (950, 950), (1_000, 1_000)):
        (placed,) = of(ev.PlaceOrder, one.look(5, 45, room_lots={"X": room}, **slices(-1_000)))
        assert placed.order.lots == -sold
        one.fill(5, placed.order, 0)


# ---------------------------------------------------------------------------------------------- each way to rest


def test_a_healthy_account_is_left_alone_and_a_failed_ones_orders_go_first():
    one = One()
    assert one.look(0, 50) == []
    for action, more in ((ev.Reduce, {"symbol": "X", "lots": -1}), (ev.Flatten, {})):
        assert [each.reason for each in one.do(action, 0, **more)] == ["not-in-liquidation"]
    out = one.look(1, 49, orders=("x", "y"))
    assert isinstance(out[0], ev.Staged)
    assert out[1] == ev.CancelOrders("a", ("x", "y"))
    assert stages(out) == ["RESCUE"]


def test_the_owner_has_his_window_and_his_actions_pass_before_the_venues():
    one = One()
    one.look(0, 49, **slices())
    assert of(ev.PlaceOrder, one.look(4, 45, **slices())) == []
    (mine,) = one.do(ev.Reduce, 4, symbol="X", lots=-300)
    assert (mine.order.lane, mine.order.lots, mine.order.limit_nano) == ("owner", -300, None)
    # the window is over: of 1,000 lots 300 are the owner's to sell, so 700 at most are the venue's
    (placed,) = of(ev.PlaceOrder, one.look(5, 45, **slices(-1_000)))
    assert (placed.order.lane, placed.order.lots) == ("slice", -700)
    # a flatten takes the venue's order out of the market and sells what nobody of the owner's sells yet
    out = one.do(ev.Flatten, 6)
    assert out == [ev.Withdraw("a", placed.order.id), out[1]]
    assert (out[1].order.lane, out[1].order.lots) == ("owner", -700)
    assert [each.reason for each in one.do(ev.Flatten, 6)] == ["flattened-already"]
    for bad in (5, -1):
        assert [each.reason for each in one.do(ev.Reduce, 6, symbol="X", lots=bad)] == ["not-a-reduction"]


def test_slices_keep_to_pacing_and_go_together_where_the_plan_says_so():
    one = One()
    one.look(0, 49)
    assert of(ev.PlaceOrder, one.look(5, 45, room_lots={"X": 100}, atomic=True, **slices())) == []
    (placed,) = of(ev.PlaceOrder, one.look(6, 45, room_lots={"X": 100}, **slices()))
    assert (placed.order.lots, placed.order.limit_nano) == (-100, 990_000_000)
    assert one.look(7, 45, **slices()) == []  # it is still in the market


def test_a_fill_pays_a_fee_within_its_reserve_and_overtakes_older_figures():
    one = One()
    one.look(0, 49)
    (placed,) = of(ev.PlaceOrder, one.look(5, 45, **slices()))
    out = one.fill(6, placed.order, price=0.965)
    # 0.5 % of 386 is 1.93; above the reserve of 384 the fill brought 2
    assert [(move.payee, move.amount_micro) for move in of(Transfer, out)] == [("tranche:ALT", 1_930_000)]
    assert [each.reason for each in one.look(6, 45, version=0)] == ["state-changed"]
    out = one.look(7, 35, lots=600, need=30)
    assert stages(out) == ["REST"]
    assert of(ev.Rested, out) == [ev.Rested("a", "recovered")]


def test_between_health_zero_and_the_buffer_nothing_is_sold_and_nothing_starts_anew():
    one = One()
    one.look(0, 49)
    (placed,) = of(ev.PlaceOrder, one.look(5, 45, **slices()))
    assert one.look(6, 50, **slices()) == [ev.Withdraw("a", placed.order.id)]
    one.fill(6, placed.order, 0)
    assert one.look(7, 50, **slices()) == []
    (again,) = of(ev.PlaceOrder, one.look(8, 49, **slices()))  # no second window of its owner
    assert again.order.id != placed.order.id
    one.fill(8, again.order, 0)
    assert [each.cause for each in of(ev.Rested, one.look(9, 51))] == ["recovered"]


def test_an_account_that_no_route_saves_is_auctioned_then_handed_over_with_its_margin():
    one = One(vault=1_000)
    out = to_auction(one)
    assert stages(out) == ["SELLING", "AUCTION"]
    assert len(of(Started, out)) == 1
    assert [each.reason for each in one.do(ev.Reduce, 70, symbol="X", lots=-1)] == ["past-the-owners-turn"]
    one.look(71, 39)
    one.number += 1
    due = one.desk.apply(ToHouse(number=one.number, at_ns=500 * S, event=Settle(at_ns=500 * S)))
    assert len(of(BackstopDue, due)) == 1
    out = one.look(501, 38)
    assert stages(out) == ["BACKSTOP"]
    assert [each.cause for each in of(Ended, out)] == ["backstop"]
    assert of(Delivery, out) == [Delivery("a", "inventory:alts", "X", 1_000, "backstop", 10**9)]
    # at the floor of 50 % the account keeps 19 of 38; its margin less a micro goes with the position
    assert net(of(Transfer, out))["backstop:alts", "USD"] == 19 * UNIT - 1
    assert net(of(Transfer, out))["inventory:alts", "USD"] == -1_000 * UNIT
    assert [each.cause for each in of(ev.Rested, one.look(502, 19, lots=0, need=0))] == ["closed"]


def test_where_nobody_takes_it_the_funds_pay_for_the_market_and_the_rest_is_deleveraged_then_claims():
    one = One(tranche=30, fund=50)
    one.number += 1
    one.desk.apply(ToHouse(number=one.number, at_ns=0, event=SetBreaker(level=1, at_ns=0)))
    out = one.look(1, -100, bearable_lots={"X": 300})
    assert stages(out) == ["RESCUE", "SELLING", "AUCTION", "BACKSTOP", "FUNDS", "DELEVERAGING"]
    assert [each.reason for each in of(Refused, out)] == ["stopped-by-breaker"]
    (market,), (cut,) = of(ev.PlaceOrder, out), of(ev.Deleverage, out)
    assert (market.order.lots, market.order.limit_nano, market.order.lane) == (-300, None, "wave")
    assert (cut.order.lots, cut.order.price_nano, cut.mark_nano) == (-700, 1_100_000_000, 10**9)
    out = one.do(ev.Deleveraged, 1, order=cut.order.id, parts=(ev.Part("w1", 400), ev.Part("w2", 250)))
    assert net(of(Transfer, out)) == {("a", "USD"): 715 * UNIT, ("w1", "USD"): -440 * UNIT, ("w2", "USD"): -275 * UNIT}
    assert of(ev.Residual, out) == [ev.Residual("a", "X", 50)]
    one.fill(2, market.order, price=0.95)
    assert one.state.spent_micro == 45 * UNIT  # 300 · (1.10 − 0.95)
    (rest,) = of(ev.PlaceOrder, one.look(3, -50, lots=50))
    assert (rest.order.lane, rest.order.lots) == ("residual", -50)
    one.fill(3, rest.order)
    out = one.look(4, -50, lots=0, need=0, winners=(Winner("w1", 4 * UNIT, 4 * UNIT),))
    figures = [(each.layer, each.paid_micro // UNIT, each.why) for each in of(LayerUsed, out)]
    assert figures == [
        (Layer.TRANCHE, 30, "exhausted"), (Layer.BACKSTOP, 0, "exhausted"), (Layer.FUND, 10, "event cap"),
        (Layer.DELEVERAGING, 4, "exhausted"), (Layer.DEFERRED, 0, "residual"),
    ]  # fmt: skip
    assert of(ev.Rested, out) == [ev.Rested("a", "settled", 6 * UNIT)]
    assert net(of(Transfer, out))["a", "USD"] == 50 * UNIT


def test_what_a_wave_cost_the_funds_is_not_charged_to_those_who_are_deleveraged_later():
    one = One(tranche=100)
    one.number += 1
    one.desk.apply(ToHouse(number=one.number, at_ns=0, event=SetBreaker(level=1, at_ns=0)))
    (market,) = of(ev.PlaceOrder, one.look(1, -100, bearable_lots={"X": 1_000}))
    one.fill(1, market.order, -300, 0.95)  # 300 · (1.10 − 0.95) = 45 are the funds', 15 of them beyond the mark
    (cut,) = of(ev.Deleverage, one.look(2, -115, lots=700))
    assert (cut.order.lots, cut.order.price_nano) == (-700, 1_100_000_000)


def test_a_solvent_account_that_nobody_takes_is_offered_at_its_bankruptcy_price():
    one = One()
    one.look(0, 40)
    one.number += 1
    one.desk.apply(ToHouse(number=one.number, at_ns=0, event=SetBreaker(level=1, at_ns=0)))
    out = one.look(70, 40)
    (placed,) = of(ev.PlaceOrder, out)
    assert (placed.order.limit_nano, placed.order.lane) == (960_000_000, "wave")
    assert of(ev.Deleverage, out) == []
    one.fill(70, placed.order, -500, 0.96)
    assert one.state.spent_micro == 0


# ---------------------------------------------------------------------------------------------- events that do not fit


def test_answers_to_nothing_and_too_much_change_nothing():
    one = One()
    one.look(0, 49)
    (placed,) = of(ev.PlaceOrder, one.look(5, 45, **slices()))
    before = one.state
    assert [each.reason for each in one.fill(6, placed.order, -401)] == ["more-than-ordered"]
    assert [each.reason for each in one.fill(6, placed.order, 1)] == ["more-than-ordered"]
    assert [each.reason for each in one.do(ev.Deleveraged, 6, order=placed.order.id, parts=())] == ["unknown-order"]
    strange = ev.Order("a/9/9", "X", -5, None, 0, "slice")
    assert [each.reason for each in one.fill(6, strange)] == ["unknown-order"]
    assert (one.state.orders, one.state.version) == (before.orders, before.version)
    assert one.desk.closings["a"].answer("a/0/0", True) == []


def test_errors_leave_everything_as_it_was():
    one = One()
    one.look(3, 49)
    before = one.desk.digest()
    twice = (Winner("w", 1, 1), Winner("w", 1, 1))
    with pytest.raises(InputError, match="winners"):
        one.look(5, 45, winners=twice)
    with pytest.raises(UnknownKey, match="market"):
        one.look(5, 45, market="NONE")
    with pytest.raises(InputError, match="part of what is held"):
        one.look(9, 45, **slices(400))
    with pytest.raises(StaleEvent):
        one.look(1, 45)
    with pytest.raises(InputError, match="of the same time"):
        one.desk.apply(ToHouse(number=99, at_ns=9 * S, event=SetBreaker(level=1, at_ns=0)))
    assert one.desk.digest() == before
    with pytest.raises(UnsafeParameters):
        ClosingRules(bucket="alts", rescue_ns=-1)
    other = One()
    other.desk.rules_of = lambda _: ClosingRules(bucket="nowhere")
    with pytest.raises(UnknownKey, match="bucket"):
        other.look(3, 49)
    assert not other.desk.closings
    assert other.desk.apply(ev.Flatten(number=1, account="b", at_ns=9 * S)) == [ev.RefusedAction("b", "Flatten", "not-in-liquidation")]
    assert not other.desk.closings


def test_a_closing_alone_does_nothing_twice_and_takes_no_strange_events():
    closing = Closing("a", ClosingRules(bucket="alts"))
    held = (ev.Held("X", 1_000, 10**9, 50 * UNIT),)
    look = ev.Look(
        number=3, account="a", at_ns=0, version=0, positions=held, equity_micro=49 * UNIT, maintenance_micro=50 * UNIT, market="ALT"
    )
    assert stages(closing.apply(look)) == ["RESCUE"]
    state = closing.state
    assert closing.apply(look) == closing.apply(msgspec.structs.replace(look, number=2, equity_micro=0)) == []
    assert closing.state is state
    for strange in (msgspec.structs.replace(look, account="b", number=9), SetBreaker(level=1, at_ns=0)):
        with pytest.raises(InputError, match="this account's closing"):
            closing.apply(strange)


def test_an_account_that_recovered_in_its_auction_may_be_auctioned_again():
    one = One()
    to_auction(one)
    one.look(71, 39)
    assert [each.cause for each in of(Ended, one.look(72, 50))] == ["healthy"]
    out = one.look(73, 40)
    assert len(of(Started, out)) == 1
    assert stages(out) == []


# ---------------------------------------------------------------------------------------------- properties


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), poor=st.booleans())
@example(seed=145, poor=False)  # bids of the tick before the hand-over had taken a part of what was handed over
def test_every_invariant_holds_on_random_walks(seed, poor):
    walk = Walk(seed, poor)
    for _ in range(200):
        walk.step()
    assert walk.desk.number == walk.number


def test_long_walks_meet_every_stage_and_every_end():
    seen: dict[str, int] = {}
    for seed in range(12):
        walk = Walk(seed, poor=seed % 2 == 0)
        for _ in range(500):
            walk.step()
        for name, count in walk.seen.items():
            seen[name] = seen.get(name, 0) + count
    needed = [stage.name for stage in ev.Stage] + ["recovered", "closed", "settled", "Residual", "Withdraw", "BackstopDue", "Sold"]
    assert min(seen.get(name, 0) for name in needed) >= 2, seen


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20))
def test_two_hundred_thousand_steps_keep_every_invariant(seed):
    walk = Walk(seed, poor=seed % 2 == 0)
    for _ in range(10_000):
        walk.step()
    assert walk.seen["Rested"] > 100


@pytest.mark.parametrize("seed", [2, 11])
@pytest.mark.parametrize("cut", [0, 1, 60, 199, 350, 399])
def test_killed_anywhere_it_pays_nothing_twice_and_ends_in_the_same_hash(seed, cut):
    """A snapshot, then the journal from well before it: what was applied says nothing, the rest says the same again."""
    walk = Walk(seed, poor=True)
    snapshots = []
    for _ in range(400):
        snapshots.append(walk.desk.snapshot())
        walk.step()
    again = new_desk()
    again.restore(snapshots[cut])
    assert again.snapshot() == snapshots[cut]
    for event, expected in list(zip(walk.journal, walk.outcomes))[max(0, cut - 20) :]:
        said = again.apply(event)
        assert said == (expected if event.number > walk.journal[cut].number - 1 else [])
        assert again.apply(event) == []
    assert again.digest() == walk.desk.digest()


@given(
    short=st.integers(0, 10**18),
    positions=st.lists(st.tuples(st.integers(-(10**6), 10**6).filter(bool), st.integers(1, 10**12)), min_size=1, max_size=5),
)
def test_bankruptcy_prices_cover_the_shortage_and_a_solvent_account_gives_up_no_more_than_it_has(short, positions):
    lots = [abs(each) for each, _ in positions]
    covered = sum(n * loss for n, loss in zip(lots, bankruptcy_losses(short, positions)))
    assert short <= covered < short + sum(lots)
    given_up = -sum(n * loss for n, loss in zip(lots, bankruptcy_losses(-short, positions)))
    assert short - sum(lots) < given_up <= short
