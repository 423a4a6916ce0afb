"""`seawall keys`: API keys of a service. A secret is printed once, at creation, and kept nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seawall.cli.arguments import AsJson

if TYPE_CHECKING:
    from seawall.server.keys import Key, KeyFile

NAME = "keys"
SECOND_NS = 10**9
DAY_NS = 86_400 * SECOND_NS

app = typer.Typer(
    name=NAME,
    help=(
        "API keys of a service: scopes read (look), trade (orders, fills, transfers), risk (prices, parameters, states), "
        "admin (deposits, withdrawals) and bid (a keeper's signed bids). A running service notices a change within a second. Every command takes --json."
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)

ConfigFile = Annotated[Path, typer.Option("--config", "-c", help="venue.toml, which names the file of keys.")]
File = Annotated[Path | None, typer.Option("--file", help="The file of keys itself, instead of a venue.toml.")]
Id = Annotated[str, typer.Argument(help="The id of a key, see `seawall keys list`.")]
DEFAULT = Path("venue.toml")


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Whose it is: stands in the audit trail.")],
    scopes: str = typer.Option("read", help="Some of read,trade,risk,admin,bid."),
    rate: float = typer.Option(0.0, min=0.0, help="Requests a second (0: what venue.toml says)."),
    days: float = typer.Option(0.0, min=0.0, max=36_500.0, help="Days after which it expires (0: never)."),
    public_key: str = typer.Option("", help="A keeper's Ed25519 public key, 64 hex digits: it bids only what that key signed."),
    account: str = typer.Option("", help="The account that a keeper bids for; needed with --public-key."),
    config: ConfigFile = DEFAULT,
    file: File = None,
    json: AsJson = False,
) -> int:
    """Make a key and print its secret, this once."""
    import time

    from seawall.server.keys import parse_scopes

    expires = time.time_ns() + int(days * DAY_NS) if days else 0
    key, text = _file(config, file).create(
        name, parse_scopes(scopes), requests_per_s=rate, expires_ns=expires, public_key=public_key, account=account
    )
    _print_secret(key, text, json)
    return 0


@app.command("list")
def list_(config: ConfigFile = DEFAULT, file: File = None, json: AsJson = False) -> int:
    """Show all keys, never a secret."""
    import time

    from seawall.cli import output

    now = time.time_ns()
    keys = [_words(key, now) for key in _file(config, file).read()]
    if json:
        output.print_json({"keys": keys})
        return 0
    columns = ("id", "name", "scopes", "state", "requests/s", "account", "created", "expires")
    output.print_table(columns, [[str(key[column.replace("requests/s", "requests_per_s")]) for column in columns] for key in keys])
    return 0


@app.command("revoke")
def revoke(id: Id, config: ConfigFile = DEFAULT, file: File = None, json: AsJson = False) -> int:
    """End a key for good; open connections that use it are cut."""
    from seawall.cli import output

    key = _file(config, file).revoke(id)
    if json:
        output.print_json({"revoked": key.id})
    else:
        print(f"{key.id} ({key.name}) opens nothing any more")
    return 0


@app.command("rotate")
def rotate(
    id: Id,
    overlap: float = typer.Option(0.0, min=0.0, max=31_536_000.0, help="Seconds that the old one still works."),
    config: ConfigFile = DEFAULT,
    file: File = None,
    json: AsJson = False,
) -> int:
    """Make a new key with the same name, scopes and rate, and end the old one."""
    key, text = _file(config, file).rotate(id, int(overlap * SECOND_NS))
    _print_secret(key, text, json)
    return 0


def _file(config: Path, file: Path | None) -> KeyFile:
    from seawall.server.config import load_config
    from seawall.server.keys import KeyFile

    return KeyFile(file if file is not None else load_config(config).keys_path)


def _print_secret(key: Key, text: str, json: bool) -> None:
    from seawall.cli import output

    if json:
        output.print_json({"id": key.id, "name": key.name, "scopes": key.scopes, "key": text})
        return
    output.note(f"{key.id} ({key.name}, {', '.join(key.scopes)}): this is shown once and kept nowhere")
    print(text)


def _words(key: Key, now_ns: int) -> dict[str, Any]:
    state = "revoked" if key.revoked_ns else "valid" if key.valid(now_ns) else "expired"
    return {
        "id": key.id,
        "name": key.name,
        "scopes": ",".join(key.scopes),
        "state": state,
        "requests_per_s": key.requests_per_s or "",
        "account": key.account,
        "public_key": key.public_key,
        "created": _day(key.created_ns),
        "expires": _day(key.expires_ns),
    }


def _day(at_ns: int) -> str:
    from seawall.core.times import format_ns

    return format_ns(at_ns // SECOND_NS * SECOND_NS) if at_ns else ""
