"""The journal under load: events offered at a fixed rate whatever the disk does, counted when they are durable.

Open loop: an event is due at its time, and its latency runs from there, so that a stall of the disk costs all events that came
due meanwhile. Events of 200 bytes, the market sequence moves on every millisecond. Wall time, on the disk of the working
folder (a disk in memory would sync for nothing): the baseline says which, and what one bare sync takes.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seawall.core.errors import JournalBusy
from seawall.journal import Journal, batches, examine
from seawall.journal.files import sync_data
from seawall.stress.bench.measure import Measure, measured
from seawall.stress.bench.setting import Setting

__all__ = ["MEASURES", "measure", "offer"]

MEASURES = (
    "journal_events_per_s",
    "journal_ack_p99_ms",
    "journal_segments_events_per_s",
    "journal_segments_ack_p99_ms",
    "journal_scan_events_per_s",
)
EVENT_BYTES = 200
RATE_CALM = 100_000  # events a second at which the latency is measured
RATE_HIGH = 200_000  # and at which it is seen how many become durable
PAUSE_S = 0.0002  # between two looks at the clock, as an engine's loop has them
BATCHES = (1, 10, 100, 1000)


class Offered(NamedTuple):
    """What became of a load: durable events a second, and latencies in milliseconds from when they were due."""

    events_per_s: float
    p50_ms: float
    p99_ms: float
    per_group: float
    refused: int


def measure(setting: Setting, names: set[str]) -> list[Measure]:
    """The journal measures among `names`."""
    seconds = 0.5 if setting.quick else 8.0
    found: list[Measure] = []
    with tempfile.TemporaryDirectory(prefix="seawall-bench-", dir=Path.cwd()) as name:
        folder = Path(name)
        disk = f"{_file_system(folder)}, a bare sync {_sync_ms(folder, 20 if setting.quick else 200):.2f} ms"
        for backend, infix in (("sqlite", ""), ("segments", "segments_")):
            rate, latency = f"journal_{infix}events_per_s", f"journal_{infix}ack_p99_ms"
            if latency in names:
                setting.say(f"journal: {RATE_CALM:,} events/s into {backend}")
                calm = offer(folder / f"{backend}-calm", backend, RATE_CALM, seconds)
                words = f"{backend}, {RATE_CALM:,} offered, {calm.events_per_s:,.0f} durable a second; p50 {calm.p50_ms:.2f} ms"
                found.append(measured(latency, calm.p99_ms, f"{words}, {calm.per_group:.0f} a group; {disk}"))
            if rate in names:
                setting.say(f"journal: {RATE_HIGH:,} events/s into {backend}")
                high = offer(folder / f"{backend}-high", backend, RATE_HIGH, seconds)
                one = _closed(folder / f"{backend}-closed", backend, seconds / 8)
                words = f"{backend}, {RATE_HIGH:,} offered, p99 {high.p99_ms:.2f} ms, {high.refused} refused"
                found.append(measured(rate, high.events_per_s, f"{words}; one caller, by batch: {one}; {disk}"))
        if "journal_scan_events_per_s" in names:
            setting.say("journal: reading it all")
            scanned, words = _scan(folder, seconds)
            found.append(measured("journal_scan_events_per_s", scanned, words))
    order = {name: at for at, name in enumerate(MEASURES)}
    return sorted(found, key=lambda one: order[one.name])


def offer(path: Path, backend: str, rate: int, seconds: float) -> Offered:
    """Offers `rate` events a second for so long; the first tenth is warm-up and not counted."""
    acknowledged: list[tuple[int, float]] = []
    records = [os.urandom(EVENT_BYTES) for _ in range(1000)] * (rate // 1000 + 2)
    total = int(rate * seconds)
    refused = 0
    with Journal.open(
        path, backend=backend, on_durable=lambda head: acknowledged.append((head.seq, time.perf_counter()))
    ) as journal:
        start, sent = time.perf_counter(), 0
        while sent < total:
            elapsed = time.perf_counter() - start
            due = min(int(elapsed * rate), total)
            if due > sent:
                at = sent % 1000
                try:
                    journal.submit(records[at : at + min(due - sent, rate)], int(elapsed * 1000))
                except JournalBusy:
                    refused += 1  # offered again with the next, and late by then
                else:
                    sent += min(due - sent, rate)
            time.sleep(PAUSE_S)
        journal.wait(total)
    seqs, times = (np.array(column) for column in zip(*acknowledged, strict=True))
    events = np.arange(total // 10, total)
    late_ms = 1e3 * (times[np.searchsorted(seqs, events + 1)] - (start + events / rate))
    p50, p99 = np.percentile(late_ms, [50, 99])
    return Offered(total / float(times[-1] - start), float(p50), float(p99), total / len(acknowledged), refused)


def _closed(path: Path, backend: str, seconds: float) -> str:
    """Events a second of one caller that waits for each batch, by size of the batch."""
    found = []
    with Journal.open(path, backend=backend) as journal:
        for size in BATCHES:
            batch = [os.urandom(EVENT_BYTES)] * size
            start, done = time.perf_counter(), 0
            while (elapsed := time.perf_counter() - start) < seconds:
                journal.append(batch)
                done += size
            found.append(f"{size}: {done / elapsed:,.0f}")
    return ", ".join(found)


def _scan(folder: Path, seconds: float) -> tuple[float, str]:
    """Events a second that verify walks over in SQLite; what it is compared with: reading the records too."""
    path = folder / "scan"
    count = int(50_000 * seconds)
    with Journal.open(path) as journal:
        for number in range(count // 100):  # a frame of 100 events for each step of the market
            seq = journal.submit([os.urandom(EVENT_BYTES)] * 100, number)
            if number % 100 == 0:
                journal.wait(seq)
    start = time.perf_counter()
    report = examine(path)
    verified = time.perf_counter() - start
    assert report.records == count // 100 * 100, "the scan saw another number of events"
    start = time.perf_counter()
    read = sum(len(batch.records) for batch in batches(path))
    reading = time.perf_counter() - start
    assert read == report.records, "the reading saw another number of events"
    frames = f"{report.frames:,} frames of {read / report.frames:,.0f} events"
    return report.records / verified, f"sqlite, verify; records read and checked: {read / reading:,.0f}; {frames}"


def _sync_ms(folder: Path, times: int) -> float:
    path = folder / "sync"
    taken = []
    with path.open("wb", buffering=0) as file:
        for _ in range(times):
            file.write(bytes(4096))
            start = time.perf_counter()
            sync_data(file.fileno())
            taken.append(time.perf_counter() - start)
    return 1e3 * float(np.median(taken))


def _file_system(folder: Path) -> str:
    """The type of the file system that the folder is on, where the system tells."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "disk"
    best = ("", "disk")
    for line in mounts.read_text("utf-8", "replace").splitlines():
        _, point, kind, *_ = line.split()
        if folder.resolve().is_relative_to(point) and len(point) > len(best[0]):
            best = (point, kind)
    return best[1]
