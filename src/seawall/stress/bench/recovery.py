"""Recovery by replay: a journal with a day of events is opened, verified, read and folded into a ledger.

Wall time from `Journal.open` to the last event applied, on a ledger whose 100,000 accounts a snapshot brought back. The
mix: 90 % fills between any two accounts in 20 perpetuals with fees for both, 5 % deposits and 3 % withdrawals with keys,
1 % settlements, the rest openings, changes of state, premium samples and funding in every perpetual. The baseline is the same records
through `Ledger.apply`, and both must end with the same hash.
"""

from __future__ import annotations

import gc
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from seawall.journal import Journal
from seawall.ledger import events as ev
from seawall.ledger.bulk import BulkFold
from seawall.ledger.ledger import Ledger
from seawall.stress.bench.measure import Measure, measured
from seawall.stress.bench.setting import Setting

__all__ = ["MEASURES", "day_of", "measure", "replay", "venue_of"]

MEASURES = ("recovery_events_per_s",)
SYMBOLS = tuple(f"C{number}-PERP" for number in range(20))
REPEATS = 3
FRAME_RECORDS = 100  # what a group commit gathers at 100,000 events a second is of this order
AT_ONCE = 8_192  # records given to the fold together
SAMPLE_NS = 300 * 10**9
_SECOND_NS = 10**9
_START_NS = 1_700_000_000 * _SECOND_NS


