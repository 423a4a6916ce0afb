"""What commands are given alike: a book, a market, an account, and a model with its parameters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

if TYPE_CHECKING:
    from seawall.margin.model import Model

__all__ = ["AccountName", "AsJson", "Asked", "BookFile", "MarketFile", "ModelName", "Param", "Params", "ask", "given_by"]

BookFile = Annotated[Path, typer.Argument(help="Book: account, instrument, quantity (Parquet, CSV, JSON lines).")]
MarketFile = Annotated[Path, typer.Argument(help="market.json, or a folder of Parquet tables.")]
AccountName = Annotated[str, typer.Argument(help="An account of the book.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
ModelName = Annotated[str, typer.Option("--model", "-m", help="Margin model.")]
Param = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        "-p",
        help="NAME=VALUE: a parameter of the model (may be given more than once); NAME.KEY=VALUE for one entry of it.",
    ),
]
Params = Annotated[
    Path | None, typer.Option("--params", help="Parameters of the model in a .json or .toml file; --param outranks it.")
]


class Asked(NamedTuple):
    """A model, and the parameters that were changed to make it."""

    model: Model
    changes: dict[str, Any]

    @property
    def title(self) -> str:
        """For the title of a table: numbers of another model are not to be taken for the default's."""
        return f"model {self.model.name}" + (f" with {', '.join(self.changes)} changed" if self.changes else "")

    @property
    def words(self) -> dict[str, Any]:
        """For the JSON of an answer."""
        return {"model": self.model.name, "parameters": self.changes}


def ask(name: str, param: list[str] | None, params: Path | None) -> Asked:
    """The model of the three options. Raises InputError for a name, a value or a file that is none."""
    return given_by(name, _read(params) if params else {}, param)


def given_by(name: str, changes: dict[str, Any], param: list[str] | None) -> Asked:
    """The model of that name with these changes, and then those of --param."""
    from seawall.margin import models

    changes = dict(changes)
    for words in param or []:
        path, value = _parse(words)
        if len(path) > 1:
            value = _with_entry(path, value, changes.get(path[0], _default(name, changes, path[0])))
        changes[path[0]] = value
    return Asked(models.get(name, **changes), changes)


def _default(name: str, changes: dict[str, Any], parameter: str) -> Any:
    """What the model has for a parameter, as plain values; asking the model for one it does not have says so."""
    import msgspec

    from seawall.margin import models

    found = msgspec.to_builtins(models.get(name, **changes).parameters)
    return found[parameter] if parameter in found else models.get(name, **{parameter: None})


def _with_entry(path: list[str], value: Any, into: Any) -> Any:
    """A copy of `into` in which the entry that the rest of the path names is the value."""
    from seawall.core.errors import InputError, show

    if not isinstance(into, dict):
        raise InputError(f"--param {'.'.join(path)}", f"{path[0]}, which is {show(into)}", "a parameter with named entries")
    inner = value if len(path) == 2 else _with_entry(path[1:], value, into.get(path[1], {}))
    return into | {path[1]: inner}


def _parse(words: str) -> tuple[list[str], Any]:
    """Name, split at its dots, and value: a whole number as Python writes it, JSON, or else text."""
    from seawall.core.errors import InputError, UnreadableFile, show
    from seawall.core.jsontext import parse_json, with_floats

    name, sign, text = words.partition("=")
    path = name.strip().split(".")
    if not sign or not all(path):
        raise InputError("--param", show(words), "NAME=VALUE or NAME.KEY=VALUE")
    try:
        return path, int(text)
    except ValueError:
        pass
    try:
        return path, with_floats(parse_json(text.encode(), f"--param {name}"))
    except UnreadableFile:
        return path, text.strip()


def _read(path: Path) -> dict[str, Any]:
    import tomllib

    from seawall.core.errors import InputError, UnreadableFile, show
    from seawall.core.jsontext import parse_json, with_floats

    place = str(path)
    if path.suffix not in (".json", ".toml"):
        raise InputError(place, f"a name ending in {show(path.suffix)}", ".json or .toml")
    data = path.read_bytes()
    if path.suffix == ".json":
        document = with_floats(parse_json(data, place))
    else:
        try:
            document = tomllib.loads(data.decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UnreadableFile(place, f"no TOML ({error})", "a TOML document") from None
    if not isinstance(document, dict):
        raise InputError(place, show(document), "an object of parameters by name")
    return document
