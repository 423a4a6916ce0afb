"""The page in a real browser: what it shows, how it is used, and what it does when something goes wrong."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from conftest import ROOT
from seawall.server.dashboard.fold import fold

PAGES = ("/", "/accounts?sort=maintenance&descending=true", "/account/{worst}", "/liquidations", "/what-if?account={worst}&trade=BTC-PERP=1&move=BTC=-10",
         "/stress", "/prices", "/parameters", "/audit")  # fmt: skip
AXE = ROOT / "build" / "browser" / "axe.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

pytestmark = pytest.mark.xdist_group("test_page")  # one browser, and a scene that goes on from test to test


def worst_of(scene):
    """An account in trouble, with positions."""
    return scene.engine.worst(1)[0][0]


def settled(browse, path):
    """Waits until a page shows what it is for."""
    if path.startswith("/account/"):
        browse.until("document.querySelectorAll('table').length >= 5 && document.querySelector('canvas')")
    elif path.startswith("/what-if"):
        browse.until("document.querySelector('#answer')")
    elif path.startswith("/liquidations"):
        browse.until("document.querySelector('.panel.empty')")  # this engine closes nobody
    elif path.startswith(("/accounts", "/parameters", "/audit", "/prices")):
        browse.until("document.querySelector('tbody tr th, tbody tr td:not(.empty)')")
    else:
        browse.until("document.querySelector('table.heat')")


# -- what it shows ---------------------------------------------------------------------------


def test_the_overview_shows_what_the_engine_says(browse, scene):
    watched = browse()
    page = watched.open()
    settled(watched, "/")
    watched.until("document.querySelector('.bars dd span').textContent !== ''")
    counts = page.evaluate("window.__seawall.view.counts")
    assert counts == [scene.engine.counts[name] for name in ("ok", "margin_call", "liquidatable", "bankrupt")]
    assert page.locator(".kpi dd").first.inner_text().split("\n")[0] == f"{len(scene.engine.names):,}"
    first = page.locator("section[aria-label='Closest to liquidation'] tbody tr").first
    name = first.locator("button").inner_text()
    exact = scene.engine.figures(name)
    assert first.locator("td").nth(4).inner_text().replace("−", "-") == f"{exact.health_micro / 1e6:,.2f}"
    assert page.locator("table.heat td").count() == 45
    assert page.locator("table.heat td.worst").count() == 1


def test_the_browser_folds_the_stream_into_the_servers_view(browse, dashboard, scene):
    watched = browse()
    page = watched.open()
    frames = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(json.loads(frame))))
    page.reload()
    watched.until("window.__seawall.stats.frames >= 8")
    scene.advance(1)
    watched.until("window.__seawall.stats.frames >= 16")
    number, view = page.evaluate("[window.__seawall.frame, JSON.stringify(window.__seawall.view)]")
    held = None
    for frame in frames:
        if frame["t"] == "snap":
            held = frame["view"]
        elif frame["t"] == "d" and frame["f"] <= number:
            held = fold(held, frame)
    assert json.loads(view) == held
    assert page.evaluate("window.__seawall.stats.drops") == 0


def test_a_tick_is_seen_within_a_second(browse, scene):
    watched = browse()
    page = watched.open("/prices")
    price = str(int(float(scene.replay.prices["BTC"]) * 1.001))
    scene.tick("BTC", price)
    started = time.monotonic()
    watched.until(f"[...document.querySelectorAll('td')].some((cell) => cell.textContent === '{price}')")
    assert time.monotonic() - started < 5  # a busy machine; on a quiet one some 0.3 s
    assert page.locator("h1").inner_text() == "Prices"


def test_a_stale_price_is_told_in_words(browse, scene):
    watched = browse()
    page = watched.open("/prices")
    scene.ahead_ns = 90 * 10**9
    try:
        watched.until("document.querySelectorAll('td.st-stale').length >= 8")
        assert page.locator("td.st-stale").first.inner_text() == "stale"
        assert "stale" in page.locator("section[aria-label='Prices'] .note").first.inner_text()
        page.goto(watched.url + "/")
        watched.until("[...document.querySelectorAll('td.st-stale')].some((cell) => cell.textContent.startsWith('stale 9'))")
    finally:
        scene.ahead_ns = 0
    watched.until("document.querySelectorAll('td.st-stale').length < 8")


# -- how it is used --------------------------------------------------------------------------


def test_an_account_opens_beside_the_page_by_keyboard_and_the_focus_returns(browse):
    watched = browse()
    page = watched.open()
    row = page.locator("section[aria-label='Closest to liquidation'] tbody button").first
    row.focus()
    name = row.inner_text()
    page.keyboard.press("Enter")
    watched.until("document.querySelector('#drawer').open")
    assert page.locator("#drawer-title").inner_text() == name
    watched.until("document.querySelector('#drawer dd').textContent !== '–'")
    watched.until("document.querySelector('#drawer table')")
    page.keyboard.press("Escape")
    watched.until("!document.querySelector('#drawer').open")
    assert page.evaluate("document.activeElement.textContent") == name


def test_the_accounts_page_filters_sorts_pages_and_keeps_it_in_its_address(browse, scene):
    watched = browse()
    status = max(("margin_call", "liquidatable"), key=scene.engine.counts.get)  # the scene goes on from test to test
    words = status.replace("_", " ")
    page = watched.open("/accounts")
    settled(watched, "/accounts")
    page.get_by_label(words).check()
    wanted = scene.engine.counts[status]
    assert wanted
    watched.until(f"document.querySelector('[role=status].note').textContent === '{wanted} accounts'")
    assert f"status={status}" in page.url
    page.get_by_role("button", name="maintenance").click()
    watched.until("document.querySelector('th[aria-sort]').textContent === 'maintenance'")
    page.reload()
    settled(watched, "/accounts")
    assert page.get_by_label(words).is_checked()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    text = Path(download.value.path()).read_text()
    assert len(text.splitlines()) == wanted + 1
    assert all(f",{status}," in line for line in text.splitlines()[1:])


def test_search_finds_an_account_and_leads_to_its_page(browse, scene):
    name = worst_of(scene)
    watched = browse()
    page = watched.open("/")
    page.keyboard.press("/")
    watched.until("document.activeElement.id === 'search'")
    page.keyboard.type(name)
    watched.until("document.querySelectorAll('section[aria-label=Accounts] tbody tr').length === 1")
    page.keyboard.press("Tab")
    page.locator("tbody button").first.click()
    page.get_by_role("link", name="Open page").click()
    watched.until("location.pathname.startsWith('/account/') && document.querySelector('canvas')")
    assert page.locator("h1").inner_text() == name


def test_an_accounts_page_explains_its_margin_to_the_last_cent(browse, scene):
    name = worst_of(scene)
    watched = browse()
    page = watched.open(f"/account/{name}")
    settled(watched, "/account/")
    exact = scene.engine.figures(name)
    sums = page.locator("section[aria-label='Margin explained, leg by leg'] tbody tr").last.locator("td").all_inner_texts()
    assert sums[-2] == f"{exact.maintenance_micro / 1e6:,.2f}"
    assert sums[-1] == f"{exact.initial_micro / 1e6:,.2f}"
    assert sums[1].replace("−", "-") == f"{exact.equity_micro / 1e6:,.2f}"
    words = page.locator("section[aria-label='Equity and margin over one price'] p").last.inner_text()
    assert "iquidatable" in words or "health does not cross zero" in words
    kinds = [row["kind"] for row in scene.source.decisions(account=name)]
    shown = page.locator("section[aria-label='Decisions about this account'] tbody td.st").all_inner_texts()
    assert kinds
    assert shown == [kind.replace("_", " ") for kind in kinds]


def test_a_what_if_is_what_the_engine_says_and_is_shared_by_its_address(browse, scene):
    name = next(n for n in scene.engine.names if scene.engine.status(n) == "ok")
    watched = browse()
    page = watched.open(f"/what-if?account={name}")
    page.locator(".t-symbol").fill("BTC-PERP")
    page.locator(".t-quantity").fill("0.25")
    page.get_by_role("button", name="Evaluate").click()
    settled(watched, "/what-if")
    exact = scene.engine.what_if(name, {"BTC-PERP": "0.25"})
    cells = page.locator("#answer tbody tr").nth(1).locator("td").all_inner_texts()
    assert cells[1] == f"{exact.initial_micro / 1e6:,.2f}"
    assert "trade=BTC-PERP%3D0.25" in page.url
    page.reload()
    settled(watched, "/what-if")
    assert page.locator("#answer tbody tr").nth(1).locator("td").all_inner_texts()[1] == cells[1]


def test_a_question_that_cannot_be_is_answered_in_words(browse, scene):
    watched = browse()
    page = watched.open(f"/what-if?account={worst_of(scene)}&trade=NO-SUCH=1")
    watched.until("document.querySelector('.error')")
    assert "NO-SUCH" in page.locator(".error").inner_text()
    assert any("400" in error for error in watched.errors), "the browser notes the refused request, and nothing else"
    watched.errors.clear()


def test_the_audit_compares_what_is_recorded_with_a_full_evaluation(browse, scene):
    watched = browse()
    page = watched.open("/audit")
    page.get_by_role("button", name="Compare").click()
    watched.until("document.querySelector('#verdict')")
    text = page.locator("#verdict").inner_text()
    assert f"none of {len(scene.engine.names):,} contradicted" in text
    assert scene.engine.state_hash() in text


# -- when something goes wrong ---------------------------------------------------------------


def test_a_cut_socket_is_told_and_restored_with_a_snapshot(browse):
    watched = browse()
    page = watched.open()
    before = page.evaluate("window.__seawall.stats.opened")
    page.evaluate("window.__seawall.live.socket.close()")
    watched.until("document.querySelector('#chip').dataset.state === 'down' || window.__seawall.stats.opened > 1")
    watched.until(f"window.__seawall.stats.opened > {before} && document.querySelector('#chip').dataset.state === 'live'")
    assert page.evaluate("window.__seawall.stats.snapshots") == 2


def test_a_server_that_is_gone_is_told_at_once_and_come_back_is_found(chromium, scene):
    import socket

    from seawall.server.dashboard import vendor

    if vendor.missing():
        pytest.skip(f"the dashboard's browser files are not here: run `{vendor.HOW}`")
    from server.dashboard.browsing import Watched
    from server.dashboard.scene import served_at

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = served_at(scene, port)
    watched = Watched(chromium, running.url)
    page = watched.open()
    running.close()
    watched.until("document.querySelector('#chip').dataset.state === 'down' && !document.querySelector('#banner').hidden")
    assert "No connection" in page.locator("#banner").inner_text()
    running = served_at(scene, port)
    try:
        watched.until("document.querySelector('#chip').dataset.state === 'live' && document.querySelector('#banner').hidden")
        assert page.evaluate("window.__seawall.stats.snapshots") == 2
    finally:
        watched.errors[:] = [error for error in watched.errors if "ERR_" not in error and "WebSocket" not in error]
        watched.close()
        running.close()


def test_a_silent_engine_is_told(browse, scene):
    watched = browse()
    page = watched.open()
    scene.silent = True
    try:
        watched.until("document.querySelector('#chip-words').textContent.startsWith('engine silent')")
        assert page.evaluate("document.querySelector('#chip').dataset.state") == "late"
    finally:
        scene.silent = False
    watched.until("document.querySelector('#chip').dataset.state === 'live'")


def test_a_hole_in_the_numbers_is_not_painted_over(browse):
    watched = browse()
    page = watched.open()
    page.evaluate("window.__seawall.live.frame -= 3")
    watched.until("window.__seawall.stats.snapshots === 2 && window.__seawall.view")
    assert page.evaluate("window.__seawall.stats.drops") >= 1


def test_a_slow_client_gets_a_snapshot_and_the_others_notice_nothing(browse, dashboard):
    watched = browse()
    watched.open()
    hub = dashboard.dashboard.hub
    (client,) = [one for one in hub.clients if not one.hidden][-1:]
    held, client.take = client.take, stalled(client)  # the sender stalls, as where a socket takes nothing
    end = time.monotonic() + 60
    while not client.resyncs and time.monotonic() < end:
        time.sleep(0.05)
    assert client.resyncs >= 1
    assert len(client._queue) <= 4
    client.take = held
    watched.until("window.__seawall.stats.snapshots >= 2")


def stalled(client):
    import asyncio

    kept = client.take

    async def take():
        while client.take is not kept and not client.resyncs:
            await asyncio.sleep(0.02)
        return await kept()

    return take


def test_a_hidden_tab_holds_one_view_and_catches_up_with_one_snapshot(browse, dashboard, scene):
    watched = browse()
    page = watched.open()
    page.evaluate("() => { Object.defineProperty(document, 'hidden', { get: () => window.hiding, configurable: true }); window.hiding = true; document.dispatchEvent(new Event('visibilitychange')); }")
    end = time.monotonic() + 30
    while dashboard.dashboard.hub.looked_at and time.monotonic() < end:
        time.sleep(0.05)
    assert not dashboard.dashboard.hub.looked_at
    painted, frames = page.evaluate("[window.__seawall.stats.painted, window.__seawall.stats.frames]")
    scene.advance(0.5)
    time.sleep(2)
    assert page.evaluate("window.__seawall.stats.painted") == painted
    assert page.evaluate("window.__seawall.stats.frames") <= frames + 2, "what was on its way, and no more"
    page.evaluate("() => { window.hiding = false; document.dispatchEvent(new Event('visibilitychange')); }")
    watched.until("window.__seawall.stats.snapshots === 2")
    watched.until(f"window.__seawall.stats.painted > {painted}")


def test_pause_stops_painting_and_not_the_data(browse):
    watched = browse()
    page = watched.open()
    page.keyboard.press("p")
    assert page.locator("#pause").get_attribute("aria-pressed") == "true"
    foot, frame = page.evaluate("[document.querySelector('#foot').textContent, window.__seawall.frame]")
    watched.until(f"window.__seawall.frame > {frame + 3}")
    assert page.evaluate("document.querySelector('#foot').textContent") == foot
    page.keyboard.press("p")
    watched.until(f"document.querySelector('#foot').textContent !== {json.dumps(foot)}")


# -- for everybody ---------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_on_any_page(browse, scene, theme):
    if not AXE.exists():
        pytest.skip(f"{AXE.relative_to(ROOT)} is not there: `make setup-dev` fetches it")
    watched = browse(color_scheme=theme)
    found = {}
    for path in PAGES:
        path = path.replace("{worst}", worst_of(scene))
        page = watched.open(path)
        settled(watched, path)
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        page.add_script_tag(path=str(AXE))
        answer = page.evaluate("rules => axe.run(document, { runOnly: { type: 'tag', values: rules } })", RULES)
        found |= {f"{path} {v['id']}": [node["target"] for node in v["nodes"]][:5] for v in answer["violations"]}
    assert found == {}


def test_no_page_scrolls_sideways_on_a_phone(browse, scene):
    watched = browse(viewport={"width": 390, "height": 844})
    widths = {}
    for path in PAGES:
        path = path.replace("{worst}", worst_of(scene))
        page = watched.open(path)
        settled(watched, path)
        widths[path] = page.evaluate("document.documentElement.scrollWidth")
    assert max(widths.values()) <= 390, widths


def test_the_theme_is_kept_and_motion_is_left_out_where_it_is_not_wanted(browse):
    watched = browse(color_scheme="dark", reduced_motion="reduce")
    page = watched.open()
    page.keyboard.press("t")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.reload()
    watched.until("window.__seawall && window.__seawall.view")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    assert page.evaluate("getComputedStyle(document.querySelector('.fill')).transitionProperty") in ("none", "all")
    assert page.evaluate("getComputedStyle(document.querySelector('.fill')).transitionDuration") == "0s"


def test_the_keyboard_reaches_everything_in_order(browse):
    watched = browse()
    page = watched.open()
    seen = []
    for _ in range(14):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("(document.activeElement.textContent || document.activeElement.ariaLabel || '').trim().slice(0, 20)"))
    assert seen[0] == "Skip to content"
    assert seen[1:10] == ["Seawall", "Overview", "Accounts", "Liquidations", "What-if", "Stress", "Prices", "Parameters", "Audit"]
    assert seen[10:13] == ["Pause", "Theme", "?"]
    page.keyboard.press("2")
    watched.until("location.pathname === '/accounts'")


def test_every_page_works_under_the_policy_itself(browse, scene):
    watched = browse(bypass_csp=False)
    for path, wanted in (("/", "table.heat td"), (f"/account/{worst_of(scene)}", "canvas"), ("/stress", "table.heat td.worst"), ("/prices", "canvas")):
        watched.page.goto(watched.url + path)
        watched.page.wait_for_selector(wanted)
    width = watched.page.locator("canvas").first.bounding_box()["width"]
    assert width > 200
