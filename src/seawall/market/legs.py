"""Legs: the market as arrays. A leg is a piece of an instrument that depends on one underlying only.

Most instruments are one leg. A basket is one linear leg per weight. An inverse contract is a constant
(−face × index / mark per lot, whatever the index does) and the coin it was entered for: q·face/entry coins,
held in a hidden leg "BTC#coin", so that together they are worth q·face·(1/entry − 1/mark)·index.

Legs are sorted by underlying, expiry (none first), then strike and put before call, so that an account's
positions, sorted by leg, lie together per underlying, per block (one expiry of one underlying) and per
strike. The value of a linear lot is floor(index_nano × value_num / value_den), exact at every index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from seawall.core.errors import LimitExceeded, UnknownInstrument, show
from seawall.core.instruments import Instrument
from seawall.core.units import LOT_VALUE_NANO_MAX, NANO, format_nano
from seawall.kernels.muldiv import mul_div_floor_array

__all__ = [
    "CONSTANT",
    "FORWARD_START",
    "LINEAR",
    "OPTION",
    "ROLE_BASKET",
    "ROLE_COIN",
    "ROLE_FUTURE",
    "ROLE_OPTION",
    "ROLE_PERPETUAL",
    "ROLE_SPOT",
    "Legs",
]

LINEAR, OPTION, FORWARD_START, CONSTANT = 0, 1, 2, 3
ROLE_SPOT, ROLE_PERPETUAL, ROLE_FUTURE, ROLE_OPTION, ROLE_BASKET, ROLE_COIN = 0, 1, 2, 3, 4, 5

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False, slots=True)
class Legs:
    """Arrays over L legs, B blocks and U underlyings; none is written to after building.

    symbols: names of the legs; "SYM/BTC" for a part of a basket, "BTC#coin" for coin.
    instrument int32: position in `instruments`, −1 for coin. kind, role, right int8. underlying, block int32.
    strike_group int32: dense number of (block, strike) for options, −1 for others.
    expiry_ns, fix_ns int64: 0 where there is none.
    value_nano int64: value of one lot (0 for options, whose price is a model's). notional_nano int64: index ×
    lot rounded up; the face of an inverse contract; 0 for coin. limit_nano int64: what one lot can be worth
    at this index under any volatility.
    value_num, value_den, lot_num, lot_den int64: exact ratios (nano per lot) / index_nano, and the lot.
    lot, ratio, strike, iv float64: units of underlying per lot (quote face, for an inverse contract); mark or
    forward / index; strike (its fraction of the forward for a forward start); implied vol (NaN if no option).
    haircut_ppm int64. open_interest_lots int64: −1 where unknown.
    index_nano int64[U], index float64[U]; block_underlying int32[B], block_expiry_ns int64[B].
    """

    underlyings: tuple[str, ...]
    instruments: dict[str, Instrument]
    symbols: list[str]
    instrument: Array
    kind: Array
    role: Array
    underlying: Array
    expiry_ns: Array
    fix_ns: Array
    block: Array
    strike_group: Array
    value_nano: Array
    notional_nano: Array
    limit_nano: Array
    value_num: Array
    value_den: Array
    lot_num: Array
    lot_den: Array
    lot: Array
    ratio: Array
    strike: Array
    right: Array
    iv: Array
    haircut_ppm: Array
    open_interest_lots: Array
    block_underlying: Array
    block_expiry_ns: Array
    index_nano: Array
    index: Array
    leg_of: dict[str, tuple[int, ...]]
    coin_of: dict[str, int]

    def __len__(self) -> int:
        return len(self.symbols)

    def expand(self, symbol: str) -> list[tuple[int, int]]:
        """(leg, its lots per lot of the instrument), without the coin of an inverse contract."""
        if symbol not in self.leg_of:
            raise UnknownInstrument("instrument", show(symbol), "an instrument of the market")
        return [(leg, 1) for leg in self.leg_of[symbol]]

    def coin_leg(self, underlying: str) -> int:
        """The leg that holds coin P&L of inverse contracts on `underlying`."""
        if underlying not in self.coin_of:
            raise UnknownInstrument("coin", show(underlying), "the underlying of an inverse contract")
        return self.coin_of[underlying]

    def coin_lot(self, underlying: str) -> tuple[int, int]:
        """Numerator and denominator of the coin leg's lot, in units of the coin."""
        leg = self.coin_leg(underlying)
        return int(self.lot_num[leg]), int(self.lot_den[leg])

    def with_index(self, index_nano: Array, place: str = "index") -> Legs:
        """The same legs at other index prices (int64[U]); LimitExceeded where a lot gets too valuable."""
        of_leg = index_nano[self.underlying]
        with np.errstate(all="ignore"):  # what does not fit is found, in float, by `checked`
            values = mul_div_floor_array(of_leg, self.value_num, self.value_den)
            units = -mul_div_floor_array(-of_leg, self.lot_num, self.lot_den)
        face = self.kind == CONSTANT
        legs = replace(
            self,
            value_nano=np.where(self.kind == LINEAR, values, np.where(face, self.value_nano, 0)),
            notional_nano=np.where(face, self.notional_nano, np.where(self.role == ROLE_COIN, 0, units)),
            index_nano=np.asarray(index_nano, np.int64),
            index=index_nano / NANO,
        )
        return legs.checked(place)

    def with_iv(self, legs: Sequence[int], ivs: Sequence[float]) -> Legs:
        """The same legs with other implied vols at some of them."""
        iv = self.iv.copy()
        iv[list(legs)] = list(ivs)
        return replace(self, iv=iv)

    def checked(self, place: str) -> Legs:
        """Itself with `limit_nano` made; LimitExceeded where a lot is worth too much."""
        index = self.index[self.underlying]
        units = np.abs(self.lot) * NANO
        # Estimated in float first: the exact product may not even fit int64.
        linear = np.where(self.kind == CONSTANT, np.abs(self.value_nano), units * index * self.ratio)
        fixed_strike = self.kind == OPTION
        option = units * np.maximum(index * self.ratio, np.where(fixed_strike, self.strike, 0.0))
        option = np.where(self.kind == FORWARD_START, option * np.maximum(1.0, self.strike), option)
        limit = np.where((self.kind == LINEAR) | (self.kind == CONSTANT), linear, option)
        if len(limit) and limit.max() >= LOT_VALUE_NANO_MAX:
            worst = int(np.argmax(limit))
            raise LimitExceeded(
                f"{place} ({self.symbols[worst]})",
                f"a lot worth {limit[worst] / NANO:.0f}",
                f"at most {format_nano(LOT_VALUE_NANO_MAX)} a lot",
            )
        return replace(self, limit_nano=np.ceil(limit).astype(np.int64) + 1)
