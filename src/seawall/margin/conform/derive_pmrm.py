"""Vectors of Derive's PMRM 1 and 2: the float risk values, then the integer margin from the kernel.

A position becomes one lot of its whole size, so that the integer tables keep every digit; the
account then runs through the same kernel as any book.
"""

from typing import Any, NamedTuple

import numpy as np

from seawall.kernels.tables import BLOCKS
from seawall.margin.conform.derive_pmrm_input import (
    Portfolio,
    expiry_blocks,
    read_portfolio,
    read_v1,
    read_v2,
)
from seawall.margin.conform.reading import kernel_account, nano, reads
from seawall.margin.conform.report import Check, Unsupported
from seawall.margin.venues.derive_parameters import PortfolioParameters, check_portfolio
from seawall.margin.venues.derive_portfolio import board_tables, confidence_charge, peg_factor
from seawall.margin.venues.derive_values import (
    COLLATERAL,
    HEDGE,
    OPTION,
    PERPETUAL,
    YEAR_SECONDS,
    Board,
    risk_values,
    static_discounts,
    vol_multiples,
)

VERSIONS = {"PMRM_v1": 1, "PMRM_v2": 2}
RELATIVE = 1e-9  # of float figures
TAIL_FROM = 0.25  # moves beyond this are tails, whatever their dampening
FLOOR = 1e-9
FLOOR_OF_GROSS = 1e-13
NOISE = 1e-15  # a float sum's own rounding, of its gross


class Figures(NamedTuple):
    """Float figures of a portfolio, quote."""

    marks: np.ndarray  # float64[L], with the sign of the position
    changes: np.ndarray  # float64[S]
    basis: float
    charge: float  # both contexts
    charge_initial: float  # initial only, without the oracles' part
    oracle: float
    naked: float
    equity: float
    initial: float  # net margins
    maintenance: float
    gross: float  # of all that was added up, times the largest factor

    @property
    def floor(self) -> float:
        """Absolute tolerance of a figure that is a difference of larger ones."""
        return FLOOR + FLOOR_OF_GROSS * self.gross


def judge(data: dict[str, Any], vector: dict[str, Any], check: Check) -> None:
    """Compares one vector; raises Unsupported for one that its source does not assert."""
    if vector.get("active_upstream") is False:
        raise Unsupported("disabled in its source (active_upstream is false)")
    if vector["model"] not in VERSIONS:
        raise Unsupported(f"model {vector['model']!r} is not implemented")
    version = VERSIONS[vector["model"]]
    parameters, portfolio = read_vector(data, vector, version)
    figures = compute(parameters, portfolio)
    given, expected, tolerance = vector["input"], vector["expected"], vector.get("tolerance", {})
    for name, found in (("IM", figures.initial), ("MM", figures.maintenance)):
        if tolerance.get("kind") == "trunc_int":
            check.truncated(name, expected[name], found)
        else:
            check.close(name, expected[name], found, RELATIVE, figures.floor)
    if "mtm" in expected:
        check.close("mtm", expected["mtm"], figures.equity, RELATIVE, figures.floor)
    if version == 1:
        _compare_v1(parameters, portfolio, figures, (expected.get("components") or {}), check)
    else:
        _compare_v2(parameters, portfolio, figures, given, expected, check)
    _compare_integers(parameters, portfolio, figures, check)


@reads
def read_vector(data: dict[str, Any], vector: dict[str, Any], version: int) -> tuple[PortfolioParameters, Portfolio]:
    """Parameters (the vector's own or a named set of the file) and portfolio; the figures must be there."""
    raw = vector["input"]["params"]
    if isinstance(raw, str):
        raw = data["param_sets"][raw]
    parameters = read_v1(raw) if version == 1 else read_v2(raw)
    check_portfolio(parameters)
    for name in ("IM", "MM"):
        float(vector["expected"][name])
    return parameters, read_portfolio(vector["input"], parameters)


