"""What commands that talk to a running service share: its address, a key, and the client made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from seawall.client.sync import Client

__all__ = ["KeyOption", "UrlOption", "connect"]

UrlOption = Annotated[str, typer.Option("--url", "-u", envvar="SEAWALL_URL", help="Where the service listens.")]
KeyOption = Annotated[
    str | None,
    typer.Option("--key-file", help="A file that holds an API key; without it, the key is read from SEAWALL_KEY."),
]
DEFAULT_URL = "http://127.0.0.1:8460"


def connect(url: str, key_file: str | None) -> Client:
    """A client. A key is never an argument: those can be read by everybody on the machine."""
    from pathlib import Path

    from seawall.client import Client

    return Client(url, Path(key_file).read_text("utf-8").strip() if key_file else None)
