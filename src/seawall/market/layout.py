"""From instruments to legs: which legs an instrument has, their order, and what fills their arrays."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np

from seawall.core.instruments import Instrument
from seawall.core.units import NANO, PPM, ceil_to

from . import legs as kinds
from .legs import Legs
from .quotes import Quote, int64_ratio

__all__ = ["build_legs", "default_coin_lot"]

_ROLES = {
    "spot": kinds.ROLE_SPOT,
    "perpetual": kinds.ROLE_PERPETUAL,
    "future": kinds.ROLE_FUTURE,
    "option": kinds.ROLE_OPTION,
    "basket": kinds.ROLE_BASKET,
}
_COIN_LOT_NANO_MIN_EXPONENT = 6


class _Leg(msgspec.Struct):
    """One leg before it becomes a column of the arrays."""

    symbol: str
    instrument: int
    kind: int
    role: int
    underlying: int
    lot: Fraction
    ratio: Fraction = Fraction(1)
    expiry_ns: int = 0
    fix_ns: int = 0
    strike: float = 0.0
    right: int = 0
    iv: float = float("nan")
    haircut_ppm: int = 0
    open_interest_lots: int = -1
    face_nano: int = 0

    @property
    def order(self) -> tuple[Any, ...]:
        """Underlying, expiry, linear before options, fixed strikes before dynamic ones, strike, put, call."""
        return (self.underlying, self.expiry_ns, self.right != 0, self.fix_ns, self.strike, self.right)


def default_coin_lot(index: Decimal) -> Decimal:
    """A power of ten of the coin that is worth 0.001 to 0.01 quote: 1e-8 of a coin at 100,000.

    Small enough that rounding an amount down to it does not show, large enough that rounding its value to
    nano is below one part in a million.
    """
    return Decimal(1).scaleb(_COIN_LOT_NANO_MIN_EXPONENT - 9 - index.adjusted())


def build_legs(
    index: dict[str, Decimal],
    instruments: dict[str, Instrument],
    quotes: dict[str, Quote],
    ivs: dict[str, float],
    coin_lots: dict[str, Decimal],
    place: str,
) -> Legs:
    """The legs of a market. `ivs` has every option; `quotes` every instrument; place: for error messages."""
    number = {name: n for n, name in enumerate(index)}
    made: list[_Leg] = []
    for position, instrument in enumerate(instruments.values()):
        made += _legs_of(instrument, position, number, quotes[instrument.symbol], ivs.get(instrument.symbol))
    for name in coin_lots:
        made.append(_Leg(f"{name}#coin", -1, kinds.LINEAR, kinds.ROLE_COIN, number[name], Fraction(coin_lots[name])))
    made.sort(key=lambda leg: leg.order)
    return _arrays(made, index, instruments, place)


def _legs_of(
    instrument: Instrument, position: int, number: dict[str, int], quote: Quote, iv: float | None
) -> list[_Leg]:
    role = _ROLES[instrument.kind]
    lot = Fraction(instrument.lot)
    interest = -1
    if instrument.open_interest is not None:
        interest = ceil_to(instrument.open_interest / instrument.lot, 1)
    if instrument.kind == "basket":
        return [
            _Leg(
                symbol=f"{instrument.symbol}/{name}",
                instrument=position,
                kind=kinds.LINEAR,
                role=role,
                underlying=number[name],
                lot=lot * Fraction(weight),
                open_interest_lots=interest,
            )
            for name, weight in instrument.weights.items()
        ]
    leg = _Leg(
        symbol=instrument.symbol,
        instrument=position,
        kind=kinds.LINEAR,
        role=role,
        underlying=number[instrument.underlying],
        lot=lot,
        ratio=quote.ratio,
        expiry_ns=instrument.expiry_ns,
        haircut_ppm=int(instrument.haircut * PPM),
        open_interest_lots=interest,
    )
    if instrument.inverse:
        leg.kind = kinds.CONSTANT
        leg.face_nano = instrument.lot_nano
    if instrument.kind == "option":
        dynamic = instrument.is_forward_start
        strike = instrument.strike_fraction if dynamic else instrument.strike
        leg.kind = kinds.FORWARD_START if dynamic else kinds.OPTION
        leg.fix_ns = instrument.strike_fixes_ns if dynamic else 0
        leg.strike = float(strike or 0)
        leg.right = instrument.right
        leg.iv = float("nan") if iv is None else iv
    return [leg]


def _arrays(made: list[_Leg], index: dict[str, Decimal], instruments: dict[str, Instrument], place: str) -> Legs:
    def column(name: str, dtype: Any) -> Any:
        return np.array([getattr(leg, name) for leg in made], dtype)

    index_nano = np.array([int(price * NANO) for price in index.values()], np.int64)
    blocks = _dense([(leg.underlying, leg.expiry_ns) for leg in made])
    groups = _dense([(*leg.order[:2], leg.fix_ns, leg.strike) if leg.right else None for leg in made])
    values = [int64_ratio(leg.lot * leg.ratio) for leg in made]
    lots = [int64_ratio(leg.lot) for leg in made]
    constant = [leg.kind == kinds.CONSTANT for leg in made]
    # −face × index / mark per lot, rounded down
    fixed = [-leg.face_nano / leg.ratio if is_face else Fraction(0) for leg, is_face in zip(made, constant)]
    firsts = [first for first, block in enumerate(blocks) if first == 0 or blocks[first - 1] != block]
    leg_of: dict[str, list[int]] = {symbol: [] for symbol in instruments}
    names = list(instruments)
    for at, leg in enumerate(made):
        if leg.instrument >= 0:
            leg_of[names[leg.instrument]].append(at)
    face = np.array([leg.face_nano for leg in made], np.int64)
    legs = Legs(
        underlyings=tuple(index),
        instruments=instruments,
        symbols=[leg.symbol for leg in made],
        instrument=column("instrument", np.int32),
        kind=column("kind", np.int8),
        role=column("role", np.int8),
        underlying=column("underlying", np.int32),
        expiry_ns=column("expiry_ns", np.int64),
        fix_ns=column("fix_ns", np.int64),
        block=np.array(blocks, np.int32),
        strike_group=np.array(groups, np.int32),
        value_nano=np.array([max(value.numerator // value.denominator, -(2**62)) for value in fixed], np.int64),
        notional_nano=face,
        limit_nano=np.zeros(len(made), np.int64),
        value_num=np.array([num for num, _ in values], np.int64),
        value_den=np.array([den for _, den in values], np.int64),
        lot_num=np.array([num for num, _ in lots], np.int64),
        lot_den=np.array([den for _, den in lots], np.int64),
        lot=column("lot", np.float64),
        ratio=column("ratio", np.float64),
        strike=column("strike", np.float64),
        right=column("right", np.int8),
        iv=column("iv", np.float64),
        haircut_ppm=column("haircut_ppm", np.int64),
        open_interest_lots=column("open_interest_lots", np.int64),
        block_underlying=np.array([made[first].underlying for first in firsts], np.int32),
        block_expiry_ns=np.array([made[first].expiry_ns for first in firsts], np.int64),
        index_nano=index_nano,
        index=index_nano / NANO,
        leg_of={symbol: tuple(found) for symbol, found in leg_of.items()},
        coin_of={index_name(index, leg.underlying): at for at, leg in enumerate(made) if leg.instrument < 0},
    )
    return legs.with_index(index_nano, place)


def index_name(index: dict[str, Decimal], number: int) -> str:
    """The name of an underlying by its number."""
    return list(index)[number]


def _dense(keys: list[Any]) -> list[int]:
    """Numbers 0, 1, … for runs of equal keys (sorted, so equal keys are neighbours); −1 for None."""
    numbers: list[int] = []
    last: Any = None
    at = -1
    for key in keys:
        if key is not None and key != last:
            at += 1
            last = key
        numbers.append(-1 if key is None else at)
    return numbers
