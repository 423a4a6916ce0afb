"""The entry point of `seawall`: how a command ends, whatever it was doing.

The ear for interrupts stands before anything else is imported; then the command line runs, and what it printed is
flushed here, since a flush that fails while the interpreter shuts down has its own exit code and its own words.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from seawall.cli import interrupts

__all__ = ["main"]


def main() -> NoReturn:
    """Runs the command line of this process and ends the process."""
    interrupts.hear()
    code: object = 1
    try:
        from seawall.cli.app import app

        app(prog_name="seawall")
    except SystemExit as leaving:
        code = leaving.code
    except BaseException:
        # Whatever an interrupt was turned into on its way here, it is still one.
        if not interrupts.seen():
            raise
    if interrupts.seen():
        interrupts.end()
    sys.exit(_flushed(code if isinstance(code, int) else 0))


def _flushed(code: int) -> int:
    """The exit code, after the last flush: a reader that is gone by now has heard what it wanted."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except OSError as error:
            # What is still buffered goes nowhere, so that the interpreter's own flush cannot fail.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            if not isinstance(error, BrokenPipeError):
                code = 2
    return code


if __name__ == "__main__":
    main()