def _compare_integers(parameters: PortfolioParameters, portfolio: Portfolio, figures: Figures, check: Check) -> None:
    tables = board_tables(parameters, portfolio.board)
    cash_nano = nano(portfolio.cash)
    equity, initial, maintenance = kernel_account(BLOCKS, tables, portfolio.lots, cash_nano)
    noise = NOISE * figures.gross
    check.against_the_account("equity, integer", figures.equity, equity, noise)
    check.against_the_account("IM, integer", figures.initial, equity - initial, noise)
    check.against_the_account("MM, integer", figures.maintenance, equity - maintenance, noise)


def _compare_v1(
    parameters: PortfolioParameters,
    portfolio: Portfolio,
    figures: Figures,
    components: dict[str, Any],
    check: Check,
) -> None:
    worst = float(figures.changes.min())
    found = {
        "MinSpan": worst,
        "ForwardContingency": figures.basis,
        "OracleContingency": -figures.oracle,
        "LossFactor": parameters.im_factor + peg_factor(parameters, portfolio.board.stable),
        "InitialMarginCalc": figures.initial,
        "MaintenanceMarginCalc": figures.maintenance,
    }
    for name, value in found.items():
        if components.get(name) is not None:
            check.close(name, components[name], value, RELATIVE, figures.floor)


def _compare_v2(
    parameters: PortfolioParameters,
    portfolio: Portfolio,
    figures: Figures,
    given: dict[str, Any],
    expected: dict[str, Any],
    check: Check,
) -> None:
    board = portfolio.board
    p = parameters
    if "scenario_pnl" in expected:
        check.all_close("scenario_pnl", expected["scenario_pnl"], figures.changes.tolist(), RELATIVE, figures.floor)
    option = board.kind == OPTION
    collateral = (board.kind == HEDGE) | (board.kind == COLLATERAL)
    perpetual = board.kind == PERPETUAL
    perp_notional = float(board.notional[perpetual].sum())
    found = {
        "option_mtm": float(figures.marks[option].sum()),
        "collateral_mtm": float(figures.marks[collateral].sum()),
        "forward_contingency": figures.basis,
        "mm_perp_cont": -p.mm_perp_percent * perp_notional,
        "im_perp_cont": -p.im_perp_percent * perp_notional,
        "mm_base_cont": -float((board.notional * board.haircut_mm).sum()),
        "im_base_cont": -float((board.notional * board.haircut_im).sum()),
        "mm_option_cont": -p.mm_option_percent * figures.naked,
        "im_option_cont": -p.im_option_percent * figures.naked,
        "oracle_cont": -figures.oracle,
    }
    for name, value in found.items():
        if name in expected:
            check.close(name, expected[name], value, RELATIVE, figures.floor)
    _compare_expiries(p, portfolio, figures, given, expected, check)
    if "worst" in expected:
        kinds = _worst(p, figures)
        want = expected["worst"]
        check.exact("worst", want, want if want in kinds else min(kinds))


@reads
def _flat(pairs: Any) -> list[Any]:
    return [value for pair in pairs for value in pair]


def _compare_expiries(
    parameters: PortfolioParameters,
    portfolio: Portfolio,
    figures: Figures,
    given: dict[str, Any],
    expected: dict[str, Any],
    check: Check,
) -> None:
    board = portfolio.board
    gain, debt = static_discounts(parameters, board.seconds, board.rate)
    up, down = vol_multiples(parameters, board.seconds)
    rows = expiry_blocks(given)
    if "discount_factors" in expected:
        found = [float(side[block]) for block in rows for side in (gain, debt)]
        check.all_close("discount_factors", _flat(expected["discount_factors"]), found, RELATIVE)
    if "option_mtm_per_expiry" in expected:
        sums = [float(figures.marks[(board.block == block) & (board.kind == OPTION)].sum()) for block in rows]
        check.all_close("option_mtm_per_expiry", expected["option_mtm_per_expiry"], sums, RELATIVE, figures.floor)
    by_expiry = {int(expiry["sec_to_expiry"]): block for expiry, block in zip(given["expiries"], rows, strict=True)}
    of_option = [by_expiry[int(option["sec_to_expiry"])] for option in given["options"]]
    for name, multiples in (("vol_shock_up", up), ("vol_shock_down", down)):
        if name in expected:
            check.all_close(name, expected[name], [float(multiples[block]) for block in of_option], RELATIVE)


