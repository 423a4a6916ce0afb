"""`derive-portfolio`: Derive's portfolio manager (PMRM) versions 1 and 2, as tables of `kernels/blocks.py`.

Each underlying is a manager of its own: its options, its perpetual and its spot collateral are
scanned together, and the requirements of several underlyings add. On a market without oracle
confidences or a stable-coin price these are 1. The venue lists perpetuals, options and spot.
"""

from typing import Any

import numpy as np

from seawall.kernels import blocks
from seawall.kernels.tables import BLOCKS, Tables
from seawall.margin.model import Model
from seawall.margin.parameters import changed
from seawall.margin.venues.derive_parameters import PortfolioParameters, check_portfolio, mainnet_portfolio
from seawall.margin.venues.derive_values import (
    HEDGE,
    OPTION,
    PERPETUAL,
    YEAR_SECONDS,
    Board,
    risk_values,
    static_discounts,
)
from seawall.margin.venues.listed import (
    ROLE_OPTION,
    ROLE_SPOT,
    check_listed,
    factor_down,
    factor_up,
    nano_down,
    nano_up,
)


class DerivePortfolioModel(Model):
    """See the module; parameters: PortfolioParameters."""

    name = "derive-portfolio"
    kind = BLOCKS
    certifies = False

    def __init__(self, parameters: PortfolioParameters) -> None:
        check_portfolio(parameters)
        super().__init__(parameters)

    def tables(self, market: Any) -> Tables:
        check_listed(self.name, market, ("spot", "perpetual", "option"))
        return board_tables(self.parameters, market_board(self.parameters, market))

    def worst_label(self, index: int) -> str:
        scenarios = self.parameters.scenarios
        if index < 0:
            return ""
        if index >= len(scenarios):
            return "basis contingency"
        scenario = scenarios[index]
        words = f"spot {scenario.spot - 1.0:+.4g}, vol {scenario.vol}"
        return words if scenario.dampening == 1.0 else f"{words}, dampened {scenario.dampening:.4g}"


def derive_portfolio(version: int = 2, **parameters: Any) -> DerivePortfolioModel:
    """The model with mainnet's parameters of a version, overridden by keyword."""
    return DerivePortfolioModel(changed(DerivePortfolioModel.name, mainnet_portfolio(version), parameters))


def market_board(parameters: PortfolioParameters, market: Any) -> Board:
    """The board of a Market snapshot: confidences and stable price 1, the whole forward moves."""
    legs = market.legs
    count = len(legs.kind)
    index = np.asarray(legs.index, np.float64)[legs.underlying]
    option = legs.role == ROLE_OPTION
    spot = legs.role == ROLE_SPOT
    kind = np.where(option, OPTION, np.where(spot, HEDGE, PERPETUAL)).astype(np.int8)
    haircut = legs.haircut_ppm / 1e6
    if parameters.version == 1:
        haircut = np.full(count, parameters.base_percent)
    expiry = np.asarray(legs.block_expiry_ns)
    seconds = np.where(expiry > 0, np.maximum(expiry - market.as_of_ns, 0) / 1e9, 0.0)
    return Board(
        kind=kind,
        size=np.asarray(legs.lot, np.float64),
        price=np.where(option, 0.0, index * legs.ratio),
        notional=index * legs.lot,
        haircut_mm=np.where(spot, haircut, 0.0),
        haircut_im=np.where(spot, haircut * parameters.collateral_im_share, 0.0),
        confidence=np.ones(count),
        exact_nano=np.where(option, 0, legs.value_nano).astype(np.int64),
        forward=np.where(option, index * legs.ratio, 0.0),
        fixed=np.zeros(count),
        strike=np.where(option, legs.strike, 0.0),
        vol=np.where(option, legs.iv, 0.0),
        right=legs.right,
        block=legs.block,
        group=legs.strike_group,
        underlying=legs.underlying,
        seconds=seconds,
        rate=np.full(len(seconds), float(market.rate)),
        underlyings=len(market.underlyings),
        stable=1.0,
    )


def peg_factor(parameters: PortfolioParameters, stable: float) -> float:
    """What a stable coin below its threshold adds to the initial factor."""
    return max(parameters.peg_loss_threshold - stable, 0.0) * parameters.peg_loss_factor


