"""A program that kills a writer at each point where it writes, syncs, renames, cuts or deletes, one after the other.

    python killed_at_points.py FOLDER BACKEND

The writer makes a journal, appends, takes a snapshot, closes, opens it again (with a torn end to cut off, for segments) and appends.
At the point whose turn it is the process dies: before the call, or, where it is a write, with half of it done. After each
death the journal must open with everything that was told, and take one more record. Prints how many points there were.
SQLite's own writes lie out of reach here; `killed_writers.py` kills those at random.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from seawall.journal import Journal, batches, examine

CALLS = ("pwrite", "fdatasync", "fsync", "ftruncate", "rename", "replace", "mkdir", "unlink", "open")


def write(path: Path, backend: str, told: int) -> None:
    """What the writer does, telling each record after it was acknowledged."""
    number = 0
    for opening in range(3):
        with Journal.open(path, backend=backend) as journal:
            number = journal.durable.seq
            for market_seq in range(3):
                names = [b"record %d" % (number + 1), b"record %d" % (number + 2)]
                number = journal.append(names, market_seq + 10 * opening)
                os.write(told, b"".join(name + b"\n" for name in names))
            journal.snapshot(number - 1, {}, b"state")
        if opening == 1 and backend == "segments":
            with (path / "segment-00000000000000000001.log").open("ab") as file:
                file.write(b"SWJF torn")


def die_at(point: int, half: bool) -> list[int]:
    """From here on this process dies at the call of that number; the list counts the calls."""
    calls = [0]

    def wrapped(name):
        real = getattr(os, name)

        def call(*args, **options):
            calls[0] += 1
            if calls[0] == point:
                if half and name == "pwrite":
                    real(args[0], bytes(args[1])[: len(args[1]) // 2], args[2])
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **options)

        return call

    for name in CALLS:
        setattr(os, name, wrapped(name))
    return calls


def killed(path: Path, backend: str, point: int, half: bool) -> tuple[bool, list[str]]:
    """Whether the writer died at the point, and what it had been told."""
    read, told = os.pipe()
    child = os.fork()
    if child == 0:
        code = 9
        try:
            os.close(read)
            die_at(point, half)
            write(path, backend, told)
            code = 0
        finally:
            os._exit(code)
    os.close(told)
    names = b"".join(iter(lambda: os.read(read, 4096), b"")).decode().splitlines()
    os.close(read)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the writer failed"
    return os.WIFSIGNALED(status), names


def check(path: Path, backend: str, names: list[str], point: int) -> None:
    """What is left opens, has everything that was told, nothing else, and goes on."""
    if (path / "journal.json").exists():
        assert examine(path).status in ("whole", "torn"), (point, examine(path).findings)
    with Journal.open(path, backend=backend) as journal:
        found = [record.decode() for batch in journal.batches() for record in batch.records]
        assert found[: len(names)] == names, point
        assert found == [f"record {number + 1}" for number in range(len(found))], point
        journal.append([b"record %d" % (len(found) + 1)])
    assert examine(path).status == "whole", point
    assert sum(len(batch.records) for batch in batches(path)) == len(found) + 1, point


def main(folder: Path, backend: str) -> dict[str, int]:
    """Every point, each with the write not begun and half done."""
    point, died = 0, True
    while died:
        point += 1
        for half in (False, True):
            path = folder / f"{point}-{half}" / "j"
            path.parent.mkdir()
            died, names = killed(path, backend, point, half)
            check(path, backend, names, point)
    return {"points": point - 1}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2])))
