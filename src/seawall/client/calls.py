"""Requests before they are sent: method, path, body and what the answer is read as; the same for both clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import quote

from seawall.client import types as t
from seawall.core.errors import BadNumber, show

__all__ = ["Amount", "Call", "amount", "look", "one", "trades_of", "what_if", "write"]

T = TypeVar("T")
Amount = str | int | Decimal


class Call(NamedTuple, Generic[T]):
    """One request. key: an idempotency key, "" to have one made; writes: whether there is one at all."""

    method: str
    path: str
    kind: type[T]
    body: dict[str, Any] | None = None
    query: dict[str, Any] | None = None
    writes: bool = False
    key: str = ""


def one(account: str, what: str, kind: type[T], query: dict[str, Any] | None = None) -> Call[T]:
    """Something about one account."""
    return Call("GET", f"/v1/accounts/{quote(account, safe=':')}{what}", kind, query=query)


def what_if(account: str, trades: Any, deposit: Amount | None) -> Call[t.Figures]:
    """Margin as if trades were done at the mark."""
    body = {"trades": trades_of(trades), "deposit": None if deposit is None else amount(deposit, "deposit")}
    return Call("POST", f"/v1/accounts/{quote(account, safe=':')}/what-if", t.Figures, body)


def write(path: str, key: str, body: dict[str, Any]) -> Call[t.Written]:
    """A write; what is None is left out."""
    return Call("POST", path, t.Written, {name: value for name, value in body.items() if value is not None}, None, True, key)


def look(path: str, query: dict[str, Any]) -> Call[dict[str, Any]]:
    """What any path that is looked at answers, as it is."""
    return Call("GET", path, dict[str, Any], query=query)


def trades_of(trades: Mapping[str, Amount] | Sequence[tuple[str, Amount]]) -> list[list[str]]:
    """[instrument, quantity] pairs."""
    pairs = trades.items() if isinstance(trades, Mapping) else trades
    return [[symbol, amount(quantity, f"quantity of {symbol}")] for symbol, quantity in pairs]


def amount(value: Amount, place: str) -> str:
    """A decimal as text. A float is refused: what it looks like is not what it is."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise BadNumber(place, f"{show(value)} ({type(value).__name__})", "a decimal as text, int or Decimal")
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def check(account: str, instrument: str, quantity: Amount, price: Amount) -> Call[t.Verdict]:
    """Whether margin would admit an order."""
    body = {"instrument": instrument, "quantity": amount(quantity, "quantity"), "price": amount(price, "price")}
    return Call("POST", f"/v1/accounts/{quote(account, safe=':')}/check", t.Verdict, body)


def order(account: str, id: str, instrument: str, quantity: Amount, price: Amount, key: str) -> Call[t.Written]:
    """An order."""
    figures = {"quantity": amount(quantity, "quantity"), "price": amount(price, "price")}
    return write("/v1/orders", key, {"account": account, "id": id, "instrument": instrument} | figures)


def fill(
    maker: str, taker: str, instrument: str, quantity: Amount, price: Amount, maker_fee: Amount, taker_fee: Amount, key: str
) -> Call[t.Written]:
    """A trade that has happened."""
    figures = {"quantity": quantity, "price": price, "maker_fee": maker_fee, "taker_fee": taker_fee}
    words = {name: amount(value, name) for name, value in figures.items()}
    return write("/v1/fills", key, {"maker": maker, "taker": taker, "instrument": instrument} | words)


def prices(path: str, name: str, values: Mapping[str, Amount], source: str, key: str) -> Call[t.Written]:
    """Prices or vols by name."""
    words = {symbol: amount(value, f"{name} of {symbol}") for symbol, value in values.items()}
    return write(path, key, {name: words, "source": source})


def reduce(account: str, instrument: str, quantity: Amount, limit: Amount | None, key: str) -> Call[t.Written]:
    """The owner's own closing."""
    body = {"account": account, "instrument": instrument, "quantity": amount(quantity, "quantity")}
    return write("/v1/reductions", key, body | {"limit": None if limit is None else amount(limit, "limit")})


def executed(
    account: str, order: str, maker: str, quantity: Amount, price: Amount | None, done: bool, key: str
) -> Call[t.Written]:
    """What became of an order of a closing."""
    body: dict[str, Any] = {"account": account, "order": order, "maker": maker, "quantity": amount(quantity, "quantity"), "done": done}
    return write("/v1/executions", key, body | {"price": None if price is None else amount(price, "price")})


def unloaded(bucket: str, instrument: str, maker: str, quantity: Amount, price: Amount, key: str) -> Call[t.Written]:
    """An inherited position traded away."""
    figures = {"quantity": amount(quantity, "quantity"), "price": amount(price, "price")}
    return write("/v1/unloadings", key, {"bucket": bucket, "instrument": instrument, "maker": maker} | figures)


def bid(auction: int, bidder: str, share: Amount, limit: Amount, version: int, key: str) -> Call[t.Written]:
    """A bid in an auction."""
    figures: dict[str, Any] = {"share": amount(share, "share"), "limit": amount(limit, "limit"), "version": version}
    return write("/v1/bids", key, {"auction": auction, "bidder": bidder} | figures)


def provider(path: str, bucket: str, name: str, value: Amount, key: str) -> Call[t.Written]:
    """A provider's money, in or out."""
    return write(path, key, {"bucket": bucket, "provider": name, "amount": amount(value, "amount")})
