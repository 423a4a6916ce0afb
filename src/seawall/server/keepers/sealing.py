"""From a signed request to a record that anybody can check: who may send it, the seal that is kept with it, the receipt for it.

A key that is bound to a public key bids for its own account alone, and only what that key has signed. A key without one that may
trade for everybody (the venue's own systems) may bid without a signature; a key that may only bid needs one. What is signed with a
key that nobody registered is checked against the key that it names, so that the record says no more than was true.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from seawall.core.errors import InputError, show
from seawall.core.signing import (
    BidTerms,
    CancelTerms,
    RankedTerms,
    check_nonce,
    check_public_key,
    money_micro,
    share_ppb,
    share_ppm,
    signed_by,
)
from seawall.engine.keys import Done
from seawall.liquidation.auction_events import Bid
from seawall.liquidation.closing_desk import Seal, ToHouse
from seawall.liquidation.ranked_events import CancelRanked, FileRanked
from seawall.server import requests as wire
from seawall.server.api.answers import WrittenView, written_view
from seawall.server.api.errors import Refusal
from seawall.server.keepers.notary import Notary, Signed
from seawall.server.keys import Key
from seawall.server.recovery import scoped
from seawall.server.service import Service, Written

__all__ = ["Sealed", "check_keeper", "sealed_by", "write_sealed"]

Request = wire.Bid | wire.RankedBid | wire.RankedCancel
_SIGNED = (wire.Bid, wire.RankedBid, wire.RankedCancel)


class Sealed(NamedTuple):
    """What was signed, and the seal that is kept."""

    terms: Signed
    seal: Seal


def check_keeper(notary: Notary | None, key: Key, request: Any, idempotency: str, now_ns: int) -> Sealed | None:
    """The seal of a keeper's request; None for one that needs and has none. Raises Refusal (403) for another's account, InputError
    for a signature that is missing or wrong."""
    if isinstance(request, wire.Restart):
        _own(key, request.keeper)
        return None
    if not isinstance(request, _SIGNED) or notary is None:
        return None
    _own(key, request.bidder)
    if not request.signature:
        if key.public_key or "trade" not in key.scopes:
            raise InputError("signature", "none", "one of the Ed25519 key that is registered with the API key (docs/keepers.md)")
        return None
    public = check_public_key(request.public_key, "public_key")
    if key.public_key and public != key.public_key:
        raise InputError("public_key", show(public), "the key that is registered with the API key")
    if idempotency not in ("", check_nonce(request.nonce, "nonce")):
        raise InputError("Idempotency-Key", show(idempotency), "the nonce that was signed")
    terms = _terms(notary, request)
    if fault := notary.fault(terms, request.signature, public, now_ns):
        raise InputError("signature", fault, "a signature that holds now, for this venue")
    seal = Seal(
        venue=notary.venue, venue_key=notary.public, public_key=public, nonce=request.nonce, expires_ns=request.expires_ns,
        signature=request.signature,
    )  # fmt: skip
    return Sealed(terms, seal)


async def write_sealed(service: Service, notary: Notary, key: Key, request: Any, sealed: Sealed) -> WrittenView:
    """Records what was signed once, under its nonce, and answers with the venue's receipt; again, as then."""
    nonce, digest = sealed.seal.nonce, sealed.terms.digest()
    written = _before(service, notary, key, nonce, digest)
    if written is None:
        written = await service.write(request, key_id=key.id, idempotency=nonce, seal=sealed.seal)
        notary.took(key.id, nonce, digest)
        if written.repeated and (done := _done(service, key, nonce)) is not None:
            written = msgspec.structs.replace(written, at_ns=done.at_ns)
    return written_view(written, notary.receipt(digest, written.sequence, written.at_ns))


def sealed_by(step: ToHouse) -> bool:
    """Whether what a record holds is what its seal's key has signed: for an audit, with nothing else at hand."""
    seal, event = step.seal, step.event
    if seal is None:
        return False
    common: dict[str, Any] = {"venue": seal.venue, "venue_key": seal.venue_key, "nonce": seal.nonce, "expires_ns": seal.expires_ns}
    terms: Signed
    match event:
        case Bid():
            terms = BidTerms(
                auction=event.auction, version=event.version, share_ppb=event.amount, limit_micro=event.limit, bidder=event.bidder,
                **common,
            )  # fmt: skip
        case FileRanked():
            fields = ("id", "bucket", "size_micro", "share_ppm", "insolvent_ppm", "budget_micro", "until_ns", "bidder")
            terms = RankedTerms(**{name: getattr(event, name) for name in fields}, **common)
        case CancelRanked():
            terms = CancelTerms(id=event.id, bidder=event.bidder, **common)
        case _:
            return False
    return signed_by(seal.public_key, terms, seal.signature)


def _own(key: Key, account: str) -> None:
    if key.account and account != key.account:
        raise Refusal(403, "account", f"key {key.id}", show(account), f"the account {show(key.account)} that it is bound to")


def _terms(notary: Notary, it: Request) -> Signed:
    common: dict[str, Any] = {
        "venue": notary.venue, "venue_key": notary.public, "bidder": it.bidder, "nonce": it.nonce, "expires_ns": it.expires_ns,
    }  # fmt: skip
    match it:
        case wire.Bid():
            return BidTerms(
                auction=it.auction, version=it.version, share_ppb=share_ppb(it.share), limit_micro=money_micro(it.limit, "limit"), **common
            )
        case wire.RankedBid():
            return RankedTerms(
                id=it.id, bucket=it.bucket, size_micro=money_micro(it.size, "size"), share_ppm=share_ppm(it.share, "share"),
                insolvent_ppm=share_ppm(it.insolvent, "insolvent") if it.insolvent else -1,
                budget_micro=money_micro(it.budget, "budget"), until_ns=it.until_ns, **common,
            )  # fmt: skip
    return CancelTerms(id=it.id, **common)


def _before(service: Service, notary: Notary, key: Key, nonce: str, digest: str) -> Written | None:
    """What the same did before, where this process saw it. A bid's record also says what money its bidder had, which may be another
    by now; so the clearing alone would take the same bid for a different one."""
    if notary.taken(key.id, nonce) != digest:
        return None
    done = _done(service, key, nonce)
    return None if done is None else Written(done.sequence, done.at_ns, repeated=True)


def _done(service: Service, key: Key, nonce: str) -> Done | None:
    found = service.clearing.keys.done.get(scoped(key.id, nonce))
    return found if found is None or isinstance(found, Done) else found.done()
