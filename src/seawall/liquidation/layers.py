"""The venue's last layers as one state machine: events in order, each with its time; transfers and reports out.

Tranches, vaults, the global fund and the book of claims live here, and only `apply` changes them, so that a log of the
events gives the same state again, bit for bit (`frozen_state.digest`). An event that is refused changes nothing. Time is
an event too: `Advance` pays the exits that are due, and every other event refuses to run before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np

from seawall.core.errors import BadNumber, InputError, StaleEvent, UnknownKey
from seawall.core.units import PPM
from seawall.liquidation import adl
from seawall.liquidation.backstop import Marked, Terms, Vault
from seawall.liquidation.claims import DeferredClaims
from seawall.liquidation.funds import Caps, GlobalFund, Tranche
from seawall.liquidation.transfers import Transfer
from seawall.liquidation.waterfall import FromFund, FromTranche, FromVault, Haircut, Settled, settle_shortfall

__all__ = [
    "Advance",
    "AskExit",
    "Collect",
    "Commit",
    "Dispose",
    "Income",
    "Layers",
    "LayersConfig",
    "MarkInventory",
    "Outcome",
    "Premium",
    "Shortfall",
    "TakeOver",
    "Winner",
]

T = TypeVar("T")


class LayersConfig(msgspec.Struct, frozen=True):
    """vaults: one per risk bucket. markets: market → bucket. claims_ppm: share of the fund's income that pays claims first."""

    asset: str
    vaults: tuple[Terms, ...]
    markets: dict[str, str]
    caps: Caps = Caps()
    claims_ppm: int = 500_000


class Advance(msgspec.Struct, frozen=True, tag="advance"):
    """Time passes: exits that are due are paid."""


class Income(msgspec.Struct, frozen=True, tag="income"):
    """Money into a market's tranche, or (market "") into the global fund, of which a share pays claims first."""

    payer: str
    amount_micro: int
    market: str = ""


class Commit(msgspec.Struct, frozen=True, tag="commit"):
    """A provider puts money behind a bucket."""

    bucket: str
    provider: str
    amount_micro: int


class AskExit(msgspec.Struct, frozen=True, tag="ask_exit"):
    """A provider starts a cooldown."""

    bucket: str
    provider: str
    amount_micro: int


class Collect(msgspec.Struct, frozen=True, tag="collect"):
    """A provider takes his earnings."""

    bucket: str
    provider: str


class Premium(msgspec.Struct, frozen=True, tag="premium"):
    """Earnings for a bucket's providers."""

    bucket: str
    payer: str
    amount_micro: int


class TakeOver(msgspec.Struct, frozen=True, tag="take_over"):
    """A bucket inherits a position with its margin."""

    bucket: str
    payer: str
    instrument: str
    lots: int
    price_nano: int
    margin_micro: int
    maintenance_micro: int


class MarkInventory(msgspec.Struct, frozen=True, tag="mark_inventory"):
    """An inherited position is valued."""

    bucket: str
    instrument: str
    price_nano: int


class Dispose(msgspec.Struct, frozen=True, tag="dispose"):
    """Lots of an inherited position are closed."""

    bucket: str
    payer: str
    instrument: str
    lots: int
    price_nano: int


class Winner(msgspec.Struct, frozen=True):
    """Somebody whose profit a shortfall may cut: profit, the most that may be taken of it, his weight's factor."""

    name: str
    profit_micro: int
    cap_micro: int
    risk_ppm: int = PPM


class Shortfall(msgspec.Struct, frozen=True, tag="shortfall"):
    """What a closed account of a market could not pay. event: one name for all shortfalls under one cap of the fund."""

    market: str
    debtor: str
    need_micro: int
    event: str
    winners: tuple[Winner, ...] = ()


Event = Advance | Income | Commit | AskExit | Collect | Premium | TakeOver | MarkInventory | Dispose | Shortfall


class Outcome(NamedTuple):
    """moves: for the ledger. report: of a waterfall or a mark. short_micro: a disposal's loss that the vault could not pay."""

    moves: tuple[Transfer, ...] = ()
    report: Settled | Marked | None = None
    short_micro: int = 0


