"""`derive-standard`: Derive's standard manager, rule by rule, as tables of `kernels/payoff.py`.

Perpetuals pay a share of their notional, spot counts at a share of its price, and the options of
each expiry pay the milder of two rules: every short on its own, or the worst payoff at expiry.
Initial margin adds what thin oracle confidence and a stable coin below its peg cost. On a market
without these two they are 1. The venue has no short spot: one is charged the same haircut.
"""

from typing import Any, NamedTuple

import numpy as np

from seawall.core.errors import InputError
from seawall.kernels import payoff, shocked
from seawall.kernels.tables import PAYOFF, Tables
from seawall.margin.model import Model
from seawall.margin.parameters import changed
from seawall.margin.venues.derive_parameters import StandardMarket, StandardParameters, mainnet_standard
from seawall.margin.venues.derive_values import YEAR_SECONDS
from seawall.margin.venues.listed import (
    ROLE_OPTION,
    ROLE_SPOT,
    check_listed,
    factor_down,
    factor_up,
    nano_down,
    nano_up,
)

OPTION, PERPETUAL, BASE = range(3)


class StandardBoard(NamedTuple):
    """What the rules read, per leg (L) and block (B); float64 unless said.

    kind: int8[L], OPTION, PERPETUAL or BASE. size: units in one lot. spot, forward: per leg.
    price: a perpetual's mark. strike, vol; right: int8[L]. confidence: least of the leg's oracles.
    exact_nano: int64[L], the mark of one lot where it is known exactly, else 0. block, group,
    underlying: int32[L]. seconds: float64[B]. markets: parameters per underlying.
    """

    kind: np.ndarray
    size: np.ndarray
    spot: np.ndarray
    price: np.ndarray
    forward: np.ndarray
    strike: np.ndarray
    vol: np.ndarray
    right: np.ndarray
    confidence: np.ndarray
    exact_nano: np.ndarray
    block: np.ndarray
    group: np.ndarray
    underlying: np.ndarray
    seconds: np.ndarray
    markets: tuple[StandardMarket, ...]
    stable: float
    depeg_threshold: float
    depeg_factor: float

    def rate(self, name: str) -> np.ndarray:
        """float64[L]: one parameter of each leg's market."""
        return np.array([getattr(market, name) for market in self.markets])[self.underlying]


class DeriveStandardModel(Model):
    """See the module; parameters: StandardParameters."""

    name = "derive-standard"
    kind = PAYOFF
    certifies = False

    def __init__(self, parameters: StandardParameters) -> None:
        check_standard(parameters)
        super().__init__(parameters)

    def tables(self, market: Any) -> Tables:
        check_listed(self.name, market, ("spot", "perpetual", "option"))
        return board_tables(market_board(self.parameters, market))


def derive_standard(**parameters: Any) -> DeriveStandardModel:
    """The model with mainnet's parameters, overridden by keyword."""
    return DeriveStandardModel(changed(DeriveStandardModel.name, mainnet_standard(), parameters))


def check_standard(parameters: StandardParameters) -> None:
    """Refuses a market whose shares are negative or whose initial rules are below maintenance."""
    for name, market in [*parameters.markets.items(), ("default_market", parameters.default_market)]:
        place = f"derive-standard market {name}"
        for field in market.__struct_fields__:
            if getattr(market, field) < 0.0:
                raise InputError(f"{place}.{field}", str(getattr(market, field)), "at least 0")
        if market.perp_im < market.perp_mm:
            raise InputError(f"{place}.perp_im", str(market.perp_im), f"at least perp_mm ({market.perp_mm})")
        if market.base_margin_factor > 1.0 or market.base_im_scale > 1.0:
            raise InputError(f"{place}.base_margin_factor", "a share above 1", "at most 1")


def market_board(parameters: StandardParameters, market: Any) -> StandardBoard:
    """The board of a Market snapshot: confidences and stable price 1."""
    legs = market.legs
    index = np.asarray(legs.index, np.float64)[legs.underlying]
    option = legs.role == ROLE_OPTION
    spot = legs.role == ROLE_SPOT
    expiry = np.asarray(legs.block_expiry_ns)
    return StandardBoard(
        kind=np.where(option, OPTION, np.where(spot, BASE, PERPETUAL)).astype(np.int8),
        size=np.asarray(legs.lot, np.float64),
        spot=index,
        price=np.where(option, 0.0, index * legs.ratio),
        forward=np.where(option, index * legs.ratio, 0.0),
        strike=np.where(option, legs.strike, 0.0),
        vol=np.where(option, legs.iv, 0.0),
        right=legs.right,
        confidence=np.ones(len(index)),
        exact_nano=np.where(option, 0, legs.value_nano).astype(np.int64),
        block=legs.block,
        group=legs.strike_group,
        underlying=legs.underlying,
        seconds=np.where(expiry > 0, np.maximum(expiry - market.as_of_ns, 0) / 1e9, 0.0),
        markets=tuple(parameters.markets.get(name, parameters.default_market) for name in market.underlyings),
        stable=1.0,
        depeg_threshold=parameters.depeg_threshold,
        depeg_factor=parameters.depeg_factor,
    )


def marks(board: StandardBoard) -> np.ndarray:
    """float64[L], quote per lot: undiscounted Black-76, a perpetual's mark, spot over the stable price."""
    out = board.size * np.where(board.kind == BASE, board.spot / board.stable, board.price)
    rows = np.flatnonzero(board.kind == OPTION)
    values = shocked.values(
        board.forward[rows][:, None],
        board.vol[rows][:, None],
        board.strike[rows],
        np.sqrt(board.seconds[board.block[rows]] / YEAR_SECONDS),
        board.right[rows],
        board.size[rows],
    )
    out[rows] = values[:, 0]
    return out