def confidence_charge(parameters: PortfolioParameters, board: Board) -> np.ndarray:
    """float64[L], quote per lot: (1 - c)·margin·notional where confidence is below the threshold."""
    short_of = np.where(board.confidence < parameters.conf_threshold, 1.0 - board.confidence, 0.0)
    return short_of * parameters.conf_margin * board.notional


def board_tables(parameters: PortfolioParameters, board: Board) -> Tables:
    """Integer tables of a board: values rounded down once, charges and debts rounded up."""
    p = parameters
    gain, debt = static_discounts(p, board.seconds, board.rate)
    expires = np.zeros(len(board.seconds), bool)
    expires[board.block[board.kind == OPTION]] = True
    gain, debt = np.where(expires, gain, 1.0), np.where(expires, debt, 1.0)
    block_params = np.zeros((len(board.seconds), blocks.BLOCKS_WIDTH), np.int64)
    block_params[:, blocks.BLOCK_GAIN] = factor_down(gain)
    block_params[:, blocks.BLOCK_DEBT] = factor_up(debt)
    basis = p.basis_add + p.basis_mult * board.seconds / YEAR_SECONDS
    block_params[:, blocks.BLOCK_FACTOR] = factor_up(np.where(expires, basis, 0.0))
    block_params[:, blocks.BLOCK_SLACK] = 2 * (2 + np.ceil(np.maximum(gain, debt)))

    perpetual, option = board.kind == PERPETUAL, board.kind == OPTION
    charge = board.notional * (board.haircut_mm + np.where(perpetual, p.mm_perp_percent, 0.0))
    initial = board.notional * (board.haircut_im + np.where(perpetual, p.im_perp_percent, 0.0))
    extra = np.zeros((len(board.kind), blocks.EXTRAS), np.int64)
    extra[:, blocks.EXTRA_CHARGE] = nano_up(charge)
    extra[:, blocks.EXTRA_INITIAL] = nano_up(initial + confidence_charge(p, board))
    extra[:, blocks.EXTRA_NAKED] = np.where(option, nano_down(board.notional), 0)

    values = nano_down(risk_values(p, board))
    values[:, 0] = np.where(board.exact_nano != 0, board.exact_nano, values[:, 0])
    initial_factor = p.im_factor + peg_factor(p, board.stable)
    scalars = np.zeros(blocks.SCALARS, np.int64)
    scalars[blocks.SCALAR_INITIAL] = factor_up(initial_factor)
    scalars[blocks.SCALAR_MAINTENANCE] = factor_up(p.mm_factor)
    scalars[blocks.SCALAR_CHARGES_INITIAL] = factor_up(initial_factor if p.version == 1 else 1.0)
    scalars[blocks.SCALAR_NAKED] = factor_up(p.mm_option_percent)
    scalars[blocks.SCALAR_NAKED_INITIAL] = factor_up(p.im_option_percent)
    return Tables(
        values=values,
        extra=extra,
        leg_block=np.ascontiguousarray(board.block, np.int32),
        leg_group=np.ascontiguousarray(board.group, np.int32),
        leg_underlying=np.ascontiguousarray(board.underlying, np.int32),
        leg_right=np.ascontiguousarray(board.right, np.int8),
        block_params=block_params,
        scenario_params=scenario_params(p),
        underlying_params=np.zeros((board.underlyings, 1), np.int64),
        scalars=scalars,
    )


def scenario_params(parameters: PortfolioParameters) -> np.ndarray:
    """int64[S, SCENARIOS_WIDTH]: dampening of gains and losses, and which scenarios count both ways."""
    dampening = np.array([scenario.dampening for scenario in parameters.scenarios])
    out = np.zeros((len(dampening), blocks.SCENARIOS_WIDTH), np.int64)
    out[:, blocks.SCENARIO_GAIN] = factor_down(dampening)
    out[:, blocks.SCENARIO_LOSS] = factor_up(dampening)
    out[:, blocks.SCENARIO_BOTH_WAYS] = [scenario.vol in ("linear", "abs") for scenario in parameters.scenarios]
    return out
