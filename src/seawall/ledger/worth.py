"""What margin reads of the ledger: an account's cash with all that a touch would bring, one account or all holders.

Funding, interest and expired positions are settled when an account is touched, but they count from the moment of
the event. So here an account's cash is its balance, plus what its positions have cost, plus what a touch would
post, rounded as the touch rounds: a touch never changes it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from seawall.core.errors import LimitExceeded
from seawall.core.units import INT64_MAX
from seawall.kernels.muldiv import mul_div_floor_array

from .chart import USER
from .posting import INDEX_SCALE
from .state import NOBODY, State

__all__ = ["balance_after_touch", "balances_after_touch", "cash_of", "holders", "pending_of"]

Array = np.ndarray[Any, Any]
_QUOTIENT_MAX = float(2**61)


def cash_of(state: State, row: int, asset: int) -> int:
    """Units of an asset: balance + Σ cost of positions settled in it + what a touch would bring, of one account."""
    total = balance_after_touch(state, row, asset)
    slot = state.head[row]
    while slot != NOBODY:
        number = state.held[slot]
        settled_in, _, _, _, nano, pico = state.terms[number]
        if settled_in == asset:
            total += state.cost[slot]
            step = state.index_pico[number] - state.since_pico[slot]
            if step:
                total += -state.lots[slot] * step // pico
            price_nano = state.expiry_nano[number]
            if price_nano >= 0:
                total += state.lots[slot] * price_nano // nano
        slot = state.next[slot]
    return total


def balance_after_touch(state: State, row: int, asset: int) -> int:
    """Units of an asset with the interest that a touch would bring, floor."""
    held = state.balance[asset][row]
    if held and state.borrow_index[asset] and state.kind[row] == USER:
        index = state.borrow_index[asset] if held < 0 else state.supply_index[asset]
        held += held * (index - state.mark[asset][row]) // INDEX_SCALE
    return held


def holders(state: State, instrument: int) -> tuple[Array, Array, Array]:
    """(slot, account row, lots), int64[n], of all positions in an instrument."""
    held, lots = np.frombuffer(state.held, np.int32), np.frombuffer(state.lots, np.int64)
    slots = np.flatnonzero((held == instrument) & (lots != 0))
    return slots, np.frombuffer(state.holder, np.int32)[slots].astype(np.int64), lots[slots]


def pending_of(state: State, slots: Array, asset: int) -> Array:
    """int64[n]: units of an asset that a touch would bring for each of these positions, without its cost.

    Raises LimitExceeded where one does not fit.
    """
    number = np.frombuffer(state.held, np.int32)[slots]
    lots = np.frombuffer(state.lots, np.int64)[slots]
    step = np.array(state.index_pico, np.int64)[number] - np.frombuffer(state.since_pico, np.int64)[slots]
    decimals = state.assets[asset].decimals
    pending = np.zeros(len(slots), np.int64)
    moved = np.flatnonzero(step)
    pending[moved] = _floor_of(-lots[moved], step[moved], 10 ** (12 - decimals), "funding")
    price_nano = np.array(state.expiry_nano, np.int64)[number]
    over = np.flatnonzero(price_nano >= 0)
    pending[over] += _floor_of(lots[over], price_nano[over], 10 ** (9 - decimals), "expiry")
    pending[np.array(state.settled_in, np.int64)[number] != asset] = 0
    return pending


def balances_after_touch(state: State, asset: int) -> Array:
    """int64[accounts]: `balance_after_touch` of every account."""
    held = np.frombuffer(state.balance[asset], np.int64).copy()
    if state.borrow_index[asset]:
        index = np.where(held < 0, state.borrow_index[asset], state.supply_index[asset])
        bears = (np.frombuffer(state.kind, np.int8) == USER) & (held != 0)
        step = np.where(bears, index - np.frombuffer(state.mark[asset], np.int64), 0)
        held += _floor_of(held, step, INDEX_SCALE, state.assets[asset].asset)
    return held


def _floor_of(a: Array, b: Array, scale: int, place: str) -> Array:
    """int64[n]: floor(a × b ÷ scale), 0 < scale < 2**51."""
    size = np.abs(a.astype(np.float64) * b.astype(np.float64)) / scale
    if len(size) and size.max() >= _QUOTIENT_MAX:
        raise LimitExceeded(place, f"an amount of {size.max():.3g} units", f"less than {INT64_MAX // 4}")
    return mul_div_floor_array(a, b, np.array([scale]))
