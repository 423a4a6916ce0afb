"""Recovery in bulk: from what a log says was decided comes the state, to the last bit, that the engine came to that decided it."""

from __future__ import annotations

import random
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.histories import Venue, genesis, perpetuals_document
from seawall.cli import journal as journal_command
from seawall.core.errors import BrokenJournal, InputError
from seawall.engine.clearing import Clearing
from seawall.engine.facts import Facts, facts_of
from seawall.engine.frozen import state_of
from seawall.journal import Journal
from seawall.server.deep import verify_deep
from seawall.server.records import SCHEMA, decode, encode, with_facts
from seawall.server.recovery import recover
from seawall.server.refolding import Refolding, scoped
from seawall.server.turning import event_of

NEVER = 10**12
SEEDS = st.integers(0, 10**9)
OLD = Path(__file__).with_name("old_logs") / "schema-1.zip"
# what the program that wrote it said of its state at the end
OLD_SEQUENCE, OLD_HASH = 400, "47472ae8ba81ee376557d849d314953e1dff5dbfeefc31e8609b2a621d0a1bd0"


def lived(seed: int, model: str, steps: int, document: dict[str, Any] | None, capacity: int = 300) -> tuple[Clearing, list[bytes]]:
    """A clearing after a history, and its log."""
    first = genesis(model, document)
    clearing, rng = Clearing(first, capacity), random.Random(f"keys {seed}")
    venue, records = Venue(seed, clearing), [encode(first)]
    for count in range(steps):
        request, at_ns = venue.next(clearing)
        key_id, key = rng.choice(("", "desk")), rng.choice(("", "", f"k{count}", "long " * 30 + str(count)))
        try:
            event = event_of(clearing, request, at_ns)
            outcome = clearing.apply(event, scoped(key_id, key))
        except InputError:
            continue
        if outcome.sequence:
            records.append(with_facts(encode(event, key_id, key), event, facts_of(clearing, event, outcome)))
    return clearing, records


def refolded(
    records: list[bytes], ask_from: int, rng: random.Random, state: Any = None, capacity: int = 300
) -> tuple[Clearing, int]:
    """(the clearing of a log, taken in random pieces; how many records the engine was asked about)."""
    refolding = Refolding("log", state, capacity, ask_from)
    at = 0
    while at < len(records):
        some = records[at : at + rng.choice((1, 3, 20, 200, 5_000))]
        at += len(some)
        refolding.take(b"".join(some), np.array([len(record) for record in some], np.int64))
    clearing = refolding.clearing()
    assert clearing is not None
    return clearing, refolding.asked


def check_same(found: Clearing, lived_through: Clearing) -> None:
    """Same columns, by name where they differ, and the same receipts for keys."""
    ours, theirs = found.columns(), lived_through.columns()
    assert [name for name in theirs if not np.array_equal(ours[name], theirs[name])] == []
    assert found.state_hash() == lived_through.state_hash()
    found.check_mirror()
    assert found.engine.audit() == []


def check_history(seed: int, model: str, steps: int, document: dict[str, Any] | None = None) -> None:
    clearing, records = lived(seed, model, steps, document)
    rng = random.Random(seed)
    found, asked = refolded(records, NEVER, rng)
    assert asked == 0
    check_same(found, clearing)
    middle = rng.randrange(2, len(records))
    part, _ = refolded(records[:middle], NEVER, rng)
    half, asked = refolded(records[middle:], rng.randrange(middle, len(records) + 1), rng, state_of(part.columns()), 400)
    assert asked <= len(records) - middle
    check_same(half, clearing)
    venue = Venue(seed + 1, clearing)
    venue.at_ns = clearing.at_ns
    for _ in range(40):
        request, at_ns = venue.next(clearing)
        try:
            event = event_of(clearing, request, at_ns)
            outcome = clearing.apply(event)
        except InputError:
            continue
        assert found.apply(event) == outcome
    assert found.state_hash() == clearing.state_hash()


