"""What the venue itself does: listings, accounts and their states, funding, interest, expiry.

One function per event; each checks everything first and then writes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from seawall.core.errors import DuplicateRow, InputError, StaleEvent, UnreadableFile, show
from seawall.core.instruments import parse_symbol
from seawall.core.times import SECOND_NS, YEAR_NS
from seawall.core.units import LOT_VALUE_NANO_MAX, PPM

from .chart import CLOSED, FROZEN, KINDS, OPENABLE, STATES, TRADERS, TRANSITIONS, USER
from .doors import account_of, asset_of, instrument_of, of_kind, whole
from .events import Accrue, Expire, Funding, ListAsset, ListInstrument, Open, OpenBucket, Premium, SetState, Settle
from .funding import FundingRule, index_step_pico, mean_premium_ppm, premium_ppm
from .posting import INDEX_SCALE, Poster
from .state import INSTRUMENTS_MAX, NOBODY

__all__ = ["HANDLERS"]

DECIMALS_MAX = 9
BORROW_PPM_MAX = 100 * PPM
_ENTERABLE = ("perpetual", "future", "option")


def list_asset(poster: Poster, event: ListAsset) -> None:
    """A new asset; no postings."""
    state = poster.state
    name = parse_symbol(event.asset, "asset")
    _new(name, state.asset_of, "asset")
    for listing in state.instruments:
        if listing.instrument == name and listing.kind != "spot":
            raise DuplicateRow("asset", show(name), "a name that no instrument has")
    whole(event.decimals, "decimals", 0, DECIMALS_MAX)
    if type(event.borrowable) is not bool:
        raise UnreadableFile("borrowable", show(event.borrowable), "true or false")
    state.add_asset(event)


def list_instrument(poster: Poster, event: ListInstrument) -> None:
    """A new instrument; no postings."""
    state = poster.state
    name = parse_symbol(event.instrument, "instrument")
    _new(name, state.instrument_of, "instrument")
    settlement = asset_of(state, event.settlement, "settlement")
    if event.kind == "spot":
        if asset_of(state, event.base, "base") == settlement:
            raise InputError("base", show(event.base), "another asset than the settlement")
        whole(event.lot_units, "lot_units")
    elif event.kind not in _ENTERABLE:
        raise InputError("kind", show(event.kind), "one of spot, " + ", ".join(_ENTERABLE))
    elif name in state.asset_of:
        raise DuplicateRow("instrument", show(name), "a name that no asset has")
    elif type(event.base) is not str or event.base or type(event.lot_units) is not int or event.lot_units:
        raise InputError("base", show(event.base), "no base and no lot_units unless it is spot")
    if not isinstance(event.funding, FundingRule):
        raise UnreadableFile("funding", show(event.funding), "a funding rule")
    event.funding.check("funding")
    if len(state.instruments) >= INSTRUMENTS_MAX:
        raise InputError("instrument", show(len(state.instruments)), f"fewer than {INSTRUMENTS_MAX} instruments")
    state.add_instrument(event, event.at_ns // (event.funding.interval_s * SECOND_NS))


def open_account(poster: Poster, event: Open) -> None:
    """A new account; no postings."""
    name = parse_symbol(event.account, "account")
    _new(name, poster.state.rows, "account")
    if ":" in name:
        raise InputError("account", show(name), "a name without a colon, which names buckets")
    if event.kind not in (KINDS[kind] for kind in OPENABLE):
        raise InputError("kind", show(event.kind), "one of " + ", ".join(KINDS[kind] for kind in OPENABLE))
    poster.state.add_account(name, KINDS.index(event.kind))


def open_bucket(poster: Poster, event: OpenBucket) -> None:
    """A new isolated pool of a user; no postings."""
    state = poster.state
    owner = account_of(state, event.owner, "owner")
    of_kind(state, owner, (USER,), "owner")
    if state.parent[owner] != NOBODY:
        raise InputError("owner", show(event.owner), "an account, not a bucket")
    if state.state[owner] in (FROZEN, CLOSED):
        raise InputError("owner", f"{show(event.owner)}, which is {STATES[state.state[owner]]}", "an open account")
    bucket = parse_symbol(event.bucket, "bucket")
    if ":" in bucket:
        raise InputError("bucket", show(bucket), "a name without a colon")
    name = f"{event.owner}:{bucket}"
    _new(name, state.rows, "bucket")
    only = instrument_of(state, event.instrument) if event.instrument != "" else NOBODY
    state.add_account(name, USER, owner, only)


def set_state(poster: Poster, event: SetState) -> None:
    """A user's account changes state; one that closes is settled first and must then be empty."""
    state = poster.state
    row = account_of(state, event.account)
    of_kind(state, row, (USER,), "account")
    if event.state not in STATES:
        raise InputError("state", show(event.state), "one of " + ", ".join(STATES))
    wanted, found = STATES.index(event.state), state.state[row]
    if wanted not in TRANSITIONS[found]:
        allowed = " or ".join(STATES[allowed] for allowed in TRANSITIONS[found]) or "no other"
        raise InputError("state", f"{event.state} after {STATES[found]}", allowed)
    if wanted != CLOSED:
        state.put(state.state, row, wanted)
        return
    poster.settle(row)
    left = [asset.asset for asset, column in zip(state.assets, state.balance) if column[row]]
    left += [state.instruments[state.held[slot]].instrument for slot in state.positions(row) if state.lots[slot]]
    if state.children[row]:
        left.append(f"{state.children[row]} open buckets")
    if left:
        raise InputError("account", f"{show(event.account)} with " + ", ".join(left), "an account with nothing left")
    state.close(row)


