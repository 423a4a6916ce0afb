"""What the service answers with: accounts, prices, totals, as frozen records with decimal strings.

Everything here is read from the fold in memory, on the loop's thread. `sequence` says after which event it is true.
"""

from __future__ import annotations

import itertools
from itertools import islice
from typing import Any

import msgspec
import numpy as np

from seawall.core.errors import InputError, invariant, show
from seawall.core.times import SECOND_NS
from seawall.core.units import format_decimal, format_micro, format_nano
from seawall.engine.clearing import Clearing
from seawall.engine.decision import STATUSES, Figures
from seawall.ledger.chart import KINDS, STATES
from seawall.ledger.doors import account_of, state_of
from seawall.ledger.worth import balance_after_touch

from .looks import Look
from .ranking import least

__all__ = [
    "AccountRow",
    "AccountView",
    "FiguresView",
    "OrderView",
    "Overview",
    "Page",
    "PositionView",
    "PriceView",
    "account_view",
    "figures_view",
    "overview",
    "page",
    "prices",
]

SORTS = ("account", "equity", "initial_margin", "maintenance_margin", "health", "free_collateral", "margin_ratio", "status")


class FiguresView(msgspec.Struct, frozen=True):
    """One account's margin, decimals of the settlement currency."""

    equity: str
    initial_margin: str
    maintenance_margin: str
    health: str
    free_collateral: str


class PositionView(msgspec.Struct, frozen=True):
    """quantity: signed, in units; entry: the mean price paid for what is open, empty where it has none (spot,
    options); mark: the price of one unit; value: of the position at it; unrealised: value and cost together."""

    instrument: str
    quantity: str
    lots: int
    mark: str
    value: str
    entry: str = ""
    unrealised: str = ""


class OrderView(msgspec.Struct, frozen=True):
    """An open order as it was sent."""

    id: str
    instrument: str
    quantity: str
    price: str
    at_ns: int


class AccountView(msgspec.Struct, frozen=True):
    """Everything about one account. balances: by asset, with the interest and funding that a touch would bring;
    cash: what counts as cash in the settlement currency, the cost of positions included."""

    account: str
    kind: str
    state: str
    status: str
    figures: FiguresView
    balances: dict[str, str]
    cash: str
    positions: tuple[PositionView, ...]
    orders: tuple[OrderView, ...]
    buckets: tuple[str, ...]
    sequence: int
    at_ns: int


class AccountRow(msgspec.Struct, frozen=True):
    """One line of a table of accounts, by its last exact evaluation."""

    account: str
    kind: str
    state: str
    status: str
    equity: str
    initial_margin: str
    maintenance_margin: str
    health: str
    free_collateral: str
    margin_ratio: float | None


class Page(msgspec.Struct, frozen=True):
    """total: accounts that the filter leaves, of which `rows` are those from `offset` on."""

    total: int
    offset: int
    rows: tuple[AccountRow, ...]
    sequence: int


class PriceView(msgspec.Struct, frozen=True):
    """An index price; at_ns 0: as the market began."""

    name: str
    price: str
    at_ns: int
    age_s: float
    source: str


class Overview(msgspec.Struct, frozen=True):
    """Totals over users' accounts, by their last exact evaluation. histogram: accounts by health over maintenance,
    see `edges`; accounts that need no margin among the last."""

    accounts: int
    by_status: dict[str, int]
    by_state: dict[str, int]
    equity: str
    initial_margin: str
    maintenance_margin: str
    funds: dict[str, str]
    open_orders: int
    edges: tuple[float, ...]
    histogram: tuple[int, ...]
    worst: tuple[AccountRow, ...]
    sequence: int
    at_ns: int


def figures_view(figures: Figures) -> FiguresView:
    """Figures in decimals."""
    return FiguresView(
        equity=format_micro(figures.equity_micro),
        initial_margin=format_micro(figures.initial_micro),
        maintenance_margin=format_micro(figures.maintenance_micro),
        health=format_micro(figures.health_micro),
        free_collateral=format_micro(figures.free_collateral_micro),
    )