@settings(max_examples=6, deadline=None)
@given(SEEDS)
def test_what_the_log_says_makes_the_state_that_was_lived_through(seed):
    check_history(seed, "portfolio", 300)


@settings(max_examples=3, deadline=None)
@given(SEEDS)
@pytest.mark.parametrize("model", ["cross", "expected-shortfall", "derive-portfolio", "fixed"])
def test_so_it_does_under_every_way_of_watching(model, seed):
    check_history(seed, model, 150, perpetuals_document())


@settings(max_examples=3, deadline=None)
@given(SEEDS)
def test_records_that_do_not_say_what_was_decided_are_asked_about(seed):
    clearing, records = lived(seed, "fixed", 200, perpetuals_document())
    rng = random.Random(seed)
    silent = set(rng.sample(range(1, len(records)), rng.choice((1, 5, len(records) // 2))))
    some = [SCHEMA.upgrades[1](plain(record)) if k in silent else record for k, record in enumerate(records)]
    found, asked = refolded(some, NEVER, rng)
    assert asked >= len(silent)
    check_same(found, clearing)


def plain(record: bytes) -> bytes:
    """A record as schema 1 had it."""
    key_id, key, event, _ = decode(record)
    return encode(event, key_id, key)


def test_keys_answer_as_they_did(tmp_path):
    clearing, records = lived(5, "fixed", 300, perpetuals_document())
    found, _ = refolded(records, NEVER, random.Random(5))
    assert len(found.keys.done) == len(clearing.keys.done) > 50
    for record in records[1:]:
        key_id, key, event, _ = decode(record)
        if key:
            again = found.apply(msgspec.structs.replace(event, at_ns=clearing.at_ns), scoped(key_id, key))
            assert again == clearing.apply(msgspec.structs.replace(event, at_ns=clearing.at_ns), scoped(key_id, key))
            assert again.repeated


def changed(record: bytes, **facts: Any) -> bytes:
    """A record that says something else."""
    key_id, key, event, said = decode(record)
    return with_facts(encode(event, key_id, key), event, msgspec.structs.replace(said, **facts))


def with_changes(records: list[bytes]) -> list[int]:
    return [k for k, record in enumerate(records[1:], 1) if decode(record).facts.changes]


def test_a_status_that_the_log_forgot_is_noticed_by_the_evaluation_of_everybody():
    clearing, records = lived(3, "fixed", 400, perpetuals_document())
    levels = clearing.engine.watch.levels
    missed = 0
    for k in with_changes(records):
        rows = decode(records[k]).facts.changed()
        if levels[rows["account"][0]] > 0 and rows["status"][0] == levels[rows["account"][0]]:
            lied = [changed(record, changes=b"") if n == k else record for n, record in enumerate(records)]
            if all(decode(r).facts.changed()["account"].tolist().count(rows["account"][0]) == 0 for r in records[k + 1 :]):
                missed += 1
                with pytest.raises(BrokenJournal, match="statuses that are not those that the log says|statuses are not"):
                    refolded(lied, NEVER, random.Random(1))
    assert missed, "the history has nobody who stayed in trouble"


def test_what_the_engine_says_otherwise_at_the_end_of_a_log_is_noticed():
    _, records = lived(4, "fixed", 300, perpetuals_document())
    k = with_changes(records)[-1]
    rows = decode(records[k]).facts.changed().copy()
    rows["equity_micro"] += 1
    lied = [*records[:k], changed(records[k], changes=rows.tobytes()), *records[k + 1 :]]
    refolded(lied, NEVER, random.Random(1))  # a figure of the past: found by asking the engine alone
    with pytest.raises(BrokenJournal, match=f"record {k + 1:,}.*the engine"):
        refolded(lied, k + 1, random.Random(1))
    lied = [*records[:k], changed(records[k], versions=9), *records[k + 1 :]]
    with pytest.raises(BrokenJournal, match=f"record {k + 1:,}.*the engine"):
        refolded(lied, 2, random.Random(1))


@pytest.mark.parametrize(
    "facts",
    [
        Facts(1, b"123"),
        Facts(1, np.array([(10**6, 1, 0, 0, 0)], "<i4,<i4,<i8,<i8,<i8").tobytes()),
        Facts(1, np.array([(1, 9, 0, 0, 0)], "<i4,<i4,<i8,<i8,<i8").tobytes()),
        Facts(-3),
    ],
    ids=["no rows", "no account", "no status", "backwards"],
)
def test_facts_that_cannot_be_stop_the_start_and_name_the_record(facts):
    _, records = lived(6, "fixed", 60, perpetuals_document())
    key_id, key, event, _ = decode(records[20])
    lied = [*records[:20], with_facts(encode(event, key_id, key), event, facts), *records[21:]]
    with pytest.raises(BrokenJournal, match="record 21"):
        refolded(lied, NEVER, random.Random(2))


def test_time_that_goes_back_between_the_market_and_the_ledger_is_noticed():
    _, records = lived(7, "fixed", 120, perpetuals_document())
    k = next(k for k in range(60, len(records)) if decode(records[k]).event.at_ns < decode(records[k - 1]).event.at_ns + 10**12)
    key_id, key, event, facts = decode(records[k])
    late = msgspec.structs.replace(event, at_ns=event.at_ns + 10**15)
    lied = [*records[:k], with_facts(encode(late, key_id, key), late, facts), *records[k + 1 :]]
    with pytest.raises(BrokenJournal, match=r"record \d+"):
        refolded(lied, NEVER, random.Random(2))


def test_a_log_of_schema_1_comes_up_as_the_program_left_it_that_wrote_it(tmp_path):
    with zipfile.ZipFile(OLD) as old:
        old.extractall(tmp_path / "j")
    with Journal.open(tmp_path / "j", schema=SCHEMA) as journal:
        assert journal.recovery.schemas == (1,)
        clearing, report = recover(journal, None, 300)
        assert (clearing.sequence, clearing.state_hash()) == (OLD_SEQUENCE, OLD_HASH)
        assert report.asked == report.replayed - 1 == OLD_SEQUENCE - 1
        venue, records = Venue(1, clearing), []
        venue.at_ns = clearing.at_ns
        while len(records) < 50:
            request, at_ns = venue.next(clearing)
            try:
                event = event_of(clearing, request, at_ns)
                outcome = clearing.apply(event)
            except InputError:
                continue
            if outcome.sequence:
                records.append(with_facts(encode(event), event, facts_of(clearing, event, outcome)))
        journal.append(records[:25])
        journal.append(records[25:])
    with Journal.open(tmp_path / "j", schema=SCHEMA) as journal:
        assert journal.recovery.schemas == (1, 2)
        again, report = recover(journal, None, 300, asked=10)
        assert again.state_hash() == clearing.state_hash()
        assert report.replayed == OLD_SEQUENCE + 50


def test_a_whole_log_is_decided_again(tmp_path, capsys):
    _, records = lived(8, "fixed", 200, perpetuals_document())
    with Journal.open(tmp_path / "j", schema=SCHEMA) as journal:
        journal.append(records[:50])
        journal.append(records[50:])
    found = verify_deep(tmp_path / "j")
    assert (found.records, found.said) == (len(records), len(records) - 1)
    assert journal_command.verify(tmp_path / "j", None, True, True) == 0
    assert msgspec.json.decode(capsys.readouterr().out)["decided_again"] == msgspec.to_builtins(found)
    k = with_changes(records)[0]
    rows = decode(records[k]).facts.changed().copy()
    rows["status"] ^= 1
    with Journal.open(tmp_path / "lied", schema=SCHEMA) as journal:
        journal.append([*records[:k], changed(records[k], changes=rows.tobytes()), *records[k + 1 :]])
    assert journal_command.verify(tmp_path / "lied", None, False, True) == 0
    assert journal_command.verify(tmp_path / "lied", None, True, False) == journal_command.BROKEN
    assert f"record {k + 1:,}" in capsys.readouterr().out
