"""What Prometheus is told about the state of things at the moment it asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from seawall.liquidation.closing_events import Stage
from seawall.server.closing.said import stage_text
from seawall.server.metrics import Gauge

if TYPE_CHECKING:
    from seawall.server.api.desk import Desk

__all__ = ["gauges"]


def gauges(desk: Desk) -> Iterator[Gauge]:
    """All gauges of a running service."""
    service = desk.service
    status: dict[str, Any] = service.status()
    journal = status["journal"]
    yield _one("seawall_sequence", "Sequence of the last event applied.", status["sequence"])
    yield _one("seawall_durable_sequence", "Sequence of the last event that the disk has.", status["durable_sequence"])
    yield _one("seawall_journal_lag", "Events applied that the disk does not have yet.", status["lag"])
    yield _one("seawall_journal_pending_bytes", "Bytes that wait for the disk.", journal["pending_bytes"])
    yield _one("seawall_journal_writing_seconds", "How long the write under way has taken.", journal["writing_s"])
    states = ("accepting", "busy", "stopped", "closed")
    words = "1 for the state that the journal is in."
    yield "seawall_journal_state", words, [({"state": one}, float(journal["state"] == one)) for one in states]
    yield _one("seawall_staleness_seconds", "Age of the newest event.", status["staleness_s"])
    prices = service.prices()
    yield "seawall_price_age_seconds", "Age of each index price.", [({"underlying": one.name}, one.age_s) for one in prices]
    counts = service.clearing.engine.counts
    words = "Accounts by margin status, those of the venue and free places among the ok ones."
    yield "seawall_accounts", words, [({"status": name}, float(count)) for name, count in counts.items()]
    yield _one("seawall_decisions", "Changes of status since the journal began.", service.clearing.engine.sequence)
    yield _one("seawall_stream_listeners", "Subscriptions to the stream.", desk.hub.listeners)
    yield _one("seawall_stream_messages", "Messages published on the stream.", desk.hub.head)
    yield _one("seawall_sockets", "Open WebSockets.", sum(desk.sockets.values()))
    yield _one("seawall_keys_problem", "1 while the file of keys cannot be read.", float(bool(desk.keys.problem)))
    yield from _closing(service)
    yield _one("seawall_started_seconds", "When the process started, seconds since 1970.", desk.metrics.started_ns / 1e9)


def _closing(service: Any) -> Iterator[Gauge]:
    """Of a venue that closes failed accounts."""
    liquidator, desk = service.liquidator, service.clearing.desk
    if liquidator is None or desk is None:
        return
    stages = service.narrator.stages
    words = "Accounts that are being closed, by stage."
    yield "seawall_closings", words, [({"stage": stage_text(stage)}, float(stages[stage])) for stage in Stage if stage]
    yield _one("seawall_closings_waiting", "Accounts that wait for a look.", len(liquidator.schedule))
    yield _one("seawall_closing_refused", "Looks and clocks of closings that were refused since the start.", liquidator.refused)
    yield _one("seawall_auctions", "Auctions that run.", len(desk.house.sales))
    yield _one("seawall_auctions_breaker", "Level of the auctions' circuit breaker.", desk.house.breaker.level)
    words = "1 while a bucket's prices are stale and its auctions stand."
    yield "seawall_bucket_stale", words, [({"bucket": name}, float(name in desk.house.stale)) for name in desk.layers.vaults]
    totals = service.narrator.totals
    words = "What layers of the waterfall have borne since the start, micro."
    yield "seawall_waterfall_micro", words, [({"layer": layer.name.lower()}, float(paid)) for layer, paid in totals.items()]


def _one(name: str, words: str, value: float) -> Gauge:
    return name, words, [({}, float(value))]
