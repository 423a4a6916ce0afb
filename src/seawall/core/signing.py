"""What a keeper signs and what a venue answers: canonical bytes, and Ed25519 over them. See docs/keepers.md.

A message is a list of texts, each behind its length, so that no two lists give the same bytes; the first says what kind of
message it is and of which version of the protocol, so that no signature is good for anything else. Amounts are signed as
integers, so that "0.25" and "0.250" are one bid. Both sides build the bytes with the classes here.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, ClassVar

import msgspec

from .errors import BadNumber, InputError, MissingExtra, show
from .units import parse_decimal, to_int_exact

__all__ = [
    "BidTerms",
    "CancelTerms",
    "RankedTerms",
    "ReceiptTerms",
    "check_nonce",
    "check_public_key",
    "money_micro",
    "public_key_of",
    "share_ppb",
    "share_ppm",
    "sign",
    "signed_by",
]

PPB = 10**9
NONCE = re.compile(r"[A-Za-z0-9_-]{16,64}")
KEY = re.compile(r"[0-9a-f]{64}")
SIGNATURE = re.compile(r"[0-9a-f]{128}")


class _Terms(msgspec.Struct, frozen=True, kw_only=True):
    """venue: its name; venue_key: its public key, hex: what was signed for a test venue says nothing to the real one."""

    DOMAIN: ClassVar[str] = ""

    venue: str
    venue_key: str

    def message(self) -> bytes:
        """The bytes that are signed: the domain, then every field in the order in which the class has them."""
        return _pack(self.DOMAIN, *(str(getattr(self, name)) for name in self.__struct_fields__))

    def digest(self) -> str:
        """SHA-256 of the bytes, hex: what a receipt names."""
        return hashlib.sha256(self.message()).hexdigest()


class BidTerms(_Terms, frozen=True, kw_only=True):
    """A bid for a share of what is left of an account's auction, seen in a version of it.

    limit_micro: the most that is paid for the whole; minus the least pay where the account is worth nothing. expires_ns: the
    last moment at which the venue may take the bid.
    """

    DOMAIN: ClassVar[str] = "seawall keeper bid 1"

    auction: int
    version: int
    share_ppb: int
    limit_micro: int
    bidder: str
    nonce: str
    expires_ns: int


class RankedTerms(_Terms, frozen=True, kw_only=True):
    """A standing bid filed ahead of any breach (`liquidation/ranked.py`). until_ns: of the standing bid; expires_ns: of the filing."""

    DOMAIN: ClassVar[str] = "seawall keeper ranked bid 1"

    id: str
    bucket: str
    size_micro: int
    share_ppm: int
    insolvent_ppm: int
    budget_micro: int
    until_ns: int
    bidder: str
    nonce: str
    expires_ns: int


class CancelTerms(_Terms, frozen=True, kw_only=True):
    """A standing bid goes."""

    DOMAIN: ClassVar[str] = "seawall keeper cancel 1"

    id: str
    bidder: str
    nonce: str
    expires_ns: int


class ReceiptTerms(_Terms, frozen=True, kw_only=True):
    """The venue's word that it has recorded what was signed. signed: its digest; sequence: the record's number in the journal."""

    DOMAIN: ClassVar[str] = "seawall receipt 1"

    signed: str
    sequence: int
    at_ns: int


def sign(private: bytes, terms: _Terms) -> str:
    """Signature, 128 hex digits. private: the 32 bytes of RFC 8032. Raises MissingExtra without the `cryptography` library."""
    signature: bytes = _ed25519().Ed25519PrivateKey.from_private_bytes(private).sign(terms.message())
    return signature.hex()


def signed_by(public: str, terms: _Terms, signature: str) -> bool:
    """Whether the signature over the terms is of that public key (64 hex digits). Never raises for what was sent."""
    if not KEY.fullmatch(public) or not SIGNATURE.fullmatch(signature):
        return False
    ed25519 = _ed25519()
    from cryptography.exceptions import InvalidSignature

    try:
        ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(bytes.fromhex(signature), terms.message())
    except (InvalidSignature, ValueError):
        return False
    return True


def public_key_of(private: bytes) -> str:
    """The public half, 64 hex digits."""
    found: bytes = _ed25519().Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    return found.hex()


def check_public_key(text: str, place: str) -> str:
    """The text; InputError unless it is 64 hex digits in lower case that are a point of the curve of large order."""
    if not KEY.fullmatch(text) or not _is_key(text):
        raise InputError(place, show(text), "an Ed25519 public key, 64 hex digits in lower case")
    return text


def check_nonce(text: str, place: str) -> str:
    """The text; InputError unless it is 16 to 64 letters, digits, - and _."""
    if not NONCE.fullmatch(text):
        raise InputError(place, show(text), "16 to 64 letters, digits, - and _")
    return text


def share_ppb(text: str, place: str = "share") -> int:
    """ppb of a share above 0, at most 1, exact."""
    return _share(text, PPB, place, 1)


def share_ppm(text: str, place: str) -> int:
    """ppm of a share from 0 to 1, exact."""
    return _share(text, 10**6, place, 0)


def money_micro(text: str, place: str) -> int:
    """micro of an amount, signed, exact."""
    return to_int_exact(parse_decimal(text, place), 10**6, place)


def _share(text: str, one: int, place: str, least: int) -> int:
    found = to_int_exact(parse_decimal(text, place), one, place)
    if not least <= found <= one:
        raise BadNumber(place, show(text), "a share of at most 1" + (", above 0" if least else ", 0 or more"))
    return found


def _pack(*texts: str) -> bytes:
    parts = [text.encode() for text in texts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


P = 2**255 - 19
_D = -121665 * pow(121666, P - 2, P) % P
# y of the points of order 1, 2, 4 and 8 (the last two of order 8): anybody can make signatures that hold for such a key.
_SMALL_Y = frozenset(
    {
        1,
        P - 1,
        0,
        int.from_bytes(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"),
        int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"),
    }
)


def _is_key(text: str) -> bool:
    """A canonical encoding (RFC 8032, 5.1.3: y below 2^255 - 19, x² a square) of a point that is not of small order."""
    y = int.from_bytes(bytes.fromhex(text), "little") & ((1 << 255) - 1)
    if y >= P or y in _SMALL_Y:
        return False
    square = (y * y - 1) * pow(_D * y * y + 1, P - 2, P) % P
    return pow(square, (P - 1) // 2, P) == 1


def _ed25519() -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ModuleNotFoundError:
        raise MissingExtra("cryptography", "server") from None
    return ed25519
