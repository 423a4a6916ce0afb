"""The dashboard over a running service that closes accounts: its page, its feed, and the shapes that other tests make by hand."""

from __future__ import annotations

import msgspec
import pytest

from seawall.server.closing import views
from seawall.server.dashboard import vendor
from server.closing.test_api import MORE, mark_of, post, until
from server.dashboard.failing import FailingVenue, drowned
from server.dashboard.screen import Screen
from server.running import running


def all_of(kind):
    """A view whose fields are all to be there and no others, however deep."""
    names = {each.name for each in msgspec.structs.fields(kind)}
    return names, {each.name: each.type for each in msgspec.structs.fields(kind)}


def same_shape(found, kind, place=""):
    """Fails where an answer made by hand has fields that the service's has not, or lacks one."""
    names, types = all_of(kind)
    assert set(found) == names, place
    for name, value in found.items():
        inner = getattr(types[name], "__args__", (None,))[0]
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct) and not isinstance(value, dict):
            for each in value:
                same_shape(each, inner, f"{place}.{name}")
        elif isinstance(types[name], type) and issubclass(types[name], msgspec.Struct):
            same_shape(value, types[name], f"{place}.{name}")


def test_answers_made_by_hand_have_the_services_shapes():
    for venue in (FailingVenue(), drowned()):
        for answer, kind in (
            (venue.closings(), views.ClosingsView),
            (venue.auctions(), views.AuctionsView),
            (venue.waterfall(), views.WaterfallView),
            (venue.deleveraging("BTC-PERP", "short"), views.DeleveragingView),
        ):
            msgspec.convert(answer, kind)
            same_shape(msgspec.json.decode(msgspec.json.encode(answer)), kind, kind.__name__)


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    """A service that closes accounts, and one of them long a bitcoin at its limit."""
    with running(tmp_path_factory.mktemp("venue"), MORE, model="fixed") as found:
        mark = mark_of(found)
        for name, amount in (("fay", mark * 0.2), ("gus", mark * 9)):
            post(found, "/v1/accounts", {"account": name})
            post(found, "/v1/deposits", {"account": name, "amount": f"{amount:.2f}"})
        post(found, "/v1/fills", {"maker": "backstop", "taker": "fay", "instrument": "BTC-PERP", "quantity": "1", "price": f"{mark:.2f}"})
        post(found, "/v1/deposits", {"account": "insurance", "amount": "900"})
        post(found, "/v1/fund", {"amount": "300", "market": "BTC"})
        yield found


@pytest.fixture(scope="module")
def screen(venue):
    found = Screen(venue)
    yield found
    found.close()


def test_an_auction_of_a_running_service_is_seen_until_it_is_sold(venue, screen, chromium):
    if vendor.missing():
        pytest.skip(f"the dashboard's browser files are not here: run `{vendor.HOW}`")
    from server.dashboard.browsing import Watched

    watched = Watched(chromium, screen.url)
    page = watched.open("/liquidations")
    watched.until("document.querySelector('.seven dd')")
    watched.until("window.__seawall.view.closing.tranches.some(([, balance]) => Number(balance) === 300)")
    mark = mark_of(venue)
    post(venue, "/v1/ticks", {"prices": {"BTC": f"{mark * 0.84:.2f}"}})
    watched.until("Object.values(window.__seawall.view.auctions).some((row) => row[0] === 'fay')")
    watched.until("[...document.querySelectorAll(\"section[aria-label='Open auctions'] td\")].some((cell) => cell.textContent === 'fay')")
    told = page.locator("section[aria-label='What happens'] tbody tr")
    assert any("→ auction" in line for line in told.all_inner_texts())
    assert page.evaluate("window.__seawall.view.closing.breaker") == 0
    page.locator("section[aria-label='Open auctions'] tbody button").first.click()
    watched.until("document.querySelector('#drawer table')")
    assert "BTC-PERP" in page.locator("#drawer").inner_text()
    page.keyboard.press("Escape")
    page.goto(watched.url + "/account/fay")
    watched.until("document.querySelector(\"section[aria-label='Being closed'] canvas\")")
    page.goto(watched.url + "/liquidations?instrument=BTC-PERP&side=short")
    watched.until("document.querySelector('[data-of]') && document.querySelector('[data-of]').dataset.of === 'BTC-PERP short'")

    def bid():
        with venue.client("read") as client:
            sales = client.get("/v1/auctions").json()["auctions"]
        if sales and sales[0]["fresh"]:
            sale = sales[0]
            body = {"auction": sale["auction"], "bidder": "gus", "share": "1", "limit": sale["value"], "version": sale["version"]}
            with venue.client("trade") as client:
                client.post("/v1/bids", json=body)
        return sales

    until(bid, lambda sales: not sales)
    watched.until("Object.keys(window.__seawall.view.auctions).length === 0 && window.__seawall.view.closing.total === 0")
    watched.until("window.__seawall.view.news.some((one) => one[2] === 'sold' && one[3] === 'fay') && window.__seawall.view.news.some((one) => one[2] === 'rested')")
    assert page.locator("section[aria-label='Open auctions'] td.empty").count() == 1
    watched.close()
