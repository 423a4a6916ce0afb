"""The client for ordinary code: one method a route, retried where that is safe."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import httpx

from seawall.client import calls as c
from seawall.client import closing_types as ct
from seawall.client import types as t
from seawall.client.errors import Unreachable
from seawall.client.sending import AGAIN, Retry, failure, headers_of, prepare, query_of, read_answer, trusted
from seawall.client.stream import follow

__all__ = ["Client"]

T = TypeVar("T")
Trades = Mapping[str, c.Amount] | Sequence[tuple[str, c.Amount]]


class Client:
    """A service as a Python object. url: where it listens; key: an API key (None: SEAWALL_KEY of the environment).

    verify: of TLS, as httpx takes it (True, False, or an ssl.SSLContext; True trusts the file in SEAWALL_CA too). No proxy of the environment is used.

    Every method raises ServiceError where the service says no, and Unreachable where no answer came after all tries.

    >>> with Client("http://127.0.0.1:8460") as client:      # doctest: +SKIP
    ...     client.deposit("alice", "1000")
    ...     client.what_if("alice", {"BTC-PERP": "0.5"}).free_collateral
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
        self._http = httpx.Client(base_url=self.url, headers=headers_of(key), timeout=timeout_s, verify=self._verify, trust_env=False)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the connections."""
        self._http.close()

    def stream(self, channels: Sequence[str], accounts: Sequence[str] = ()) -> Iterator[t.Snapshot | t.Message]:
        """What happens: a Snapshot, then Messages; connects again and goes on where it was, or with a new Snapshot."""
        return follow(self.url, headers_of(self._key), channels, accounts, self._retry, self._verify)

    def accounts_csv(self, **query: Any) -> Iterator[bytes]:
        """The table of accounts as CSV, in pieces."""
        with self._http.stream("GET", "/v1/accounts.csv", params=query_of(c.Call("GET", "", bytes, query=query))) as answer:
            if answer.status_code != 200:
                raise failure(answer.status_code, answer.read(), answer.headers)
            yield from answer.iter_bytes()

    def _do(self, call: c.Call[T]) -> T:
        body, headers = prepare(call)
        tried = 0
        while True:
            try:
                answer = self._http.request(call.method, call.path, content=body, headers=headers, params=query_of(call))
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
            time.sleep(pause_s)

    def account(self, account: str) -> t.Account:
        """Everything about one account."""
        return self._do(c.one(account, "", t.Account))

    def margin(self, account: str) -> t.Figures:
        """Margin of one account at present."""
        return self._do(c.one(account, "/margin", t.Figures))

    def accounts(self, **query: Any) -> t.Page:
        """A page of accounts: status, search, sort, descending, offset, limit, users_only."""
        return self._do(c.Call("GET", "/v1/accounts", t.Page, query=query))

    def explain(self, account: str) -> dict[str, Any]:
        """Why the margin is what it is, leg by leg."""
        return self._do(c.one(account, "/explain", dict[str, Any]))

    def liquidation_prices(self, account: str, underlying: str) -> t.Liquidation:
        """Prices of an underlying at which the account is liquidated."""
        return self._do(c.one(account, "/liquidation-prices", t.Liquidation, {"underlying": underlying}))

    def corridors(self, account: str) -> t.Corridors:
        """Between these prices the account's status provably stays what it is."""
        return self._do(c.one(account, "/corridors", t.Corridors))

    def what_if(self, account: str, trades: Trades = (), deposit: c.Amount | None = None) -> t.Figures:
        """Margin as if (instrument, quantity) trades were done at the mark and money deposited."""
        return self._do(c.what_if(account, trades, deposit))

    def check(self, account: str, instrument: str, quantity: c.Amount, price: c.Amount) -> t.Verdict:
        """Whether margin would admit an order."""
        return self._do(c.check(account, instrument, quantity, price))

    def open_account(self, account: str, kind: str = "user", key: str = "") -> t.Written:
        """Open an account."""
        return self._do(c.write("/v1/accounts", key, {"account": account, "kind": kind}))

    def open_bucket(self, owner: str, bucket: str, instrument: str = "", key: str = "") -> t.Written:
        """Open an isolated pool of an account."""
        return self._do(c.write("/v1/buckets", key, {"owner": owner, "bucket": bucket, "instrument": instrument}))

    def set_state(self, account: str, state: str, key: str = "") -> t.Written:
        """Change the state of an account."""
        return self._do(c.write("/v1/states", key, {"account": account, "state": state}))

    def deposit(self, account: str, amount: c.Amount, asset: str = "", key: str = "") -> t.Written:
        """Money has come in from outside."""
        return self._do(c.write("/v1/deposits", key, {"account": account, "amount": c.amount(amount, "amount"), "asset": asset}))

    def withdraw(self, account: str, amount: c.Amount, asset: str = "", key: str = "") -> t.Written:
        """Money leaves; ServiceError (422) with the verdict where margin refuses."""
        call = c.write("/v1/withdrawals", key, {"account": account, "amount": c.amount(amount, "amount"), "asset": asset})
        return self._do(call)

    def transfer(self, source: str, target: str, amount: c.Amount, asset: str = "", key: str = "") -> t.Written:
        """Money moves between accounts."""
        call = c.write("/v1/transfers", key, {"source": source, "target": target, "amount": c.amount(amount, "amount"), "asset": asset})
        return self._do(call)

    def fill(
        self, maker: str, taker: str, instrument: str, quantity: c.Amount, price: c.Amount, *, maker_fee: c.Amount = "0", taker_fee: c.Amount = "0", key: str = ""
    ) -> t.Written:
        """A trade has happened: the taker bought, or sold where quantity is negative."""
        return self._do(c.fill(maker, taker, instrument, quantity, price, maker_fee, taker_fee, key))

    def order(self, account: str, id: str, instrument: str, quantity: c.Amount, price: c.Amount, key: str = "") -> t.Written:
        """Open an order; ServiceError (422) with the verdict where margin refuses."""
        return self._do(c.order(account, id, instrument, quantity, price, key))

    def cancel(self, account: str, id: str, key: str = "") -> t.Written:
        """An open order goes."""
        return self._do(c.write("/v1/cancels", key, {"account": account, "id": id}))

    def ticks(self, prices: Mapping[str, c.Amount], source: str = "", key: str = "") -> t.Written:
        """Index prices by underlying, in their order."""
        return self._do(c.prices("/v1/ticks", "prices", prices, source, key))

    def marks(self, prices: Mapping[str, c.Amount], source: str = "", key: str = "") -> t.Written:
        """Mark prices by instrument."""
        return self._do(c.prices("/v1/marks", "prices", prices, source, key))

    def vols(self, vols: Mapping[str, c.Amount], source: str = "", key: str = "") -> t.Written:
        """Implied volatilities by option, fractions."""
        return self._do(c.prices("/v1/surfaces", "vols", vols, source, key))

    def set_parameters(
        self, changes: Mapping[str, str], glide_s: c.Amount = "0", shape: str = "linear", key: str = ""
    ) -> t.Written:
        """Announce parameters of the model, reached over a stated time."""
        call = c.write("/v1/parameters", key, {"changes": dict(changes), "glide_s": c.amount(glide_s, "glide_s"), "shape": shape})
        return self._do(call)

    def parameters(self) -> t.Parameters:
        """The model and its parameters at present."""
        return self._do(c.Call("GET", "/v1/parameters", t.Parameters))

    def prices(self) -> t.Prices:
        """Index prices with ages and sources."""
        return self._do(c.Call("GET", "/v1/market/prices", t.Prices))

    def market(self) -> dict[str, Any]:
        """The present market, as a market.json."""
        return self._do(c.Call("GET", "/v1/market", dict[str, Any]))

    def overview(self, worst: int = 50) -> t.Overview:
        """Totals, counts and the accounts nearest to liquidation."""
        return self._do(c.Call("GET", "/v1/overview", t.Overview, query={"worst": worst}))

    def status(self) -> t.Status:
        """How the service is."""
        return self._do(c.Call("GET", "/v1/status", t.Status))

    def audit(self, **query: Any) -> dict[str, Any]:
        """Who wrote what: after, limit, key, kind, account."""
        return self._do(c.Call("GET", "/v1/audit", dict[str, Any], query=query))

    def look(self, path: str, **query: Any) -> dict[str, Any]:
        """GET of any path of the API, as it is answered."""
        return self._do(c.look(path, query))

    def signed(self, path: str, body: Mapping[str, Any], nonce: str) -> t.Written:
        """POST of something that a keeper has signed; its nonce is the idempotency key (docs/keepers.md)."""
        return self._do(c.write(path, nonce, dict(body)))

    def state_hash(self) -> str:
        """The hash of the service's state; it reads all of it."""
        found = self._do(c.Call("GET", "/v1/state-hash", dict[str, Any]))
        return str(found["state_hash"])

    def reduce(self, account: str, instrument: str, quantity: c.Amount, limit: c.Amount | None = None, key: str = "") -> t.Written:
        """The owner of an account that is being closed closes some of a position himself."""
        return self._do(c.reduce(account, instrument, quantity, limit, key))

    def flatten(self, account: str, key: str = "") -> t.Written:
        """The owner closes everything; once in an episode."""
        return self._do(c.write("/v1/flattenings", key, {"account": account}))

    def executed(
        self, account: str, order: str, maker: str = "", quantity: c.Amount = "0", price: c.Amount | None = None, done: bool = False, key: str = ""
    ) -> t.Written:
        """An order of a closing traded with maker, or is over (done)."""
        return self._do(c.executed(account, order, maker, quantity, price, done, key))

    def unloaded(self, bucket: str, instrument: str, maker: str, quantity: c.Amount, price: c.Amount, key: str = "") -> t.Written:
        """A position that providers inherited was traded away."""
        return self._do(c.unloaded(bucket, instrument, maker, quantity, price, key))

    def bid(self, auction: int, bidder: str, share: c.Amount, limit: c.Amount, version: int, key: str = "") -> t.Written:
        """A bid for a share of what an auction has left, with a limit for all of it."""
        return self._do(c.bid(auction, bidder, share, limit, version, key))

    def restart(self, auction: int, keeper: str, key: str = "") -> t.Written:
        """A keeper starts an auction again whose time is over."""
        return self._do(c.write("/v1/restarts", key, {"auction": auction, "keeper": keeper}))

    def commit(self, bucket: str, provider: str, amount: c.Amount, key: str = "") -> t.Written:
        """A provider puts money behind a bucket."""
        return self._do(c.provider("/v1/commitments", bucket, provider, amount, key))

    def ask_exit(self, bucket: str, provider: str, amount: c.Amount, key: str = "") -> t.Written:
        """A provider asks for money back; it is paid when the cooldown ends."""
        return self._do(c.provider("/v1/exits", bucket, provider, amount, key))

    def collect(self, bucket: str, provider: str, key: str = "") -> t.Written:
        """A provider takes what he has earned."""
        return self._do(c.write("/v1/collections", key, {"bucket": bucket, "provider": provider}))

    def fund(self, amount: c.Amount, market: str = "", source: str = "insurance", key: str = "") -> t.Written:
        """The venue puts money behind a market, or into the global fund."""
        return self._do(c.write("/v1/fund", key, {"amount": c.amount(amount, "amount"), "market": market, "source": source}))

    def set_breaker(self, level: int, key: str = "") -> t.Written:
        """Set the auctions' circuit breaker: 0 all, 1 no start, 2 no restart, 3 no bids."""
        return self._do(c.write("/v1/breaker", key, {"level": level}))

    def closings(self, **query: Any) -> ct.Closings:
        """Accounts that are being closed: offset, limit."""
        return self._do(c.Call("GET", "/v1/closings", ct.Closings, query=query))

    def auctions(self, **query: Any) -> ct.Auctions:
        """Auctions that run: offset, limit, points of each curve."""
        return self._do(c.Call("GET", "/v1/auctions", ct.Auctions, query=query))

    def waterfall(self) -> ct.Waterfall:
        """Who stands behind failures, and what they have borne."""
        return self._do(c.Call("GET", "/v1/waterfall", ct.Waterfall))

    def deleveraging(self, instrument: str, side: str, limit: int = 50) -> ct.Deleveraging:
        """Who would be closed first if the other side of an instrument failed."""
        query = {"instrument": instrument, "side": side, "limit": limit}
        return self._do(c.Call("GET", "/v1/deleveraging", ct.Deleveraging, query=query))
