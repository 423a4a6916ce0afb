"""The published corridor: wherever prices, vols, bases and time go inside it, a full evaluation says what it said.

The full evaluations are of `evaluate_bound` on a snapshot, and the status rule is the twin's; the engine is asked for
its corridors and, where an account has open orders, for what those cost.
"""

from __future__ import annotations

import random
from decimal import Decimal
from statistics import median

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import samples
from engine.books import HOUR_NS, MODELS, Case, random_case
from engine.paths import Path
from engine.test_leader import document, rows, with_options
from engine.twin import STATUSES, Twin, next_level
from seawall.core import events
from seawall.core.errors import InputError, LimitExceeded
from seawall.engine.banded import Banded
from seawall.engine.corridor import HAIR, Corridors
from seawall.engine.loop import Engine
from seawall.ledger.accounts import Accounts
from seawall.margin import models
from seawall.margin.evaluate import evaluate_bound
from seawall.market.market import Market
from seawall.stress.crash import modelled_crash
from seawall.stress.population import populate

CERTIFYING = ("fixed", "cross", "portfolio", "dydx")
BANDED = ("expected-shortfall", "value-at-risk", "greeks")
POINTS = 6  # looks inside each corridor


def chosen(low: int, high: int, rng: random.Random) -> int:
    """An end, mostly, or a point between."""
    return rng.choice((low, high, rng.randint(low, high)))


def inside(engine: Engine, found: Corridors, rng: random.Random, point: int) -> Market:
    """A market inside every band at once: the first two points are the lowest and the highest corner, at the end."""
    corner = {0: 0, 1: 1}.get(point)
    prices, moved = {}, {}
    for each in found.corridors:
        ends = (each.low_nano, each.high_nano)
        nano = ends[corner] if corner is not None else chosen(*ends, rng)
        prices[each.underlying] = Decimal(nano).scaleb(-9)
        moved[each.underlying] = each
    end_ns = found.until_ns if corner is not None else chosen(found.at_ns, found.until_ns, rng)
    market = engine.market.with_index(prices)
    vols = {}
    for symbol, one in market.instruments.items():
        each = moved.get(one.underlying)
        if each is None or 0 < one.expiry_ns <= market.as_of_ns:
            continue
        if one.kind == "option" and each.vol_ppm:
            share = rng.choice((-1, 1, rng.uniform(-1, 1))) * each.vol_ppm * 1e-6
            vols[symbol] = f"{float(market.legs.iv[market.legs.leg_of[symbol][0]]) * (1 + share):.9f}"
        if one.kind in ("perpetual", "future") and each.basis_ppm:
            share = rng.choice((-1, 1, rng.uniform(-1, 1))) * each.basis_ppm * 1e-6
            market = market.with_mark(symbol, f"{market.mark(symbol) * (1 + share):.12g}")
    market = market.with_iv(vols) if vols else market
    return market.at(end_ns)


def alone(twin: Twin, place: int) -> Accounts:
    """One of the twin's accounts."""
    held = sorted(twin.held[place].items())
    return Accounts(
        names=[twin.names[place]],
        cash_nano=np.array([twin.cash_nano[place]], np.int64),
        row_ptr=np.array([0, len(held)], np.int64),
        leg=np.array([leg for leg, _ in held], np.int32),
        lots=np.array([lots for _, lots in held], np.int64),
    )


def status_at(twin: Twin, place: int, market: Market, level: int) -> int | None:
    """What a full evaluation there makes of a status; None where a market cannot be that large."""
    try:
        result = evaluate_bound(alone(twin, place), twin.model.tables(market), twin.model)
    except LimitExceeded:
        return None
    equity, initial = int(result.equity_micro[0]), int(result.initial_margin_micro[0])
    return next_level(level, equity, initial, int(result.maintenance_margin_micro[0]))


