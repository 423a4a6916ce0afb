"""Vectors of Derive's standard manager: float figures first, then the integer margin from the kernel.

A position becomes one lot of its whole size. The source's hand-worked `OptionBounded…` figures are
not compared: some of them use another forward, and the maximum never takes them.
"""

from typing import Any, NamedTuple

import numpy as np

from seawall.kernels import payoff
from seawall.kernels.tables import PAYOFF
from seawall.margin.conform.reading import kernel_account, nano, reads
from seawall.margin.conform.report import Check, Unsupported
from seawall.margin.venues.derive_parameters import StandardMarket
from seawall.margin.venues.derive_standard import (
    BASE,
    OPTION,
    PERPETUAL,
    StandardBoard,
    board_tables,
    isolated,
    marks,
    side_charges,
)

RELATIVE = 1e-9
FLOOR = 1e-9
FLOOR_OF_GROSS = 1e-13
NOISE = 1e-15  # a float sum's own rounding, of its gross
YEAR_DAY_SECONDS = 86_400.0


class Portfolio(NamedTuple):
    """One vector: board with one leg per position, lots ±1, cash with the perpetuals' unsettled cash."""

    board: StandardBoard
    lots: np.ndarray
    cash: float
    names: tuple[str, ...]


def judge(data: dict[str, Any], vector: dict[str, Any], check: Check) -> None:
    """Compares one vector, a portfolio or an isolated leg."""
    if vector.get("active_upstream") is False:
        raise Unsupported("disabled in its source (active_upstream is false)")
    if "markets" not in vector["input"]:
        _judge_leg(vector, check)
        return
    portfolio, expected = _read(vector)
    figures = compute(portfolio)
    floor = FLOOR + FLOOR_OF_GROSS * figures["gross"]
    whole = vector.get("tolerance", {}).get("kind") == "trunc_int"
    for name in ("IM", "MM"):
        if whole:
            check.truncated(name, expected[name], figures[name])
        else:
            check.close(name, expected[name], figures[name], RELATIVE, floor)
    if "mtm" in expected:
        check.close("mtm", expected["mtm"], figures["mtm"], RELATIVE, floor)
    for name, value in (expected.get("components") or {}).items():
        if name in figures and value is not None:
            check.close(name, value, figures[name], RELATIVE, floor)
    noise = NOISE * figures["gross"]
    equity, initial, maintenance = kernel_margin(portfolio)
    check.against_the_account("equity, integer", figures["mtm"], equity, noise)
    check.against_the_account("IM, integer", figures["IM"], equity - initial, noise)
    check.against_the_account("MM, integer", figures["MM"], equity - maintenance, noise)


@reads
def _read(vector: dict[str, Any]) -> tuple[Portfolio, dict[str, Any]]:
    """The portfolio and the figures expected of it; IM and MM must be among them."""
    expected = vector["expected"]
    for name in ("IM", "MM"):
        float(expected[name])
    return read_portfolio(vector["input"]), expected


def kernel_margin(portfolio: Portfolio) -> tuple[int, int, int]:
    """Equity, initial and maintenance in micro from the account kernel."""
    cash_nano = nano(portfolio.cash)
    return kernel_account(PAYOFF, board_tables(portfolio.board), portfolio.lots, cash_nano)


