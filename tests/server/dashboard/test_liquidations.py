"""The page of closings in a real browser, over the figures of a real closing desk."""

from __future__ import annotations

import pytest

from server.dashboard.closing_scene import Closings
from server.dashboard.failing import FailingVenue, drowned
from server.dashboard.test_page import AXE, ROOT, RULES

PATH = "/liquidations"
AUCTIONS = "section[aria-label='Open auctions'] tbody tr"

pytestmark = pytest.mark.xdist_group("test_liquidations")  # one browser, and a scene that goes on from test to test


@pytest.fixture(scope="module")
def closings(scene):
    made = Closings(scene.source)
    yield made
    made.restore()


def crash(accounts, beats, seed=3, falls=(-50_000, -60_000, -70_000), **funds):
    venue = FailingVenue(seed=seed, accounts=accounts, **funds)
    venue.beat()
    venue.fall(**dict(zip(("BTC", "ETH", "SOL"), falls, strict=True)))
    for _ in range(beats):
        venue.beat(5)
    return venue


def shown(watched, venue):
    """Waits until the page has painted this venue."""
    total = venue.closings()["total"]
    watched.until(f"window.__seawall.view.closing.total === {total} && document.querySelector('.steps dd span')?.textContent === '{total}'")


def money(text):
    return f"{float(text):,.2f}".replace("-", "−")


def test_an_engine_that_closes_nobody_says_so(browse, scene):
    watched = browse()
    page = watched.open(PATH)
    watched.until("document.querySelector('.panel.empty')")
    assert "closes nobody" in page.locator(".panel.empty").inner_text()
    assert page.locator("h1").inner_text() == "Liquidations"


def test_stages_levels_and_breaker_are_the_desks(browse, closings):
    venue = crash(12, 2)
    venue.breaker(1)
    closings.show(venue)
    watched = browse()
    page = watched.open(PATH)
    shown(watched, venue)
    stages = [row["stage"] for row in venue.closings()["closings"]]
    words = page.locator(".steps dt").all_inner_texts()[1:]
    counts = page.locator(".steps dd > span:first-child").all_inner_texts()
    assert words == ["rescue", "selling", "auction", "backstop", "funds", "deleveraging"]
    assert counts == [str(len(stages)), *(str(stages.count(word)) for word in words)]
    levels = dict(zip(page.locator(".seven dt").all_inner_texts(), page.locator(".seven dd").all_inner_texts(), strict=True))
    assert levels["auctions open"].startswith(f"{len(venue.desk.house.sales)}\n")
    assert levels["breaker"] == "level 1\nno new auctions"
    assert levels["global fund may pay"] == "180.0 k\nof 900.0 k, by event cap"
    assert levels["bad debt"] == "0\nno claims"


def test_an_auction_is_drawn_where_it_is_and_opens_its_account(browse, closings, scene):
    venue = crash(30, 12, seed=7)
    closings.show(venue)
    watched = browse()
    page = watched.open(PATH)
    shown(watched, venue)
    all_auctions = sorted(venue.auctions()["auctions"], key=lambda one: -float(one["requirement"]))
    lines = page.locator(AUCTIONS)
    assert lines.count() == len(all_auctions) > 8
    for k, one in enumerate(all_auctions):
        cells = lines.nth(k).locator("td").all_inner_texts()
        assert cells[0] == one["owner"]
        assert cells[1] == ("insolvent" if one["insolvent"] else "solvent")
        assert cells[4] == money(one["price"])
        assert cells[5] == money(one["value"])
    # state by shape beside the word: what stands before it differs
    shapes = page.evaluate(f"Object.fromEntries([...document.querySelectorAll({AUCTIONS!r} + ' td:nth-child(2)')].map((c) => [c.textContent, getComputedStyle(c, '::before').content]))")
    assert shapes == {"solvent": '"◇"', "insolvent": '"✕"'}
    # the disc stands between the line's ends, further right the longer the auction has run
    curve = lines.first.locator("svg")
    assert money(all_auctions[0]["price"]).lstrip("−") in curve.get_attribute("aria-label")
    before = float(curve.locator("circle").get_attribute("cx"))
    venue.beat(30)
    closings.show(venue)
    watched.until(f"Number(document.querySelector({AUCTIONS!r} + ' circle').getAttribute('cx')) > {before}")
    lines.first.locator("button").focus()
    owner = lines.first.locator("button").inner_text()
    page.keyboard.press("Enter")
    watched.until("document.querySelector('#drawer').open")
    assert page.locator("#drawer-title").inner_text() == owner
    watched.until("document.querySelector('#drawer .error')")  # the scene's engine has no such account, and says so
    assert owner in page.locator("#drawer .error").inner_text()
    page.keyboard.press("Escape")
    watched.errors[:] = [error for error in watched.errors if "400" not in error and "404" not in error]


def test_the_waterfall_shows_what_each_layer_bore_and_has_left(browse, closings):
    venue = drowned()
    closings.show(venue)
    watched = browse()
    page = watched.open(PATH)
    shown(watched, venue)
    names = page.locator(".flow .name").all_inner_texts()
    assert names == ["account margin", "proceeds", "market's tranche", "providers", "global fund", "deleveraging", "claims"]
    borne = page.locator(".flow .big").evaluate_all("list => list.map((one) => one.title)")
    assert borne[:2] == ["", ""], "what an account itself bears is not counted by the layers"
    assert page.locator(".flow .big").first.inner_text() == "–"
    assert [float(text) for text in borne[2:]] == [float(text) for text in venue.waterfall()["totals"].values()]
    providers, fund = (page.locator(".flow li").nth(k).inner_text() for k in (3, 4))
    assert "0 of 42.00 k may be lost" in providers
    assert "1 stopped" in providers
    assert "(event cap)" in fund
    assert "at its cap" in fund
    rows = page.locator("section[aria-label='The waterfall'] tbody tr")
    newest = max(venue.settled, key=lambda one: one["sequence"])
    assert rows.count() == 8
    assert newest["account"] in rows.locator("button").all_inner_texts()
    sums = [float(cell.replace(",", "")) for cell in rows.locator("td:nth-child(4)").all_inner_texts()]
    assert sum(sums) > 0


