"""A program that kills services: starts a real one, writes to it from several tasks, kills it with -9 at a random moment.

    python killed_services.py FOLDER ROUNDS SEED

The service runs in a process of its own and tells each acknowledged write through a pipe, after `write` returned and not
before: its key and the sequence of its record. It takes snapshots on the way, and begins each round by telling the
sequence and the state hash that it recovered. After each kill this program folds the log from the first record itself:
its hash must be what the next service says of itself; every acknowledged key must be there once and under the sequence
that was told; records that nobody was told of may be there only if they were sent. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from engine.histories import Venue, genesis, perpetuals_document
from seawall.core.errors import InputError
from seawall.engine.clearing import Clearing
from seawall.journal import batches, examine
from seawall.server.records import decode
from seawall.server.recovery import scoped
from seawall.server.service import Service, ServiceConfig
from seawall.server.turning import event_of

WRITERS = 4


async def serve(folder: Path, number: int, told: int) -> None:
    """The service and its writers, until it is killed."""
    first = genesis("fixed", perpetuals_document())
    service = await Service.open(
        ServiceConfig(
            folder=folder, genesis=first, capacity=400, snapshot_every_records=150, clock_every_s=0.05,
            board=folder / "board",
        )
    )  # fmt: skip
    recovered = service.recovered.sequence
    line = {"recovered": recovered, "snapshot": service.recovered.snapshot, "hash": service.clearing.state_hash()}
    os.write(told, (json.dumps(line) + "\n").encode())

    async def write(writer: int) -> None:
        venue = Venue(number * 10 + writer, service.clearing)
        count = 0
        while True:
            request, _ = venue.next(service.clearing)
            key = f"{number}.{writer}.{count}"
            count += 1
            try:
                written = await service.write(request, key_id="test", idempotency=key)
            except InputError:
                continue
            if written.sequence:
                os.write(told, (json.dumps({"key": key, "sequence": written.sequence}) + "\n").encode())
            await asyncio.sleep(0)

    await asyncio.gather(*(write(writer) for writer in range(WRITERS)))


def killed(folder: Path, number: int, after_s: float, serve: Any = serve) -> list[dict[str, Any]]:
    """One service, killed so long after it came up (or before that): what it told. It may as well have killed itself before."""
    read, told = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            asyncio.run(serve(folder, number, told))
        finally:
            os._exit(9)
    os.close(told)
    parts: list[bytes] = []
    first = threading.Event()

    def pump() -> None:
        while data := os.read(read, 1 << 16):
            parts.append(data)
            first.set()

    pumping = threading.Thread(target=pump)
    pumping.start()
    if after_s >= 0:
        first.wait(120)
    deadline = time.monotonic() + abs(after_s)
    while time.monotonic() < deadline and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)  # a child that is dead already is there until it is waited for
    status = os.waitpid(child, 0)[1]
    pumping.join()
    os.close(read)
    assert os.WIFSIGNALED(status), "the service ended by itself"
    lines = b"".join(parts).decode().split("\n")
    return [json.loads(line) for line in lines[:-1]]


class Log:
    """The log, folded from its first record by this process, round after round. silent: records that nobody sends."""

    silent: tuple[str, ...] = ("Clock",)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clearing: Clearing | None = None
        self.keys: dict[str, int] = {}
        self.sequence = 0

    def follow(self) -> None:
        """Folds what has been added."""
        report = examine(self.folder)
        assert report.status in ("whole", "torn"), report.findings
        for batch in batches(self.folder, after=self.sequence):
            for data in batch.records:
                record = decode(data)
                self.sequence += 1
                if self.clearing is None:
                    self.clearing = Clearing(record.event, 400)
                    continue
                outcome = self.clearing.apply(record.event, scoped(record.key_id, record.key))
                assert outcome.sequence == self.sequence, "a record that is not applied as it was"
                self.heard(record.event, outcome)
                if record.key:
                    assert record.key not in self.keys, "a request twice"
                    self.keys[record.key] = self.sequence
                else:
                    assert type(record.event).__name__ in self.silent, "a record that nobody sent"

    def heard(self, event: Any, outcome: Any) -> None:
        """What else is to be seen of a record."""


def main(folder: Path, rounds: int, seed: int) -> dict[str, Any]:
    """All rounds on one journal."""
    rng = random.Random(seed)
    log, path = Log(folder / "journal"), folder / "journal"
    acknowledged: dict[str, int] = {}
    came_up = snapshots = 0
    for number in range(rounds):
        said = killed(path, number, rng.choice((-0.5, 0.05, 0.3, 1.0, 1.0)) * rng.random())
        if said:
            came_up += 1
            snapshots += said[0]["snapshot"] > 0
            if log.clearing is not None:
                assert said[0]["recovered"] == log.sequence, "recovered another log"
                assert said[0]["hash"] == log.clearing.state_hash(), "recovered another state"
        acknowledged |= {line["key"]: line["sequence"] for line in said[1:]}
        if (path / "journal.head").exists():
            log.follow()
        missing = {key: sequence for key, sequence in acknowledged.items() if log.keys.get(key) != sequence}
        assert not missing, f"{len(missing)} acknowledged writes are missing or elsewhere: {sorted(missing)[:3]}"
    return {
        "rounds": rounds, "came_up": came_up, "from_snapshot": snapshots, "acknowledged": len(acknowledged),
        "records": log.sequence,
    }  # fmt: skip


if __name__ == "__main__":
    # compiled once, before there is anything to kill
    warm = Clearing(genesis("fixed", perpetuals_document()), 400)
    venue = Venue(0, warm)
    for _ in range(300):
        request, at_ns = venue.next(warm)
        with contextlib.suppress(InputError):
            warm.apply(event_of(warm, request, at_ns))
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
