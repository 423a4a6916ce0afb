"""What a keeper has earned: by auction, realised and at the marks, exact to the last digit.

Positions enter at the venue's mark of the sale, so what an auction earned at once (its edge: what was got less what was paid) and
what became of the positions since are two figures. They leave first in, first out, each piece to the account of the auction that
it came from. Invariant: edges + rewards + realised + marked - fees = cash that came in + Σ quantity · mark.
"""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from seawall.core.units import format_decimal

__all__ = ["Books", "Purchase"]

ZERO = Decimal(0)
OUTSIDE = 0  # what was there before, and trades of our own that opened something
COLUMNS = ("auction", "account", "at_ns", "sequence", "share", "paid", "worth", "edge", "reward", "realised", "marked", "total")


class Purchase(msgspec.Struct, kw_only=True):
    """What one auction brought. worth: at the marks of the sale, cash included; paid: negative where the keeper was paid."""

    auction: int
    account: str
    at_ns: int
    sequence: int
    share: Decimal = ZERO
    paid: Decimal = ZERO
    worth: Decimal = ZERO
    reward: Decimal = ZERO
    realised: Decimal = ZERO

    @property
    def edge(self) -> Decimal:
        """What was got less what was paid."""
        return self.worth - self.paid


class _Piece(msgspec.Struct):
    auction: int
    quantity: Decimal
    entry: Decimal


class Books:
    """Purchases by auction, pieces by instrument, cash since the beginning."""

    def __init__(self) -> None:
        self.purchases: dict[int, Purchase] = {}
        self.pieces: dict[str, deque[_Piece]] = {}
        self.marks: dict[str, Decimal] = {}
        self.cash = self.fees = self.realised_outside = ZERO

    # ------------------------------------------------------------------ what happens

    def bought(
        self, auction: int, account: str, *, share: Decimal, paid: Decimal, worth: Decimal, quantities: Mapping[str, Decimal],
        marks: Mapping[str, Decimal], at_ns: int, sequence: int,
    ) -> Purchase:  # fmt: skip
        """A fill: quantities came at the marks, with the cash that makes them worth `worth`, for `paid`."""
        found = self.purchases.setdefault(auction, Purchase(auction=auction, account=account, at_ns=at_ns, sequence=sequence))
        found.share += share
        found.paid += paid
        found.worth += worth
        self.cash += worth - sum((q * marks[i] for i, q in quantities.items()), ZERO) - paid
        for instrument, quantity in quantities.items():
            self.marks[instrument] = marks[instrument]
            self._move(instrument, quantity, marks[instrument], auction)
        return found

    def rewarded(self, auction: int, amount: Decimal) -> None:
        """A keeper's reward of an auction in which it bought."""
        self.purchases[auction].reward += amount
        self.cash += amount

    def traded(self, instrument: str, quantity: Decimal, price: Decimal, fee: Decimal = ZERO) -> None:
        """A trade of the keeper's own, a hedge or an unwinding."""
        self.cash -= quantity * price + fee
        self.fees += fee
        self.marks.setdefault(instrument, price)
        self._move(instrument, quantity, price, OUTSIDE)

    def mark(self, marks: Mapping[str, Decimal]) -> None:
        """New marks of what is held."""
        self.marks.update({name: marks[name] for name in self.marks if name in marks})

    def _move(self, instrument: str, quantity: Decimal, price: Decimal, auction: int) -> None:
        pieces = self.pieces.setdefault(instrument, deque())
        while quantity and pieces and pieces[0].quantity * quantity < 0:
            first = pieces[0]
            closed = min(abs(first.quantity), abs(quantity)).copy_sign(first.quantity)
            self._realise(first.auction, closed * (price - first.entry))
            first.quantity -= closed
            quantity += closed
            if not first.quantity:
                pieces.popleft()
        if quantity:
            pieces.append(_Piece(auction, quantity, price))

    def _realise(self, auction: int, amount: Decimal) -> None:
        if auction == OUTSIDE:
            self.realised_outside += amount
        else:
            self.purchases[auction].realised += amount

    # ------------------------------------------------------------------ what there is

    @property
    def inventory(self) -> dict[str, Decimal]:
        """Quantities that came from auctions and trades of our own."""
        sums = {name: sum((piece.quantity for piece in pieces), ZERO) for name, pieces in self.pieces.items()}
        return {name: quantity for name, quantity in sums.items() if quantity}

    def marked(self, auction: int | None = None) -> Decimal:
        """Profit at the marks of what is still held of one auction, or of everything."""
        return sum(
            (
                piece.quantity * (self.marks[name] - piece.entry)
                for name, pieces in self.pieces.items()
                for piece in pieces
                if auction is None or piece.auction == auction
            ),
            ZERO,
        )

    def totals(self) -> dict[str, Decimal]:
        """Edge, rewards, realised, marked, fees, and their sum."""
        each = self.purchases.values()
        found = {
            "edge": sum((p.edge for p in each), ZERO),
            "rewards": sum((p.reward for p in each), ZERO),
            "realised": sum((p.realised for p in each), ZERO) + self.realised_outside,
            "marked": self.marked(),
            "fees": self.fees,
        }
        return found | {"total": sum(found.values(), ZERO) - 2 * self.fees}

    def rows(self) -> list[dict[str, str | int]]:
        """A line per auction, in the order in which they were first bought."""
        out = []
        for p in self.purchases.values():
            marked = self.marked(p.auction)
            total = p.edge + p.reward + p.realised + marked
            figures = {"share": p.share, "paid": p.paid, "worth": p.worth, "edge": p.edge, "reward": p.reward,
                       "realised": p.realised, "marked": marked, "total": total}  # fmt: skip
            words: dict[str, str | int] = {"auction": p.auction, "account": p.account, "at_ns": p.at_ns, "sequence": p.sequence}
            out.append(words | {name: format_decimal(value) for name, value in figures.items()})
        return out

    def report(self) -> dict[str, Any]:
        """Everything, amounts as decimal strings: {totals, auctions, positions}."""
        return {
            "totals": {name: format_decimal(value) for name, value in self.totals().items()},
            "auctions": self.rows(),
            "positions": [
                {"instrument": name, "quantity": format_decimal(quantity), "mark": format_decimal(self.marks[name])}
                for name, quantity in sorted(self.inventory.items())
            ],
        }

    def csv(self) -> str:
        """The lines of auctions as CSV with a header."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows())
        return text.getvalue()