def account_view(clearing: Clearing, name: str) -> AccountView:
    """Everything about one account; InputError where there is none of that name."""
    state = clearing.ledger.state
    row = account_of(state, name)
    balances = {}
    for number, listing in enumerate(state.assets):
        units = balance_after_touch(state, row, number)
        if units:
            balances[listing.asset] = units_text(units, listing.decimals)
    orders = tuple(
        OrderView(one.id, one.instrument, one.quantity, one.price, one.at_ns)
        for (owner, _), one in clearing.orders.items()
        if owner == row
    )
    buckets = tuple(state.names[k] for k in _children(state, row)) if state.children[row] else ()
    cash = clearing.mirror.cash_of(row)
    return AccountView(
        account=name,
        kind=KINDS[state.kind[row]],
        state=STATES[state_of(state, row)],
        status=STATUSES[int(clearing.engine.watch.levels[row])],
        figures=figures_view(clearing.engine.figures(name)),
        balances=balances,
        cash=format_nano(cash),
        positions=tuple(_positions(clearing, row)),
        orders=orders,
        buckets=buckets,
        sequence=clearing.sequence,
        at_ns=clearing.at_ns,
    )


def _children(state: Any, row: int) -> list[int]:
    found: list[int] = np.flatnonzero(np.frombuffer(state.parent, np.int32) == row).tolist()
    return found


def _positions(clearing: Clearing, row: int) -> list[PositionView]:
    state, engine = clearing.ledger.state, clearing.engine
    market = engine.watch.desk.base
    out = []
    for number in sorted(clearing.mirror.spot_of):
        leg, lot_units = clearing.mirror.spot_of[number]
        lots = engine.book.lots_of(row, leg)
        if lots:
            symbol = state.assets[number].asset
            out.append(_position(clearing, market.instruments[symbol], (leg,), lots, None))
    for slot in state.positions(row):
        number = state.held[slot]
        if state.expiry_nano[number] >= 0 or not clearing.mirror.legs_of[number]:
            continue
        entered = state.terms[number][3]
        cost = state.cost[slot] * clearing.mirror.unit_nano if entered else None
        instrument = market.instruments[state.instruments[number].instrument]
        out.append(_position(clearing, instrument, clearing.mirror.legs_of[number], state.lots[slot], cost))
    return sorted(out, key=lambda one: one.instrument)


def _position(clearing: Clearing, instrument: Any, legs: tuple[int, ...], lots: int, cost_nano: int | None) -> PositionView:
    mark_nano = sum(clearing.engine.watch.mark_nano(leg) for leg in legs)
    lot = instrument.lot
    value = lots * mark_nano
    invariant(lots != 0, "a position has lots")
    return PositionView(
        instrument=instrument.symbol,
        quantity=format_decimal(lot * lots),
        lots=lots,
        mark=format_nano(int(mark_nano / lot)),
        value=format_nano(value),
        entry="" if cost_nano is None else format_nano(int(-cost_nano / (lot * lots))),
        unrealised="" if cost_nano is None else format_nano(value + cost_nano),
    )


def units_text(units: int, decimals: int) -> str:
    """Smallest units of an asset as a decimal."""
    return format_nano(units * 10 ** (9 - decimals))


def prices(clearing: Clearing, seen: dict[str, tuple[int, str]], now_ns: int) -> list[PriceView]:
    """All index prices; seen: by underlying, when its last price came and from where."""
    desk = clearing.engine.watch.desk
    out = []
    for name, k in desk.underlying_index.items():
        at_ns, source = seen.get(name, (clearing.genesis.at_ns, ""))
        age_s = max(0, now_ns - at_ns) / SECOND_NS
        out.append(PriceView(name, format_nano(int(desk.index_nano[k])), at_ns, age_s, source))
    return out


