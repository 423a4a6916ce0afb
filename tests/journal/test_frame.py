"""A frame comes back as it went in, and no byte of it can change unnoticed."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.journal.frame import HEADER_BYTES, FrameError, decode, encode, frame_hash, read_header

SALT = 0x5EA
RECORDS = [b"deposit", b"", b"\x00" * 70, b"SWJF"]
FIELDS = {"schema": 3, "epoch": 2, "first_seq": 41, "market_seq": 7, "group_seq": 40, "previous": b"\x11" * 32}


def made(records=RECORDS, salt=SALT):
    return encode(records, salt=salt, **FIELDS)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=30), st.integers(0, 2**32 - 1))
def test_a_frame_comes_back_as_it_went_in(records, salt):
    data = made(records, salt)
    frame = decode(data, salt)
    assert frame.records() == records
    assert frame.hash == frame_hash(data)
    assert frame.header.last_seq == 41 + len(records) - 1
    fields = {name: getattr(frame.header, name) for name in FIELDS}
    assert fields == FIELDS


def test_the_layout_is_the_documented_one():
    data = made([b"ab", b"c"])
    assert data[:4] == b"SWJF"
    assert struct.unpack_from("<HHII", data, 4) == (1, 3, 11, 2)
    assert struct.unpack_from("<QQQQ", data, 16) == (2, 41, 7, 40)
    assert data[48:80] == b"\x11" * 32
    assert HEADER_BYTES == 88
    assert struct.unpack_from("<II", data, 88) == (2, 1)
    assert data[96:] == b"abc"


def test_a_released_frame_is_read_for_ever():
    golden = bytes.fromhex(
        "53574a46010003000b00000002000000020000000000000029000000000000000700000000000000280000000000000011111111111111"
        "111111111111111111111111111111111111111111111111112eab4a7c3f4d34ba0200000001000000616263"
    )
    assert made([b"ab", b"c"]) == golden
    assert decode(golden, SALT).records() == [b"ab", b"c"]


def test_a_flip_of_any_bit_is_found():
    data = made()
    for at in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            with pytest.raises(FrameError):
                decode(bytes(changed), SALT)


def test_a_frame_cut_anywhere_or_with_something_behind_it_is_none():
    data = made()
    for length in range(len(data)):
        with pytest.raises(FrameError):
            decode(data[:length], SALT)
    with pytest.raises(FrameError, match="the header says"):
        decode(data + b"\0", SALT)


def test_a_frame_of_another_journal_is_none():
    with pytest.raises(FrameError, match="checksum"):
        read_header(made(salt=SALT + 1), SALT)
