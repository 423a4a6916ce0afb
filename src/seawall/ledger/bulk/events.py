"""Ledger events in compiled code: read from their MessagePack arrays, checked and posted, as `ledger/money.py` does.

What is not known here (other events, names or keys that may be used, figures that are refused) stops the fold before the
event, which has then changed nothing; `Ledger.apply` takes it. So nothing is refused here, only left.
"""

from __future__ import annotations

from seawall.core.units import LOT_VALUE_NANO_MAX, PPM, VALUE_NANO_MAX
from seawall.kernels.compiled import entry, inner
from seawall.kernels.memory import fetch, get8, get32, get64, getu8, set64
from seawall.kernels.msgpack import read_array, read_int, read_text
from seawall.kernels.muldiv import mul_div_floor

from ..chart import ACTIVE, BACKSTOP, CLOSED, FEES, FROZEN, INSURANCE, LIQUIDATING, REDUCE_ONLY, ROUNDING, USER
from . import context as ctx
from .posting import balance_of, drop, fail, hold, position, post, settle, settle_interest, term
from .tables import fetch_place, hash_text, key_place, name_at, slot_at

__all__ = ["fold"]

_DEPOSIT, _WITHDRAW, _TRANSFER, _CHARGE, _COVER, _TRADE, _SETTLE = range(7)
_TAGS = tuple(
    int.from_bytes(tag, "little")
    for tag in (b"deposit", b"withdraw", b"transfer", b"charge", b"cover", b"trade", b"settle")
)
_ACCOUNT, _ASSET, _INSTRUMENT, _NUMBER = 1, 2, 3, 4
_FIELDS = (0x421, 0x421, 0x4211, 0x4211, 0x4211, 0x14444311, 0x1)
"""What the fields after time and key are, four bits each from the first."""
_KEY_BYTES_MAX = 128
_FIRST_FIELD = 8


# ---------------------------------------------------------------------------------------- reading


@inner
def _name(c, kind, at, size):
    if kind == _ACCOUNT:
        first = ctx.ACCOUNT_SLOTS
    elif kind == _ASSET:
        first = ctx.ASSET_SLOTS
    else:
        first = ctx.INSTRUMENT_SLOTS
    return name_at(get64(c, first), get64(c, first + 1), get64(c, first + 2), get64(c, first + 3), at, size)


@inner
def _tag(at, size):
    """Which event a tag names, −1 for one that is not done here."""
    if size > 8:
        return -1
    word = 0
    for k in range(size):
        word |= getu8(at, k) << 8 * k
    for code in range(7):
        if _TAGS[code] == word:
            return code
    return -1


@inner
def _read(c, at, end, event):
    """Puts an event's code, time, key and fields at `event`; code −1 where it is left to `Ledger.apply`."""
    set64(event, 0, -1)
    count, at = read_array(at, end)
    if at == -1 or count < 4:
        return
    tag, size, at = read_text(at, end)
    code = _tag(tag, size) if at != -1 else -1
    if code == -1:
        return
    at_ns, at = read_int(at, end)
    if at == -1:
        return
    text, size, at = read_text(at, end)
    if at == -1 or size > _KEY_BYTES_MAX:
        return
    for k in range(size):
        if not 0x20 <= getu8(text, k) < 0x7F:
            return
    set64(event, 1, at_ns)
    set64(event, 2, size)
    set64(event, 3, hash_text(text, size) | 1)
    kinds = _FIELDS[code]
    for k in range(count - 3):
        kind = kinds & 0xF
        kinds >>= 4
        if kind == _NUMBER:
            value, at = read_int(at, end)
        elif kind:
            text, size, at = read_text(at, end)
            value = _name(c, kind, text, size) if at != -1 else -1
            if value == -1:
                return
        else:
            return
        if at == -1:
            return
        set64(event, _FIRST_FIELD + k, value)
    if kinds == 0 and at == end:
        set64(event, 0, code)