def look_inside(engine: Engine, twin: Twin, rng: random.Random) -> dict[str, int]:
    """Checks every account without open orders at points inside its corridor; counts what it has met."""
    met = dict.fromkeys(("certified", "lead", "hot", "looks", "vols", "bases", *STATUSES), 0)
    busy = twin.with_orders()
    for place, name in enumerate(twin.names):
        found = engine.corridors(name)
        assert (found.account, found.status, found.at_ns) == (name, STATUSES[twin.levels[place]], engine.at_ns)
        if found.none:
            assert not found.corridors
            assert found.until_ns == 0
            met["hot"] += 1
            continue
        met["certified"] += 1
        met["lead"] += found.lead is not None
        met[found.status] += 1
        assert found.until_ns >= engine.at_ns
        assert all(each.low_nano <= each.price_nano <= each.high_nano for each in found.corridors)
        met["vols"] += any(each.vol_ppm for each in found.corridors)
        met["bases"] += any(each.basis_ppm for each in found.corridors)
        if place in busy:
            continue
        level = twin.levels[place]
        for point in range(POINTS):
            market = inside(engine, found, rng, point)
            after = status_at(twin, place, market, level)
            met["looks"] += after is not None
            assert after in (level, None), (found, market.index, market.as_of_ns, point)
    return met


def follow(case: Case, count: int, expect_moves: bool) -> tuple[Engine, Twin]:
    """An engine, and its twin for the book and the statuses, after some events of the case's path."""
    engine, twin = Engine(case.book, case.market, case.model, expect_moves=expect_moves), Twin(case)
    twin.decisions(engine)
    path = Path(case)
    for _ in range(count):
        event = path.next(twin)
        twin.apply(event)
        engine.apply(event)
        if isinstance(event, events.Withdraw | events.Order) and engine.requests.last.admitted:
            twin.admit(event)
        twin.decisions(engine)
    return engine, twin


@pytest.mark.parametrize("model_name", [*CERTIFYING, "expected-shortfall", "greeks"])
@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10**6), count=st.integers(0, 12), expect_moves=st.booleans())
def test_nothing_happens_anywhere_inside_a_corridor(model_name: str, seed: int, count: int, expect_moves: bool) -> None:
    engine, twin = follow(random_case(seed, model_name), count, expect_moves)
    met = look_inside(engine, twin, random.Random(seed))
    assert met["certified"] + met["hot"] == len(twin.names)


@pytest.mark.parametrize("model_name", [*CERTIFYING, "expected-shortfall", "greeks"])
def test_the_cases_have_corridors_of_every_sort(model_name: str) -> None:
    """What makes the property worth having."""
    total: dict[str, int] = {}
    for seed in range(12):
        engine, twin = follow(random_case(seed, model_name), seed % 4 * 3, seed % 2 == 0)
        for word, number in look_inside(engine, twin, random.Random(seed)).items():
            total[word] = total.get(word, 0) + number
    assert total["certified"] > total["hot"]
    assert total["looks"] > 3 * total["certified"]
    assert all(total[word] for word in ("ok", "margin_call", "liquidatable"))
    assert bool(total["bases"]) == (model_name not in BANDED)  # bands from slopes keep no room for moves
    assert bool(total["vols"]) == (model_name not in ("dydx", *BANDED))


def hedged(model_name: str, kind: str) -> Case:
    """Hedged accounts near a line: those of `test_leader.py`, or such that hold none of the leader, which others do."""
    if kind != "without":
        room = {"cross": 0.05, "fixed": 0.16, "portfolio": 0.2}[model_name]
        return Case(0, model_name, document(), (with_options if kind == "options" else rows)(room))
    prices = {"BTC": 100_000.0, "ETH": 4_000.0, "SOL": 200.0, "DOGE": 0.25, "XRP": 2.5, "LTC": 100.0}
    perpetual = {"kind": "perpetual", "lot": "0.0001"}
    listed = [{**perpetual, "symbol": f"{u}-PERP", "underlying": u, "mark": f"{p:.2f}"} for u, p in prices.items()]
    board = {**document(), "underlyings": {u: {"index": f"{p:.2f}"} for u, p in prices.items()}, "instruments": listed}
    rng, held = random.Random(11), []
    for number in range(60):
        held += [(f"b{number}", "BTC-PERP", 1.0), (f"b{number}", "USD", 90_000.0)]
    for number in range(40):
        worth = 100_000 * rng.uniform(0.5, 2.0)
        for (name, price), share in zip(list(prices.items())[1:], (1, -0.25, -0.25, -0.25, -0.25)):
            held.append((f"a{number}", f"{name}-PERP", worth * share / price))
        held.append((f"a{number}", "USD", worth * 0.03 * rng.uniform(1, 1.3)))
    found = [{"account": name, "instrument": symbol, "quantity": f"{size:.4f}"} for name, symbol, size in held]
    return Case(0, model_name, board, found)


