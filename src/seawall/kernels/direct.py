"""Calling a compiled function without asking each time of which types its arguments are.

Numba looks at every array in every argument before it finds the machine code: for the engine's step, whose tuples hold
some eighty arrays, that takes longer than the step itself does for an account. Who calls with arguments of the same types
each time asks once.
"""

from typing import Any

from numba import typeof

__all__ = ["Direct"]


class Direct:
    """An `entry` that is always called with arguments of the types of its first call. `forget`: of the next call."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self._call: Any = None

    def __call__(self, *arguments: Any) -> Any:
        if self._call is not None:
            return self._call(*arguments)
        found = self.function(*arguments)
        compiled = self.function.overloads.get(tuple(map(typeof, arguments)))
        if compiled is not None:
            self._call = compiled.entry_point
        return found

    def forget(self) -> None:
        """Arguments may be of other types from now on."""
        self._call = None
