"""Backstop providers: committed money that stands behind one risk bucket, earns for it, and can stop.

Each bucket is a `Vault` of its own: what one loses never touches another. Its money is a `SharedPool`, so a loss or a
gain costs constant time. Three rules keep it honest:

- **Loss stop.** Within a window (8 hours) it loses at most a share (30 %) of its largest size in that window, counted
  from its best result in it: ratio = (P&L now − best P&L) / largest size (Bybit's drawdown rule). Beyond that the
  waterfall goes on to the next layer.
- **Inherited positions are marked.** A loss on paper is taken out of the pool at once and held in the inventory's
  reserve. So a position that explodes (JELLY, 26 March 2025) hits the stop, not the neighbours, and whoever leaves
  leaves with his part of it.
- **Exits wait, and happen by themselves.** An exit asked for is paid exactly when its cooldown ends, at what the
  deposit is then worth. Nobody can leave ahead of a loss he sees coming, nor keep a ripe exit in his pocket.
"""

from __future__ import annotations

from heapq import heappop, heappush

import msgspec

from seawall.core.errors import BadNumber, StaleEvent, UnsafeParameters, invariant
from seawall.core.units import PPM
from seawall.liquidation.drawdown import Drawdown
from seawall.liquidation.pool import SharedPool
from seawall.liquidation.transfers import Transfer, pay

__all__ = ["Inventory", "Marked", "Terms", "Vault"]

HOUR_NS = 3600 * 10**9
CASH = "cash"


class Terms(msgspec.Struct, frozen=True):
    """A vault's rules. Raises UnsafeParameters where they cannot hold.

    exit_cooldown_ns: at least auction_max_ns and a day, so that nobody leaves during what he stands behind.
    """

    bucket: str
    asset: str
    stop_ppm: int = 300_000
    window_ns: int = 8 * HOUR_NS
    auction_max_ns: int = HOUR_NS
    exit_cooldown_ns: int = 25 * HOUR_NS
    commitment_min_micro: int = 100 * 10**6

    def __post_init__(self) -> None:
        place = f"backstop {self.bucket}"
        if not 0 < self.stop_ppm <= PPM:
            raise UnsafeParameters(f"{place}, stop_ppm", str(self.stop_ppm), f"1 to {PPM}")
        if self.window_ns <= 0 or self.commitment_min_micro <= 0:
            raise UnsafeParameters(f"{place}, window or least commitment", "zero or less", "above zero")
        least = self.auction_max_ns + 24 * HOUR_NS
        if self.exit_cooldown_ns < least:
            raise UnsafeParameters(f"{place}, exit_cooldown_ns", str(self.exit_cooldown_ns), f"at least {least}")


class Inventory(msgspec.Struct):
    """A position that a vault inherited. cost_nano: what its lots cost in all, signed as the lots.

    margin_micro: came with it. own_micro: taken out of the pool for its loss on paper. maintenance_micro: what it needs.
    """

    lots: int
    cost_nano: int
    margin_micro: int = 0
    own_micro: int = 0
    maintenance_micro: int = 0


class Marked(msgspec.Struct, frozen=True):
    """What a mark did. drawn_micro: pool → reserve (negative: released). excess_micro: loss beyond the stop, unfunded."""

    drawn_micro: int
    excess_micro: int


