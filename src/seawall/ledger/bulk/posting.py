"""Posting in compiled code: the twin of `ledger/posting.py`, line by line, on the same columns.

Every write that may have to be taken back goes through `put`. Whatever cannot be done exactly in 64 bits, or is not legal,
sets FAILED: the event is then undone and left to `Ledger.apply`, which decides. Roundings, dust and the order of lines are
those of the twin; the tests compare the state hash.
"""

from __future__ import annotations

import numpy as np

from seawall.kernels.compiled import inner
from seawall.kernels.memory import get8, get32, get64, set32, set64
from seawall.kernels.muldiv import mul_div_floor

from ..chart import USER
from ..posting import INDEX_SCALE
from ..state import INSTRUMENTS_MAX
from . import context as ctx
from .tables import place_of, slot_at

__all__ = ["balance_of", "drop", "fail", "hold", "position", "post", "settle", "settle_interest", "term"]

_QUOTIENT_MAX = 2.0**61
_DIVISOR_MAX = 2**51


@inner
def fail(c, why):
    """The event cannot be done here; the first reason counts."""
    if get64(c, ctx.FAILED) == 0:
        set64(c, ctx.FAILED, why)


@inner
def put(c, base, at, value):
    """Overwrites one int64, noting what stood there."""
    count = get64(c, ctx.UNDO_COUNT)
    if count >= ctx.UNDO_MAX:
        fail(c, ctx.IMPOSSIBLE)
        return
    undo, place = get64(c, ctx.UNDO), base + 8 * at
    set64(undo, 2 * count, place)
    set64(undo, 2 * count + 1, get64(place, 0))
    set64(c, ctx.UNDO_COUNT, count + 1)
    set64(place, 0, value)


@inner
def added(c, base, at, amount):
    """Adds to one int64 and returns the sum; fails beyond int64."""
    before = get64(base, at)
    after = before + amount
    if (before ^ after) & (amount ^ after) < 0:
        fail(c, ctx.IMPOSSIBLE)
    put(c, base, at, after)
    return after


@inner
def term(c, instrument, which):
    """A figure of an instrument's terms."""
    return get64(get64(c, ctx.TERMS), ctx.TERMS_WIDTH * instrument + which)


@inner
def line(c, row, part, unit, amount, instrument):
    """One line of the event; `unit` is the asset, for lots the instrument."""
    sums = get64(c, ctx.HELD_LOTS) if part == ctx.LOTS_PART else get64(c, ctx.MONEY)
    set64(sums, unit, get64(sums, unit) + amount)
    if get64(c, ctx.KEY_SIZE) == 0:
        return  # nobody will ask for the receipt
    count = get64(c, ctx.LINES_COUNT)
    if count >= ctx.LINES_MAX:
        fail(c, ctx.NO_ROOM)
        return
    lines = get64(c, ctx.LINES)
    set64(lines, ctx.LINE_WIDTH * count, row)
    set64(lines, ctx.LINE_WIDTH * count + 1, part)
    set64(lines, ctx.LINE_WIDTH * count + 2, unit)
    set64(lines, ctx.LINE_WIDTH * count + 3, amount)
    set64(lines, ctx.LINE_WIDTH * count + 4, instrument)
    set64(c, ctx.LINES_COUNT, count + 1)


@inner
def balance_of(c, row, asset):
    """Units of an asset, as of the last touch."""
    return get64(get64(get64(c, ctx.BALANCE), asset), row)


@inner
def _index_of(c, asset, balance):
    if balance == 0:
        return 0
    return get64(get64(c, ctx.BORROW), asset) if balance < 0 else get64(get64(c, ctx.SUPPLY), asset)


@inner
def _bears(c, row, asset):
    return get64(get64(c, ctx.BORROW), asset) != 0 and get8(get64(c, ctx.KIND), row) == USER


@inner
def _add(c, row, asset, amount):
    """Adds to a balance whose interest is settled."""
    if amount == 0:
        return
    after = added(c, get64(get64(c, ctx.BALANCE), asset), row, amount)
    if _bears(c, row, asset):
        put(c, get64(get64(c, ctx.MARK), asset), row, _index_of(c, asset, after))
    line(c, row, ctx.BALANCE_PART, asset, amount, -1)


@inner
def _quotient(c, a, b, scale):
    """floor(a × b ÷ scale); fails where that could be beyond int64, or the divisor is too large to be exact."""
    if abs(np.float64(a) * np.float64(b)) >= _QUOTIENT_MAX * np.float64(scale) or scale >= _DIVISOR_MAX:
        fail(c, ctx.IMPOSSIBLE)
        return 0
    return mul_div_floor(a, b, scale)


