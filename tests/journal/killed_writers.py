"""A program that kills writers: forks one, lets it run for a random moment, kills it with -9, and checks what is left.

    python killed_writers.py FOLDER BACKEND ROUNDS SEED

Each writer opens the journal (recovering what the one before left), appends from three threads, takes snapshots, and tells each
acknowledged record through a pipe, only after `append` returned. After each kill every record ever told must be in the
log exactly once, each thread's records in their order, and the chain whole. Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

from seawall.journal import Journal, batches, examine

THREADS = 3


def write(folder: Path, backend: str, number: int, told: int) -> None:
    """The writer: runs until it is killed. Records: `writer thread count`, with padding that differs."""
    journal = Journal.open(folder, backend=backend)
    threading.excepthook = lambda failure: (sys.excepthook(*failure[:3]), os._exit(8))

    def go_on(thread: int) -> None:
        rng = random.Random(number * 10 + thread)
        count = 0
        while True:
            names = [f"{number} {thread} {count + each}" for each in range(rng.randint(1, 20))]
            count += len(names)
            seq = journal.append([f"{name} {'x' * rng.randint(0, 300)}".encode() for name in names])
            os.write(told, "".join(f"{name}\n" for name in names).encode())
            if rng.random() < 0.02:
                journal.snapshot(seq, {}, b"state")

    for thread in range(THREADS):
        threading.Thread(target=go_on, args=(thread,), daemon=True).start()
    time.sleep(60)


def killed(folder: Path, backend: str, number: int, after_s: float) -> list[str]:
    """One writer, killed after so long: the names of the records that it was told are durable."""
    read, told = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            write(folder, backend, number, told)
        finally:
            os._exit(9)
    os.close(told)
    parts: list[bytes] = []
    pump = threading.Thread(target=lambda: parts.extend(iter(lambda: os.read(read, 1 << 16), b"")))
    pump.start()
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    pump.join()
    os.close(read)
    assert os.WIFSIGNALED(status), "the writer ended by itself"
    return b"".join(parts).decode().splitlines()


def check(folder: Path, acknowledged: set[str]) -> tuple[int, str]:
    """Everything told is there once and in order: (how many records, what verify says)."""
    report = examine(folder)
    assert report.status in ("whole", "torn"), report.findings
    names = [" ".join(r.decode().split(" ")[:3]) for batch in batches(folder) for r in batch.records]
    assert len(names) == report.head.seq
    assert len(set(names)) == len(names), "a record twice"
    missing = acknowledged - set(names)
    assert not missing, f"{len(missing)} acknowledged records are missing, such as {sorted(missing)[:3]}"
    counts: dict[str, int] = {}
    for name in names:
        stream, _, count = name.rpartition(" ")
        assert int(count) == counts.get(stream, 0), f"{name} out of its order"
        counts[stream] = int(count) + 1
    return len(names), report.status


def main(folder: Path, backend: str, rounds: int, seed: int) -> dict[str, object]:
    """All rounds on one journal, begun anew where it has grown large."""
    rng = random.Random(seed)
    acknowledged: set[str] = set()
    said: list[str] = []
    total = records = journals = 0
    path = folder / "0"
    for number in range(rounds):
        if records > 20_000:
            journals, records, acknowledged = journals + 1, 0, set()
            path = folder / str(journals)
        names = killed(path, backend, number, rng.choice([0.0, 0.02, 0.1]) + rng.random() * 0.15)
        acknowledged |= set(names)
        total += len(names)
        if (path / "journal.json").exists():
            records, status = check(path, acknowledged)
            said.append(status)
        else:
            assert not acknowledged, "records were acknowledged and there is no journal"
    return {"rounds": rounds, "acknowledged": total, "journals": journals + 1, "torn": said.count("torn")}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
