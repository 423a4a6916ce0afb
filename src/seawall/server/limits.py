"""How much one client may ask for: token buckets by key, and by address for who has none.

A bucket holds up to `burst` requests and gains `rate` a second. Its state is two numbers, brought up to date when it is asked, so
that nothing runs in the background; buckets that are full again are forgotten when there are too many.
"""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Bucket", "Buckets"]

BUCKETS_MAX = 10_000


class Bucket:
    """Tokens that fill up at `rate` a second to at most `burst`."""

    __slots__ = ("_at", "_tokens", "burst", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate, self.burst = rate, burst
        self._tokens, self._at = burst, now

    def take(self, now: float, count: float = 1.0) -> float:
        """0.0 and the tokens are taken, or the seconds after which they could be."""
        self._fill(now)
        if self._tokens >= count:
            self._tokens -= count
            return 0.0
        return (count - self._tokens) / self.rate

    def full(self, now: float) -> bool:
        """Whether forgetting it would change nothing."""
        self._fill(now)
        return self._tokens >= self.burst

    def _fill(self, now: float) -> None:
        if now > self._at:
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
            self._at = now


class Buckets:
    """One bucket a name. At most `BUCKETS_MAX` names: beyond that, who comes new shares one bucket, so that memory is
    bounded whatever addresses a flood pretends to have.
    """

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: dict[str, Bucket] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, name: str, rate: float = 0.0, count: float = 1.0) -> float:
        """0.0, or the seconds to wait. rate: this name's own (0: the common one); its burst is two seconds of it."""
        now = self._clock()
        bucket = self._buckets.get(name)
        if bucket is None or (rate and bucket.rate != rate):
            bucket = self._made(name, rate, now)
        return bucket.take(now, count)

    def _made(self, name: str, rate: float, now: float) -> Bucket:
        if len(self._buckets) >= BUCKETS_MAX:
            self._buckets = {each: bucket for each, bucket in self._buckets.items() if not bucket.full(now)}
        if len(self._buckets) >= BUCKETS_MAX:
            name = ""
            if name in self._buckets:
                return self._buckets[name]
        bucket = Bucket(rate or self._rate, max(2 * rate, 1.0) if rate else self._burst, now)
        self._buckets[name] = bucket
        return bucket