def shaken(case: Case, seed: int) -> tuple[Engine, Twin]:
    """After some seconds of common moves, so that the present is nowhere near the middle of the bands."""
    engine, twin = Engine(case.book, case.market, case.model), Twin(case)
    twin.decisions(engine)
    rng = np.random.default_rng(seed)
    for _ in range(5):
        move = 0.01 * rng.standard_normal()
        for name, price in twin.market.index.items():
            moved = float(price) * np.exp(move + 0.002 * rng.standard_normal())
            event = events.Tick(at_ns=twin.at_ns + 10**9, underlying=name, price=f"{moved:.6f}")
            twin.apply(event)
            engine.apply(event)
            twin.decisions(engine)
    return engine, twin


BY_LEADER = [("cross", "plain"), ("fixed", "plain"), ("portfolio", "plain"), ("portfolio", "options"), ("cross", "without")]


@pytest.mark.parametrize(("model_name", "kind"), BY_LEADER)
def test_the_box_of_a_certificate_in_a_leaders_coordinates_holds_and_lies_inside_it(model_name: str, kind: str) -> None:
    led = 0
    for seed in range(4):
        engine, twin = shaken(hedged(model_name, kind), seed)
        led += look_inside(engine, twin, random.Random(seed))["lead"]
        for place, name in enumerate(twin.names):
            found = engine.corridors(name)
            if found.lead is not None:
                assert (found.lead.underlying in {each.underlying for each in found.corridors}) == (kind != "without")
                assert_inside(engine, found)
                for nano in (found.lead.low_nano, found.lead.high_nano):
                    market = together(engine.market, found, nano)
                    assert status_at(twin, place, market, twin.levels[place]) == twin.levels[place]
    assert led >= 10


def assert_inside(engine: Engine, found: Corridors) -> None:
    """Every corner of the box is in the leader's band and in those of the ratios."""
    lead = found.lead
    assert lead is not None
    box = {each.underlying: (each.low_nano, each.high_nano) for each in found.corridors}
    assert all(high > low for low, high in box.values())
    assert set(lead.ratios) == set(box) - {lead.underlying}
    here = int(engine.market.index[lead.underlying] * 10**9)
    low_nano, high_nano = box.get(lead.underlying, (here, here))
    assert lead.low_nano <= low_nano <= high_nano <= lead.high_nano
    for other, (low, high) in lead.ratios.items():
        assert low < box[other][0] / high_nano * (1 + 2 * HAIR)
        assert box[other][1] / low_nano * (1 - 2 * HAIR) < high


def together(market: Market, found: Corridors, nano: int) -> Market:
    """Everything moves as the leader does, which goes to an end of its own band, beyond the box."""
    assert found.lead is not None
    share = Decimal(nano) / int(market.index[found.lead.underlying] * 10**9)
    moved = {name: (price * share).quantize(Decimal("1e-9")) for name, price in market.index.items()}
    return market.with_index({**moved, found.lead.underlying: Decimal(nano).scaleb(-9)})


def seen(engine: Engine, account: str) -> bool:
    """Whether the latest event woke an account."""
    if isinstance(engine.watch, Banded):
        return engine.account_of(account) in engine.watch.woken
    return int(engine.watch.state.seen[engine.account_of(account)]) == engine.watch.version


