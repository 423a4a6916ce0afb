"""Books hedged across underlyings: bands in the leader's price and the ratios to it, and what they save."""

from __future__ import annotations

import random

import numpy as np
import pytest

from engine.books import AS_OF_NS, Case
from engine.follow import Pair
from seawall.core import events
from seawall.core.times import format_ns
from seawall.engine.loop import Engine

SECOND_NS = 10**9
PRICES = {"BTC": 100_000.0, "ETH": 4_000.0, "SOL": 200.0}
ACCOUNTS = 40


def document():
    return {
        "version": 1,
        "as_of": format_ns(AS_OF_NS),
        "settlement": "USD",
        "rate": "0",
        "underlyings": {name: {"index": f"{price:.2f}"} for name, price in PRICES.items()},
        "instruments": [
            {"symbol": f"{name}-PERP", "kind": "perpetual", "underlying": name, "lot": "0.0001", "mark": f"{price:.2f}"}
            for name, price in PRICES.items()
        ]
        + [
            option("BTC-P", "BTC", "put", "98000"),
            option("BTC-C", "BTC", "call", "103000"),
            option("ETH-P", "ETH", "put", "3900"),
            option("ETH-C", "ETH", "call", "4100"),
        ],
    }


def option(symbol, underlying, right, strike):
    return {
        "symbol": symbol,
        "kind": "option",
        "underlying": underlying,
        "right": right,
        "strike": strike,
        "expiry": format_ns(AS_OF_NS + 72 * 3_600 * SECOND_NS),
        "forward": f"{PRICES[underlying]:.2f}",
        "iv": "0.6",
        "lot": "0.1",
    }


def rows(room):
    """Accounts long one underlying and short the others for the same worth; cash for `room`
    times what the whole position is worth."""
    rng = random.Random(11)
    out = []
    for number in range(ACCOUNTS):
        worth = 100_000 * rng.uniform(0.5, 2.0)
        for name, share in (("BTC", 1.0), ("ETH", -0.6), ("SOL", -0.4)):
            quantity = round(worth * share / PRICES[name], 4)
            out.append({"account": f"a{number}", "instrument": f"{name}-PERP", "quantity": f"{quantity:.4f}"})
        out.append({"account": f"a{number}", "instrument": "USD", "quantity": f"{worth * room * rng.uniform(1, 1.3):.2f}"})
    return out


def play(target, seconds, common, own, drift=0.0, seed=3):
    """Ticks in which everything moves together by `common` a second, and each by `own` besides."""
    rng = np.random.default_rng(seed)
    prices = dict(PRICES)
    for second in range(1, seconds + 1):
        move = drift + common * rng.standard_normal()
        for name in prices:
            prices[name] *= float(np.exp(move + own * rng.standard_normal()))
            target(events.Tick(at_ns=AS_OF_NS + second * SECOND_NS, underlying=name, price=f"{prices[name]:.4f}"))


def touches(model_name, room, **path):
    engine = Engine(Case(0, model_name, document(), rows(room)).book, market(), model_name)
    before = engine.metrics["touched"]
    play(engine.apply, 300, **path)
    assert engine.audit() == []
    return engine.metrics["touched"] - before


def market():
    return Case(0, "cross", document(), []).market


@pytest.mark.parametrize(("model_name", "room"), [("cross", 0.11), ("portfolio", 0.3)])
def test_a_common_move_touches_hedged_books_less_than_ratios_that_move_as_much(model_name, room):
    together = touches(model_name, room, common=0.002, own=0.0001)
    apart = touches(model_name, room, common=0.0001, own=0.002)
    assert 3 * together < apart


@pytest.mark.parametrize("model_name", ["cross", "portfolio"])
@pytest.mark.parametrize(("common", "own", "drift"), [(0.003, 0.0005, 0.0), (0.002, 0.002, -0.002), (0.02, 0.01, 0.0)])
def test_hedged_books_are_declared_when_a_full_evaluation_declares_them(model_name, common, own, drift):
    pair = Pair(Case(0, model_name, document(), rows(0.3)))
    play(pair.apply, 60, common, own, drift)
    assert pair.engine.audit() == []


def with_options(room):
    """Hedged books that are also short calls and puts near the money."""
    rng = random.Random(12)
    out = rows(room)
    for number in range(ACCOUNTS):
        for name in rng.sample(["BTC-P", "BTC-C", "ETH-P", "ETH-C"], 2):
            size = rng.choice((-4, -2, 1)) if name.startswith("BTC") else rng.choice((-90, -40, 30))
            out.append({"account": f"a{number}", "instrument": name, "quantity": str(size / 10)})
    return out


@pytest.mark.parametrize("room", [0.25, 0.3])
@pytest.mark.parametrize(("common", "own", "drift"), [(0.0005, 0.0002, 0.0), (0.001, 0.0003, -0.0005), (0.003, 0.001, 0.0)])
def test_hedged_option_books_on_their_lines_are_declared_as_by_a_full_evaluation(room, common, own, drift):
    """Margin calls that live on certificates of one anchor cell in between leave the leader's coordinates."""
    pair = Pair(Case(0, "portfolio", document(), with_options(room)))
    play(pair.apply, 60, common, own, drift)
    assert pair.engine.audit() == []
