"""A whole book at one market: the scan kernel against the tools that people would reach for.

Every method gets the same positions and the same 32 profit-and-loss columns in the form it likes
best, prepared outside the clock, and returns every account's worst column. The answers are
compared before anything is timed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from seawall.kernels.account import evaluate_accounts
from seawall.kernels.scan import scan
from seawall.stress.bench.measure import Measure, interleaved, measured
from seawall.stress.bench.setting import Setting, require

__all__ = ["MEASURES", "measure"]

MEASURES = ("sweep_ms", "sweep_vs_scipy", "sweep_vs_duckdb", "sweep_vs_pandas", "portfolio_sweep_ms")
SCENARIOS = 32
# One core: the multiply-adds and the memory traffic of 32 sums over 8 positions of a million accounts.
BOUND_MS_PER_MILLION = 9.0
PANDAS_CHUNK = 20_000  # accounts: pandas is fastest when the gathered rows stay small

Positions = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # rows, row_ptr, legs, lots
Sweep = Callable[[], np.ndarray]


def measure(setting: Setting, names: set[str]) -> list[Measure]:
    """The sweep measures among `names`; baselines that are not named are not run."""
    accounts = setting.accounts
    tables = setting.tables
    rows = np.ascontiguousarray(tables.values[:, :SCENARIOS] - tables.values[:, :1])
    book = (rows, accounts.row_ptr, accounts.leg, accounts.lots)
    setting.say("sweep: preparing the baselines")
    makers = {"sweep_vs_scipy": _scipy, "sweep_vs_duckdb": _duckdb, "sweep_vs_pandas": _pandas}
    ours = _seawall(book)
    rivals = {name: make(book) for name, make in makers.items() if name in names}
    worst = ours()
    for name, call in rivals.items():
        _check_same(name, worst, call())
    repeats = 2 if setting.quick else 5
    setting.say("sweep: timing")
    best = interleaved(repeats, {"ours": ours, **rivals})
    if "portfolio_sweep_ms" in names:
        best |= interleaved(repeats, {"portfolio": _portfolio(setting)})
    return list(_results(setting, names, best))


def _results(setting: Setting, names: set[str], best: dict[str, float]) -> list[Measure]:
    ours_ms = best["ours"] * 1e3
    count = len(setting.accounts.row_ptr) - 1
    positions = len(setting.accounts.leg)
    bound = BOUND_MS_PER_MILLION * positions / 8e6
    found = []
    if "sweep_ms" in names:
        size = f"{count:,} accounts, {positions:,} positions"
        words = f"{ours_ms / bound:.2f} times the physical bound of {bound:.3g} ms on one core; {size}"
        found.append(measured("sweep_ms", ours_ms, words))
    labels = {
        "sweep_vs_scipy": "scipy.sparse CSR @ dense, min",
        "sweep_vs_duckdb": "DuckDB SQL join, 32 sums, least",
        "sweep_vs_pandas": "pandas groupby sum, min",
    }
    for name, label in labels.items():
        if name in best:
            words = f"{label}: {best[name] * 1e3:,.0f} ms against {ours_ms:,.1f} ms"
            found.append(measured(name, best[name] / best["ours"], words))
    if "portfolio" in best:
        words = f"equity and both margins of every account; the 32 columns alone {ours_ms:,.1f} ms"
        found.append(measured("portfolio_sweep_ms", best["portfolio"] * 1e3, words))
    return found


def _check_same(name: str, ours: np.ndarray, theirs: np.ndarray) -> None:
    """Baselines add in float64: they may differ by rounding, which is far below one micro."""
    difference = np.abs(ours - theirs)
    worst = int(np.argmax(difference))
    if difference[worst] > 1_000 + 1e-9 * abs(float(ours[worst])):
        raise AssertionError(f"{name}: account {worst} has {theirs[worst]}, the kernel says {ours[worst]}")


def _seawall(book: Positions) -> Sweep:
    rows, row_ptr, legs, lots = book
    out = np.zeros(len(row_ptr) - 1, np.int64)

    def run() -> np.ndarray:
        scan(rows, row_ptr, legs, lots, 0, len(out), SCENARIOS, out)
        return out

    return run


def _portfolio(setting: Setting) -> Sweep:
    accounts, tables, kind = setting.accounts, setting.tables, setting.model.kind
    out = np.zeros((len(accounts.row_ptr) - 1, 4), np.int64)

    def run() -> np.ndarray:
        first, last = accounts.row_ptr[:-1], accounts.row_ptr[1:]
        evaluate_accounts(kind, tables, first, last, accounts.leg, accounts.lots, accounts.cash_nano, out)
        return out

    return run


def _scipy(book: Positions) -> Sweep:
    rows, row_ptr, legs, lots = book
    sparse = require("scipy.sparse", "bench")
    shape = (len(row_ptr) - 1, len(rows))
    positions = sparse.csr_matrix((lots.astype(np.float64), legs, row_ptr), shape=shape)
    dense = rows.astype(np.float64)
    return lambda: (positions @ dense).min(axis=1)


def _duckdb(book: Positions) -> Sweep:
    rows, row_ptr, legs, lots = book
    duckdb, pandas = require("duckdb", "bench"), require("pandas", "bench")
    held = np.diff(row_ptr)
    account = np.repeat(np.arange(len(held), dtype=np.int32), held)
    positions = pandas.DataFrame({"account": account, "leg": legs, "lots": lots.astype(np.float64)})
    risk = pandas.DataFrame({f"s{c}": rows[:, c].astype(np.float64) for c in range(SCENARIOS)})
    risk.insert(0, "leg", np.arange(len(rows), dtype=np.int32))
    connection = duckdb.connect()
    connection.execute("set threads = 1")
    connection.register("positions_frame", positions)
    connection.register("risk_frame", risk)
    connection.execute("create table positions as select * from positions_frame")
    connection.execute("create table risk as select * from risk_frame")
    connection.unregister("positions_frame")
    sums = ", ".join(f"sum(p.lots * r.s{c})" for c in range(SCENARIOS))
    joined = "positions p join risk r using (leg)"
    query = f"select account, least({sums}) as worst from {joined} group by account"

    def run() -> np.ndarray:
        found = connection.execute(query).fetchnumpy()
        worst = np.zeros(len(row_ptr) - 1)  # an account without positions loses nothing
        worst[found["account"]] = found["worst"]
        return worst

    return run


def _pandas(book: Positions) -> Sweep:
    rows, row_ptr, legs, lots = book
    pandas = require("pandas", "bench")
    held = np.diff(row_ptr)
    account = np.repeat(np.arange(len(held)), held)
    dense = rows.astype(np.float64)
    weights = lots.astype(np.float64)

    def run() -> np.ndarray:
        worst = np.zeros(len(held))
        for first in range(0, len(held), PANDAS_CHUNK):
            part = slice(row_ptr[first], row_ptr[min(first + PANDAS_CHUNK, len(held))])
            frame = pandas.DataFrame(dense[legs[part]] * weights[part, None])
            sums = frame.groupby(account[part], sort=False).sum()
            worst[sums.index.to_numpy()] = sums.min(axis=1).to_numpy()
        return worst

    return run
