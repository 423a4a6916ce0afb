"""Time is int64 nanoseconds since 1970 UTC, and comes from outside: nothing here reads a clock.

A date is a label only at the edge. A year is 365 days of 86,400 seconds, the convention of crypto option
venues, so a time to expiry is the same number everywhere.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from .errors import BadNumber, show

__all__ = ["DAY_NS", "HOUR_NS", "SECOND_NS", "YEAR_NS", "format_ns", "parse_iso_ns", "years_between"]

SECOND_NS = 10**9
HOUR_NS = 3600 * SECOND_NS
DAY_NS = 86_400 * SECOND_NS
YEAR_NS = 365 * DAY_NS

_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?(Z|[+-]\d\d:\d\d)?", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXPECTED = "a UTC time such as 2025-10-10T21:00:00Z, or whole nanoseconds since 1970"


def parse_iso_ns(value: object, place: str = "time") -> int:
    """Nanoseconds of an ISO 8601 time (UTC unless it names an offset), a datetime, or an int already in ns.

    Raises BadNumber for anything else, for dates that do not exist, and outside 1970 to 2262.
    """
    if isinstance(value, bool):
        raise BadNumber(place, show(value), _EXPECTED)
    if isinstance(value, int):
        return _in_range(value, value, place)
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return _in_range(_datetime_ns(aware), str(value), place)
    match = _ISO.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise BadNumber(place, show(value), _EXPECTED)
    *calendar, fraction, zone = match.groups()
    year, month, day, hour, minute, second = (int(part or 0) for part in calendar)
    try:
        whole = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise BadNumber(place, show(value), _EXPECTED) from None
    ns = _datetime_ns(whole) + int((fraction or "0").ljust(9, "0"))
    if zone and zone != "Z":
        minutes = int(zone[1:3]) * 60 + int(zone[4:6])
        ns -= (minutes if zone[0] == "+" else -minutes) * 60 * SECOND_NS
    return _in_range(ns, value, place)


def format_ns(ns: int) -> str:
    """The shortest ISO 8601 form in UTC: "2025-10-10T21:00:00Z", with a fraction only where there is one."""
    seconds, rest = divmod(int(ns), SECOND_NS)
    stamp = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return stamp + (f".{rest:09d}".rstrip("0") if rest else "") + "Z"


def years_between(from_ns: int, to_ns: int) -> float:
    """Years from one time to a later one; zero when it is not later."""
    return max(0, to_ns - from_ns) / YEAR_NS


def _datetime_ns(value: datetime) -> int:
    delta = value - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * SECOND_NS + delta.microseconds * 1000


def _in_range(ns: int, found: object, place: str) -> int:
    if not 0 <= ns < 2**63:
        raise BadNumber(place, show(found), "a time between 1970 and 2262")
    return ns
