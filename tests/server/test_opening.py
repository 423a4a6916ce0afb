"""The opening book: written once and whole, wherever the first start, or the second, ends half-way."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from conftest import environment
from seawall.core.errors import InputError, SeawallError
from seawall.journal import batches
from seawall.journal.files import HeadFile, Identity
from seawall.server import opening
from seawall.server.config import VenueConfig, load_config
from seawall.server.opening import COUNTERPARTY, MARKER, WRITER, open_service, opening_requests
from seawall.server.records import SCHEMA, decode
from server.running import write_config
from server.venues import Disk, run

ACCOUNTS = 400


def venue(folder: Path, accounts: int = ACCOUNTS) -> VenueConfig:
    """A configuration with a book of so many accounts, each with money, every second with a position, some with a pool."""
    path = write_config(folder, model="fixed")
    rows = ["account,instrument,quantity,isolated"]
    for number in range(accounts):
        rows.append(f"user-{number},USD,{1000 + number}.5,")
        if number % 2:
            rows.append(f"user-{number},BTC-PERP,{'-' if number % 4 == 1 else ''}0.{number % 9 + 1:03d},")
        if number % 10 == 0:
            rows.append(f"user-{number},USD,250,side")
    (folder / "book.csv").write_text("\n".join(rows) + "\n", "utf-8")
    text = path.read_text("utf-8")
    (line,) = (line for line in text.splitlines() if line.startswith("book ="))
    path.write_text(text.replace(line, 'book = "book.csv"').replace("capacity = 64", f"capacity = {3 * accounts}"), "utf-8")
    return load_config(path)


def money(service: Any) -> dict[str, Any]:
    """Who has what, by name: what must not depend on when it was written."""
    columns = service.clearing.ledger.columns()
    return {name: list(columns[name]) for name in ("account", "kind", "balance_account", "balance", "position_account", "lots", "cost")}


async def written(config: VenueConfig) -> dict[str, Any]:
    service = await open_service(config)
    found = money(service)
    service.clearing.check_mirror()
    await service.close()
    return found


def expected(folder: Path, accounts: int = ACCOUNTS) -> dict[str, Any]:
    """What a start that nothing interrupts writes."""
    folder.mkdir()
    found: dict[str, Any] = run(lambda: written(venue(folder, accounts)))
    assert found["account"].count(COUNTERPARTY) == 1
    return found


def durable(folder: Path) -> int:
    """Up to where the log is known to be on the disk, −1 where there is none."""
    if not (folder / "journal.head").exists():
        return -1
    head, _ = HeadFile.read(folder, Identity.read(folder))
    return -1 if head is None else head.seq


def by_the_opening(folder: Path) -> int:
    return sum(decode(record).key_id == WRITER for batch in batches(folder, 1, SCHEMA) for record in batch.records)


@pytest.mark.parametrize("writes", [0, 1, 2, 5])
@pytest.mark.parametrize("kept", [False, True], ids=["lost", "kept"])
def test_a_start_that_ends_half_way_is_gone_on_with(tmp_path, monkeypatch, writes, kept):
    """The disk dies at a write, before or after it has it: again and again, a few writes further each time."""
    monkeypatch.setattr(opening, "AT_ONCE", 100)
    whole = expected(tmp_path / "whole", 120)
    (tmp_path / "cut").mkdir()
    config = venue(tmp_path / "cut", 120)
    plain, starts = opening.service_config, 0

    class Dying(Disk):
        def append(self, frames):
            if self.writes == writes + starts and kept:
                self.store.append(frames)
            if self.writes >= writes + starts:
                raise OSError(5, "Input/output error")
            super().append(frames)

    monkeypatch.setattr(opening, "service_config", lambda config, new: _with(plain(config, new), wrap=Dying()))
    for _ in range(30):
        starts += 1
        try:
            run(lambda: written(config))
            break
        except SeawallError as error:
            assert "input/output error" in str(error)  # noqa: PT017 - it may also come through
    monkeypatch.setattr(opening, "service_config", plain)
    assert run(lambda: written(config)) == whole
    assert by_the_opening(config.journal_folder) == len(opening_requests(config, time.time_ns()))
    assert not (config.journal_folder / MARKER).exists()
    assert starts > 1


def _with(config, **changes):
    import msgspec

    return msgspec.structs.replace(config, **changes)


def test_kills_while_the_book_is_written_lose_nothing_and_double_nothing(tmp_path):
    whole = expected(tmp_path / "whole")
    (tmp_path / "killed").mkdir()
    config, rng = venue(tmp_path / "killed"), random.Random(4)
    program = [sys.executable, str(Path(__file__).with_name("opening_books.py")), str(tmp_path / "killed" / "venue.toml")]
    wanted = len(opening_requests(config, time.time_ns()))
    stops, goal = set(), 0
    for _ in range(8):
        process = subprocess.Popen(program, env=environment())
        while process.poll() is None and durable(config.journal_folder) < goal:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        reached = durable(config.journal_folder)
        stops.add(reached)
        goal = reached + rng.randint(1, wanted // 6)
    assert run(lambda: written(config)) == whole
    assert by_the_opening(config.journal_folder) == wanted
    assert len([reached for reached in stops if 1 < reached < wanted]) >= 3, "no kill came half-way"


def test_another_book_than_the_one_that_was_begun_is_refused(tmp_path):
    config = venue(tmp_path, 30)
    requests = opening_requests(config, time.time_ns())

    async def part() -> None:
        service = await opening.Service.open(opening.service_config(config, True))
        marker = config.journal_folder / MARKER
        opening.write_durably(marker, opening.msgspec.json.encode(opening._Marker(len(requests), "0" * 64)))
        await service.write_all(requests[:20], key_id=WRITER)
        await service.close()

    run(part)
    with pytest.raises(InputError, match="not the one that an earlier start began to write"):
        run(lambda: written(config))
    assert by_the_opening(config.journal_folder) == 20, "nothing of the other book was written"


@pytest.mark.parametrize("marked", [False, True], ids=["unmarked", "marked"])
def test_a_book_that_is_written_is_not_looked_at_again(tmp_path, marked):
    """marked: the first start ended after the last record was on the disk, and before its marker was gone."""
    config = venue(tmp_path, 30)
    requests = opening_requests(config, time.time_ns())
    first = run(lambda: written(config))
    marker = config.journal_folder / MARKER
    if marked:
        opening.write_durably(marker, opening.msgspec.json.encode(opening._Marker(len(requests), "0" * 64)))
    (tmp_path / "book.csv").unlink()
    assert run(lambda: written(config)) == first
    assert not marker.exists()


def test_a_journal_without_a_record_gets_its_genesis_and_its_book(tmp_path):
    from seawall.journal import Journal

    config = venue(tmp_path, 30)
    Journal.open(config.journal_folder, schema=SCHEMA).close()
    assert len(run(lambda: written(config))["account"]) > 30
