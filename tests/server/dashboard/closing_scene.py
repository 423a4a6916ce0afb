"""The dashboard's scene with a venue beside it that closes accounts: looks are the engine's, closings the failing venue's."""

from __future__ import annotations

import time

from seawall.server.dashboard.source import ClosingSeen


class Closings:
    """Puts a failing venue in the place of a source's closings. `show` after each change of the venue."""

    def __init__(self, source):
        self.source = source
        self._kept = (source.closing, source.deleveraging)
        self.venue = None
        self._seen = None
        source.closing = self._closing
        source.deleveraging = self._deleveraging

    def show(self, venue):
        """The venue as it is now."""
        self.venue = venue
        news = tuple({"n": k + 1, "at_ms": at_ns // 1_000_000, "data": data} for k, (at_ns, data) in enumerate(venue.news))
        self._seen = (venue.closings(), venue.auctions(), venue.waterfall(), news)

    def _closing(self, looked_at):
        if self._seen is None:
            return self._kept[0](looked_at)
        closings, auctions, waterfall, news = self._seen
        return ClosingSeen("", time.monotonic(), closings, auctions, waterfall, news)

    async def _deleveraging(self, instrument, side, count):
        if self.venue is None:
            return await self._kept[1](instrument, side, count)
        found = self.venue.deleveraging(instrument, side)
        return found | {"rows": found["rows"][:count]}

    def restore(self):
        self.source.closing, self.source.deleveraging = self._kept
