"""A small venue that closes failed accounts, under a clock that tests move: accounts, prices, an executor, a bidder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from engine.histories import genesis, perpetuals_document
from seawall.core.errors import InputError
from seawall.core.times import SECOND_NS
from seawall.engine.clearing import Clearing
from seawall.server import requests as wire
from seawall.server.closing.said import stage_text
from seawall.server.closing.table import BucketTable, ClosingTable, closing_terms
from seawall.server.config import LiquidatorTable
from seawall.server.quantities import price_text, quantity_text
from seawall.server.service import Service, ServiceConfig, Written
from server.venues import Clock

AUCTION = BucketTable(
    opening_ppm=1_000_000, knee_ppm=900_000, knee_s=20, end_s=60, tail_s=60, insolvent_s=20, dust=1, floor_ppm=500_000,
    restart_gap_s=1, auction_max_s=3_600, exit_cooldown_s=100_000,
)  # fmt: skip
TABLE = ClosingTable(rescue_s=5, selling_s=20, dust=0, buckets={"main": AUCTION})
LIQUIDATOR = LiquidatorTable(look_s=1.0, order_s=10, confirm_s=5, stale_s=0, minimum=0, full_below=0, budget_ms=500)
PRICE = {"BTC": "113000", "ETH": "3900.25", "SOL": "201.4"}


def config(folder: Path, table: ClosingTable = TABLE, **changes: Any) -> ServiceConfig:
    """A service of perpetuals with terms of closing, that does nothing else by itself."""
    first = msgspec.structs.replace(genesis("fixed", perpetuals_document()), closing=closing_terms(table))
    settings: dict[str, Any] = {
        "folder": folder,
        "genesis": first,
        "capacity": 64,
        "snapshot_every_s": 0.0,
        "snapshot_every_records": 0,
        "snapshot_on_close": False,
        "clock_every_s": 0.0,
        "liquidator": LIQUIDATOR,
    }
    return ServiceConfig(**settings | changes)


class Scene:
    """A service whose liquidator beats when the test says so, and what was told on its stream."""

    def __init__(self, service: Service, clock: Clock) -> None:
        self.service, self.clock = service, clock
        self.told: list[dict[str, Any]] = []
        service.listen(lambda message: self.told.append(message.data) if message.type == "liquidation" else None)

    @classmethod
    async def open(cls, folder: Path, table: ClosingTable = TABLE, now_ns: int = 0, **changes: Any) -> Scene:
        """The service's own task is stopped: beats are the test's."""
        made = config(folder, table, **changes)
        clock = Clock(now_ns or made.genesis.at_ns)
        service = await Service.open(made, clock)
        assert service._closing is not None
        service._closing.cancel()
        return cls(service, clock)

    async def write(self, *requests: wire.Request) -> list[Written]:
        """Requests in order."""
        return [await self.service.write(each, key_id="test") for each in requests]

    async def fund(self, *names: str, amount: str = "1000000") -> None:
        """Users with money."""
        for name in names:
            await self.write(wire.OpenAccount(account=name), wire.Deposit(account=name, amount=amount))

    async def long(self, name: str, symbol: str, quantity: str, maker: str = "backstop") -> None:
        """A fill at the first price."""
        await self.write(wire.Fill(maker=maker, taker=name, instrument=symbol, quantity=quantity, price=PRICE[symbol[:3]]))

    async def price(self, name: str, price: str) -> None:
        """An index price."""
        await self.write(wire.Ticks(prices={name: price}))

    async def beat(self, seconds: float = 0.0, times: int = 1) -> None:
        """Time passes in so many steps of this length, with a beat after each; then everything is durable."""
        for _ in range(times):
            self.clock.now_ns += int(seconds * SECOND_NS)
            liquidator = self.service.liquidator
            assert liquidator is not None
            liquidator._settled_at = 0.0
            while liquidator.beat():
                pass
        await self.service.settled()

    # -- what is to be seen --------------------------------------------------------------------

    def stage(self, name: str) -> str:
        """Where an account's closing stands."""
        desk = self.service.clearing.desk
        assert desk is not None
        found = desk.closings.get(name)
        return "rest" if found is None else stage_text(found.state.stage)

    def orders(self, name: str) -> list[Any]:
        """Its orders in the market."""
        desk = self.service.clearing.desk
        assert desk is not None
        found = desk.closings.get(name)
        return list(found.state.orders) if found is not None else []

    def heard(self, what: str, account: str = "") -> list[dict[str, Any]]:
        """Messages of a kind, about an account."""
        return [each for each in self.told if each["what"] == what and account in ("", each["account"])]

    async def execute(
        self, name: str, maker: str = "backstop", share: float = 1.0, done: bool = True, refused: bool = False
    ) -> None:
        """Every order of a closing in the market trades at its limit, or at the mark where it has none. refused: whether the venue may refuse
        it (a position that its owner has traded since)."""
        engine = self.service.clearing.engine
        for order in [each for each in self.orders(name) if each.lane != "adl"]:
            instrument = engine.watch.desk.base.instruments[order.symbol]
            mark = sum(engine.watch.mark_nano(leg) for leg, _ in engine.watch.desk.base.legs.expand(order.symbol))
            lots = int(order.lots * share) or order.lots
            price = order.limit_nano if order.limit_nano is not None else mark
            request = wire.Executed(
                account=name, order=order.id, maker=maker, quantity=quantity_text(instrument, lots), price=price_text(instrument, price),
                done=done,
            )  # fmt: skip
            try:
                await self.write(request)
            except InputError:
                if not refused:
                    raise

    def conserved(self) -> None:
        """See `conserved`."""
        conserved(self.service.clearing)


def conserved(clearing: Clearing) -> None:
    """Money and lots sum to nothing, the engine's book is the ledger's, and every fund of the desk is what its account holds."""
    clearing.check_mirror()
    state, desk = clearing.ledger.state, clearing.desk
    live = [slot for slot in range(len(state.holder)) if state.holder[slot] >= 0]
    for number, held in enumerate(state.balance):
        total = sum(held) + sum(state.cost[slot] for slot in live if state.settled_in[state.held[slot]] == number)
        assert total == 0, f"money of asset {number} is made or lost: {total}"
    lots: dict[int, int] = {}
    for slot in live:
        lots[state.held[slot]] = lots.get(state.held[slot], 0) + state.lots[slot]
    assert not any(lots.values()), f"lots that nobody is the other side of: {lots}"
    assert desk is not None
    balance = state.balance[clearing.mirror.asset]
    kept = {f"tranche.{name}": each.balance_micro for name, each in desk.layers.tranches.items()}
    kept |= {"fund.global": desk.layers.fund.balance_micro, "liquidation-fund": 0}
    kept |= {f"backstop.{name}": each.holds_micro for name, each in desk.layers.vaults.items()}
    kept["auction-fees"] = sum(sale.fee_micro for sale in desk.house.sales.values())
    assert {name: balance[state.rows[name]] for name in kept} == kept
    for name, vault in desk.layers.vaults.items():
        found = {symbol: held.lots for symbol, held in vault.inventory.items()}
        row = state.rows[f"inventory.{name}"]
        assert {state.instruments[state.held[slot]].instrument: state.lots[slot] for slot in state.positions(row)} == found
