"""What a conformance run found, per file; and the comparison of one figure."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple, TypeVar

import msgspec

from seawall.core.errors import InputError
from seawall.margin.conform.reading import BadVector

T = TypeVar("T")


class Failure(msgspec.Struct, frozen=True):
    """One figure that differs. tolerance: how far apart the two may be, in words."""

    name: str
    field: str
    expected: Any
    found: Any
    tolerance: str


class FileReport(msgspec.Struct, frozen=True):
    """Counts of vectors of one file. reasons: why vectors are unsupported, with their number."""

    file: str
    passed: int
    failed: int
    unsupported: int
    failures: tuple[Failure, ...] = ()
    reasons: dict[str, int] = {}


class Report(msgspec.Struct, frozen=True):
    """The whole run; `to_json_object()` is the shape that `seawall conform --json` prints."""

    files: tuple[FileReport, ...]

    @property
    def passed(self) -> int:
        return sum(file.passed for file in self.files)

    @property
    def failed(self) -> int:
        return sum(file.failed for file in self.files)

    @property
    def unsupported(self) -> int:
        return sum(file.unsupported for file in self.files)

    @property
    def ok(self) -> bool:
        """No vector failed."""
        return self.failed == 0

    def to_json_object(self) -> dict[str, Any]:
        """Plain dicts and lists; integers beyond 64 bits stay exact."""
        return {
            "files": [
                {
                    "file": file.file,
                    "passed": file.passed,
                    "failed": file.failed,
                    "unsupported": file.unsupported,
                    "failures": [
                        {
                            "name": failure.name,
                            "field": failure.field,
                            "expected": failure.expected,
                            "found": failure.found,
                            "tolerance": failure.tolerance,
                        }
                        for failure in file.failures
                    ],
                    "reasons": dict(file.reasons),
                }
                for file in self.files
            ]
        }


class Unsupported(Exception):
    """A vector that cannot be judged here; the message is the reason."""


class Check:
    """Collects the differences of one vector."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.failures: list[Failure] = []
        self.compared = 0

    def _fail(self, field: str, expected: Any, found: Any, tolerance: str) -> None:
        self.failures.append(Failure(self.name, field, expected, found, tolerance))

    def exact(self, field: str, expected: Any, found: Any) -> None:
        """Equal, as integers, booleans or words."""
        self.compared += 1
        if type(expected) is not type(found) or expected != found:
            self._fail(field, expected, found, "exact")

    def refuses(self, wanted: bool, work: Callable[[], T]) -> T | None:
        """What `work` gives; None where it is refused with an InputError. Whether it is must be as wanted."""
        try:
            found = work()
        except BadVector:
            raise
        except InputError as error:
            self.exact("error", wanted, True)
            if not wanted:
                self.exact("error text", "none", str(error))
            return None
        if wanted:
            self.exact("error", True, False)
        return found

    def close(self, field: str, expected: float, found: float, relative: float, absolute: float = 0.0) -> None:
        """|found - expected| <= relative · |expected| + absolute, and finite."""
        self.compared += 1
        _number(field, expected)
        allowed = relative * abs(expected) + absolute
        if not math.isfinite(found) or abs(found - expected) > allowed:
            self._fail(field, expected, found, f"{relative:g} relative, {absolute:g} absolute")

    def all_close(
        self, field: str, expected: list[float], found: list[float], relative: float, absolute: float = 0.0
    ) -> None:
        """`close` for each pair, and as many of them."""
        if not isinstance(expected, list):
            raise BadVector("vector", f"{field} of {expected!r}", "a list of numbers")
        if len(expected) != len(found):
            self.exact(f"len({field})", len(expected), len(found))
            return
        for position, (want, have) in enumerate(zip(expected, found, strict=True)):
            self.close(f"{field}[{position}]", want, have, relative, absolute)

    def within(self, field: str, expected: Fraction | int, found: Fraction | int, allowed: Fraction | int = 0) -> None:
        """|found - expected| <= allowed, in exact numbers."""
        self.compared += 1
        if abs(Fraction(found) - expected) > allowed:
            shown = [int(n) if n == int(n) else float(n) for n in (expected, found, allowed)]
            self._fail(field, shown[0], shown[1], f"{shown[2]} absolute")

    def truncated(self, field: str, expected: int, found: float) -> None:
        """trunc(found) == expected; a float within 1e-9 of the next integer counts as that integer."""
        self.compared += 1
        _number(field, expected)
        if not math.isfinite(found):
            self._fail(field, expected, found, "finite")
            return
        slack = 1e-9 * max(1.0, abs(found))
        if expected not in (math.trunc(found - slack), math.trunc(found + slack)):
            self._fail(field, expected, found, "equal after truncation toward zero")

    def against_the_account(self, field: str, net: float, net_micro: int, noise: float, quote: float = 0.01) -> None:
        """The integer net margin is at most the float one and at least it less `quote`.

        noise: the float's own rounding; a micro is added to it.
        """
        self.compared += 1
        found = net_micro / 1e6
        slack = 1e-6 + noise
        if not net - quote <= found <= net + slack:
            self._fail(field, net, found, f"at most {quote:g} below, never above")


class Case(NamedTuple):
    """One vector: its name, and what compares it (which raises Unsupported or BadVector)."""

    name: str
    judge: Callable[[Check], None]


Reader = Callable[[Any], list[Case] | None]
"""Of a file's JSON: its cases, or None where the reader does not know the format."""


def _number(field: str, expected: Any) -> None:
    if isinstance(expected, bool) or not isinstance(expected, int | float):
        raise BadVector("vector", f"{field} of {expected!r}", "a number")