def page(
    seen: Look,
    *,
    status: str = "",
    sort: str = "health",
    descending: bool = False,
    search: str = "",
    offset: int = 0,
    limit: int = 50,
    users_only: bool = True,
) -> Page:
    """Accounts that a filter leaves, sorted, from an offset on; over arrays, not account by account."""
    if sort not in SORTS:
        raise InputError("sort", show(sort), "one of " + ", ".join(SORTS))
    if status and status not in STATUSES:
        raise InputError("status", show(status), "one of " + ", ".join(STATUSES))
    if not 0 < limit <= 100_000 or offset < 0:
        raise InputError("limit", f"{limit} from {offset}", "a limit from 1 to 100,000, an offset of 0 or more")
    kept = seen.chosen(users_only).copy()
    if status:
        kept &= seen.levels == STATUSES.index(status)
    if search:
        kept &= np.array([search in name for name in islice(seen.names, len(kept))], np.bool_)
    rows = np.flatnonzero(kept)
    keys = _sort_key(seen, rows, sort)
    wanted = offset + limit
    if wanted < len(rows) // 4:
        order = least(-keys if descending else keys, wanted)
    else:
        order = np.lexsort((rows, -keys if descending else keys))
    chosen = rows[order[offset:wanted]]
    return Page(len(rows), offset, tuple(_row(seen, k) for k in chosen.tolist()), seen.sequence)


def _ratio(figures: np.ndarray) -> np.ndarray:
    """float64[n]: health over maintenance, infinite where none is needed."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (figures[:, 0] - figures[:, 2]) / figures[:, 2].astype(np.float64)
    return np.where(figures[:, 2] > 0, ratio, np.where(figures[:, 0] < 0, -np.inf, np.inf))


def _sort_key(seen: Look, rows: np.ndarray, sort: str) -> np.ndarray:
    some = seen.figures[rows]
    match sort:
        case "account":
            return seen.ranks.of(seen.names, len(seen.kind))[rows]
        case "equity":
            return some[:, 0]
        case "initial_margin":
            return some[:, 1]
        case "maintenance_margin":
            return some[:, 2]
        case "free_collateral":
            return some[:, 0] - some[:, 1]
        case "status":
            return seen.levels[rows].astype(np.int64)
        case "margin_ratio":
            return _ratio(some)
    return some[:, 0] - some[:, 2]


def _row(seen: Look, row: int) -> AccountRow:
    equity, initial, maintenance = seen.figures[row].tolist()
    return AccountRow(
        account=seen.names[row],
        kind=KINDS[seen.kind[row]],
        state=STATES[seen.state_of(row)],
        status=STATUSES[seen.levels[row]],
        equity=format_micro(equity),
        initial_margin=format_micro(initial),
        maintenance_margin=format_micro(maintenance),
        health=format_micro(equity - maintenance),
        free_collateral=format_micro(equity - initial),
        margin_ratio=maintenance / equity if equity > 0 else None,
    )


def overview(seen: Look, worst: int = 50, edges: tuple[float, ...] = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)) -> Overview:
    """Totals, counts and the accounts of least health over maintenance."""
    rows = np.flatnonzero(seen.chosen(True))
    some = seen.figures[rows]
    ratio = _ratio(some)
    part = least(ratio, worst)
    levels = np.bincount(seen.levels[rows], minlength=len(STATUSES))
    states = np.bincount(seen.state[rows], minlength=len(STATES))
    # sums over edges, not a search for each account: a tenth of the time
    above = [len(rows), *(int(np.count_nonzero(ratio >= edge)) for edge in edges), 0]
    totals = [format_micro(_exact_sum(some[:, k])) for k in range(3)]
    return Overview(
        accounts=len(rows),
        by_status={name: int(levels[k]) for k, name in enumerate(STATUSES)},
        by_state={name: int(states[k]) for k, name in enumerate(STATES)},
        equity=totals[0],
        initial_margin=totals[1],
        maintenance_margin=totals[2],
        funds=seen.funds,
        open_orders=seen.orders,
        edges=edges,
        histogram=tuple(before - after for before, after in itertools.pairwise(above)),
        worst=tuple(_row(seen, k) for k in rows[part].tolist()),
        sequence=seen.sequence,
        at_ns=seen.at_ns,
    )


def _exact_sum(values: np.ndarray) -> int:
    """The sum of int64 that need not fit int64."""
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())
