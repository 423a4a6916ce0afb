"""Other bounds between two nodes of the `portfolio` scan, in float64, and what books would pay under each.

Decision 12 stands on these figures: its table is measured here. No bound but the first is in the model.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr
from tests.margin import float_reference as reference
from tests.margin.scenes import Values, market, option
from tests.margin.test_node_gap import SPOT, charged, scan_only, true_worst

from seawall.market.market import Market

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "docs" / "decisions" / "0012-the-gap-stays-a-parabola.md"
MODEL = scan_only()
WIDTH = MODEL.range_of("BTC") / 1e6
HOURS = (1, 6, 24, 72, 168, 720)
DRAWS = 8

Array = np.ndarray[Any, Any]


class Bends(NamedTuple):
    """Of one lot in each cell (float64[rows, cells]), in quote: the gap in spot, how much steeper the chord may be than the
    slope at its lower end, and the slope at its upper end than the chord; the gap and the move in volatility."""

    gap: Array
    start: Array
    end: Array
    vol: Array
    move: Array


class Scan(NamedTuple):
    """A bound: how many nodes and levels, parts of a cell that slopes are averaged over, and the rule."""

    nodes: int
    levels: int
    parts: int
    rule: Callable[[Array, Array, Array, Array, Array], Array]
    longs_are_worth_something: bool = False


def parabola(a: Array, b: Array, gap: Array, start: Array, end: Array) -> Array:
    """Least of (1 − x)·a + x·b − 4x(1 − x)·gap."""
    excess = np.maximum(0.0, gap - np.abs(a - b) / 4)
    return np.minimum(a, b) - excess**2 / np.maximum(gap, 1e-300)


def tangents(a: Array, b: Array, gap: Array, start: Array, end: Array) -> Array:
    """Least of max(a + x·(b − a − start), b − (1 − x)·(b − a + end)): at a, at b, or where the two meet."""
    meeting = (start * a + end * b - start * end) / np.maximum(start + end, 1e-300)
    return np.minimum(np.minimum(a, b), np.where(start + end > 0, meeting, np.inf))


def both(a: Array, b: Array, gap: Array, start: Array, end: Array) -> Array:
    """Least of (1 − x)·a + x·b − min(x·start, (1 − x)·end, 4x(1 − x)·gap)."""
    four = np.maximum(4 * gap, 1e-300)
    low, high = np.maximum(0.0, 1 - start / four), np.minimum(1.0, end / four)
    x = np.clip(0.5 - (b - a) / (2 * four), low, np.maximum(low, high))
    inside = (1 - x) * a + x * b - x * (1 - x) * four
    corner = np.minimum(a, b)
    return np.where(gap > 0, np.where(low < high, np.minimum(corner, inside), tangents(a, b, gap, start, end)), corner)


SCANS = {
    "parabola (the model)": Scan(9, 3, 1, parabola),
    "two tangents, 4 parts": Scan(9, 3, 4, tangents),
    "two tangents, 64 parts": Scan(9, 3, 64, tangents),
    "64 parts and the parabola": Scan(9, 3, 64, both),
    "longs worth 0 or more": Scan(9, 3, 1, parabola, True),
    "17 nodes": Scan(17, 3, 1, parabola),
    "17 nodes, 5 levels": Scan(17, 5, 1, parabola),
}


def bends(at: Market, leg: int, scan: Scan) -> Bends:
    """Certified over the steps of the price and life grids that the market is in, as `rows.fill_gaps` is."""
    legs, values = at.legs, Values(at, MODEL.parameters)
    step = WIDTH / 4 / reference.STEPS_PER_CELL
    cell = np.floor(np.log(float(legs.index[0])) / step)
    ends = np.exp(np.array([cell, cell + 1]) * step)[:, None] * float(legs.ratio[leg])
    strike, lives = float(legs.strike[leg]), reference.Rows.life_ends(values.life(leg))
    roots = [float(legs.iv[leg]) * np.sqrt(life) for life in lives]

    def vol(k: int, share: float) -> float:
        down, up = values.vol_multiples(lives[k])
        return roots[k] * (1 + (share * (1 - down) if share < 0 else share * (up - 1)))

    nodes = 1 + WIDTH * np.linspace(-1, 1, scan.nodes)
    fine = nodes[:-1, None] + np.diff(nodes)[:, None] * np.linspace(0, 1, scan.parts + 1)
    found = []
    shares = np.linspace(-1, 1, scan.levels)
    for one, other in zip(shares[:-1], shares[1:]):
        low, high = max(vol(0, one), 1e-9), max(vol(1, other), 1e-9)
        forward = ends * nodes
        k = np.log(forward / strike)
        gap = reference.bend(k, forward, low, high)
        inner = np.log(ends[:, :, None] * fine / strike)
        least = ndtr(reference.least_d1(inner[0], low, high))
        greatest = ndtr(np.maximum(inner[1] / low + low / 2, inner[1] / high + high / 2))
        length, smooth = np.diff(forward[1]), _by_gamma(k, forward, low, high)
        start = np.maximum(0.0, greatest[:, 1:] - least[:, :1]).mean(axis=1) * length
        end = np.maximum(0.0, greatest[:, -1:] - least[:, :-1]).mean(axis=1) * length
        across = reference.Rows.straying(k, forward, low, high, vol(1, other) - vol(1, one))
        between = [np.maximum(each[:-1], each[1:]) for each in across]
        found.append([gap, np.minimum(start, smooth), np.minimum(end, smooth), *between])
    scale = float(legs.lot[leg]) * np.exp(-at.rate * lives[0])
    return Bends(*(scale * np.array(each) for each in zip(*found)))


def _by_gamma(k: Array, forward: Array, low: float, high: float) -> Array:
    """½·(greatest gamma)·length²: no slope at an end is farther from the chord's."""
    least = reference.least_d1(k[0], low, high)[:-1]
    greatest = np.maximum(k[1] / low + low / 2, k[1] / high + high / 2)[1:]
    near = reference.nearest(least, greatest)
    result: Array = 0.5 * reference.density(near) / (forward[0, :-1] * low) * np.diff(forward[1]) ** 2
    return result


