"""`seawall keeper`: a process that bids for failed accounts of a service until a signal ends it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seawall.cli.arguments import AsJson

if TYPE_CHECKING:
    from seawall.keeper.limits import Limits

NAME = "keeper"


def command(
    url: str = typer.Option("http://127.0.0.1:8460", "--url", help="Where the service answers. Its API key: SEAWALL_KEY."),
    key_file: Annotated[Path, typer.Option("--key-file", help="The private key that signs (mode 0600).")] = Path("keeper.key"),
    account: str = typer.Option("", "--account", "-a", help="The account that bids: the one that its API key is bound to."),
    strategy: str = typer.Option("value", "--strategy", "-s", help="value, market-maker, ranked, an entry point, or module:attribute."),
    option: Annotated[list[str] | None, typer.Option("--option", "-o", help="NAME=VALUE for the strategy; may be repeated.")] = None,
    limits: Annotated[Path | None, typer.Option("--limits", help="TOML with gross, instrument, bid, reserve, free, [instruments].")] = None,
    hedge: str = typer.Option("", "--hedge", help="module:attribute, called with what came in; see docs/keepers.md."),
    report: Annotated[Path | None, typer.Option("--report", help="Profit by auction, at the end: a .json or .csv file.")] = None,
    keep_standing: bool = typer.Option(False, "--keep-standing", help="Leave standing bids at the venue at the end."),
    make_key: bool = typer.Option(False, "--make-key", help="Make the key file, print its public half, and do nothing else."),
    json: AsJson = False,
) -> int:
    """Bid for failed accounts over a service's public protocol; logs JSON lines to stderr; with --json the report on stdout."""
    from seawall.cli import output
    from seawall.client.keyfile import make_key as make
    from seawall.client.keyfile import read_key
    from seawall.keeper.strategy import load_strategy

    if make_key:
        public = make(key_file).public
        if json:
            output.print_json({"key_file": str(key_file), "public_key": public})
        else:
            print(public)
        return 0
    _checked(account, report)
    key, found = read_key(key_file), load_strategy(strategy, _options(option or []))
    from seawall.keeper.running import keep_running, write_report

    done = keep_running(
        url, account, key, found, _limits(limits), hedge=_hedge(hedge), keep_standing=keep_standing,
    )  # fmt: skip
    if report is not None:
        write_report(report, done.report(), done.books.csv())
    if json:
        output.print_json(done.report())
    return 0


def _checked(account: str, report: Path | None) -> None:
    from seawall.core.errors import InputError, show

    if not account:
        raise InputError("--account", "none", "the account that bids")
    if report is not None and report.suffix not in (".json", ".csv"):
        raise InputError("--report", show(report.name), "a name ending in .json or .csv")


def _options(words: list[str]) -> dict[str, str]:
    from seawall.core.errors import InputError, show

    found = {}
    for each in words:
        name, sign, value = each.partition("=")
        if not sign or not name:
            raise InputError("--option", show(each), "NAME=VALUE")
        found[name.strip()] = value.strip()
    return found


def _limits(path: Path | None) -> Limits:
    import tomllib

    import msgspec

    from seawall.core.errors import InputError, UnreadableFile
    from seawall.keeper.limits import Limits

    if path is None:
        return Limits()
    try:
        text = path.read_text("utf-8")
        return msgspec.convert(tomllib.loads(text), Limits, strict=False).checked()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UnreadableFile(str(path), f"no TOML ({error})", "a TOML document") from None
    except msgspec.ValidationError as error:
        raise InputError(str(path), str(error), "limits of a keeper") from None


def _hedge(name: str) -> Any:
    import importlib

    from seawall.core.errors import InputError, show

    if not name:
        return None
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError("--hedge", show(name), f"module:attribute ({error})") from None
    if not callable(found):
        raise InputError("--hedge", show(name), "an async function (gained, view) that gives trades")
    return found
