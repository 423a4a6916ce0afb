"""What a liquidation does to property: transfers of money and deliveries of lots, for the ledger to post.

Each has a payer and a payee, so nothing is made or lost here: sums over all parties are zero by construction, and
what a mechanism paid out beyond what it took in shows as a party's balance in `net`.
"""

from collections.abc import Iterable

import msgspec

from seawall.core.errors import invariant

__all__ = ["Delivery", "Transfer", "net", "pay"]


class Transfer(msgspec.Struct, frozen=True, tag="transfer"):
    """amount_micro > 0 of an asset from payer to payee (an account's name or a venue's fund), and why."""

    payer: str
    payee: str
    asset: str
    amount_micro: int
    cause: str


class Delivery(msgspec.Struct, frozen=True, tag="delivery"):
    """lots of an instrument (negative: a short) from payer to payee, and why; its cash side is a Transfer.

    price_nano: of a lot, at which the payee's books enter it.
    """

    payer: str
    payee: str
    instrument: str
    lots: int
    cause: str
    price_nano: int = 0


def pay(payer: str, payee: str, asset: str, amount_micro: int, cause: str) -> tuple[Transfer, ...]:
    """One transfer, or none where there is nothing to pay or payer and payee are one."""
    invariant(amount_micro >= 0, "a transfer is never negative", f"{payer} to {payee}: {amount_micro}")
    if amount_micro == 0 or payer == payee:
        return ()
    return (Transfer(payer, payee, asset, amount_micro, cause),)


def net(moves: Iterable[Transfer | Delivery]) -> dict[tuple[str, str], int]:
    """(party, asset or instrument) → micro or lots gained; sums to zero over the parties of each."""
    out: dict[tuple[str, str], int] = {}
    for move in moves:
        what, size = (move.asset, move.amount_micro) if isinstance(move, Transfer) else (move.instrument, move.lots)
        out[move.payer, what] = out.get((move.payer, what), 0) - size
        out[move.payee, what] = out.get((move.payee, what), 0) + size
    return out
