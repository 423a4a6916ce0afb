"""The error tree: bad data names its place, a bug names its invariant.

    SeawallError
    ├── InputError              place, found, expected                      exit code 2
    │   ├── UnreadableFile      not there, not this format, damaged
    │   ├── UnknownKey          a key or column that no format has
    │   ├── MissingKey          a key or column that must be there
    │   ├── BadNumber           not a finite decimal, not exact, out of its range
    │   │   ├── NotWholeLots    a quantity between two lots
    │   │   └── LimitExceeded   a figure whose sums could leave int64
    │   ├── UnknownInstrument   a symbol the market does not list
    │   ├── DuplicateRow        the same thing said twice
    │   ├── ExpiredInstrument   something said about a contract after its expiry
    │   ├── CrossedDates        dates in an order that cannot be
    │   ├── ArbitrageSurface    a surface under which a variance or a price is negative
    │   ├── StaleEvent          an event older than the one before it
    │   └── UnsafeParameters    margin that does not survive one step
    ├── MissingExtra            name, extra                                 exit code 2
    ├── JournalError            path, what is wrong, what to do             exit code 3
    │   ├── BrokenJournal       damage that no crash explains: not opened
    │   ├── JournalLocked       another writer has it                       exit code 4
    │   └── JournalStopped      a disk failed: nothing more is accepted     exit code 5
    │       └── JournalBusy     a disk is slow: not now                     exit code 5
    └── InvariantError          a bug in Seawall: please report it          exit code 1

An `InputError` prints as one line, `place: found X, expected Y`.
"""

from __future__ import annotations

__all__ = [
    "ArbitrageSurface",
    "BadNumber",
    "BrokenJournal",
    "CrossedDates",
    "DuplicateRow",
    "ExpiredInstrument",
    "InputError",
    "InvariantError",
    "JournalBusy",
    "JournalError",
    "JournalLocked",
    "JournalStopped",
    "LimitExceeded",
    "MissingExtra",
    "MissingKey",
    "NotWholeLots",
    "SeawallError",
    "StaleEvent",
    "UnknownInstrument",
    "UnknownKey",
    "UnreadableFile",
    "UnsafeParameters",
    "invariant",
    "one_line",
    "show",
]

SHOWN_CHARACTERS_MAX = 80


class SeawallError(Exception):
    """Everything Seawall raises on purpose."""

    exit_code = 1


class InputError(SeawallError):
    """Bad data: where it stands, what was found there, what was expected instead."""

    exit_code = 2

    def __init__(self, place: str, found: object, expected: str) -> None:
        super().__init__(place, found, expected)
        self.place = place
        self.found = found if isinstance(found, str) else show(found)
        self.expected = expected

    def __str__(self) -> str:
        return one_line(f"{self.place}: found {self.found}, expected {self.expected}")


class UnreadableFile(InputError):
    """A file that is not there, is not in the format its name says, or is damaged."""


class UnknownKey(InputError):
    """A key or a column that the format does not have."""


class MissingKey(InputError):
    """A key or a column that must be there and is not."""


class BadNumber(InputError):
    """A number that is not a finite decimal, not exact in its unit, or out of its range."""


class NotWholeLots(BadNumber):
    """A quantity that lies between two lots of its instrument."""


class LimitExceeded(BadNumber):
    """A figure so large that sums made of it could leave int64."""


class UnknownInstrument(InputError):
    """A symbol that the market does not list."""


class DuplicateRow(InputError):
    """The same row, symbol or key twice."""


class ExpiredInstrument(InputError):
    """A price, a position or a listing of a contract after its expiry."""


class CrossedDates(InputError):
    """Two dates in an order that cannot be, such as a strike fixed after the expiry."""


class ArbitrageSurface(InputError):
    """A volatility surface under which some variance or some price would be negative."""


class StaleEvent(InputError):
    """An event whose time lies before that of the event applied last."""


class UnsafeParameters(InputError):
    """A parameter set under which one allowed price step can exceed the maintenance margin."""


class MissingExtra(SeawallError):
    """A feature needs a package that is not installed."""

    exit_code = 2

    def __init__(self, name: str, extra: str) -> None:
        super().__init__(name, extra)
        self.name = name
        self.extra = extra

    def __str__(self) -> str:
        return f"{self.name} is not installed; it comes with: pip install 'seawall[{self.extra}]'"


class JournalError(SeawallError):
    """Something is wrong with a journal: where, what, and what its operator can do about it."""

    exit_code = 3

    def __init__(self, place: str, problem: str, remedy: str) -> None:
        super().__init__(place, problem, remedy)
        self.place = place
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return one_line(f"{self.place}: {self.problem}; {self.remedy}")


class BrokenJournal(JournalError):
    """Damage that no crash explains: acknowledged records may be missing, so it is not opened."""


class JournalLocked(JournalError):
    """Another process, or another object of this one, writes to it."""

    exit_code = 4


class JournalStopped(JournalError):
    """A write failed: what was acknowledged is safe, nothing more is accepted until it is opened anew."""

    exit_code = 5


class JournalBusy(JournalStopped):
    """The disk does not keep up: this record was not taken; later ones may be."""


class InvariantError(SeawallError):
    """A promise that Seawall makes to itself was broken: a bug, never the user's data."""

    def __init__(self, name: str, detail: str = "") -> None:
        super().__init__(name, detail)
        self.name = name
        self.detail = detail

    def __str__(self) -> str:
        return f"invariant broken: {self.name}" + (f" ({self.detail})" if self.detail else "")


def invariant(holds: bool, name: str, detail: str = "") -> None:
    """Raise `InvariantError(name)` unless `holds`; unlike `assert`, it cannot be switched off."""
    if not holds:
        raise InvariantError(name, detail)


def one_line(text: str) -> str:
    """`text` as a terminal may be given it: no line breaks, and nothing that moves its cursor."""
    return _printable(text.replace("\r", " ").replace("\n", " "))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "�" for c in text)


def show(value: object) -> str:
    """`value` as an error message quotes it: short, on one line, strings in double quotes."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, int) and value.bit_length() > 256:
        return "a number of more than 77 digits"
    text = str(value)
    if len(text) > SHOWN_CHARACTERS_MAX:
        text = text[:SHOWN_CHARACTERS_MAX] + "…"
    text = _printable(text)
    return f'"{text}"' if type(value) is str else text  # a number that JSON gave as text is a subclass
