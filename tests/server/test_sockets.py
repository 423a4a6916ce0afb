"""The two WebSockets over real sockets: questions, the stream, who is too slow, who sends garbage, whose key is revoked."""

from __future__ import annotations

import json
import socket
import struct
import time
from contextlib import contextmanager

import httpx
import msgspec
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from seawall.server.keys import KeyFile
from server.running import running

STREAM = "[stream]\nkept = 256\nbehind = 64\nstalled_s = 1.5\nprices_every_ms = 20\n"


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    with running(tmp_path_factory.mktemp("venue"), STREAM) as found:
        yield found


def open_socket(venue, path="/v1/ws", scope="read", **options):
    return connect(
        venue.ws + path, additional_headers=venue.headers(scope), compression=None, proxy=None, max_size=1 << 26, **options
    )


def ask(one, **question):
    one.send(json.dumps(question))
    return json.loads(one.recv(10))


@contextmanager
def subscribe(venue, channels, accounts=(), scope="read", **more):
    with open_socket(venue, "/v1/stream", scope) as one:
        one.send(json.dumps({"op": "subscribe", "channels": list(channels), "accounts": list(accounts)} | more))
        yield one, json.loads(one.recv(10))


def tick(venue, price, name="BTC"):
    with venue.client("risk") as client:
        answer = client.post("/v1/ticks", json={"prices": {name: str(price)}, "source": "test"})
        assert answer.status_code == 200, answer.text


def deposit(venue, account="alice", amount="1"):
    with venue.client("admin") as client:
        return client.post("/v1/deposits", json={"account": account, "amount": amount}).json()


# -- questions ----------------------------------------------------------------------------------


def test_a_question_is_answered_as_over_http(venue):
    trades = [["BTC-PERP", "0.5"]]
    with venue.client("read") as client, open_socket(venue) as one:
        over_http = client.post("/v1/accounts/alice/what-if", json={"trades": trades}).json()
        answer = ask(one, id=7, op="what-if", account="alice", trades=trades)
        assert answer == {"id": 7, "ok": True, "data": over_http}
        order = {"instrument": "BTC-PERP", "quantity": "1", "price": "1"}
        checked = client.post("/v1/accounts/alice/check", json=order).json()
        assert ask(one, id="x", op="check", account="alice", **order)["data"] == checked
        account = client.get("/v1/accounts/alice").json()
        assert ask(one, op="account", account="alice")["data"] == account
        assert ask(one, op="margin", account="alice")["data"] == account["figures"]
        assert ask(one, op="ping") == {"id": None, "ok": True, "data": {}}
        assert ask(one, op="corridors", account="bob")["data"]["account"] == "bob"
        assert [each["name"] for each in ask(one, op="prices")["data"]["prices"]] == ["BTC", "ETH", "SOL"]


def test_binary_frames_are_messagepack(venue):
    with open_socket(venue) as one:
        one.send(msgspec.msgpack.encode({"id": 1, "op": "margin", "account": "alice"}))
        packed = msgspec.msgpack.decode(one.recv(10))
        assert packed == ask(one, id=1, op="margin", account="alice")


def test_many_questions_at_once_are_all_answered_in_their_order(venue):
    with open_socket(venue) as one:
        for k in range(500):
            one.send(json.dumps({"id": k, "op": "what-if", "account": "bob", "trades": [["ETH-PERP", "1"]]}))
        assert [json.loads(one.recv(10))["id"] for _ in range(500)] == list(range(500))


@pytest.mark.parametrize(
    ("frame", "status", "code"),
    [
        ("{", 400, "unreadable-file"),
        ("[]", 400, "input-error"),
        ('{"op":"fly"}', 400, "input-error"),
        ('{"op":"margin"}', 400, "missing-key"),
        ('{"op":"margin","account":"nobody"}', 404, "unknown-account"),
        ('{"op":"margin","account":"alice","x":1}', 400, "unknown-key"),
        ('{"op":"what-if","account":"alice","trades":[["X","1"]]}', 404, "unknown-instrument"),
        (b"\xc1", 400, "unreadable-file"),
        ("[" * 10_000, 400, "input-error"),
    ],
)
def test_what_cannot_be_answered_says_why_and_the_socket_lives_on(venue, frame, status, code):
    with open_socket(venue) as one:
        one.send(frame)
        found = one.recv(10)
        found = json.loads(found) if isinstance(found, str) else msgspec.msgpack.decode(found)
        assert (found["ok"], found["status"], found["error"]["code"]) == (False, status, code)
        assert ask(one, op="ping")["ok"]


