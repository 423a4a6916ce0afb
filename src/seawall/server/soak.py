"""The soak: a real `seawall serve` under a steady mixed load, its resident memory watched from outside, and its log searched at the end.

`python -m seawall.server.soak SECONDS ACCOUNTS WRITES_PER_S` prints one JSON object. At the end the service is killed with -9, every
acknowledged write is looked for in the journal by its idempotency key, and the service restarted from the oldest snapshot that is
kept, with everything after it replayed, must say the same state hash.

What a venue holds by design is bounded here within the warm-up, so that what still grows afterwards is nobody's: idempotency keys
are remembered for half of it (`venue.idempotency_s`, otherwise a day), the stream keeps as many messages as come in part of it,
accounts are there from the start, and fills are taken back. Nothing is subtracted from what the system says.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from seawall.core.errors import InvariantError, invariant
from seawall.journal import batches
from seawall.server.keys import SCOPES, KeyFile
from seawall.server.load import genesis_of
from seawall.server.records import SCHEMA, decode

__all__ = ["Plan", "growth_mb", "searched", "soaked", "tenths_mb"]

START_S = 600.0  # kernels that nobody has compiled yet
STREAM_PER_S = 100  # messages a second that the ring is made for; more come, so it is full within the warm-up
SAMPLES = 2_000


class Plan(NamedTuple):
    """A soak of so long. warm_s: after which growth counts; keys_s: how long idempotency keys are remembered."""

    seconds: float
    accounts: int
    per_s: float

    @property
    def warm_s(self) -> float:
        return max(self.seconds / 6, min(30.0, self.seconds / 3))

    @property
    def keys_s(self) -> int:
        return max(int(self.warm_s / 2), 1)

    @property
    def kept(self) -> int:
        return max(int(self.warm_s * STREAM_PER_S), 256)

    @property
    def snapshot_s(self) -> float:
        return min(60.0, max(self.seconds / 20, 2.0))


def soaked(plan: Plan, folder: Path) -> dict[str, Any]:
    """Runs the whole soak in an empty folder. Raises InvariantError for a write that is lost, doubled or invented, for a restart
    with another state, and for a client that was answered what it must not be."""
    key = _prepare(plan, folder)
    told = folder / "acknowledged"
    service, url, _ = _serve(folder)
    try:
        counts, samples = _loaded(plan, service, url, key, told)
        state = _state(url, key)
    finally:
        service.kill()
        service.wait()
    acknowledged = dict(_lines(told))
    found = searched(acknowledged, _journaled(folder / "journal"))
    invariant(found["lost"] == found["doubled"] == found["invented"] == 0, "each acknowledged write is in the journal once", str(found))
    invariant(len(acknowledged) == counts["acknowledged"] > 0, "something was acknowledged, under a key of its own each", str(counts))
    _leave_the_oldest_snapshot(folder / "journal" / "snapshots", state["sequence"])
    again, url, recovered = _serve(folder)
    try:
        after = _state(url, key)
    finally:
        again.send_signal(signal.SIGTERM)
        code = again.wait(60)
    invariant(after == state and code == 0, "the restarted service has the same state", f"{state}, then {after}; exit {code}")
    invariant(recovered["replayed"] > 0, "the restart has something to replay", str(recovered))
    tenths = tenths_mb(samples, plan.warm_s)
    return {
        "growth_mb": growth_mb(samples, plan.warm_s), "first_mb": tenths[0], "last_mb": tenths[-1], "tenths_mb": tenths,
        "seconds": plan.seconds, "warm_s": plan.warm_s, "keys_s": plan.keys_s, "stream_kept": plan.kept, "accounts": plan.accounts,
        "events": state["sequence"], "replayed": recovered["replayed"], "from_snapshot": recovered["snapshot"],
    } | counts  # fmt: skip


def tenths_mb(samples: list[tuple[float, int]], warm_s: float) -> list[float]:
    """The median of each tenth of the time after the warm-up; samples: (seconds, bytes), by rising time."""
    after = [(at, size) for at, size in samples if at >= warm_s]
    if len(after) < 10:
        raise InvariantError("memory is sampled at least ten times after the warm-up", f"{len(after)} of {len(samples)} samples")
    first, span = after[0][0], after[-1][0] - after[0][0]
    tenths: list[list[int]] = [[] for _ in range(10)]
    for at, size in after:
        tenths[min(int(10 * (at - first) / span), 9)].append(size)
    if not all(tenths):
        raise InvariantError("memory is sampled in each tenth of the time", str([len(each) for each in tenths]))
    return [round(statistics.median(each) / 1e6, 2) for each in tenths]


def growth_mb(samples: list[tuple[float, int]], warm_s: float) -> float:
    """The median of the last tenth less that of the first."""
    tenths = tenths_mb(samples, warm_s)
    return round(tenths[-1] - tenths[0], 2)


def searched(acknowledged: dict[str, int], journaled: Iterable[tuple[str, int]]) -> dict[str, int]:
    """acknowledged: sequence by key; journaled: (key, sequence) of every record that has a key. lost: acknowledged and not in the
    journal under that sequence; doubled: in it more than once; invented: in it and never acknowledged (all clients had all answers)."""
    times: Counter[str] = Counter()
    places: dict[str, int] = {}
    for key, sequence in journaled:
        times[key] += 1
        places.setdefault(key, sequence)
    return {
        "lost": sum(places.get(key) != sequence for key, sequence in acknowledged.items()),
        "doubled": sum(count > 1 for count in times.values()),
        "invented": sum(key not in acknowledged for key in times),
    }


def _prepare(plan: Plan, folder: Path) -> str:
    """The venue's files, and a key that may do everything."""
    (folder / "market.json").write_text(json.dumps(genesis_of().market), "utf-8")
    rows = [f"account-{number:07d},USD,20000," for number in range(plan.accounts)]
    rows += ["probe,USD,3000,", "probe,PROBE-PERP,100,100"]
    (folder / "book.csv").write_text("\n".join(["account,instrument,quantity,entry", *rows]) + "\n", "utf-8")
    (folder / "venue.toml").write_text(
        f"""[venue]
market = "market.json"
book = "book.csv"
capacity = {plan.accounts + 64}
clock_every_s = 0
idempotency_s = {plan.keys_s}
[journal]
snapshot_every_s = {plan.snapshot_s}
[listen]
port = 0
[stream]
kept = {plan.kept}
behind = {min(plan.kept, 8_192)}
""",
        "utf-8",
    )
    return KeyFile(folder / "keys.json").create("soak", list(SCOPES), requests_per_s=1e6)[1]