def isolated(board: StandardBoard, mark: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(initial, maintenance) charge of one short lot on its own, float64[L], 0 where no option."""
    notional = board.spot * board.size
    out_of_money = np.maximum((board.strike - board.spot) * board.right, 0.0) / board.spot
    share = np.maximum(board.rate("min_spot_req"), board.rate("max_spot_req") - out_of_money)
    call_maintenance = mark + board.rate("mm_call_spot_req") * notional
    put_maintenance = mark + np.maximum(board.rate("mm_put_spot_req") * notional, board.rate("mm_put_mtm_req") * mark)
    call_initial = mark + share * notional
    put_initial = np.maximum(call_initial, board.rate("mm_offset_scale") * put_maintenance)
    option, call = board.kind == OPTION, board.right > 0
    initial = np.where(option, np.where(call, call_initial, put_initial), 0.0)
    return initial, np.where(option, np.where(call, call_maintenance, put_maintenance), 0.0)


def side_charges(board: StandardBoard, mark: np.ndarray) -> np.ndarray:
    """float64[L, 4], quote per lot: long initial, long maintenance, short initial, short maintenance.

    For perpetuals and spot what comes off their mark; for options only what initial margin adds
    to a short for thin confidence and the peg. A charge on spot is negative where the stable coin
    makes its mark smaller than its margin value.
    """
    notional = board.spot * board.size
    option, perpetual = board.kind == OPTION, board.kind == PERPETUAL
    base = board.kind == BASE
    threshold = np.select(
        [option, perpetual],
        [board.rate("option_threshold"), board.rate("perp_threshold")],
        board.rate("base_threshold"),
    )
    thin = np.where(board.confidence < threshold, 1.0 - board.confidence, 0.0)
    oracle = thin * board.rate("oracle_factor") * notional
    peg = max(board.depeg_threshold - board.stable, 0.0) * board.depeg_factor * notional
    maintained = notional * board.rate("base_margin_factor")
    counted = maintained * board.rate("base_im_scale")
    out = np.zeros((len(mark), 4))
    out[:, 0] = np.where(perpetual, mark * board.rate("perp_im") + oracle + peg, 0.0)
    out[:, 1] = np.where(perpetual, mark * board.rate("perp_mm"), 0.0)
    out[:, 2:] = out[:, :2]
    out[:, 0] = np.where(base, mark - counted + np.where(counted != 0.0, oracle, 0.0), out[:, 0])
    out[:, 1] = np.where(base, mark - maintained, out[:, 1])
    out[:, 2] = np.where(base, notional - counted + oracle, out[:, 2])
    out[:, 3] = np.where(base, notional - maintained, out[:, 3])
    out[:, 2] = np.where(option, oracle + peg, out[:, 2])
    return out


def block_units(board: StandardBoard) -> tuple[np.ndarray, np.ndarray]:
    """(largest lot, forward) of each block's options, float64[B] each, 0 where it has none."""
    option = board.kind == OPTION
    unit = np.zeros(len(board.seconds))
    forward = np.zeros(len(board.seconds))
    np.maximum.at(unit, board.block[option], board.size[option])
    np.maximum.at(forward, board.block[option], board.forward[option])
    return unit, forward


def board_tables(board: StandardBoard) -> Tables:
    """Integer tables of a board: values rounded down once, charges rounded up."""
    mark = marks(board)
    initial, maintenance = isolated(board, mark)
    charges = side_charges(board, mark)
    unit, forward = block_units(board)
    option = board.kind == OPTION
    share = np.divide(board.size, unit[board.block], out=np.ones(len(mark)), where=option)
    extra = np.zeros((len(mark), payoff.EXTRAS), np.int64)
    extra[:, payoff.EXTRA_LONG_INITIAL : payoff.EXTRA_SHORT_MAINTENANCE + 1] = nano_up(charges)
    extra[:, payoff.EXTRA_ISOLATED_INITIAL] = nano_up(initial)
    extra[:, payoff.EXTRA_ISOLATED_MAINTENANCE] = nano_up(maintenance)
    extra[:, payoff.EXTRA_STRIKE] = np.where(option, nano_down(board.strike * unit[board.block]), 0)
    extra[:, payoff.EXTRA_UNITS_DOWN] = factor_down(share)
    extra[:, payoff.EXTRA_UNITS_UP] = factor_up(share)
    block_params = np.zeros((len(board.seconds), payoff.BLOCKS_WIDTH), np.int64)
    first = np.zeros(len(board.seconds), np.int64)
    first[board.block] = board.underlying
    for column, name in (
        (payoff.BLOCK_UNPAIRED_INITIAL, "unpaired_im_scale"),
        (payoff.BLOCK_UNPAIRED_MAINTENANCE, "unpaired_mm_scale"),
    ):
        scale = np.array([getattr(market, name) for market in board.markets])[first]
        block_params[:, column] = nano_up(forward * unit * scale)
    values = nano_down(mark)
    values = np.where(board.exact_nano != 0, board.exact_nano, values)
    return Tables(
        values=np.ascontiguousarray(values.reshape(-1, 1)),
        extra=extra,
        leg_block=np.ascontiguousarray(board.block, np.int32),
        leg_group=np.ascontiguousarray(board.group, np.int32),
        leg_underlying=np.ascontiguousarray(board.underlying, np.int32),
        leg_right=np.ascontiguousarray(np.where(option, board.right, 0), np.int8),
        block_params=block_params,
        scenario_params=np.zeros((0, 1), np.int64),
        underlying_params=np.zeros((len(board.markets), 1), np.int64),
        scalars=np.zeros(1, np.int64),
    )
