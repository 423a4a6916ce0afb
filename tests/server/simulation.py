"""One seed, one venue's life: requests, a disk that is slow, refuses, dies half-way or lies, restarts, and a naive twin.

    python simulation.py SEED EVENTS [SEEDS]

The client of the simulation is a careful one: every request has a key, and what was not answered is sent again under the
same key after a restart, in order. Whatever happens, each request then counts once: the naive twin (`naive.py`) hears of
it once and must agree. Checked on the way: nothing acknowledged is missing after a restart, the state after a restart is
the state of a replay from the first record (which the engine decides again, event by event; restarts take most of it from what
the log says), every posting sums to zero, all money does. Prints one JSON object a seed, SEEDS of them one after the other.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from engine.histories import WEIGHTS, Venue, genesis, perpetuals_document
from seawall.core.errors import BrokenJournal, InputError, JournalStopped
from seawall.engine.clearing import Clearing
from seawall.journal import batches
from seawall.server import requests as wire
from seawall.server.records import decode
from seawall.server.recovery import scoped
from seawall.server.service import Service, Unavailable
from server.naive import Naive
from server.venues import Clock, Disk, config

# interest compounds at touches: the ledger's own twin has it (tests/ledger), this one keeps to what is paid at once
LEFT_OUT = ("accrue",)
EPISODES = {"calm": 6, "slow": 2, "refuses": 3, "dies after": 3, "dies before": 3, "close": 2, "snapshot": 3}


ASKED = (0, 0, 7, 60, 400)  # of so many of the last records a restart asks the engine


class Faults(Disk):
    """A backend whose next write does what the episode says."""

    def __init__(self, rng: random.Random, episode: str) -> None:
        super().__init__()
        self.rng, self.episode = random.Random(rng.random()), episode  # of the committer's thread
        self.left = rng.randint(0, 6)
        self.lost: list[Any] = []

    def append(self, frames: Any) -> None:
        frames = list(frames)
        self.left -= 1
        if self.episode == "slow" and self.rng.random() < 0.2:
            time.sleep(self.rng.choice((0.001, 0.01)))
        if self.left < 0 and self.episode == "lies":
            self.lost.append(frames)  # says that it has them
            return
        if self.left < 0 and self.episode == "dies before":
            raise OSError(5, "Input/output error")
        if self.left < 0 and self.episode == "refuses":
            raise OSError(28, "No space left on device")
        self.store.append(frames)
        if self.left < 0 and self.episode == "dies after":
            raise OSError(5, "Input/output error")  # it has them, and nobody is told


class Grouped(Service):
    """Hands the journal what was sent together as one group, so that a seed makes the same groups, and the same
    crashes between them, on every machine. What threads do to each other is for `killed_services.py`."""

    held: list[bytes] = []

    def _record(self, record: bytes, sequence: int) -> None:
        self.held = [*self.held, record]

    async def settled(self) -> None:
        held, self.held = self.held, []
        try:
            if held:
                self.journal.submit(held, promised=True)
        except JournalStopped as error:
            raise Unavailable(str(error)) from error
        await super().settled()


class Simulation:
    """A seed's life. run: so many acknowledged events, then checked to the end."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.rng = random.Random(f"simulation {seed}")
        self.seed, self.folder = seed, folder / "journal"
        self.clock = Clock(0)
        self.pending: list[tuple[str, Any]] = []  # (key, request) sent and not answered
        self.acknowledged = self.sent = self.restarts = self.refused = 0
        self.left_at: tuple[int, str] = (0, "")  # sequence and state hash when the last service was closed
        self.naive: Naive | None = None
        self.venue: Venue | None = None
        self.first = genesis("portfolio" if seed % 4 == 0 else "fixed", perpetuals_document())

    async def run(self, events: int) -> dict[str, Any]:
        while self.acknowledged < events:
            episode = self.rng.choices(list(EPISODES), list(EPISODES.values()))[0]
            await self._episode(episode, min(events - self.acknowledged, self.rng.randint(50, 400)))
        service = await self._open("calm")
        await self._resend(service)
        self._check(service)
        self._check_replay(service)
        hash_after = service.clearing.state_hash()
        await service.close()
        await self._lied_to()
        return {
            "seed": self.seed, "events": self.acknowledged, "refused": self.refused, "restarts": self.restarts,
            "hash": hash_after,
        }  # fmt: skip

    async def _open(self, episode: str) -> Service:
        new = self.venue is None
        self.disk = Faults(self.rng, "calm" if new else episode)
        made = config(
            self.folder, genesis=self.first if new else None, wrap=self.disk, capacity=300, asked=self.rng.choice(ASKED)
        )
        service = await Grouped.open(made, self.clock)
        self.restarts += 1
        if service.clearing.sequence == self.left_at[0]:
            assert service.clearing.state_hash() == self.left_at[1], "a restart made another state"
        assert service.clearing.sequence >= self.acknowledged, "an acknowledged event is missing"
        if self.venue is None:
            self.venue = Venue(self.seed, service.clearing)
            self.naive = Naive(service.clearing)
        assert service.recovered.sequence <= self.acknowledged + 1 + len(self.pending), "an event was invented"
        return service

    async def _episode(self, episode: str, events: int) -> None:
        service = await self._open(episode)
        goal = self.acknowledged + events
        try:
            await self._resend(service)
            while self.acknowledged < goal and service.status()["state"] != "stopped":
                await self._some(service)
                if episode == "snapshot" and self.rng.random() < 0.05:
                    await service.snapshot()
        except Unavailable:
            pass  # what was not answered is kept in `pending`
        if not self.pending:
            self._check(service)
        await service.close()
        self.left_at = service.clearing.sequence, service.clearing.state_hash()

    async def _some(self, service: Service) -> None:
        """One to twenty requests, sent without waiting for each other."""
        assert self.venue is not None
        for _ in range(self.rng.choice((1, 1, 3, 20))):
            request, at_ns = self._next(service)
            self.clock.now_ns = at_ns - self.rng.choice((0, 0, 0, 0, 10**9, 10**15))
            self.sent += 1
            self.pending.append((f"r{self.sent}", request))
            if not self._send(service, *self.pending[-1]):
                self.pending.pop()
        await self._settle(service)

    def _next(self, service: Service) -> tuple[Any, int]:
        assert self.venue is not None
        while True:
            request, at_ns = self.venue.next(service.clearing)
            if isinstance(request, wire.Funding):  # a price of its own, so that it is the same when it is sent again
                request = msgspec.structs.replace(request, price=self.venue._price(service.clearing, request.instrument))
            if request.__struct_config__.tag not in LEFT_OUT:
                return request, at_ns

    def _send(self, service: Service, key: str, request: Any) -> bool:
        """Applies a request; whether it will be answered. A refusal is an answer, and the request is done with."""
        try:
            written = service._apply(request, "client", key)
        except InputError:
            self.refused += 1
            return False
        if not written.sequence:
            self.refused += 1
            return False
        if written.receipt is not None:
            sums: dict[str, int] = {}
            for line in written.receipt.postings:
                sums[line.unit] = sums.get(line.unit, 0) + line.amount
            assert not any(sums.values()), "postings that do not sum to zero"
        return True

    async def _settle(self, service: Service) -> None:
        await service.settled()
        assert self.naive is not None
        for _, request in self.pending:
            self.naive.apply(request)
        self.acknowledged += len(self.pending)
        self.pending.clear()

    async def _resend(self, service: Service) -> None:
        """What was not answered, in its order, under its keys."""
        kept = []
        for key, request in self.pending:
            self.clock.now_ns = self.venue.at_ns if self.venue else 0
            if self._send(service, key, request):
                kept.append((key, request))
        self.pending = kept
        await self._settle(service)

    def _check(self, service: Service) -> None:
        assert self.naive is not None
        wrong = self.naive.differences(service.clearing)
        assert not wrong, wrong[:5]
        service.clearing.check_mirror()
        assert service.clearing.sequence == self.acknowledged + 1
        assert service.clearing.engine.audit() == []

    def _check_replay(self, service: Service) -> None:
        """The log from its first record makes the same state."""
        clearing: Clearing | None = None
        for batch in batches(self.folder):
            for record in map(decode, batch.records):
                if clearing is None:
                    clearing = Clearing(record.event, 300)
                else:
                    clearing.apply(record.event, scoped(record.key_id, record.key))
        assert clearing is not None
        assert clearing.state_hash() == service.clearing.state_hash(), "a replay makes another state"

    async def _lied_to(self) -> None:
        """A disk that says it has what it has not: noticed at the next start, which is refused, or nothing is missing."""
        service = await self._open("lies")
        before = self.acknowledged
        for _ in range(self.rng.randint(1, 8)):
            await self._some(service)
        lost = bool(self.disk.lost)
        await service.close()
        try:
            again = await self._open("calm")
        except BrokenJournal:
            assert lost
            return
        assert not lost, "a lost record was not noticed"
        assert again.clearing.sequence == self.acknowledged + 1 >= before + 1
        await again.close()


def simulate(seed: int, events: int, folder: Path | None = None) -> dict[str, Any]:
    """One seed, in memory where there is a disk in memory."""
    memory = Path("/dev/shm")
    place = folder or Path(tempfile.mkdtemp(prefix="seawall-test-", dir=memory if memory.is_dir() else None))
    try:
        return asyncio.run(Simulation(seed, place).run(events))
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    assert set(LEFT_OUT) < set(WEIGHTS)
    first, count = int(sys.argv[1]), int(sys.argv[3]) if len(sys.argv) > 3 else 1
    for number in range(first, first + count):
        began = time.monotonic()
        try:
            found = simulate(number, int(sys.argv[2]))
        except BaseException:
            print(f"seed {number}, {sys.argv[2]} events", file=sys.stderr)
            raise
        print(json.dumps(found | {"seconds": round(time.monotonic() - began, 1)}), flush=True)