def _leave_the_oldest_snapshot(folder: Path, sequence: int) -> None:
    """So that the restart replays what came after it; none is left where even that is of the last event."""
    for place, path in enumerate(sorted(folder.glob("snapshot-*.bin"))):
        if place > 0 or int(path.stem.rpartition("-")[2]) >= sequence:
            path.unlink()


def _serve(folder: Path) -> tuple[subprocess.Popen[str], str, dict[str, Any]]:
    """A service, where it answers, and how it came up."""
    line = [sys.executable, "-m", "seawall.cli.main", "serve", "-c", str(folder / "venue.toml"), "--json"]
    with (folder / "service.log").open("a") as log:
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=log, text=True)
    alarm = threading.Timer(START_S, process.kill)
    alarm.start()
    assert process.stdout is not None
    said = process.stdout.readline()
    alarm.cancel()
    ready = json.loads(said or "{}")
    if "listening" not in ready:
        process.kill()
        process.wait()
        raise InvariantError("the service of the soak starts", said or (folder / "service.log").read_text("utf-8")[-400:])
    return process, ready["listening"], ready["recovered"]


def _loaded(
    plan: Plan, service: subprocess.Popen[str], url: str, key: str, told: Path
) -> tuple[dict[str, int], list[tuple[float, int]]]:
    """(what the clients count, resident bytes of the service by second), when the clients have ended."""
    words = [url, str(plan.accounts), str(plan.seconds), str(plan.per_s), str(told)]
    line = [sys.executable, "-m", "seawall.server.soak_clients", *words]
    clients = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert clients.stdin is not None
    clients.stdin.write(key)
    clients.stdin.close()
    clients.stdin = None
    samples: list[tuple[float, int]] = []
    start = time.monotonic()
    try:
        while clients.poll() is None:
            if service.poll() is not None:
                raise InvariantError("the service lives through the soak", f"it ended with {service.returncode}")
            samples.append((time.monotonic() - start, resident_bytes(service.pid)))
            time.sleep(plan.seconds / SAMPLES)
        out = clients.communicate()[0]
    finally:
        clients.kill()
        clients.wait()
    if clients.returncode:
        raise InvariantError("every client of the soak gets the answers that it must", f"they ended with {clients.returncode}")
    counts: dict[str, int] = json.loads(out)
    return counts, [each for each in samples if each[0] <= plan.seconds]


def resident_bytes(process: int) -> int:
    """Resident memory of another process, as the system says; Linux only."""
    return int(Path(f"/proc/{process}/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _state(url: str, key: str) -> dict[str, Any]:
    """The state hash and the sequence that it is of."""
    request = urllib.request.Request(f"{url}/v1/state-hash", headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def _lines(path: Path) -> Iterator[tuple[str, int]]:
    with path.open(encoding="ascii") as lines:
        for line in lines:
            key, sequence = line.split()
            yield key, int(sequence)


def _journaled(folder: Path) -> Iterator[tuple[str, int]]:
    for batch in batches(folder, 0, SCHEMA):
        for place, data in enumerate(batch.records):
            key = decode(data).key
            if key:
                yield key, batch.first_seq + place


def main(words: list[str]) -> None:
    """SECONDS ACCOUNTS WRITES_PER_S: prints the result as one JSON object."""
    plan = Plan(float(words[0]), int(words[1]), float(words[2]))
    with tempfile.TemporaryDirectory(prefix="seawall-soak-", dir=Path.cwd()) as name:
        print(json.dumps(soaked(plan, Path(name))))


if __name__ == "__main__":
    main(sys.argv[1:])
