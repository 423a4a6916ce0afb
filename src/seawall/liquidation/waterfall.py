"""Who bears what a failed account cannot: layer after layer, in one order, each step an event with its figures.

    0 the account's margin → 1 proceeds of its liquidation → 2 its market's tranche → 3 backstop providers
    → 4 the global fund → 5 auto-deleveraging (a haircut of profits) → 6 claims on future income

A layer is asked only when the one before could not pay any more: it was empty, or a stop or a cap of its own held it
back, and the event says which. What is left after the last layer is never dropped: it is the residual, issued as
claims; and where there is nobody to hold a claim it is reported as unclaimed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Protocol

import msgspec

from seawall.core.errors import BadNumber, StaleEvent, invariant
from seawall.liquidation.backstop import Vault
from seawall.liquidation.claims import DeferredClaims
from seawall.liquidation.funds import GlobalFund, Tranche
from seawall.liquidation.transfers import Transfer, pay

__all__ = [
    "Cash",
    "FromFund",
    "FromTranche",
    "FromVault",
    "Haircut",
    "Layer",
    "LayerUsed",
    "Settled",
    "Source",
    "settle_shortfall",
]


class Layer(IntEnum):
    """The order."""

    ACCOUNT = 0
    PROCEEDS = 1
    TRANCHE = 2
    BACKSTOP = 3
    FUND = 4
    DELEVERAGING = 5
    DEFERRED = 6


class LayerUsed(msgspec.Struct, frozen=True, tag="layer_used"):
    """One step. why: "covered", or what ended this layer: "exhausted", "stopped", "event cap", "day cap"."""

    layer: Layer
    source: str
    need_micro: int
    capacity_micro: int
    paid_micro: int
    left_micro: int
    why: str


class Settled(msgspec.Struct, frozen=True):
    """need = Σ paid + residual. claims: the residual by creditor. unclaimed_micro: the part nobody holds a claim on."""

    need_micro: int
    paid_micro: int
    residual_micro: int
    unclaimed_micro: int
    claims: dict[str, int]
    events: tuple[LayerUsed, ...]
    moves: tuple[Transfer, ...]


class Source(Protocol):
    """One layer's money. `limit` says what it could pay now and what holds it there; `draw` pays exactly that far."""

    layer: Layer
    name: str

    @property
    def now_ns(self) -> int:
        """Its latest event: no earlier one is taken."""
        ...

    def limit(self, now_ns: int) -> tuple[int, str]: ...

    def draw(self, now_ns: int, payee: str, need_micro: int) -> tuple[int, tuple[Transfer, ...]]: ...


def settle_shortfall(
    now_ns: int,
    debtor: str,
    need_micro: int,
    sources: Sequence[Source],
    claims: DeferredClaims,
    creditors: Mapping[str, int],
) -> Settled:
    """Pays a shortfall of `debtor` from sources, which must be in strict order of their layers.

    creditors: weights of those who are owed what cannot be paid. Raises BadNumber for a negative need or weight or
    another order, StaleEvent for a time before a source's last; in both cases before anything has moved.
    """
    layers = [source.layer for source in sources]
    if need_micro < 0 or layers != sorted(set(layers)) or Layer.DEFERRED in layers:
        raise BadNumber("waterfall", f"need {need_micro}, layers {layers}", "a need of at least 0, each layer once, in order")
    if min(creditors.values(), default=0) < 0:
        raise BadNumber("waterfall, creditors", str(min(creditors.values())), "weights of at least zero")
    latest = max((source.now_ns for source in sources), default=0)
    if now_ns < latest:
        raise StaleEvent("waterfall", str(now_ns), f"a time of at least {latest}")
    left = need_micro
    events: list[LayerUsed] = []
    moves: list[Transfer] = []
    for source in sources:
        if left == 0:
            break  # a later layer is not even asked
        capacity, holds = source.limit(now_ns)
        paid, transfers = source.draw(now_ns, debtor, left)
        invariant(paid == min(left, capacity), "a layer pays all it can before the next is asked", source.name)
        why = "covered" if paid == left else holds
        events.append(LayerUsed(source.layer, source.name, left, capacity, paid, left - paid, why))
        moves += transfers
        left -= paid
    owed = claims.issue(left, creditors)
    if left:
        events.append(LayerUsed(Layer.DEFERRED, claims.name, left, left, 0, left, "residual"))
        # the venue's liability in figures: the account of claims goes into debt, the debtor is at zero
        moves += pay(claims.name, debtor, claims.asset, left, "residual of a waterfall")
    return Settled(need_micro, need_micro - left, left, left - sum(owed.values()), owed, tuple(events), tuple(moves))


