"""Dutch auctions of one asset against a debt: falling price per lot until the debt and its penalty are paid.

MakerDAO's plumbing (see `collateral_slices.py`) with a floor under the price, bids cleared per tick at one price, and
keepers paid from the penalty only. Money goes from bidders to the owner, whose debt is a negative balance; what was paid
beyond the debt goes on to keepers and fund, up to the penalty, so a penalty never makes a loss larger.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from seawall.core.errors import InputError, invariant
from seawall.core.units import PPM
from seawall.liquidation.auction_events import Bid, Outcome, Refused, Restart, Restarted, Sold, Started
from seawall.liquidation.auction_house import FUND, House, ended
from seawall.liquidation.auction_parts import Claims, Clock, share_out, timely_reward_micro
from seawall.liquidation.auction_rules import CollateralRules, check_collateral_rules
from seawall.liquidation.collateral_slices import Sale, needs_restart, sale_of, slice_of
from seawall.liquidation.curves import price
from seawall.liquidation.transfers import Delivery, pay

__all__ = ["CollateralAuctions", "CollateralSale", "StartCollateral"]

NANO_PER_MICRO = 1000


class StartCollateral(msgspec.Struct, frozen=True, tag="start-collateral", kw_only=True):
    """An owner's lots of one instrument against its debt, at the oracle's price of one lot.

    collateral_value_nano: what a lot counts for against the debt (health is lots · that - debt). requirement_micro:
    maintenance margin that goes away with the lots. breached_ns: since when the account is liquidatable.
    """

    owner: str
    keeper: str
    bucket: str
    instrument: str
    lots: int
    debt_micro: int
    feed_nano: int
    collateral_value_nano: int
    requirement_micro: int
    breached_ns: int
    at_ns: int
    affiliates: tuple[str, ...] = ()


class CollateralSale(msgspec.Struct, frozen=True, kw_only=True):
    """One open auction. target: debt with penalty; collected: paid by bidders so far; floor, top, feed: nano per lot."""

    number: int
    owner: str
    bucket: str
    instrument: str
    affiliates: tuple[str, ...]
    lots: int
    debt_micro: int
    target_micro: int
    collected_micro: int
    top_nano: int
    feed_nano: int
    floor_nano: int
    clock: Clock
    started_ns: int
    breached_ns: int
    requirement_micro: int
    claims: Claims
    version: int = 1
    restarts: int = 0
    due: bool = False

    @property
    def open_micro(self) -> int:
        """Of the target, what is still to be collected; counted by the holes."""
        return max(0, self.target_micro - self.collected_micro)


class CollateralAuctions(House[CollateralSale]):
    """Open collateral auctions of all buckets. Raises InputError for rules that `check_collateral_rules` refuses."""

    def __init__(self, rules: dict[str, CollateralRules], total_hole_micro: int, asset: str) -> None:
        for bucket in rules.values():
            check_collateral_rules(bucket)
        super().__init__(total_hole_micro)
        self.rules = dict(rules)
        self.asset = asset

    def _own_events(self) -> dict[type, Callable[[Any], list[Outcome]]]:
        return {StartCollateral: self._start}

    def _start(self, event: StartCollateral) -> list[Outcome]:
        rules = self.rules.get(event.bucket)
        if rules is None:
            raise InputError("auction bucket", event.bucket, "one with rules")
        fault = self._start_fault(event)
        if fault is not None:
            return [Refused("start", event.keeper, fault)]
        room = self.holes.room_micro(event.bucket, rules.hole_micro)
        sale = sale_of(
            event.lots,
            event.debt_micro * NANO_PER_MICRO,
            1,
            event.collateral_value_nano,
            rules.chop_ppm,
            PPM,
            rules.dust_micro * NANO_PER_MICRO,
            room * NANO_PER_MICRO,
        )
        if not isinstance(sale, Sale):
            return [Refused("start", event.keeper, sale)]
        debt_micro = -(-sale.debt // NANO_PER_MICRO)
        target_micro = debt_micro * rules.chop_ppm // PPM
        top, floor = _top_and_floor(rules, event.feed_nano)
        requirement = event.requirement_micro * sale.collateral // event.lots
        reward = timely_reward_micro(rules.keeper, requirement, event.at_ns - event.breached_ns)
        opened = CollateralSale(
            number=self.next_number,
            owner=event.owner,
            bucket=event.bucket,
            instrument=event.instrument,
            affiliates=event.affiliates,
            lots=sale.collateral,
            debt_micro=debt_micro,
            target_micro=target_micro,
            collected_micro=0,
            top_nano=top,
            feed_nano=event.feed_nano,
            floor_nano=floor,
            clock=Clock(event.at_ns),
            started_ns=event.at_ns,
            breached_ns=event.breached_ns,
            requirement_micro=requirement,
            claims=Claims().add(event.keeper, reward),
        )
        self._open(opened)
        return [
            Started(
                auction=opened.number, owner=event.owner, amount=opened.lots, target_micro=target_micro, version=1
            )
        ]

    def _start_fault(self, event: StartCollateral) -> str | None:
        if not self.breaker.may_start:
            return "stopped-by-breaker"
        if event.bucket in self.stale:
            return "oracle-stale"
        if event.feed_nano <= 0:
            return "no-price"
        if event.lots <= 0:
            return "nothing-to-sell"
        if event.debt_micro <= 0:
            return "no-debt"
        if not event.owner:
            return "no-owner"
        return "not-yet-breached" if event.breached_ns > event.at_ns else None

    # ------------------------------------------------------------------ price

    def price_of(self, sale: CollateralSale, at_ns: int) -> int:
        """nano per lot, never below the floor."""
        return max(sale.floor_nano, self._curve_price(sale, at_ns))

    def _curve_price(self, sale: CollateralSale, at_ns: int) -> int:
        return price(self.rules[sale.bucket].curve, sale.top_nano, sale.clock.elapsed(at_ns))

    def _expired(self, sale: CollateralSale, at_ns: int) -> bool:
        rules = self.rules[sale.bucket]
        elapsed, now = sale.clock.elapsed(at_ns), self._curve_price(sale, at_ns)
        return needs_restart(elapsed, rules.tail_ns, now, sale.top_nano, rules.cusp_ppm, PPM)

    def _at_floor(self, sale: CollateralSale, at_ns: int) -> bool:
        return self._curve_price(sale, at_ns) <= sale.floor_nano

    def _floor_offer(self, sale: CollateralSale, at_ns: int) -> tuple[int, int]:
        return sale.lots, sale.floor_nano

    # ------------------------------------------------------------------ bids

    def _bid_fault(self, sale: CollateralSale, bid: Bid, price: int) -> str | None:
        rules = self.rules[sale.bucket]
        if bid.bidder == sale.owner:
            return "self-bid"  # money that stays where it is covers nothing
        if bid.bidder in sale.affiliates:
            if price * PPM < sale.feed_nano * (PPM - rules.self_bid_discount_ppm):
                return "self-bid-below-oracle"
        if _affordable(bid, price) <= 0:
            return "no-cash"
        wanted = min(bid.amount, sale.lots)
        if wanted * price < NANO_PER_MICRO:
            return "pays-nothing"
        part = self._part(sale, price, wanted)
        return part if isinstance(part, str) else None

    def _part(self, sale: CollateralSale, price: int, wanted: int) -> tuple[int, bool] | str:
        """Lots that go for a price to those who want so many, and whether they end the auction; or why none."""
        rules = self.rules[sale.bucket]
        rest_least = rules.dust_micro * rules.chop_ppm // PPM
        target = sale.open_micro * NANO_PER_MICRO
        part = slice_of(target, sale.lots, rest_least * NANO_PER_MICRO, price, wanted, up=True)
        if isinstance(part, str):
            return part
        return part.collateral, part.owed == target or part.collateral == sale.lots

    def _clear(self, sale: CollateralSale, bids: Sequence[Bid], price: int) -> list[Outcome]:
        """All bids of a tick at one price, in proportion where they want more than there is.

        Money is rounded down to the micro per fill (against the owner, less than a micro each), so that nobody pays
        more than price · lots; a fill that would pay nothing is left out.
        """
        asked = [min(bid.amount, sale.lots, _affordable(bid, price)) for bid in bids]
        part = self._part(sale, price, sum(asked))
        if isinstance(part, str) or part[0] == 0:
            reason = part if isinstance(part, str) else "no-partial-purchase"
            return [Refused("bid", bid.bidder, reason) for bid in bids]
        lots, last = part
        out: list[Outcome] = []
        sold = paid = 0
        for bid, got in zip(bids, share_out(lots, asked)):
            owed = got * price // NANO_PER_MICRO
            if owed == 0:
                out.append(Refused("bid", bid.bidder, "pays-nothing"))
                continue
            sold, paid = sold + got, paid + owed
            out.append(Sold(auction=sale.number, bidder=bid.bidder, amount=got, paid_micro=owed, price=price))
            out += pay(bid.bidder, sale.owner, self.asset, owed, "collateral auction")
            out.append(Delivery(sale.owner, bid.bidder, sale.instrument, got, "collateral auction"))
        claims, moves = self._penalty(sale, paid)
        out += moves
        after = self._keep(
            sale,
            lots=sale.lots - sold,
            collected_micro=sale.collected_micro + paid,
            claims=claims,
            version=sale.version + bool(sold),
        )
        invariant(after.lots >= 0, "an auction sells no more than it has", f"auction {sale.number}")
        if last and (sold == lots or after.lots == 0):
            out += self._end(after, "sold out" if after.lots == 0 else "covered")
        return out

    def _penalty(self, sale: CollateralSale, paid_micro: int) -> tuple[Claims, list[Outcome]]:
        """Of what is now paid beyond the debt, up to the target: to keepers as they came, the rest to the fund."""

        def beyond(collected: int) -> int:
            return max(0, min(collected, sale.target_micro) - sale.debt_micro)

        fresh = beyond(sale.collected_micro + paid_micro) - beyond(sale.collected_micro)
        claims, keepers, rest = sale.claims.pay(fresh)
        out: list[Outcome] = []
        for keeper, amount in keepers:
            out += pay(sale.owner, keeper, self.asset, amount, "keeper reward")
        out += pay(sale.owner, FUND, self.asset, rest, "liquidation penalty")
        return claims, out

    # ------------------------------------------------------------------ restart, end

    def _do_restart(self, sale: CollateralSale, event: Restart) -> list[Outcome] | str:
        """The keeper earns again only where neither what is owed nor what is for sale is dust."""
        rules = self.rules[sale.bucket]
        if event.feed_nano <= 0:
            return "no-price"
        if sale.restarts >= rules.restarts_max:
            return "restarted-too-often"
        if sale.clock.elapsed(event.at_ns) < rules.restart_gap_ns:
            return "restarted-too-soon"
        if event.auction in self.pending:
            return "bids-are-in"
        rest_least = rules.dust_micro * rules.chop_ppm // PPM
        dusty = sale.open_micro < rest_least or sale.lots * event.feed_nano < rest_least * NANO_PER_MICRO
        claims = sale.claims
        if not dusty:
            claims = claims.add(event.keeper, rules.keeper.tip_micro)
        top, floor = _top_and_floor(rules, event.feed_nano)
        after = self._keep(
            sale,
            top_nano=top,
            feed_nano=event.feed_nano,
            floor_nano=floor,
            clock=Clock(event.at_ns),
            restarts=sale.restarts + 1,
            version=sale.version + 1,
            claims=claims,
            due=False,
        )
        return [Restarted(sale.number, after.version)]

    def _end(self, sale: CollateralSale, cause: str) -> list[Outcome]:
        self._close(sale)
        return [ended(sale, cause, sale.lots, max(0, sale.debt_micro - sale.collected_micro))]


def _affordable(bid: Bid, price: int) -> int:
    """Lots that a bidder's cash pays for."""
    return ((bid.free_micro + 1) * NANO_PER_MICRO - 1) // price


def _top_and_floor(rules: CollateralRules, feed_nano: int) -> tuple[int, int]:
    """The opening price (rounded down) and the floor (rounded up, at least one nano)."""
    floor = max(1, -(-feed_nano * rules.floor_ppm // PPM))
    return max(feed_nano * rules.buf_ppm // PPM, floor), floor