@inner
def _fetch(c, event, again):
    """Asks for the memory of an event: of its accounts, and where their positions are; `again`: of the positions."""
    code = get64(event, 0)
    if code == -1:
        return
    for k in range(2 if code == _TRADE else 1):
        row = get64(event, _FIRST_FIELD + k)
        if code == _TRADE:
            instrument = get64(event, _FIRST_FIELD + 2)
            if again:
                slot = slot_at(c, row, instrument)
                if slot != -1:
                    fetch(get64(c, ctx.LOTS), slot)
                    fetch(get64(c, ctx.COST), slot)
                    fetch(get64(c, ctx.SINCE), slot)
                    fetch(get64(c, ctx.HOLDER) + 4 * slot, 0)
                    fetch(get64(c, ctx.HELD) + 4 * slot, 0)
                else:
                    fetch(get64(c, ctx.BEFORE) + 4 * max(0, get32(get64(c, ctx.HEAD), row)), 0)
            else:
                fetch_place(c, row, instrument)
        if not again:
            fetch(get64(get64(c, ctx.BALANCE), 0), row)
            fetch(get64(c, ctx.HEAD) + 4 * row, 0)


@inner
def _may_apply(c, event):
    """Whether the event is one that is known here, in time, and its key surely new."""
    if get64(event, 0) == -1 or get64(event, 1) < get64(c, ctx.AT_NS):
        return False
    set64(c, ctx.KEY_SIZE, get64(event, 2))
    if get64(event, 2) == 0:
        return True
    keys, mask, hashed = get64(c, ctx.KEYS), get64(c, ctx.KEYS_MASK), get64(event, 3)
    if 2 * get64(c, ctx.KEYS_COUNT) > mask or get64(c, ctx.KEYED_COUNT) >= ctx.KEYED_MAX:
        fail(c, ctx.NO_ROOM)
        return False
    return get64(keys, key_place(keys, mask, hashed)) == 0


# --------------------------------------------------------------------------------------- checking


@inner
def _kind(c, row):
    return get8(get64(c, ctx.KIND), row)


@inner
def _state(c, row):
    parent, states = get32(get64(c, ctx.PARENT), row), get64(c, ctx.STATE)
    if parent != -1 and get8(states, parent) == FROZEN:
        return FROZEN
    return get8(states, row)


@inner
def _treasury(kind):
    return kind == INSURANCE or kind == BACKSTOP or kind == FEES


@inner
def _may_receive(c, row):
    kind, state = _kind(c, row), _state(c, row)
    return (kind == USER or _treasury(kind)) and (state == ACTIVE or state == REDUCE_ONLY or state == LIQUIDATING)


@inner
def _may_send(c, row):
    kind, state = _kind(c, row), _state(c, row)
    return (kind == USER or _treasury(kind)) and (state == ACTIVE or state == REDUCE_ONLY)


@inner
def _may_trade(c, row, held, change):
    found = _state(c, row)
    if found == ACTIVE:
        return True
    if found != REDUCE_ONLY and found != LIQUIDATING:
        return False
    return (held > 0) != (change > 0) and abs(change) <= abs(held)


@inner
def _owner(c, row):
    parent = get32(get64(c, ctx.PARENT), row)
    return row if parent == -1 else parent


@inner
def _require(c, holds):
    if not holds:
        fail(c, ctx.IMPOSSIBLE)


# ---------------------------------------------------------------------------------------- posting


@inner
def _spot(c, row, instrument, lots, cash):
    base, quote, units = term(c, instrument, 4), term(c, instrument, 0), lots * term(c, instrument, 5)
    _require(c, _may_trade(c, row, settle_interest(c, row, base), units))
    borrowable = get64(c, ctx.BORROWABLE)
    if units < 0 and get64(borrowable, base) == 0:
        _require(c, settle_interest(c, row, base) >= -units)
    if cash < 0 and get64(borrowable, quote) == 0:
        _require(c, settle_interest(c, row, quote) >= -cash)
    post(c, row, base, units)
    post(c, row, quote, cash)


