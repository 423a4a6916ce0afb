"""Price curves of auctions: what share of its opening price an auction asks after some time.

A curve gives a share in ray (10**27 = the opening price), computed in integers and never rising with time; the price is
that share of the top, rounded down. Three shapes make all the known ones: straight lines (`Line`), steps by a constant
factor (`Stair`: an exponential is one of short steps, a growing discount one with a floor), and halving (`Halving`).
"""

from math import isqrt

import msgspec

from seawall.core.errors import InputError
from seawall.core.times import SECOND_NS

__all__ = [
    "RAY",
    "Curve",
    "Halving",
    "Line",
    "Stair",
    "check_curve",
    "exponential",
    "growing_discount",
    "halving_share_ray",
    "last_change_ns",
    "linear",
    "power_ray",
    "price",
    "share_ray",
    "two_leg",
]

RAY = 10**27
GUARD_BITS = 128  # of 2**-x: 38 digits, eleven more than a ray has
STEPS_MAX = 10**7
FACTOR_LEAST_FALL_RAY = 10**13
"""A step's fall is at least 1e-14: a power of up to 10**7 steps is off by less than 1e-20 of itself, so that the next
step's true fall is beyond its error and the price cannot rise by rounding while the share is above 1e-6."""


class Line(msgspec.Struct, frozen=True, tag="line"):
    """Straight lines through (elapsed ns, share ray) points, from elapsed 0 on; constant after the last."""

    points: tuple[tuple[int, int], ...]


class Stair(msgspec.Struct, frozen=True, tag="stair"):
    """start · factor^(whole steps elapsed), never below end; at the deadline and after it: end.

    The power rounds half up at each multiplication, the product down (MakerDAO dss, src/abaci.sol).
    """

    factor_ray: int
    step_ns: int
    start_ray: int = RAY
    end_ray: int = 0
    deadline_ns: int | None = None


class Halving(msgspec.Struct, frozen=True, tag="halving"):
    """Legs of (length ns, half life ns), each beginning where the one before ends; the last has no end."""

    legs: tuple[tuple[int, int], ...]


Curve = Line | Stair | Halving


def linear(duration_ns: int) -> Line:
    """From the top to nothing: top · (duration - t) / duration."""
    return Line(((0, RAY), (duration_ns, 0)))


def two_leg(start_ray: int, cutoff_ray: int, fast_ns: int, slow_ns: int, end_ray: int = 0) -> Line:
    """From start to cutoff over `fast_ns`, then to the end over `slow_ns` (Derive's DutchAuction)."""
    return Line(((0, start_ray), (fast_ns, cutoff_ray), (fast_ns + slow_ns, end_ray)))


def exponential(factor_ray: int) -> Stair:
    """top · factor^(whole seconds)."""
    return Stair(factor_ray, SECOND_NS)


def growing_discount(start_ray: int, end_ray: int, factor_ray: int, deadline_ns: int) -> Stair:
    """A discount that grows each second and jumps to its largest at the deadline (Reflexer)."""
    return Stair(factor_ray, SECOND_NS, start_ray, end_ray, deadline_ns)


def price(curve: Curve, top: int, elapsed_ns: int) -> int:
    """`top` (any unit) after some time, rounded down. Raises InputError for a time before the start."""
    return top * share_ray(curve, elapsed_ns) // RAY


