"""Random venues of every kind of contract, whose liquidator beats between the requests: whatever users do, every look can be applied, every
closing goes on, and money and lots sum to nothing."""

from __future__ import annotations

import random

import msgspec
import pytest

import samples
from engine.histories import Venue, genesis
from seawall.core.errors import InputError
from seawall.core.times import SECOND_NS
from seawall.server.closing.table import closing_terms
from server.closing.scene import LIQUIDATOR, TABLE, Scene
from server.venues import run


async def live(folder, seed, model, steps):
    """One venue's life; its scene, still open."""
    first = msgspec.structs.replace(genesis(model, samples.market_document()), closing=closing_terms(TABLE))
    table = msgspec.structs.replace(LIQUIDATOR, order_s=30, confirm_s=10)
    scene = await Scene.open(folder, genesis=first, capacity=400, liquidator=table)
    clearing, rng = scene.service.clearing, random.Random(seed)
    venue = Venue(seed, clearing)
    taken = 0
    for _ in range(steps):
        request, at_ns = venue.next(clearing)
        most_ns = 400 * 86_400 * SECOND_NS if rng.random() < 0.002 else 20 * SECOND_NS  # now and then all contracts run out
        scene.clock.now_ns = max(scene.clock.now_ns, min(at_ns, scene.clock.now_ns + most_ns))
        venue.at_ns = scene.clock.now_ns
        try:
            taken += (await scene.service.write(request)).sequence > 0
        except InputError:
            pass
        if rng.random() < 0.5:
            await scene.beat(rng.choice((0.0, 0.5, 3.0)))
        if rng.random() < 0.3:
            for name in list(clearing.desk.closings):
                if rng.random() < 0.5:
                    await scene.execute(name, share=rng.choice((1.0, 0.4)), done=rng.random() < 0.5, refused=True)
    assert taken > steps // 4
    return scene


@pytest.mark.parametrize(("model", "seed"), [("portfolio", 1), ("portfolio", 2), ("cross", 3), ("fixed", 4)])
def test_random_venues(tmp_path, model, seed):
    async def work():
        scene = await live(tmp_path / "journal", seed, model, 500)
        scene.conserved()
        liquidator = scene.service.liquidator
        assert liquidator.refused == 0, "every look that it makes can be applied"
        assert len(scene.heard("staged")) > 10
        said, now_ns = scene.service.clearing.state_hash(), scene.clock.now_ns
        await scene.service.close()
        again = await Scene.open(tmp_path / "journal", now_ns=now_ns, genesis=None, capacity=400, asked=10**6)
        assert again.service.recovered.asked > 500, "the engine has decided all of it again"
        assert again.service.clearing.state_hash() == said
        await again.service.close()

    run(work)
