"""What every auction has: a clock that can be stopped, caps on what is open, a breaker, claims, and bids shared out."""

from collections.abc import Sequence

import msgspec

from seawall.core.errors import InputError, invariant
from seawall.liquidation.auction_rules import KeeperRules, keeper_reward

__all__ = ["ActiveList", "Breaker", "Claims", "Clock", "Holes", "share_by_priority", "share_out", "timely_reward_micro"]


class Clock(msgspec.Struct, frozen=True):
    """Time an auction has run. Time during which it was stopped is not counted.

    elapsed_ns: counted before running_since_ns, which is None while it is stopped.
    """

    running_since_ns: int | None
    elapsed_ns: int = 0

    def elapsed(self, at_ns: int) -> int:
        """ns run until `at_ns`."""
        if self.running_since_ns is None:
            return self.elapsed_ns
        return self.elapsed_ns + at_ns - self.running_since_ns

    def stop(self, at_ns: int) -> "Clock":
        """Stopped as of `at_ns`; again stopped is no change."""
        return Clock(None, self.elapsed(at_ns))

    def go(self, at_ns: int) -> "Clock":
        """Running as of `at_ns`; one that runs is unchanged."""
        return self if self.running_since_ns is not None else Clock(at_ns, self.elapsed_ns)


class Breaker(msgspec.Struct, frozen=True):
    """0: all is allowed; 1: no start; 2: no restart either; 3: no bids either (MakerDAO's four levels)."""

    level: int = 0

    def __post_init__(self) -> None:
        if self.level not in (0, 1, 2, 3):
            raise InputError("breaker", str(self.level), "a level from 0 to 3")

    @property
    def may_start(self) -> bool:
        return self.level < 1

    @property
    def may_restart(self) -> bool:
        return self.level < 2

    @property
    def may_bid(self) -> bool:
        return self.level < 3


class Holes:
    """Caps on what is in auctions at one time, per bucket and in total. Invariant: open = Σ of what was added."""

    def __init__(self, total_micro: int, open_micro: dict[str, int] | None = None) -> None:
        self.total_micro = total_micro
        self.open_micro = dict(open_micro or {})

    @property
    def all_open_micro(self) -> int:
        return sum(self.open_micro.values())

    def room_micro(self, bucket: str, hole_micro: int) -> int:
        """What may still be opened in a bucket whose cap is `hole_micro`; 0 where either cap is reached."""
        inside = hole_micro - self.open_micro.get(bucket, 0)
        return max(0, min(inside, self.total_micro - self.all_open_micro))

    def add(self, bucket: str, amount_micro: int) -> None:
        """Opens an amount."""
        self.open_micro[bucket] = self.open_micro.get(bucket, 0) + amount_micro

    def release(self, bucket: str, amount_micro: int) -> None:
        """Closes an amount that was opened."""
        left = self.open_micro.get(bucket, 0) - amount_micro
        invariant(left >= 0, "a hole is never emptied below nothing", f"{bucket}: {left}")
        self.open_micro[bucket] = left


class ActiveList:
    """Numbers of what is open, added and removed in constant time: the last one moves into a gap."""

    def __init__(self, numbers: Sequence[int] = ()) -> None:
        self.numbers = list(numbers)
        self._place = {number: place for place, number in enumerate(self.numbers)}

    def add(self, number: int) -> None:
        """At the end."""
        self._place[number] = len(self.numbers)
        self.numbers.append(number)

    def remove(self, number: int) -> None:
        """Raises KeyError for what is not open."""
        place = self._place.pop(number)
        last = self.numbers.pop()
        if last != number:
            self.numbers[place] = last
            self._place[last] = place


class Claims(msgspec.Struct, frozen=True):
    """What keepers have earned and not been paid, first come first paid; paid only out of a penalty that came in."""

    owed: tuple[tuple[str, int], ...] = ()

    def add(self, keeper: str, amount_micro: int) -> "Claims":
        """One more claim, behind the others."""
        return Claims((*self.owed, (keeper, amount_micro))) if keeper and amount_micro > 0 else self

    def pay(self, available_micro: int) -> tuple["Claims", list[tuple[str, int]], int]:
        """The claims left, what each keeper is paid now, and what is left of the money."""
        paid, left, rest = [], [], available_micro
        for keeper, owed in self.owed:
            part = min(owed, rest)
            rest -= part
            if part:
                paid.append((keeper, part))
            if owed > part:
                left.append((keeper, owed - part))
        return Claims(tuple(left)), paid, rest


def timely_reward_micro(rules: KeeperRules, risk_micro: int, delay_ns: int) -> int:
    """tip + chip · risk removed, in full within `timely_ns` of the breach, later timely/delay of it; rounded down."""
    whole = keeper_reward(rules.tip_micro, rules.chip_ppm, max(risk_micro, 0))
    return whole if delay_ns <= rules.timely_ns else whole * rules.timely_ns // delay_ns


def share_out(amount: int, asked: Sequence[int]) -> list[int]:
    """An amount over those who ask, in proportion to what they ask, nobody more than that; sums to min(amount, Σ).

    Whole units by largest remainder; equal remainders go to the one who asked first.
    """
    total = sum(asked)
    if total <= amount:
        return list(asked)
    out = [amount * part // total for part in asked]
    remainders = sorted(range(len(asked)), key=lambda i: (-(amount * asked[i] % total), i))
    for i in remainders[: amount - sum(out)]:
        out[i] += 1
    return out


def share_by_priority(amount: int, asked: Sequence[int], priorities: Sequence[int]) -> list[int]:
    """`share_out` among those of the highest priority, then what is left among the next, and so on."""
    out = [0] * len(asked)
    for level in sorted(set(priorities), reverse=True):
        members = [i for i, priority in enumerate(priorities) if priority == level]
        for i, part in zip(members, share_out(amount, [asked[i] for i in members])):
            out[i] = part
            amount -= part
    return out