class Layers:
    """See above. Raises BadNumber for a config in which a market has no vault or a vault is there twice."""

    def __init__(self, config: LayersConfig) -> None:
        buckets = [terms.bucket for terms in config.vaults]
        if len(set(buckets)) != len(buckets) or not set(config.markets.values()) <= set(buckets):
            raise BadNumber("last layers, markets", f"{config.markets} over {buckets}", "one vault for each bucket that a market names")
        if not 0 <= config.claims_ppm <= PPM:
            raise BadNumber("last layers, claims_ppm", str(config.claims_ppm), f"0 to {PPM}")
        self.config = config
        self.now_ns = 0
        self.vaults = {terms.bucket: Vault(terms) for terms in config.vaults}
        self.tranches = {market: Tranche(market, config.asset) for market in config.markets}
        self.fund = GlobalFund(config.asset, 0, config.caps)
        self.claims = DeferredClaims(config.asset)

    def machines(self) -> dict[str, object]:
        """Everything that changes, for `frozen_state.dump`; `restore` takes it back."""
        return {
            "now_ns": self.now_ns,
            "vaults": self.vaults,
            "tranches": self.tranches,
            "fund": self.fund,
            "claims": self.claims,
        }

    def restore(self, machines: Mapping[str, object]) -> None:
        """Goes on from a state of the same config."""
        for name in self.machines():
            setattr(self, name, machines[name])

    def due_ns(self) -> int | None:
        """When the next exit falls due: an `Advance` must come by then."""
        return min((due for vault in self.vaults.values() if (due := vault.due_ns()) is not None), default=None)

    def apply(self, now_ns: int, event: Event) -> Outcome:
        """One event. InputError (StaleEvent, BadNumber, UnknownKey) refuses it, and nothing has changed."""
        if now_ns < self.now_ns:
            raise StaleEvent("last layers", str(now_ns), f"a time of at least {self.now_ns}")
        due = self.due_ns()
        if due is not None and due <= now_ns and not isinstance(event, Advance):
            raise InputError("last layers", f"an exit due at {due}", f"an Advance to {now_ns} first")
        machines: list[Vault | GlobalFund] = [*self.vaults.values(), self.fund]
        clocks = [(machine, machine.now_ns) for machine in machines]
        try:
            outcome = self._dispatch(now_ns, event)
        except InputError:
            for machine, before in clocks:
                machine.now_ns = before
            raise
        self.now_ns = now_ns
        return outcome

    def _dispatch(self, now_ns: int, event: Event) -> Outcome:
        if isinstance(event, Advance):
            return Outcome(tuple(move for vault in self.vaults.values() for move in vault.advance(now_ns)))
        if isinstance(event, Income):
            return self._income(event)
        if isinstance(event, Shortfall):
            return self._shortfall(now_ns, event)
        vault = _of(self.vaults, event.bucket, "bucket")
        if isinstance(event, Commit):
            return Outcome(vault.commit(now_ns, event.provider, event.amount_micro))
        if isinstance(event, AskExit):
            vault.ask_exit(now_ns, event.provider, event.amount_micro)
            return Outcome()
        if isinstance(event, Collect):
            return Outcome(vault.collect(now_ns, event.provider))
        if isinstance(event, Premium):
            return Outcome(vault.earn(now_ns, event.payer, event.amount_micro, "premium"))
        if isinstance(event, TakeOver):
            return Outcome(vault.take_over(now_ns, *msgspec.structs.astuple(event)[1:]))
        _of(vault.inventory, event.instrument, "inherited position")
        if isinstance(event, MarkInventory):
            return Outcome(report=vault.mark(now_ns, event.instrument, event.price_nano))
        short, moves = vault.dispose(now_ns, event.payer, event.instrument, event.lots, event.price_nano)
        return Outcome(moves, None, short)

    def _income(self, event: Income) -> Outcome:
        if event.amount_micro < 0:
            raise BadNumber("last layers, income", str(event.amount_micro), "at least zero")
        if event.market:
            tranche = _of(self.tranches, event.market, "market")
            return Outcome(tranche.credit(event.payer, event.amount_micro, "income of the tranche"))
        used, moves = self.claims.income(event.payer, event.amount_micro * self.config.claims_ppm // PPM)
        return Outcome(moves + self.fund.credit(event.payer, event.amount_micro - used, "income of the fund"))

    def _shortfall(self, now_ns: int, event: Shortfall) -> Outcome:
        tranche = _of(self.tranches, event.market, "market")
        names = [winner.name for winner in event.winners]
        columns = [(w.profit_micro, w.cap_micro, w.risk_ppm) for w in event.winners]
        if len(set(names)) != len(names) or any(not 0 <= risk < 2**40 or abs(p) >= 2**61 for p, _, risk in columns):
            raise BadNumber("shortfall, winners", f"{len(names)} rows", "each once, profits and risks in range")
        profit, cap, risk = (np.array(column, np.int64) for column in zip(*columns)) if columns else ([np.zeros(0, np.int64)] * 3)
        most = np.where(risk > 0, np.clip(cap, 0, np.maximum(profit, 0)), 0)

        def share(amount: int) -> list[tuple[str, int]]:
            parts = adl.haircut(profit, most, risk, amount).parts.tolist()
            return [(name, part) for name, part in zip(names, parts) if part]

        settled = settle_shortfall(
            now_ns,
            event.debtor,
            event.need_micro,
            [
                FromTranche(tranche),
                FromVault(self.vaults[self.config.markets[event.market]]),
                FromFund(self.fund, event.event),
                Haircut(self.config.asset, int(most.astype(object).sum()), share),
            ],
            self.claims,
            {name: max(0, gain) for name, (gain, _, _) in zip(names, columns)},
        )
        return Outcome(settled.moves, settled)


def _of(found: Mapping[str, T], name: str, what: str) -> T:
    if name not in found:
        raise UnknownKey(f"last layers, {what}", f'"{name}"', "one of " + ", ".join(sorted(found)))
    return found[name]
