"""Parameters of a model: defaults with changes, and checks that name what is out of bounds.

Every model's parameters are a frozen struct of numbers. What a caller changes comes as plain values, by
keyword or from a file, and is converted field by field, so that an error names the field.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from seawall.core.errors import InputError, UnsafeParameters, show

P = TypeVar("P", bound=msgspec.Struct)

_WORDS = {"int": "a whole number", "float": "a number", "str": "text", "object": "an object", "array": "a list"}


def changed(model: str, defaults: P, given: Mapping[str, Any]) -> P:
    """`defaults` with some fields replaced; plain dicts and lists become the nested structs.

    model: its name, for errors. Raises InputError for a name or a type that the parameters do not have.
    """
    types = {field.name: field.type for field in msgspec.structs.fields(defaults)}
    for name in given:
        if name not in types:
            raise InputError(f"parameters of {model}", show(name), "one of " + ", ".join(types))
    return msgspec.structs.replace(defaults, **{name: _read(name, value, types[name]) for name, value in given.items()})


def _read(name: str, value: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(msgspec.to_builtins(value), kind)
    except TypeError as error:
        raise InputError(f"parameter {name}", str(error), "plain numbers, text, objects and lists") from None
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        types = re.fullmatch("Expected `(.*)`(.*), got `?(.*?)`?", reason)
        place = f"parameter {name}{path.rstrip('`')}"
        if types is None:
            raise InputError(place, reason[0].lower() + reason[1:], "the documented fields and types") from None
        kinds = " or ".join(_WORDS.get(word, word) for word in types[1].split(" | "))
        raise InputError(place, types[3] if path else show(value), kinds + types[2]) from None


def check_bounds(parameters: msgspec.Struct, bounds: Mapping[str, tuple[int, int]]) -> None:
    """Raises UnsafeParameters for the first field outside its bounds, both included.

    A dict's bounds hold for each of its values, which the error names.
    """
    for field, (low, high) in bounds.items():
        value = getattr(parameters, field)
        for name, each in value.items() if isinstance(value, dict) else [("", value)]:
            if not low <= each <= high:
                place = f"{field} of {name}" if name else field
                raise UnsafeParameters(place, str(each), f"{low:,} to {high:,}")
