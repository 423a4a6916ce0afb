"""Float64 risk values of Derive's PMRM: what one lot of each leg is worth in each scenario.

One row per leg, one column per figure: the mark, one value per scenario (before the static
discount, which the kernel applies per expiry to whole accounts), and the values with the forward
moved up and down for the basis contingency. Formulas: docs/models.md, from the published rules
(research: PMRM v1 and v2); the published per-scenario figures are met to 1e-9.
"""

from typing import NamedTuple

import numpy as np

from seawall.core.errors import InputError
from seawall.kernels import shocked
from seawall.margin.venues.derive_parameters import ABS, DOWN, LINEAR, UP, VOL_SHOCKS, PortfolioParameters

YEAR_SECONDS = 31_536_000.0
DAY_SECONDS = 86_400.0
TERM_SECONDS = 30.0 * DAY_SECONDS

OPTION, PERPETUAL, HEDGE, COLLATERAL = range(4)


class Board(NamedTuple):
    """Everything the rules read, per leg (L), block (B) and underlying (U); float64 unless said.

    kind: int8[L], OPTION, PERPETUAL, HEDGE (collateral that takes part in the scan) or COLLATERAL.
    size: units in one lot. price: per unit, of a perpetual's mark or a collateral in quote.
    notional: what a leg's charges are a share of, per lot. haircut_mm, haircut_im: shares of it.
    confidence: the least of the oracles that the leg hangs on. exact_nano: int64[L], the mark of
    one lot where it is known exactly, else 0.
    forward, fixed: the part of an option's forward that scenarios move, and the part already
    settled. strike, vol; right: int8[L]. block, group, underlying: int32[L], as in `Tables`.
    seconds, rate: float64[B], life and interest rate of a block; block 0 of an underlying may be
    no expiry. stable: price of the settlement currency in dollars.
    """

    kind: np.ndarray
    size: np.ndarray
    price: np.ndarray
    notional: np.ndarray
    haircut_mm: np.ndarray
    haircut_im: np.ndarray
    confidence: np.ndarray
    exact_nano: np.ndarray
    forward: np.ndarray
    fixed: np.ndarray
    strike: np.ndarray
    vol: np.ndarray
    right: np.ndarray
    block: np.ndarray
    group: np.ndarray
    underlying: np.ndarray
    seconds: np.ndarray
    rate: np.ndarray
    underlyings: int
    stable: float


def discounts(parameters: PortfolioParameters, seconds: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """Discount factor of each block in option prices: e^(-T·max(rate, 0)); version 1 has none."""
    if parameters.version == 1:
        return np.ones(len(seconds))
    return shocked.exponentials(-np.maximum(rate, 0.0) * seconds / YEAR_SECONDS)


def static_discounts(
    parameters: PortfolioParameters, seconds: np.ndarray, rate: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(slope for an expiry worth something, slope for one that owes), float64[B] each."""
    years = seconds / YEAR_SECONDS
    positive = np.maximum(rate, 0.0)
    p = parameters
    gain = p.long_base_static_discount * shocked.exponentials(-years * (positive * p.long_rate_mult + p.long_rate_add))
    if p.version == 1:
        return gain, np.ones(len(seconds))
    debt = p.short_base_static_discount * shocked.exponentials(
        years * (positive * p.short_rate_mult + p.short_rate_add)
    )
    return gain, np.minimum(1.0 / discounts(p, seconds, rate), debt)


def vol_multiples(parameters: PortfolioParameters, seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(up, down) multiples of volatility: 1 ± range·(30 d / max(t, floor))^power, down at least 0."""
    p = parameters
    life = np.maximum(np.maximum(seconds, p.dte_floor_days * DAY_SECONDS), 1.0)
    power = np.where(seconds <= TERM_SECONDS, p.short_term_power, p.long_term_power)
    scale = shocked.exponentials(power * shocked.logarithms(TERM_SECONDS / life))
    return 1.0 + p.vol_range_up * scale, np.maximum(0.0, 1.0 - p.vol_range_down * scale)


def skew_multiples(parameters: PortfolioParameters, shock: int, moneyness: np.ndarray, years: np.ndarray) -> np.ndarray:
    """Multiples of volatility of options at moneyness ln(K/F) under a turned or bent smile."""
    skew = parameters.skew
    root = np.sqrt(years)
    linear = shock == LINEAR
    slope, base = (skew.linear_cbase, skew.linear_base_cap) if linear else (skew.abs_cbase, skew.abs_base_cap)
    cap = slope * root + base
    width = root * skew.width_scale * (skew.vol_param_static + root * skew.vol_param_scale)
    width = np.maximum(skew.min_k_star, width)
    if len(width) and width.min() <= 0.0:
        raise InputError("derive-portfolio skew", "a width of 0", "min_k_star above 0, or width and life above 0")
    k = moneyness if linear else np.abs(moneyness)
    turn = k * cap / width
    turn = np.where(k >= 0.0, np.minimum(cap, turn), np.maximum(-cap, turn))
    return np.maximum(1.0 + turn, 0.0)


def scenario_vols(parameters: PortfolioParameters, board: Board) -> np.ndarray:
    """float64[options, scenarios]: the volatility of each option of the board in each scenario."""
    rows = np.flatnonzero(board.kind == OPTION)
    vol, block = board.vol[rows], board.block[rows]
    up, down = vol_multiples(parameters, board.seconds)
    years = board.seconds[block] / YEAR_SECONDS
    strike = np.maximum(board.strike[rows], 1e-300)
    moneyness = shocked.logarithms(strike / np.maximum(board.forward[rows] + board.fixed[rows], 1e-300))
    out = np.empty((len(rows), len(parameters.scenarios)))
    for s, scenario in enumerate(parameters.scenarios):
        shock = VOL_SHOCKS.index(scenario.vol)
        if shock == UP:
            out[:, s] = np.maximum(parameters.min_vol_up_shock, vol * up[block])
        elif shock == DOWN:
            out[:, s] = vol * down[block]
        elif shock in (LINEAR, ABS):
            out[:, s] = vol * skew_multiples(parameters, shock, moneyness, years)
        else:
            out[:, s] = vol
    return out


def risk_values(parameters: PortfolioParameters, board: Board) -> np.ndarray:
    """float64[L, 1 + scenarios + 2]: mark, scenarios, basis up, basis down; quote per lot."""
    spots = np.array([scenario.spot for scenario in parameters.scenarios])
    multiples = np.concatenate([[1.0], spots, [parameters.basis_up, parameters.basis_down]])
    values = np.empty((len(board.kind), len(multiples)))
    marks = board.size * board.price
    values[:] = marks[:, None]
    moving = (board.kind == PERPETUAL) | (board.kind == HEDGE)
    values[moving, 1:-2] = marks[moving, None] * spots
    rows = np.flatnonzero(board.kind == OPTION)
    vol = board.vol[rows][:, None]
    vols = np.concatenate([vol, scenario_vols(parameters, board), vol, vol], axis=1)
    forwards = board.forward[rows][:, None] * multiples + board.fixed[rows][:, None]
    block = board.block[rows]
    discount = discounts(parameters, board.seconds, board.rate)
    values[rows] = shocked.values(
        forwards,
        vols,
        board.strike[rows],
        np.sqrt(board.seconds[block] / YEAR_SECONDS),
        board.right[rows],
        discount[block] * board.size[rows],
    )
    return values