def charge(at: Market, lots: dict[str, int], scan: Scan) -> float:
    """Worst loss of a book of options on one underlying, in quote."""
    values = Values(at, MODEL.parameters)
    moves = 1 + WIDTH * np.linspace(-1, 1, scan.nodes)
    shares = np.linspace(-1, 1, scan.levels)
    total, shorts, now = np.zeros((scan.levels, scan.nodes)), np.zeros((scan.levels, scan.nodes)), 0.0
    nets: dict[tuple[float, int], list[int]] = defaultdict(lambda: [0, 0])
    for symbol, count in lots.items():
        leg = int(at.legs.leg_of[symbol][0])
        each = values.at(leg, moves[None, :], shares[:, None])
        total += count * each
        shorts += min(0, count) * each
        now += count * float(values.at(leg, np.ones(1), np.zeros(1))[0])
        curve = nets[float(at.legs.strike[leg]), int(at.legs.expiry_ns[leg])]
        curve[0], curve[1] = curve[0] + count, leg
    size = (scan.levels - 1, scan.nodes - 1)
    gap, start, end, stray, up, down = (np.zeros(size) for _ in range(6))
    for net, leg in nets.values():
        one = bends(at, leg, scan)
        gap, start, end = (s + max(net, 0) * x for s, x in zip((gap, start, end), one[:3]))
        stray, up, down = stray + abs(net) * one.vol, up + max(net, 0) * one.move, down + max(-net, 0) * one.move
    floors = [scan.rule(level[:, :-1], level[:, 1:], gap, start, end) for level in (total[:-1], total[1:])]
    floor = np.minimum(*floors) - np.minimum(stray, np.minimum(up, down))
    if scan.longs_are_worth_something:
        # what is short falls with volatility, and is concave in spot
        floor = np.maximum(floor, np.minimum(shorts[1:, :-1], shorts[1:, 1:]))
    return max(0.0, now - float(floor.min()))


# lots of calls or puts, from the lowest strike up; or drawn otherwise
SHAPES: dict[str, tuple[int, ...]] = {
    "a long": (1,),
    "a bull spread": (1, -1),
    "a long butterfly": (1, -2, 1),
    "a short butterfly": (-1, 2, -1),
    "a straddle": (),
    "a strangle": (),
    "a calendar spread": (),
}


