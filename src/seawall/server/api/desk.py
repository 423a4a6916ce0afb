"""What every route needs at hand: the service, its stream, the keys, the limits, the counters."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import msgspec

from seawall.server.api.errors import Refusal
from seawall.server.config import VenueConfig
from seawall.server.hub import Hub
from seawall.server.keepers.notary import Notary
from seawall.server.keys import Key, Keys
from seawall.server.limits import Buckets
from seawall.server.looks import Looks
from seawall.server.metrics import Metrics
from seawall.server.service import Service
from seawall.server.views import Overview, overview

__all__ = ["WORST_MAX", "Desk"]

OVERVIEW_S = 0.5
WORST_MAX = 500


class Desk(NamedTuple):
    """One running service, as its routes see it. sockets: open WebSockets by key; looks: at all accounts, beside
    the loop; notary: checks what keepers sign, where the venue closes failed accounts."""

    config: VenueConfig
    service: Service
    hub: Hub
    keys: Keys
    buckets: Buckets
    metrics: Metrics
    sockets: dict[str, int]
    facts: dict[str, Any]
    looks: Looks
    notary: Notary | None = None

    async def overview(self, worst: int = 50) -> Overview:
        """The service's overview, at most OVERVIEW_S old: it looks at every account, which is for no caller's loop to repeat."""
        now = time.monotonic()
        kept, at = self.facts.get("overview", (None, -OVERVIEW_S))
        if kept is None or now - at >= OVERVIEW_S:
            kept = await self.looks.made(lambda seen: overview(seen, WORST_MAX))
            self.facts["overview"] = kept, now
        return msgspec.structs.replace(kept, worst=kept.worst[:worst])

    def last_overview(self, worst: int = 50) -> Overview:
        """The last one that was made, whatever its age; where there was none it is made now."""
        if "overview" not in self.facts:
            self.facts["overview"] = self.service.overview(WORST_MAX), time.monotonic()
        kept = self.facts["overview"][0]
        return msgspec.structs.replace(kept, worst=kept.worst[:worst])

    def take(self, key: Key, count: float = 1.0) -> None:
        """Counts a request of a key; Refusal (429) where it is one too many."""
        wait = self.buckets.take(key.id, key.requests_per_s, count)
        if wait:
            rate = key.requests_per_s or self.config.limits.requests_per_s
            raise Refusal(429, "rate", f"key {key.id}", "too many requests", f"at most {rate:g} a second", retry_s=wait)
