"""Tables and totals made from copies are those made on the loop, and a large book does not hold it."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.engine.clearing import Clearing
from seawall.ledger import events as ev
from seawall.server import looks, views
from seawall.server.load import genesis_of


@pytest.fixture(scope="module")
def clearing():
    found = Clearing(genesis_of(), 600)
    for number in range(500):
        name = f"user-{number * 7919 % 500:03d}"
        found.apply(ev.Open(at_ns=found.at_ns + 1, account=name))
        found.apply(ev.Deposit(at_ns=found.at_ns, account=name, asset="USD", amount=(number % 50 + 1) * 10**8))
        if number % 3 == 1:
            trade = ev.Trade(at_ns=found.at_ns, maker="user-000", taker=name, instrument="BTC-PERP", lots=1, price_nano=10**11)
            found.apply(trade)
    found.apply(ev.OpenBucket(at_ns=found.at_ns, owner="user-001", bucket="side", instrument="BTC-PERP"))
    found.apply(ev.SetState(at_ns=found.at_ns, account="user-001", state="frozen"))
    return found


@pytest.mark.parametrize("sort", views.SORTS)
@pytest.mark.parametrize("users_only", [True, False])
def test_pages_of_a_copy_in_pieces_are_those_of_one_moment(clearing, monkeypatch, sort, users_only):
    monkeypatch.setattr(looks, "CHUNK", 64)
    how = {"sort": sort, "limit": 37, "offset": 20, "users_only": users_only, "descending": sort == "equity"}

    async def both():
        return await looks.Looks(clearing).made(lambda seen: views.page(seen, **how)), views.page(looks.look(clearing), **how)

    gently, at_once = asyncio.run(both())
    assert gently == at_once
    assert len(gently.rows) == 37


def test_sorted_by_name_is_sorted_by_name_and_a_bucket_is_frozen_with_its_owner(clearing):
    page = views.page(looks.look(clearing), sort="account", limit=1000)
    names = [row.account for row in page.rows]
    assert names == sorted(names)
    assert len(names) == page.total == 501
    assert {row.state for row in page.rows if row.account.startswith("user-001")} == {"frozen"}


@settings(max_examples=60)
@given(st.lists(st.text(max_size=4), unique=True, max_size=60), st.integers(1, 20))
def test_ranks_are_those_of_a_plain_sort(names, piece):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looks, "_PIECE", piece)
        ranks = looks.Ranks().of(names, len(names))
    assert [names[k] for k in np.argsort(ranks)] == sorted(names)


def test_the_overview_counts_everybody_once_as_a_search_of_each_would(clearing):
    seen = looks.look(clearing)
    found = views.overview(seen, worst=5)
    assert sum(found.histogram) == sum(found.by_status.values()) == found.accounts == 501
    figures = seen.figures[seen.chosen(True)]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(figures[:, 2] > 0, (figures[:, 0] - figures[:, 2]) / figures[:, 2], np.inf)
    bins = np.searchsorted(np.array(found.edges), ratio, side="right")
    assert list(found.histogram) == np.bincount(bins, minlength=len(found.edges) + 1).tolist()


def test_others_have_their_turn_while_a_large_book_is_looked_at(clearing, monkeypatch):
    monkeypatch.setattr(looks, "CHUNK", 16)
    turns = 0

    async def beside():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def run():
        other = asyncio.create_task(beside())
        await asyncio.sleep(0)
        await looks.Looks(clearing).made(lambda seen: None)
        other.cancel()

    asyncio.run(run())
    assert turns >= 501 // 16


def test_those_who_ask_at_once_share_a_look_and_soon_there_is_another(clearing, monkeypatch):
    monkeypatch.setattr(looks, "CHUNK", 64)

    async def run():
        some = looks.Looks(clearing)
        first, second = await asyncio.gather(some.made(lambda seen: seen), some.made(lambda seen: seen))
        monkeypatch.setattr(looks, "KEPT_S", 0.0)
        return first, second, await some.made(lambda seen: seen)

    first, second, third = asyncio.run(run())
    assert first is second
    assert third is not first
