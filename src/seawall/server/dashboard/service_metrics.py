"""What the service's Prometheus page says that no look does: the 99th percentile of its ticks of the last minute, and how many
accounts are at each stage of being closed.

A histogram only counts up, so what lies between two readings of it is the histogram of that time.
"""

from __future__ import annotations

import re
from collections import deque

__all__ = ["WINDOW_S", "Quantile", "buckets_of", "stages_of"]

WINDOW_S = 60.0
_LINE = re.compile(r'^seawall_stage_seconds_bucket\{stage="(\w+)",le="([^"]+)"\} (\d+)$', re.MULTILINE)
_STAGE = re.compile(r'^seawall_closings\{stage="([\w-]+)"\} (\d+)$', re.MULTILINE)


def buckets_of(text: str, stage: str) -> dict[float, int]:
    """Upper bound in seconds → how many took at most that long; empty where the page has no such stage."""
    return {float(bound): int(count) for name, bound, count in _LINE.findall(text) if name == stage}


def stages_of(text: str) -> dict[str, int]:
    """Accounts by stage of their closing, those at rest left out; empty where the page does not tell."""
    return {name: int(count) for name, count in _STAGE.findall(text) if name != "rest"}


class Quantile:
    """share: of observations. `add` takes a reading; `seconds` is the quantile of the last WINDOW_S."""

    def __init__(self, share: float = 0.99) -> None:
        self._share = share
        self._readings: deque[tuple[float, dict[float, int]]] = deque()
        self.count = 0  # of observations in the window
        self.seconds: float | None = None

    def add(self, at_s: float, buckets: dict[float, int]) -> None:
        """A reading at a time of a clock that only rises. Counts that fell mean that the service began anew."""
        if self._readings and any(buckets.get(bound, 0) < count for bound, count in self._readings[-1][1].items()):
            self._readings.clear()
        self._readings.append((at_s, buckets))
        while len(self._readings) > 2 and self._readings[1][0] <= at_s - WINDOW_S:
            self._readings.popleft()
        first = self._readings[0][1] if len(self._readings) > 1 else {}
        self._find({bound: count - first.get(bound, 0) for bound, count in sorted(buckets.items())})

    def _find(self, counts: dict[float, int]) -> None:
        """Inside its bucket the quantile is where a line between the bounds has it; of what is beyond the last bound nothing
        is known but that."""
        self.count = max(counts.values(), default=0)
        wanted = self._share * self.count
        low, below = 0.0, 0
        self.seconds = None
        for bound, count in counts.items():
            if count and count >= wanted:
                inside = (wanted - below) / (count - below) if count > below else 1.0
                self.seconds = low if bound == float("inf") else low + (bound - low) * inside
                return
            low, below = bound, count
