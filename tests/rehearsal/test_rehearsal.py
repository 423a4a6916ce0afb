"""The rehearsal: files that a service takes, markets outside that keep to their orders, and a small crash with real processes."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from seawall.client import ServiceError
from seawall.client.types import Message
from seawall.core.units import parse_decimal
from seawall.rehearsal.outside import Outside
from seawall.rehearsal.processes import KEEPERS, Processes
from seawall.rehearsal.venue import MAKER, load, prepare
from seawall.server.config import load_config


class Street:
    """A client that remembers what it was told. refused: orders that the venue does not know any more."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.prices: list[dict[str, str]] = []
        self.refused: set[str] = set()
        self.messages: list[Message] = []

    async def stream(self, channels):
        assert channels == ["liquidation"]
        for message in self.messages:
            yield message

    async def ticks(self, prices: dict[str, str], source: str) -> None:
        assert source == "outside"
        self.prices.append(prices)

    async def executed(self, **fields: Any) -> None:
        if fields["order"] in self.refused:
            raise ServiceError(422, {"code": "input", "place": "order", "found": "none", "expected": "one"})
        self.told.append(fields)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("venue"), 200, 3, 600.0, "cross", dashboard=False)


@pytest.fixture
def outside(files):
    document = msgspec.json.decode((load_folder(files) / "market.json").read_bytes())
    return Outside(files, Street(), document)


def load_folder(files):
    return Path(files.folder)


def place(outside: Outside, id: str, quantity: str, limit: str | None, together: str = "", instrument: str = "BTC-PERP") -> None:
    outside._take("a", {"order": id, "instrument": instrument, "quantity": quantity, "limit": limit}, together)


def test_the_files_are_a_venue_that_can_be_served_and_read_again(files):
    folder = load_folder(files)
    config = load_config(folder / "venue.toml")
    assert config.closing is not None
    assert config.venue.model == "cross"
    assert set(config.liquidator.depth) == set(files.interest_units)
    assert load(folder) == files
    assert files.fund < files.committed


def test_an_order_is_filled_at_its_limit_or_better_and_what_is_left_rests(outside):
    price = outside.model.mid[0]
    place(outside, "far", "-1", f"{price * 2:.0f}")
    place(outside, "near", "-1000", f"{price * 0.99:.0f}")
    asyncio.run(outside._work())
    (fill,) = outside.client.told
    assert (fill["order"], fill["maker"], fill["done"]) == ("near", MAKER, False)
    assert Decimal(fill["price"]) >= Decimal(f"{price * 0.99:.0f}")
    assert -1000 < Decimal(fill["quantity"]) < 0
    assert set(outside.orders) == {"far", "near"}
    asyncio.run(outside._work())
    assert len(outside.client.told) == 1, "the book has moved: nothing more within the limit"


def test_what_was_sold_moves_the_price_that_the_venue_hears_and_comes_back(outside):
    calm = float(outside.model.mark[0])
    place(outside, "big", "-200", None)
    asyncio.run(outside._work())
    assert outside.client.told[0]["done"]
    pressed = []
    for _ in range(600):
        outside.model.advance(outside.path.prices[0], 1.0)
        pressed.append(float(outside.model.mark[0]))
    assert min(pressed) < calm * 0.99
    assert pressed[-1] > min(pressed)


def test_orders_that_go_together_are_filled_all_or_none(outside):
    price = outside.model.mid
    place(outside, "leg one", "-0.1", f"{price[0] * 0.9:.0f}", "pair")
    place(outside, "leg two", "-0.1", f"{price[1] * 2:.0f}", "pair", "ETH-PERP")
    asyncio.run(outside._work())
    assert outside.client.told == []
    place(outside, "leg two", "-0.1", f"{price[1] * 0.9:.0f}", "pair", "ETH-PERP")
    asyncio.run(outside._work())
    assert [each["order"] for each in outside.client.told] == ["leg one", "leg two"]
    assert not outside.orders


def test_a_withdrawn_order_is_confirmed_and_one_that_the_venue_forgot_is_dropped(outside):
    place(outside, "gone", "-0.1", None)
    outside.client.messages = [Message(n=1, seq=1, at_ns=1, type="liquidation", data={"what": "withdraw", "account": "a", "order": "gone"})]
    asyncio.run(outside.follow())
    assert outside.client.told == [{"account": "a", "order": "gone", "done": True}]
    assert not outside.orders
    place(outside, "forgotten", "-0.1", None)
    outside.client.refused.add("forgotten")
    asyncio.run(outside._work())
    assert not outside.orders


def test_prices_are_decimals_that_a_venue_takes(outside):
    outside.path = msgspec.structs.replace(outside.path, prices=outside.path.prices[:3])
    asyncio.run(outside.prices())
    assert len(outside.client.prices) == 3
    for text in outside.client.prices[0].values():
        assert parse_decimal(text, "price") > 0


def test_a_crash_with_real_processes_begins_and_leaves_nobody_behind(tmp_path):
    rehearsal = prepare(tmp_path / "venue", 60, 3, 3_000.0, "cross", dashboard=False)
    with Processes(rehearsal) as processes:
        processes.serve()
        processes.fund()
        processes.keepers()
        processes.crash()
        running = dict(processes._running)
        assert set(running) == {"service", "outside", *KEEPERS}
        first = processes.client.prices().prices[0].price
        end = time.monotonic() + 60
        while processes.client.prices().prices[0].price >= first * Decimal("0.97"):
            assert not processes.over
            assert time.monotonic() < end, "no crash came"
            time.sleep(0.1)
        waterfall = processes.client.waterfall()
        assert waterfall.vaults[0].total > 0
        assert len(waterfall.tranches) == len(rehearsal.interest_units)
        processes.rest()
        assert set(processes.profits()) == set(KEEPERS)
    assert [name for name, process in running.items() if process.poll() is None] == []