@inner
def _clear(c, row, asset, got, rest, scale, clearing, dust, at):
    """Gives a settled account `got` from a clearing account, and `rest` of `scale` to the dust."""
    _add(c, row, asset, got)
    _add(c, clearing, asset, -got)
    if rest:
        rest += get64(dust, at)
        if rest >= scale:
            rest -= scale
            _add(c, clearing, asset, -1)
            _add(c, get64(c, ctx.ROUNDING), asset, 1)
        put(c, dust, at, rest)


@inner
def settle_interest(c, row, asset):
    """The balance after interest since its last touch."""
    held = balance_of(c, row, asset)
    if held != 0 and _bears(c, row, asset):
        index, marks = _index_of(c, asset, held), get64(get64(c, ctx.MARK), asset)
        step = index - get64(marks, row)
        if step:
            put(c, marks, row, index)
            got = _quotient(c, held, step, INDEX_SCALE)
            rest = held * step - got * INDEX_SCALE  # modulo 2**64, and it is below the scale
            _clear(c, row, asset, got, rest, INDEX_SCALE, get64(c, ctx.INTEREST_ROW), get64(c, ctx.INTEREST_DUST), asset)
            return balance_of(c, row, asset)
    return held


@inner
def post(c, row, asset, amount):
    """Adds to a balance, after settling its interest."""
    if amount == 0:
        return
    if _bears(c, row, asset):
        settle_interest(c, row, asset)
    _add(c, row, asset, amount)


@inner
def _lots(c, slot, lots):
    after = added(c, get64(c, ctx.LOTS), slot, lots)
    if after == 0:
        count = get64(c, ctx.EMPTIED_COUNT)
        if count >= ctx.SCRATCH_MAX:
            fail(c, ctx.IMPOSSIBLE)
            return
        set64(get64(c, ctx.EMPTIED), count, slot)
        set64(c, ctx.EMPTIED_COUNT, count + 1)
    instrument = get32(get64(c, ctx.HELD), slot)
    line(c, get32(get64(c, ctx.HOLDER), slot), ctx.LOTS_PART, instrument, lots, instrument)


@inner
def _cost(c, slot, amount):
    if amount == 0:
        return
    added(c, get64(c, ctx.COST), slot, amount)
    instrument = get32(get64(c, ctx.HELD), slot)
    line(c, get32(get64(c, ctx.HOLDER), slot), ctx.COST_PART, term(c, instrument, 0), amount, instrument)


@inner
def _make(c, row, instrument):
    """A position of zero lots; −1 where there is no room."""
    free, made = get64(c, ctx.FREE_COUNT), get64(c, ctx.MADE_COUNT)
    mask = get64(c, ctx.PLACES_MASK)
    if free == 0 or 5 * get64(c, ctx.PLACES_COUNT) > 3 * mask:
        fail(c, ctx.NO_ROOM)
        return -1
    if made >= ctx.SCRATCH_MAX:
        fail(c, ctx.IMPOSSIBLE)
        return -1
    slot = get32(get64(c, ctx.FREE), free - 1)
    set64(c, ctx.FREE_COUNT, free - 1)
    first = get32(get64(c, ctx.HEAD), row)
    set32(get64(c, ctx.HOLDER), slot, row)
    set32(get64(c, ctx.HELD), slot, instrument)
    set32(get64(c, ctx.NEXT), slot, first)
    set32(get64(c, ctx.BEFORE), slot, -1)
    set64(get64(c, ctx.SINCE), slot, get64(get64(c, ctx.INDEX), instrument))
    if first != -1:
        set32(get64(c, ctx.BEFORE), first, slot)
    set32(get64(c, ctx.HEAD), row, slot)
    places, key = get64(c, ctx.PLACES), row * INSTRUMENTS_MAX + instrument
    place = place_of(places, mask, key)
    if get64(places, 2 * place) == -1:
        set64(places, 2 * place, key)
        set64(c, ctx.PLACES_COUNT, get64(c, ctx.PLACES_COUNT) + 1)
    set64(places, 2 * place + 1, slot)
    set64(get64(c, ctx.MADE), made, slot)
    set64(c, ctx.MADE_COUNT, made + 1)
    set64(c, ctx.CHANGED, 1)
    return slot


@inner
def drop(c, slot):
    """A position is gone, its slot free."""
    row, instrument = get32(get64(c, ctx.HOLDER), slot), get32(get64(c, ctx.HELD), slot)
    after, before = get32(get64(c, ctx.NEXT), slot), get32(get64(c, ctx.BEFORE), slot)
    if before == -1:
        set32(get64(c, ctx.HEAD), row, after)
    else:
        set32(get64(c, ctx.NEXT), before, after)
    if after != -1:
        set32(get64(c, ctx.BEFORE), after, before)
    places = get64(c, ctx.PLACES)
    place = place_of(places, get64(c, ctx.PLACES_MASK), row * INSTRUMENTS_MAX + instrument)
    set64(places, 2 * place + 1, -1)
    for column in (ctx.LOTS, ctx.COST, ctx.SINCE):
        set64(get64(c, column), slot, 0)
    set32(get64(c, ctx.HOLDER), slot, -1)
    free = get64(c, ctx.FREE_COUNT)
    set32(get64(c, ctx.FREE), free, slot)
    set64(c, ctx.FREE_COUNT, free + 1)
    set64(c, ctx.CHANGED, 1)


