"""Margin of a whole book at one market snapshot, and the result that users read."""

from typing import Any

import numpy as np

from seawall.core.errors import LimitExceeded
from seawall.kernels.account import evaluate_accounts
from seawall.kernels.tables import Tables
from seawall.margin.model import Model
from seawall.margin.models import resolve

STATUSES = ("ok", "margin_call", "liquidatable", "bankrupt")
EXPOSURE_LIMIT_NANO = 2**62


def evaluate(book: Any, market: Any, model: str | Model) -> "Result":
    """Equity and margin of every account of a book.

    book: a Book; market: a Market; model: a name or a Model. Returns one row per account (an
    isolated pool is an account of its own, named account:pool). Raises InputError for rows that
    the market or the model cannot place, before anything is computed.
    """
    chosen = resolve(model)
    accounts = book.bind(market)
    return evaluate_bound(accounts, chosen.tables(market), chosen)


def evaluate_bound(accounts: Any, tables: Tables, model: Model) -> "Result":
    """`evaluate` on arrays: a bound book and compiled tables."""
    check_exposure(accounts, tables)
    out = np.zeros((len(accounts.names), 4), np.int64)
    evaluate_accounts(
        model.kind,
        tables,
        accounts.row_ptr[:-1],
        accounts.row_ptr[1:],
        accounts.leg,
        accounts.lots,
        accounts.cash_nano,
        out,
    )
    return Result(accounts.names, out, model)


def check_exposure(accounts: Any, tables: Tables) -> None:
    """Refuses a book with an account whose products could leave int64 in some column."""
    largest = np.abs(tables.values).max(axis=1, initial=0).astype(np.float64)
    terms = np.abs(accounts.lots.astype(np.float64)) * largest[accounts.leg]
    sums = np.concatenate([[0.0], np.cumsum(terms)])
    exposure = sums[accounts.row_ptr[1:]] - sums[accounts.row_ptr[:-1]] + np.abs(accounts.cash_nano.astype(np.float64))
    worst = int(np.argmax(exposure)) if len(exposure) else 0
    if len(exposure) and exposure[worst] >= EXPOSURE_LIMIT_NANO:
        raise LimitExceeded(
            f"account {accounts.names[worst]!r}",
            f"Σ |lots × value| + |cash| of {exposure[worst] / 1e9:,.0f}",
            f"less than the exposure limit of {EXPOSURE_LIMIT_NANO // 10**9:,}",
        )


def status_codes(equity: np.ndarray, initial: np.ndarray, maintenance: np.ndarray) -> np.ndarray:
    """int8: 0 ok, 1 margin call (below initial), 2 liquidatable (below maintenance), 3 bankrupt."""
    codes = np.zeros(len(equity), np.int8)
    codes[equity < initial] = 1
    codes[equity < maintenance] = 2
    codes[equity < 0] = 3
    return codes


class Result:
    """One row per account; int64 arrays in micro of the settlement currency.

    Attributes: names, equity_micro, initial_margin_micro, maintenance_margin_micro, health_micro,
    free_collateral_micro, status (list of words), worst (scenario index, -1 none).
    """

    def __init__(self, names: list[str], out: np.ndarray, model: Model) -> None:
        self.names = names
        self.equity_micro = out[:, 0]
        self.initial_margin_micro = out[:, 1]
        self.maintenance_margin_micro = out[:, 2]
        self.worst = out[:, 3]
        self._model = model

    def __len__(self) -> int:
        return len(self.names)

    @property
    def health_micro(self) -> np.ndarray:
        """Equity less maintenance margin; negative: liquidatable."""
        return self.equity_micro - self.maintenance_margin_micro

    @property
    def free_collateral_micro(self) -> np.ndarray:
        """Equity less initial margin: what can be withdrawn or used."""
        return self.equity_micro - self.initial_margin_micro

    @property
    def status_codes(self) -> np.ndarray:
        return status_codes(self.equity_micro, self.initial_margin_micro, self.maintenance_margin_micro)

    @property
    def status(self) -> list[str]:
        return [STATUSES[code] for code in self.status_codes]

    @property
    def worst_scenario(self) -> list[str]:
        return [self._model.worst_label(int(index)) for index in self.worst]

    def to_polars(self) -> Any:
        """DataFrame of DESIGN's columns; amounts as Decimal(scale 6), margin_ratio (maintenance
        over equity) as float, null where equity is not positive."""
        import polars as pl

        def money(values: np.ndarray) -> Any:
            whole = pl.Series(values, dtype=pl.Int64).cast(pl.Decimal(38, 6))
            return (whole / pl.Series([1_000_000]).cast(pl.Decimal(38, 0))).cast(pl.Decimal(38, 6))

        equity = self.equity_micro.astype(np.float64)
        ratio = np.divide(self.maintenance_margin_micro, equity, out=np.full(len(equity), np.nan), where=equity > 0)
        labels = {int(index): self._model.worst_label(int(index)) for index in np.unique(self.worst)}
        return pl.DataFrame(
            {
                "account": self.names,
                "equity": money(self.equity_micro),
                "initial_margin": money(self.initial_margin_micro),
                "maintenance_margin": money(self.maintenance_margin_micro),
                "health": money(self.health_micro),
                "free_collateral": money(self.free_collateral_micro),
                "margin_ratio": pl.Series(ratio).fill_nan(None),
                "status": self.status,
                "worst_scenario": [labels[int(index)] for index in self.worst],
            }
        )
