"""Records: the same bytes for ever, fields only appended, what is no record refused."""

from __future__ import annotations

import msgspec
import pytest

from engine.histories import genesis, perpetuals_document
from seawall.core import events as core_events
from seawall.core.errors import UnreadableFile
from seawall.engine.clearing_events import Marks, Ticks, pack_ticks
from seawall.engine.facts import Facts
from seawall.ledger import events as ledger_events
from seawall.server.records import SCHEMA, decode, encode, with_facts

# as schemas 1 and 2 have them where nothing was decided; a change of any byte needs a new schema and an upgrade
GOLDEN = [
    (
        ledger_events.Deposit(at_ns=7, account="alice", asset="USD", amount=1_000_000),
        "9401a26b31a17896a76465706f73697407a0a5616c696365a3555344ce000f4240",
    ),
    (
        ledger_events.Trade(at_ns=7, maker="m", taker="t", instrument="P", lots=-3, price_nano=10**9, taker_fee_ppm=500),
        "9401a26b31a1789ba5747261646507a0a16da174a150fdce3b9aca0000cd01f4a466656573",
    ),
    (Ticks(at_ns=7, packed=pack_ticks([(0, 113_000 * 10**9), (2, 5)])), "9403a26b31a17893a57469636b7307c418000000000010dcdcc5660000020000000500000000000000"),
    (Marks(at_ns=7, prices={"P": "1.5"}), "9404a26b31a17893a56d61726b730781a150a3312e35"),
    (core_events.Order(at_ns=7, account="a", id="1", instrument="P", quantity="-1", price="2.50"), "9402a26b31a17887a56576656e74a56f72646572a561745f6e7307a76163636f756e74a161a26964a131aa696e737472756d656e74a150a87175616e74697479a22d31a57072696365a4322e3530"),
    (core_events.Cancel(at_ns=7, account="a", id="1"), "9402a26b31a17884a56576656e74a663616e63656ca561745f6e7307a76163636f756e74a161a26964a131"),
    (core_events.Surface(at_ns=7, updates={"C": "0.5"}), "9402a26b31a17883a56576656e74a773757266616365a561745f6e7307a77570646174657381a143a3302e35"),
    (core_events.Parameters(at_ns=7, changes={"x": "1"}, glide_ns=5, shape="geometric"), "9402a26b31a17885a56576656e74aa706172616d6574657273a561745f6e7307a76368616e67657381a178a131a8676c6964655f6e7305a57368617065a967656f6d6574726963"),
    (core_events.Clock(at_ns=7), "9402a26b31a17882a56576656e74a5636c6f636ba561745f6e7307"),
]


def test_the_schema_is_the_one_that_the_golden_bytes_are_of():
    assert SCHEMA.version == 2


@pytest.mark.parametrize(("event", "golden"), GOLDEN, ids=lambda value: type(value).__name__)
def test_records_are_the_same_bytes_for_ever(event, golden):
    data = encode(event, "k1", "x")
    assert data.hex() == golden
    usual = Facts(2) if isinstance(event, Ticks) else Facts()
    assert decode(bytes.fromhex(golden)) == ("k1", "x", event, usual)
    assert with_facts(data, event, usual) == data


@pytest.mark.parametrize(
    ("facts", "golden"),
    [
        (Facts(0), "9100"),
        (None, "c0"),
        (Facts(1, b"c" * 3, ("why", 1, 2, 3, -1, -2, -3), ((4, -5, 6),)), "9401c40363636397a3776879010203fffefd919304fb06"),
    ],
    ids=["nobody was evaluated", "not said", "all"],
)
def test_what_was_decided_stands_behind_the_event(facts, golden):
    event = ledger_events.Settle(at_ns=7, account="a")
    data = with_facts(encode(event, "k1", "x"), event, facts)
    tail = data[len(encode(event, "k1", "x")) :]
    assert data[:1] == b"\x95"
    assert tail.hex() == golden
    assert decode(data) == ("k1", "x", event, facts)


def test_a_record_of_schema_1_does_not_say_what_was_decided():
    for event, golden in GOLDEN:
        assert decode(SCHEMA.upgrades[1](bytes.fromhex(golden))) == ("k1", "x", event, None)
    with pytest.raises(UnreadableFile):
        decode(SCHEMA.upgrades[1](b"garbage"))


def test_a_batch_of_ticks_is_twelve_bytes_a_price():
    ticks = [(number % 7, 10**12 + number) for number in range(1000)]
    event = Ticks(at_ns=7, packed=pack_ticks(ticks))
    assert event.rows() == ticks
    assert len(encode(event)) < 12 * 1000 + 40


def test_a_genesis_is_read_back():
    first = genesis("portfolio", perpetuals_document())
    assert decode(encode(first)).event == first


@pytest.mark.parametrize(
    "data",
    [b"", b"\x94", msgspec.msgpack.encode([9, "", "", 1]), msgspec.msgpack.encode([1, "", "", ["deposit", 1]]),
     msgspec.msgpack.encode([1, "", ""]), msgspec.msgpack.encode([2, "", "", {"event": "tick", "at_ns": 1}])],
)  # fmt: skip
def test_what_is_no_record_is_refused_with_its_place(data):
    with pytest.raises(UnreadableFile, match="record 5"):
        decode(data, "record 5")