def test_writes_need_their_scope_over_a_socket_too(venue):
    money = {"type": "deposit", "account": "dora", "amount": "3"}
    with open_socket(venue, scope="trade") as one:
        refused = ask(one, id=1, op="write", request=money)
        assert (refused["status"], refused["error"]["code"]) == (403, "scope")
    with open_socket(venue, scope="admin") as one:
        done = ask(one, id=2, op="write", request=money, idempotency="socket 1")
        assert done["ok"]
        assert sum(line["amount"] for line in done["data"]["postings"]) == 0
        refused = ask(one, id=3, op="write", request={"type": "withdraw", "account": "dora", "amount": "900000"})
        assert (refused["status"], refused["verdict"]["admitted"]) == (422, False)


def test_a_flood_of_garbage_ends_the_socket(venue):
    def talk(one):
        for _ in range(2_000):
            one.send("garbage")
            one.recv(10)

    with open_socket(venue) as one, pytest.raises(ConnectionClosed) as raised:
        talk(one)
    assert raised.value.rcvd.code == 4029


def test_a_frame_beyond_the_limit_ends_the_socket(venue):
    with open_socket(venue) as one:
        one.send("x" * (venue.config.limits.frame_bytes + 1))
        with pytest.raises(ConnectionClosed) as raised:
            one.recv(10)
    assert raised.value.rcvd.code == 1009


# -- the stream ---------------------------------------------------------------------------------


def test_a_snapshot_then_numbered_messages(venue):
    with subscribe(venue, ["account", "price"]) as (one, start):
        assert (start["type"], start["reason"], start["contiguous"]) == ("snapshot", "new", True)
        assert [each["name"] for each in start["data"]["prices"]] == ["BTC", "ETH", "SOL"]
        written = deposit(venue)
        tick(venue, 100_001)
        n, kinds = start["n"], []
        while kinds.count("price") < 1:
            message = json.loads(one.recv(10))
            assert message["n"] == n + 1
            n = message["n"]
            kinds.append(message["type"])
            if message["type"] == "account" and message["data"]["account"] == "alice":
                assert message["seq"] >= written["sequence"]
        assert "account" in kinds
        assert message["data"]["BTC"]["price"] == "100001"


def test_who_comes_back_gets_exactly_what_it_missed(venue):
    with subscribe(venue, ["account"]) as (_, start):
        pass
    for _ in range(5):
        deposit(venue)
    with subscribe(venue, ["account"], after=start["n"], stream=start["stream"]) as (again, resumed):
        assert (resumed["type"], resumed["n"]) == ("resumed", start["n"])
        numbers = [json.loads(again.recv(10))["n"] for _ in range(5)]
        assert numbers == list(range(start["n"] + 1, start["n"] + 6))
    for more, reason in (({"after": 10**9, "stream": start["stream"]}, "gap"), ({"after": 1, "stream": "x"}, "restarted")):
        with subscribe(venue, ["account"], **more) as (_, found):
            pass
        assert (found["type"], found["reason"]) == ("snapshot", reason)


def test_a_decision_reaches_who_listens_for_it(venue):
    with subscribe(venue, ["decision"], ["alice"]) as (one, start):
        assert start["data"]["accounts"][0]["account"] == "alice"
        tick(venue, 40_000)
        message = json.loads(one.recv(10))
        assert (message["type"], message["data"]["account"]) == ("decision", "alice")
        assert message["data"]["status"] in ("margin_call", "liquidatable", "bankrupt")
        tick(venue, 100_000)
        assert json.loads(one.recv(10))["data"]["kind"] == "recovered"


@pytest.mark.parametrize(
    "first",
    ["{", '{"op":"subscribe","channels":[]}', '{"op":"subscribe","channels":["x"]}', '{"op":"subscribe","channels":["price"],"accounts":["no"]}'],
)
def test_a_subscription_that_cannot_be_is_told_and_closed(venue, first):
    with open_socket(venue, "/v1/stream") as one:
        one.send(first)
        assert json.loads(one.recv(10))["error"]["expected"]
        with pytest.raises(ConnectionClosed) as raised:
            one.recv(10)
    assert raised.value.rcvd.code == 4000


