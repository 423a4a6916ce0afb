"""What a venue says once about closing failed accounts, and the desk and the accounts of its own that follow from it.

Terms are a part of the record that opens a log: the same terms and the same events give the same state. The desk speaks of
`fund:global` or `tranche:BTC`; the ledger has an account of the venue for each of these parties (`own_accounts`).
"""

from __future__ import annotations

import msgspec

from seawall.core.errors import BadNumber, InputError, UnknownKey
from seawall.core.times import SECOND_NS
from seawall.core.units import PPM
from seawall.liquidation.account_auction import FEES, AccountAuctions
from seawall.liquidation.auction_house import FUND
from seawall.liquidation.auction_rules import MINUTE_NS, AccountRules, KeeperRules
from seawall.liquidation.backstop import HOUR_NS, Terms
from seawall.liquidation.closing_desk import ClosingDesk
from seawall.liquidation.closing_state import ClosingRules
from seawall.liquidation.curves import RAY, two_leg
from seawall.liquidation.funds import Caps
from seawall.liquidation.layers import Layers, LayersConfig
from seawall.liquidation.ranked import ESCROW

__all__ = ["AuctionTerms", "BucketTerms", "ClosingTerms", "inventory_of"]


class AuctionTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`auction_rules.AccountRules` in figures that fit a log and a file: shares in ppm, times in ns, money in micro.

    The share of an account's value asked falls from opening to knee within knee_ns, and to nothing until end_ns. The
    defaults are Derive's.
    """

    opening_ppm: int = 980_000
    knee_ppm: int = 800_000
    knee_ns: int = 15 * MINUTE_NS
    end_ns: int = 255 * MINUTE_NS
    insolvent_ns: int = 10 * MINUTE_NS
    buffer_ppm: int = 100_000
    fee_ppm: int = 20_000
    floor_ppm: int = 0
    bidder_margin_ppm: int = 20_000
    tail_ns: int = 255 * MINUTE_NS
    dust_micro: int = 100_000_000
    hole_micro: int = 10**14
    keeper: KeeperRules = KeeperRules()
    self_bid_discount_ppm: int = 10_000
    restarts_max: int = 3
    restart_gap_ns: int = MINUTE_NS

    def rules(self) -> AccountRules:
        """The rules; InputError where the curve's figures cannot be."""
        if not 0 <= self.knee_ppm <= self.opening_ppm <= PPM or not 0 < self.knee_ns < self.end_ns:
            found = f"{self.opening_ppm} to {self.knee_ppm} ppm within {self.knee_ns} of {self.end_ns} ns"
            raise InputError("closing, auction curve", found, "shares that fall, times that rise")
        curve = two_leg(self.opening_ppm * RAY // PPM, self.knee_ppm * RAY // PPM, self.knee_ns, self.end_ns - self.knee_ns)
        same = {name: getattr(self, name) for name in self.__struct_fields__[4:]}
        return AccountRules(curve=curve, **same)


class BucketTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A risk bucket: how its accounts are auctioned, and the vault of its providers (`backstop.Terms`)."""

    auction: AuctionTerms = AuctionTerms()
    stop_ppm: int = 300_000
    window_ns: int = 8 * HOUR_NS
    auction_max_ns: int = 5 * HOUR_NS
    exit_cooldown_ns: int = 30 * HOUR_NS
    commitment_min_micro: int = 100 * 10**6


class ClosingTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """markets: underlying → bucket; one that is not named has the first bucket. buckets: by name.

    selling: whether slices go to the venue's markets before the auction. rescue_ns, selling_ns, buffer_ppm, dust_micro:
    `ClosingRules`. fee_ppm: of slices, within their reserve. hole_micro: most requirement in all auctions at a time. caps,
    claims_ppm: of the global fund.
    """

    markets: dict[str, str] = {}
    buckets: dict[str, BucketTerms] = msgspec.field(default_factory=lambda: {"main": BucketTerms()})
    selling: bool = True
    rescue_ns: int = 5 * SECOND_NS
    selling_ns: int = 60 * SECOND_NS
    buffer_ppm: int = 20_000
    dust_micro: int = 10 * 10**6
    fee_ppm: int = 5_000
    hole_micro: int = 10**15
    caps: Caps = Caps()
    claims_ppm: int = 500_000

    def bucket_of(self, underlyings: list[str]) -> dict[str, str]:
        """The bucket of each of a market's underlyings. Raises UnknownKey for a market or a bucket that there is not."""
        if not self.buckets:
            raise BadNumber("closing, buckets", "none", "at least one")
        for name, bucket in self.markets.items():
            if name not in underlyings:
                raise UnknownKey("closing, markets", f'"{name}"', "an underlying of the market")
            if bucket not in self.buckets:
                raise UnknownKey(f"closing, markets.{name}", f'"{bucket}"', "one of " + ", ".join(self.buckets))
        first = next(iter(self.buckets))
        return {name: self.markets.get(name, first) for name in underlyings}

    def desk(self, asset: str, underlyings: list[str]) -> ClosingDesk:
        """A desk of which nobody has heard yet. Raises InputError for terms that cannot work."""
        if not 0 <= self.fee_ppm < PPM or self.hole_micro < 1:
            raise BadNumber("closing", f"fee {self.fee_ppm} ppm, hole {self.hole_micro}", "a fee below 1, a hole above 0")
        buckets = self.bucket_of(underlyings)
        vaults = tuple(
            Terms(name, asset, b.stop_ppm, b.window_ns, b.auction_max_ns, b.exit_cooldown_ns, b.commitment_min_micro)
            for name, b in self.buckets.items()
        )
        house = AccountAuctions({name: b.auction.rules() for name, b in self.buckets.items()}, self.hole_micro, asset)
        layers = Layers(LayersConfig(asset, vaults, buckets, self.caps, self.claims_ppm))
        rules = {
            bucket: ClosingRules(
                bucket=bucket, asset=asset, rescue_ns=self.rescue_ns, selling_ns=self.selling_ns,
                buffer_ppm=self.buffer_ppm, dust_micro=self.dust_micro,
            )
            for bucket in self.buckets
        }  # fmt: skip
        return ClosingDesk(house, layers, lambda market: rules[buckets[market]], self.fee_ppm)

    def own_accounts(self, underlyings: list[str]) -> dict[str, tuple[str, str]]:
        """Party of the desk → (account of the ledger, its kind), in the order in which a ledger opens them."""
        own = {FUND: ("liquidation-fund", "insurance"), FEES: ("auction-fees", "fees"), "fund:global": ("fund.global", "insurance")}
        own["deferred"] = ("deferred", "insurance")
        own[ESCROW] = ("ranked-bids", "fees")
        own |= {f"tranche:{name}": (f"tranche.{name}", "insurance") for name in self.bucket_of(underlyings)}
        for bucket in self.buckets:
            own[f"backstop:{bucket}"] = (f"backstop.{bucket}", "backstop")
            own[f"inventory:{bucket}"] = (inventory_of(bucket), "backstop")
        return own


def inventory_of(bucket: str) -> str:
    """The account that holds what a bucket's providers inherited."""
    return f"inventory.{bucket}"
