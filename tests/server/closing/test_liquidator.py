"""The liquidator on a real service: an account from its breach to rest over every stage, and nothing done twice."""

from __future__ import annotations

from seawall.server import requests as wire
from server.closing.scene import Scene
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
