"""Who is acted upon first when very many fail at once: by systemic importance, and nobody waits for ever.

Importance is what others stand to lose if the account is left alone for one more step: the loss of a bad move on all
that it holds, beyond its own equity. It is what the waterfall would have to bear, not how loud the account's margin
ratio is: a whale slightly below maintenance comes before a bankrupt crumb.

Beside it a second lane serves the longest waiting: one action in `aged_every` is theirs. So an account that finds n
others waiting is acted upon within aged_every·(n + 1) actions, however much important ones arrive after it. Memory is
three arrays over the accounts of the book, whatever happens.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from seawall.core.errors import InputError, invariant
from seawall.core.units import PPM

__all__ = ["LiquidationQueue", "importance_micro"]

Array = np.ndarray[Any, Any]


def importance_micro(equity_micro: Array, gross_micro: Array, move_ppm: int) -> Array:
    """int64[n]: what a move of `move_ppm` against all that is held would leave to others, rounded up, at least 0."""
    whole, part = np.divmod(np.asarray(gross_micro), PPM)
    loss = whole * move_ppm - (-part * move_ppm // PPM)
    return np.asarray(np.maximum(loss - np.asarray(equity_micro), 0))


class LiquidationQueue:
    """Accounts 0 … capacity − 1 that wait for an action. Same calls, same answers.

    `add` also renews the importance of those that wait; they keep their place in the second lane.
    """

    def __init__(self, capacity: int, aged_every: int = 8) -> None:
        if capacity < 1 or aged_every < 2:
            raise InputError("liquidation queue", f"capacity {capacity}, aged_every {aged_every}", "at least 1 and 2")
        self.aged_every = aged_every
        self._importance = np.zeros(capacity, np.int64)
        self._arrival = np.full(capacity, -1, np.int64)  # −1: does not wait
        self._arrivals = 0
        self._taken = 0
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def __contains__(self, account: int) -> bool:
        return bool(self._arrival[account] >= 0)

    @property
    def nbytes(self) -> int:
        """Memory of the queue, whatever waits."""
        return self._importance.nbytes + self._arrival.nbytes

    def add(self, accounts: Array, importance: Array) -> int:
        """Takes in accounts (int64[n], distinct) with their importance (int64[n]); how many are new."""
        accounts = np.asarray(accounts, np.int64)
        self._importance[accounts] = importance
        fresh = accounts[self._arrival[accounts] < 0]
        self._arrival[fresh] = self._arrivals + np.arange(len(fresh))
        self._arrivals += len(fresh)
        self._waiting += len(fresh)
        return len(fresh)

    def remove(self, accounts: Array) -> int:
        """Accounts that need nothing any more; how many of them waited."""
        accounts = np.unique(np.asarray(accounts, np.int64))
        waited = accounts[self._arrival[accounts] >= 0]
        self._arrival[waited] = -1
        self._waiting -= len(waited)
        return len(waited)

    def take(self, count: int) -> Array:
        """int64[k], k ≤ count: the next accounts, in the order in which they are to be acted upon; they leave.

        Every aged_every-th of all actions is the longest waiting; the others are the most important, equal ones by
        arrival.
        """
        count = min(count, self._waiting)
        if count <= 0:
            return np.zeros(0, np.int64)
        waiting = np.flatnonzero(self._arrival >= 0)
        places = np.arange(self._taken, self._taken + count)
        important = _first(waiting, -self._importance[waiting], self._arrival[waiting], count)
        oldest = _first(waiting, self._arrival[waiting], self._arrival[waiting], count)
        out = _merged(important, oldest, places % self.aged_every == self.aged_every - 1)
        invariant(len(out) == count, "a queue gives as many as it has")
        self._arrival[out] = -1
        self._waiting -= count
        self._taken += count
        return out


def _first(waiting: Array, key: Array, arrival: Array, count: int) -> Array:
    """The `count` least by (key, arrival), in order."""
    if count < len(waiting):
        edge = np.partition(key, count - 1)[count - 1]
        kept = np.flatnonzero(key <= edge)
        waiting, key, arrival = waiting[kept], key[kept], arrival[kept]
    return np.asarray(waiting[np.lexsort((arrival, key))][:count])


def _merged(important: Array, oldest: Array, aged: Array) -> Array:
    """One list of distinct accounts, each place filled from its lane; a lane skips whom the other has taken."""
    out: list[int] = []
    seen: set[int] = set()
    lanes = (iter(important.tolist()), iter(oldest.tolist()))
    for turn in aged.tolist():
        for account in lanes[1 if turn else 0]:
            if account not in seen:
                seen.add(account)
                out.append(account)
                break
    return np.array(out, np.int64)
