"""Untrusted bytes into typed records, with errors that say place, found and expected.

msgspec checks and converts in one pass; what it says about a failure is taken apart here, and what was found at
that place is quoted from the document itself, shortened. A body may be JSON or MessagePack.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from seawall.core.errors import InputError, MissingKey, UnknownKey, UnreadableFile, show

__all__ = ["convert", "decode", "places"]

T = TypeVar("T")

_AT = re.compile(r"^(?P<problem>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.S)
_EXPECTED = re.compile(r"^Expected (?P<expected>.*?)(?:, got (?P<got>.*))?$", re.S)
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<name>.*)`$", re.S)
_MISSING = re.compile(r"^Object missing required field `(?P<name>.*)`$", re.S)
_CHOICE = re.compile(r"^Invalid (?:enum )?value (?P<found>.*)$", re.S)


def decode(body: bytes, kind: type[T], place: str, *, binary: bool = False) -> T:
    """A record of `kind` from JSON (binary: MessagePack). Raises InputError, naming the key where it is wrong."""
    try:
        if binary:
            return msgspec.msgpack.decode(body, type=kind)
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _explained(error, _document(body, binary), place, kind) from None
    except (msgspec.DecodeError, RecursionError, UnicodeError, ValueError, OverflowError) as error:
        words = "MessagePack" if binary else "JSON"
        raise UnreadableFile(place, f"no {words} ({error})", f"one object in {words}") from None


def convert(document: Any, kind: type[T], place: str, *, strict: bool = True) -> T:
    """A record of `kind` from plain values (a TOML document). Raises InputError, naming the key where it is wrong."""
    try:
        return msgspec.convert(document, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise _explained(error, document, place, kind) from None


def places(path: str) -> list[str | int]:
    """The steps of a path as msgspec writes it: `$.a[0].b` is ["a", 0, "b"]; `[...]` is some entry of an object."""
    steps: list[str | int] = []
    for name, index in re.findall(r"\.([^.\[\]]+)|\[([^\]]*)\]", path):
        if name:
            steps.append(name)
        elif index.isdigit():
            steps.append(int(index))
        else:
            steps.append("*")
    return steps


def _explained(error: msgspec.ValidationError, document: Any, place: str, kind: Any) -> InputError:
    match = _AT.match(str(error))
    problem, path = (match["problem"], match["path"] or "$") if match else (str(error), "$")
    steps = places(path)
    where = _joined(place, steps)
    if unknown := _UNKNOWN.match(problem):
        return UnknownKey(where, show(unknown["name"]), f"no such key{_known(kind, steps)}")
    if missing := _MISSING.match(problem):
        return MissingKey(where, f"no {show(missing['name'])}", f"the key {show(missing['name'])}")
    found = _found(document, steps)
    if expected := _EXPECTED.match(problem):
        return InputError(where, found or expected["got"] or "something else", expected["expected"].replace("`", ""))
    if choice := _CHOICE.match(problem):
        return InputError(where, choice["found"], "one of the values that there are")
    return InputError(where, found or "a value that cannot be", problem.replace("`", ""))


def _joined(place: str, steps: list[str | int]) -> str:
    words = ""
    for step in steps:
        words += f"[{step}]" if isinstance(step, int) else f".{step}" if words else step
    return f"{place}: {words}" if words else place


def _found(document: Any, steps: list[str | int]) -> str:
    for step in steps:
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return ""
    return show(document)


def _known(kind: Any, steps: list[str | int]) -> str:
    """The keys that a record has, where the wrong one stood in the record itself."""
    if steps or not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return ""
    return " (there are " + ", ".join(field.encode_name for field in msgspec.structs.fields(kind)) + ")"


def _document(body: bytes, binary: bool) -> Any:
    try:
        return msgspec.msgpack.decode(body) if binary else msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeError, ValueError, OverflowError):
        return None
