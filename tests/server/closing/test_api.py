"""Closings over real sockets: requests, looks and the stream of a service that closes failed accounts by itself."""

from __future__ import annotations

import json
import time

import pytest
from websockets.sync.client import connect

from seawall.server.api.writing import WRITES
from server.running import error_of, running

MORE = """
[closing]
rescue_s = 0
selling_s = 0.2
dust = 0
[closing.buckets.main]
opening_ppm = 1_000_000
knee_ppm = 900_000
knee_s = 30
end_s = 60
tail_s = 60
insolvent_s = 30
dust = 1
[liquidator]
beat_ms = 10
look_s = 0.05
stale_s = 0
"""


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    with running(tmp_path_factory.mktemp("venue"), MORE, model="fixed") as found:
        yield found


SCOPES = {one.path: one.scope.partition("|")[0] for one in WRITES}


def post(venue, path, body, status=200):
    with venue.client(SCOPES[path]) as client:
        answer = client.post(path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def get(venue, path, status=200):
    with venue.client("read") as client:
        answer = client.get(path)
    assert answer.status_code == status, answer.text
    return answer.json()


def until(ask, true, seconds=20):
    """Asks until an answer is as wished."""
    deadline = time.monotonic() + seconds
    while True:
        found = ask()
        if true(found):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def mark_of(venue):
    (price,) = [each for each in get(venue, "/v1/market/prices")["prices"] if each["name"] == "BTC"]
    return float(price["price"])


def test_an_account_is_auctioned_to_a_bidder_and_everything_of_it_is_heard(venue):
    mark = mark_of(venue)
    for name, amount in (("fay", mark * 0.2), ("gus", mark * 9)):
        post(venue, "/v1/accounts", {"account": name})
        post(venue, "/v1/deposits", {"account": name, "amount": f"{amount:.2f}"})
    post(venue, "/v1/fills", {"maker": "backstop", "taker": "fay", "instrument": "BTC-PERP", "quantity": "1", "price": f"{mark:.2f}"})
    with connect(f"{venue.ws}/v1/stream", additional_headers=venue.headers("read")) as stream:
        stream.send(json.dumps({"op": "subscribe", "channels": ["liquidation"], "accounts": ["fay"]}))
        assert json.loads(stream.recv(timeout=10))["type"] == "snapshot"
        post(venue, "/v1/ticks", {"prices": {"BTC": f"{mark * 0.84:.2f}"}})
        opened = until(lambda: get(venue, "/v1/auctions"), lambda found: found["auctions"] and found["auctions"][0]["fresh"])
        (sale,) = opened["auctions"]
        assert sale["owner"] == "fay"
        assert float(sale["price"]) <= float(sale["value"])
        assert [float(price) for _, price in sale["curve"]] == sorted((float(price) for _, price in sale["curve"]), reverse=True)
        (closing,) = get(venue, "/v1/closings")["closings"]
        assert (closing["stage"], closing["auction"]) == ("auction", sale["auction"])
        bid = {"auction": sale["auction"], "bidder": "gus", "share": "1", "limit": sale["value"], "version": sale["version"]}
        done = post(venue, "/v1/bids", bid)
        assert [each["what"] for each in done["closing"]] == ["bid"]
        until(lambda: get(venue, "/v1/closings"), lambda found: found["total"] == 0)
        said = []
        while "rested" not in said:
            said.append(json.loads(stream.recv(timeout=10))["data"]["what"])
    assert said[0] == "staged"
    assert {"started", "bid", "sold", "rested"} <= set(said)
    held = {each["instrument"]: each["lots"] for each in get(venue, "/v1/accounts/gus")["positions"]}
    assert held["BTC-PERP"] > 0
    assert get(venue, "/v1/accounts/fay")["state"] == "active"


def test_requests_that_cannot_be_say_where_and_nothing_is_recorded(venue):
    before = get(venue, "/v1/status")["sequence"]
    refused = {
        "/v1/reductions": {"account": "alice", "instrument": "BTC-PERP", "quantity": "-1"},
        "/v1/flattenings": {"account": "alice"},
        "/v1/executions": {"account": "alice", "order": "alice/1/1", "done": True},
        "/v1/bids": {"auction": 999, "bidder": "alice", "share": "0.5", "limit": "1", "version": 1},
        "/v1/commitments": {"bucket": "none", "provider": "alice", "amount": "100"},
        "/v1/breaker": {"level": 4},
        "/v1/fund": {"amount": "1", "market": "none"},
    }
    for path, body in refused.items():
        with venue.client(SCOPES[path]) as client:
            answer = client.post(path, json=body)
        assert answer.status_code in (400, 404), (path, answer.text)
        assert error_of(answer)["expected"]
    assert get(venue, "/v1/status")["sequence"] == before


def test_the_venue_and_providers_stand_behind_a_bucket(venue):
    post(venue, "/v1/accounts", {"account": "hal"})
    post(venue, "/v1/deposits", {"account": "hal", "amount": "5000"})
    post(venue, "/v1/deposits", {"account": "insurance", "amount": "900"})
    post(venue, "/v1/fund", {"amount": "300", "market": "BTC"})
    post(venue, "/v1/fund", {"amount": "200"})
    post(venue, "/v1/commitments", {"bucket": "main", "provider": "hal", "amount": "2000"})
    post(venue, "/v1/exits", {"bucket": "main", "provider": "hal", "amount": "500"})
    found = get(venue, "/v1/waterfall")
    tranches = {each["market"]: float(each["balance"]) for each in found["tranches"]}
    assert tranches["BTC"] >= 300
    (vault,) = found["vaults"]
    assert (float(vault["total"]), vault["providers"], len(vault["exits"])) == (2000, 1, 1)
    assert float(found["fund"]["balance"]) >= 200
    with venue.client("trade") as client:
        answer = client.post("/v1/commitments", json={"bucket": "main", "provider": "hal", "amount": "9000"})
    assert answer.status_code in (400, 422), answer.text


def test_who_would_be_deleveraged_first_has_most_profit_for_his_equity(venue):
    mark = mark_of(venue)
    for name, amount, lots in (("ida", 3, "-1"), ("jon", 1, "-1")):
        post(venue, "/v1/accounts", {"account": name})
        post(venue, "/v1/deposits", {"account": name, "amount": f"{mark * amount:.2f}"})
        post(venue, "/v1/fills", {"maker": "backstop", "taker": name, "instrument": "BTC-PERP", "quantity": lots, "price": f"{mark * 1.1:.2f}"})
    found = get(venue, "/v1/deleveraging?instrument=BTC-PERP&side=short")
    order = [row["account"] for row in found["rows"] if row["account"] in ("ida", "jon")]
    assert order == ["jon", "ida"]
    assert [row["rank"] for row in found["rows"]] == list(range(1, len(found["rows"]) + 1))
    assert all(float(row["quantity"]) < 0 for row in found["rows"])
    get(venue, "/v1/deleveraging?instrument=none&side=short", 404)


def test_a_venue_without_terms_has_no_closings(tmp_path):
    with running(tmp_path, keys=False, model="fixed") as found:
        for path in ("/v1/closings", "/v1/auctions", "/v1/waterfall", "/v1/deleveraging?instrument=BTC-PERP&side=long"):
            with found.client() as client:
                answer = client.get(path)
            assert answer.status_code == 404, path
            assert error_of(answer)["code"] == "no-closing"
        with found.client() as client:
            assert client.post("/v1/breaker", json={"level": 1}).status_code == 400


def test_metrics_tell_of_closings(venue):
    with venue.client("read") as client:
        text = client.get("/metrics").text
    assert 'seawall_closings{stage="auction"}' in text
    assert 'seawall_stage_seconds_count{stage="closing-first-look"}' in text
