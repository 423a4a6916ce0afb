"""Dutch auctions of a share of a whole account: every position and the cash in proportion, so that hedges stay hedged.

Derive's shape. While the account is worth something a bidder pays a falling share of the value of what it takes, and may
take at most what brings the buffer margin to zero; once it is worth nothing a bidder is paid, more with time, up to the
deficit and the requirement. After each sale the account must be looked at again (`Look`): the exact margin is not ours to
compute, and an account that is back in health is sold no further.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import msgspec

from seawall.core.errors import InputError
from seawall.core.units import PPM
from seawall.liquidation import account_prices as prices
from seawall.liquidation.account_slices import PPB, Leg, Slice, rest_of, slices_of, value_of
from seawall.liquidation.auction_events import Bid, Outcome, Refused, Restart, Restarted, Sold, Started
from seawall.liquidation.auction_house import FUND, House, ended
from seawall.liquidation.auction_parts import Clock, share_by_priority, share_out, timely_reward_micro
from seawall.liquidation.auction_rules import AccountRules, check_account_rules
from seawall.liquidation.curves import RAY, share_ray
from seawall.liquidation.transfers import Delivery, pay

__all__ = ["FEES", "AccountAuctions", "AccountSale", "Look", "StartAccount", "floor_ns"]

FEES = "auction fees"
"""Holds an auction's fee until its keepers are paid; the rest goes to the fund when it ends."""


class StartAccount(msgspec.Struct, frozen=True, tag="start-account", kw_only=True):
    """An account below its maintenance margin: all positions with the value of one lot, its cash (or debt), its health.

    Value = cash + Σ lots · value per lot. breached_ns: since when it is liquidatable.
    """

    owner: str
    keeper: str
    bucket: str
    legs: tuple[Leg, ...]
    cash_micro: int
    health_micro: int
    breached_ns: int
    at_ns: int
    affiliates: tuple[str, ...] = ()


class Look(msgspec.Struct, frozen=True, tag="look", kw_only=True):
    """The account as it is now, with everything that was paid into it; of the auction's version that it was made from."""

    auction: int
    version: int
    legs: tuple[Leg, ...]
    cash_micro: int
    health_micro: int
    at_ns: int


class AccountSale(msgspec.Struct, frozen=True, kw_only=True):
    """One open auction. cash: for sale with the legs; reserved: what bidders paid in, which is not for sale.

    fresh: looked at since the last sale, without which nobody may bid; fee: not yet paid to keepers; delay: from the
    breach to the start; insolvent: the bidder is paid.
    """

    number: int
    owner: str
    keeper: str
    bucket: str
    affiliates: tuple[str, ...]
    legs: tuple[Leg, ...]
    cash_micro: int
    reserved_micro: int
    health_micro: int
    requirement_micro: int
    fee_micro: int
    clock: Clock
    delay_ns: int
    insolvent: bool
    version: int = 1
    restarts: int = 0
    fresh: bool = True
    due: bool = False

    @property
    def open_micro(self) -> int:
        """The requirement still in it; counted by the holes."""
        return self.requirement_micro

    @property
    def value_micro(self) -> int:
        """Of everything, with the reserved cash; rounded down."""
        return value_of(self.legs, self.cash_micro) + self.reserved_micro


