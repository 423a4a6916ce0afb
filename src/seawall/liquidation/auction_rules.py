"""Parameters of auctions, and why a set of them is refused when it is set rather than found out in a crash.

An auction that cannot reach a price at which somebody buys never sells; a reward above the penalty pays people to
liquidate themselves; an auction slower than the market it sells into loses more than it finds. Each is a condition on
the parameters alone, checked here. Rates are ppm, times nanoseconds, money micro.
"""

import msgspec

from seawall.core.errors import InputError
from seawall.core.times import SECOND_NS, YEAR_NS
from seawall.core.units import PPM
from seawall.liquidation.curves import RAY, Curve, Stair, check_curve, share_ray, two_leg

__all__ = [
    "AccountRules",
    "CollateralRules",
    "KeeperRules",
    "check_account_rules",
    "check_collateral_rules",
    "duration_ns",
    "keeper_reward",
]

KEEPER_LATENCIES = 3
VOLATILITY_SHARE = 4
MINUTE_NS = 60 * SECOND_NS


class KeeperRules(msgspec.Struct, frozen=True, kw_only=True):
    """What starting or restarting an auction earns: tip + chip · risk removed, in full if within `timely_ns`.

    A start later than that earns timely / delay of it. It is a claim on the auction's penalty, never on anybody else.
    """

    tip_micro: int = 0
    chip_ppm: int = 0
    timely_ns: int = 10 * SECOND_NS


