"""Maker's lists of what an auction must refuse, tried on our own auctions: with the fault, and without it."""

from collections.abc import Callable
from typing import Any

import msgspec

from seawall.core.times import SECOND_NS
from seawall.liquidation.auction_events import Bid, Oracle, Refused, Settle
from seawall.liquidation.auction_rules import CollateralRules
from seawall.liquidation.collateral_auction import CollateralAuctions, StartCollateral
from seawall.margin.conform.report import Unsupported

__all__ = ["refused_start", "refused_take"]

RULES = CollateralRules()
START = StartCollateral(
    owner="owner",
    keeper="keeper",
    bucket="ETH",
    instrument="ETH",
    lots=40_000,
    debt_micro=110_000_000,
    feed_nano=4_000_000,
    collateral_value_nano=2_000_000,
    requirement_micro=50_000_000,
    breached_ns=SECOND_NS,
    at_ns=SECOND_NS,
)
BID = Bid(
    auction=1, bidder="bidder", amount=1_000_000, limit=5_000_000, version=1, free_micro=10**9, at_ns=2 * SECOND_NS
)
_STARTS: dict[str, Callable[[], StartCollateral]] = {
    "tab=0": lambda: msgspec.structs.replace(START, debt_micro=0),
    "lot=0": lambda: msgspec.structs.replace(START, lots=0),
    "usr=null": lambda: msgspec.structs.replace(START, owner=""),
    "feed price 0": lambda: msgspec.structs.replace(START, feed_nano=0),
}
_TAKES: dict[str, Callable[[], Bid]] = {
    "max<price": lambda: msgspec.structs.replace(BID, limit=4_000_000),
    "auction absent": lambda: msgspec.structs.replace(BID, auction=2),
    "needs redo": lambda: msgspec.structs.replace(BID, at_ns=BID.at_ns + RULES.tail_ns),
}


def _house() -> CollateralAuctions:
    return CollateralAuctions({"ETH": RULES}, 10**12, "USD")


def _reason(outcomes: list[Any]) -> str | None:
    return next((outcome.reason for outcome in outcomes if isinstance(outcome, Refused)), None)


def refused_start(fault: str) -> tuple[str | None, str | None]:
    """Why a start is refused without the fault (None) and with it. Raises Unsupported for a fault unknown here."""
    house = _house()
    start = START
    if fault in _STARTS:
        start = _STARTS[fault]()
    elif fault == "feed stale":
        house.apply(Oracle(bucket="ETH", live=False, at_ns=START.at_ns))
    else:
        raise Unsupported(f"a situation that no rule here reads: {fault}")
    return _reason(_house().apply(START)), _reason(house.apply(start))


def refused_take(fault: str) -> tuple[str | None, str | None]:
    """As `refused_start`, of a bid. Events enter one at a time; what re-enters sees a state that has moved on."""
    if fault.startswith("re-entrant"):
        return _re_entrant()
    if fault not in _TAKES:
        raise Unsupported(f"a situation that no rule here reads: {fault}")
    return _reason(_taken([BID])), _reason(_taken([_TAKES[fault]()]))


def _taken(bids: list[Bid]) -> list[Any]:
    house = _house()
    out = house.apply(START)
    for bid in bids:
        out += house.apply(bid)
    return out + house.apply(Settle(at_ns=bids[-1].at_ns))


def _re_entrant() -> tuple[str | None, str | None]:
    """A taker that acts again on what it saw before its own fill: the state has another version then."""
    again = msgspec.structs.replace(BID, bidder="again", at_ns=BID.at_ns + 1)
    part = msgspec.structs.replace(BID, amount=100)
    return _reason(_taken([part])), _reason(_taken([part, again]))