class AccountAuctions(House[AccountSale]):
    """Open auctions of accounts. Raises InputError for rules that `check_account_rules` refuses."""

    def __init__(self, rules: dict[str, AccountRules], total_hole_micro: int, asset: str) -> None:
        for bucket in rules.values():
            check_account_rules(bucket)
        super().__init__(total_hole_micro)
        self.rules = dict(rules)
        self.asset = asset
        self._floor_ns: dict[str, int] = {}

    def _own_events(self) -> dict[type, Callable[[Any], list[Outcome]]]:
        return {StartAccount: self._start, Look: self._look}

    # ------------------------------------------------------------------ start, look

    def _start(self, event: StartAccount) -> list[Outcome]:
        """The fee is taken now, never more than the account is worth; keepers are paid from it alone."""
        rules = self.rules.get(event.bucket)
        if rules is None:
            raise InputError("auction bucket", event.bucket, "one with rules")
        value = value_of(event.legs, event.cash_micro)
        fault = self._start_fault(event, rules, value - event.health_micro)
        if fault is not None:
            return [Refused("start", event.keeper, fault)]
        margin = prices.buffer_margin(value, event.health_micro, Fraction(rules.buffer_ppm, PPM))
        fee = int(prices.fee_at_start(value, margin, Fraction(rules.fee_ppm, PPM)))
        opened = AccountSale(
            number=self.next_number,
            owner=event.owner,
            keeper=event.keeper,
            bucket=event.bucket,
            affiliates=event.affiliates,
            legs=event.legs,
            cash_micro=event.cash_micro - fee,
            reserved_micro=0,
            health_micro=event.health_micro - fee,
            requirement_micro=value - event.health_micro,
            fee_micro=fee,
            clock=Clock(event.at_ns),
            delay_ns=event.at_ns - event.breached_ns,
            insolvent=value - fee <= 0,
        )
        self._open(opened)
        started = Started(
            auction=opened.number,
            owner=event.owner,
            amount=PPB,
            target_micro=opened.requirement_micro,
            version=opened.version,
        )
        tip = timely_reward_micro(msgspec.structs.replace(rules.keeper, chip_ppm=0), 0, opened.delay_ns)
        return [started, *pay(event.owner, FEES, self.asset, fee, "auction fee"), *self._reward(opened, event.keeper, tip)]

    def _start_fault(self, event: StartAccount, rules: AccountRules, requirement: int) -> str | None:
        if not self.breaker.may_start:
            return "stopped-by-breaker"
        if event.bucket in self.stale:
            return "oracle-stale"
        if event.health_micro >= 0:
            return "not-unsafe"
        if not event.owner:
            return "no-owner"
        if not any(leg.lots for leg in event.legs):
            return "nothing-to-sell"
        if requirement < 0:
            return "worth-less-than-its-health"
        if event.breached_ns > event.at_ns:
            return "not-yet-breached"
        if event.owner in self.running:
            return "already-running"
        return "liquidation-limit-hit" if requirement > self.holes.room_micro(event.bucket, rules.hole_micro) else None

    def _look(self, event: Look) -> list[Outcome]:
        """New figures. A healthy account's auction ends; where value is gone, the bidder is paid from now on."""
        sale = self.sales.get(event.auction)
        if sale is None or sale.bucket in self.stale:
            return [Refused("look", str(event.auction), "not-running-auction" if sale is None else "oracle-stale")]
        if event.version != sale.version:  # bids were cleared since: it does not know what was sold
            return [Refused("look", str(event.auction), "state-changed")]
        value = value_of(event.legs, event.cash_micro)
        insolvent = value <= 0
        other = insolvent != sale.insolvent or [leg[:2] for leg in event.legs] != [leg[:2] for leg in sale.legs]
        changed = self._keep(
            sale,
            legs=event.legs,
            cash_micro=event.cash_micro - sale.reserved_micro,
            health_micro=event.health_micro,
            requirement_micro=max(0, value - event.health_micro),
            version=sale.version + other,
            fresh=True,
            insolvent=insolvent,
            clock=Clock(event.at_ns) if insolvent and not sale.insolvent else sale.clock,
            due=sale.due and insolvent == sale.insolvent,
        )
        bids = self.pending.pop(sale.number, []) if other or event.health_micro >= 0 else []
        refused: list[Outcome] = [Refused("bid", bid.bidder, "state-changed") for bid in bids]
        return refused + (self._end(changed, "healthy") if event.health_micro >= 0 else [])

    # ------------------------------------------------------------------ price

    def price_of(self, sale: AccountSale, at_ns: int) -> int:
        """micro for all that is for sale, rounded down; minus the pay, rounded down, where the bidder is paid."""
        if sale.insolvent:
            length = self.rules[sale.bucket].insolvent_ns
            elapsed = sale.clock.elapsed(at_ns)
            return -int(-prices.insolvent_price(sale.value_micro, sale.health_micro, elapsed, length))
        return int(prices.solvent_price(sale.value_micro, self.share_of(sale, at_ns), sale.reserved_micro))

    def share_of(self, sale: AccountSale, at_ns: int) -> Fraction:
        """Of the value, what is asked while there is any; never below the floor."""
        floor = Fraction(self.rules[sale.bucket].floor_ppm, PPM)
        return max(self._curve_share(sale, at_ns), floor)

    def _curve_share(self, sale: AccountSale, at_ns: int) -> Fraction:
        return Fraction(share_ray(self.rules[sale.bucket].curve, sale.clock.elapsed(at_ns)), RAY)

    def most_ppb(self, sale: AccountSale, at_ns: int) -> int:
        """The largest share of what is left that may be sold now, rounded down.

        All of it where little is left, or where that share is less than one lot of every position.
        """
        rules = self.rules[sale.bucket]
        if sale.insolvent or sale.value_micro <= rules.dust_micro:
            return PPB
        margin = prices.buffer_margin(sale.value_micro, sale.health_micro, Fraction(rules.buffer_ppm, PPM))
        most = int(prices.max_share(sale.value_micro, margin, self.share_of(sale, at_ns), sale.reserved_micro) * PPB)
        return most if most == 0 or any(abs(leg.lots) * most >= PPB for leg in sale.legs) else PPB

    def _expired(self, sale: AccountSale, at_ns: int) -> bool:
        return not sale.insolvent and sale.clock.elapsed(at_ns) > self.rules[sale.bucket].tail_ns

    def _at_floor(self, sale: AccountSale, at_ns: int) -> bool:
        rules = self.rules[sale.bucket]
        elapsed = sale.clock.elapsed(at_ns)
        if sale.insolvent:
            return elapsed >= rules.insolvent_ns
        # asked of every open auction at every tick: a comparison, of a moment that is found once
        if sale.bucket not in self._floor_ns:
            self._floor_ns[sale.bucket] = floor_ns(rules)
        return elapsed >= self._floor_ns[sale.bucket]

    def _floor_offer(self, sale: AccountSale, at_ns: int) -> tuple[int, int]:
        return self.most_ppb(sale, at_ns), self.price_of(sale, at_ns)

    # ------------------------------------------------------------------ bids

    def _bid_fault(self, sale: AccountSale, bid: Bid, price: int) -> str | None:
        if not sale.fresh:
            return "look-awaited"
        if sale.health_micro >= 0:
            return "not-unsafe"
        if bid.bidder == sale.owner:
            return "self-bid"
        if bid.bidder in sale.affiliates:
            discount = self.rules[sale.bucket].self_bid_discount_ppm
            if sale.insolvent or price < 0 or self.share_of(sale, bid.at_ns) < Fraction(PPM - discount, PPM):
                return "self-bid-below-oracle"
        return None if self._affordable_ppb(sale, bid, price) > 0 else "no-cash"

    def needs_micro(self, sale: AccountSale, price: int) -> Fraction:
        """Cash that whoever takes all of it must have: the price, and the requirement with the buffer."""
        buffer = Fraction(self.rules[sale.bucket].buffer_ppm, PPM)
        margin = prices.buffer_margin(sale.value_micro, sale.health_micro, buffer)
        return max(price, 0) + prices.requirement_covered(sale.value_micro, margin, 1, sale.reserved_micro)

    def _affordable_ppb(self, sale: AccountSale, bid: Bid, price: int) -> int:
        """The share that a bidder's cash bears."""
        needs = self.needs_micro(sale, price)
        wanted = min(bid.amount, PPB)
        return min(wanted, int(bid.free_micro * PPB / needs)) if needs > 0 else wanted

    def _clear(self, sale: AccountSale, bids: Sequence[Bid], price: int) -> list[Outcome]:
        """All bids of a tick at one price, in proportion where those of one priority want more than may be sold.

        Each pays its share of the price, rounded down to the micro (or is paid it, rounded down).
        """
        if not sale.fresh:
            return [Refused("bid", bid.bidder, "look-awaited") for bid in bids]
        barred = [bid for bid in bids if price < 0 and bid.bidder in sale.affiliates]  # a look may have turned the price
        out: list[Outcome] = [Refused("bid", bid.bidder, "self-bid-below-oracle") for bid in barred]
        bids = [bid for bid in bids if bid not in barred]
        asked = [self._affordable_ppb(sale, bid, price) for bid in bids]
        shares = share_by_priority(self.most_ppb(sale, self.now_ns), asked, [bid.priority for bid in bids])
        slices = slices_of(sale.legs, sale.cash_micro, shares)
        gone: list[Slice] = []
        fills: list[tuple[str, int]] = []
        reserved = 0
        for bid, share, part in zip(bids, shares, slices):
            if not any(part.lots):
                out.append(Refused("bid", bid.bidder, "takes-nothing"))
                continue
            owed = price * share // PPB if price >= 0 else -(-price * share // PPB)
            gone.append(part)
            fills.append((bid.bidder, share))
            reserved += max(owed, 0) if sale.insolvent else owed
            out.append(Sold(auction=sale.number, bidder=bid.bidder, amount=share, paid_micro=owed, price=price))
            out += self._moves(sale, bid.bidder, owed, part)
        if not gone:
            return out
        legs, cash = rest_of(sale.legs, sale.cash_micro, gone)
        removed = sale.requirement_micro * sum(share for _, share in fills) // PPB
        after = self._keep(
            sale,
            legs=legs,
            cash_micro=cash,
            reserved_micro=sale.reserved_micro + reserved,
            requirement_micro=sale.requirement_micro - removed,
            version=sale.version + 1,
            fresh=False,
            due=False,
        )
        out += self._reward_removal(after, sale.requirement_micro, removed, fills)
        return out + ([] if any(leg.lots for leg in legs) else self._end(self.sales[sale.number], "sold out"))

    def _moves(self, sale: AccountSale, bidder: str, owed: int, part: Slice) -> list[Outcome]:
        """Price, positions and the cash that goes with them. A pay comes from the fund; but where earlier bids paid in
        more than what is left for sale lacks, so that the account as a whole is worth something, from the account."""
        payer = FUND if sale.insolvent else sale.owner
        out: list[Outcome] = []
        out += pay(bidder, sale.owner, self.asset, max(owed, 0), "account auction")
        out += pay(payer, bidder, self.asset, max(-owed, 0), "insolvent account")
        out += pay(sale.owner, bidder, self.asset, max(part.cash_micro, 0), "cash with positions")
        out += pay(bidder, sale.owner, self.asset, max(-part.cash_micro, 0), "cash with positions")
        for leg, lots in zip(sale.legs, part.lots):
            if lots:
                out.append(Delivery(sale.owner, bidder, leg.instrument, lots, "account auction", max(leg.value_nano, 0)))
        return out

    def _reward_removal(
        self, sale: AccountSale, requirement_micro: int, removed_micro: int, fills: Sequence[tuple[str, int]]
    ) -> list[Outcome]:
        """For the requirement that a sale removed: to the keeper who began the auction, by how soon after the breach it did. An
        auction that the venue began has none: then to the bidders, each for what it took, by how soon after the breach.

        Time in which the clock stood (a stale oracle) is nobody's delay. Where the fee is short, all get the same part.
        """
        rules = msgspec.structs.replace(self.rules[sale.bucket].keeper, tip_micro=0)
        if sale.keeper:
            return self._reward(sale, sale.keeper, timely_reward_micro(rules, removed_micro, sale.delay_ns))
        delay = sale.delay_ns + sale.clock.elapsed(self.now_ns)
        earned = [timely_reward_micro(rules, requirement_micro * share // PPB, delay) for _, share in fills]
        out: list[Outcome] = []
        for (bidder, _), amount in zip(fills, share_out(sale.fee_micro, earned)):
            out += self._reward(self.sales[sale.number], bidder, amount)
        return out

    def _reward(self, sale: AccountSale, keeper: str, amount_micro: int) -> list[Outcome]:
        """Pays a keeper from what is left of the fee."""
        paid = min(amount_micro, sale.fee_micro) if keeper else 0
        self._keep(sale, fee_micro=sale.fee_micro - paid)
        return list(pay(FEES, keeper, self.asset, paid, "keeper reward"))

    # ------------------------------------------------------------------ restart, end

    def _do_restart(self, sale: AccountSale, event: Restart) -> list[Outcome] | str:
        rules = self.rules[sale.bucket]
        if sale.restarts >= rules.restarts_max:
            return "restarted-too-often"
        if sale.clock.elapsed(event.at_ns) < rules.restart_gap_ns:
            return "restarted-too-soon"
        if not sale.fresh:
            return "look-awaited"
        changes = {"clock": Clock(event.at_ns), "restarts": sale.restarts + 1, "version": sale.version + 1, "due": False}
        after = self._keep(sale, **changes)
        worth = sale.value_micro > rules.dust_micro
        moves = self._reward(after, event.keeper, rules.keeper.tip_micro if worth else 0)
        return [Restarted(sale.number, after.version), *moves]

    def _end(self, sale: AccountSale, cause: str) -> list[Outcome]:
        """What no keeper earned of the fee goes to the fund."""
        self._close(sale)
        left = PPB if any(leg.lots for leg in sale.legs) else 0
        moves = pay(FEES, FUND, self.asset, sale.fee_micro, "auction fee")
        return [*moves, ended(sale, cause, left, max(0, -sale.value_micro))]


def floor_ns(rules: AccountRules) -> int:
    """The first moment at which a curve asks no more than the floor, by bisection: it never rises. 2**62 where it never does."""
    floor = rules.floor_ppm * RAY
    low, high = -1, 2**62
    if share_ray(rules.curve, high) * PPM > floor:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if share_ray(rules.curve, middle) * PPM <= floor else (middle, high)
    return high
