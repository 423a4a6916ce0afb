"""What an interrupt does to a command: it ends with "interrupted" on stderr and exit code 130, at any moment.

Python's own way is not enough for that. The exception is lost in a destructor or becomes another one in a library, a
compiler does not look up for many seconds, and a thread that still compiles does not survive the interpreter's
shutdown. So the exception is only the polite first step: a flag outranks whatever a command made of it, and a thread
ends the process when the command has not unwound after a short grace. Where the main thread compiles there is no first
step: unwinding from there can crash.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

__all__ = ["INTERRUPTED", "end", "hear", "leaving_with", "seen"]

INTERRUPTED = 130
_GRACE_S = 2.0

_interrupted = threading.Event()
_told = threading.Lock()
_last_words: list[bytes] = []


def hear() -> None:
    """From here on an interrupt raises KeyboardInterrupt and wakes the thread that makes sure of the end.

    Also where a shell had interrupts ignored, as it does for what a script starts in the background.
    """
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, _on_interrupt)
    threading.Thread(target=_make_sure, args=(woken,), name="interrupts", daemon=True).start()


def seen() -> bool:
    """Whether an interrupt came, whatever became of its exception."""
    return _interrupted.is_set()


@contextmanager
def leaving_with(codes: bytes) -> Iterator[None]:
    """While inside, an interrupt writes these terminal codes last: a view cut off in mid-write cannot."""
    _last_words.append(codes)
    try:
        yield
    finally:
        if not seen():
            _last_words.remove(codes)


def end() -> NoReturn:
    """Ends the process with exit code 130, at once and without the interpreter's shutdown."""
    if not _told.acquire(blocking=False):
        time.sleep(_GRACE_S)  # another thread is saying it and ends the process
    for number, text in ((1, b"".join(_last_words)), (2, b"interrupted\n")):
        try:
            os.write(number, text)
        except OSError:
            continue  # nobody listens there any more: the exit code has to say it
    os._exit(INTERRUPTED)


def _on_interrupt(number: int, frame: FrameType | None) -> None:
    again = seen()
    _interrupted.set()
    sys.unraisablehook = _keep_quiet
    if again or _compiling():
        end()
    raise KeyboardInterrupt


def _compiling() -> bool:
    """Whether the exception would be raised inside the compiler.

    Python holds a signal back while a call into LLVM runs and raises right after it: just where llvmlite notes who owns
    what from now on. `link_modules` has then lost its source module without knowing so, the module is freed a second
    time while the exception unwinds, and the process ends with SIGSEGV. Numba takes this lock around all it does there.
    """
    module = sys.modules.get("numba.core.compiler_lock")
    lock = getattr(module, "global_compiler_lock", None)
    return lock is not None and bool(lock.is_locked())  # by this thread: signals are heard in the main one


def _keep_quiet(unraisable: Any) -> None:
    """An exception that hits a destructor or a callback would be told there; it is told once, at the end."""


def _make_sure(woken: int) -> None:
    # The byte comes with the signal itself, also while the main thread is inside compiled code.
    while signal.SIGINT not in os.read(woken, 64):
        pass
    time.sleep(_GRACE_S)
    _interrupted.set()
    end()