def drawn(what: str) -> Iterator[tuple[Market, dict[str, int]]]:
    """Random books of a shape, with an hour to a month to live."""
    random = np.random.default_rng(12)
    for hours in HOURS:
        for _ in range(DRAWS):
            spot = SPOT * float(np.exp(random.normal(0, 0.03)))
            vol, word = float(random.choice([0.3, 0.6])), str(random.choice(["call", "put"]))
            near, side = spot * float(np.exp(random.normal(0, 0.02))), int(random.choice([-1, 1]))
            strikes = np.sort(spot * np.exp(random.normal(0, 0.08, len(SHAPES[what]))))
            if len(strikes) == 3:
                strikes[1] = (strikes[0] + strikes[2]) / 2
            rows = [option(f"O{n}", word, k, hours, vol) for n, k in enumerate(strikes)]
            lots = {f"O{n}": 1000 * count for n, count in enumerate(SHAPES[what])}
            if what == "a calendar spread":
                rows = [option("NEAR", word, near, hours, vol), option("FAR", word, near, 3 * hours, vol)]
                lots = {"NEAR": 1000 * side, "FAR": -1000 * side}
            elif not lots:
                apart = 0.02 if what == "a strangle" else 0.0
                rows = [option("C", "call", near * (1 + apart), hours, vol)]
                rows.append(option("P", "put", near * (1 - apart), hours, vol))
                lots = {"C": 1000, "P": 1000}
            yield market(rows, {"BTC": f"{spot:.2f}"}), lots


def recorded() -> tuple[list[str], dict[str, list[float]]]:
    """The table of the decision: names of the bounds, and by shape what is charged of what can be lost."""
    lines = [line for line in RECORD.read_text("utf-8").splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return cells[0][1:], {row[0]: [float(cell) for cell in row[1:]] for row in cells[2:]}


@pytest.mark.parametrize("what", SHAPES)
def test_the_figures_of_the_decision(what):
    names, figures = recorded()
    assert names == list(SCANS)
    true = 0.0
    paid = dict.fromkeys(SCANS, 0.0)
    for at, lots in drawn(what):
        worst = true_worst(at, lots, MODEL, moves=401)
        true += worst
        for name, scan in SCANS.items():
            found = charge(at, lots, scan)
            assert found >= worst - 1e-6 * SPOT, name
            paid[name] += found
    assert figures[what] == pytest.approx([each / true for each in paid.values()], abs=0.006)
    assert paid["parabola (the model)"] < paid["two tangents, 4 parts"]


def test_the_butterfly_of_the_record():
    """Of "When the models disagree": it can lose 17,500 and no more."""
    at = Market.from_document(json.loads((ROOT / "examples" / "disagreement" / "market.json").read_text("utf-8")))
    lots = {"BTC-6JAN26-109500-C": -1000, "BTC-6JAN26-111250-C": 2000, "BTC-6JAN26-113000-C": -1000}
    words = RECORD.read_text("utf-8")
    for name in ("parabola (the model)", "two tangents, 4 parts", "17 nodes", "17 nodes, 5 levels"):
        found = charge(at, lots, SCANS[name])
        assert found > true_worst(at, lots, MODEL, moves=4001)
        assert f"{found:,.0f}" in words, name
    assert charge(at, lots, SCANS["parabola (the model)"]) == pytest.approx(charged(at, lots, MODEL), rel=1e-6)


@pytest.mark.parametrize("what", SHAPES)
def test_the_first_bound_is_the_models(what):
    for at, lots in list(drawn(what))[::DRAWS]:
        assert charge(at, lots, SCANS["parabola (the model)"]) == pytest.approx(charged(at, lots, MODEL), rel=1e-6, abs=0.01)


numbers, values = st.integers(0, 10**6), st.integers(-(10**6), 10**6)


@given(a=values, b=values, gap=numbers, start=numbers, end=numbers, more=numbers)
def test_each_rule_is_the_least_of_its_curve_and_falls_with_what_it_takes_off(a, b, gap, start, end, more):
    x = np.linspace(0, 1, 2001)
    chord, off = (1 - x) * a + x * b, 4 * x * (1 - x) * gap
    under = np.minimum(x * start, (1 - x) * end)
    scale = abs(a) + abs(b) + gap + start + end
    for rule, taken in ((parabola, off), (tangents, under), (both, np.minimum(under, off))):
        least = float(rule(*map(np.float64, (a, b, gap, start, end))))
        sweep = float((chord - taken).min())
        assert sweep - 0.003 * scale - 1e-9 <= least <= sweep + 1e-9 * scale + 1e-9
        for wider in ((gap + more, start, end), (gap, start + more, end), (gap, start, end + more)):
            wide = float(rule(*map(np.float64, (a, b, *wider))))
            assert least - more - 1e-9 * (scale + more) <= wide <= least + 1e-9 * (scale + more)
