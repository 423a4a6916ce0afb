"""The service: shown once durable, refused while the disk cannot, recovered with the same hash, one writer."""

from __future__ import annotations

import asyncio
import threading

import pytest

from engine.histories import genesis, perpetuals_document
from seawall.core.errors import BrokenJournal, DuplicateRow, InputError, JournalLocked
from seawall.engine.clearing import Clearing
from seawall.journal import Journal, Limits
from seawall.server import requests as wire
from seawall.server.records import SCHEMA, encode
from seawall.server.service import Service, Unavailable
from seawall.statusboard import BoardReader
from server.venues import Clock, Disk, config, opened, run

FILL = wire.Fill(maker="alice", taker="bob", instrument="BTC-PERP", quantity="0.1", price="113000", taker_fee="0.0005")


async def begin(service: Service) -> None:
    for name in ("alice", "bob"):
        await service.write(wire.OpenAccount(account=name))
        await service.write(wire.Deposit(account=name, amount="10000"))


def test_a_service_comes_up_again_as_it_was(tmp_path):
    async def work():
        service, clock = await opened(tmp_path / "j")
        assert service.recovered.begun
        await begin(service)
        clock.now_ns += 10**9
        written = await service.write(FILL, key_id="desk")
        assert written.sequence == 6
        assert sum(line.amount for line in written.receipt.postings if line.unit == "USD") == 0
        await service.write(wire.Order(account="bob", id="1", instrument="BTC-PERP", quantity="0.01", price="112000"))
        seen, state_hash = service.account("bob"), service.clearing.state_hash()
        await service.close()
        again, _ = await opened(tmp_path / "j", genesis=None)
        assert (again.recovered.replayed, again.recovered.snapshot) == (7, 0)
        assert again.clearing.state_hash() == state_hash
        assert again.account("bob") == seen
        taken = await again.snapshot()
        assert taken.state_hash == state_hash
        await again.write(wire.Ticks(prices={"BTC": "90000"}))
        state_hash = again.clearing.state_hash()
        await again.close()
        third, _ = await opened(tmp_path / "j", genesis=None, capacity=100)
        assert (third.recovered.replayed, third.recovered.snapshot) == (1, 7)
        assert third.clearing.state_hash() == state_hash
        await third.close()

    run(work)


def test_nobody_is_told_before_the_disk_has_it(tmp_path):
    async def work():
        disk, free = Disk(), threading.Event()
        service, _ = await opened(tmp_path / "j", wrap=disk, board=tmp_path / "board")
        await begin(service)
        heard = []
        service.listen(heard.append)
        disk.gate = free.wait
        writing = asyncio.create_task(service.write(wire.Deposit(account="bob", amount="5")))
        later = asyncio.create_task(service.write(wire.Deposit(account="bob", amount="6"), idempotency="k"))
        same = asyncio.create_task(service.write(wire.Deposit(account="bob", amount="6"), idempotency="k"))
        await asyncio.sleep(0.3)
        assert [task.done() for task in (writing, later, same)] == [False] * 3
        assert heard == []
        assert service.status()["lag"] == 2
        reader = BoardReader(tmp_path / "board")
        row = reader.find("bob")
        assert reader.read(row).equity_micro == 10_000_000_000
        free.set()
        assert (await writing).sequence + 1 == (await later).sequence == (await same).sequence
        assert (await same).repeated
        assert [message.data["postings"][0]["amount"] for message in heard] == [5_000_000, 6_000_000]
        assert reader.read(row).equity_micro == 10_011_000_000
        await service.close()

    run(work)


def test_who_gives_up_waiting_is_shown_to_others_all_the_same(tmp_path):
    async def work():
        disk, free = Disk(), threading.Event()
        service, _ = await opened(tmp_path / "j", wrap=disk)
        await begin(service)
        heard = []
        service.listen(heard.append)
        disk.gate = free.wait
        writing = asyncio.create_task(service.write(wire.Deposit(account="bob", amount="5")))
        await asyncio.sleep(0.05)
        writing.cancel()
        await asyncio.sleep(0)
        free.set()
        await service.settled()
        assert [message.sequence for message in heard] == [6]
        await service.close()

    run(work)


def test_a_slow_disk_refuses_the_next_and_loses_nothing(tmp_path):
    async def work():
        disk, free = Disk(), threading.Event()
        service, _ = await opened(tmp_path / "j", wrap=disk, limits=Limits(stall_s=0.1))
        await begin(service)
        disk.gate = free.wait
        writing = asyncio.create_task(service.write(wire.Deposit(account="bob", amount="5")))
        await asyncio.sleep(0.4)
        with pytest.raises(Unavailable, match="silent"):
            await service.write(wire.Deposit(account="bob", amount="7"))
        assert service.status()["state"] == "busy"
        assert service.figures("bob").equity_micro == 10_005_000_000
        free.set()
        assert (await writing).sequence == 6
        assert (await service.write(wire.Deposit(account="bob", amount="7"))).sequence == 7
        await service.close()

    run(work)


def test_a_dead_disk_stops_writing_tells_those_who_wait_and_reads_go_on(tmp_path):
    async def work():
        disk = Disk()
        service, _ = await opened(tmp_path / "j", wrap=disk, board=tmp_path / "board")
        await begin(service)
        heard = []
        service.listen(heard.append)
        disk.fails = OSError(5, "Input/output error")
        with pytest.raises(Unavailable, match="input/output error"):
            await service.write(wire.Deposit(account="bob", amount="5"))
        with pytest.raises(Unavailable):
            await service.write(wire.Deposit(account="bob", amount="6"))
        with pytest.raises(Unavailable):
            await service.settled()
        assert heard == []
        assert service.status()["state"] == "stopped"
        assert service.status()["lag"] == 1
        assert service.account("alice").balances == {"USD": "10000"}
        assert await service.snapshot() is None, "a state that the log does not have is no snapshot"
        assert service.status()["snapshot_failed"]
        await service.close()
        again, _ = await opened(tmp_path / "j", genesis=None)
        assert again.clearing.ledger.balance("bob", "USD") == 10_000_000_000
        await again.close()

    run(work)


