"""The venue's own money behind losses: a tranche per market, and a global fund with caps.

A tranche pays for its own market only, to the last micro. The global fund pays at most a share of itself for one
event and at most a share in any 24 hours, so that one market cannot empty it: shares are of what the fund held before
the event, and before what it paid within the window.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from seawall.core.errors import BadNumber, StaleEvent, UnsafeParameters, invariant
from seawall.core.units import PPM
from seawall.liquidation.transfers import Transfer, pay

__all__ = ["Caps", "GlobalFund", "Tranche", "target_micro"]

DAY_NS = 24 * 3600 * 10**9


class Caps(msgspec.Struct, frozen=True):
    """Shares of the global fund. Raises UnsafeParameters for shares outside 0 … 100 % or a day below an event."""

    event_ppm: int = 200_000
    day_ppm: int = 500_000
    window_ns: int = DAY_NS

    def __post_init__(self) -> None:
        if not 0 <= self.event_ppm <= self.day_ppm <= PPM or self.window_ns <= 0:
            raise UnsafeParameters("global fund, caps", f"{self.event_ppm} and {self.day_ppm} ppm", f"0 <= event <= day <= {PPM}")


class Tranche:
    """One market's insurance: nothing else is paid from it."""

    def __init__(self, market: str, asset: str, balance_micro: int = 0) -> None:
        if balance_micro < 0:
            raise BadNumber(f"tranche of {market}", str(balance_micro), "a balance of at least zero")
        self.name = f"tranche:{market}"
        self.asset = asset
        self.balance_micro = balance_micro

    def credit(self, payer: str, amount_micro: int, cause: str) -> tuple[Transfer, ...]:
        """Income: liquidation gains, a slice of fees."""
        moves = pay(payer, self.name, self.asset, amount_micro, cause)
        self.balance_micro += amount_micro
        return moves

    def draw(self, payee: str, need_micro: int, cause: str) -> tuple[int, tuple[Transfer, ...]]:
        """Pays a loss as far as it can; the amount and the transfer."""
        paid = min(need_micro, self.balance_micro)
        self.balance_micro -= paid
        return paid, pay(self.name, payee, self.asset, paid, cause)


class GlobalFund:
    """The fund of all markets. Time enters with each draw and never goes back (StaleEvent)."""

    def __init__(self, asset: str, balance_micro: int = 0, caps: Caps = Caps()) -> None:  # noqa: B008 - frozen
        if balance_micro < 0:
            raise BadNumber("global fund", str(balance_micro), "a balance of at least zero")
        self.name = "fund:global"
        self.asset = asset
        self.caps = caps
        self.balance_micro = balance_micro
        self.now_ns = 0
        self._drawn: deque[tuple[int, int]] = deque()
        self._drawn_sum = 0
        self._events: dict[str, tuple[int, int]] = {}  # event → (balance when it first drew, drawn so far)

    def credit(self, payer: str, amount_micro: int, cause: str) -> tuple[Transfer, ...]:
        """Income."""
        moves = pay(payer, self.name, self.asset, amount_micro, cause)
        self.balance_micro += amount_micro
        return moves

    def available(self, now_ns: int, event: str) -> tuple[int, str]:
        """What it may pay for this event now, and what limits it: "balance", "event cap" or "day cap"."""
        if now_ns < self.now_ns:
            raise StaleEvent(self.name, str(now_ns), f"a time of at least {self.now_ns}")
        self.now_ns = now_ns
        while self._drawn and self._drawn[0][0] <= now_ns - self.caps.window_ns:
            self._drawn_sum -= self._drawn.popleft()[1]
        base, drawn = self._events.get(event, (self.balance_micro, 0))
        for_event = base * self.caps.event_ppm // PPM - drawn
        for_day = (self.balance_micro + self._drawn_sum) * self.caps.day_ppm // PPM - self._drawn_sum
        least = min((self.balance_micro, "balance"), (max(for_event, 0), "event cap"), (max(for_day, 0), "day cap"))
        return least

    def draw(self, now_ns: int, event: str, payee: str, need_micro: int, cause: str) -> tuple[int, tuple[Transfer, ...]]:
        """Pays a loss as far as balance and caps allow; the amount and the transfer."""
        room, _ = self.available(now_ns, event)
        paid = min(need_micro, room)
        invariant(paid >= 0, "a fund never pays a negative amount")
        if paid:
            base, drawn = self._events.get(event, (self.balance_micro, 0))
            self._events[event] = (base, drawn + paid)
            self._drawn.append((now_ns, paid))
            self._drawn_sum += paid
            self.balance_micro -= paid
        return paid, pay(self.name, payee, self.asset, paid, cause)

    def close_event(self, event: str) -> None:
        """Forgets an event that is over, so that memory stays bounded; its draws still count for the day."""
        self._events.pop(event, None)


def target_micro(scenario_losses: Sequence[int], member_losses: Sequence[int], tail_ppm: int = 10_000) -> int:
    """How much the fund should hold, in micro: the larger of two measures of losses beyond margin.

    The expected shortfall of the worst tail_ppm of scenarios (rounded up, at least one scenario), and the sum of the
    two largest members' losses ("Cover 2" of CPSS-IOSCO's Principles for financial market infrastructures, 2012).
    """
    if not 0 < tail_ppm <= PPM:
        raise BadNumber("fund target, tail_ppm", str(tail_ppm), f"1 to {PPM}")
    worst = sorted((max(0, loss) for loss in scenario_losses), reverse=True)
    tail = worst[: max(1, -(-len(worst) * tail_ppm // PPM))]
    shortfall = -(-sum(tail) // len(tail)) if tail else 0
    return max(shortfall, sum(sorted((max(0, loss) for loss in member_losses), reverse=True)[:2]))
