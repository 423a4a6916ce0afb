"""The liquidator on a real service: an account from its breach to rest over every stage, and nothing done twice."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest

from seawall.core.errors import InputError
from seawall.server import requests as wire
from seawall.server.service import Service
from server.closing.scene import LIQUIDATOR, Scene, config
from server.venues import run


def test_an_account_that_fails_gets_its_window_then_slices_that_restore_it(tmp_path):
    async def work():
        scene = await Scene.open(tmp_path / "journal")
        await scene.fund("alice", amount="20000")
        await scene.long("alice", "BTC-PERP", "1")
        await scene.beat()
        assert scene.stage("alice") == "rest"
        await scene.price("BTC", "96000")
        await scene.beat()
        assert scene.stage("alice") == "rescue", scene.service.figures("alice")
        assert scene.service.account("alice").state == "in-liquidation"
        await scene.beat(1, times=4)
        assert not scene.orders("alice")
        await scene.beat(1)
        (order,) = scene.orders("alice")
        assert order.lane == "slice"
        assert -1000 < order.lots < 0
        for _ in range(4):  # at its limit, worse than planned, one slice is not enough
            await scene.execute("alice")
            await scene.beat(1)
        assert scene.stage("alice") == "rest", scene.service.figures("alice")
        assert len(scene.heard("place-order", "alice")) <= 3
        assert scene.service.account("alice").positions[0].lots > 300
        assert scene.service.account("alice").state == "active"
        assert [each["cause"] for each in scene.heard("rested", "alice")] == ["recovered"]
        scene.conserved()
        await scene.service.close()

    run(work)


def test_what_nobody_buys_goes_through_every_layer_and_ends(tmp_path):
    async def work():
        scene = await Scene.open(tmp_path / "journal")
        await scene.fund("alice", amount="20000")
        await scene.fund("bob", "carol")
        await scene.write(wire.Deposit(account="insurance", amount="1000"), wire.Fund(amount="600", market="BTC"), wire.Fund(amount="400"))
        await scene.long("alice", "BTC-PERP", "1", maker="bob")
        await scene.price("BTC", "92000")
        await scene.beat(1, times=200)
        stages = [each["to"] for each in scene.heard("staged", "alice")]
        print(stages, scene.told)
        assert stages == ["rescue", "selling", "auction", "backstop", "funds", "deleveraging", "rest"]
        assert not scene.service.account("alice").positions
        assert scene.service.account("alice").figures.equity == "0.000000"
        scene.conserved()
        await scene.service.close()

    run(work)


def test_an_owner_who_trades_himself_back_is_sold_no_further_and_his_orders_are_asked_back(tmp_path):
    async def work():
        scene = await Scene.open(tmp_path / "journal")
        await scene.fund("alice", amount="20000")
        await scene.long("alice", "BTC-PERP", "1")
        await scene.price("BTC", "96000")
        await scene.beat(1, times=7)
        (order,) = scene.orders("alice")
        # an ordinary fill, past the executor: less is held now than the order would sell
        await scene.write(wire.Fill(maker="alice", taker="backstop", instrument="BTC-PERP", quantity="0.95", price="96000"))
        await scene.beat(1)
        assert [each["order"] for each in scene.heard("withdraw", "alice")] == [order.id]
        assert scene.stage("alice") == "selling"
        await scene.write(wire.Executed(account="alice", order=order.id, done=True))
        await scene.beat(1)
        assert scene.stage("alice") == "rest"
        assert scene.service.account("alice").positions[0].quantity == "0.05"
        assert not scene.heard("started")
        scene.conserved()
        await scene.service.close()

    run(work)


def test_while_prices_are_stale_nothing_is_sold_and_auctions_stand(tmp_path):
    async def work():
        table = msgspec.structs.replace(LIQUIDATOR, stale_s=10.0)
        scene = await Scene.open(tmp_path / "journal", liquidator=table)
        await scene.fund("alice", amount="20000")
        await scene.fund("eve", amount="15000")
        await scene.long("alice", "BTC-PERP", "1")
        await scene.price("BTC", "92000")
        await scene.beat(1, times=3)
        house = scene.service.clearing.desk.house
        (sale,) = house.sales.values()
        await scene.beat(1, times=12)
        assert house.stale == {"main"}
        elapsed = house.sales[sale.number].clock.elapsed(scene.clock.now_ns)
        await scene.long("eve", "ETH-PERP", "40")  # and somebody fails meanwhile: his window may begin, nothing is sold of him
        sequence = scene.service.clearing.sequence
        await scene.beat(1, times=60)
        assert house.sales[sale.number].clock.elapsed(scene.clock.now_ns) == elapsed
        assert not scene.heard("backstop-due")
        assert scene.service.clearing.sequence - sequence <= 2, "a stale venue writes nothing again and again"
        await scene.price("BTC", "92000")
        await scene.price("ETH", "3900")
        await scene.beat(1)
        assert house.stale == set()
        for _ in range(30):
            await scene.price("BTC", "92000")
            await scene.beat(1)
        assert scene.heard("backstop-due")
        scene.conserved()
        await scene.service.close()

    run(work)


def test_several_accounts_fail_at_once_and_each_ends_with_its_own(tmp_path):
    async def work():
        scene = await Scene.open(tmp_path / "journal")
        names = [f"u{k}" for k in range(12)]
        await scene.fund("maker", amount="9000000")
        await scene.write(wire.Deposit(account="insurance", amount="100000"), wire.Fund(amount="50000", market="BTC"), wire.Fund(amount="50000"))
        for k, name in enumerate(names):
            await scene.fund(name, amount=str(17_000 + 700 * k))
            await scene.long(name, "BTC-PERP", "1", maker="maker")
        await scene.price("BTC", "94000")
        for _ in range(90):
            await scene.beat(1)
            for name in names:
                await scene.execute(name, maker="backstop")
        # in health again, but short of the buffer: nothing more is sold, and nothing is written while it stays so
        open_still = {name for name in names if scene.stage(name) != "rest"}
        assert all(scene.service.figures(name).health_micro >= 0 and not scene.orders(name) for name in open_still)
        sequence = scene.service.clearing.sequence
        await scene.beat(1, times=10)
        assert scene.service.clearing.sequence == sequence
        assert len(scene.heard("rested")) + len(open_still) >= 10
        figures = [scene.service.figures(name) for name in names]
        assert all(each.equity_micro >= 0 and each.health_micro >= 0 for each in figures)
        assert any(each.maintenance_micro > 0 for each in figures), "whoever could be saved keeps a position"
        scene.conserved()
        await scene.service.close()

    run(work)


def test_a_service_that_comes_up_again_goes_on_from_the_desk_and_does_nothing_twice(tmp_path):
    """Two venues with the same history, one of which is restarted (with a snapshot or without) at every second: the same end."""

    async def whole(folder, restarts):
        scene = await Scene.open(folder, snapshot_on_close=restarts == "snapshot")
        await scene.fund("alice", amount="20000")
        await scene.fund("zoe", amount="18000")
        await scene.fund("bob")
        await scene.write(wire.Deposit(account="insurance", amount="1000"), wire.Fund(amount="600", market="BTC"), wire.Fund(amount="400"))
        await scene.long("alice", "BTC-PERP", "1", maker="bob")
        await scene.long("zoe", "BTC-PERP", "1", maker="bob")
        await scene.price("BTC", "96500")
        for second in range(120):
            if second == 30:
                await scene.price("BTC", "91000")
            await scene.beat(1)
            if restarts and second in range(5, 60, 5):
                before = scene.service.clearing.state_hash()
                now_ns, told = scene.clock.now_ns, scene.told
                await scene.service.close()
                scene = await Scene.open(folder, now_ns=now_ns, genesis=None, snapshot_on_close=restarts == "snapshot")
                assert scene.service.clearing.state_hash() == before
                scene.told = told
        scene.conserved()
        ends = {name: scene.service.account(name) for name in ("alice", "zoe", "bob")}
        placed = [each["order"] for each in scene.heard("place-order")]
        assert len(set(placed)) == len(placed)
        assert {scene.stage(name) for name in ends} == {"rest"}
        await scene.service.close()
        return {name: (one.balances, [(p.instrument, p.lots) for p in one.positions]) for name, one in ends.items()}, len(scene.heard("rested"))

    async def work():
        one = await whole(tmp_path / "one", "")
        assert await whole(tmp_path / "two", "log") == one
        assert await whole(tmp_path / "three", "snapshot") == one

    run(work)


def test_bids_of_a_tick_are_cleared_together_and_a_bidders_money_counts_once(tmp_path):
    async def work():
        scene = await Scene.open(tmp_path / "journal")
        await scene.fund("alice", "anna", amount="20000")
        await scene.fund("bidder", amount="12000")
        for name in ("alice", "anna"):
            await scene.long(name, "BTC-PERP", "1")
        await scene.write(wire.Breaker(level=1))
        await scene.price("BTC", "95000")
        await scene.beat()
        await scene.write(wire.Breaker(level=0))
        await scene.price("BTC", "93500")
        await scene.beat(26)
        sales = list(scene.service.clearing.desk.house.sales.values())
        assert len(sales) == 2
        done = []
        for sale in sales:
            price = scene.service.clearing.desk.house.price_of(sale, scene.clock.now_ns)
            limit = f"{price / 10**6 + 1000:.6f}"
            done += await scene.write(wire.Bid(auction=sale.number, bidder="bidder", share="1", limit=limit, version=sale.version))
        free = [bid.free_micro for bids in scene.service.clearing.desk.house.pending.values() for bid in bids]
        assert free[0] == 12_000 * 10**6
        assert sum(free) < 2 * 12_000 * 10**6
        with pytest.raises(InputError, match="not cleared yet"):
            await scene.write(wire.Withdraw(account="bidder", amount="1"))
        await scene.beat(0.05)
        assert scene.heard("sold")
        assert scene.service.figures("bidder").equity_micro > 0
        scene.conserved()
        await scene.service.close()

    run(work)


def test_deleveraging_pushes_nobody_below_maintenance_and_takes_no_principal(tmp_path):
    async def work():
        scene = await Scene.open(tmp_path / "journal")
        await scene.fund("alice", amount="30000")
        await scene.fund("rich", amount="900000")
        await scene.fund("poor", amount="8000")
        await scene.long("alice", "BTC-PERP", "2", maker="rich")
        await scene.price("BTC", "100000")
        await scene.write(wire.Fill(maker="poor", taker="rich", instrument="BTC-PERP", quantity="1", price="100000"))
        await scene.price("BTC", "96000")
        await scene.beat(1, times=60)
        assert scene.heard("deleveraged", "alice")
        gave = {part["account"] for each in scene.heard("deleveraged", "alice") for part in each["parts"]}
        assert "rich" in gave
        assert gave <= {"rich", "poor"}
        for name in ("rich", "poor"):
            assert scene.service.figures(name).health_micro >= 0
        scene.conserved()
        await scene.service.close()

    run(work)


def test_an_account_whose_look_cannot_be_holds_up_nobody(tmp_path, monkeypatch):
    async def work():
        scene = await Scene.open(tmp_path / "journal")
        await scene.fund("alice", "bob", amount="20000")
        for name in ("alice", "bob"):
            await scene.long(name, "BTC-PERP", "1")
        await scene.price("BTC", "96000")
        looks = scene.service.liquidator.looks
        made = looks.look

        def look(account, *rest, **more):
            if account == "alice":
                raise InputError("look", "a fault", "none")
            return made(account, *rest, **more)

        monkeypatch.setattr(looks, "look", look)
        await scene.beat(1, times=4)
        assert scene.stage("bob") == "rescue"
        assert scene.stage("alice") == "rest"
        assert scene.service.liquidator.refused == 1, "tried again later, not at every beat"
        monkeypatch.undo()
        await scene.beat(6)
        assert scene.stage("alice") == "rescue"
        await scene.service.close()

    run(work)


def test_while_very_many_fail_at_once_owners_are_served_at_once_and_nobody_is_forgotten(tmp_path):
    """The liquidator runs by itself here; requests come in between its beats."""
    many = 400

    async def work():
        table = msgspec.structs.replace(LIQUIDATOR, budget_ms=2.0, beat_ms=5.0, look_s=5.0)
        service = await Service.open(config(tmp_path / "journal", capacity=many + 64, liquidator=table))
        names = [f"u{k}" for k in range(many)]
        for name in names:
            await service.write_all([wire.OpenAccount(account=name), wire.Deposit(account=name, amount="70")])
        fills = [wire.Fill(maker="backstop", taker=name, instrument="BTC-PERP", quantity="0.01", price="113000") for name in names]
        await service.write_all(fills)
        liquidator, desk = service.liquidator, service.clearing.desk
        await service.write(wire.Ticks(prices={"BTC": "110000"}))
        assert service.clearing.engine.counts["liquidatable"] >= many
        waits, ahead = [], 0
        for name in reversed(names[-20:]):
            ahead += name not in desk.closings
            began = time.perf_counter()
            done = await service.write(wire.Flatten(account=name))
            waits.append(time.perf_counter() - began)
            assert [each["lane"] for each in done.closing if each["what"] == "place-order"] == ["owner"]
        assert ahead > 0, "some of them before the liquidator had looked at them"
        assert sorted(waits)[len(waits) // 2] < 0.1
        deadline = time.monotonic() + 60
        while len(desk.closings) < many:
            assert time.monotonic() < deadline, (len(desk.closings), len(liquidator.schedule))
            await asyncio.sleep(0.01)
        assert liquidator.first.count == many
        assert liquidator.schedule.nbytes < 64 * service.clearing.capacity
        assert liquidator.refused == 0
        await service.close()

    run(work)


def test_who_matters_most_is_looked_at_first_and_the_longest_waiting_in_between(tmp_path):
    async def work():
        scene = await Scene.open(tmp_path / "journal", capacity=300)
        names = [f"u{k}" for k in range(120)]
        for k, name in enumerate(names):
            await scene.fund(name, amount=f"{70 * (1 + k % 40)}")
            await scene.long(name, "BTC-PERP", f"{0.01 * (1 + k % 40):.2f}")
        await scene.price("BTC", "110000")
        await scene.beat()
        begun = [each["account"] for each in scene.heard("staged")]
        assert sorted(begun) == sorted(names)
        sizes = [int(name[1:]) % 40 for name in begun]
        important = [size for place, size in enumerate(sizes) if place % 8 != 7]
        assert important == sorted(important, reverse=True)
        assert sizes != sorted(sizes, reverse=True)
        await scene.service.close()

    run(work)