@inner
def _fill(c, row, instrument, lots, cash, price):
    kind, only = _kind(c, row), get32(get64(c, ctx.ONLY), row)
    _require(c, kind == USER or kind == INSURANCE or kind == BACKSTOP)
    _require(c, only == -1 or only == instrument)
    if term(c, instrument, 4) != -1:
        _spot(c, row, instrument, lots, cash)
        return
    slot = position(c, row, instrument)
    held = get64(get64(c, ctx.LOTS), slot) if slot != -1 else 0
    _require(c, _may_trade(c, row, held, lots) and abs(held + lots) <= (VALUE_NANO_MAX - 1) // price)
    if get64(c, ctx.FAILED) == 0:
        hold(c, row, instrument, slot, lots, cash)


@inner
def _trade(c, f):
    maker, taker, instrument, fees = get64(f, 0), get64(f, 1), get64(f, 2), get64(f, 7)
    lots, price, maker_ppm, taker_ppm = get64(f, 3), get64(f, 4), get64(f, 5), get64(f, 6)
    legal = get64(get64(c, ctx.EXPIRY), instrument) < 0 and _kind(c, fees) == FEES and maker != taker
    legal &= 1 <= price < LOT_VALUE_NANO_MAX and lots != 0 and -PPM <= taker_ppm <= PPM and -taker_ppm <= maker_ppm <= PPM
    size = abs(lots)
    # size × units of a lot of spot must fit too; what does not is left to the exact arithmetic of the twin
    if not legal or size < 0 or size > (VALUE_NANO_MAX - 1) // price or size > 2**62 // max(1, term(c, instrument, 5)):
        fail(c, ctx.IMPOSSIBLE)
        return
    notional, per, asset = size * price, term(c, instrument, 2), term(c, instrument, 0)
    paid, got = -(-notional // per), notional // per
    taker_fee, maker_fee = _fee(notional, taker_ppm, per), _fee(notional, maker_ppm, per)
    _fill(c, taker, instrument, lots, -paid if lots > 0 else got, price)
    post(c, taker, asset, -taker_fee)
    _fill(c, maker, instrument, -lots, got if lots > 0 else -paid, price)
    post(c, maker, asset, -maker_fee)
    post(c, fees, asset, taker_fee + maker_fee)
    post(c, get64(c, ctx.ROUNDING), asset, paid - got)


@inner
def _fee(notional, ppm, per):
    """ceil(notional × ppm ÷ (per × 10⁶))."""
    return -mul_div_floor(-notional, ppm, per * PPM)


@inner
def _money(c, code, f):
    """Deposits, withdrawals, transfers, charges and covers."""
    last = 1 if code == _DEPOSIT or code == _WITHDRAW else 2
    one, other, asset, amount = get64(f, 0), get64(f, 1), get64(f, last), get64(f, last + 1)
    _require(c, amount >= 1)
    if code == _DEPOSIT:
        _require(c, _may_receive(c, one) and get32(get64(c, ctx.PARENT), one) == -1)
        post(c, get64(c, ctx.OUTSIDE), asset, -amount)
        post(c, one, asset, amount)
    elif code == _WITHDRAW:
        _require(c, _may_send(c, one) and get32(get64(c, ctx.PARENT), one) == -1)
        settle(c, one)
        _require(c, amount <= balance_of(c, one, asset))
        post(c, one, asset, -amount)
        post(c, get64(c, ctx.OUTSIDE), asset, amount)
    elif code == _TRANSFER:
        _require(c, one != other)
        if _kind(c, one) == USER:
            _require(c, _may_send(c, one) and _kind(c, other) == USER and _may_receive(c, other))
            parents = get64(c, ctx.PARENT)
            _require(c, _owner(c, one) == _owner(c, other) or (get32(parents, one) == -1 and get32(parents, other) == -1))
            settle(c, one)
        else:
            _require(c, (_treasury(_kind(c, one)) or _kind(c, one) == ROUNDING) and _treasury(_kind(c, other)))
        _require(c, amount <= balance_of(c, one, asset))
        post(c, one, asset, -amount)
        post(c, other, asset, amount)
    elif code == _CHARGE:
        _require(c, _kind(c, one) == USER and _may_receive(c, one) and _treasury(_kind(c, other)))
        post(c, one, asset, -amount)
        post(c, other, asset, amount)
    else:
        _require(c, _kind(c, one) == INSURANCE or _kind(c, one) == BACKSTOP)
        _require(c, _kind(c, other) == USER and get8(get64(c, ctx.STATE), other) != CLOSED)
        settle(c, other)
        _require(c, amount <= balance_of(c, one, asset) and amount <= -balance_of(c, other, asset))
        post(c, one, asset, -amount)
        post(c, other, asset, amount)


@inner
def _undo(c):
    """Every figure as it was before the event."""
    undo = get64(c, ctx.UNDO)
    for k in range(get64(c, ctx.UNDO_COUNT) - 1, -1, -1):
        set64(get64(undo, 2 * k), 0, get64(undo, 2 * k + 1))
    made = get64(c, ctx.MADE)
    for k in range(get64(c, ctx.MADE_COUNT) - 1, -1, -1):
        drop(c, get64(made, k))
    for k in range(get64(c, ctx.ASSETS)):
        set64(get64(c, ctx.MONEY), k, 0)
    for k in range(get64(c, ctx.INSTRUMENTS)):
        set64(get64(c, ctx.HELD_LOTS), k, 0)
    set64(c, ctx.LINES_COUNT, get64(c, ctx.LINES_AT))


@inner
def _keep(c, event, record):
    """The event happened: positions without lots go, a key is used from now on."""
    emptied = get64(c, ctx.EMPTIED)
    for k in range(get64(c, ctx.EMPTIED_COUNT)):
        slot = get64(emptied, k)
        if get64(get64(c, ctx.LOTS), slot) == 0 and get32(get64(c, ctx.HOLDER), slot) != -1:
            drop(c, slot)
    set64(c, ctx.AT_NS, get64(event, 1))
    set64(c, ctx.SEQUENCE, get64(c, ctx.SEQUENCE) + 1)
    if get64(event, 2):
        keys, hashed = get64(c, ctx.KEYS), get64(event, 3)
        set64(keys, key_place(keys, get64(c, ctx.KEYS_MASK), hashed), hashed)
        set64(c, ctx.KEYS_COUNT, get64(c, ctx.KEYS_COUNT) + 1)
        keyed, count = get64(c, ctx.KEYED), get64(c, ctx.KEYED_COUNT)
        set64(keyed, 4 * count, record)
        set64(keyed, 4 * count + 1, get64(c, ctx.LINES_AT))
        set64(keyed, 4 * count + 2, get64(c, ctx.LINES_COUNT))
        set64(keyed, 4 * count + 3, get64(c, ctx.SEQUENCE))
        set64(c, ctx.KEYED_COUNT, count + 1)


@inner
def _apply(c, event):
    """Posts one event; FAILED where it is not to be kept."""
    for counter in (ctx.UNDO_COUNT, ctx.MADE_COUNT, ctx.EMPTIED_COUNT):
        set64(c, counter, 0)
    set64(c, ctx.LINES_AT, get64(c, ctx.LINES_COUNT))
    if get64(c, ctx.FREE_COUNT) + ctx.SCRATCH_MAX > get64(c, ctx.FREE_MAX):
        fail(c, ctx.NO_ROOM)
        return
    code, fields = get64(event, 0), event + 8 * _FIRST_FIELD
    if code == _TRADE:
        _trade(c, fields)
    elif code == _SETTLE:
        kind = _kind(c, get64(fields, 0))
        _require(c, kind == USER or kind == INSURANCE or kind == BACKSTOP)
        settle(c, get64(fields, 0))
    else:
        _money(c, code, fields)
    if get64(c, ctx.FAILED):
        _undo(c)


@entry
def fold(c, starts, first, last):
    """Applies the events first to last − 1, event k from the k-th address at starts to the next, and returns the number
    of the first that it left: FAILED then says why, 0 for one that it does not know."""
    set64(c, ctx.FAILED, 0)
    block = get64(c, ctx.BLOCK)
    for begin in range(first, last, ctx.BLOCK_EVENTS):
        count = min(ctx.BLOCK_EVENTS, last - begin)
        for k in range(count):
            event = block + 8 * ctx.BLOCK_WIDTH * k
            _read(c, get64(starts, begin + k), get64(starts, begin + k + 1), event)
            _fetch(c, event, False)
        for k in range(count):
            _fetch(c, block + 8 * ctx.BLOCK_WIDTH * k, True)
        for k in range(count):
            event = block + 8 * ctx.BLOCK_WIDTH * k
            if not _may_apply(c, event):
                return begin + k
            _apply(c, event)
            if get64(c, ctx.FAILED):
                return begin + k
            _keep(c, event, begin + k)
    return last
