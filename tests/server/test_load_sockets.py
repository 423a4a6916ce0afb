"""The hand-made WebSocket client of the loads: frames whole whatever the pieces they come in, and a close that is heard."""

from __future__ import annotations

import json
import select
import socket
import struct
import threading
import time

import pytest

from seawall.server.load_sockets import Wire


def server_frame(kind: int, body: bytes) -> bytes:
    size = len(body)
    if size < 126:
        return bytes((0x80 | kind, size)) + body
    wide = struct.pack(">BH", 126, size) if size < 1 << 16 else struct.pack(">BQ", 127, size)
    return bytes((0x80 | kind,)) + wide + body


@pytest.fixture
def pair():
    """A wire, and the other end of its socket after the handshake."""
    listener = socket.create_server(("127.0.0.1", 0))
    found = []

    def answer():
        other, _ = listener.accept()
        assert other.recv(4096).startswith(b"GET /v1/ws HTTP/1.1\r\n")
        other.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + server_frame(1, b"early"))
        found.append(other)

    thread = threading.Thread(target=answer)
    thread.start()
    wire = Wire(f"http://127.0.0.1:{listener.getsockname()[1]}", "/v1/ws", "key")
    thread.join()
    yield wire, found[0]
    wire.close()
    found[0].close()
    listener.close()


def received(wire: Wire, count: int) -> list[bytes]:
    bodies: list[bytes] = []
    end = time.monotonic() + 10
    while len(bodies) < count and time.monotonic() < end:
        bodies += wire.frames()
        select.select([wire], (), (), 0.01)
    return bodies


def test_frames_come_whole_in_whatever_pieces(pair):
    wire, other = pair
    bodies = [b"", b"x" * 125, b"y" * 126, b"z" * 70_000, b"end"]
    data = b"".join(server_frame(1, body) for body in bodies)

    def send():
        for at in range(0, len(data), 13_331):
            other.sendall(data[at : at + 13_331])
            time.sleep(0.001)
        for byte in server_frame(2, b"byte by byte"):
            other.sendall(bytes([byte]))

    thread = threading.Thread(target=send)
    thread.start()
    found = received(wire, 7)
    thread.join()
    assert found == [b"early", *bodies, b"byte by byte"]


def test_what_is_sent_is_a_masked_text_frame_and_a_ping_is_answered(pair):
    wire, other = pair
    wire.send(json.dumps({"id": 1}).encode())
    assert other.recv(100) == b"\x81\x89\0\0\0\0" + b'{"id": 1}'
    other.sendall(server_frame(9, b"there?") + server_frame(1, b"after"))
    assert received(wire, 2) == [b"early", b"after"]
    assert other.recv(100) == b"\x8a\x86\0\0\0\0there?"


def test_a_close_is_an_error_with_its_reason(pair):
    wire, other = pair
    other.sendall(server_frame(8, struct.pack(">H", 4008) + b"too slow"))
    with pytest.raises(ConnectionError, match="too slow"):
        received(wire, 2)
    other.close()


def test_nothing_there_is_no_frame_and_an_end_is_an_error(pair):
    wire, other = pair
    assert received(wire, 1) == [b"early"]
    assert list(wire.frames()) == []
    other.close()
    select.select([wire], (), (), 10)
    with pytest.raises(ConnectionError, match="closed"):
        list(wire.frames())