def test_the_feed_tells_events_with_their_figures_as_they_come(browse, closings):
    venue = crash(12, 12)
    closings.show(venue)
    watched = browse()
    page = watched.open(PATH)
    shown(watched, venue)
    number = next(n for n, sale in venue.desk.house.sales.items() if sale.fresh)
    venue.bid(number, 0.25, "keeper-9")
    venue.beat(1)
    closings.show(venue)
    watched.until("[...document.querySelectorAll(\"section[aria-label='What happens'] td\")].some((cell) => cell.textContent.includes('keeper-9'))")
    line = page.locator("section[aria-label='What happens'] tbody tr", has_text="keeper-9").first
    assert "sold" in line.inner_text()
    assert venue.desk.house.sales.get(number) is None or venue.desk.house.sales[number].owner in line.inner_text()


def test_ranks_are_asked_by_instrument_and_side_and_kept_in_the_address(browse, closings):
    venue = crash(12, 2)
    closings.show(venue)
    watched = browse()
    page = watched.open(PATH)
    shown(watched, venue)
    rows = "section[aria-label='Deleveraging ranks'] tbody tr"
    watched.until(f"document.querySelectorAll({rows!r} + ' button').length > 3")
    page.get_by_label("Instrument").select_option("ETH-PERP")
    page.get_by_label("Side").select_option("long")
    wanted = venue.deleveraging("ETH-PERP", "long")["rows"]
    watched.until("document.querySelector('[data-of]').dataset.of === 'ETH-PERP long'")
    assert page.locator(rows + " button").all_inner_texts() == [row["account"] for row in wanted]
    assert "instrument=ETH-PERP" in page.url
    page.reload()
    watched.until("document.querySelector('[data-of]') && document.querySelector('[data-of]').dataset.of === 'ETH-PERP long'")


def test_the_overview_shows_what_stands_behind_and_who_is_being_closed(browse, closings):
    venue = crash(12, 12)
    closings.show(venue)
    watched = browse()
    page = watched.open("/")
    total = venue.closings()["total"]
    watched.until(f"document.querySelectorAll('.ten .kpi')[6].querySelector('dd span').textContent === '{total}'")
    levels = dict(zip(page.locator(".ten dt").all_inner_texts(), page.locator(".ten dd").all_inner_texts(), strict=True))
    assert levels["being closed"] == f"{total}\n{len(venue.desk.house.sales)} auctions open"
    assert levels["fund"].startswith("900.0 k")


def test_an_accounts_page_shows_the_stage_of_its_closing_and_its_auction(browse, closings, scene):
    venue = crash(12, 12)
    number, sale = next(iter(venue.desk.house.sales.items()))
    name = scene.engine.worst(1)[0][0]
    for held in (venue.closings, venue.auctions):  # an account that the scene's engine knows
        told = held()
        for row in told.get("closings", told.get("auctions", ())):
            for key in ("account", "owner"):
                if row.get(key) == sale.owner:
                    row[key] = name
        setattr(venue, held.__name__, lambda told=told: told)
    closings.show(venue)
    watched = browse()
    page = watched.open(f"/account/{name}")
    panel = page.locator("section[aria-label='Being closed']")
    watched.until("!document.querySelector(\"section[aria-label='Being closed']\").hidden && document.querySelector(\"section[aria-label='Being closed'] canvas\")")
    words = panel.inner_text()
    assert "auction: shares to bidders" in words
    price = next(one for one in venue.auctions()["auctions"] if one["auction"] == number)["price"]
    assert money(price) in words
    assert "Price of the auction" in panel.locator("[role=img]").get_attribute("aria-label")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_with_forty_auctions_or_with_none(browse, closings, theme):
    if not AXE.exists():
        pytest.skip(f"{AXE.relative_to(ROOT)} is not there: `make setup-dev` fetches it")
    found = {}
    for venue in (FailingVenue(accounts=2), drowned()):
        closings.show(venue)
        watched = browse(color_scheme=theme)
        page = watched.open(PATH)
        shown(watched, venue)
        watched.until("document.querySelector(\"section[aria-label='Deleveraging ranks'] [data-of]\")")
        page.add_script_tag(path=str(AXE))
        answer = page.evaluate("rules => axe.run(document, { runOnly: { type: 'tag', values: rules } })", RULES)
        found |= {v["id"]: [node["target"] for node in v["nodes"]][:5] for v in answer["violations"]}
    assert found == {}


def test_it_fits_a_phone_and_works_under_the_policy_itself(browse, closings):
    closings.show(crash(40, 60))
    narrow = browse(viewport={"width": 390, "height": 844})
    page = narrow.open(PATH)
    narrow.until(f"document.querySelectorAll({AUCTIONS!r}).length > 10")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    strict = browse(bypass_csp=False)
    strict.page.goto(strict.url + PATH)
    strict.page.wait_for_selector(AUCTIONS + " circle[cx]")
    strict.page.wait_for_selector(".flow li")