class Cash:
    """Money of one party: the account's own margin, or the proceeds of its liquidation."""

    now_ns = 0

    def __init__(self, layer: Layer, name: str, asset: str, balance_micro: int) -> None:
        if balance_micro < 0:
            raise BadNumber(f"waterfall, {name}", str(balance_micro), "a balance of at least zero")
        self.layer = layer
        self.name = name
        self.asset = asset
        self.balance_micro = balance_micro

    def limit(self, now_ns: int) -> tuple[int, str]:
        """All of it."""
        return self.balance_micro, "exhausted"

    def draw(self, now_ns: int, payee: str, need_micro: int) -> tuple[int, tuple[Transfer, ...]]:
        """Pays as far as it goes; a party's payment to itself is no transfer."""
        paid = min(need_micro, self.balance_micro)
        self.balance_micro -= paid
        return paid, pay(self.name, payee, self.asset, paid, self.layer.name.lower())


class FromTranche:
    """Layer 2: the market's tranche."""

    layer = Layer.TRANCHE
    now_ns = 0

    def __init__(self, tranche: Tranche) -> None:
        self.tranche = tranche
        self.name = tranche.name

    def limit(self, now_ns: int) -> tuple[int, str]:
        """Its balance."""
        return self.tranche.balance_micro, "exhausted"

    def draw(self, now_ns: int, payee: str, need_micro: int) -> tuple[int, tuple[Transfer, ...]]:
        """Pays from the tranche."""
        return self.tranche.draw(payee, need_micro, "market tranche")


class FromVault:
    """Layer 3: the providers of the market's bucket."""

    layer = Layer.BACKSTOP

    def __init__(self, vault: Vault) -> None:
        self.vault = vault
        self.name = vault.name
        self._early: tuple[Transfer, ...] = ()

    @property
    def now_ns(self) -> int:
        """The vault's."""
        return self.vault.now_ns

    def limit(self, now_ns: int) -> tuple[int, str]:
        """What it may lose; due exits are paid first."""
        self._early += self.vault.advance(now_ns)
        capacity = self.vault.capacity(now_ns)
        return capacity, "exhausted" if capacity == self.vault.pool.total else "stopped"

    def draw(self, now_ns: int, payee: str, need_micro: int) -> tuple[int, tuple[Transfer, ...]]:
        """Pays from the pool."""
        early, self._early = self._early, ()
        paid, moves = self.vault.absorb(now_ns, payee, need_micro, "backstop")
        return paid, early + moves


class FromFund:
    """Layer 4: the global fund, under its caps, for one event."""

    layer = Layer.FUND

    def __init__(self, fund: GlobalFund, event: str) -> None:
        self.fund = fund
        self.event = event
        self.name = fund.name

    @property
    def now_ns(self) -> int:
        """The fund's."""
        return self.fund.now_ns

    def limit(self, now_ns: int) -> tuple[int, str]:
        """Balance or cap, whichever is less."""
        room, holds = self.fund.available(now_ns, self.event)
        return room, "exhausted" if holds == "balance" else holds

    def draw(self, now_ns: int, payee: str, need_micro: int) -> tuple[int, tuple[Transfer, ...]]:
        """Pays from the fund."""
        return self.fund.draw(now_ns, self.event, payee, need_micro, "global fund")


class Haircut:
    """Layer 5, in money: profits of the other side are cut for a loss that is already real.

    share(need) → (party, micro) pairs, see `adl.haircut`; capacity_micro: the sum of what they may lose.
    """

    layer = Layer.DELEVERAGING
    now_ns = 0

    def __init__(self, asset: str, capacity_micro: int, share: Callable[[int], Sequence[tuple[str, int]]]) -> None:
        self.name = "deleveraging"
        self.asset = asset
        self.capacity_micro = capacity_micro
        self._share = share

    def limit(self, now_ns: int) -> tuple[int, str]:
        """What all caps together allow."""
        return self.capacity_micro, "exhausted"

    def draw(self, now_ns: int, payee: str, need_micro: int) -> tuple[int, tuple[Transfer, ...]]:
        """Cuts profits by what is needed, to the last micro."""
        paid = min(need_micro, self.capacity_micro)
        if not paid:
            return 0, ()
        parts = self._share(paid)
        invariant(sum(amount for _, amount in parts) == paid, "haircuts sum to what they cover")
        self.capacity_micro -= paid
        moves: list[Transfer] = []
        for party, amount in parts:
            moves += pay(party, payee, self.asset, amount, "haircut of profit")
        return paid, tuple(moves)
