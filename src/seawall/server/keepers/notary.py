"""Checks what keepers sign and signs what the venue answers, with the venue's own key.

A nonce is the idempotency key of its record, so the clearing itself remembers it: the same bid again is answered as then, another
under the same nonce is refused. A clearing forgets keys after a while; a signature that could outlive that is refused, as is one whose
last moment has passed, so nothing that was once taken is ever taken again.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from seawall.client.keyfile import open_key
from seawall.core.signing import BidTerms, CancelTerms, RankedTerms, ReceiptTerms, sign, signed_by
from seawall.core.times import SECOND_NS
from seawall.server.config import VenueConfig

__all__ = ["EXPIRY_MAX_NS", "Notary"]

EXPIRY_MAX_NS = 120 * SECOND_NS
"""How far ahead a signature may say that it expires; a clearing remembers keys for longer."""

REMEMBERED = 10_000
Signed = BidTerms | RankedTerms | CancelTerms


class Notary:
    """venue: its name; path: of its private key, made there at the first start."""

    def __init__(self, venue: str, path: Path | str, expiry_max_ns: int = EXPIRY_MAX_NS) -> None:
        self._key = open_key(path)
        self.venue, self._expiry_max_ns = venue, expiry_max_ns
        self._taken: OrderedDict[tuple[str, str], str] = OrderedDict()

    @classmethod
    def of(cls, config: VenueConfig) -> Notary:
        """Of a venue: its key lies beside the file of API keys."""
        longest = min(EXPIRY_MAX_NS, config.venue.idempotency_s * SECOND_NS // 2)
        return cls(config.venue.name, config.keys_path.with_name("venue.key"), longest)

    def took(self, key_id: str, nonce: str, digest: str) -> None:
        """Something was recorded under this nonce."""
        self._taken[key_id, nonce] = digest
        if len(self._taken) > REMEMBERED:
            self._taken.popitem(last=False)

    def taken(self, key_id: str, nonce: str) -> str:
        """The digest of what was lately recorded under this nonce, or "": then only the clearing knows."""
        return self._taken.get((key_id, nonce), "")

    @property
    def public(self) -> str:
        """The venue's public key, hex."""
        return self._key.public

    def fault(self, terms: Signed, signature: str, public: str, now_ns: int) -> str:
        """Why what was signed cannot be taken now, or "". public: the key that is registered for whoever sent it."""
        if terms.venue != self.venue or terms.venue_key != self.public:
            return "another venue's"
        if not signed_by(public, terms, signature):
            return "not a signature of the registered key over these terms"
        if now_ns > terms.expires_ns:
            return "expired"
        if terms.expires_ns - now_ns > self._expiry_max_ns:
            return f"an expiry more than {self._expiry_max_ns // SECOND_NS} s ahead"
        return ""

    def receipt(self, signed: str, sequence: int, at_ns: int) -> str:
        """The venue's signature that it has recorded what has this digest."""
        terms = ReceiptTerms(venue=self.venue, venue_key=self.public, signed=signed, sequence=sequence, at_ns=at_ns)
        return sign(self._key.secret, terms)