def measure(setting: Setting, names: set[str]) -> list[Measure]:
    """The recovery measure."""
    accounts, count = (2_000, 20_000) if setting.quick else (100_000, 1_500_000)
    setting.say(f"recovery: a journal of {count:,} events")
    columns = venue_of(accounts).columns()
    records = day_of(accounts, count)
    with tempfile.TemporaryDirectory(prefix="seawall-bench-", dir=Path.cwd()) as name:
        path = Path(name) / "journal"
        _write(path, records)
        size = sum(map(len, records)) / len(records)
        slow_per_s, _ = _one_by_one(Ledger.from_columns(columns), records[: count // 20])
        part = Ledger.from_columns(columns)
        BulkFold(part).apply(records[: count // 20])
        expected = _one_by_one(Ledger.from_columns(columns), records[: count // 20])[1]
        assert part.state_hash() == expected, "bulk and single events ended in different states"
        del records, part
        best, fold_s, by_hand = float("inf"), 0.0, 0
        for _ in range(1 if setting.quick else REPEATS):
            setting.say("recovery: replaying it")
            ledger = Ledger.from_columns(columns)
            gc.collect()
            start = time.perf_counter()
            applied, folding_s, left = replay(path, ledger)
            taken = time.perf_counter() - start
            assert applied == count == ledger.sequence - accounts - len(SYMBOLS) - 1, "not every event was applied"
            if taken < best:
                best, fold_s, by_hand = taken, folding_s, left
            del ledger
    words = f"{count:,} events of {size:.0f} bytes, {accounts:,} accounts, {len(SYMBOLS)} perpetuals, 90 % fills; "
    words += f"fold alone {count / fold_s:,.0f}, {by_hand / count:.1%} by hand; one by one {slow_per_s:,.0f} (no journal)"
    return [measured("recovery_events_per_s", count / best, words)]


def replay(path: Path, ledger: Ledger) -> tuple[int, float, int]:
    """(events applied, seconds of it in the fold, events that the compiled fold left to `Ledger.apply`)."""
    applied, folding_s = 0, 0.0
    fold = BulkFold(ledger)
    with Journal.open(path) as journal:
        for records in _gathered(journal):
            start = time.perf_counter()
            fold.apply(records)
            folding_s += time.perf_counter() - start
            applied += len(records)
    return applied, folding_s, fold.by_hand


def venue_of(accounts: int) -> Ledger:
    """A ledger with its listings and so many open accounts, of which nobody has anything."""
    ledger = Ledger()
    ledger.apply(ev.ListAsset(at_ns=_START_NS, asset="USD", decimals=6))
    for symbol in SYMBOLS:
        ledger.apply(ev.ListInstrument(at_ns=_START_NS, instrument=symbol, kind="perpetual", settlement="USD"))
    for number in range(accounts):
        ledger.apply(ev.Open(at_ns=_START_NS, account=_name(number)))
    return ledger


def day_of(accounts: int, count: int) -> list[bytes]:
    """So many encoded events, one after the other in time; the same at every call."""
    rng = random.Random(7)
    found: list[bytes] = []
    now, samples, opened = _START_NS, 0, 0
    step_ns = 2 * 86_400 * _SECOND_NS // count
    while len(found) < count:
        now += 1 + int(rng.random() * step_ns)
        if now >= _START_NS + samples * SAMPLE_NS:
            samples += 1
            found += _funding(now, samples)
            continue
        what = rng.random()
        one, other = int(rng.random() * accounts), int(rng.random() * accounts)
        if what < 0.9:
            found.append(_fill(rng, now, one, other if other != one else (one + 1) % accounts))
        elif what < 0.95 or (what < 0.98 and not opened):
            key, amount = f"deposit {len(found)}", 10**12
            found.append(ev.encode(ev.Deposit(at_ns=now, key=key, account=_name(one), asset="USD", amount=amount)))
        elif what < 0.98:
            key = f"withdrawal {len(found)}"
            found.append(ev.encode(ev.Withdraw(at_ns=now, key=key, account=_new(rng, opened), asset="USD", amount=1_000)))
        elif what < 0.99:
            found.append(ev.encode(ev.Settle(at_ns=now, account=_name(one))))
        elif what < 0.995:
            opened += 1
            found.append(ev.encode(ev.Open(at_ns=now, account=f"new {opened}")))
            found.append(ev.encode(ev.Deposit(at_ns=now, account=f"new {opened}", asset="USD", amount=10**12)))
        else:
            for state in ("reduce-only", "active"):
                found.append(ev.encode(ev.SetState(at_ns=now, account=_name(one), state=state)))
    return found[:count]


def _fill(rng: random.Random, now: int, maker: int, taker: int) -> bytes:
    lots = int(rng.random() * 1_000) + 1
    return ev.encode(
        ev.Trade(
            at_ns=now, maker=_name(maker), taker=_name(taker), instrument=SYMBOLS[int(rng.random() * len(SYMBOLS))],
            lots=lots if rng.random() < 0.5 else -lots, price_nano=10**9 + int(rng.random() * 10**12), maker_fee_ppm=-50,
            taker_fee_ppm=350,
        )
    )  # fmt: skip


def _funding(now: int, samples: int) -> Iterator[bytes]:
    for symbol in SYMBOLS:
        at = 10**12 + samples * 10**7
        yield ev.encode(
            ev.Premium(at_ns=now, instrument=symbol, index_nano=10**12, impact_bid_nano=at, impact_ask_nano=at)
        )


    if samples % 12 == 0:
        yield from (ev.encode(ev.Funding(at_ns=now, instrument=symbol, price_nano=10**11)) for symbol in SYMBOLS)


def _new(rng: random.Random, opened: int) -> str:
    """One of the accounts that were opened during the day, which only hold money."""
    return f"new {1 + int(rng.random() * opened)}"


def _name(number: int) -> str:
    return f"account-{number:07d}"


def _write(path: Path, records: list[bytes]) -> None:
    with Journal.open(path) as journal:
        for number, first in enumerate(range(0, len(records), FRAME_RECORDS)):
            seq = journal.submit(records[first : first + FRAME_RECORDS], number)
            if number % 500 == 0:
                journal.wait(seq)


def _gathered(journal: Journal) -> Iterator[list[bytes]]:
    records: list[bytes] = []
    for batch in journal.batches():
        records += batch.records
        if len(records) >= AT_ONCE:
            yield records
            records = []
    if records:
        yield records


def _one_by_one(ledger: Ledger, records: list[bytes]) -> tuple[float, str]:
    """(events a second, the hash at the end)."""
    start = time.perf_counter()
    for record in records:
        ledger.apply(ev.decode(record))
    return len(records) / (time.perf_counter() - start), ledger.state_hash()
