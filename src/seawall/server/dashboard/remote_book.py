"""The whole book of a service, fetched in pages for evaluations on this side.

Used by the thread that sweeps (`sweeps.py`), so it waits for its answers; the service gives each page a millisecond.
"""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import numpy as np

from seawall.client.sending import trusted
from seawall.margin import models
from seawall.margin.model import Model
from seawall.market.market import Market
from seawall.server.api.book import BookPage
from seawall.server.dashboard.source import Unanswered
from seawall.server.dashboard.stress import Book

__all__ = ["RemoteBook", "model_of"]

_PAGE = 20_000
_ACCEPT = {"accept": "application/msgpack"}


class RemoteBook:
    """url, key: of the service. After a `take`: users bool[rows], orders int64[rows] of the same rows."""

    def __init__(self, url: str, headers: dict[str, str], timeout_s: float = 10.0) -> None:
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout_s, verify=trusted(), trust_env=False)
        self.users = np.zeros(0, np.bool_)
        self.orders = np.zeros(0, np.int64)

    def take(self) -> tuple[Book, int]:
        """Every account's positions with the market and the model of this moment. Raises Unanswered where the service does
        not answer."""
        market, model = self.market()
        pages = [self.page(0, _PAGE)]
        while (got := pages[-1].first + len(pages[-1].users)) < pages[-1].rows:
            pages.append(self.page(got, _PAGE))
        if pages[0].legs != len(market.legs.symbols):
            raise Unanswered(f"the service has {pages[0].legs} legs, its market document {len(market.legs.symbols)}")

        def column(name: str, kind: str) -> np.ndarray:
            return np.concatenate([np.frombuffer(getattr(page, name), kind) for page in pages])

        stops = np.cumsum(column("lengths", "<i8"))
        starts = np.concatenate([[0], stops[:-1]])
        self.users, self.orders = column("users", "?"), column("orders", "<i8")
        # the venue's own accounts are nobody's risk: the page does not list them, so the stress grid may not count them
        starts, cash_nano = np.where(self.users, starts, stops), np.where(self.users, column("cash_nano", "<i8"), 0)
        book = Book(starts, stops, column("leg", "<i4"), column("lots", "<i8"), cash_nano, market, model)
        return book, pages[-1].sequence

    def page(self, first: int, count: int) -> BookPage:
        """Some rows."""
        answer = self._get("/v1/book", {"first": first, "count": count}, _ACCEPT)
        return msgspec.msgpack.decode(answer.content, type=BookPage)

    def market(self) -> tuple[Market, Model]:
        """The present market and the model in force."""
        document = msgspec.json.decode(self._get("/v1/market").content)
        return Market.from_document(document, place="the service's market"), model_of(msgspec.json.decode(self._get("/v1/parameters").content))

    def close(self) -> None:
        """Lets go of the connection."""
        self._http.close()

    def _get(self, path: str, query: dict[str, Any] | None = None, headers: dict[str, str] | None = None) -> httpx.Response:
        try:
            answer = self._http.get(path, params=query, headers=headers)
        except httpx.HTTPError as error:
            raise Unanswered(f"the service does not answer ({error or type(error).__name__})") from None
        if answer.status_code != 200:
            raise Unanswered(f"the service answers {answer.status_code} to {path}: {answer.text[:200]}")
        return answer


def model_of(parameters: dict[str, Any]) -> Model:
    """The model that `/v1/parameters` describes."""
    usual = models.get(parameters["model"])
    made: Any = type(usual)
    found: Model = made(msgspec.convert(parameters["parameters"], type(usual.parameters)))
    return found
