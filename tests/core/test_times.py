"""Times are integers of nanoseconds; dates are read and written at the edge."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core.errors import BadNumber
from seawall.core.times import YEAR_NS, format_ns, parse_iso_ns, years_between


@given(st.integers(0, 2**63 - 1))
def test_every_nanosecond_survives_the_way_out_and_back(ns):
    assert parse_iso_ns(format_ns(ns)) == ns


def test_known_dates_are_right():
    assert parse_iso_ns("2025-10-10T21:00:00Z") == 1_760_130_000 * 10**9
    assert parse_iso_ns("2025-10-10T23:00:00+02:00") == parse_iso_ns("2025-10-10 21:00")
    assert parse_iso_ns("2025-10-10") == parse_iso_ns(datetime(2025, 10, 10, tzinfo=UTC))
    assert parse_iso_ns(datetime(2025, 10, 10)) == parse_iso_ns("2025-10-10T00:00:00Z")
    assert format_ns(1_760_130_000_500_000_000) == "2025-10-10T21:00:00.5Z"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "now",
        "2025-13-01T00:00:00Z",
        "2025-02-30",
        "2025-10-10T25:00:00Z",
        "1969-12-31",
        "2300-01-01",
        True,
        1.5,
    ]
    + [-1, 2**63, None, [], "2025-10-10T21:00:00.1234567890Z", "٢٠٢٥-10-10"],
)
def test_what_is_no_time_is_refused(value):
    with pytest.raises(BadNumber, match="expiry: found"):
        parse_iso_ns(value, "expiry")


def test_a_year_has_365_days_and_past_times_count_as_none():
    assert years_between(0, YEAR_NS) == 1.0
    assert years_between(5, 4) == 0.0
