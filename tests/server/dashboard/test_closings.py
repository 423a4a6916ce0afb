"""Sections of the view for accounts that are being closed, from a real closing desk; and asking a service for them."""

from __future__ import annotations

import asyncio
import json

import httpx
import msgspec

from seawall.server.dashboard.closings import AUCTIONS_MOST, LAYERS, STAGES, Sections, age_ms, sections, words_of
from seawall.server.dashboard.fold import difference, fold
from seawall.server.dashboard.service_closing import ServiceClosing
from seawall.server.dashboard.service_metrics import WINDOW_S, Quantile, buckets_of, stages_of
from seawall.server.dashboard.source import ClosingSeen
from seawall.server.metrics import Metrics, render
from server.dashboard.failing import FailingVenue


def crashed(accounts=12, beats=40, seed=3):
    venue = FailingVenue(seed=seed, accounts=accounts)
    venue.beat()
    venue.fall(BTC=-50_000, ETH=-60_000, SOL=-70_000)
    for _ in range(beats):
        venue.beat(2)
    return venue


def seen_of(venue, heard_s=1.0):
    news = tuple({"n": k + 1, "at_ms": at_ns // 10**6, "data": data} for k, (at_ns, data) in enumerate(venue.news))
    answers = (venue.closings(), venue.auctions(), venue.waterfall())
    return ClosingSeen("", heard_s, *msgspec.json.decode(msgspec.json.encode(answers)), news)


# -- sections --------------------------------------------------------------------------------


def test_the_sections_hold_what_the_desk_holds():
    venue = crashed()
    made = sections(seen_of(venue))
    closing, house = made["closing"], venue.desk.house
    stages = [name for name in STAGES if closing["stages"][name]]
    assert closing["total"] == len(made["closings"]) == sum(closing["stages"].values()) > 0
    assert stages
    assert closing["auctions"][0] == len(house.sales) == len(made["auctions"]) > 0
    assert closing["auctions"][2] == sum(sale.insolvent for sale in house.sales.values())
    assert float(closing["fund"]["balance"]) * 1e6 == venue.desk.layers.fund.balance_micro
    assert set(closing["totals"]) == set(LAYERS)
    for number, sale in house.sales.items():
        row = made["auctions"][str(number)]
        assert row[0] == sale.owner
        assert round(float(row[5]) * 1e6) == house.price_of(sale, venue.now_ns)
        seconds, heights = made["curves"][str(number)]
        assert len(seconds) == len(heights) == 61
        assert max(abs(height) for height in heights) == 10_000
        assert all(b <= a for a, b in zip(heights, heights[1:])), "a price never rises"
        # the floor and the shape give every price of the curve back, to 1/10,000 of its largest
        exact = [float(price) for _, price in next(one for one in venue.auctions()["auctions"] if one["auction"] == number)["curve"]]
        unit, most = float(row[16]) / 10_000, max(map(abs, exact))
        assert all(abs(height * unit - price) <= most / 5_000 for height, price in zip(heights, exact, strict=True))


def test_a_curve_does_not_travel_again_because_prices_moved():
    venue = crashed()
    before = sections(seen_of(venue))
    number = next(n for n, sale in venue.desk.house.sales.items() if not sale.insolvent)
    venue.fall(BTC=-300, ETH=-300, SOL=-300)
    venue.beat(1)
    after = sections(seen_of(venue))
    change = difference(before, after)
    assert str(number) in change["map"]["auctions"]
    assert str(number) not in change["map"].get("curves", {})
    assert json.loads(json.dumps(fold(before, change))) == json.loads(json.dumps(after))


def test_only_the_largest_auctions_are_shown_and_all_are_counted():
    seen = seen_of(crashed())
    one = seen.auctions["auctions"][0]
    many = [one | {"auction": k, "owner": f"a{k}", "requirement": str(k)} for k in range(1, AUCTIONS_MOST + 31)]
    made = sections(msgspec.structs.replace(seen, auctions={"auctions": many, "total": 500}))
    assert made["closing"]["auctions"][0] == 500
    assert sorted(map(int, made["auctions"])) == list(range(31, AUCTIONS_MOST + 31))


def test_stages_of_the_service_count_closings_that_it_did_not_list():
    seen = seen_of(crashed())
    told = seen.closings | {"total": 90_000, "stages": {"rescue": 89_000, "auction": 1_000}}
    closing = sections(msgspec.structs.replace(seen, closings=told))["closing"]
    assert closing["stages"] == dict.fromkeys(STAGES, 0) | {"rescue": 89_000, "auction": 1_000}
    assert closing["listed"] < closing["total"] == 90_000


def test_without_closings_the_reason_is_all_there_is():
    made = sections(ClosingSeen("the engine closes nobody"))
    assert made == {"closing": {"why": "the engine closes nobody"}, "closings": {}, "auctions": {}, "curves": {}, "news": []}
    assert age_ms(ClosingSeen()) == -1
    empty = sections(ClosingSeen())  # a service that has not been heard yet
    assert empty["closing"]["total"] == 0
    assert empty["closing"]["fund"] is None


def test_sections_are_made_again_only_for_new_answers():
    seen, maker = seen_of(crashed()), Sections()
    first = maker.make(seen)
    more = msgspec.structs.replace(seen, news=(*seen.news, {"n": 10**6, "at_ms": 1, "data": {"what": "rested", "account": "x", "cause": "closed"}}))
    second = maker.make(more)
    assert second["auctions"] is first["auctions"]
    assert second["news"][-1] == [10**6, 1, "rested", "x", "closed"]
    third = maker.make(msgspec.structs.replace(seen, why="gone"))
    assert third["auctions"] == {}


# -- words -----------------------------------------------------------------------------------


def test_every_kind_of_message_is_told_with_its_figures():
    venue = crashed(accounts=40, beats=120)
    number = next(n for n, sale in venue.desk.house.sales.items() if sale.fresh)
    venue.bid(number, 0.2)
    venue.beat(1)
    said = {data["what"]: words_of(data) for _, data in venue.news}
    assert {"staged", "place-order", "started", "sold"} <= set(said)
    assert " → " in said["staged"]
    assert said["sold"].startswith(("20.0% to keeper-1", "1"))
    assert "refused" not in said
    assert all(text and "{" not in text and "None" not in text for text in said.values()), said


def test_a_message_of_a_kind_or_shape_not_known_is_told_field_by_field():
    assert words_of({"what": "brand-new", "account": "a", "some_figure": "12.5", "inner": {"deep": 3}, "empty": None}) == "some figure 12.5 · inner deep 3"
    assert words_of({"what": "sold", "account": "a", "share_sold": "0.5"}) == "share sold 0.5"
    assert words_of({"what": "settled", "need": "1", "layers": [{"layer": "new", "paid": "2"}]}) == "need 1 · layers new 2"


def test_a_sale_without_an_account_is_told_of_the_auctions_owner():
    venue = crashed()
    number, sale = next(iter(venue.desk.house.sales.items()))
    seen = msgspec.structs.replace(seen_of(venue), news=({"n": 1, "at_ms": 5, "data": {"what": "restarted", "auction": number}},))
    assert sections(seen)["news"] == [[1, 5, "restarted", sale.owner, f"auction {number}"]]


# -- a service -------------------------------------------------------------------------------


class Answers:
    """A service's three looks, and how often each was asked for."""

    def __init__(self, venue):
        self.venue, self.asked, self.fails, self.points = venue, [], None, 0

    def __call__(self, request):
        self.asked.append(request.url.path)
        if self.fails is not None:
            return httpx.Response(self.fails, json={"error": {"code": "x"}})
        looks = {"/v1/closings": self.venue.closings, "/v1/auctions": lambda: self.auctions(request.url.params), "/v1/waterfall": self.venue.waterfall}
        if request.url.path == "/v1/deleveraging":
            return httpx.Response(200, json=self.venue.deleveraging(request.url.params["instrument"], request.url.params["side"]))
        return httpx.Response(200, json=looks[request.url.path]())


    def auctions(self, params):
        """A page of them, with as many points as asked."""
        found = self.venue.auctions()
        offset, points = int(params.get("offset", 0)), int(params["points"])
        page = found["auctions"][offset : offset + int(params["limit"])]
        self.points += points * len(page)
        for row in page:
            row["curve"] = row["curve"][:: 60 // (points - 1)] if points else []
        return found | {"auctions": page}


def asking(answers):
    http = httpx.AsyncClient(base_url="http://service", transport=httpx.MockTransport(answers))
    return ServiceClosing("http://service", {}, http)


def rounds(closing, seconds):
    async def run():
        task = asyncio.create_task(closing.run())
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def test_a_services_answers_become_sections():
    answers = Answers(crashed())
    closing = asking(answers)
    assert closing.seen(True).why
    rounds(closing, 0.1)
    made = sections(closing.seen(True))
    assert made["closing"]["auctions"][0] == len(answers.venue.desk.house.sales)
    assert age_ms(closing.seen(True)) >= 0


def test_while_nobody_looks_a_quiet_service_is_asked_little_and_not_for_curves():
    answers = Answers(FailingVenue(accounts=1))
    rounds(asking(answers), 1.4)
    assert answers.asked == ["/v1/waterfall", "/v1/closings", "/v1/auctions"]
    assert answers.points == 0


def test_a_curve_is_asked_for_once_and_again_when_its_auction_has_changed():
    venue = crashed(accounts=60, seed=5)
    answers = Answers(venue)
    closing = asking(answers)
    closing.seen(True)
    count = len(venue.desk.house.sales)
    assert count > 25, "more than one page"

    async def run():
        for _ in range(1 + count // 20):
            found = await closing._ask()
        drawn = answers.points
        again = await closing._ask()
        assert answers.points == drawn, "nothing has changed"
        number, sale = next((n, s) for n, s in venue.desk.house.sales.items() if s.fresh and not s.insolvent)
        venue.bid(number, 0.05)
        venue.beat(1)
        await closing._ask()
        assert drawn < answers.points <= drawn + 8 * 31, "those that changed, and neighbours of their page"
        return found, again

    found, again = asyncio.run(run())
    assert answers.points
    made = sections(again)
    assert len(made["auctions"]) == len(made["curves"]) == count == len(sections(found)["curves"])
    for one in venue.auctions()["auctions"]:
        row = made["auctions"].get(str(one["auction"]))
        if row is not None and row[3] == one["version"] and not one["insolvent"]:
            most = max(abs(float(price)) for _, price in one["curve"])
            assert abs(row[16] - most) <= max(0.02, 0.002 * most)


def test_a_service_without_closings_is_told_in_words_and_one_that_fails_keeps_its_last():
    answers = Answers(crashed())
    answers.fails = 404
    closing = asking(answers)
    rounds(closing, 0.1)
    assert "closes nobody" in closing.seen(True).why
    answers.fails = None
    rounds(closing, 0.1)
    assert not closing.seen(True).why
    answers.fails = 503
    rounds(closing, 0.1)
    assert not closing.seen(True).why
    assert "503" in closing.problem
    assert closing.seen(True).closings["total"] > 0


def test_stages_of_more_closings_than_are_listed_come_from_the_metrics():
    answers = Answers(crashed())
    closing = asking(answers)
    told = answers.venue.closings()
    answers.venue.closings = lambda: told | {"total": 7_000}
    closing.stages = stages_of('seawall_closings{stage="rest"} 3\nseawall_closings{stage="rescue"} 6990\nseawall_closings{stage="funds"} 10\n')
    rounds(closing, 0.1)
    stages = sections(closing.seen(True))["closing"]["stages"]
    assert stages == dict.fromkeys(STAGES, 0) | {"rescue": 6_990, "funds": 10}


def test_many_who_ask_for_one_ranking_cost_one_question():
    answers = Answers(crashed())
    closing = asking(answers)

    async def ask():
        return await asyncio.gather(*(closing.deleveraging("BTC-PERP", "short", 50) for _ in range(10)), closing.deleveraging("BTC-PERP", "long", 50))

    found = asyncio.run(ask())
    assert answers.asked == ["/v1/deleveraging"] * 2
    assert all(one == found[0] for one in found[:10])
    assert found[0]["rows"]
    assert found[-1]["side"] == "long"


# -- latency of ticks ------------------------------------------------------------------------


def test_the_percentile_of_the_last_minute_is_read_from_what_the_service_prints():
    metrics, found = Metrics(), Quantile()
    for _ in range(100):
        metrics.observe("tick", 0.4)  # before anybody looked
    found.add(0.0, buckets_of(render(metrics, ()), "tick"))
    for k in range(1_000):
        metrics.observe("tick", 0.0015 if k % 100 else 0.015)
        metrics.observe("write", 9.0)
    found.add(10.0, buckets_of(render(metrics, ()), "tick"))
    assert found.count == 1_000
    assert 0.001 <= found.seconds <= 0.002
    found.add(10.0 + WINDOW_S, buckets_of(render(metrics, ()), "tick"))
    found.add(20.0 + WINDOW_S, buckets_of(render(metrics, ()), "tick"))
    assert (found.count, found.seconds) == (0, None)


def test_a_service_that_began_anew_is_counted_anew():
    old, new, found = Metrics(), Metrics(), Quantile()
    for _ in range(50):
        old.observe("tick", 2.0)
    new.observe("tick", 0.0001)
    found.add(0.0, buckets_of(render(old, ()), "tick"))
    found.add(1.0, buckets_of(render(new, ()), "tick"))
    assert found.count == 1
    assert found.seconds <= 0.0002
    assert buckets_of("nothing here", "tick") == {}
