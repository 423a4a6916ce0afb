"""A vector's object taken apart field by field, so that what nothing has read is noticed."""

from typing import Any

from seawall.margin.conform.reading import BadVector, reads
from seawall.margin.conform.report import Unsupported


class Fields:
    """The fields of an object, each to be taken; `done()` refuses what was not."""

    def __init__(self, given: Any) -> None:
        if not isinstance(given, dict):
            raise BadVector("vector", f"a {type(given).__name__}", "an object of fields")
        self._given = dict(given)

    def take(self, name: str, default: Any = None) -> Any:
        return self._given.pop(name, default)

    @reads
    def need(self, name: str) -> Any:
        return self._given.pop(name)

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def rest(self) -> dict[str, Any]:
        """Takes all fields that are left."""
        left, self._given = self._given, {}
        return left

    def done(self) -> None:
        """Raises Unsupported for a field with a value that nothing has read."""
        left = [name for name, value in self._given.items() if value not in (None, [], {}, 0, "", False)]
        if left:
            raise Unsupported("a field that no rule here reads: " + ", ".join(sorted(left)))
