"""What the step will read of the accounts that it has woken, asked for while it works on others (`kernels/prefetch.py`).

Three stages, since each reads what the one before has asked for: an account's row; what that points to; and
where the account is filed, and beside whom.
"""

from seawall.engine.state import (
    ACCOUNT_ITEMS,
    BEGIN,
    EXPOSURE_ITEMS,
    HOT_PLACE,
    ITEM_TIME,
    LENGTH,
    START,
    WATCH_ACCOUNT,
    WATCH_LENGTH,
    WATCH_START,
)
from seawall.kernels import wheel
from seawall.kernels.compiled import once
from seawall.kernels.prefetch import prefetch

STAGES = 3
LINE = 16  # buckets in a line of the cache
FAR = 16 * LINE  # the machine sees by itself that a long walk goes on


@once
def owner(holdings, watch, item):
    """The account that an item of the wheel is filed for."""
    of_accounts = ACCOUNT_ITEMS * len(watch.level)
    if item < of_accounts:
        return item // ACCOUNT_ITEMS
    return holdings.watch[(item - of_accounts) // EXPOSURE_ITEMS, WATCH_ACCOUNT]


@once
def buckets(watch, plan, plans):
    """Asks for the buckets that a plan drains."""
    for r in range(plans):
        for bucket in range(plan[r, 1], min(plan[r, 2], plan[r, 1] + FAR) + LINE, LINE):
            prefetch(watch.wheel.heads, (plan[r, 0], bucket))


@once
def owners(holdings, watch, count):
    """Asks for what says whose the items in watch.items[: count] are."""
    of_accounts = ACCOUNT_ITEMS * len(watch.level)
    for k in range(count):
        item = watch.items[k]
        if item >= of_accounts:
            prefetch(holdings.watch, ((item - of_accounts) // EXPOSURE_ITEMS, WATCH_ACCOUNT))


@once
def look(holdings, watch, touched, t, count):
    """Asks for the accounts that come after touched[t]; to be called from t = -STAGES on."""
    if t + STAGES < count:
        _account(holdings, touched[t + STAGES])
    if 0 <= t + STAGES - 1 < count:
        _holdings(holdings, watch, touched[t + STAGES - 1])
    if 0 <= t + 1 < count:
        _neighbours(holdings, watch, touched[t + 1])


@once
def _account(holdings, account):
    prefetch(holdings.accounts, (account, 0))
    prefetch(holdings.accounts, (account, WATCH_LENGTH))


@once
def _holdings(holdings, watch, account):
    row, items = holdings.accounts[account], watch.wheel.items
    start, first = row[START], row[WATCH_START]
    prefetch(holdings.leg, start)
    prefetch(holdings.lots, start)
    prefetch(holdings.lots, start + row[LENGTH] - 1)
    prefetch(holdings.watch, (first, 0))
    prefetch(watch.figures, (account, 0))
    prefetch(watch.level, account)
    prefetch(watch.hot, (HOT_PLACE, account))
    prefetch(watch.hot, (BEGIN, account))
    prefetch(items, (ACCOUNT_ITEMS * account + ITEM_TIME, 0))
    of_exposures = ACCOUNT_ITEMS * len(watch.level) + EXPOSURE_ITEMS * first
    for e in range(row[WATCH_LENGTH]):
        prefetch(items, (of_exposures + EXPOSURE_ITEMS * e, 0))


@once
def _neighbours(holdings, watch, account):
    row = holdings.accounts[account]
    of_exposures = ACCOUNT_ITEMS * len(watch.level) + EXPOSURE_ITEMS * row[WATCH_START]
    for k in range(ACCOUNT_ITEMS + EXPOSURE_ITEMS * row[WATCH_LENGTH]):
        _beside(watch.wheel, ACCOUNT_ITEMS * account + k if k < ACCOUNT_ITEMS else of_exposures + k - ACCOUNT_ITEMS)


@once
def _beside(filed, item):
    row = filed.items[item]
    if row[wheel.COORDINATE] < 0:
        return
    if row[wheel.PREV] >= 0:
        prefetch(filed.items, (row[wheel.PREV], 0))
    else:
        prefetch(filed.heads, (row[wheel.COORDINATE], row[wheel.BUCKET]))
    if row[wheel.NEXT] >= 0:
        prefetch(filed.items, (row[wheel.NEXT], 0))