class CollateralRules(msgspec.Struct, frozen=True, kw_only=True):
    """Auctions of one asset against a debt (MakerDAO's plumbing).

    buf: opening price over the oracle's. tail, cusp: after so long, or below this share of the opening price, it must
    restart. floor: share of the oracle's price at the start below which it never sells. bidder_margin: what bidders
    are known to need. chop: debt with its penalty, over the debt. dust: no debt smaller than this is left or sold.
    hole: most debt (with penalty) in auctions of this bucket at a time. self_bid_discount: how far below the oracle's
    price the owner and its affiliates may bid. restarts_max, restart_gap: how often, and how soon, it may restart.
    """

    curve: Curve = Stair(RAY * 99 // 100, 60 * SECOND_NS)
    buf_ppm: int = 1_020_000
    tail_ns: int = 20 * MINUTE_NS
    cusp_ppm: int = 800_000
    floor_ppm: int = 900_000
    bidder_margin_ppm: int = 20_000
    chop_ppm: int = 1_050_000
    dust_micro: int = 100_000_000
    hole_micro: int = 10**13
    keeper: KeeperRules = KeeperRules()
    self_bid_discount_ppm: int = 10_000
    restarts_max: int = 3
    restart_gap_ns: int = MINUTE_NS


class AccountRules(msgspec.Struct, frozen=True, kw_only=True):
    """Auctions of a share of a whole account (Derive's shape).

    curve: share of the account's value asked while it is worth something. insolvent: how long the pay to a bidder
    takes to grow from the deficit to the deficit and the whole requirement. buffer: of the requirement, what must be
    left above it. fee: of the value of what is sold at the start, to the fund; keepers are paid from it. dust: an account
    worth less is sold whole. hole: most requirement in auctions of this bucket at a time. Rest as for collateral.
    """

    curve: Curve = two_leg(RAY * 98 // 100, RAY * 8 // 10, 15 * MINUTE_NS, 240 * MINUTE_NS)
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


def check_collateral_rules(rules: CollateralRules) -> None:
    """Refuses a set under which auctions never sell, stop above their floor, or pay for self-liquidation.

    buf · share(tail) <= 1 - bidder margin and buf · cusp <= floor; tip + chip · risk within the penalty of the smallest
    auction: its risk is at most its debt. Raises InputError naming the condition.
    """
    place = "auction rules"
    check_curve(rules.curve)
    _check_common(rules, place)
    if not 0 < rules.cusp_ppm < PPM:
        raise InputError(f"{place}.cusp_ppm", str(rules.cusp_ppm), "a share between 0 and 1")
    if rules.buf_ppm < PPM // 2 or rules.chop_ppm < PPM:
        raise InputError(place, f"buf {rules.buf_ppm}, chop {rules.chop_ppm} ppm", "buf >= 0.5 and chop >= 1")
    _check_reaches(rules.buf_ppm, rules, place)
    if rules.buf_ppm * rules.cusp_ppm > rules.floor_ppm * PPM:
        found = f"buf · cusp of {rules.buf_ppm * rules.cusp_ppm / PPM**2:.4f}"
        raise InputError(place, found, f"at most the floor of {rules.floor_ppm / PPM:.4f}, or it stops above its floor")
    penalty = (rules.chop_ppm - PPM) * rules.dust_micro
    reward = rules.keeper.tip_micro * PPM + rules.keeper.chip_ppm * rules.dust_micro
    if reward > penalty or rules.keeper.chip_ppm > rules.chop_ppm - PPM:
        found = f"a reward of up to {reward // PPM} micro on the smallest auction"
        raise InputError(f"{place}.keeper", found, f"at most its penalty of {penalty // PPM} micro")


def check_account_rules(rules: AccountRules) -> None:
    """As `check_collateral_rules`, where there is no debt: the keeper's share of the fee is what bounds rewards."""
    place = "account auction rules"
    check_curve(rules.curve)
    _check_common(rules, place)
    if rules.insolvent_ns <= 0 or not 0 <= rules.buffer_ppm <= PPM or not 0 <= rules.fee_ppm < PPM:
        raise InputError(place, "a length, buffer or fee out of range", "a length above 0, buffer in [0, 1], fee in [0, 1)")
    if share_ray(rules.curve, 0) > RAY:
        raise InputError(place, "an opening above the account's value", "at most all of it")
    _check_reaches(PPM, rules, place)


def duration_ns(volatility_ppm: int, buffer_ppm: int, keeper_latency_ns: int) -> int | None:
    """How long an auction may last, or None where it must start at its floor (straight to the backstop).

    σ · sqrt(T) <= a quarter of the margin buffer, and T >= three times the keepers' 95th percentile of latency. volatility: per
    year; buffer: of the value on sale. Rounded down. The shortest time that keepers can serve is what remains to be
    met; research note §1.7.
    """
    if volatility_ppm <= 0 or buffer_ppm < 0 or keeper_latency_ns < 0:
        raise InputError("auction duration", f"volatility {volatility_ppm}, buffer {buffer_ppm}", "volatility above 0, buffer at least 0")
    longest = buffer_ppm**2 * YEAR_NS // (VOLATILITY_SHARE * volatility_ppm) ** 2
    return longest if longest >= KEEPER_LATENCIES * keeper_latency_ns else None


def keeper_reward(tip: int, chip: int, base: int, one: int = PPM) -> int:
    """tip + chip · base ÷ one, rounded down (MakerDAO's Clipper, with wad for `one` and the debt as base)."""
    return tip + base * chip // one


def _check_common(rules: CollateralRules | AccountRules, place: str) -> None:
    for name, value, least in (
        ("tail_ns", rules.tail_ns, 1),
        ("dust_micro", rules.dust_micro, 1),
        ("hole_micro", rules.hole_micro, 1),
        ("restarts_max", rules.restarts_max, 0),
        ("restart_gap_ns", rules.restart_gap_ns, 0),
        ("keeper.tip_micro", rules.keeper.tip_micro, 0),
        ("keeper.chip_ppm", rules.keeper.chip_ppm, 0),
        ("keeper.timely_ns", rules.keeper.timely_ns, 1),
    ):
        if value < least:
            raise InputError(f"{place}.{name}", str(value), f"at least {least}")
    for name in ("floor_ppm", "bidder_margin_ppm", "self_bid_discount_ppm"):
        value = getattr(rules, name)
        if not 0 <= value <= PPM:
            raise InputError(f"{place}.{name}", str(value), "a share between 0 and 1")


def _check_reaches(buf_ppm: int, rules: CollateralRules | AccountRules, place: str) -> None:
    """The curve falls, before its tail ends, to where the neediest bidder buys: buf · share(tail) <= 1 - margin."""
    lowest = buf_ppm * share_ray(rules.curve, rules.tail_ns)
    if lowest > (PPM - rules.bidder_margin_ppm) * RAY:
        found = f"a price of {lowest / RAY / PPM:.4f} of the oracle's when its time is over"
        raise InputError(place, found, f"at most {1 - rules.bidder_margin_ppm / PPM:.4f}, or it never sells")
