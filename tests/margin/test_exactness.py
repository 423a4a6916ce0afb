"""Margin is the same number however it is computed, and on the safe side of the formulas.

Bit-identical across threads, processes, the order of accounts and files, and a save and load; within 0.01
quote or a millionth of a float64 reference that shares no code with the kernels, and against the account.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.margin.float_reference import Rows, tiered_margins
from tests.margin.scenes import accounts_of

import samples
from conftest import ROOT
from seawall.ledger.accounts import Accounts
from seawall.ledger.book import Book
from seawall.margin import models
from seawall.margin.evaluate import Result, evaluate, evaluate_bound
from seawall.market.market import Market

MODELS = ("fixed", "cross", "portfolio")
MARKET = Market.from_document(samples.market_document())
LEGS = len(MARKET.legs)
FIELDS = ("equity_micro", "initial_margin_micro", "maintenance_margin_micro", "worst")


def random_rows(seed: int, accounts: int = 60) -> list[dict[str, str]]:
    """A book of every kind of instrument, with cash, entries and isolated pools, in order of account."""
    random = np.random.default_rng(seed)
    rows: list[dict[str, str]] = []
    for a in range(accounts):
        name = f"account-{a}"
        rows.append({"account": name, "instrument": "USD", "quantity": f"{random.integers(-(10**9), 10**9) / 100:.2f}"})
        symbols = random.permutation(list(MARKET.instruments))[: random.integers(0, 9)]
        for symbol in map(str, symbols):
            lots = int(random.integers(1, 10 ** random.integers(1, 5))) * int(random.choice([-1, 1]))
            row = {"account": name, "instrument": symbol}
            row["quantity"] = format(MARKET.instruments[symbol].lot * lots, "f")
            if symbol.startswith(("BTC-PERP", "BTC-INV", "BTC-DEC")) and MARKET.instruments[symbol].kind != "option":
                row["entry"] = str(random.integers(90_000, 130_000))
                row["isolated"] = str(random.choice(["", "true", "hedge"]))
            rows.append(row)
    return rows


def digest(result: Result) -> dict[str, list[int]]:
    """The figures of every account, by name."""
    columns = [getattr(result, field).tolist() for field in FIELDS]
    return {name: list(figures) for name, *figures in zip(result.names, *columns)}


def part(accounts: Accounts, first: int, last: int) -> Accounts:
    low, high = accounts.row_ptr[first], accounts.row_ptr[last]
    return Accounts(
        accounts.names[first:last],
        accounts.cash_nano[first:last],
        accounts.row_ptr[first : last + 1] - low,
        accounts.leg[low:high],
        accounts.lots[low:high],
    )


@pytest.mark.parametrize("name", MODELS)
def test_two_threads_at_once_give_what_one_gives(name):
    model = models.get(name)
    accounts = Book.from_rows(random_rows(1, 400)).bind(MARKET)
    tables = model.tables(MARKET)
    whole = digest(evaluate_bound(accounts, tables, model))
    half = len(accounts) // 2
    start = Barrier(2)

    def run(piece: Accounts) -> list[dict[str, list[int]]]:
        start.wait()
        return [digest(evaluate_bound(piece, tables, model)) for _ in range(20)]

    with ThreadPoolExecutor(2) as pool:
        halves = list(pool.map(run, (part(accounts, 0, half), part(accounts, half, len(accounts)))))
        wholes = list(pool.map(run, (accounts, accounts)))
    for first, second in zip(*halves):
        assert first | second == whole
    assert all(found == whole for found in wholes[0] + wholes[1])


IN_A_PROCESS = """
import hashlib, sys
from tests.margin import test_exactness as this
for name in this.MODELS:
    model = this.models.get(name)
    tables = model.tables(this.MARKET)
    found = this.evaluate(this.Book.from_rows(this.random_rows(2)), this.MARKET, model)
    text = repr(sorted(this.digest(found).items())).encode()
    print(name, hashlib.sha256(text).hexdigest(), hashlib.sha256(tables.values.tobytes()).hexdigest())
"""


def test_processes_with_one_and_with_two_threads_print_the_same_digests():
    """The seeds of Python's hashing differ too: no figure may depend on the order of a set."""
    children = []
    for threads in ("1", "2"):
        paths = os.pathsep.join(str(ROOT / folder) for folder in ("src", "", "tests"))
        environment = {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": threads, "NUMBA_NUM_THREADS": threads}
        environment |= {"OMP_NUM_THREADS": threads, "POLARS_MAX_THREADS": threads}
        command = [sys.executable, "-c", IN_A_PROCESS]
        children.append(subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True))
    outputs = [child.communicate(timeout=300)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0]
    assert outputs[0] == outputs[1]
    assert [line.split()[0] for line in outputs[0].splitlines()] == list(MODELS)


@settings(max_examples=25)
@given(random=st.randoms(use_true_random=False), seed=st.integers(0, 20))
def test_the_order_of_rows_and_of_instruments_changes_nothing(random, seed):
    rows = random_rows(seed, 12)
    shuffled = random.sample(rows, len(rows))
    document = samples.market_document()
    random.shuffle(document["instruments"])
    other = Market.from_document(document)
    for name in MODELS:
        first = digest(evaluate(Book.from_rows(rows), MARKET, name))
        assert digest(evaluate(Book.from_rows(shuffled), MARKET, name)) == first
        assert digest(evaluate(Book.from_rows(shuffled), other, name)) == first


