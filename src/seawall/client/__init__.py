"""The Python client of a running service: `Client` for ordinary code, `AsyncClient` for asyncio.

    from seawall.client import Client
    with Client("http://127.0.0.1:8460", key) as client:
        client.what_if("alice", {"BTC-PERP": "0.5"}).free_collateral
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seawall.client.errors import ServiceError, Unreachable
from seawall.core.errors import MissingExtra

if TYPE_CHECKING:
    from seawall.client.asynchronous import AsyncClient
    from seawall.client.sending import Retry
    from seawall.client.sync import Client

__all__ = ["AsyncClient", "Client", "Retry", "ServiceError", "Unreachable"]

_HOMES = {"AsyncClient": "asynchronous", "Client": "sync", "Retry": "sending"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'seawall.client' has no attribute {name!r}")
    from importlib import import_module

    try:
        found = getattr(import_module(f"seawall.client.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name not in ("httpx", "websockets"):
            raise
        raise MissingExtra(str(error.name), "server") from None
    globals()[name] = found
    return found
