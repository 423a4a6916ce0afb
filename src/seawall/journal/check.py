"""Whether a journal is what its writer acknowledged: one pass over the log that changes nothing.

Each frame must hold in itself, follow the one before it (sequence, hash, epoch, market sequence), and the log must reach, with
the same hash, every point that is known from elsewhere: the head file, the snapshots, and a head that the caller has from
a replica or a status board. The verdict is one of

    whole    nothing to say
    torn     what a crash may leave: an unacknowledged end, one of the two head slots, a snapshot; opening mends the first two
    broken   what no crash explains: acknowledged records are missing or changed, the journal is not opened
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from seawall.core.errors import BrokenJournal
from seawall.journal import lock, snapshot
from seawall.journal.files import HEAD_FILE, Head, HeadFile, Identity
from seawall.journal.frame import Header
from seawall.journal.store import Bad, Found, store_class

__all__ = ["Chain", "Finding", "Report", "examine"]


class Finding(NamedTuple):
    """One thing that is wrong: where, at which sequence, what, and what can be done."""

    place: str
    seq: int
    problem: str
    remedy: str


class Report(NamedTuple):
    """What was found. head: where the valid log ends; anchored: how far the head file says it was acknowledged."""

    path: Path
    identity: Identity
    status: str
    live: bool
    frames: int
    records: int
    first_seq: int
    head: Head
    anchored: Head | None
    schemas: tuple[int, ...]
    snapshots: int
    findings: list[Finding]
    cut: tuple[Path, int] | None
    from_snapshot: snapshot.Snapshot | None

    def error(self) -> BrokenJournal:
        """The first finding as an error."""
        first = self.findings[0]
        return BrokenJournal(str(self.path / first.place), first.problem, first.remedy)

    def words(self) -> dict[str, Any]:
        """For the JSON of an answer."""
        return {
            "path": str(self.path),
            "backend": self.identity.backend,
            "identity": self.identity.id.hex(),
            "status": self.status,
            "live": self.live,
            "frames": self.frames,
            "records": self.records,
            "first_sequence": self.first_seq,
            "head": self.head.words(),
            "acknowledged": None if self.anchored is None else self.anchored.words(),
            "schemas": list(self.schemas),
            "snapshots": self.snapshots,
            "findings": [each._asdict() for each in self.findings],
        }


class Chain:
    """Where a walk along the log stands, and what the next frame has to be."""

    def __init__(self, head: Head) -> None:
        self.head = head

    @classmethod
    def from_start(cls, identity: Identity) -> Chain:
        """Before the first record."""
        return cls(Head(0, 0, 0, 0, identity.genesis))

    def follow(self, found: Found) -> str | None:
        """Takes the next frame, or says why it is not the next one."""
        header, head = found.frame.header, self.head
        if header.first_seq != head.seq + 1:
            return f"a frame that begins with sequence {header.first_seq:,} where {head.seq + 1:,} should come"
        if header.previous != head.hash:
            return f"the frame of sequence {header.first_seq:,} does not follow the one before it (its hash is another)"
        if header.epoch < head.epoch:
            return f"epoch {header.epoch} after epoch {head.epoch}: a frame of an older writer"
        if header.market_seq < head.market_seq:
            return f"market sequence {header.market_seq:,} after {head.market_seq:,}"
        self.head = head_of(header, found.frame.hash)
        return None


def head_of(header: Header, hash_: bytes) -> Head:
    """The head that a log has whose last frame this is."""
    return Head(header.epoch, header.last_seq, header.market_seq, header.n_records, hash_)


def examine(
    folder: Path | str,
    *,
    expect: tuple[int, bytes] | None = None,
    start: snapshot.Snapshot | None = None,
    writing: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Walks the whole log (from the frame of `start`, if given) and says what it found; changes nothing.

    expect: a head (sequence, hash) known from elsewhere. writing: the caller holds the lock itself. progress hears the
    sequence reached, now and then.
    Raises UnreadableFile where the folder is no journal, BrokenJournal where its identity is damaged.
    """
    folder = Path(folder)
    identity = Identity.read(folder)
    live = not writing and lock.holder(folder)
    # The head first: a live log only grows, so it must reach whatever the head said before the walk.
    anchored, head_problems = _read_head(folder, identity, live)
    held, findings = _snapshots(folder, identity, start)
    walk = _Walk(identity, start, anchored, held, expect)
    store = store_class(identity.backend, str(folder))
    cut = torn = None
    for item in store.scan(folder, identity, 1 if start is None else start.frame.first_seq):
        if isinstance(item, Bad):
            if item.cut is None:
                walk.broken(item.place, f"{item.problem}; expected sequence {walk.chain.head.seq + 1:,}")
            elif not live:  # of a live log, the end that is being written
                torn, cut = item, item.cut
            break
        if not walk.take(item):
            break
        if progress is not None and walk.frames % 256 == 0:
            progress(walk.chain.head.seq)
    walk.finish(torn)
    if torn is not None and not walk.findings:
        findings.append(_torn(torn, walk.chain.head.seq))
    findings += _of_head(anchored, head_problems, walk)
    status = "broken" if walk.findings else ("torn" if findings else "whole")
    if walk.findings:
        findings, cut = walk.findings + findings, None
    return Report(
        folder, identity, status, live, walk.frames, walk.records, walk.first_seq, walk.chain.head, anchored,
        tuple(sorted(walk.schemas)), len(held), findings, cut, start,
    )  # fmt: skip


