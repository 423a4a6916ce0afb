"""A cascade: the depth model's known answers, value conserved to the nano, replay by seed, and books left alone."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.core.errors import InputError, InvariantError
from seawall.margin import models
from seawall.stress.cascade.depth import DepthModel, DepthParameters, DepthRoute
from seawall.stress.cascade.dutch_policy import Dutch
from seawall.stress.cascade.loop import Run, run
from seawall.stress.cascade.policies import Dump, Slices
from seawall.stress.cascade.seawall_policy import Seawall, SeawallRules
from seawall.stress.cascade.setting import Path, Setting, path_of
from seawall.stress.cascade.venue import REST, VenueMix, given_venue, modelled_venue
from seawall.stress.crash import modelled_path

MODEL = models.get("cross")
POLICIES = (Dump, Slices, Dutch, Seawall)


def still_depth(**changes) -> DepthModel:
    """One name at 100 with 10,000 units of open interest: 20,000 units a log, no spread, no noise."""
    given = {"share_ppm": {"A": 20_000}, "spread_ppm": 0, "noise_ppm": 0, **changes}
    return DepthModel(("A",), np.array([100.0]), np.array([10_000.0]), DepthParameters(**given), 1)


def crash_path(falls: dict[str, float], seconds: int, underlyings: tuple[str, ...], first: np.ndarray) -> Path:
    """A straight fall in log price to the shares of `falls`, then flat for as long again."""
    slope = np.minimum(np.arange(2 * seconds + 1) / seconds, 1.0)
    end = np.array([np.log(1.0 - falls.get(name, 0.0)) for name in underlyings])
    return Path(first[None, :] * np.exp(slope[:, None] * end[None, :]), 1.0, "test")


@pytest.fixture(scope="module")
def venue():
    return modelled_venue(modelled_path(1).first_prices(), 1, MODEL, VenueMix(accounts=300))


# ------------------------------------------------------------------------------------------ depth


def test_a_block_of_depth_gives_the_closed_form():
    route = DepthRoute(still_depth(default_latent_ppm=1), 0, 1.0)
    # 200 units of 20,000 a log move the price by 1 %: proceeds 100 · 20,000 · (1 − e^−0.01).
    fill = route.quote(-1, 200)
    assert fill.proceeds_micro == pytest.approx(100e6 * 20_000 * -math.expm1(-0.01), rel=1e-5)
    assert fill.marginal_nano == pytest.approx(100e9 * math.exp(-0.01), rel=1e-5)


def test_latent_depth_makes_impact_concave():
    route = DepthRoute(still_depth(share_ppm={"A": 1}, default_latent_ppm=100_000), 0, 1.0)
    # A tenth of open interest rests within 10 %; a quarter of that within half of the log distance.
    assert route.depth(-1, int(100e9 / 1.1)) == pytest.approx(1_000, abs=2)
    assert route.depth(-1, int(100e9 / math.sqrt(1.1))) == pytest.approx(250, abs=2)


def test_displacement_flows_back_with_its_half_life_and_a_share_stays():
    depth = still_depth(return_s=60.0, permanent_ppm=200_000)
    depth.transient[0] = -0.10
    for _ in range(60):
        depth.advance(np.array([100.0]), 1.0)
    assert depth.transient[0] == pytest.approx(-0.05)
    assert depth.permanent[0] == pytest.approx(-0.01)


def test_depth_thins_with_volatility_and_fills_up_slowly():
    depth = still_depth(calm_ppm=400, floor_ppm=30_000, fill_s=300.0, vol_s=1e-3)
    depth.advance(np.array([100.0 * math.exp(0.0012)]), 1.0)
    assert depth.thin[0] == pytest.approx(1 / 4, rel=1e-6)
    depth.advance(np.array([200.0]), 1.0)
    assert depth.thin[0] == pytest.approx(0.03)
    for _ in range(300):
        depth.advance(np.array([200.0]), 1.0)
    assert depth.thin[0] == pytest.approx(1 - 0.97 / 2, rel=1e-6)


def test_the_mark_follows_the_price_with_a_delay():
    depth = still_depth(mark_s=10.0, return_s=1e9)
    depth.transient[0] = -0.2
    assert depth.mark[0] == 100.0
    for _ in range(10):
        depth.advance(np.array([100.0]), 1.0)
    assert math.log(depth.mark[0] / 100.0) == pytest.approx(-0.1, rel=1e-6)


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.sampled_from([-1, 1]), st.floats(-0.2, 0.2))
def test_two_orders_pay_what_one_does_and_a_round_trip_never_earns(first, second, side, here):
    def fresh() -> DepthRoute:
        depth = still_depth(spread_ppm=50)
        depth.transient[0] = here
        return DepthRoute(depth, 0, 0.1)

    apart, whole = fresh(), fresh()
    parts = apart.take(side, first).proceeds_micro + apart.take(side, second).proceeds_micro
    assert abs(parts - whole.take(side, first + second).proceeds_micro) <= 2 + abs(parts) * 1e-9
    assert whole.model.transient[0] == pytest.approx(apart.model.transient[0], abs=1e-9)
    back = apart.take(-side, first + second).proceeds_micro
    assert parts + back <= 0


@given(st.integers(50_000_000, 150_000_000), st.sampled_from([-1, 1]))
def test_no_lot_within_a_limit_is_worse_than_it(limit_kilo, side):
    route = DepthRoute(still_depth(), 0, 0.01)
    limit = limit_kilo * 10
    lots = route.depth(side, limit)
    if lots:
        assert side * route.quote(side, lots).marginal_nano <= side * limit


def test_depth_that_is_none_is_refused():
    for wrong in ({"return_s": 0.0}, {"default_share_ppm": 0}, {"permanent_ppm": 1_000_001}, {"latent_ppm": {"A": 0}}):
        with pytest.raises(InputError):
            DepthParameters(**wrong).checked()


# ----------------------------------------------------------------------------------------- a run


@pytest.mark.parametrize("policy", POLICIES)
def test_value_and_open_interest_are_conserved_through_a_crash(venue, policy):
    path = crash_path({"BTC": 0.15, "ETH": 0.3, "SOL": 0.4, "SUI": 0.6}, 60, venue.market.underlyings, venue.market.legs.index)
    one = Run(venue, MODEL, path, policy(), Setting(), 5)
    cash = int(one.world.cash_nano.sum())
    for number in range(1, len(path.prices)):
        one.step(number)
        one.world.check()
    assert int(one.world.cash_nano.sum()) == cash
    perps = one.world.tradable
    assert not np.bincount(one.world.leg, one.world.lots, len(perps))[perps].any()
    found = one.tally.outcome(policy.name, 5, 0.0)
    assert found.liquidated > 20
    # What accounts owed beyond their equity is what the layers paid, to the last micro of each payment.
    paid = found.fund + found.adl + found.deferred
    assert found.bad_debt - max(found.inherited, 0) == pytest.approx(paid, abs=2_000_000 * found.liquidated)


def test_the_check_finds_a_nano_from_nowhere(venue):
    one = Run(venue, MODEL, crash_path({}, 2, venue.market.underlyings, venue.market.legs.index), Dump(), Setting(), 5)
    one.world.check()
    one.world.cash_nano[3] += 1
    with pytest.raises(InvariantError, match="cash"):
        one.world.check()
    one.world.cash_nano[3] -= 1
    one.world.lots[0] += 1
    with pytest.raises(InvariantError, match="long equals short"):
        one.world.check()


@pytest.mark.parametrize("policy", POLICIES)
def test_the_same_seed_is_the_same_run_and_another_is_not(venue, policy):
    path = crash_path({"BTC": 0.12, "ETH": 0.2}, 30, venue.market.underlyings, venue.market.legs.index)

    def outcome(seed: int):
        return msgspec.structs.replace(run(venue, MODEL, path, policy(), Setting(), seed)[0], runtime_s=0.0, seed=0)

    first = outcome(5)
    assert outcome(5) == first
    assert outcome(6) != first


@pytest.mark.parametrize("policy", POLICIES)
def test_a_book_that_nothing_hits_is_left_alone(venue, policy):
    path = crash_path({}, 30, venue.market.underlyings, venue.market.legs.index)
    one = Run(venue, MODEL, path, policy(), Setting(), 5)
    cash, lots = one.world.cash_nano.copy(), one.world.lots.copy()
    found = one.go()
    assert (one.world.cash_nano == cash).all()
    assert (one.world.lots == lots).all()
    assert (found.liquidated, found.bad_debt, found.penalty, found.overshoot) == (0, 0, 0, 0.0)


def test_no_account_is_ever_acted_upon_while_its_health_holds(venue, monkeypatch):
    path = crash_path({"BTC": 0.15, "ETH": 0.3}, 40, venue.market.underlyings, venue.market.legs.index)
    one = Run(venue, MODEL, path, Seawall(), Setting(), 5)
    seen: set[int] = set()
    failing: set[int] = set()
    original = one.tally.closed_at

    def watch(account: int, at_s: float) -> None:
        seen.add(account)
        assert account in failing
        original(account, at_s)

    monkeypatch.setattr(one.tally, "closed_at", watch)
    step = one.policy.step

    def told(run_: Run, failed: list[int]) -> None:
        failing.clear()
        failing.update(failed)
        figures = run_.world.figures
        assert all(figures[a, 0] < figures[a, 2] for a in failed)
        step(run_, failed)

    monkeypatch.setattr(one.policy, "step", told)
    one.go()
    assert seen


def test_pro_rata_closes_no_more_than_was_needed(venue):
    path = crash_path({"BTC": 0.25, "ETH": 0.35, "SOL": 0.5}, 20, venue.market.underlyings, venue.market.legs.index)
    found, _ = run(venue, MODEL, path, Seawall(), Setting(fund_ppm=0), 5)
    assert found.adl_needed > 0
    assert found.adl_closed <= found.adl_needed


@pytest.mark.parametrize("leverage_ppm", [0, 1_000_000, 8_000_000])
def test_the_backstop_takes_no_more_than_its_equity_carries(venue, monkeypatch, leverage_ppm):
    path = crash_path({"BTC": 0.15, "ETH": 0.3, "SOL": 0.4}, 60, venue.market.underlyings, venue.market.legs.index)
    one = Run(venue, MODEL, path, Seawall(SeawallRules(backstop_leverage_ppm=leverage_ppm)), Setting(), 5)
    world, taker, taken = one.world, one.world.party["backstop"], []
    original = one.hand_over

    def watch(account: int, party: str) -> None:
        rows = [(int(world.leg[row]), int(world.lots[row])) for row in world.open_rows(account)]
        original(account, party)
        held = world.rows_of(taker)
        gross = int((np.abs(world.lots[held]) * world.mark_nano[world.leg[held]]).sum())
        assert rows
        assert not world.open_rows(account)  # all of it or nothing
        # The shortfall of who was insolvent is the funds', so the backstop's equity is never the less for a hand-over.
        assert gross <= world.equity_nano(taker) * leverage_ppm // 1_000_000
        taken.append(account)

    monkeypatch.setattr(one, "hand_over", watch)
    one.go()
    assert bool(taken) == (leverage_ppm > 0)


def test_who_must_wait_while_insolvent_is_deleveraged_before_the_wait_makes_it_dearer(venue):
    path = crash_path({"BTC": 0.25, "ETH": 0.4, "SOL": 0.5}, 60, venue.market.underlyings, venue.market.legs.index)

    def bad_debt(wait_ppm: int) -> int:
        rules = SeawallRules(wait_ppm=wait_ppm, backstop_leverage_ppm=0)
        return run(venue, MODEL, path, Seawall(rules), Setting(), 5)[0].bad_debt

    assert bad_debt(1_000_000) < bad_debt(0)


def test_an_auction_gives_keepers_shares_of_an_account_at_no_better_than_its_price(venue, monkeypatch):
    path = crash_path({"BTC": 0.12, "ETH": 0.2}, 60, venue.market.underlyings, venue.market.legs.index)
    one = Run(venue, MODEL, path, Dutch(), Setting(), 5)
    keepers, sold = set(one.keepers.rows), []
    original = one.world.trade

    def watch(account: int, other: int, leg: int, lots: int, quote: int) -> None:
        if account < one.world.accounts and other in keepers:
            mark, lowest = int(one.world.mark_nano[leg]), 1_000_000 - Dutch.floor_ppm
            assert abs(lots) <= abs(int(one.world.lots[one.world.place[account, leg]]))
            if lots < 0:  # a long is sold: at the mark or below it, never below the floor
                assert mark * lowest // 1_000_000 <= quote // lots <= mark
            sold.append(account)
        original(account, other, leg, lots, quote)

    monkeypatch.setattr(one.world, "trade", watch)
    found = one.go()
    assert sold
    assert found.auctioned > 0
    assert found.sold > 0  # what keepers could not carry went to market


# ------------------------------------------------------------------------------------- the venue


def test_every_long_has_a_short_and_everybody_starts_above_initial_margin(venue):
    sums = np.bincount(venue.accounts.leg, venue.accounts.lots, len(venue.market.legs))
    assert not sums[venue.market.legs.role == 1].any()
    one = Run(venue, MODEL, crash_path({}, 1, venue.market.underlyings, venue.market.legs.index), Dump(), Setting(), 1)
    assert (one.world.figures[:, 0] >= one.world.figures[:, 1]).all()


def test_a_given_book_is_balanced_by_the_rest_of_the_market(venue):
    some = given_venue(venue.market, venue.accounts.take(np.arange(50)))
    assert some.accounts.names[-1] == REST
    sums = np.bincount(some.accounts.leg, some.accounts.lots, len(venue.market.legs))
    assert not sums[venue.market.legs.role == 1].any()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31), st.integers(5, 60))
def test_any_seed_gives_a_balanced_book(seed, accounts):
    drawn = modelled_venue(modelled_path(1).first_prices(), seed, MODEL, VenueMix(accounts=accounts))
    drawn.accounts.check()
    sums = np.bincount(drawn.accounts.leg, drawn.accounts.lots, len(drawn.market.legs))
    assert not sums[drawn.market.legs.role == 1].any()


def test_a_path_scales_log_moves_by_the_exogenous_share():
    ticks = modelled_path(1)
    path = path_of(ticks, ("BTC", "SUI", "OTHER"), Setting(exogenous_ppm={"BTC": 500_000}, default_exogenous_ppm=0), "x")
    assert path.prices[:, 0].min() / path.prices[0, 0] == pytest.approx(math.sqrt(1 - 0.1605), rel=1e-4)
    assert np.ptp(path.prices[:, 1]) == pytest.approx(0.0, abs=1e-9)
    assert (path.prices[:, 2] == 1.0).all()
    with pytest.raises(InputError, match="a name of the market"):
        path_of(ticks, ("OTHER",), Setting(), "x")