def share_ray(curve: Curve, elapsed_ns: int) -> int:
    """The share of the top, in ray, rounded down; never rises with time on a curve that `check_curve` let pass."""
    if elapsed_ns < 0:
        raise InputError("auction", f"{elapsed_ns} ns elapsed", "a time at or after its start")
    if isinstance(curve, Line):
        return _line(curve, elapsed_ns)
    if isinstance(curve, Stair):
        if curve.deadline_ns is not None and elapsed_ns >= curve.deadline_ns:
            return curve.end_ray
        power = power_ray(curve.factor_ray, elapsed_ns // curve.step_ns)
        return max(curve.start_ray * power // RAY, curve.end_ray)
    return halving_share_ray(curve.legs, elapsed_ns)


def last_change_ns(curve: Curve) -> int | None:
    """When the curve stops falling; None if it never does."""
    if isinstance(curve, Line):
        return curve.points[-1][0]
    return curve.deadline_ns if isinstance(curve, Stair) else None


def check_curve(curve: Curve) -> None:
    """Refuses a curve that rises, stands still for want of a step, or whose rounding could make it rise."""
    place = "auction curve"
    if isinstance(curve, Line):
        times = [time for time, _ in curve.points]
        shares = [share for _, share in curve.points]
        if not times or times[0] != 0 or any(b <= a for a, b in zip(times, times[1:])):
            raise InputError(place, f"points at {times}", "times from 0 on, each later than the one before")
        if any(b > a for a, b in zip(shares, shares[1:])) or min(shares) < 0:
            raise InputError(place, "shares that rise or are negative", "shares that never rise")
    elif isinstance(curve, Stair):
        if not 0 < curve.factor_ray <= RAY - FACTOR_LEAST_FALL_RAY or curve.step_ns <= 0:
            raise InputError(place, f"a factor of {curve.factor_ray / RAY} per {curve.step_ns} ns", "a factor in (0, 1 - 1e-14] and a step")
        if not 0 <= curve.end_ray <= curve.start_ray:
            raise InputError(place, "an end above the start", "0 <= end <= start")
        if curve.deadline_ns is not None and curve.deadline_ns <= 0:
            raise InputError(place, f"a deadline of {curve.deadline_ns} ns", "one after the start")
    elif not curve.legs or any(length <= 0 or half <= 0 for length, half in curve.legs):
        raise InputError(place, "a leg without length or half life", "legs that last and halve")


def power_ray(base_ray: int, exponent: int) -> int:
    """base**exponent by squaring, each product rounded half up in ray."""
    if exponent > STEPS_MAX:
        exponent = STEPS_MAX
    result = base_ray if exponent % 2 else RAY
    exponent //= 2
    while exponent:
        base_ray = (base_ray * base_ray + RAY // 2) // RAY
        if exponent % 2:
            result = (result * base_ray + RAY // 2) // RAY
        exponent //= 2
    return result


def halving_share_ray(legs: tuple[tuple[int, int], ...], elapsed_ns: int) -> int:
    """2**-x in ray, rounded down; x is the sum over the legs passed of time ÷ half life, exact until the last step."""
    numerator, denominator, left = 0, 1, elapsed_ns
    for position, (length, half) in enumerate(legs):
        part = left if position == len(legs) - 1 else min(left, length)
        numerator, denominator = numerator * half + part * denominator, denominator * half
        left -= part
        if left == 0:
            break
    whole, rest = divmod(numerator, denominator)
    if whole > 4 * GUARD_BITS:
        return 0
    return (RAY * _half_to_the(rest, denominator)) >> (GUARD_BITS + whole)


def _line(curve: Line, elapsed_ns: int) -> int:
    last_time, last_share = curve.points[0]
    for time, share in curve.points[1:]:
        if elapsed_ns < time:
            return share + (last_share - share) * (time - elapsed_ns) // (time - last_time)
        last_time, last_share = time, share
    return last_share


def _half_to_the(numerator: int, denominator: int) -> int:
    """2**-(numerator/denominator) for a fraction below 1, scaled by 2**GUARD_BITS, from repeated square roots."""
    result = 1 << GUARD_BITS
    for root in _ROOTS:
        numerator *= 2
        if numerator >= denominator:
            numerator -= denominator
            result = (result * root) >> GUARD_BITS
        if numerator == 0:
            break
    return result


def _roots() -> tuple[int, ...]:
    """2**-(1/2), 2**-(1/4), …, scaled by 2**GUARD_BITS."""
    out, root = [], 1 << (GUARD_BITS - 1)
    for _ in range(GUARD_BITS - 8):
        root = isqrt(root << GUARD_BITS)
        out.append(root)
    return tuple(out)


_ROOTS = _roots()