class _Walk:
    """The walk along the log, with the points that it must pass."""

    def __init__(
        self,
        identity: Identity,
        start: snapshot.Snapshot | None,
        anchored: Head | None,
        held: list[snapshot.Snapshot],
        expect: tuple[int, bytes] | None,
    ) -> None:
        self.chain = Chain.from_start(identity)
        self._start = start
        self.findings: list[Finding] = []
        self.frames = self.records = self.first_seq = 0
        self.schemas: set[int] = set()
        # sequence at which a frame must end -> (its hash, who says so)
        self._points: list[tuple[int, bytes, str]] = []
        if anchored is not None:
            self._points.append((anchored.seq, anchored.hash, HEAD_FILE))
        self._points += [
            (each.frame.seq, each.frame.hash, f"{snapshot.FOLDER}/{each.path.name}")
            for each in held
        ]
        if expect is not None:
            self._points.append((*expect, "the given head"))
        self._points.sort(key=lambda point: point[0])
        self._met(0, identity.genesis)

    def take(self, item: Found) -> bool:
        """Follows one frame; False where it does not follow."""
        header = item.frame.header
        if self._start is not None and not self.frames:
            if item.frame.hash != self._start.frame.hash:
                self.broken(item.place, "not the frame that the newest snapshot was made at")
                return False
            self.chain = Chain(head_of(header, item.frame.hash))
        elif problem := self.chain.follow(item):
            self.broken(item.place, problem)
            return False
        self.first_seq = self.first_seq or header.first_seq
        self.frames += 1
        self.records += header.n_records
        self.schemas.add(header.schema)
        return self._met(header.last_seq, item.frame.hash, item.place)

    def finish(self, end: Bad | None) -> None:
        """At the end of the log, bad or not: every point must have been passed."""
        if self.findings or not self._points:
            return
        seq, _, who = self._points[-1]
        problem = f"the log ends with sequence {self.chain.head.seq:,}, and {who} says that records were acknowledged up to {seq:,}"
        if end is None:
            self.broken(who, problem)
        else:
            self.broken(end.place, f"{end.problem}: {problem}")

    def broken(self, place: str, problem: str) -> None:
        """Notes damage that no crash explains."""
        remedy = (
            "restore the journal from a replica or a backup, or keep what is before it: "
            f"seawall journal repair --keep-until {self.chain.head.seq}"
        )
        self.findings.append(Finding(place, self.chain.head.seq + 1, problem, remedy))

    def _met(self, seq: int, hash_: bytes, place: str = "") -> bool:
        while self._points and self._points[0][0] <= seq:
            at, expected, who = self._points.pop(0)
            if at < seq or expected != hash_:
                what = "has no frame that ends there" if at < seq else "has another hash there"
                self.broken(who, f"sequence {at:,} was acknowledged, and the log {what}{place and f' ({place})'}")
                return False
        return True


def _read_head(folder: Path, identity: Identity, live: bool) -> tuple[Head | None, list[str]]:
    for _ in range(100):
        head, problems = HeadFile.read(folder, identity)
        if not (live and problems):
            break  # of a live journal a slot may be seen half written
    return head, problems


def _snapshots(
    folder: Path, identity: Identity, start: snapshot.Snapshot | None
) -> tuple[list[snapshot.Snapshot], list[Finding]]:
    """Those that hold, without their columns, and those that do not; the older ones are not read again at a start."""
    held, findings = [], []
    for path in snapshot.paths(folder):
        if start is not None and path <= start.path:
            held += [start] if path == start.path else []
            continue
        try:
            held.append(snapshot.read(path, identity)._replace(columns={}))
        except FileNotFoundError:
            continue  # a writer that goes on keeps the newest only
        except snapshot.SnapshotDamaged as error:
            place = f"{snapshot.FOLDER}/{path.name}"
            findings.append(Finding(place, 0, str(error), "the log has everything; seawall journal repair moves it away"))
    return held, findings


def _of_head(anchored: Head | None, problems: list[str], walk: _Walk) -> list[Finding]:
    """What is wrong with the head file itself: one slot is mended, without any the log's end is anybody's guess."""
    if anchored is None:
        walk.broken(HEAD_FILE, f"{' and '.join(problems)}: nothing says how far the log was acknowledged")
        return []
    remedy = "the other slot holds; it is written anew when the journal is opened"
    return [Finding(HEAD_FILE, anchored.seq, problem, remedy) for problem in problems]


def _torn(end: Bad, seq: int) -> Finding:
    assert end.cut is not None
    path, length = end.cut
    rest = path.stat().st_size - length
    problem = f"{end.problem}: a write that was cut off left {rest:,} bytes after sequence {seq:,}"
    return Finding(end.place, seq + 1, problem, "nothing of it was acknowledged; it is cut off when the journal is opened")


def integrity(folder: Path, identity: Identity) -> Iterator[Finding]:
    """What SQLite itself says of its pages: damage that may not have reached a frame yet."""
    if identity.backend != "sqlite":
        return
    from seawall.journal.sqlite import FILE, UNREADABLE, reader

    remedy = "every frame was read and holds; copy them into new files: seawall journal repair"
    try:
        connection = reader(folder / FILE)
        try:
            for (text,) in connection.execute("PRAGMA integrity_check(5)"):
                if text != "ok":
                    yield Finding(FILE, 0, f"SQLite: {text}", remedy)
        finally:
            connection.close()
    except UNREADABLE as error:
        yield Finding(FILE, 0, f"SQLite: {error}", remedy)
