"""What a service counts about itself, and how Prometheus reads it (text format 0.0.4).

A histogram is a list of integers; observing is a bisection and an addition, so that it may stand in any hot path. Gauges are not
kept: they are asked for when somebody reads.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

__all__ = ["BOUNDS_S", "Gauge", "Histogram", "Metrics", "render"]

BOUNDS_S = (
    5e-05, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
Labels = tuple[tuple[str, str], ...]
Gauge = tuple[str, str, Iterable[tuple[Mapping[str, str], float]]]
"""A name, what it means, and its values by labels."""


class Histogram:
    """Seconds, counted by BOUNDS_S."""

    __slots__ = ("counts", "total_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.total_s = 0.0

    def observe(self, seconds: float) -> None:
        """One more."""
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.total_s += seconds

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)

    def quantile(self, share: float) -> float:
        """The bound below which this share lies (the last bound for what is beyond it); 0 where nothing was counted."""
        wanted, seen = share * self.count, 0
        for bound, count in zip((*BOUNDS_S, BOUNDS_S[-1]), self.counts, strict=True):
            seen += count
            if seen and seen >= wanted:
                return bound
        return 0.0


class Metrics:
    """Counters and histograms by name. `stages`: how long each stage of the work takes."""

    def __init__(self) -> None:
        self.stages: dict[str, Histogram] = {}
        self.counters: dict[str, dict[Labels, int]] = {}
        self.started_ns = time.time_ns()

    def observe(self, stage: str, seconds: float) -> None:
        """A stage took so long."""
        found = self.stages.get(stage)
        if found is None:
            found = self.stages[stage] = Histogram()
        found.observe(seconds)

    def count(self, name: str, by: int = 1, /, **labels: str) -> None:
        """A counter goes up."""
        family = self.counters.setdefault(name, {})
        key = tuple(sorted(labels.items()))
        family[key] = family.get(key, 0) + by

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Observes how long the block took."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.observe(stage, time.perf_counter() - start)


COUNTER_WORDS = {
    "seawall_requests_total": "Requests answered, by route, method and status.",
    "seawall_socket_requests_total": "Requests over WebSocket, by operation and status.",
    "seawall_refused_total": "Requests turned away before they reached a route, by reason.",
    "seawall_stream_dropped_total": "Stream subscriptions that the service ended, by reason.",
    "seawall_dashboard_starts_total": "Times the dashboard's process was started.",
}


def render(metrics: Metrics, gauges: Iterable[Gauge]) -> str:
    """Everything in the text format of Prometheus."""
    lines: list[str] = []
    for name, words, values in gauges:
        _head(lines, name, words, "gauge")
        lines += [f"{name}{_labels(tuple(labels.items()))} {_number(value)}" for labels, value in values]
    for name, family in sorted(metrics.counters.items()):
        _head(lines, name, COUNTER_WORDS.get(name, "A count since the start."), "counter")
        lines += [f"{name}{_labels(labels)} {count}" for labels, count in sorted(family.items())]
    if metrics.stages:
        name = "seawall_stage_seconds"
        _head(lines, name, "How long each stage of the work takes.", "histogram")
        for stage, histogram in sorted(metrics.stages.items()):
            so_far = 0
            for bound, count in zip((*BOUNDS_S, float("inf")), histogram.counts, strict=True):
                so_far += count
                lines.append(f"{name}_bucket{_labels((('stage', stage), ('le', _number(bound))))} {so_far}")
            lines.append(f"{name}_sum{_labels((('stage', stage),))} {_number(histogram.total_s)}")
            lines.append(f"{name}_count{_labels((('stage', stage),))} {so_far}")
    return "\n".join(lines) + "\n"


def _head(lines: list[str], name: str, words: str, kind: str) -> None:
    lines += [f"# HELP {name} {words}", f"# TYPE {name} {kind}"]


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return "+Inf" if value == float("inf") else f"{value:.10g}"