@pytest.mark.parametrize("model_name", [*CERTIFYING, "greeks"])
@pytest.mark.parametrize("seed", range(8))
def test_a_corridor_is_the_band_that_the_engine_stands_by_to_the_nano(model_name: str, seed: int) -> None:
    """Not wider, not narrower: no price inside wakes the account, and the next price outside does."""
    case = random_case(seed, model_name)
    rng = random.Random(seed)
    engine = Engine(case.book, case.market, case.model)
    names = [name for name in engine.names if engine.corridors(name).corridors]
    for name in rng.sample(names, min(4, len(names))):
        found = engine.corridors(name)
        for each in found.corridors:
            for nano in (each.low_nano, each.high_nano, each.price_nano):
                tick(engine, each.underlying, nano)
                assert not seen(engine, name)
        if found.lead is None and found.corridors:
            each = rng.choice(found.corridors)
            tick(engine, each.underlying, rng.choice((each.low_nano - 1, each.high_nano + 1)))
            assert seen(engine, name)
            tick(engine, each.underlying, each.price_nano)
        assert engine.audit() == []


def tick(engine: Engine, underlying: str, nano: int) -> None:
    engine.tick(underlying, f"{Decimal(nano).scaleb(-9):f}")


@pytest.mark.parametrize("model_name", ["cross", "portfolio", "value-at-risk", "greeks"])
@pytest.mark.parametrize("seed", range(6))
def test_open_orders_are_counted(model_name: str, seed: int) -> None:
    """The engine itself walks to corners of the corridor: the status stands at every step, and by a full evaluation."""
    engine, twin = follow(random_case(seed, model_name), 40, seed % 2 == 0)
    rng = random.Random(seed)
    busy = sorted(twin.with_orders())
    for place in busy:
        name = twin.names[place]
        for _ in range(3):
            found = engine.corridors(name)
            for each in found.corridors:
                tick(engine, each.underlying, rng.choice((each.low_nano, each.high_nano)))
                assert engine.status(name) == found.status
                assert name not in engine.audit()
            if found.corridors and rng.random() < 0.5:
                engine.clock(found.until_ns)
                assert engine.status(name) == found.status
    assert engine.audit() == []


def test_accounts_with_open_orders_have_corridors() -> None:
    found = []
    for seed in range(4):
        engine, twin = follow(random_case(seed, "cross"), 40, False)
        found += [engine.corridors(twin.names[place]) for place in twin.with_orders()]
    assert any(one.corridors for one in found)


def test_the_demos_accounts_have_corridors_worth_having() -> None:
    board, _ = modelled_crash(7)
    market = Market.from_document(board.document)
    engine = Engine(populate(market, 500, 7), market, "portfolio", expect_moves=True)
    found = [engine.corridors(name) for name in engine.names if engine.status(name) == "ok"]
    certified = [one for one in found if not one.none]
    assert len(certified) > 0.98 * len(found) > 400
    widths = [(c.high_nano - c.low_nano) / c.price_nano for one in certified for c in one.corridors]
    assert min(widths) > 0
    assert median(widths) > 0.3
    assert median(one.until_ns - one.at_ns for one in certified) > HOUR_NS


# -- why there is none, and what ends one ---------------------------------------------------------------


def engine_of(model_name: str, *positions: tuple[str, str, str], **options: bool) -> Engine:
    columns = ("account", "instrument", "quantity")
    case = Case(0, model_name, samples.market_document(), [dict(zip(columns, row)) for row in positions])
    return Engine(case.book, case.market, case.model, **options)


def test_a_model_that_is_swept_has_no_corridors_and_says_so() -> None:
    case = random_case(0, "derive-portfolio")
    engine = Engine(case.book, case.market, case.model, expect_moves=True)
    for name in engine.names:
        found = engine.corridors(name)
        assert "evaluated at every event" in found.none
        assert (found.corridors, found.until_ns, found.status) == ((), 0, engine.status(name))


