"""`seawall journal`: whether a log is whole, what to do where it is not, and what stands in it."""

from __future__ import annotations

import base64
import binascii
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seawall.cli.arguments import AsJson

if TYPE_CHECKING:
    from seawall.journal.check import Finding, Report
    from seawall.journal.files import Head
    from seawall.journal.reading import Batch

NAME = "journal"
TORN = 1
BROKEN = 3

app = typer.Typer(
    name=NAME,
    help=(
        "Whether a journal is whole, and what stands in it. Each takes --json. Exit codes: 0 whole, 1 what a crash left, 2 no "
        "journal, 3 damaged (acknowledged records are missing or changed), 4 another writer has it, 5 its disk refuses."
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)

Folder = Annotated[Path, typer.Argument(help="The folder of a journal.")]
From = Annotated[int, typer.Option("--from", min=1, help="First sequence.")]
To = Annotated[int | None, typer.Option("--to", min=1, help="Last sequence.")]


@app.command("verify")
def verify(
    path: Folder,
    expect: str | None = typer.Option(None, help="SEQUENCE:HASH known from elsewhere, which the log must reach."),
    deep: bool = typer.Option(
        False, "--deep", help="Of a service's log: also decide every record again, and compare with what the log says."
    ),
    json: AsJson = False,
) -> int:
    """Walk the whole log and change nothing: every frame, the chain, the head, the snapshots."""
    from seawall.cli import output
    from seawall.journal.check import examine, integrity

    known = _expected(expect)
    with output.progress_bar("reading the log", _last_known(path)) as advance:
        report = examine(path, expect=known, progress=advance)
    with output.status("asking SQLite about its pages"):
        pages = [] if report.status == "broken" else list(integrity(path, report.identity))
    status = "torn" if pages and report.status == "whole" else report.status
    findings = report.findings + pages
    decided: dict[str, Any] | None = None
    if deep and report.status != "broken":
        status, decided = _decide_again(path, status, findings)
    if json:
        words = report.words() | {"status": status, "findings": [each._asdict() for each in findings]}
        output.print_json(words if decided is None else words | {"decided_again": decided})
    else:
        _print_report(report, status, findings)
        if decided is not None:
            print(f"decided again {decided['records']:,} records, {decided['said']:,} of which say what was decided: the same")
    return {"whole": 0, "torn": TORN, "broken": BROKEN}[status]


@app.command("repair")
def repair(
    path: Folder,
    keep_until: int | None = typer.Option(
        None, min=0, help="For a damaged log: give up what was acknowledged after this sequence (verify names it)."
    ),
    json: AsJson = False,
) -> int:
    """Mend what a crash left; a damaged log only with --keep-until. What is taken out goes to `removed`."""
    from seawall.cli import output
    from seawall.journal.repair import repair as mend

    with output.status("reading the log"):
        result = mend(path, keep_until)
    if json:
        output.print_json(
            {
                "path": str(path),
                "status_before": result.before.status,
                "findings": [each._asdict() for each in result.findings],
                "done": result.done,
                "removed": [str(each) for each in result.removed],
                "acknowledged_records_lost": result.lost,
                "head": result.before.head.words(),
            }
        )
        return 0
    _print_findings(result.findings)
    for words in result.done or ["nothing to repair"]:
        print(words)
    for place in result.removed:
        print(f"what was there before is in {place}")
    if result.lost:
        print(f"{result.lost:,} acknowledged records are lost, from sequence {result.before.head.seq + 1:,} on")
    return 0


@app.command("export")
def export(
    path: Folder,
    out: Path = typer.Option(Path("-"), "--out", help="JSON lines, one record each; - for stdout."),
    first: From = 1,
    last: To = None,
    json: AsJson = False,
) -> int:
    """Write the records as JSON lines: sequence, epoch, market sequence, schema, the bytes, and what they say if told."""
    import sys

    from seawall.cli import output

    lines = _lines(path, first, last)
    if str(out) == "-":
        count = sum(print(line) or 1 for line in lines)
    else:
        rough = out.with_name(out.name + ".part")
        with rough.open("w", encoding="utf-8") as file:
            count = sum(bool(file.write(line + "\n")) for line in lines)
        rough.replace(out)
    if json:
        print_to = sys.stderr if str(out) == "-" else sys.stdout
        print(_text({"path": str(path), "out": str(out), "records": count}), file=print_to)
    elif str(out) != "-":
        output.note(f"{count:,} records in {out}")
    return 0


@app.command("tail")
def tail(
    path: Folder,
    count: int = typer.Option(10, "-n", "--count", min=0, help="How many of the last records."),
    follow: bool = typer.Option(False, "--follow", "-f", help="Go on as records come, until interrupted."),
    json: AsJson = False,
) -> int:
    """Show the last records, also of a journal that is being written."""
    import time

    from seawall.journal.reading import batches

    rows: deque[str] = deque(maxlen=count)
    seq = max(_last_known(path) - count, 0)
    for batch in batches(path, after=seq):
        rows.extend(_shown(batch, json))
        seq = batch.first_seq + len(batch.records) - 1
    for row in rows:
        print(row, flush=follow)
    while follow:
        for batch in batches(path, after=seq) if _last_known(path) > seq else ():
            for row in _shown(batch, json):
                print(row, flush=True)
            seq = batch.first_seq + len(batch.records) - 1
        time.sleep(0.2)
    return 0


def _expected(words: str | None) -> tuple[int, bytes] | None:
    from seawall.core.errors import InputError

    if words is None:
        return None
    seq, _, digest = words.partition(":")
    try:
        hash_ = bytes.fromhex(digest)
    except ValueError:
        hash_ = b""
    if not seq.isdecimal() or len(hash_) != 32:
        raise InputError("--expect", words, "SEQUENCE:HASH, the hash as 64 hex digits")
    return int(seq), hash_


def _decide_again(path: Path, status: str, findings: list[Finding]) -> tuple[str, dict[str, Any] | None]:
    """(status, what the engine said); where it says something else than the log, a finding more."""
    import msgspec

    from seawall.cli import output
    from seawall.core.errors import BrokenJournal
    from seawall.journal.check import Finding
    from seawall.server.deep import verify_deep

    try:
        with output.progress_bar("deciding again", _last_known(path)) as advance:
            return status, msgspec.to_builtins(verify_deep(path, advance))
    except BrokenJournal as error:
        findings.append(Finding(error.place, 0, error.problem, "report this; the log is whole, what it says was decided is not"))
        return "broken", None


def _last_known(path: Path) -> int:
    """The last sequence as the head file has it; 0 where it says nothing."""
    from seawall.journal.files import HeadFile, Identity

    head, _ = HeadFile.read(path, Identity.read(path))
    return 0 if head is None else head.seq


def _print_report(report: Report, status: str, findings: list[Finding]) -> None:
    means = {"whole": "whole", "torn": "can be mended without loss", "broken": "DAMAGED: it will not be opened"}[status]
    rows = [
        ("journal", f"{report.path} ({report.identity.backend}{', being written' if report.live else ''})"),
        ("status", means),
        ("log", f"{report.records:,} records in {report.frames:,} batches, up to sequence {report.head.seq:,}"),
        ("head", _head(report.head)),
        ("acknowledged", "unknown" if report.anchored is None else f"up to sequence {report.anchored.seq:,}"),
        ("schemas", ", ".join(map(str, report.schemas)) or "none"),
        ("snapshots", f"{report.snapshots}"),
    ]
    for name, words in rows:
        print(f"{name:<13} {words}")
    _print_findings(findings)


def _print_findings(findings: list[Finding]) -> None:
    for each in findings:
        print(f"\n{each.place}, sequence {each.seq:,}\n  found: {each.problem}\n  do:    {each.remedy}")


def _head(head: Head) -> str:
    return f"epoch {head.epoch}, market sequence {head.market_seq:,}, hash {head.hash.hex()}"


def _lines(path: Path, first: int, last: int | None) -> Iterator[str]:
    from seawall.journal.reading import batches

    for batch in batches(path, after=first - 1):
        for number, record in enumerate(batch.records):
            if last is not None and batch.first_seq + number > last:
                return
            yield _text(_record(batch, number, record))


def _shown(batch: Batch, json: bool) -> Iterator[str]:
    for number, record in enumerate(batch.records):
        fields = _record(batch, number, record)
        if json:
            yield _text(fields)
            continue
        told = _text(fields["record"]) if "record" in fields else binascii.hexlify(record[:60]).decode()
        place = f"{fields['sequence']:>12,}  epoch {batch.epoch}  market {batch.market_seq:,}  schema {batch.schema}"
        yield f"{place}  {told}"


def _record(batch: Batch, number: int, record: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "sequence": batch.first_seq + number,
        "epoch": batch.epoch,
        "market_sequence": batch.market_seq,
        "schema": batch.schema,
        "data": base64.b64encode(record).decode(),
    }
    told = _told(record)
    return fields if told is None else fields | {"record": told}


def _told(record: bytes) -> Any:
    """What a record says, for people: the bytes are what counts. None where they are neither JSON nor msgpack."""
    import msgspec

    try:
        return msgspec.json.decode(record)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass  # not JSON; perhaps msgpack
    try:
        told = msgspec.msgpack.decode(record)
        return msgspec.json.decode(msgspec.json.encode(told)) if isinstance(told, list | dict) else None
    except (msgspec.MsgspecError, UnicodeError, RecursionError, TypeError, ValueError):
        return None


def _text(fields: Any) -> str:
    import msgspec

    return msgspec.json.encode(fields).decode()