def _worst(parameters: PortfolioParameters, figures: Figures) -> set[str]:
    """The kinds of scenario that are the worst one; more than one where they tie."""
    worst = min(figures.basis, float(figures.changes.min()))
    allowed = worst + RELATIVE * abs(worst) + figures.floor
    kinds = {"fwd_contingency"} if figures.basis <= allowed else set()
    for scenario, change in zip(parameters.scenarios, figures.changes, strict=True):
        if change > allowed:
            continue
        if scenario.vol in ("linear", "abs"):
            kinds.add("skew")
        elif scenario.dampening != 1.0 or abs(scenario.spot - 1.0) > TAIL_FROM:
            kinds.add("tail")
        else:
            kinds.add("regular")
    return kinds


def compute(parameters: PortfolioParameters, portfolio: Portfolio) -> Figures:
    """The rules in float64, for one underlying, from the same risk values that the tables hold."""
    p, board, lots = parameters, portfolio.board, portfolio.lots
    values = risk_values(p, board) * lots[:, None]
    gain, debt = static_discounts(p, board.seconds, board.rate)
    dampening = np.array([scenario.dampening for scenario in p.scenarios])
    both_ways = np.array([scenario.vol in ("linear", "abs") for scenario in p.scenarios])
    changes = np.zeros(len(dampening))
    basis = 0.0
    for block in np.unique(board.block):
        rows = board.block == block
        total = values[rows].sum(axis=0)
        shocked = total[1:-2]
        option = bool((board.kind[rows] == OPTION).any())
        if option:
            shocked = np.where(shocked >= 0.0, shocked * gain[block], shocked * debt[block])
            factor = p.basis_add + p.basis_mult * board.seconds[block] / YEAR_SECONDS
            basis += min(float(total[-2:].min() - total[0]), 0.0) * factor
        change = shocked - total[0]
        changes += np.where(both_ways, -np.abs(change), change) * dampening
    naked = _naked(board, lots)
    perpetual = board.kind == PERPETUAL
    charge = float((board.notional * (board.haircut_mm + perpetual * p.mm_perp_percent)).sum())
    charge += p.mm_option_percent * naked
    initial = float((board.notional * (board.haircut_im + perpetual * p.im_perp_percent)).sum())
    initial += p.im_option_percent * naked
    oracle = float(confidence_charge(p, board).sum())
    equity = float(values[:, 0].sum()) + portfolio.cash
    worst = min(basis, float(changes.min()))
    factor = p.im_factor + peg_factor(p, board.stable)
    scaled = charge * (factor if p.version == 1 else 1.0)
    gross = float(np.abs(values).sum(axis=0).max()) + abs(portfolio.cash) + charge + initial + oracle
    return Figures(
        gross=gross * max(1.0, factor, p.mm_factor),
        marks=values[:, 0],
        changes=changes,
        basis=basis,
        charge=charge,
        charge_initial=initial,
        oracle=oracle,
        naked=naked,
        equity=equity,
        initial=factor * worst - scaled - initial - oracle + equity,
        maintenance=p.mm_factor * worst - charge + equity,
    )


def _naked(board: Board, lots: np.ndarray) -> float:
    """Notional of shorts that nothing at their strike covers: Σ over strikes of max(-net, 0)."""
    option = board.kind == OPTION
    net = np.zeros(int(board.group.max(initial=-1)) + 1)
    np.add.at(net, board.group[option], (board.notional * lots)[option])
    return float(np.maximum(-net, 0.0).sum())
