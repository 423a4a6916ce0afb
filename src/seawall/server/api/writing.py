"""Writing: money, trades, orders, states, prices and parameters. Each is durable when it is answered, and names its key.

Which scope writes what is one table, `WRITES`; the WebSocket uses the same. A request that margin refuses changes nothing,
is not recorded, and is answered with 422 and the verdict.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, NamedTuple

from fastapi import Response

from seawall.server import requests as wire
from seawall.server.api.answers import WrittenView, verdict_view, written_view
from seawall.server.api.desk import Desk
from seawall.server.api.errors import Refusal
from seawall.server.api.routes import Ask, Routes, answer, idempotency_of
from seawall.server.keepers.sealing import check_keeper, write_sealed
from seawall.server.keys import Key

__all__ = ["SCOPE_OF", "WRITES", "routes", "write"]


class Write(NamedTuple):
    """A path, what is posted to it, the scope it needs and what it does."""

    path: str
    kind: Any
    scope: str
    name: str
    words: str


WRITES = (
    Write("/v1/accounts", wire.OpenAccount, "trade", "open_account",
          "Open an account. A user's needs `trade`; one of the venue's own (insurance, backstop, fees) needs `admin`."),
    Write("/v1/buckets", wire.OpenBucket, "trade", "open_bucket", "Open an isolated pool of an account."),
    Write("/v1/states", wire.SetState, "risk", "set_state", "Change the state of an account."),
    Write("/v1/deposits", wire.Deposit, "admin", "deposit", "Money has come in from outside."),
    Write("/v1/withdrawals", wire.Withdraw, "admin", "withdraw", "Money leaves, if free collateral covers it."),
    Write("/v1/transfers", wire.Transfer, "trade", "transfer", "Move money between accounts, if free collateral covers it."),
    Write("/v1/charges", wire.Charge, "risk", "charge", "A user owes fees or a fund."),
    Write("/v1/covers", wire.Cover, "risk", "cover", "A fund pays a user's debt."),
    Write("/v1/fills", wire.Fill, "trade", "record_fill", "A trade has happened: a fact, recorded whatever margin says."),
    Write("/v1/orders", wire.Order, "trade", "place_order", "Open an order, if margin covers it or it only reduces risk."),
    Write("/v1/cancels", wire.Cancel, "trade", "cancel_order", "An open order goes."),
    Write("/v1/ticks", wire.Ticks, "risk", "set_index_prices", "Index prices of underlyings, in their order."),
    Write("/v1/marks", wire.Marks, "risk", "set_mark_prices", "Mark prices of perpetuals and futures."),
    Write("/v1/surfaces", wire.Surface, "risk", "set_vols", "Implied volatilities of options."),
    Write("/v1/parameters", wire.Parameters, "risk", "set_parameters",
          "Announce parameters of the model, reached over a stated time; refused where they would not survive one step."),
    Write("/v1/premiums", wire.Premium, "risk", "sample_premium", "One sample for a perpetual's funding."),
    Write("/v1/fundings", wire.Funding, "risk", "end_funding_interval", "An interval of a perpetual's funding ends."),
    Write("/v1/interest", wire.Accrue, "risk", "accrue_interest", "Interest of an asset since the last time."),
    Write("/v1/expiries", wire.Expire, "risk", "expire", "A contract is over, at its last price."),
    Write("/v1/settlements", wire.Settle, "risk", "settle", "What an account has coming becomes its balance now."),
    Write("/v1/reductions", wire.Reduce, "trade", "reduce_position",
          "The owner of an account that is being closed closes some of it himself, ahead of everything of the venue's."),
    Write("/v1/flattenings", wire.Flatten, "trade", "flatten", "The owner closes everything; once in an episode."),
    Write("/v1/executions", wire.Executed, "trade", "record_execution", "An order of a closing traded, or is over."),
    Write("/v1/unloadings", wire.Unload, "trade", "record_unloading", "A position that providers inherited was traded away."),
    Write("/v1/bids", wire.Bid, "trade|bid", "bid", "A bid in an auction of an account; it cannot be taken back."),
    Write("/v1/ranked-bids", wire.RankedBid, "trade|bid", "file_ranked_bid", "A bid that stands before anybody fails."),
    Write("/v1/ranked-cancels", wire.RankedCancel, "trade|bid", "cancel_ranked_bid", "A standing bid goes, or all of a bidder."),
    Write("/v1/designations", wire.Designate, "risk", "designate_liquidator", "A market maker promises to keep standing bids."),
    Write("/v1/restarts", wire.Restart, "trade|bid", "restart_auction", "A keeper starts an auction again whose time is over."),
    Write("/v1/commitments", wire.Commit, "trade", "commit_to_backstop", "A provider puts money behind a bucket."),
    Write("/v1/exits", wire.Exit, "trade", "exit_backstop", "A provider asks for money back; the cooldown begins."),
    Write("/v1/collections", wire.Collect, "trade", "collect_earnings", "A provider takes what he has earned."),
    Write("/v1/fund", wire.Fund, "admin", "fund_insurance", "The venue puts money behind a market, or into the global fund."),
    Write("/v1/breaker", wire.Breaker, "risk", "set_breaker", "Set the auctions' circuit breaker."),
)  # fmt: skip
OWNERS = (wire.Reduce, wire.Flatten)
SCOPE_OF: dict[type, str] = {one.kind: one.scope for one in WRITES} | {wire.Clock: "risk"}


async def write(desk: Desk, key: Key, request: Any, idempotency: str) -> WrittenView:
    """Writes a request and waits for the disk. Raises Refusal (422) where margin refuses it."""
    if isinstance(request, wire.OpenAccount) and request.kind != "user" and "admin" not in key.scopes:
        raise Refusal(403, "scope", f"key {key.id}", "scopes " + ", ".join(key.scopes), "the scope admin")
    sealed = check_keeper(desk.notary, key, request, idempotency, desk.service.now_ns())
    if sealed is not None and desk.notary is not None:
        return await write_sealed(desk.service, desk.notary, key, request, sealed)
    stage = "owner-lane" if isinstance(request, OWNERS) else "write"
    prices = desk.metrics.timed("tick") if isinstance(request, wire.Ticks) else nullcontext()
    with desk.metrics.timed(stage), prices:
        written = await desk.service.write(request, key_id=key.id, idempotency=idempotency)
    if written.verdict is not None and not written.verdict.admitted:
        verdict = verdict_view(written.verdict)
        tag = str(type(request).__struct_config__.tag)
        raise Refusal(422, "margin", tag, written.verdict.reason, "an account whose margin covers it", extra={"verdict": verdict})
    return written_view(written)


def routes() -> Routes:
    """The routes of this module."""
    found = Routes("writing")
    for one in WRITES:
        found.add(
            "POST",
            one.path,
            _call(one),
            scope=one.scope,
            answers=WrittenView,
            body=one.kind,
            refuses=(404, 409, 422, 503),
            writes=True,
        )
    return found


def _call(one: Write) -> Any:
    async def call(ask: Ask) -> Response:
        return answer(ask, await write(ask.desk, ask.key, ask.body, idempotency_of(ask.request)))

    call.__name__ = one.name
    call.__doc__ = one.words
    return call
