"""Differential: the ledger against its naive twin over random histories."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.ledger_scenes import USD, fill, fund, settle_all, venue
from ledger.ledger_twin import Twin
from seawall.ledger import events as ev

USERS = ("alice", "bob", "carol", "dave")
PERPETUALS = ("BTC-PERP", "ETH-PERP")
FILL = st.tuples(
    st.just("fill"),
    st.permutations(range(4)),
    st.sampled_from((*PERPETUALS, "BTC-DEC", "BTC-C")),
    st.integers(-500, 500).filter(bool),
    st.integers(1, 10**12),
    st.integers(0, 1_000),
    st.integers(-1_000, 1_000),
)
FUND = st.tuples(
    st.just("fund"), st.sampled_from(PERPETUALS), st.integers(-100_000, 100_000), st.integers(1, 10**12)
)
SETTLE = st.tuples(st.just("settle"), st.sampled_from(USERS))
HISTORY = st.lists(st.one_of(FILL, FILL, FUND, SETTLE), min_size=1, max_size=40)


def money(ledger, account: str) -> int:
    """Balance and costs."""
    costs = sum(ledger.position(account, name)[1] for name in (*PERPETUALS, "BTC-DEC", "BTC-C"))
    return ledger.balance(account, "USD") + costs


@given(HISTORY, st.integers(0, 10**12))
@settings(max_examples=150)
def test_the_ledger_is_its_twin_less_the_roundings_against_each_account(history, last_price):
    ledger, twin = venue(*USERS, cash=1_000 * USD), Twin()
    for name in USERS:
        twin.deposit(name, 1_000 * USD)
    steps = {name: k for k, name in enumerate(sorted((*PERPETUALS, "BTC", "BTC-C", "BTC-DEC", "ETH", "ETH-BTC-PERP")))}
    for what, *told in history:
        if what == "fill":
            order, instrument, lots, price, taker_ppm, maker_ppm = told
            taker, maker = USERS[order[0]], USERS[order[1]]
            maker_ppm = max(maker_ppm, -taker_ppm)
            fill(ledger, taker, maker, lots, price, instrument, taker_fee_ppm=taker_ppm, maker_fee_ppm=maker_ppm)
            buyer, seller = (taker, maker) if lots > 0 else (maker, taker)
            twin.fill(buyer, seller, instrument, abs(lots), price, {taker: taker_ppm, maker: maker_ppm})
        elif what == "fund":
            instrument, rate, price = told
            index = int(ledger.columns()["index_pico"][steps[instrument]])
            fund(ledger, rate, price, instrument)
            twin.fund(instrument, int(ledger.columns()["index_pico"][steps[instrument]]) - index)
        else:
            ledger.apply(ev.Settle(at_ns=ledger.at_ns, account=told[0]))
            twin.roundings[told[0]] += len(PERPETUALS)
        for name in USERS:
            for instrument in (*PERPETUALS, "BTC-DEC", "BTC-C"):
                assert ledger.position(name, instrument)[0] == twin.lots[name, instrument]
    ledger.apply(ev.Expire(at_ns=ledger.at_ns, instrument="BTC-DEC", price_nano=last_price))
    ledger.apply(ev.Expire(at_ns=ledger.at_ns, instrument="BTC-PERP", price_nano=last_price))
    twin.expire("BTC-DEC", last_price)
    twin.expire("BTC-PERP", last_price)
    settle_all(ledger)
    short = 0
    for name in USERS:
        lost = twin.cash[name] - money(ledger, name)
        assert 0 <= lost <= twin.roundings[name] + len(PERPETUALS)
        short += lost
    gained = ledger.balance("rounding", "USD") + ledger.balance("fees", "USD") - twin.cash["fees"]
    assert short == gained, "what the roundings took is in the accounts that the page names, to the last fraction"
