"""What the engine says: decisions about accounts, and verdicts on requests."""

import msgspec

STATUSES = ("ok", "margin_call", "liquidatable", "bankrupt")


class Decision(msgspec.Struct, frozen=True):
    """An account's status has changed, at the very event that changed it.

    kind: "margin_call", "liquidatable", "bankrupt" or "recovered" (to a better status);
    status: the new one. Amounts in micro of the settlement currency.
    """

    sequence: int
    at_ns: int
    account: str
    kind: str
    status: str
    market_version: int
    equity_micro: int
    initial_micro: int
    maintenance_micro: int
    health_micro: int
    cause: str


class Figures(msgspec.Struct, frozen=True):
    """One account's margin in micro; initial margin includes its open orders."""

    equity_micro: int
    initial_micro: int
    maintenance_micro: int

    @property
    def health_micro(self) -> int:
        return self.equity_micro - self.maintenance_micro

    @property
    def free_collateral_micro(self) -> int:
        return self.equity_micro - self.initial_micro


class Verdict(msgspec.Struct, frozen=True):
    """Whether a request was admitted, why, and the account before and after it."""

    admitted: bool
    reason: str
    before: Figures
    after: Figures
    decisions: tuple[Decision, ...] = ()
