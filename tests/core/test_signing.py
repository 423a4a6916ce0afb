"""Signatures of keepers and venues: the published vectors of Ed25519, known bytes, and nothing that is good for two things."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.core import signing
from seawall.core.errors import BadNumber, InputError

# RFC 8032, section 7.1: secret key, public key, message, signature
RFC_8032 = (
    ("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
    ("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
    ("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
)  # fmt: skip
SECRET, PUBLIC = bytes.fromhex(RFC_8032[0][0]), RFC_8032[0][1]
VENUE = RFC_8032[1][1]
BID = signing.BidTerms(
    venue="demo", venue_key=VENUE, auction=7, version=3, share_ppb=250_000_000, limit_micro=1_234_500_000, bidder="kim",
    nonce="0123456789abcdef", expires_ns=1_760_000_000_000_000_000,
)  # fmt: skip
TERMS = (
    BID,
    signing.RankedTerms(
        venue="demo", venue_key=VENUE, id="a", bucket="major", size_micro=10**9, share_ppm=950_000, insolvent_ppm=-1,
        budget_micro=10**9, until_ns=2 * 10**18, bidder="kim", nonce="0123456789abcdef", expires_ns=10**18,
    ),
    signing.CancelTerms(venue="demo", venue_key=VENUE, id="a", bidder="kim", nonce="0123456789abcdef", expires_ns=10**18),
    signing.ReceiptTerms(venue="demo", venue_key=VENUE, signed=BID.digest(), sequence=12, at_ns=10**18),
)  # fmt: skip


class _Raw:
    """A message whose bytes are given."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def message(self) -> bytes:
        return self.data


@pytest.mark.parametrize(("secret", "public", "message", "signature"), RFC_8032)
def test_the_signatures_are_those_of_rfc_8032(secret, public, message, signature):
    raw = _Raw(bytes.fromhex(message))
    assert signing.public_key_of(bytes.fromhex(secret)) == public
    assert signing.sign(bytes.fromhex(secret), raw) == signature
    assert signing.signed_by(public, raw, signature)
    assert not signing.signed_by(public, _Raw(raw.data + b"\0"), signature)
    assert signing.check_public_key(public, "key") == public


def test_the_bytes_of_a_bid_are_these():
    texts = (
        "seawall keeper bid 1", "demo", VENUE, "7", "3", "250000000", "1234500000", "kim", "0123456789abcdef",
        "1760000000000000000",
    )  # fmt: skip
    assert BID.message() == b"".join(len(text).to_bytes(4, "big") + text.encode() for text in texts)
    assert BID.digest() == hashlib.sha256(BID.message()).hexdigest()
    assert BID.digest() == "dadf92614c635e553ea5d46e33195ba5abb6fac693fde4268a5328e58024205f"  # so that no release changes it


@pytest.mark.parametrize("terms", TERMS, ids=lambda terms: type(terms).__name__)
def test_a_signature_is_good_for_one_message_of_one_kind_and_one_key(terms):
    signature = signing.sign(SECRET, terms)
    assert signing.signed_by(PUBLIC, terms, signature)
    assert not signing.signed_by(VENUE, terms, signature)
    for name in terms.__struct_fields__:
        value = getattr(terms, name)
        other = msgspec.structs.replace(terms, **{name: value + 1 if isinstance(value, int) else value + "0"})
        assert not signing.signed_by(PUBLIC, other, signature), name
    assert not any(signing.signed_by(PUBLIC, other, signature) for other in TERMS if other is not terms)


@settings(max_examples=100)
@given(st.lists(st.text(max_size=6), max_size=5), st.lists(st.text(max_size=6), max_size=5))
def test_two_lists_of_texts_never_give_the_same_bytes(a, b):
    assert (signing._pack(*a) == signing._pack(*b)) == (a == b)


@given(st.integers(0, 511))
@settings(max_examples=60)
def test_one_flipped_bit_of_a_signature_is_noticed(bit):
    found = bytearray(bytes.fromhex(signing.sign(SECRET, BID)))
    found[bit // 8] ^= 1 << bit % 8
    assert not signing.signed_by(PUBLIC, BID, found.hex())


@pytest.mark.parametrize("junk", ["", "00", "zz" * 64, "0" * 127, "A" * 128, "0" * 130, "é" * 128])
def test_junk_instead_of_a_signature_is_no_signature(junk):
    assert signing.signed_by(PUBLIC, BID, junk) is False
    assert signing.signed_by(junk, BID, signing.sign(SECRET, BID)) is False


SMALL_OR_NO_POINT = (
    "01" + "00" * 31, "01" + "00" * 30 + "80", "ec" + "ff" * 30 + "7f", "ec" + "ff" * 31, "00" * 32, "00" * 31 + "80",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "ee" + "ff" * 30 + "7f", "ff" * 32, "02" + "00" * 31, PUBLIC.upper(), PUBLIC[:-1], "",
)  # fmt: skip


@pytest.mark.parametrize("text", SMALL_OR_NO_POINT)
def test_a_key_for_which_anybody_can_sign_or_that_is_none_is_refused(text):
    with pytest.raises(InputError, match="Ed25519"):
        signing.check_public_key(text, "key")


@given(st.binary(min_size=32, max_size=32))
@settings(max_examples=30)
def test_every_key_that_is_made_is_accepted(secret):
    assert signing.check_public_key(signing.public_key_of(secret), "key")


def test_amounts_are_exact_or_refused():
    assert signing.share_ppb("0.25") == signing.share_ppb("0.250") == 250_000_000
    assert signing.share_ppm("0", "x") == 0
    assert signing.money_micro("-1234.5", "limit") == -1_234_500_000
    for text in ("0", "1.1", "-0.5", "0.0000000001", "half"):
        with pytest.raises(BadNumber):
            signing.share_ppb(text)
    with pytest.raises(BadNumber):
        signing.money_micro("0.0000001", "limit")
    for text in ("short", "x" * 65, "with a blank in it", "ünïcode-nonce-here"):
        with pytest.raises(InputError):
            signing.check_nonce(text, "nonce")
