"""A venue over its public API: `seawall.client` for questions, writes and the stream, and nothing that is not in docs/keepers.md.

A bid whose answer did not come is sent again by the client under the same nonce, which the venue takes as its idempotency key. What the
venue refuses for its own reasons (the auction is gone, the key was used) is an answer; what trying again cannot mend is an error.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any

from seawall.client.asynchronous import AsyncClient
from seawall.client.errors import ServiceError
from seawall.client.sending import Retry
from seawall.client.types import Message, Snapshot
from seawall.core.signing import BidTerms, CancelTerms, RankedTerms
from seawall.core.units import format_decimal, format_micro, format_nano
from seawall.keeper.opportunity import Contract, Opportunity, read_auctions
from seawall.keeper.venue import Answer, Identity, Me, News, Standing

__all__ = ["CHANNELS", "RemoteVenue"]

CHANNELS = ("liquidation",)
ZERO = Decimal(0)
PAGE = 100
ANSWERS = (404, 409, 422)  # no, but not for ever
STREAM = Retry(times=10**9, first_s=0.2, longest_s=15.0)  # the bot's own looks say when the venue is away for good


class RemoteVenue:
    """`venue.Venue` over HTTP and WebSocket. public_key: of the keeper; key: an API key with the scope `bid`, None: SEAWALL_KEY of the environment."""

    def __init__(self, url: str, public_key: str, key: str | None = None, *, verify: Any = True) -> None:
        self.url, self._public_key = url, public_key
        self._client = AsyncClient(url, key, verify=verify)
        self._stream = AsyncClient(url, key, verify=verify, retry=STREAM)

    async def identity(self) -> Identity:
        """GET /v1/keepers/venue-key."""
        found = await self._client.look("/v1/keepers/venue-key")
        return Identity(found["venue"], found["public_key"])

    async def contracts(self) -> dict[str, Contract]:
        """GET /v1/market, of which lot and underlying are taken."""
        market = await self._client.market()
        return {each["symbol"]: Contract(each["underlying"], Decimal(each["lot"])) for each in market["instruments"]}

    async def auctions(self) -> list[Opportunity]:
        """GET /v1/auctions, page by page."""
        found: list[Opportunity] = []
        while True:
            page = await self._client.look("/v1/auctions", offset=len(found), limit=PAGE, points=0)
            found += read_auctions(page)
            if len(found) >= page.get("total", 0) or not page["auctions"]:
                return found

    async def me(self, account: str) -> Me:
        """GET /v1/accounts/{account}. Cash that it can part with: free collateral, never more than its balance."""
        found = await self._client.account(account)
        free = found.figures.free_collateral
        return Me(
            at_ns=found.at_ns, equity=found.figures.equity, free=free, cash=max(min(free, found.cash), ZERO),
            inventory={each.instrument: each.quantity for each in found.positions},
            marks={each.instrument: each.mark for each in found.positions},
        )  # fmt: skip

    async def free_after(self, account: str, trades: Mapping[str, Decimal], deposit: Decimal) -> Decimal:
        """POST /v1/accounts/{account}/what-if: trades at the mark, and the edge as a deposit (or withdrawal)."""
        words = {name: format_decimal(quantity) for name, quantity in trades.items()}
        return (await self._client.what_if(account, words, format_decimal(deposit))).free_collateral

    async def bid(self, terms: BidTerms, signature: str) -> Answer:
        """POST /v1/bids."""
        body = {
            "auction": terms.auction, "bidder": terms.bidder, "share": format_nano(terms.share_ppb),
            "limit": format_micro(terms.limit_micro), "version": terms.version,
        }  # fmt: skip
        return await self._sent("/v1/bids", terms, signature, body)

    async def file(self, terms: RankedTerms, signature: str) -> Answer:
        """POST /v1/ranked-bids."""
        body = {
            "bidder": terms.bidder, "id": terms.id, "bucket": terms.bucket, "size": format_micro(terms.size_micro),
            "share": _ppm(terms.share_ppm), "insolvent": "" if terms.insolvent_ppm < 0 else _ppm(terms.insolvent_ppm),
            "budget": format_micro(terms.budget_micro), "until_ns": terms.until_ns,
        }  # fmt: skip
        return await self._sent("/v1/ranked-bids", terms, signature, body)

    async def cancel(self, terms: CancelTerms, signature: str) -> Answer:
        """POST /v1/ranked-cancels."""
        return await self._sent("/v1/ranked-cancels", terms, signature, {"bidder": terms.bidder, "id": terms.id})

    async def standing(self, account: str) -> list[Standing]:
        """GET /v1/ranked-bids."""
        found = await self._client.look("/v1/ranked-bids", bidder=account)
        return [Standing(each["id"], each["bucket"], Decimal(each["size"]), Decimal(each["budget"]), each["until_ns"]) for each in found["bids"]]

    async def news(self) -> AsyncIterator[News]:
        """The stream's `liquidation` messages; a snapshot (the first, or after a gap) is news too."""
        async for told in self._stream.stream(CHANNELS):
            if isinstance(told, Snapshot):
                yield News("snapshot", told.seq, told.at_ns, {})
            elif isinstance(told, Message):
                yield News(told.data.get("what", ""), told.seq, told.at_ns, told.data)

    async def close(self) -> None:
        """Lets go of the connections."""
        await self._client.close()
        await self._stream.close()

    async def _sent(self, path: str, terms: BidTerms | RankedTerms | CancelTerms, signature: str, body: dict[str, Any]) -> Answer:
        sealed = body | {"public_key": self._public_key, "nonce": terms.nonce, "expires_ns": terms.expires_ns, "signature": signature}
        try:
            found = await self._client.signed(path, sealed, terms.nonce)
        except ServiceError as error:
            if error.status not in ANSWERS:
                raise
            return Answer(0, 0, error.found or error.code)
        refused = (each for each in found.closing if each.get("what") == "refused" and each.get("account") == terms.bidder)
        reason = next((str(each.get("reason")) for each in refused), "")
        return Answer(found.sequence, found.at_ns, reason, found.receipt, found.repeated)


def _ppm(ppm: int) -> str:
    return format_decimal(Decimal(ppm) / 10**6)
