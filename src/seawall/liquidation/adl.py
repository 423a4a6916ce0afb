"""Auto-deleveraging by capped, risk-weighted pro-rata over netting sets: as little as is needed, from whom it hurts least.

The lots Q of a bankrupt position that no market and no fund can take are closed against the other side at the
bankruptcy price. A counterparty closed for q lots gives up q·(mark − bankruptcy price), so the lots are water-filled
(`water.fill`) with weights profit × risk, where profit is that of the whole netting set of the underlying (a hedged
account has little), under three caps per account:

    q ≤ lots held,    q·loss ≤ h̄·profit (principal is never touched),    q·(loss − margin released) ≤ health

The order is: unhedged lots of accounts in profit; then the lots that are hedged by other legs; and only where closing
costs nothing, accounts without profit. What the caps cannot bear is `residual_lots`, reported, never forced.
After the closed form an exact margin function may look at every account touched: whoever would end below maintenance
gets a lower cap, and the fill is made again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import msgspec
import numpy as np

from seawall.core.errors import BadNumber, invariant
from seawall.core.units import PPM, VALUE_NANO_MAX
from seawall.liquidation import water

__all__ = ["Allocation", "Parties", "Rules", "allocate", "haircut", "leverage_risk", "unhedged_lots"]

Int64Array = np.ndarray[Any, np.dtype[np.int64]]
Recheck = Callable[[Int64Array], Int64Array]

_ALL = 2**53
_MICRO_MAX = 2**62 // 1000
_REFILLS = 16


class Rules(msgspec.Struct, frozen=True):
    """haircut_max_ppm: the share of a profit that may be taken at most."""

    haircut_max_ppm: int = PPM

    def __post_init__(self) -> None:
        if not 0 <= self.haircut_max_ppm <= PPM:
            raise BadNumber("deleveraging, haircut_max_ppm", str(self.haircut_max_ppm), f"0 to {PPM}")


class Parties(NamedTuple):
    """The other side, one row per account; all int64[N].

    lots: held on the side to be closed, at least 0. unhedged: those of them that no other leg of the netting set
    offsets. profit_micro: of the netting set. health_micro: equity − maintenance. relief_nano: maintenance released
    per lot closed (negative where closing a leg opens up a hedge). risk_ppm: the weight's factor, see `leverage_risk`.
    """

    lots: Int64Array
    unhedged: Int64Array
    profit_micro: Int64Array
    health_micro: Int64Array
    relief_nano: Int64Array
    risk_ppm: Int64Array

    @classmethod
    def of(
        cls,
        lots: Sequence[int] | Int64Array,
        profit_micro: Sequence[int] | Int64Array,
        unhedged: Sequence[int] | Int64Array | None = None,
        health_micro: Sequence[int] | Int64Array | None = None,
        relief_nano: Sequence[int] | Int64Array | None = None,
        risk_ppm: Sequence[int] | Int64Array | None = None,
    ) -> Parties:
        """Defaults: nothing is hedged, health is no limit, no margin is released, all risks alike."""

        def column(given: Sequence[int] | Int64Array | None, default: int) -> Int64Array:
            return np.full(len(lots), default, np.int64) if given is None else np.asarray(given, np.int64)

        held = column(lots, 0)
        return cls(
            held,
            held if unhedged is None else column(unhedged, 0),
            column(profit_micro, 0),
            column(health_micro, _ALL),
            column(relief_nano, 0),
            column(risk_ppm, PPM),
        )


class Allocation(NamedTuple):
    """lots: closed per account. paid_micro: profit given up per account (negative: received), against the account.

    by_order: lots closed unhedged, hedged, without profit. residual_lots: borne by nobody. refills: how often exact
    margins lowered caps.
    """

    lots: Int64Array
    paid_micro: Int64Array
    residual_lots: int
    by_order: tuple[int, int, int]
    refills: int

    def over_closure(self, needed_lots: int) -> Fraction:
        """closed ÷ needed; 1 where nothing was needed and nothing closed."""
        closed = int(self.lots.sum())
        return Fraction(closed, needed_lots) if needed_lots else Fraction(1 + closed)


def unhedged_lots(lots: Int64Array, net_lots: Int64Array) -> Int64Array:
    """The part of each signed position that its netting set does not offset, at least 0.

    net_lots: the set's net exposure to the underlying in lots of this instrument, signed, the position included.
    """
    same: Int64Array = np.where(np.sign(lots) == np.sign(net_lots), np.minimum(np.abs(lots), np.abs(net_lots)), 0)
    return same


def leverage_risk(notional_micro: Int64Array, equity_micro: Int64Array, most: int = 100) -> Int64Array:
    """ρ(λ) = leverage, notional ÷ equity, in ppm, at least one part and at most `most` times."""
    equity = np.maximum(equity_micro, 1)
    ratio = np.minimum(np.abs(notional_micro) / equity, float(most))
    risk: Int64Array = np.maximum((ratio * PPM).astype(np.int64), 1)
    return risk


def haircut(profit_micro: Int64Array, cap_micro: Int64Array, risk_ppm: Int64Array, budget_micro: int) -> water.Filled:
    """A loss that is already real, shared in money: Σ = budget, each at most his cap and his profit."""
    profit = np.maximum(profit_micro, 0)
    return water.fill(water.scaled_product(profit, risk_ppm), np.clip(cap_micro, 0, profit), budget_micro)


def allocate(
    parties: Parties, lots: int, loss_nano: int, rules: Rules = Rules(), recheck: Recheck | None = None  # noqa: B008
) -> Allocation:
    """Closes `lots` against the other side.

    loss_nano: what a counterparty gives up per lot (mark less bankruptcy price, in its disfavour); zero or negative
    where closing costs nothing. recheck: exact health in micro of every account after closing the given lots[N].
    Raises BadNumber for figures out of range.
    """
    _check(parties, lots)
    caps = _caps(parties, loss_nano, rules)
    refills = 0
    while True:
        taken, by_order, residual = _in_order(parties, caps, lots, loss_nano)
        if recheck is None:
            break
        worse = _pushed_under(parties, taken, recheck)
        if not worse.any():
            break
        refills += 1
        if refills >= _REFILLS:  # an erratic margin: whoever still fails is left alone
            caps = np.where(worse, 0, caps)
        else:
            caps = np.where(worse, np.minimum(_bearable(parties, taken, worse, recheck), caps), caps)
    invariant(int(taken.sum()) + residual == lots, "deleveraged lots and residual sum to the lots to be closed")
    return Allocation(taken, _paid(taken, loss_nano), residual, by_order, refills)


def _check(parties: Parties, lots: int) -> None:
    shapes = {column.shape for column in parties}
    if len(shapes) != 1 or any(column.dtype != np.int64 for column in parties):
        raise BadNumber("deleveraging, parties", f"shapes {sorted(shapes)}", "int64 columns of one length")
    if not 0 <= lots <= _ALL:
        raise BadNumber("deleveraging, lots", str(lots), f"0 to {_ALL}")
    bad = (parties.lots < 0) | (parties.lots > _ALL) | (parties.unhedged < 0) | (parties.unhedged > parties.lots)
    if bad.any() or (parties.risk_ppm < 0).any():
        raise BadNumber("deleveraging, parties", "lots or risks out of range", "0 <= unhedged <= lots <= 2**53, risk >= 0")


def _caps(parties: Parties, loss_nano: int, rules: Rules) -> Int64Array:
    """Most lots of each account: held, principal, maintenance; rounded down."""
    profit = _haircut_limit(np.maximum(parties.profit_micro, 0), rules.haircut_max_ppm)
    caps = parties.lots
    if loss_nano > 0:
        caps = np.minimum(caps, np.minimum(profit, _MICRO_MAX) * 1000 // loss_nano)
    worse = loss_nano - parties.relief_nano
    # a micro is kept back for the rounding of what is paid
    health = np.clip(parties.health_micro - 1, 0, _MICRO_MAX) * 1000
    return np.where(worse > 0, np.minimum(caps, health // np.maximum(worse, 1)), caps)


def _haircut_limit(profit: Int64Array, most_ppm: int) -> Int64Array:
    """⌊profit·ppm/10**6⌋ without leaving int64."""
    whole = profit // PPM
    limit: Int64Array = whole * most_ppm + (profit - whole * PPM) * most_ppm // PPM
    return limit


def _paid(taken: Int64Array, loss_nano: int) -> Int64Array:
    """Lots × loss in micro, rounded up: a counterparty gives up the fraction."""
    invariant(int(taken.max(initial=0)) * abs(loss_nano) < VALUE_NANO_MAX, "what one account is closed for fits int64")
    paid: Int64Array = -(-taken * loss_nano // 1000)
    return paid


def _in_order(parties: Parties, caps: Int64Array, lots: int, loss_nano: int) -> tuple[Int64Array, tuple[int, int, int], int]:
    profit = np.maximum(parties.profit_micro, 0)
    weights = water.scaled_product(profit, parties.risk_ppm)
    first = water.fill(weights, np.minimum(caps, parties.unhedged), lots)
    taken, left = first.parts, first.residual
    hedged = idle = 0
    if left:
        second = water.fill(weights, caps - taken, left)
        hedged, left = left - second.residual, second.residual
        taken = taken + second.parts
    if left and loss_nano <= 0:
        third = water.fill(parties.lots, np.where(weights > 0, 0, caps - taken), left)
        idle, left = left - third.residual, third.residual
        taken = taken + third.parts
    return taken, (lots - left - hedged - idle, hedged, idle), left


def _pushed_under(parties: Parties, taken: Int64Array, recheck: Recheck) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Touched accounts that would end below maintenance, or further below it than they are."""
    under: np.ndarray[Any, np.dtype[np.bool_]] = (taken > 0) & (recheck(taken) < np.minimum(parties.health_micro, 0))
    return under


def _bearable(parties: Parties, taken: Int64Array, worse: np.ndarray[Any, np.dtype[np.bool_]], recheck: Recheck) -> Int64Array:
    """For all failing accounts at once: bisects the most lots that leave them at or above the line."""
    low, high = np.zeros_like(taken), np.where(worse, taken, 1)
    while bool((high - low > 1).any()):
        middle = (low + high) // 2
        fails = recheck(np.where(worse, middle, taken)) < np.minimum(parties.health_micro, 0)
        high = np.where(worse & fails, middle, high)
        low = np.where(worse & ~fails, middle, low)
        low = np.where(worse, low, high)
    return low
