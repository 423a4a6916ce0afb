"""The client's methods about closings, against a real service: an account sold in slices by its executor and its owner."""

from __future__ import annotations

import time
from decimal import Decimal

import msgspec
import pytest

from seawall.client import Client, ServiceError
from seawall.client import closing_types as ct
from seawall.server.closing import said, views
from server.running import running

PAIRS = {
    ct.ClosingOrder: views.ClosingOrder, ct.Closing: views.ClosingView, ct.Closings: views.ClosingsView,
    ct.AuctionLeg: views.AuctionLeg, ct.Auction: views.AuctionView, ct.Auctions: views.AuctionsView,
    ct.Tranche: views.TrancheView, ct.Exit: views.ExitView, ct.Inventory: views.InventoryView, ct.Vault: views.VaultView,
    ct.Fund: views.FundView, ct.Claims: views.ClaimsView, ct.LayerUsed: said.LayerView, ct.Settled: said.SettledView,
    ct.Waterfall: views.WaterfallView, ct.Rank: views.RankView, ct.Deleveraging: views.DeleveragingView,
}  # fmt: skip
MORE = """
[closing]
rescue_s = 30
selling_s = 60
[liquidator]
beat_ms = 5
look_s = 0.05
stale_s = 0
"""


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    with running(tmp_path_factory.mktemp("venue"), MORE, model="fixed") as found:
        yield found


@pytest.mark.parametrize("kind", PAIRS, ids=lambda kind: kind.__name__)
def test_the_clients_records_of_closings_have_the_services_fields(kind):
    mine, theirs = (tuple(field.name for field in msgspec.structs.fields(each)) for each in (kind, PAIRS[kind]))
    assert mine == theirs


def waited(ask, true):
    deadline = time.monotonic() + 20
    while not true(found := ask()):
        assert time.monotonic() < deadline, found
        time.sleep(0.01)
    return found


def test_an_owner_rescues_himself_through_the_client(venue):
    with Client(venue.url, venue.keys["trade"]) as trade, Client(venue.url, venue.keys["admin"]) as admin:
        with Client(venue.url, venue.keys["risk"]) as risk:
            mark = next(one.price for one in risk.prices().prices if one.name == "BTC")
            trade.open_account("olga")
            admin.deposit("olga", (mark / 5).quantize(Decimal("0.01")))
            trade.fill("backstop", "olga", "BTC-PERP", 1, mark)
            with pytest.raises(ServiceError, match="at rest"):
                trade.reduce("olga", "BTC-PERP", "-0.5")
            risk.ticks({"BTC": (mark * Decimal("0.84")).quantize(Decimal("0.01"))})
            placed = trade.reduce("olga", "BTC-PERP", "-0.5")  # at once, whether the venue has looked at it yet or not
            (order,) = [one for one in placed.closing if one["what"] == "place-order"]
            assert (order["lane"], order["quantity"], order["limit"]) == ("owner", "-0.5", None)
            (closing,) = trade.closings(limit=5).closings
            assert (closing.account, closing.stage, closing.orders[0].id) == ("olga", "rescue", order["order"])
            price = (mark * Decimal("0.84")).quantize(Decimal("0.01"))
            done = trade.executed("olga", order["order"], "backstop", "-0.5", price, done=True)
            assert done.closing[0]["what"] == "executed"
            waited(trade.closings, lambda found: found.total == 0)
            assert trade.account("olga").state == "active"
            assert trade.auctions().total == 0
            assert trade.waterfall().asset == "USD"
            assert trade.deleveraging("BTC-PERP", "long", 3).side == "long"
            with pytest.raises(ServiceError, match="an open order of a closing"):
                trade.executed("olga", order["order"], done=True)