def test_an_account_on_its_line_has_no_corridor_and_says_so() -> None:
    engine = engine_of("cross", ("a", "BTC-PERP", "1"), ("a", "USD", "60000"))
    engine.withdraw("a", f"{Decimal(engine.figures('a').free_collateral_micro).scaleb(-6)}")
    found = engine.corridors("a")
    assert "no certificate" in found.none
    assert (found.corridors, found.until_ns) == ((), 0)


def test_an_account_without_positions_can_only_run_out_of_time() -> None:
    found = engine_of("portfolio", ("a", "USD", "100")).corridors("a")
    assert (found.corridors, found.none) == ((), "")
    assert found.until_ns > found.at_ns


def test_an_unknown_account_is_refused() -> None:
    with pytest.raises(InputError, match="nobody"):
        engine_of("cross", ("a", "USD", "100")).corridors("nobody")


def test_a_corridor_ends_before_the_next_stage_of_a_change_of_parameters() -> None:
    engine = engine_of("fixed", ("a", "BTC-PERP", "1"), ("a", "USD", "60000"))
    assert engine.corridors("a").until_ns > engine.at_ns + HOUR_NS
    engine.set_parameters({"maintenance_ppm": "80000"}, glide_ns=HOUR_NS)
    stage_ns = -(-HOUR_NS // 32)
    assert engine.corridors("a").until_ns == engine.at_ns + stage_ns - 1
    engine.clock(engine.at_ns + 5 * stage_ns)
    assert engine.corridors("a").until_ns == engine.at_ns + stage_ns - 1


def test_room_for_vols_and_bases_is_kept_once_they_may_move_and_used_up_by_their_moves() -> None:
    positions = (("a", "BTC-DEC-120000-C", "1"), ("a", "BTC-PERP", "0.1"), ("a", "USD", "60000"), ("b", "BTC-PERP", "1"), ("b", "USD", "60000"))
    (still,) = engine_of("portfolio", *positions).corridors("a").corridors
    assert (still.vol_ppm, still.basis_ppm) == (0, 0)
    engine = engine_of("portfolio", *positions, expect_moves=True)
    (before,) = engine.corridors("a").corridors
    assert before.vol_ppm
    assert before.vol_ppm > 10_000
    assert before.basis_ppm
    assert before.basis_ppm > 500
    (linear,) = engine.corridors("b").corridors
    assert linear.vol_ppm is None  # a perpetual does not depend on vols
    assert linear.basis_ppm
    vol = float(engine.market.legs.iv[engine.market.legs.leg_of["BTC-DEC-120000-C"][0]])
    engine.surface({"BTC-DEC-120000-C": f"{vol * 1.005:.9f}"})
    (after,) = engine.corridors("a").corridors
    assert not seen(engine, "a")
    assert after.vol_ppm == pytest.approx(before.vol_ppm - 5_000, abs=20)
    assert (after.low_nano, after.high_nano) == (before.low_nano, before.high_nano)


def test_expecting_moves_changes_no_decision() -> None:
    case = random_case(5, "portfolio")
    engines = [Engine(case.book, case.market, case.model, expect_moves=expected) for expected in (False, True)]
    twin, path = Twin(case), Path(case)
    twin.decisions(engines[0])
    for _ in range(40):
        event = path.next(twin)
        twin.apply(event)
        first, second = (engine.apply(event) for engine in engines)
        assert [msg.cause for msg in first] == [msg.cause for msg in second]
        assert first == second
        if isinstance(event, events.Withdraw | events.Order) and engines[0].requests.last.admitted:
            twin.admit(event)
        twin.decisions(engines[0])
    assert engines[0].state_hash() == engines[1].state_hash()


def test_every_model_that_certifies_is_here() -> None:
    assert {name for name in MODELS if models.get(name).certifies} == set(CERTIFYING)
    assert {name for name in MODELS if models.get(name).banded} == set(BANDED)
