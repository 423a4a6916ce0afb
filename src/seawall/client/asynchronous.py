"""The client for asyncio: the same methods as `Client`, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, TypeVar

import httpx

from seawall.client import calls as c
from seawall.client import closing_types as ct
from seawall.client import types as t
from seawall.client.errors import Unreachable
from seawall.client.sending import AGAIN, Retry, failure, headers_of, prepare, query_of, read_answer, trusted
from seawall.client.stream import follow_async

__all__ = ["AsyncClient"]

T = TypeVar("T")
Trades = Mapping[str, c.Amount] | Sequence[tuple[str, c.Amount]]


class AsyncClient:
    """`Client` for asyncio: the same methods, awaited. url: where it listens; key: an API key (None: SEAWALL_KEY of the
    environment). verify: of TLS, as httpx takes it. No proxy of the environment is used.

    Every method raises ServiceError where the service says no, and Unreachable where no answer came after all tries.

    >>> async with AsyncClient("http://127.0.0.1:8460") as client:      # doctest: +SKIP
    ...     await client.deposit("alice", "1000")
    ...     (await client.what_if("alice", {"BTC-PERP": "0.5"})).free_collateral
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8460",
        key: str | None = None,
        *,
        timeout_s: float = 10.0,
        retry: Retry | None = None,
        verify: Any = True,
    ) -> None:
        self.url, self._key, self._retry, self._verify = url.rstrip("/"), key, retry or Retry(), trusted(verify)
        self._http = httpx.AsyncClient(base_url=self.url, headers=headers_of(key), timeout=timeout_s, verify=self._verify, trust_env=False)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Lets go of the connections."""
        await self._http.aclose()

    def stream(self, channels: Sequence[str], accounts: Sequence[str] = ()) -> AsyncIterator[t.Snapshot | t.Message]:
        """What happens: a Snapshot, then Messages; connects again and goes on where it was, or with a new Snapshot."""
        return follow_async(self.url, headers_of(self._key), channels, accounts, self._retry, self._verify)

    async def _do(self, call: c.Call[T]) -> T:
        body, headers = prepare(call)
        tried = 0
        while True:
            try:
                answer = await self._http.request(call.method, call.path, content=body, headers=headers, params=query_of(call))
            except httpx.TransportError as error:
                if tried >= self._retry.times:
                    raise Unreachable(self.url, str(error) or type(error).__name__) from error
                pause_s = self._retry.pause_s(tried)
            else:
                if answer.status_code not in AGAIN or tried >= self._retry.times:
                    found: T = read_answer(call, answer.status_code, answer.content, answer.headers)
                    return found
                pause_s = self._retry.pause_s(tried, failure(answer.status_code, answer.content, answer.headers).retry_s)
            tried += 1
            await asyncio.sleep(pause_s)

    async def account(self, account: str) -> t.Account:
        """Everything about one account."""
        return await self._do(c.one(account, "", t.Account))

    async def margin(self, account: str) -> t.Figures:
        """Margin of one account at present."""
        return await self._do(c.one(account, "/margin", t.Figures))

    async def accounts(self, **query: Any) -> t.Page:
        """A page of accounts: status, search, sort, descending, offset, limit, users_only."""
        return await self._do(c.Call("GET", "/v1/accounts", t.Page, query=query))

    async def explain(self, account: str) -> dict[str, Any]:
        """Why the margin is what it is, leg by leg."""
        return await self._do(c.one(account, "/explain", dict[str, Any]))

    async def liquidation_prices(self, account: str, underlying: str) -> t.Liquidation:
        """Prices of an underlying at which the account is liquidated."""
        return await self._do(c.one(account, "/liquidation-prices", t.Liquidation, {"underlying": underlying}))

    async def corridors(self, account: str) -> t.Corridors:
        """Between these prices the account's status provably stays what it is."""
        return await self._do(c.one(account, "/corridors", t.Corridors))

    async def what_if(self, account: str, trades: Trades = (), deposit: c.Amount | None = None) -> t.Figures:
        """Margin as if (instrument, quantity) trades were done at the mark and money deposited."""
        return await self._do(c.what_if(account, trades, deposit))

    async def check(self, account: str, instrument: str, quantity: c.Amount, price: c.Amount) -> t.Verdict:
        """Whether margin would admit an order."""
        return await self._do(c.check(account, instrument, quantity, price))

    async def open_account(self, account: str, kind: str = "user", key: str = "") -> t.Written:
        """Open an account."""
        return await self._do(c.write("/v1/accounts", key, {"account": account, "kind": kind}))

    async def open_bucket(self, owner: str, bucket: str, instrument: str = "", key: str = "") -> t.Written:
        """Open an isolated pool of an account."""
        return await self._do(c.write("/v1/buckets", key, {"owner": owner, "bucket": bucket, "instrument": instrument}))

    async def set_state(self, account: str, state: str, key: str = "") -> t.Written:
        """Change the state of an account."""
        return await self._do(c.write("/v1/states", key, {"account": account, "state": state}))

    async def deposit(self, account: str, amount: c.Amount, asset: str = "", key: str = "") -> t.Written:
        """Money has come in from outside."""
        call = c.write("/v1/deposits", key, {"account": account, "amount": c.amount(amount, "amount"), "asset": asset})
        return await self._do(call)

    async def withdraw(self, account: str, amount: c.Amount, asset: str = "", key: str = "") -> t.Written:
        """Money leaves; ServiceError (422) with the verdict where margin refuses."""
        call = c.write("/v1/withdrawals", key, {"account": account, "amount": c.amount(amount, "amount"), "asset": asset})
        return await self._do(call)

    async def transfer(self, source: str, target: str, amount: c.Amount, asset: str = "", key: str = "") -> t.Written:
        """Money moves between accounts."""
        call = c.write("/v1/transfers", key, {"source": source, "target": target, "amount": c.amount(amount, "amount"), "asset": asset})
        return await self._do(call)

    async def fill(
        self, maker: str, taker: str, instrument: str, quantity: c.Amount, price: c.Amount, *, maker_fee: c.Amount = "0", taker_fee: c.Amount = "0", key: str = ""
    ) -> t.Written:
        """A trade has happened: the taker bought, or sold where quantity is negative."""
        return await self._do(c.fill(maker, taker, instrument, quantity, price, maker_fee, taker_fee, key))

    async def order(
        self, account: str, id: str, instrument: str, quantity: c.Amount, price: c.Amount, key: str = ""
    ) -> t.Written:
        """Open an order; ServiceError (422) with the verdict where margin refuses."""
        return await self._do(c.order(account, id, instrument, quantity, price, key))

    async def cancel(self, account: str, id: str, key: str = "") -> t.Written:
        """An open order goes."""
        return await self._do(c.write("/v1/cancels", key, {"account": account, "id": id}))

    async def ticks(self, prices: Mapping[str, c.Amount], source: str = "", key: str = "") -> t.Written:
        """Index prices by underlying, in their order."""
        return await self._do(c.prices("/v1/ticks", "prices", prices, source, key))

    async def marks(self, prices: Mapping[str, c.Amount], source: str = "", key: str = "") -> t.Written:
        """Mark prices by instrument."""
        return await self._do(c.prices("/v1/marks", "prices", prices, source, key))

    async def vols(self, vols: Mapping[str, c.Amount], source: str = "", key: str = "") -> t.Written:
        """Implied volatilities by option, fractions."""
        return await self._do(c.prices("/v1/surfaces", "vols", vols, source, key))

    async def set_parameters(
        self, changes: Mapping[str, str], glide_s: c.Amount = "0", shape: str = "linear", key: str = ""
    ) -> t.Written:
        """Announce parameters of the model, reached over a stated time."""
        call = c.write("/v1/parameters", key, {"changes": dict(changes), "glide_s": c.amount(glide_s, "glide_s"), "shape": shape})
        return await self._do(call)

    async def parameters(self) -> t.Parameters:
        """The model and its parameters at present."""
        return await self._do(c.Call("GET", "/v1/parameters", t.Parameters))

    async def prices(self) -> t.Prices:
        """Index prices with ages and sources."""
        return await self._do(c.Call("GET", "/v1/market/prices", t.Prices))

    async def market(self) -> dict[str, Any]:
        """The present market, as a market.json."""
        return await self._do(c.Call("GET", "/v1/market", dict[str, Any]))

    async def overview(self, worst: int = 50) -> t.Overview:
        """Totals, counts and the accounts nearest to liquidation."""
        return await self._do(c.Call("GET", "/v1/overview", t.Overview, query={"worst": worst}))

    async def status(self) -> t.Status:
        """How the service is."""
        return await self._do(c.Call("GET", "/v1/status", t.Status))

    async def audit(self, **query: Any) -> dict[str, Any]:
        """Who wrote what: after, limit, key, kind, account."""
        return await self._do(c.Call("GET", "/v1/audit", dict[str, Any], query=query))

    async def look(self, path: str, **query: Any) -> dict[str, Any]:
        """GET of any path of the API, as it is answered."""
        return await self._do(c.look(path, query))

    async def signed(self, path: str, body: Mapping[str, Any], nonce: str) -> t.Written:
        """POST of something that a keeper has signed; its nonce is the idempotency key (docs/keepers.md)."""
        return await self._do(c.write(path, nonce, dict(body)))

    async def state_hash(self) -> str:
        """The hash of the service's state; it reads all of it."""
        found = await self._do(c.Call("GET", "/v1/state-hash", dict[str, Any]))
        return str(found["state_hash"])

    async def reduce(self, account: str, instrument: str, quantity: c.Amount, limit: c.Amount | None = None, key: str = "") -> t.Written:
        """The owner of an account that is being closed closes some of a position himself."""
        return await self._do(c.reduce(account, instrument, quantity, limit, key))

    async def flatten(self, account: str, key: str = "") -> t.Written:
        """The owner closes everything; once in an episode."""
        return await self._do(c.write("/v1/flattenings", key, {"account": account}))

    async def executed(
        self, account: str, order: str, maker: str = "", quantity: c.Amount = "0", price: c.Amount | None = None, done: bool = False, key: str = ""
    ) -> t.Written:
        """An order of a closing traded with maker, or is over (done)."""
        return await self._do(c.executed(account, order, maker, quantity, price, done, key))

    async def unloaded(self, bucket: str, instrument: str, maker: str, quantity: c.Amount, price: c.Amount, key: str = "") -> t.Written:
        """A position that providers inherited was traded away."""
        return await self._do(c.unloaded(bucket, instrument, maker, quantity, price, key))

    async def bid(self, auction: int, bidder: str, share: c.Amount, limit: c.Amount, version: int, key: str = "") -> t.Written:
        """A bid for a share of what an auction has left, with a limit for all of it."""
        return await self._do(c.bid(auction, bidder, share, limit, version, key))

    async def restart(self, auction: int, keeper: str, key: str = "") -> t.Written:
        """A keeper starts an auction again whose time is over."""
        return await self._do(c.write("/v1/restarts", key, {"auction": auction, "keeper": keeper}))

    async def commit(self, bucket: str, provider: str, amount: c.Amount, key: str = "") -> t.Written:
        """A provider puts money behind a bucket."""
        return await self._do(c.provider("/v1/commitments", bucket, provider, amount, key))

    async def ask_exit(self, bucket: str, provider: str, amount: c.Amount, key: str = "") -> t.Written:
        """A provider asks for money back; it is paid when the cooldown ends."""
        return await self._do(c.provider("/v1/exits", bucket, provider, amount, key))

    async def collect(self, bucket: str, provider: str, key: str = "") -> t.Written:
        """A provider takes what he has earned."""
        return await self._do(c.write("/v1/collections", key, {"bucket": bucket, "provider": provider}))

    async def fund(self, amount: c.Amount, market: str = "", source: str = "insurance", key: str = "") -> t.Written:
        """The venue puts money behind a market, or into the global fund."""
        return await self._do(c.write("/v1/fund", key, {"amount": c.amount(amount, "amount"), "market": market, "source": source}))

    async def set_breaker(self, level: int, key: str = "") -> t.Written:
        """Set the auctions' circuit breaker: 0 all, 1 no start, 2 no restart, 3 no bids."""
        return await self._do(c.write("/v1/breaker", key, {"level": level}))

    async def closings(self, **query: Any) -> ct.Closings:
        """Accounts that are being closed: offset, limit."""
        return await self._do(c.Call("GET", "/v1/closings", ct.Closings, query=query))

    async def auctions(self, **query: Any) -> ct.Auctions:
        """Auctions that run: offset, limit, points of each curve."""
        return await self._do(c.Call("GET", "/v1/auctions", ct.Auctions, query=query))

    async def waterfall(self) -> ct.Waterfall:
        """Who stands behind failures, and what they have borne."""
        return await self._do(c.Call("GET", "/v1/waterfall", ct.Waterfall))

    async def deleveraging(self, instrument: str, side: str, limit: int = 50) -> ct.Deleveraging:
        """Who would be closed first if the other side of an instrument failed."""
        query = {"instrument": instrument, "side": side, "limit": limit}
        return await self._do(c.Call("GET", "/v1/deleveraging", ct.Deleveraging, query=query))
