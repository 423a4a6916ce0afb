"""A program that kills services while they close accounts: in the middle of an auction, of a partial fill, of a wave of deleveraging.

    python killed_closings.py FOLDER ROUNDS SEED

Each round a real service runs in a process of its own, with users who fail again and again, owners, an executor, bidders and providers, and
its own liquidator. It kills itself with -9 at a moment that its trap names, or is killed at a random one. This program
folds the log from its first record after each kill: its hash must be what the next service says of itself, every acknowledged
request must be there once, no order may trade more than it had, no auction may start or end twice, and money and lots must sum to
nothing, with every fund of the desk as large as its account in the ledger. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

from seawall.core.errors import InputError
from seawall.engine.clearing_events import ClosingStep, Executed
from seawall.liquidation.auction_events import Ended, Settle, Started
from seawall.liquidation.closing_desk import ToHouse
from seawall.liquidation.closing_events import Deleverage, Deleveraged, PlaceOrder, Rested, Staged
from seawall.server import requests as wire
from seawall.server.closing.table import BucketTable, ClosingTable
from seawall.server.config import LiquidatorTable
from seawall.server.quantities import instrument_of, price_text, quantity_text
from seawall.server.service import Service
from server.closing.scene import config, conserved
from server.killed_services import Log, killed

USERS = tuple(f"u{k}" for k in range(6))
BUCKET = BucketTable(
    opening_ppm=1_000_000, knee_ppm=900_000, knee_s=0.1, end_s=0.4, tail_s=0.4, insolvent_s=0.2, dust=1, restart_gap_s=0.01,
    auction_max_s=60, exit_cooldown_s=90_000, floor_ppm=500_000, commitment_min=1,
)  # fmt: skip
TABLE = ClosingTable(rescue_s=0.05, selling_s=0.25, dust=0, buckets={"main": BUCKET})
LIQUIDATOR = LiquidatorTable(
    beat_ms=2, budget_ms=2, look_s=0.02, order_s=0.1, confirm_s=0.05, stale_s=0, minimum=0, full_below=0
)
TRAPS = ("auction", "partial", "wave", "staged", "")
AT = {"BTC": 113_000, "ETH": 3_900}


class Trap:
    """Kills its own process at the n-th moment of a kind: the event is applied, and the disk may or may not have it."""

    def __init__(self, kind: str, at: int, told: int) -> None:
        self.kind, self.at, self.told = kind, at, told

    def heard(self, event: Any, outcome: Any) -> None:
        """Of every event."""
        what = getattr(event, "what", None)
        match self.kind:
            case "auction":
                sprung = isinstance(what, ToHouse) and (not isinstance(what.event, Settle) or len(outcome.closing) > 0)
            case "partial":
                sprung = isinstance(what, Executed) and what.lots != 0 and not what.done
            case "wave":
                sprung = isinstance(what, Deleveraged) or any(isinstance(one, Deleverage) for one in outcome.closing)
            case "staged":
                sprung = any(isinstance(one, (Staged, Rested)) for one in outcome.closing)
            case _:
                return
        self.at -= sprung
        if sprung and self.at <= 0:
            os.write(self.told, (json.dumps({"trap": self.kind}) + "\n").encode())
            os.kill(os.getpid(), signal.SIGKILL)


async def serve(folder: Path, number: int, told: int) -> None:
    """The service, and everybody around it, until it is killed."""
    rng = random.Random(f"{folder} {number}")
    every = rng.choice((0, 200))
    service = await Service.open(
        config(folder, TABLE, snapshot_every_records=every, clock_every_s=0.05, liquidator=LIQUIDATOR, board=folder / "board")
    )
    # before anything else runs on the loop
    line = {"recovered": service.recovered.sequence, "snapshot": service.recovered.snapshot, "hash": service.clearing.state_hash()}
    os.write(told, (json.dumps(line) + "\n").encode())
    trap = Trap(TRAPS[number % len(TRAPS)], rng.randint(1, 4), told)
    liquidator = service.liquidator
    assert liquidator is not None
    usual = liquidator.heard

    def heard(event: Any, outcome: Any) -> None:
        usual(event, outcome)
        trap.heard(event, outcome)

    liquidator.heard = heard  # type: ignore[method-assign]
    world = World(service, rng, number, told)
    await asyncio.gather(world.markets(), world.users(), world.executor(), world.bidders())


class World:
    """Those around the service. Every write has a key and is told when it is acknowledged."""

    def __init__(self, service: Service, rng: random.Random, number: int, told: int) -> None:
        self.service, self.rng, self.number, self.told = service, rng, number, told
        self.count = 0
        # in some rounds nobody executes or bids, and everything goes down to the last layer
        self.busy = (0.1, 0.3, 0.0, 0.1)[number % 4]

    async def write(self, request: Any) -> bool:
        """Whether it was taken."""
        key = f"{self.number}.{self.count}"
        self.count += 1
        try:
            written = await self.service.write(request, key_id="test", idempotency=key)
        except InputError:
            return False
        if written.sequence:
            os.write(self.told, (json.dumps({"key": key, "sequence": written.sequence}) + "\n").encode())
        return bool(written.sequence)

    def price(self, name: str) -> Decimal:
        engine = self.service.clearing.engine
        return Decimal(int(engine.watch.desk.index_nano[engine.watch.underlying_index[name]])).scaleb(-9)

    async def markets(self) -> None:
        """Prices that fall and rise by percents, around where they began, and jump now and then."""
        rng = self.rng
        while True:
            for name, home in AT.items():
                pull = (home - float(self.price(name))) / home
                jump = rng.choice((-0.1, 0.1)) if rng.random() < 0.02 else 0.0
                price = float(self.price(name)) * (1 + rng.uniform(-0.004, 0.004) + pull * 0.01 + jump)
                await self.write(wire.Ticks(prices={name: f"{price:.2f}"}))
            await asyncio.sleep(0.01)

    async def users(self) -> None:
        """Users without positions take new ones, with little margin; owners in trouble close some; the venue and a provider pay in."""
        rng, state = self.rng, self.service.clearing.ledger.state
        while True:
            for name in USERS:
                if name not in state.rows:
                    await self.write(wire.OpenAccount(account=name))
                if not self.service.account(name).positions and name not in self.service.clearing.desk.closings:  # type: ignore[union-attr]
                    base = rng.choice(list(AT))
                    lots = rng.choice((1, -1)) * (Decimal(1) if base == "BTC" else Decimal(30))
                    price = self.price(base)
                    await self.write(wire.Deposit(account=name, amount=f"{abs(lots) * price * Decimal(rng.randint(52, 80)) / 1000:.6f}"))
                    maker = rng.choice(("backstop", rng.choice(USERS)))
                    if maker in state.rows and maker != name:
                        await self.write(wire.Fill(maker=maker, taker=name, instrument=f"{base}-PERP", quantity=str(lots), price=f"{price:.2f}"))
                elif rng.random() < 0.02:
                    await self.write(rng.choice((wire.Flatten(account=name), wire.Reduce(account=name, instrument="BTC-PERP", quantity=rng.choice(("-0.3", "0.3"))))))
                await asyncio.sleep(0.002)
            if rng.random() < 0.2:
                await self.write(wire.Deposit(account="insurance", amount="300"))
                await self.write(wire.Fund(amount="200", market=rng.choice(("", *AT))))
                await self.write(wire.Deposit(account="u0", amount="500"))
                await self.write(rng.choice((
                    wire.Commit(bucket="main", provider="u0", amount="100"), wire.Exit(bucket="main", provider="u0", amount="50"),
                    wire.Collect(bucket="main", provider="u0"),
                )))  # fmt: skip

    async def executor(self) -> None:
        """Executes orders whole, in parts, not at all; confirms withdrawals now and then."""
        rng, clearing = self.rng, self.service.clearing
        while True:
            await asyncio.sleep(0.003)
            for name, closing in list(clearing.desk.closings.items()):  # type: ignore[union-attr]
                for order in closing.state.orders:
                    if order.lane == "adl" or rng.random() > self.busy:
                        continue
                    if rng.random() < 0.1:
                        await self.write(wire.Executed(account=name, order=order.id, done=True))
                        continue
                    instrument = instrument_of(clearing, order.symbol)
                    lots = order.lots if rng.random() < 0.4 else int(order.lots * rng.random()) or order.lots
                    price = price_text(instrument, order.limit_nano) if order.limit_nano else f"{self.price(order.symbol[:3]):.2f}"
                    done = rng.random() < 0.5 and lots == order.lots
                    await self.write(
                        wire.Executed(account=name, order=order.id, maker="backstop", quantity=quantity_text(instrument, lots), price=price, done=done)
                    )

    async def bidders(self) -> None:
        """Bids for shares of auctions, some beyond what the bidder has."""
        rng, clearing = self.rng, self.service.clearing
        for name in ("bid0", "bid1"):
            if name not in clearing.ledger.state.rows:
                await self.write(wire.OpenAccount(account=name))
                await self.write(wire.Deposit(account=name, amount="400000"))
        while True:
            await asyncio.sleep(0.01)
            house = clearing.desk.house  # type: ignore[union-attr]
            for sale in list(house.sales.values()):
                if rng.random() < self.busy / 2:
                    price = house.price_of(sale, self.service.now_ns())
                    limit = f"{(price + abs(price) // 50 + 10**6) / 10**6:.6f}"
                    share = rng.choice(("0.25", "0.5", "1"))
                    await self.write(wire.Bid(auction=sale.number, bidder=rng.choice(("bid0", "bid1")), share=share, limit=limit, version=sale.version))


class ClosingLog(Log):
    """The log, and what must hold of its orders and auctions."""

    silent = ("Clock", "ClosingStep")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.placed: dict[str, int] = {}
        self.auctions: dict[int, str] = {}
        self.seen: Counter[str] = Counter()

    def heard(self, event: Any, outcome: Any) -> None:
        """No order trades more than it had; no auction starts or ends twice."""
        what = event.what if isinstance(event, ClosingStep) else None
        if isinstance(what, Executed) and what.lots:
            left = self.placed[what.order] - what.lots
            assert left * self.placed[what.order] >= 0, "an order that trades more than it had"
            self.placed[what.order] = left
            self.seen["executed" if what.done else "partial"] += 1
        for said in outcome.closing:
            self.seen[type(said).__name__] += 1
            if isinstance(said, (PlaceOrder, Deleverage)):
                assert said.order.id not in self.placed, "an order twice"
                self.placed[said.order.id] = said.order.lots
            elif isinstance(said, Started):
                assert said.auction not in self.auctions, "an auction that starts twice"
                self.auctions[said.auction] = said.owner
            elif isinstance(said, Ended):
                assert self.auctions.get(said.auction), "an auction that ends twice"
                self.auctions[said.auction] = ""


def main(folder: Path, rounds: int, seed: int) -> dict[str, Any]:
    """All rounds on one journal."""
    rng = random.Random(seed)
    path = folder / "journal"
    log = ClosingLog(path)
    acknowledged: dict[str, int] = {}
    traps: Counter[str] = Counter()
    snapshots = 0
    for number in range(rounds):
        after_s = 8.0 if TRAPS[number % len(TRAPS)] else rng.choice((0.3, 1.0, 2.0)) * (0.5 + rng.random())
        said = killed(path, number, after_s, serve)
        if said:
            snapshots += said[0]["snapshot"] > 0
            if log.clearing is not None:
                assert said[0]["recovered"] == log.sequence, "recovered another log"
                assert said[0]["hash"] == log.clearing.state_hash(), "recovered another state"
        traps.update(line["trap"] for line in said[1:] if "trap" in line)
        acknowledged |= {line["key"]: line["sequence"] for line in said[1:] if "key" in line}
        if (path / "journal.head").exists():
            log.follow()
        assert log.clearing is not None
        conserved(log.clearing)
        missing = {key: sequence for key, sequence in acknowledged.items() if log.keys.get(key) != sequence}
        assert not missing, f"{len(missing)} acknowledged writes are missing or elsewhere: {sorted(missing)[:3]}"
    return {
        "rounds": rounds, "from_snapshot": snapshots, "acknowledged": len(acknowledged), "records": log.sequence,
        "traps": dict(traps), "seen": dict(log.seen),
    }  # fmt: skip


async def _warm() -> None:
    """Compiles what a round needs, before there is anything to kill."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        service = await Service.open(config(Path(folder) / "journal", TABLE, liquidator=LIQUIDATOR))
        read, told = os.pipe()
        world = World(service, random.Random(1), 0, told)
        everybody = [asyncio.create_task(each) for each in (world.markets(), world.users(), world.executor(), world.bidders())]
        draining = asyncio.create_task(asyncio.to_thread(_drain, read))
        await asyncio.sleep(float(os.environ.get("WARM_S", "4")))
        for task in everybody:
            task.cancel()
        await asyncio.gather(*everybody, return_exceptions=True)
        await service.close()
        os.close(told)
        await draining


def _drain(read: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(read, 1 << 16):
            pass
    os.close(read)


if __name__ == "__main__":
    asyncio.run(_warm())
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
