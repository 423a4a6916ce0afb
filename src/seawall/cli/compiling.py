"""Kernels that are not compiled yet compile in two processes at once: the engine's step, which takes longest, in
a child, and meanwhile everything else here. Both write to the folder that Numba keeps compiled code in; this
process then loads what the child left there.

Nothing depends on the child: what it has not compiled compiles here when it is first called, and the debug log says
why. It ends with this process, however that ends, since it listens to a pipe that closes then. Numba puts every file
in place in one piece, so a child that is stopped leaves none half written; and what both happen to compile, they
compile for the same types, so that neither's index can point at the other's code of another type.
"""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seawall.margin.model import Model

__all__ = ["beside"]

_LOG = logging.getLogger("seawall.cli.compiling")
_ROOM = 1 << 17  # places on the interpreter's stack: a megabyte
# Types do not depend on sizes, and a perpetual is what every model can margin.
_SMALLEST = {
    "as_of": "2025-10-10T00:00:00Z",
    "settlement": "USD",
    "underlyings": {"BTC": {"index": "60000"}},
    "instruments": [
        {"symbol": "BTC-PERP", "kind": "perpetual", "underlying": "BTC", "lot": "0.001", "mark": "60000"}
    ],
}


@contextmanager
def beside(model: str | Model) -> Iterator[Callable[[Any, Any], None]]:
    """While inside, the engine's step compiles in a child, unless a child has been through that before.

    Gives a function to call with the book and the market right before an engine is made of them: it compiles the
    rest here, and returns when the child is done.
    """
    from seawall.margin.models import resolve

    chosen = resolve(model)
    # What compiles depends on the kind of model and not on its parameters.
    child = _start(chosen.name) if chosen.certifies and not _marker().exists() else None

    def join(book: Any, market: Any) -> None:
        if child is not None:
            from seawall.margin.evaluate import evaluate

            evaluate(book, market, chosen)
            _wait(child)

    try:
        yield join
    finally:
        if child is not None:
            child.kill()
            child.communicate()


def _marker() -> Path:
    """The file that says that the step is compiled, for this Python and this kind of processor."""
    from llvmlite.binding import get_host_cpu_name
    from numba import config

    import seawall.kernels  # noqa: F401 - sets the folder

    return Path(config.CACHE_DIR) / f"step-{sys.implementation.cache_tag}-{get_host_cpu_name()}"


def _start(model: str) -> subprocess.Popen[str] | None:
    import seawall

    path = [str(Path(seawall.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "seawall.cli.compiling", model],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            start_new_session=True,  # an interrupt from the terminal is for this process alone
        )  # fmt: skip
    except OSError as error:
        _LOG.debug("no second process to compile in: %s", error)
        return None


def _wait(child: subprocess.Popen[str]) -> None:
    assert child.stderr is not None
    said = child.stderr.read()  # until the child ends
    if child.wait():
        _LOG.debug("the process that compiles ended with %d, so the step compiles here:\n%s", child.returncode, said)


def compile_step(model: str) -> None:
    """Makes an engine of a few accounts. Its tables stay empty at first, so that it comes to its step at once; the
    kernels that fill them are the parent's to compile, and on disk by the time the step asks for rows."""
    from seawall.engine.loop import Engine
    from seawall.margin import portfolio, tiered
    from seawall.market.market import Market
    from seawall.stress.population import populate

    for module, name in ((portfolio, "fill_cells"), (tiered, "fill_tiers")):
        setattr(module, name, _leave_empty)
    market = Market.from_document(_SMALLEST)
    Engine(populate(market, 8, seed=1), market, model)
    _marker().touch()


def _leave_empty(*arguments: Any) -> None:
    """In place of a kernel that fills tables."""


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # nothing is ever written: it returns when the parent's end closes
    os._exit(1)


def with_room(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls the function with arguments. CPython takes the memory of frames from the system in pieces of 16 kB and
    gives each back at once, so that a loop whose calls cross the end of a piece pays for a page fault at every call:
    at the depth that Numba reaches, a million of them and a fifth of the time. The frame of this function says that
    it needs a megabyte, of which it uses nothing; the piece that it gets holds two, and all frames above it."""
    return function(*arguments)


with_room.__code__ = with_room.__code__.replace(co_stacksize=_ROOM)

if __name__ == "__main__":
    gc.disable()  # a twelfth of the time, for about 100 MB
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with_room(compile_step, sys.argv[1])