def test_a_clock_that_goes_back_does_not_take_the_venue_along(tmp_path):
    async def work():
        service, clock = await opened(tmp_path / "j")
        await begin(service)
        clock.now_ns += 3_600 * 10**9
        first = await service.write(FILL)
        clock.now_ns -= 1_800 * 10**9
        second = await service.write(FILL)
        assert second.at_ns == first.at_ns
        clock.now_ns += 1_801 * 10**9
        assert (await service.write(FILL)).at_ns == first.at_ns + 10**9
        await service.close()
        again, clock = await opened(tmp_path / "j", genesis=None)
        clock.now_ns = 5
        assert (await again.write(FILL)).at_ns == first.at_ns + 10**9
        await again.close()

    run(work)


def test_the_second_of_two_services_on_one_journal_is_refused(tmp_path):
    async def work():
        service, _ = await opened(tmp_path / "j")
        with pytest.raises(JournalLocked):
            await opened(tmp_path / "j")
        await begin(service)
        await service.close()

    run(work)


def test_keys_are_each_writers_own_and_outlive_a_restart(tmp_path):
    async def work():
        service, _ = await opened(tmp_path / "j")
        await begin(service)
        deposit = wire.Deposit(account="bob", amount="5")
        first = await service.write(deposit, key_id="a", idempotency="1")
        assert (await service.write(deposit, key_id="b", idempotency="1")).sequence == first.sequence + 1
        with pytest.raises(DuplicateRow):
            await service.write(wire.Deposit(account="bob", amount="6"), key_id="a", idempotency="1")
        await service.close()
        again, _ = await opened(tmp_path / "j", genesis=None)
        repeated = await again.write(deposit, key_id="a", idempotency="1")
        assert (repeated.repeated, repeated.sequence, repeated.receipt) == (True, first.sequence, first.receipt)
        assert again.clearing.sequence == first.sequence + 1
        await again.close()

    run(work)


@pytest.mark.parametrize("broken", ["event", "order of events", "first record"])
def test_a_log_that_could_not_have_been_written_is_not_followed(tmp_path, broken):
    first = genesis("portfolio", perpetuals_document())
    with Journal.open(tmp_path / "j", schema=SCHEMA) as journal:
        clearing = Clearing(first, 40)
        if broken != "first record":
            journal.append([encode(first)])
        from seawall.server.turning import event_of

        event = event_of(clearing, wire.OpenAccount(account="a"), clearing.at_ns)
        if broken == "order of events":
            journal.append([encode(event), encode(event)])
        elif broken == "event":
            journal.append([encode(event), encode(event)[:-1] + b"\xff"])
        else:
            journal.append([encode(event)])

    async def work():
        expected = InputError if broken == "event" else BrokenJournal
        with pytest.raises(expected, match="record"):
            await Service.open(config(tmp_path / "j"), Clock(0))

    run(work)


def test_snapshots_are_taken_and_time_passes_by_itself(tmp_path):
    async def work():
        service, clock = await opened(
            tmp_path / "j", snapshot_every_records=3, clock_every_s=0.5, board=tmp_path / "board", snapshot_on_close=True
        )
        await begin(service)
        clock.now_ns += 10**9
        for _ in range(100):
            await asyncio.sleep(0.05)
            if service.status()["snapshot"] and service.clearing.at_ns == clock.now_ns:
                break
        assert service.status()["snapshot"]["sequence"] >= 5
        assert service.clearing.at_ns == clock.now_ns
        state_hash = service.clearing.state_hash()
        await service.close()
        again, _ = await opened(tmp_path / "j", genesis=None)
        assert again.recovered.replayed == 0
        assert again.clearing.state_hash() == state_hash
        await again.close()

    run(work)


def test_questions_are_answered_from_memory(tmp_path):
    async def work():
        service, clock = await opened(tmp_path / "j")
        await begin(service)
        await service.write(FILL)
        await service.write(wire.Ticks(prices={"BTC": "112000.5"}, source="test"))
        clock.now_ns += 2 * 10**9
        view = service.account("bob")
        assert view.positions[0].quantity == "0.1"
        assert view.positions[0].entry == "113000"
        explained = service.explain("bob")
        assert int(explained.result.equity_micro[0]) == service.figures("bob").equity_micro
        assert service.liquidation("bob", "BTC").found[0].below < 112000
        assert service.check("bob", "BTC-PERP", "100", "112000").admitted is False
        flat = service.what_if("bob", {"BTC-PERP": "-0.1"}, "1.5")
        assert flat.maintenance_micro == 0
        price = next(price for price in service.prices() if price.name == "BTC")
        assert (price.price, price.age_s, price.source) == ("112000.5", 2.0, "test")
        overview = service.overview()
        assert (overview.accounts, sum(overview.by_status.values()), sum(overview.histogram)) == (2, 2, 2)
        assert [row.account for row in service.accounts(sort="account").rows] == ["alice", "bob"]
        assert [row.account for row in service.accounts(sort="equity", search="b").rows] == ["bob"]
        assert service.accounts(status="bankrupt").total == 0
        assert service.corridors("bob").status == "ok"
        with pytest.raises(InputError):
            service.accounts(sort="luck")
        await service.close()

    run(work)
