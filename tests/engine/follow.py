"""Runs an engine and its twin side by side, and says at which event they first differ."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.books import Case
from engine.paths import Path
from engine.twin import Expected, Twin
from seawall.core import events
from seawall.engine.decision import Decision
from seawall.engine.loop import Engine


@dataclass
class Pair:
    """An engine and its twin over one case."""

    case: Case
    engine: Engine = field(init=False)
    twin: Twin = field(init=False)
    decided: list[Decision] = field(default_factory=list)
    seen: list[events.Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.twin = Twin(self.case)
        self.engine = Engine(self.case.book, self.case.market, self.case.model)
        self._agree(self.engine.opening)

    def apply(self, event: events.Event) -> list[Decision]:
        """One event on both; AssertionError where a decision, a verdict or a status differs."""
        self.seen.append(event)
        self.twin.apply(event)
        decisions = self.engine.apply(event)
        if isinstance(event, events.Withdraw | events.Order) and self._admitted(event):
            self.twin.admit(event)
        self._agree(decisions)
        return decisions

    def run(self, path: Path, count: int) -> None:
        """So many events of a path, and an audit at the end."""
        for _ in range(count):
            self.apply(path.next(self.twin))
        assert self.engine.audit() == []

    def _agree(self, decisions: list[Decision]) -> None:
        expected = self.twin.decisions(self.engine)
        found = [
            Expected(d.account, d.kind, d.status, d.equity_micro, d.initial_micro, d.maintenance_micro)
            for d in decisions
        ]
        assert found == expected, self._where()
        assert all(d.at_ns == self.twin.at_ns and d.health_micro == d.equity_micro - d.maintenance_micro for d in decisions)
        numbers = range(len(self.decided) + 1, len(self.decided) + len(decisions) + 1)
        assert [d.sequence for d in decisions] == list(numbers), self._where()
        self.decided += decisions

    def _admitted(self, event: events.Withdraw | events.Order) -> bool:
        """The engine's verdict, checked against the rules as far as they need no order margin."""
        verdict, twin = self.engine.requests.last, self.twin
        place = twin.place(event.account)
        equity, initial, maintenance, _ = twin.sweep()[place].tolist()
        assert (verdict.before.equity_micro, verdict.before.maintenance_micro) == (equity, maintenance), self._where()
        if place not in twin.with_orders():
            assert verdict.before.initial_micro == initial, self._where()
        covered = verdict.after.free_collateral_micro >= 0
        if isinstance(event, events.Withdraw):
            assert verdict.admitted == covered, self._where()
            return verdict.admitted
        assert (verdict.after.equity_micro, verdict.after.maintenance_micro) == (equity, maintenance), self._where()
        changes, paid_nano = twin.trade(event.instrument, event.quantity, event.price)
        reduces = self._shrinks(place, changes) and twin.filled(place, changes, paid_nano)[2] < maintenance
        assert verdict.admitted == (covered or reduces), self._where()
        return verdict.admitted

    def _shrinks(self, place: int, changes: list[tuple[int, int]]) -> bool:
        """Whether no position can end larger, with the open orders of the same side filled too."""
        twin = self.twin
        for leg, lots in changes:
            held = twin.held[place].get(leg, 0)
            side = lots
            for (account, _), rows in twin.open_orders.items():
                side += sum(q for at, q in rows if account == twin.names[place] and at == leg and q * lots > 0)
            if abs(held + lots) > abs(held) or abs(held + side) > abs(held):
                return False
        return True

    def _where(self) -> str:
        last = self.seen[-1] if self.seen else "start"
        return f"case {self.case.seed} of {self.case.model_name}, event {len(self.seen)}: {last}"
