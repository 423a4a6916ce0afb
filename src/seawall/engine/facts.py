"""What the log says beside an event: what was decided by it, so that a restart need not decide it again.

Most events change nobody's status; for those nothing is said. Facts are compared with what the engine says wherever the
engine is asked again: over the end of a log at each start, over all of it by `seawall journal verify --deep`.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from seawall.core import events as core_events
from seawall.engine.clearing_events import TICK, Outcome, Ticks
from seawall.engine.decision import STATUSES, Figures, Verdict
from seawall.ledger import events as ledger_events

__all__ = ["CHANGE", "Facts", "facts_of", "usual_versions"]

CHANGE: Any = np.dtype(
    [("account", "<i4"), ("status", "<i4"), ("equity_micro", "<i8"), ("initial_micro", "<i8"), ("maintenance_micro", "<i8")]
)
"""One changed status: number of the account, number of the new status in `STATUSES`, figures that decided. 32 bytes."""
CHANGES_MAX = 1 << 18  # of one event; where more changed nothing is said, and a restart asks the engine


class Facts(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """versions: by how many the event moved the market version, 0 where nobody was evaluated. changes: rows of CHANGE,
    the most severe first. verdict: of a request that margin admitted: the reason, then equity, initial and maintenance
    margin before and after (micro). rows: of an order, (leg, lots, limit in nano per lot)."""

    versions: int = 1
    changes: bytes = b""
    verdict: tuple[str, int, int, int, int, int, int] | None = None
    rows: tuple[tuple[int, int, int], ...] = ()

    def trimmed(self) -> list[Any]:
        """The fields without those at the end that are as usual."""
        fields = list(msgspec.structs.astuple(self))
        usual = msgspec.structs.astuple(_USUAL)
        while fields and fields[-1] == usual[len(fields) - 1] and len(fields) > 1:
            fields.pop()
        return fields

    def changed(self) -> np.ndarray:
        """The rows of `changes`; ValueError where they are none."""
        return np.frombuffer(self.changes, CHANGE)

    def told(self) -> Verdict | None:
        """The verdict as an outcome has it."""
        if self.verdict is None:
            return None
        reason, *six = self.verdict
        return Verdict(True, reason, Figures(*six[:3]), Figures(*six[3:]))


_USUAL = Facts()
_EVALUATE_NOBODY = (ledger_events.Open, ledger_events.OpenBucket, ledger_events.Premium, ledger_events.SetState)


def usual_versions(event: Any) -> int:
    """The market versions of an event of which nothing is said."""
    if isinstance(event, Ticks):
        return len(event.packed) // TICK.itemsize
    return 0 if type(event) in _EVALUATE_NOBODY else 1


def facts_of(clearing: Any, event: Any, outcome: Outcome) -> Facts | None:
    """What to say of an event that `clearing` has just applied; None where there is too much to say."""
    if outcome.versions < 0 or len(outcome.decisions) > CHANGES_MAX:
        return None
    changes = b""
    if outcome.decisions:
        index = clearing.ledger.state.rows
        changes = np.array(
            [
                (index[one.account], STATUSES.index(one.status), one.equity_micro, one.initial_micro, one.maintenance_micro)
                for one in outcome.decisions
            ],
            CHANGE,
        ).tobytes()
    verdict: Any = None
    if outcome.verdict is not None:
        before, after = outcome.verdict.before, outcome.verdict.after
        verdict = (outcome.verdict.reason, *msgspec.structs.astuple(before), *msgspec.structs.astuple(after))
    rows: tuple[tuple[int, int, int], ...] = ()
    if isinstance(event, core_events.Order):
        account = clearing.ledger.state.rows[event.account]
        rows = tuple((leg, lots, limit) for leg, lots, limit in clearing.engine.book.open[account, event.id])
    return Facts(outcome.versions, changes, verdict, rows)
