"""The chart of accounts: which kinds there are, the states of a user's account, and who may do what.

Tables only. A kind or a state is a small integer in the ledger's columns; the order of both is part of the state
hash and of snapshots, so that new ones are appended.
"""

from __future__ import annotations

__all__ = [
    "ACTIVE",
    "BACKSTOP",
    "CLEARING",
    "CLOSED",
    "FEES",
    "FROZEN",
    "FUNDS",
    "GENESIS",
    "INSURANCE",
    "KINDS",
    "LIQUIDATING",
    "OPENABLE",
    "OUTSIDE",
    "REDUCE_ONLY",
    "ROUNDING",
    "STATES",
    "TRADERS",
    "TRANSITIONS",
    "TREASURY",
    "USER",
]

KINDS = ("user", "insurance", "backstop", "fees", "rounding", "clearing", "outside")
USER, INSURANCE, BACKSTOP, FEES, ROUNDING, CLEARING, OUTSIDE = range(len(KINDS))
STATES = ("active", "reduce-only", "in-liquidation", "frozen", "closed")
ACTIVE, REDUCE_ONLY, LIQUIDATING, FROZEN, CLOSED = range(len(STATES))

GENESIS = (
    ("outside", OUTSIDE),  # minus everything that ever came in and has not left
    ("rounding", ROUNDING),  # what roundings against accounts leave over
    ("funding", CLEARING),  # funding that one side has been settled for and the other not yet
    ("interest", CLEARING),
    ("expiry", CLEARING),
    ("fees", FEES),
    ("insurance", INSURANCE),
    ("backstop", BACKSTOP),
)
"""Accounts that every ledger begins with, and the kind of each."""

OPENABLE = (USER, INSURANCE, BACKSTOP, FEES)
FUNDS = (INSURANCE, BACKSTOP)
"""Who may cover a debt."""
TRADERS = (USER, INSURANCE, BACKSTOP)
"""Who may hold positions."""
TREASURY = (INSURANCE, BACKSTOP, FEES)
"""What the venue may pay into and out of; `rounding` may only be paid out of."""

TRANSITIONS = {
    ACTIVE: (REDUCE_ONLY, LIQUIDATING, FROZEN, CLOSED),
    REDUCE_ONLY: (ACTIVE, LIQUIDATING, FROZEN, CLOSED),
    LIQUIDATING: (ACTIVE, REDUCE_ONLY, FROZEN),
    FROZEN: (ACTIVE, REDUCE_ONLY, LIQUIDATING, CLOSED),
    CLOSED: (),
}
"""State → the states that may follow. Only an account without balance, position and open bucket may close."""