@inner
def _settle_position(c, slot):
    """Funding since the last touch; where the instrument has expired, its value, and the position is gone."""
    instrument = get32(get64(c, ctx.HELD), slot)
    index, since = get64(get64(c, ctx.INDEX), instrument), get64(get64(c, ctx.SINCE), slot)
    price = get64(get64(c, ctx.EXPIRY), instrument)
    row = get32(get64(c, ctx.HOLDER), slot)
    if (index == since and price < 0) or row == get64(c, ctx.EXPIRY_ROW):
        return
    lots, asset = get64(get64(c, ctx.LOTS), slot), term(c, instrument, 0)
    if index != since:
        step, pico = index - since, term(c, instrument, 3)
        if abs(np.float64(index) - np.float64(since)) >= _QUOTIENT_MAX:
            fail(c, ctx.IMPOSSIBLE)
            return
        put(c, get64(c, ctx.SINCE), slot, index)
        got = _quotient(c, -lots, step, pico)
        if got != 0 and _bears(c, row, asset):
            settle_interest(c, row, asset)
        rest = -lots * step - got * pico
        _clear(c, row, asset, got, rest, pico, get64(c, ctx.FUNDING_ROW), get64(c, ctx.FUNDING_DUST), instrument)
    if price >= 0:
        cost, nano = get64(get64(c, ctx.COST), slot), term(c, instrument, 2)
        _cost(c, slot, -cost)
        post(c, row, asset, cost)
        got = _quotient(c, lots, price, nano)
        if got != 0 and _bears(c, row, asset):
            settle_interest(c, row, asset)
        rest = lots * price - got * nano
        _clear(c, row, asset, got, rest, nano, get64(c, ctx.EXPIRY_ROW), get64(c, ctx.EXPIRY_DUST), instrument)
        _lots(c, slot, -lots)
        other = slot_at(c, get64(c, ctx.EXPIRY_ROW), instrument)
        if other == -1:
            other = _make(c, get64(c, ctx.EXPIRY_ROW), instrument)
        if other != -1:
            _lots(c, other, lots)


@inner
def settle(c, row):
    """Everything an account has coming or owes becomes balance: positions by symbol, then assets by name."""
    found, slot, order = 0, get32(get64(c, ctx.HEAD), row), get64(c, ctx.SORTED)
    while slot != -1:
        if found >= ctx.SCRATCH_MAX:
            fail(c, ctx.IMPOSSIBLE)
            return
        rank = term(c, get32(get64(c, ctx.HELD), slot), 6)
        at = found
        while at > 0 and term(c, get32(get64(c, ctx.HELD), get64(order, at - 1)), 6) > rank:
            set64(order, at, get64(order, at - 1))
            at -= 1
        set64(order, at, slot)
        found += 1
        slot = get32(get64(c, ctx.NEXT), slot)
    for k in range(found):
        _settle_position(c, get64(order, k))
    for k in range(get64(c, ctx.ASSETS)):
        settle_interest(c, row, get64(get64(c, ctx.BY_NAME), k))


@inner
def position(c, row, instrument):
    """The slot of an account's position, settled, or −1."""
    slot = slot_at(c, row, instrument)
    if slot != -1:
        _settle_position(c, slot)
    return slot


@inner
def hold(c, row, instrument, slot, lots, cash):
    """Adds lots and their cash, to the balance or to the cost; closing a part releases floor(cost × part)."""
    if slot == -1:
        slot = _make(c, row, instrument)
        if slot == -1:
            return
    asset, held = term(c, instrument, 0), get64(get64(c, ctx.LOTS), slot)
    _lots(c, slot, lots)
    if term(c, instrument, 1) == 0:
        post(c, row, asset, cash)
    elif held == 0 or (held > 0) == (lots > 0):
        _cost(c, slot, cash)
    else:
        closed, opened = min(abs(lots), abs(held)), max(0, abs(lots) - abs(held))
        kept = cash - _quotient(c, cash, closed, abs(lots)) if opened else 0
        released = _quotient(c, get64(get64(c, ctx.COST), slot), closed, abs(held))
        _cost(c, slot, kept - released)
        post(c, row, asset, released + cash - kept)
