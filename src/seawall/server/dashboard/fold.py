"""How a view changes: the difference between two views, and the fold that makes the second from the first.

A view is a dict of sections of three shapes. A *map* has rows by name, of which only changed ones travel. A *ring* is a
list of points whose first item is a rising number; only new ones travel, and the oldest fall off at its capacity. All
other sections travel whole, when they change. `static/js/fold.js` is the same fold; a test runs both on one stream.
"""

from __future__ import annotations

from typing import Any

__all__ = ["MAPS", "RINGS", "difference", "fold"]

View = dict[str, Any]

MAPS = ("prices", "rows", "closings", "auctions", "curves")
RINGS = {"log": 60, "series": 600, "day": 720, "news": 80}  # section: points kept


def difference(old: View, new: View) -> View:
    """What turns `old` into `new`: {"set": {…}, "map": {section: {name: row | None}}, "ring": {section: […]}}.

    Rings of `new` continue those of `old`: they may only have lost old points and won new ones.
    """
    out: View = {"set": {}, "map": {}, "ring": {}}
    for name, value in new.items():
        before = old.get(name)
        if name in MAPS:
            changed = _changed_rows(before or {}, value)
            if changed:
                out["map"][name] = changed
        elif name in RINGS:
            last = before[-1][0] if before else None
            fresh = value if last is None else [point for point in value if point[0] > last]
            if fresh:
                out["ring"][name] = fresh
        elif value != before:
            out["set"][name] = value
    return out


def fold(view: View, change: View) -> View:
    """The view after a change; the one given is left as it was."""
    out = dict(view)
    out.update(change["set"])
    for name, rows in change["map"].items():
        merged = out.get(name, {}) | rows
        out[name] = {key: row for key, row in merged.items() if row is not None}
    for name, points in change["ring"].items():
        out[name] = (out.get(name, []) + points)[-RINGS[name] :]
    return out


def _changed_rows(old: View, new: View) -> View:
    changed = {key: row for key, row in new.items() if old.get(key) != row}
    return changed | {key: None for key in old if key not in new}
