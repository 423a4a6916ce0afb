"""What goes wrong on the way: a journal that stops, floods, sizes, slow heads, restarts, and what the log says of it all."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from conftest import environment
from seawall.core.errors import InputError
from seawall.server.config import load_config
from seawall.server.keys import SCOPES, KeyFile, Keys
from seawall.server.run import check_listening, serve
from server.running import START_S, error_of, running, write_config

TIGHT = """[limits]
body_bytes = 4096
header_bytes = 4096
header_s = 1
connections = 40
refusals_per_s = 5
sockets_per_key = 3
"""


@pytest.fixture(scope="module")
def tight(tmp_path_factory):
    with running(tmp_path_factory.mktemp("tight"), TIGHT, rate=10.0) as found:
        yield found


@pytest.fixture(autouse=True)
def _rested(request):
    """Buckets full again: a test of a flood leaves nothing for the next one."""
    yield
    if "tight" in request.fixturenames:
        request.getfixturevalue("tight").desk.buckets._buckets.clear()


def raw(venue, data, wait_s=5.0):
    """What the service answers to bytes."""
    with socket.create_connection(venue.address) as one:
        one.settimeout(wait_s)
        one.sendall(data)
        received = b""
        try:
            while more := one.recv(65536):
                received += more
        except ConnectionResetError:
            pass  # an answer may be followed by a reset, since we were still talking
        return received


# -- limits -------------------------------------------------------------------------------------


def test_a_body_beyond_the_limit_is_413_said_or_streamed(tight):
    headers = {"Content-Type": "application/json"}
    with tight.client() as client:
        told = client.post("/v1/deposits", content=b" " * 5000, headers=headers)
        assert told.status_code == 413
        assert error_of(told)["code"] == "size"
        streamed = client.post("/v1/deposits", content=(b" " * 1000 for _ in range(6)), headers=headers)
        assert streamed.status_code == 413
        assert client.get("/v1/status").status_code == 200


def test_a_head_without_end_is_turned_away(tight):
    for data in (
        b"GET /v1/health HTTP/1.1\r\n" + b"x: " + b"y" * 10_000,
        b"GET /v1/health HTTP/1.1\r\n" + b"x: y\r\n" * 2_000 + b"\r\n",
        b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\n\r\n",
    ):
        assert raw(tight, data).startswith(b"HTTP/1.1 431 ")


def test_a_head_that_does_not_come_is_not_waited_for(tight):
    start = time.monotonic()
    assert raw(tight, b"GET /v1/health HTTP/1.1\r\nHost: x\r\n").startswith(b"HTTP/1.1 408 ")
    assert 0.5 < time.monotonic() - start < 4


def test_garbage_instead_of_http_is_a_bad_request(tight):
    for data in (b"\x16\x03\x01\x02\x00\x01\x00", b"hello\r\n\r\n", b"\r\n" * 20 + b"\x00" * 100):
        answer = raw(tight, data)
        assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 408 ")) or answer == b""
    assert httpx.get(f"{tight.url}/v1/health").status_code in (200, 429)


def test_a_key_gets_its_rate_and_is_told_when_to_come_back(tight):
    granted, start = 0, time.monotonic()
    with tight.client("read") as client:
        while (refused := client.get("/v1/status")).status_code == 200:
            granted += 1
    assert granted <= 20 + 10 * (time.monotonic() - start) + 1
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert error_of(refused)["code"] == "rate"
    with tight.client("trade") as other:
        assert other.get("/v1/status").status_code == 200, "another key is not held up by that"


def test_strangers_are_limited_and_those_with_keys_do_not_notice(tight):
    statuses = [httpx.get(f"{tight.url}/v1/status").status_code for _ in range(60)]
    assert set(statuses) == {401, 429}
    with tight.client("risk") as client:
        assert client.get("/v1/status").status_code == 200


def test_more_connections_than_allowed_are_turned_away_and_the_service_lives(tight):
    held = []
    try:
        answers = []
        for _ in range(60):
            one = socket.create_connection(tight.address)
            held.append(one)
        time.sleep(0.3)
        for one in held:
            one.settimeout(0.05)
            try:
                answers.append(one.recv(100))
            except TimeoutError:
                answers.append(b"")
        assert sum(answer.startswith(b"HTTP/1.1 503 ") for answer in answers) >= 15
    finally:
        for one in held:
            one.close()
    until = time.monotonic() + 5
    while True:
        try:
            with tight.client("risk") as client:
                assert client.get("/v1/status").status_code == 200
            break
        except (AssertionError, httpx.TransportError):
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def test_a_key_has_only_so_many_sockets(tight):
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    options = {"additional_headers": tight.headers("read"), "proxy": None}
    with (
        connect(f"{tight.ws}/v1/ws", **options),
        connect(f"{tight.ws}/v1/ws", **options),
        connect(f"{tight.ws}/v1/ws", **options),
        connect(f"{tight.ws}/v1/ws", **options) as fourth,
        pytest.raises(ConnectionClosed) as raised,
    ):
        fourth.recv(10)
    assert raised.value.rcvd.code == 4030


# -- the journal --------------------------------------------------------------------------------


def test_when_the_journal_stops_writes_are_503_and_reading_goes_on(tmp_path):
    with running(tmp_path) as venue:
        with venue.client() as client:
            assert client.get("/v1/ready").status_code == 200
            before = client.get("/v1/accounts/alice").json()

            def stop():
                raise OSError(28, "No space left on device")

            store = venue.service.journal._store
            store.append = lambda *_: stop()
            refused = [client.post("/v1/deposits", json={"account": "alice", "amount": "5"}) for _ in range(3)]
            assert [answer.status_code for answer in refused] == [503, 503, 503]
            assert "retry-after" in refused[0].headers
            assert error_of(refused[1])["place"] == "journal"
            assert client.get("/v1/ready").status_code == 503
            assert client.get("/v1/health").status_code == 200
            assert client.get("/v1/accounts/bob").status_code == 200
            assert client.post("/v1/accounts/bob/what-if", json={}).status_code == 200
            assert 'seawall_journal_state{state="stopped"} 1' in client.get("/metrics").text
            assert before["account"] == "alice"


def test_what_was_acknowledged_is_there_after_a_restart(tmp_path):
    with running(tmp_path) as venue, venue.client() as client:
        sequence = client.post("/v1/deposits", json={"account": "alice", "amount": "5"}).json()["sequence"]
        before = client.get("/v1/accounts/alice").json()["balances"]
    with running(tmp_path, keys=False) as venue:
        KeyFile(venue.config.keys_path).create("again", ["admin"])
        assert venue.service.status()["sequence"] >= sequence
        assert venue.call(lambda: venue.service.account("alice").balances) == before


# -- where it listens ---------------------------------------------------------------------------


def config_of(tmp_path, more):
    path = write_config(tmp_path)
    path.write_text(path.read_text("utf-8").replace("port = 0", "port = 0\n" + more), "utf-8")
    return load_config(path)


def test_it_refuses_to_listen_elsewhere_without_keys_and_opens_nothing(tmp_path):
    config = config_of(tmp_path, 'host = "0.0.0.0"')
    with pytest.raises(InputError, match=r"listen.host: found 0.0.0.0, expected a loopback address, or keys"):
        asyncio.run(serve(config, stop=asyncio.Event()))
    assert not config.journal_folder.exists(), "the journal was touched before the address was judged"


def test_elsewhere_needs_tls_or_the_word_that_something_else_gives_it(tmp_path):
    config = config_of(tmp_path, 'host = "0.0.0.0"')
    KeyFile(config.keys_path).create("a", ["read"])
    with pytest.raises(InputError, match="tls_certificate and tls_key, or plain = true"):
        check_listening(config.listen, Keys(config.keys_path))
    plain = config_of(tmp_path, 'host = "0.0.0.0"\nplain = true')
    check_listening(plain.listen, Keys(plain.keys_path))


def test_without_keys_a_foreign_name_or_page_is_refused(tmp_path):
    with running(tmp_path, keys=False) as venue:
        assert httpx.get(f"{venue.url}/v1/status").status_code == 200
        rebound = httpx.get(f"{venue.url}/v1/status", headers={"Host": "evil.example:80"})
        assert (rebound.status_code, error_of(rebound)["code"]) == (403, "host")
        page = httpx.get(f"{venue.url}/v1/status", headers={"Origin": "https://evil.example"})
        assert (page.status_code, error_of(page)["code"]) == (403, "origin")
        # The first key closes the door behind it.
        _, text = KeyFile(venue.config.keys_path).create("first", ["read"])
        until = time.monotonic() + 10
        while httpx.get(f"{venue.url}/v1/status").status_code != 401:
            assert time.monotonic() < until
            time.sleep(0.3)
        assert httpx.get(f"{venue.url}/v1/status", headers={"Authorization": f"Bearer {text}"}).status_code == 200


# -- the process --------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_in_order_and_the_log_holds_no_secret(tmp_path, number):
    path = write_config(tmp_path, '[limits]\nburst = 50\n')
    path.write_text(path.read_text("utf-8").replace("port = 0", "port = 0\naccess_log = true"), "utf-8")
    file = KeyFile(tmp_path / "keys.json")
    secrets = {scope: file.create(scope, [scope])[1] for scope in SCOPES}
    with (tmp_path / "log").open("w") as log:
        line = [sys.executable, "-m", "seawall.cli.main", "serve", "-c", str(path), "--json"]
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=log, text=True, env=environment())
        try:
            url = json.loads(process.stdout.readline())["listening"]
            headers = {"Authorization": f"Bearer {secrets['admin']}"}
            for path in ("/v1/status", f"/v1/{secrets['read']}", f"/v1/status?key={secrets['trade']}"):
                httpx.get(url + path, headers=headers)
            httpx.get(f"{url}/v1/status", headers={"Authorization": f"Bearer {secrets['risk']}x"})
            httpx.post(f"{url}/v1/deposits", json={"account": secrets["risk"], "amount": "x"}, headers=headers)
            done = httpx.post(f"{url}/v1/deposits", json={"account": "alice", "amount": "1"}, headers=headers)
            assert done.status_code == 200
            host, port = httpx.URL(url).host, httpx.URL(url).port
            with socket.create_connection((host, port)) as one:
                one.sendall(f"nonsense {secrets['read']}\r\n\r\n".encode())
                one.recv(100)
            process.send_signal(number)
            assert process.wait(30) == 0
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            process.stdout.close()
    text = (tmp_path / "log").read_text("utf-8")
    assert "stopped; everything that was acknowledged is on the disk" in text
    assert "POST /v1/deposits 200" in text
    for secret in secrets.values():
        assert secret not in text
        assert secret.split("_", 2)[2] not in text
    verify = [sys.executable, "-m", "seawall.cli.main", "journal", "verify", str(tmp_path / "journal"), "--json"]
    found = json.loads(subprocess.run(verify, capture_output=True, text=True, env=environment(), timeout=60).stdout)
    assert found["status"] == "whole"


def test_a_second_service_on_one_journal_is_refused(tmp_path):
    with running(tmp_path) as venue:
        line = [sys.executable, "-m", "seawall.cli.main", "serve", "-c", str(tmp_path / "venue.toml")]
        done = subprocess.run(line, capture_output=True, text=True, env=environment(), timeout=START_S)
        assert done.returncode == 4
        assert "a journal has one writer" in done.stderr
        assert httpx.get(f"{venue.url}/v1/health").status_code == 200


def test_the_command_says_what_is_wrong_with_a_configuration(tmp_path):
    path = write_config(tmp_path, "[listne]\n")
    line = [sys.executable, "-m", "seawall.cli.main", "serve", "-c", str(path), "--check"]
    done = subprocess.run(line, capture_output=True, text=True, env=environment(), timeout=60)
    assert done.returncode == 2
    assert '"listne"' in done.stderr
    write_config(tmp_path)
    assert subprocess.run(line, capture_output=True, env=environment(), timeout=60).returncode == 0


def test_a_missing_extra_is_one_line_that_names_it(tmp_path):
    write_config(tmp_path)
    code = (
        "import sys; sys.modules['uvicorn'] = None; "
        "from seawall.cli.main import main; sys.argv = ['seawall', 'serve', '-c', 'venue.toml']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), cwd=tmp_path, timeout=60)
    assert done.returncode == 2
    assert done.stderr.strip() == "error: uvicorn is not installed; it comes with: pip install 'seawall[server]'"
    assert os.listdir(tmp_path) == ["venue.toml"]