def moved_market() -> Market:
    """A market that has seen events: prices between its quotes' own, a later time, a changed vol."""
    at = MARKET.with_index({"BTC": "109876.543210987", "ETH": "3777.000000001"}, as_of_ns=MARKET.as_of_ns + 10**15 + 7)
    return at.with_mark("BTC-PERP", "109900.3").with_iv({"BTC-DEC-120000-C": 0.1 + 0.2})


@pytest.mark.parametrize("file", ["market.json", "market"])
@pytest.mark.parametrize("moved", [False, True])
def test_a_market_saved_and_loaded_gives_the_same_integers(tmp_path, file, moved):
    at = moved_market() if moved else MARKET
    at.save(tmp_path / file)
    loaded = Market.load(tmp_path / file)
    book = Book.from_rows(random_rows(3))
    for name in MODELS:
        model = models.get(name)
        before, after = model.tables(at), model.tables(loaded)
        for field in before._fields:
            assert np.array_equal(getattr(before, field), getattr(after, field)), field
        assert digest(evaluate(book, loaded, model)) == digest(evaluate(book, at, model))


def write_book(rows: list[dict[str, str]], path: Path) -> None:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        return
    columns = ("account", "instrument", "quantity", "entry", "isolated")
    table = pl.DataFrame(
        {key: [row.get(key) for row in rows] for key in columns}, schema=dict.fromkeys(columns, pl.String)
    )
    if path.suffix == ".csv":
        table.write_csv(path)
    else:
        table.write_parquet(path)


@pytest.mark.parametrize("file", ["book.parquet", "book.csv", "book.jsonl"])
def test_a_book_from_any_file_gives_the_same_integers(tmp_path, file):
    rows = random_rows(4)
    write_book(rows, tmp_path / file)
    loaded = Book.load(tmp_path / file)
    for name in MODELS:
        assert digest(evaluate(loaded, MARKET, name)) == digest(evaluate(Book.from_rows(rows), MARKET, name))


def test_bound_accounts_saved_and_loaded_give_the_same_integers(tmp_path):
    accounts = Book.from_rows(random_rows(5)).bind(MARKET)
    accounts.save(tmp_path / "accounts")
    loaded = Accounts.load(tmp_path / "accounts")
    for name in MODELS:
        model = models.get(name)
        tables = model.tables(MARKET)
        assert digest(evaluate_bound(loaded, tables, model)) == digest(evaluate_bound(accounts, tables, model))


# ------------------------------------------------------------------------- against a float reference

TIERS = {
    "fixed": [(0, 100_000, 50_000)],
    "BTC": [(0, 20_000, 12_500), (10_000_000, 50_000, 25_000), (50_000_000, 100_000, 50_000)],
}
lots_by_leg = st.dictionaries(
    st.integers(0, LEGS - 1),
    st.one_of(st.integers(-(10**5), 10**5), st.integers(-20, 20)).filter(bool),
    max_size=LEGS,
)
places = st.tuples(st.integers(40_000 * 10**9, 250_000 * 10**9), st.integers(900 * 10**9, 9_000 * 10**9))


def reference(name: str, at: Market, model: Any) -> Any:
    if name == "portfolio":
        return Rows(at, model).margins
    tiers = dict.fromkeys(at.underlyings, TIERS["fixed" if name == "fixed" else "BTC"])
    return lambda held, cash_nano: tiered_margins(at, model, tiers, held, cash_nano)


def check_against(at: Market, name: str, books: list[dict[int, int]], cash_nano: int) -> None:
    """Close to the reference, and never better for the account."""
    model = models.get(name)
    found = evaluate_bound(accounts_of(books, [cash_nano] * len(books)), model.tables(at), model)
    margins = reference(name, at, model)
    for k, held in enumerate(books):
        figures = np.array([getattr(found, field)[k] for field in FIELDS[:3]]) / 1e6
        exact = np.array(margins(held, cash_nano))
        assert (np.abs(figures - exact) <= np.maximum(0.01, 1e-6 * np.abs(exact))).all(), (figures, exact)
        worth = sum(abs(count) * float(at.legs.limit_nano[leg]) for leg, count in held.items()) / 1e9
        noise = 1e-13 * (worth + abs(cash_nano) / 1e9) + 1e-9
        assert figures[0] <= exact[0] + noise, "equity above the reference"
        assert (figures[1:] >= exact[1:] - noise).all(), "a requirement below the reference"
        free, exact_free = figures[0] - figures[1:], exact[0] - exact[1:]
        assert (free <= exact_free + noise).all(), "health or free collateral above the reference"


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=60)
@given(
    prices=places,
    hours=st.integers(0, 24 * 70),
    books=st.lists(lots_by_leg, min_size=1, max_size=4),
    cents=st.integers(-(10**10), 10**10),
)
def test_integers_stay_within_a_millionth_or_a_cent_of_the_float_reference(name, prices, hours, books, cents):
    index = {key: f"{price // 10**9}.{price % 10**9:09d}" for key, price in zip(("BTC", "ETH"), prices)}
    at = MARKET.with_index(index, as_of_ns=MARKET.as_of_ns + hours * 3_600 * 10**9)
    check_against(at, name, books, cents * 10**7)


@pytest.mark.parametrize("name", MODELS)
def test_not_even_a_nano_of_a_lot_is_rounded_for_the_account(name):
    for cents in range(20):
        at = MARKET.with_index({"BTC": f"112345.{cents:02d}7", "ETH": f"3901.{cents:02d}456789"})
        books = [{leg: side * 10**5} for leg in range(LEGS) for side in (-1, 1)]
        check_against(at, name, books, 0)