def _judge_leg(vector: dict[str, Any], check: Check) -> None:
    """One option on its own: its isolated margin, float and as the table holds it."""
    expected = vector["expected"]
    board, lots = _read_leg(vector["input"])
    initial, maintenance = isolated(board, marks(board))
    extra = board_tables(board).extra
    short = float(min(lots[0], 0))
    relative = _relative(vector.get("tolerance", {}))
    for name, value, column in (
        ("IM", float(initial[0]), payoff.EXTRA_ISOLATED_INITIAL),
        ("MM", float(maintenance[0]), payoff.EXTRA_ISOLATED_MAINTENANCE),
    ):
        found = short * value
        check.close(name, expected.get(name), found, relative, FLOOR)
        check.against_the_account(f"{name}, integer", found, int(short) * -(-int(extra[0, column]) // 1000), 0.0)


@reads
def _relative(tolerance: dict[str, Any]) -> float:
    return float(tolerance.get("value", 0.0))


@reads
def _read_leg(given: dict[str, Any]) -> tuple[StandardBoard, np.ndarray]:
    option = {
        "sec_to_expiry": float(given["days_to_expiry"]) * YEAR_DAY_SECONDS,
        "strike": given["strike"],
        "is_call": given["is_call"],
        "amount": given["amount"],
        "vol": given["vol"],
    }
    market = StandardMarket(**{name: float(value) for name, value in given["option_margin"].items()})
    leg = _option_leg(option, 0, float(given["spot"]), float(given["forward"]), 1.0)
    leg |= {"block": 1.0, "group": 0.0}
    seconds = np.array([0.0, option["sec_to_expiry"]])
    return _board([leg], seconds, (market,), 1.0, 0.0, 0.0)


def compute(portfolio: Portfolio) -> dict[str, float]:
    """The rules in float64: IM, MM, mtm and the components by the source's names."""
    board, lots = portfolio.board, portfolio.lots
    mark = marks(board)
    short = lots < 0
    initial, maintenance = (side * np.where(short, -1.0, 0.0) for side in isolated(board, mark))
    charges = side_charges(board, mark)
    value = mark * lots
    option, perpetual, base = board.kind == OPTION, board.kind == PERPETUAL, board.kind == BASE
    gross = float(np.abs(value).sum()) + float(np.abs(charges).max(axis=1, initial=0.0).sum())
    figures: dict[str, float] = {"mtm": float(value.sum()) + portfolio.cash}
    figures["gross"] = gross + abs(portfolio.cash)
    net = {"IM": portfolio.cash, "MM": portfolio.cash}
    for u, name in enumerate(portfolio.names):
        totals = dict.fromkeys(("OptionIM", "OptionMM", "OptionIsolatedIM", "OptionIsolatedMM"), 0.0)
        for block in np.unique(board.block[option & (board.underlying == u)]):
            rows = np.flatnonzero((board.block == block) & option)
            worst = _worst_payoff(board, lots, rows)
            calls = rows[board.right[rows] > 0]
            net_calls = min(float((board.size * lots)[calls].sum()), 0.0)
            forward = float(board.forward[rows].max())
            for context, alone in (("IM", initial), ("MM", maintenance)):
                scale = getattr(board.markets[u], f"unpaired_{context.lower()}_scale")
                single = float(alone[rows].sum())
                totals[f"Option{context}"] += max(single, worst + net_calls * forward * scale)
                totals[f"OptionIsolated{context}"] += single
        for key, total in totals.items():
            figures[name + key] = total
        net["IM"] += totals["OptionIM"]
        net["MM"] += totals["OptionMM"]
    side = np.where(short, 2, 0)
    rows = np.arange(len(lots))
    off_initial, off_maintenance = charges[rows, side], charges[rows, side + 1]
    linear = perpetual | base
    held = np.where(linear, value, 0.0)
    net["IM"] += float((held - np.where(linear | short, off_initial, 0.0)).sum())
    net["MM"] += float((held - np.where(linear, off_maintenance, 0.0)).sum())
    figures |= net
    figures["PerpMargin"] = -float(off_maintenance[perpetual].sum())
    figures["BaseMargin"] = float((value - off_maintenance)[base].sum())
    figures |= _oracles(board, lots)
    return figures


def _oracles(board: StandardBoard, lots: np.ndarray) -> dict[str, float]:
    """What the peg and thin confidence cost initial margin, each alone: the charges without the other."""
    shorts = (board.kind == OPTION) & (lots < 0)
    peg = max(board.depeg_threshold - board.stable, 0.0) * board.depeg_factor
    exposed = shorts | (board.kind == PERPETUAL)
    depeg = -peg * float((board.spot * board.size)[exposed].sum())
    sure = board._replace(confidence=np.ones(len(lots)))
    side = np.where(lots < 0, 2, 0)
    rows = np.arange(len(lots))
    mark = marks(board)
    difference = (side_charges(board, mark) - side_charges(sure, mark))[rows, side]
    counted = (board.kind != OPTION) | shorts
    return {"DepegIMs": depeg, "OracleConts": -float(difference[counted].sum())}


def _worst_payoff(board: StandardBoard, lots: np.ndarray, rows: np.ndarray) -> float:
    size = (board.size * lots)[rows]
    strike, right = board.strike[rows], board.right[rows]
    prices = np.concatenate([[0.0], strike])
    payoffs = np.maximum((prices[:, None] - strike) * right, 0.0) @ size
    return min(float(payoffs.min()), 0.0)


@reads
def read_portfolio(given: dict[str, Any]) -> Portfolio:
    """The board and the positions of a vector's input."""
    stable, cash = float(given["stable_price"]), float(given["cash"])
    depeg = given["params"]["depeg"]
    legs: list[dict[str, float]] = []
    markets, names, seconds = [], [], [0.0]
    groups: dict[tuple[int, float], int] = {}
    if not isinstance(given["markets"], list) or not given["markets"]:
        raise TypeError("no list of markets")
    for u, raw in enumerate(given["markets"]):
        names.append(str(raw["name"]))
        markets.append(read_market(given["params"]["markets"][raw["name"]]))
        perp = raw["perp"]
        cash += float(perp["unsettled_cash"]) - float(perp["position"]) * float(perp["price"])  # entered at its mark
        home = len(seconds) - 1 if u == 0 else len(seconds)
        if u:
            seconds.append(0.0)
        _linear_legs(raw, u, home, legs)
        spot, confidence = float(raw["spot"]), float(raw["spot_confidence"])
        expiries = {int(row["sec_to_expiry"]): row for row in raw["expiries"]}
        blocks = {time: len(seconds) + position for position, time in enumerate(sorted(expiries))}
        seconds.extend(float(time) for time in sorted(expiries))
        order = sorted(raw["options"], key=lambda row: (int(row["sec_to_expiry"]), row["strike"], row["is_call"]))
        for row in order:
            if float(row["amount"]) == 0.0:
                continue
            expiry = expiries[int(row["sec_to_expiry"])]
            least = min(confidence, float(expiry["forward_confidence"]), float(expiry["vol_confidence"]))
            leg = _option_leg(row, u, spot, float(expiry["forward"]), least)
            leg["block"] = float(blocks[int(row["sec_to_expiry"])])
            key = (int(leg["block"]), leg["strike"])
            leg["group"] = float(groups.setdefault(key, len(groups)))
            legs.append(leg)
    threshold, factor = float(depeg["threshold"]), float(depeg["factor"])
    board, lots = _board(legs, np.array(seconds), tuple(markets), stable, threshold, factor)
    return Portfolio(board, lots, cash, tuple(names))


def _linear_legs(raw: dict[str, Any], underlying: int, block: int, legs: list[dict[str, float]]) -> None:
    spot, confidence = float(raw["spot"]), float(raw["spot_confidence"])
    perp = raw["perp"]
    if float(perp["position"]) != 0.0:
        least = min(confidence, float(perp["confidence"]))
        leg = _leg(PERPETUAL, float(perp["position"]), underlying, spot, least)
        legs.append(leg | {"price": float(perp["price"]), "block": float(block)})
    if float(raw["base"]) != 0.0:
        legs.append(_leg(BASE, float(raw["base"]), underlying, spot, confidence) | {"block": float(block)})


def _option_leg(
    row: dict[str, Any], underlying: int, spot: float, forward: float, confidence: float
) -> dict[str, float]:
    return _leg(OPTION, float(row["amount"]), underlying, spot, confidence) | {
        "forward": forward,
        "strike": float(row["strike"]),
        "vol": float(row["vol"]),
        "right": 1.0 if row["is_call"] else -1.0,
    }


def _leg(kind: int, size: float, underlying: int, spot: float, confidence: float) -> dict[str, float]:
    zero = dict.fromkeys(("price", "forward", "strike", "vol", "right", "block"), 0.0)
    return zero | {
        "kind": float(kind),
        "size": size,
        "underlying": float(underlying),
        "spot": spot,
        "confidence": confidence,
        "group": -1.0,
    }


def _board(
    legs: list[dict[str, float]],
    seconds: np.ndarray,
    markets: tuple[StandardMarket, ...],
    stable: float,
    threshold: float,
    factor: float,
) -> tuple[StandardBoard, np.ndarray]:
    def column(name: str, dtype: Any = np.float64) -> np.ndarray:
        return np.array([leg[name] for leg in legs], np.float64).astype(dtype)

    board = StandardBoard(
        kind=column("kind", np.int8),
        size=np.abs(column("size")),
        spot=column("spot"),
        price=column("price"),
        forward=column("forward"),
        strike=column("strike"),
        vol=column("vol"),
        right=column("right", np.int8),
        confidence=column("confidence"),
        exact_nano=np.zeros(len(legs), np.int64),
        block=column("block", np.int32),
        group=column("group", np.int32),
        underlying=column("underlying", np.int32),
        seconds=seconds,
        markets=markets,
        stable=stable,
        depeg_threshold=threshold,
        depeg_factor=factor,
    )
    return board, np.sign(column("size")).astype(np.int64)


def read_market(raw: dict[str, Any]) -> StandardMarket:
    """Parameters of one market of a vector."""
    oracle, base = raw["oracle_contingency"], raw["base_margin"]
    return StandardMarket(
        perp_mm=float(raw["perp"]["mm"]),
        perp_im=float(raw["perp"]["im"]),
        **{name: float(value) for name, value in raw["option_margin"].items()},
        perp_threshold=float(oracle["perp_threshold"]),
        option_threshold=float(oracle["option_threshold"]),
        base_threshold=float(oracle["base_threshold"]),
        oracle_factor=float(oracle["factor"]),
        base_margin_factor=float(base["margin_factor"]),
        base_im_scale=float(base["im_scale"]),
    )
