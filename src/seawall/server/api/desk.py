"""What every route needs at hand: the service, its stream, the keys, the limits, the counters."""

from __future__ import annotations

from typing import Any, NamedTuple

from seawall.server.api.errors import Refusal
from seawall.server.config import VenueConfig
from seawall.server.hub import Hub
from seawall.server.keys import Key, Keys
from seawall.server.limits import Buckets
from seawall.server.metrics import Metrics
from seawall.server.service import Service

__all__ = ["Desk"]


class Desk(NamedTuple):
    """One running service, as its routes see it. sockets: open WebSockets by key."""

    config: VenueConfig
    service: Service
    hub: Hub
    keys: Keys
    buckets: Buckets
    metrics: Metrics
    sockets: dict[str, int]
    facts: dict[str, Any]

    def take(self, key: Key, count: float = 1.0) -> None:
        """Counts a request of a key; Refusal (429) where it is one too many."""
        wait = self.buckets.take(key.id, key.requests_per_s, count)
        if wait:
            rate = key.requests_per_s or self.config.limits.requests_per_s
            raise Refusal(429, "rate", f"key {key.id}", "too many requests", f"at most {rate:g} a second", retry_s=wait)