def raw_stream(venue):
    """A subscriber that is nothing but a socket, so that it can stop reading for good."""
    host, port = venue.address
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.connect((host, port))
    key = venue.headers("read")["Authorization"]
    one.sendall(
        f"GET /v1/stream HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: {key}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    assert b"101" in one.recv(400)
    body = b'{"op":"subscribe","channels":["system"]}'
    one.sendall(bytes([0x81, 0x80 | len(body)]) + bytes(4) + body)
    return one


def publish_much(venue, count, size=2_000):
    from seawall.server.api.desk import Desk

    desk = venue.desk
    assert isinstance(desk, Desk)

    def say():
        for k in range(count):
            desk.hub.publish("system", {"k": k, "x": "y" * size}, seq=k, at_ns=k)

    venue.call(say)


def test_a_client_that_takes_nothing_is_dropped_and_nobody_else_waits(venue):
    stalled = raw_stream(venue)
    with subscribe(venue, ["system"]) as (quick, _):
        time.sleep(0.2)
        slowest, until = 0.0, time.monotonic() + 30
        dropped = False
        with venue.client("read") as client:
            while time.monotonic() < until and not dropped:
                publish_much(venue, 32)
                for _ in range(32):
                    quick.recv(10)
                start = time.monotonic()
                text = client.get("/metrics").text
                slowest = max(slowest, time.monotonic() - start)
                dropped = 'seawall_stream_dropped_total{reason="4008"}' in text
        assert dropped, "it was never dropped"
        assert slowest < 2.0
    stalled.settimeout(30)
    received = b""
    try:
        while more := stalled.recv(65536):
            received += more
    except ConnectionResetError:
        pass  # cut, because it did not take even the close frame in time
    else:
        assert b"too slow" in received[-200:]
        assert struct.pack(">H", 4008) in received[-200:]


def test_a_client_that_vanishes_leaves_nothing_behind(venue):
    before = venue.desk.hub.listeners
    gone = [raw_stream(venue) for _ in range(20)]
    until = time.monotonic() + 10
    while venue.desk.hub.listeners < before + 20 and time.monotonic() < until:
        time.sleep(0.05)
    assert venue.desk.hub.listeners == before + 20
    for each in gone:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not a goodbye
        each.close()
    while venue.desk.hub.listeners > before and time.monotonic() < until + 10:
        time.sleep(0.05)
    assert venue.desk.hub.listeners == before


# -- keys ---------------------------------------------------------------------------------------


def test_a_socket_without_a_key_is_not_opened(venue):
    for path in ("/v1/ws", "/v1/stream"):
        with pytest.raises(InvalidStatus) as raised, connect(venue.ws + path, proxy=None):
            pass
        assert raised.value.response.status_code in (401, 429)


def test_revoking_a_key_ends_its_sockets(venue):
    file = KeyFile(venue.config.keys_path)
    key, text = file.create("short-lived", ["read"])
    headers = {"Authorization": f"Bearer {text}"}
    until = time.monotonic() + 10
    while httpx.get(f"{venue.url}/v1/status", headers=headers).status_code != 200:
        assert time.monotonic() < until
        time.sleep(0.3)
    with (
        connect(f"{venue.ws}/v1/ws", additional_headers=headers, proxy=None) as one,
        connect(f"{venue.ws}/v1/stream", additional_headers=headers, proxy=None) as two,
    ):
        assert ask(one, op="ping")["ok"]
        two.send('{"op":"subscribe","channels":["decision"]}')
        two.recv(10)
        file.revoke(key.id)
        for each in (one, two):
            with pytest.raises(ConnectionClosed) as raised:
                each.recv(10)
            assert raised.value.rcvd.code == 4001
    assert httpx.get(f"{venue.url}/v1/status", headers=headers).status_code == 401


def test_a_page_of_another_origin_opens_no_socket(venue):
    with pytest.raises(InvalidStatus) as raised, open_socket(venue, origin="https://evil.example"):
        pass
    assert raised.value.response.status_code == 403
    with open_socket(venue, origin=venue.url) as one:
        assert ask(one, op="ping")["ok"]
