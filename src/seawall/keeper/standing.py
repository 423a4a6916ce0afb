"""Keeps a strategy's standing bids standing: files what is missing, files again what was used up or is over, takes all back at the end."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from seawall.core.signing import CancelTerms, RankedTerms, sign
from seawall.keeper.opportunity import View
from seawall.keeper.strategy import RankedWish

if TYPE_CHECKING:
    from seawall.keeper.bot import Keeper

__all__ = ["StandingBids"]

MICRO = 10**6
SECOND_NS = 10**9
HOUR_NS = 3600 * SECOND_NS
AGAIN_NS = 5 * SECOND_NS


class StandingBids:
    """keep: whether they stay at the venue when the keeper ends. The venue's list is what is true: nothing is remembered."""

    def __init__(self, keeper: Keeper, keep: bool) -> None:
        self._keeper, self._keep = keeper, keep
        self._wanted: tuple[RankedWish, ...] = ()
        self._asked = False
        self._looked_ns = -AGAIN_NS
        self._now_ns = 0
        self.escrow = Decimal(0)

    def due(self) -> bool:
        """Whether the list must be looked at although nothing is on sale: they may be over or used up at any time."""
        return not self._asked or bool(self._wanted)

    def hear(self, view: View) -> None:
        """What the strategy wants now."""
        self._wanted, self._asked, self._now_ns = self._keeper.strategy.standing(view), True, view.at_ns

    async def refresh(self) -> Decimal:
        """The money of ours that the venue holds for standing bids, asked for where there may be any."""
        if self._wanted:
            self.escrow = sum((each.budget for each in await self._keeper.venue.standing(self._keeper.account)), Decimal(0))
        return self.escrow

    async def keep(self, view: View) -> None:
        """Files what is missing, one bid per bucket and share, within the cash that there is."""
        if not self._wanted or self._now_ns - self._looked_ns < AGAIN_NS:
            return
        self._looked_ns = self._now_ns
        keeper = self._keeper
        there = {each.id for each in await keeper.venue.standing(keeper.account)}
        room = view.cash - keeper.limits.reserve
        for number, wish in enumerate(self._wanted):
            id = f"{wish.bucket}-{number}"
            if id in there:
                continue
            if wish.budget > room:
                keeper.log("no-room", ranked=id, why="cash")
                continue
            room -= wish.budget
            await self._file(id, wish)

    async def _file(self, id: str, wish: RankedWish) -> None:
        keeper = self._keeper
        terms = RankedTerms(
            venue=keeper.identity.venue, venue_key=keeper.identity.venue_key, id=id, bucket=wish.bucket,
            size_micro=_micro(wish.size), share_ppm=int(wish.share * MICRO),
            insolvent_ppm=-1 if wish.insolvent is None else int(wish.insolvent * MICRO), budget_micro=_micro(wish.budget),
            until_ns=self._now_ns + int(wish.hours * HOUR_NS), bidder=keeper.account, nonce=keeper.nonce(),
            expires_ns=self._now_ns + int(keeper.pace.expiry_s * SECOND_NS),
        )  # fmt: skip
        answer = await keeper.venue.file(terms, sign(keeper.key.secret, terms))
        keeper.check(answer, terms.digest())
        keeper.log("filed" if not answer.reason else "refused", ranked=id, why=answer.reason, sequence=answer.sequence)

    async def take_back(self) -> None:
        """At the end, unless they are to stay."""
        keeper = self._keeper
        if self._keep or not self._wanted:
            return
        now_ns = (await keeper.venue.me(keeper.account)).at_ns
        for each in await keeper.venue.standing(keeper.account):
            terms = CancelTerms(
                venue=keeper.identity.venue, venue_key=keeper.identity.venue_key, id=each.id, bidder=keeper.account,
                nonce=keeper.nonce(), expires_ns=now_ns + int(keeper.pace.expiry_s * SECOND_NS),
            )  # fmt: skip
            answer = await keeper.venue.cancel(terms, sign(keeper.key.secret, terms))
            keeper.check(answer, terms.digest())
            keeper.log("taken-back" if not answer.reason else "refused", ranked=each.id, why=answer.reason)


def _micro(amount: Decimal) -> int:
    return int(amount * MICRO)
