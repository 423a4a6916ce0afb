"""The dashboard over a running service: board, stream and API together, and what each end does without the other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from websockets.sync.client import connect

from conftest import environment
from seawall.server.dashboard import vendor
from seawall.server.dashboard.fold import fold
from server.dashboard.screen import START_S, Screen
from server.running import running


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    """A service under the portfolio model, with keys."""
    with running(tmp_path_factory.mktemp("venue"), model="portfolio") as found:
        yield found


@pytest.fixture(scope="module")
def screen(venue):
    found = Screen(venue)
    yield found
    found.close()


def tick(venue, **prices):
    answer = venue.client("risk").post("/v1/ticks", json={"prices": prices})
    assert answer.status_code == 200, answer.text


def rows_of(screen):
    return {row[0]: row[1:] for row in screen.get("/api/accounts?sort=account&limit=100")["rows"]}


def micro(text):
    return round(float(text) * 1e6)


def near(text):
    """An amount of a second later or earlier: options lose time value meanwhile."""
    return pytest.approx(micro(text), rel=1e-6)


def test_accounts_are_those_of_users_with_the_boards_status(venue, screen):
    rows = rows_of(screen)
    assert set(rows) == {"alice", "bob", "carol", "dora"}
    for name, (level, equity, _, maintenance) in rows.items():
        view = venue.client().get(f"/v1/accounts/{name}").json()
        assert ("ok", "margin_call", "liquidatable", "bankrupt")[level] == view["status"]
        assert equity == near(view["figures"]["equity"])
        assert maintenance == near(view["figures"]["maintenance_margin"])
    facts = screen.get("/api/facts")
    assert (facts["kind"], facts["model"], facts["settlement"]) == ("service", "portfolio", "USD")


def test_a_fall_is_seen_in_statuses_decisions_and_full_figures(venue, screen):
    screen.until(lambda: screen.get("/api/decisions"), lambda found: found == [])
    before = rows_of(screen)["bob"][0]
    assert before == 0
    tick(venue, ETH="4900")  # bob is short
    bob = venue.client().get("/v1/accounts/bob").json()
    assert bob["status"] in ("liquidatable", "bankrupt")
    screen.until(lambda: rows_of(screen)["bob"], lambda row: row[0] >= 2 and row[1] == near(bob["figures"]["equity"]))
    found = screen.until(lambda: screen.get("/api/decisions?account=bob"), bool)
    assert found[0]["status"] == bob["status"]
    assert found[0]["cause"].startswith("tick ETH")
    tick(venue, ETH="3500")
    screen.until(lambda: rows_of(screen)["bob"][0], lambda level: level == before)


def test_an_account_is_explained_as_the_service_would(venue, screen):
    for name in ("alice", "carol"):
        found = screen.get(f"/api/account/{name}")
        margin = venue.client().get(f"/v1/accounts/{name}/margin").json()
        assert micro(found["explain"]["maintenance_margin"]) == near(margin["maintenance_margin"])
        assert micro(found["equity"]) == near(margin["equity"])
        assert found["state"] == "active"
        assert {row["underlying"] for row in found["corridor"]["corridors"]} <= {"BTC", "ETH", "SOL"}
        curve = screen.get(f"/api/account/{name}/curves?underlying=BTC&span_ppm=300000")
        assert len(curve["prices"]) == len(curve["equity"]) >= 90


def test_a_what_if_is_the_services(venue, screen):
    answer = screen.http.post("/api/account/dora/what-if", json={"trades": [["ETH-PERP", "1"]]})
    assert answer.status_code == 200, answer.text
    theirs = venue.client().post("/v1/accounts/dora/what-if", json={"trades": [["ETH-PERP", "1"]]}).json()
    assert micro(answer.json()["after"]["initial"]) == near(theirs["initial_margin"])


def test_what_the_key_may_not_see_is_said(screen):
    found = screen.get("/api/audit")
    assert found["state_hash"] is None
    assert "403" in found["journal"]["writes"]
    assert found["journal"]["state"] == "ok"


def test_it_may_be_killed_and_the_service_does_not_notice(venue):
    screen = Screen(venue)
    assert screen.get("/api/accounts")["total"] == 4
    os.kill(screen.process.pid, signal.SIGKILL)
    assert screen.process.wait(30) == -signal.SIGKILL
    screen.http.close()
    screen.process.stderr.close()
    tick(venue, BTC="99000")
    assert venue.client().get("/v1/status").json()["state"] == "ok"
    again = Screen(venue)
    assert set(rows_of(again)) == {"alice", "bob", "carol", "dora"}
    again.close()


def test_a_service_that_has_gone_silent_leaves_its_last_figures_with_their_age(tmp_path):
    with running(tmp_path, model="portfolio") as venue:
        screen = Screen(venue)
        before = screen.until(lambda: rows_of(screen), lambda rows: len(rows) == 4)
        with connect(screen.url.replace("http", "ws", 1) + "live", origin=screen.url.rstrip("/")) as socket:
            assert json.loads(socket.recv())["view"]["head"]["accounts"] == 4
    time.sleep(2)  # longer than a board is believed
    try:
        assert rows_of(screen) == before
        with connect(screen.url.replace("http", "ws", 1) + "live", origin=screen.url.rstrip("/")) as socket:
            view = json.loads(socket.recv())["view"]
        assert sum(view["counts"]) == view["head"]["accounts"] == 4
        assert view["head"]["heard_ms"] > 1_500
        assert screen.http.get("/api/account/alice").status_code == 503
    finally:
        screen.close()


def test_how_long_ticks_take_is_told(venue, screen):
    with connect(screen.url.replace("http", "ws", 1) + "live", origin=screen.url.rstrip("/")) as socket:
        view = json.loads(socket.recv())["view"]
        end = time.monotonic() + START_S
        price = 99_000
        while "tick_p99_us" not in view["head"]:
            price += 1
            tick(venue, BTC=str(price))
            frame = json.loads(socket.recv())
            view = fold(view, frame) if frame["t"] == "d" else frame.get("view", view)
            assert time.monotonic() < end, view["head"]
    assert 0 < view["head"]["tick_p99_us"] < 10e6
    assert view["head"]["tick_count"] >= 1


def test_a_venue_that_closes_nobody_is_told(screen):
    with connect(screen.url.replace("http", "ws", 1) + "live", origin=screen.url.rstrip("/")) as socket:
        closing = json.loads(socket.recv())["view"]["closing"]
    assert "closes nobody" in closing["why"]
    assert screen.http.get("/api/deleveraging?instrument=BTC-PERP&side=short").status_code == 503
    assert screen.http.get("/api/deleveraging?instrument=BTC-PERP&side=up").status_code == 400


def test_what_cannot_be_moved_is_refused_and_a_page_that_is_not_there_is_a_page(screen):
    answer = screen.http.post("/api/account/dora/what-if", json={"vol": -2})
    assert answer.status_code == 400
    assert "more than -100 %" in answer.json()["error"]["words"]
    gone = screen.http.get("/nowhere-at-all")
    assert gone.status_code == 404
    assert "no such page" in gone.text
    assert screen.http.get("/api/nothing").json()["error"]["words"]


def test_without_a_service_it_says_so_and_ends(tmp_path):
    line = [sys.executable, "-m", "seawall.server.dashboard", "--service", "http://127.0.0.1:9", "--board", str(tmp_path / "none"), "--port", "0"]
    done = subprocess.run(line, capture_output=True, text=True, env=environment(), timeout=START_S)
    assert done.returncode == 2
    assert "does not answer" in done.stderr.splitlines()[-1]


def test_stress_and_live_frames_come_over_the_whole_book(venue, screen, chromium):
    if vendor.missing():
        pytest.skip(f"the dashboard's browser files are not here: run `{vendor.HOW}`")
    from server.dashboard.browsing import Watched

    watched = Watched(chromium, screen.url)
    page = watched.open("/stress")
    page.wait_for_selector("table.heat td.worst", timeout=START_S * 1000)
    view = page.evaluate("window.__seawall.view")
    grid = view["stress"]
    assert grid["accounts"] >= 4
    now = grid["cells"][grid["vol"].index(0)][grid["spot"].index(0)]
    assert now["counts"][1:] == view["counts"][1:], "the venue's own accounts are nobody's risk"
    assert view["head"]["accounts"] == sum(view["counts"]) == 4
    assert set(view["prices"]) == {"BTC", "ETH", "SOL"}
    watched.open("/")
    watched.close()