def settle(poster: Poster, event: Settle) -> None:
    """Whatever an account has coming or owes."""
    row = account_of(poster.state, event.account)
    of_kind(poster.state, row, TRADERS, "account")
    poster.settle(row)


def premium(poster: Poster, event: Premium) -> None:
    """One premium sample of the running interval; no postings."""
    state = poster.state
    instrument = _perpetual(poster, event.instrument)
    index = whole(event.index_nano, "index_nano", 1)
    bid = whole(event.impact_bid_nano, "impact_bid_nano", 0)
    ask = whole(event.impact_ask_nano, "impact_ask_nano", max(1, bid))
    sample = premium_ppm(index, bid, ask, state.instruments[instrument].funding.sample_cap_ppm)
    state.put(state.premium_sum, instrument, state.premium_sum[instrument] + sample)
    state.put(state.premium_count, instrument, state.premium_count[instrument] + 1)


def funding(poster: Poster, event: Funding) -> None:
    """An interval's rate moves the index; no postings: accounts are settled by it when they are touched.

    Intervals are the multiples of the rule's since 1970. One is charged at most once; one in which no funding
    event came is not charged later.
    """
    state = poster.state
    instrument = _perpetual(poster, event.instrument)
    price = whole(event.price_nano, "price_nano", 1, LOT_VALUE_NANO_MAX)
    listing = state.instruments[instrument]
    rule = listing.funding
    interval = event.at_ns // (rule.interval_s * SECOND_NS)
    if interval <= state.interval[instrument]:
        found = f"funding of {show(event.instrument)} in an interval that is already charged"
        raise StaleEvent("at_ns", found, f"a time from {(state.interval[instrument] + 1) * rule.interval_s} s on")
    count = state.premium_count[instrument]
    rate = rule.rate_ppm(mean_premium_ppm(state.premium_sum[instrument], count, rule.samples))
    # ppm of nano is 10^-15, and an index step is 10^-12 of the asset whatever its decimals are
    step = index_step_pico(rate, rule.interval_s, rule.period_s, (price, 1000))
    state.put(state.index_pico, instrument, state.index_pico[instrument] + step)
    state.put(state.premium_sum, instrument, 0)
    state.put(state.premium_count, instrument, 0)
    state.put(state.interval, instrument, interval)


def accrue(poster: Poster, event: Accrue) -> None:
    """Moves both interest indices; posts the reserve from the interest clearing account to fees.

    Borrowers: step = floor(rate × time), simple between two touches of an account. Lenders: what the borrowers'
    step yields on all debts less the reserve, shared over all deposits, rounded down, never more than the
    borrowers' step. What that leaves over is the reserve, exactly, so that the clearing account ends at zero.
    """
    state = poster.state
    asset = asset_of(state, event.asset)
    rate = whole(event.borrow_ppm, "borrow_ppm", 0, BORROW_PPM_MAX)
    reserve = whole(event.reserve_ppm, "reserve_ppm", 0, PPM)
    elapsed_ns = event.at_ns - state.accrued_ns[asset]
    step = rate * (INDEX_SCALE // PPM) * elapsed_ns // YEAR_NS
    state.put(state.accrued_ns, asset, event.at_ns)
    if not step:
        return
    users = np.frombuffer(state.kind, np.int8) == USER
    held = np.frombuffer(state.balance[asset], np.int64)[users]
    lent, owed = _exact_sum(held[held > 0]), -_exact_sum(held[held < 0])
    share = min(step, owed * step * (PPM - reserve) // (PPM * lent)) if lent else 0
    state.put(state.borrow_index, asset, state.borrow_index[asset] + step)
    state.put(state.supply_index, asset, state.supply_index[asset] + share)
    left = owed * step - lent * share
    poster.clear(poster.fees, asset, left, INDEX_SCALE, poster.interest, state.interest_dust, asset)


def expire(poster: Poster, event: Expire) -> None:
    """The last price of an instrument; no postings: accounts are settled at it when they are touched."""
    state = poster.state
    instrument = instrument_of(state, event.instrument)
    if state.instruments[instrument].kind == "spot":
        raise InputError("instrument", show(event.instrument), "a " + ", ".join(_ENTERABLE))
    state.put(state.expiry_nano, instrument, whole(event.price_nano, "price_nano", 0, LOT_VALUE_NANO_MAX))


def _perpetual(poster: Poster, name: object) -> int:
    instrument = instrument_of(poster.state, name)
    if poster.state.instruments[instrument].kind != "perpetual":
        raise InputError("instrument", show(name), "a perpetual")
    return instrument


def _new(name: str, known: dict[str, int], place: str) -> None:
    if name in known:
        raise DuplicateRow(place, f"{show(name)}, which is there already", "a new name")


def _exact_sum(values: np.ndarray[Any, np.dtype[np.int64]]) -> int:
    """The sum of int64 that need not fit int64 (fewer than 2**31 of them)."""
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())


HANDLERS: dict[type, Any] = {
    ListAsset: list_asset,
    ListInstrument: list_instrument,
    Open: open_account,
    OpenBucket: open_bucket,
    SetState: set_state,
    Settle: settle,
    Premium: premium,
    Funding: funding,
    Accrue: accrue,
    Expire: expire,
}
