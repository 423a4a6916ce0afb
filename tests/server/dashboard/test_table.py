"""Filter, sort, page and CSV over all accounts, and what the live view says of them, against plain Python."""

from __future__ import annotations

import csv
import io

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given

from seawall.core.errors import InputError
from seawall.core.units import MICRO, format_micro
from seawall.server.dashboard.source import STATUSES, Look, Names
from seawall.server.dashboard.table import Query, csv_of, page_of, rows_of
from seawall.server.dashboard.views import concentration, histogram, nearest

AMOUNTS = st.integers(-(10**13), 10**13)
ACCOUNTS = st.lists(st.tuples(st.integers(0, 3), AMOUNTS, st.integers(0, 10**13), st.integers(0, 10**13)), min_size=1, max_size=30)


def look_of(rows):
    levels = np.array([row[0] for row in rows], np.int8)
    figures = np.array([row[1:] for row in rows], np.int64)
    return Look(0, 0, 0.0, 0, 0, levels, figures, 0, ())


def names_of(rows):
    return Names([f"Acc{k % 7}-{k}" for k in range(len(rows))])


@given(ACCOUNTS, st.sampled_from(["equity", "initial", "maintenance", "health", "free", "status", "account", "ratio"]), st.booleans())
def test_pages_are_the_whole_in_order_and_do_not_overlap(rows, sort, descending):
    look, names = look_of(rows), names_of(rows)
    seen = []
    for offset in range(0, len(rows) + 1, 7):
        page = page_of(Query(sort=sort, descending=descending, offset=offset, limit=7), look, names)
        assert page["total"] == len(rows)
        seen += page["rows"]
    assert sorted(row[0] for row in seen) == sorted(names.all)
    keys = {
        "equity": lambda r: r[2], "initial": lambda r: r[3], "maintenance": lambda r: r[4], "status": lambda r: r[1],
        "health": lambda r: r[2] - r[4], "free": lambda r: r[2] - r[3], "account": lambda r: r[0],
        "ratio": lambda r: (r[2] - r[4]) / r[4] if r[4] else None,
    }  # fmt: skip
    found = [keys[sort](row) for row in seen]
    known = [key for key in found if key is not None]
    assert found[: len(known)] == known, "accounts without margin come last, whichever way"
    assert known == sorted(known, reverse=descending)


@given(ACCOUNTS, st.sets(st.sampled_from(STATUSES)), st.sampled_from(["", "acc3", "ACC", "-1", "nobody"]), st.sampled_from(["", "5000000", "0.5"]))
def test_a_filter_keeps_what_it_says(rows, words, search, least):
    look, names = look_of(rows), names_of(rows)
    kept = rows_of(Query(status=",".join(sorted(words)), search=search, least=least), look, names)
    wanted = {
        k
        for k, (level, _, _, maintenance) in enumerate(rows)
        if (not words or STATUSES[level] in words)
        and search.lower() in names.all[k].lower()
        and maintenance >= float(least or 0) * MICRO
    }
    assert set(kept.tolist()) == wanted
    assert len(kept) == len(wanted)


@given(ACCOUNTS)
def test_the_csv_is_every_row_exactly(rows):
    look, names = look_of(rows), names_of(rows)
    text = b"".join(csv_of(Query(sort="account"), look, names)).decode()
    lines = list(csv.DictReader(io.StringIO(text)))
    assert len(lines) == len(rows)
    for line in lines:
        level, equity, initial, maintenance = rows[names.row(line["account"])]
        assert line["status"] == STATUSES[level]
        assert line["equity"] == format_micro(equity)
        assert line["health"] == format_micro(equity - maintenance)
        assert line["free"] == format_micro(equity - initial)


def test_a_name_is_never_a_formula_to_a_spreadsheet():
    look = look_of([(0, 1, 1, 1), (0, 1, 1, 1)])
    text = b"".join(csv_of(Query(sort="account"), look, Names(['=HYPERLINK("x")', "a,b"]))).decode()
    assert "\"'=HYPERLINK(\"\"x\"\")\"" in text
    assert '"a,b"' in text


@pytest.mark.parametrize("query", [Query(sort="size"), Query(status="fine"), Query(offset=-1), Query(limit=0), Query(limit=10_000), Query(least="much")])
def test_a_wrong_question_is_told(query):
    with pytest.raises(InputError):
        page_of(query, look_of([(0, 1, 1, 1)]), Names(["a"]))


@example([(0, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 1), (0, 0, 0, 1)], 1)
@given(ACCOUNTS, st.integers(1, 40))
def test_rankings_are_those_of_a_plain_sort(rows, count):
    look = look_of(rows)
    least = 10**12
    found = nearest(look, count, least)
    ratio = sorted((((e - m) / m), k) for k, (_, e, _, m) in enumerate(rows) if m >= least)
    assert found["ratio"].tolist() == [k for _, k in ratio[:count]]
    assert found["next"].tolist() == [k for r, k in ratio if rows[k][1] >= rows[k][3]][:count]
    money = sorted((float(e - m), k) for k, (_, e, _, m) in enumerate(rows) if e < m)
    assert found["shortfall"].tolist() == [k for _, k in money[:count]]


@given(ACCOUNTS)
def test_the_histogram_counts_everybody_once(rows):
    counts = histogram(look_of(rows))
    assert len(counts) == 10
    assert sum(counts) == len(rows)
    assert counts[0] == sum(e < 0 for _, e, _, _ in rows)
    assert counts[1] == sum(0 <= e < m for _, e, _, m in rows)
    assert counts[9] == sum(e >= 0 and m == 0 for _, e, _, m in rows)


def test_concentration_is_a_share_of_all_margin():
    rows = [(0, 1, 1, 10**9)] * 990 + [(0, 1, 1, 10**11)] * 10
    shares = concentration(look_of(rows))
    assert shares["top10"] == shares["top1pct"] == pytest.approx(10**12 / (10**12 + 990 * 10**9), abs=1e-4)


def test_names_are_found_by_any_part_and_told_apart():
    names = Names(["alice", "alice:BTC", "Bob", "malice"])
    assert names.containing("ALICE").tolist() == [0, 1, 3]
    assert names.containing("b").tolist() == [1, 2]
    assert names.containing("").tolist() == []
    assert names.row("Bob") == 2
    assert names.row("bob") is None