class Vault:
    """One bucket's backstop. Every event carries its time; times never go back (StaleEvent).

    `advance` comes first at every new time: it alone pays exits, so that no refused request can swallow one.
    """

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.name = f"backstop:{terms.bucket}"
        self.pool = SharedPool()
        self.inventory: dict[str, Inventory] = {}
        self.now_ns = 0
        self._drawdown = Drawdown(terms.window_ns)
        self._pnl = 0
        self._exits: list[tuple[int, int, str, int]] = []
        self._asked: dict[str, int] = {}
        self._sequence = 0

    # ------------------------------------------------------------------------------------- providers

    def commit(self, now_ns: int, provider: str, amount_micro: int) -> tuple[Transfer, ...]:
        """Money in. Raises BadNumber below the least commitment."""
        self._at(now_ns)
        if amount_micro < self.terms.commitment_min_micro:
            raise BadNumber(f"{self.name}, commitment", str(amount_micro), f"at least {self.terms.commitment_min_micro}")
        self.pool.deposit(provider, amount_micro)
        self._observe()
        return pay(provider, self.name, self.terms.asset, amount_micro, "backstop commitment")

    def ask_exit(self, now_ns: int, provider: str, amount_micro: int) -> int:
        """Starts the cooldown of a part; when it ends. Raises BadNumber for more than is there and not asked out."""
        self._at(now_ns)
        free = self.pool.worth(provider) - self._asked.get(provider, 0)
        if not 0 < amount_micro <= free:
            raise BadNumber(f"{self.name}, exit of {provider}", str(amount_micro), f"1 to {max(free, 0)}")
        self._asked[provider] = self._asked.get(provider, 0) + amount_micro
        self._sequence += 1
        ready_ns = now_ns + self.terms.exit_cooldown_ns
        heappush(self._exits, (ready_ns, self._sequence, provider, amount_micro))
        return ready_ns

    def collect(self, now_ns: int, provider: str) -> tuple[Transfer, ...]:
        """Pays a provider's earnings."""
        self._at(now_ns)
        paid = self.pool.collect(provider).get(CASH, 0)
        return pay(self.name, provider, self.terms.asset, paid, "backstop earnings")

    def advance(self, now_ns: int) -> tuple[Transfer, ...]:
        """Lets time pass: pays every exit whose cooldown has ended, at what it is worth."""
        if now_ns < self.now_ns:
            raise StaleEvent(self.name, str(now_ns), f"a time of at least {self.now_ns}")
        moves: list[Transfer] = []
        while self._exits and self._exits[0][0] <= now_ns:
            self.now_ns, _, provider, amount = heappop(self._exits)
            self._asked[provider] -= amount
            paid = self.pool.withdraw(provider, amount)
            self._observe()
            moves += pay(self.name, provider, self.terms.asset, paid, "backstop exit")
        self.now_ns = now_ns
        return tuple(moves)

    def exits(self) -> list[tuple[int, str, int]]:
        """(when, provider, amount) of exits that were asked for, the next first."""
        return [(at_ns, provider, amount) for at_ns, _, provider, amount in sorted(self._exits)]

    def due_ns(self) -> int | None:
        """When the next exit falls due, None where nobody has asked."""
        return self._exits[0][0] if self._exits else None

    # ------------------------------------------------------------------------------------- losses and gains

    def capacity(self, now_ns: int) -> int:
        """What it can still lose now: its size, or what is left before the loss stop."""
        invariant(now_ns >= self.now_ns, "time of a backstop never goes back")
        # what it holds joins the largest size of the window even if nothing was observed since
        left = self._drawdown.left(now_ns, self._pnl, self.pool.total, self.terms.stop_ppm)
        return max(0, min(self.pool.total, left))

    def stopped(self, now_ns: int) -> bool:
        """Whether it has money but may not lose more in this window."""
        return self.pool.total > 0 and self.capacity(now_ns) == 0

    def absorb(self, now_ns: int, payee: str, need_micro: int, cause: str) -> tuple[int, tuple[Transfer, ...]]:
        """Pays a loss as far as it may; the amount and the transfers."""
        self._at(now_ns)
        borne = min(need_micro, self.capacity(now_ns))
        self._lose(borne)
        return borne, pay(self.name, payee, self.terms.asset, borne, cause)

    def earn(self, now_ns: int, payer: str, amount_micro: int, cause: str) -> tuple[Transfer, ...]:
        """Premium, fee or profit for those who stand in now. Without providers nothing is taken."""
        self._at(now_ns)
        if not self._gain(amount_micro):
            return ()
        return pay(payer, self.name, self.terms.asset, amount_micro, cause)

    # ------------------------------------------------------------------------------------- inherited positions

    def take_over(
        self, now_ns: int, payer: str, instrument: str, lots: int, price_nano: int, margin_micro: int, maintenance_micro: int
    ) -> tuple[Transfer, ...]:
        """Inherits a position at a price, with the margin that came with it, into the vault's own inventory.

        maintenance_micro: what the position needs. Raises BadNumber where margin and what the vault may lose before
        its stop do not cover it: nothing is ever borrowed from another vault.
        """
        self._at(now_ns)
        if lots == 0 or margin_micro < 0:
            raise BadNumber(f"{self.name}, takeover", f"{lots} lots, margin {margin_micro}", "lots, and a margin of at least 0")
        everything = self.inventory.values()
        covered = margin_micro + self.capacity(now_ns) + sum(held.own_micro + held.margin_micro for held in everything)
        needed = maintenance_micro + sum(held.maintenance_micro for held in everything)
        if covered < needed:
            raise BadNumber(f"{self.name}, takeover of {instrument}", f"cover of {covered}", f"at least {needed}")
        held = self.inventory.setdefault(instrument, Inventory(0, 0))
        if held.lots * lots < 0:
            raise BadNumber(f"{self.name}, takeover of {instrument}", "the opposite side", "lots of the inventory's side")
        held.lots += lots
        held.cost_nano += lots * price_nano
        held.margin_micro += margin_micro
        held.maintenance_micro += maintenance_micro
        return pay(payer, self.name, self.terms.asset, margin_micro, "margin inherited")

    def mark(self, now_ns: int, instrument: str, price_nano: int) -> Marked:
        """Takes a loss on paper out of the pool, or gives back what is no longer one.

        An excess means: this vault has stopped; close the position against the next layer.
        """
        self._at(now_ns)
        held = self.inventory[instrument]
        loss = max(0, -((held.lots * price_nano - held.cost_nano) // 1000))
        need = loss - held.margin_micro - held.own_micro
        if need <= 0:
            back = min(-need, held.own_micro)
            if back and self._gain(back):
                held.own_micro -= back
                return Marked(-back, 0)
            return Marked(0, 0)
        drawn = min(need, self.capacity(now_ns))
        self._lose(drawn)
        held.own_micro += drawn
        return Marked(drawn, need - drawn)

    def dispose(self, now_ns: int, payer: str, instrument: str, lots: int, price_nano: int) -> tuple[int, tuple[Transfer, ...]]:
        """Closes lots of the inventory at a price against `payer`; the loss that neither reserve nor pool could pay.

        Signed as the inventory. A gain is paid by `payer`, a loss to him; at the last lot what is left is earnings.
        """
        self._at(now_ns)
        held = self.inventory[instrument]
        if not 0 < abs(lots) <= abs(held.lots) or lots * held.lots < 0:
            raise BadNumber(f"{self.name}, disposal of {instrument}", str(lots), f"up to {held.lots}")
        # the cost of a part is rounded so that the vault never shows a gain it has not made
        cost = -(-held.cost_nano * lots // held.lots)
        result = (lots * price_nano - cost) // 1000
        held.maintenance_micro -= held.maintenance_micro * lots // held.lots
        held.lots -= lots
        held.cost_nano -= cost
        short = 0
        moves: tuple[Transfer, ...] = ()
        if result >= 0:
            held.own_micro += result
            moves += pay(payer, self.name, self.terms.asset, result, "inventory closed")
        else:
            short = self._pay_loss(now_ns, held, -result)
            moves += pay(self.name, payer, self.terms.asset, -result - short, "inventory closed")
        if held.lots == 0:
            del self.inventory[instrument]
            rest = held.own_micro + held.margin_micro
            if rest and not self._gain(rest):
                moves += pay(self.name, payer, self.terms.asset, rest, "left in a vault without providers")
        return short, moves

    def _pay_loss(self, now_ns: int, held: Inventory, loss: int) -> int:
        own = min(loss, held.own_micro)
        held.own_micro -= own
        margin = min(loss - own, held.margin_micro)
        held.margin_micro -= margin
        drawn = min(loss - own - margin, self.capacity(now_ns))
        self._lose(drawn)
        return loss - own - margin - drawn

    # ------------------------------------------------------------------------------------- inside

    @property
    def holds_micro(self) -> int:
        """All money of the vault: pool, earnings not collected, reserves of inventory."""
        reserves = sum(held.own_micro + held.margin_micro for held in self.inventory.values())
        return self.pool.total + self.pool.owed.get(CASH, 0) + reserves

    def _at(self, now_ns: int) -> None:
        due = bool(self._exits) and self._exits[0][0] <= now_ns
        invariant(not due, "exits that are due are paid first", f"{self.name}: call advance({now_ns})")
        self.advance(now_ns)

    def _lose(self, amount: int) -> None:
        self._observe()
        self.pool.lose(amount)
        self._pnl -= amount
        self._observe()

    def _gain(self, amount: int) -> bool:
        if not self.pool.earn(CASH, amount):
            return False
        self._pnl += amount
        self._observe()
        return True

    def _observe(self) -> None:
        self._drawdown.observe(self.now_ns, self._pnl, self.pool.total)
