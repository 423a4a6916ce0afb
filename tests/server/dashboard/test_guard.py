"""Who may look: host, origin, token, and the headers of every answer."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI, WebSocket
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from seawall.core.errors import InputError
from seawall.server.dashboard.guard import COOKIE, CSP, Guard, is_loopback

TOKEN = "0123456789abcdef0123"


def inner():
    app = FastAPI()

    @app.get("/")
    async def page():
        return {"page": True}

    @app.post("/ask")
    async def ask():
        return {"asked": True}

    @app.websocket("/live")
    async def live(socket: WebSocket):
        await socket.accept()
        await socket.send_text("frame")
        await socket.close()

    return app


def client(base="http://127.0.0.1:8810", **options):
    return TestClient(Guard(inner(), **{"host": "127.0.0.1", **options}), base_url=base, follow_redirects=False)


def test_every_answer_carries_the_policy():
    answer = client().get("/")
    assert answer.headers["content-security-policy"] == CSP
    assert "unsafe" not in CSP
    assert "default-src 'self'" in CSP
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("host", ["0.0.0.0", "10.1.2.3", "::", "venue.example"])
def test_beyond_loopback_without_a_token_does_not_start(host):
    with pytest.raises(InputError, match="token"):
        Guard(inner(), host=host)


def test_a_token_that_could_be_guessed_is_refused():
    with pytest.raises(InputError, match="at least 16"):
        Guard(inner(), host="127.0.0.1", token="secret")


def test_what_is_loopback():
    assert all(map(is_loopback, ["127.0.0.1", "127.1.2.3", "localhost", "::1"]))
    assert not any(map(is_loopback, ["0.0.0.0", "192.168.0.1", "example.org", "::"]))


def test_another_name_for_this_address_is_refused():
    answer = client("http://attacker.example:8810").get("/")
    assert answer.status_code == 421
    assert client("http://localhost:8810").get("/").status_code == 200
    assert client("http://venue.example", hosts=("venue.example",)).get("/").status_code == 200


@pytest.mark.parametrize(("origin", "status"), [("http://127.0.0.1:8810", 200), ("http://attacker.example", 403), (None, 403), ("null", 403)])
def test_a_post_must_come_from_our_own_pages(origin, status):
    headers = {"origin": origin} if origin else {}
    assert client().post("/ask", headers=headers).status_code == status


def test_a_socket_of_another_origin_is_refused_and_our_own_is_served():
    ours = {"origin": "http://127.0.0.1:8810", "host": "127.0.0.1:8810"}
    with client().websocket_connect("/live", headers=ours) as socket:
        assert socket.receive_text() == "frame"
    for origin in ("http://attacker.example", "http://127.0.0.1:9999"):
        with pytest.raises(WebSocketDisconnect) as refused, client().websocket_connect("/live", headers=ours | {"origin": origin}):
            raise AssertionError("it was accepted")
        assert refused.value.code == 4403


def test_with_a_token_nothing_is_answered_without_it():
    with client(token=TOKEN) as browser:
        assert browser.get("/").status_code == 401
        assert browser.get("/?token=wrong-but-long-enough").status_code == 401
        with pytest.raises(WebSocketDisconnect), browser.websocket_connect("/live", headers={"origin": "http://127.0.0.1:8810", "host": "127.0.0.1:8810"}):
            raise AssertionError("it was accepted")


def test_a_token_in_the_address_becomes_a_cookie_that_scripts_cannot_read():
    with client(token=TOKEN) as browser:
        answer = browser.get(f"/?status=bankrupt&token={TOKEN}")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/?status=bankrupt"
        cookie = answer.headers["set-cookie"]
        assert f"{COOKIE}={TOKEN}" in cookie
        assert all(word in cookie for word in ("HttpOnly", "SameSite=Strict"))
        assert browser.get("/").status_code == 200


def test_a_redirect_never_leaves_the_host():
    guarded = Guard(inner(), host="127.0.0.1", token=TOKEN)
    with TestClient(guarded, base_url="http://127.0.0.1:8810", follow_redirects=False) as browser:
        answer = browser.send(httpx.Request("GET", f"http://127.0.0.1:8810//attacker.example/?token={TOKEN}", headers={"host": "127.0.0.1:8810"}))
        assert answer.headers["location"].startswith("/")
        assert not answer.headers["location"].startswith("//")


def test_a_program_uses_a_header_and_needs_no_origin():
    with client(token=TOKEN) as program:
        assert program.get("/", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert program.post("/ask", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert program.get("/", headers={"authorization": "Bearer no"}).status_code == 401
