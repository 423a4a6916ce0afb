"""What a newcomer waits for: the help text, and the first frame of the demo.

Real processes, wall time. Cold: with an empty folder for compiled kernels; warm: with that folder
as the cold run left it. The demo (of the engine) runs under a terminal of its own (a pty) and is stopped as soon
as its live view has drawn its first frame.
"""

from __future__ import annotations

import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from seawall.core.errors import InvariantError
from seawall.stress.bench.measure import Measure, measured
from seawall.stress.bench.setting import Setting

__all__ = ["MEASURES", "measure"]

MEASURES = ("help_s", "demo_cold_s", "demo_warm_s")
FIRST_FRAME = b"worst accounts"  # the title of a panel of the live view; nothing before it says that
PATIENCE_S = 180.0
ROWS, COLUMNS = 50, 160


def measure(setting: Setting, names: set[str]) -> list[Measure]:
    """The start-up measures among `names`."""
    found = []
    if "help_s" in names:
        setting.say("start-up: seawall --help")
        seconds = min(_help_seconds() for _ in range(2 if setting.quick else 5))
        found.append(measured("help_s", seconds, "wall time of `seawall --help`, least of 5"))
    if {"demo_cold_s", "demo_warm_s"} & names:
        with tempfile.TemporaryDirectory(prefix="seawall-bench-") as folder:
            setting.say("start-up: demo, kernels not yet compiled")
            cold = first_frame_seconds(Path(folder))
            setting.say("start-up: demo, compiled")
            warm = first_frame_seconds(Path(folder))
        if "demo_cold_s" in names:
            found.append(measured("demo_cold_s", cold, "wall time to the first frame, no kernel compiled"))
        if "demo_warm_s" in names:
            found.append(measured("demo_warm_s", warm, "wall time to the first frame, kernels cached"))
    return found


def command() -> list[str]:
    """The installed command if it is beside this Python, else the module."""
    script = Path(sys.executable).with_name("seawall")
    return [str(script)] if script.exists() else [sys.executable, "-m", "seawall.cli.main"]


def _help_seconds() -> float:
    start = time.perf_counter()
    subprocess.run([*command(), "--help"], check=True, capture_output=True)
    return time.perf_counter() - start


def first_frame_seconds(cache: Path) -> float:
    """Seconds from the start of `seawall demo --engine` to the first frame of its live view."""
    with tempfile.TemporaryDirectory(prefix="seawall-bench-out-") as folder:
        environment = os.environ | {
            "NUMBA_CACHE_DIR": str(cache),
            "TERM": "xterm-256color",
            "LINES": str(ROWS),
            "COLUMNS": str(COLUMNS),
        }
        start = time.perf_counter()
        process, terminal = _spawn([*command(), "demo", "--engine"], environment, folder)
        try:
            _wait_for(terminal, FIRST_FRAME, start + PATIENCE_S)
            return time.perf_counter() - start
        finally:
            _stop(process, terminal)


def _spawn(line: list[str], environment: dict[str, str], folder: str) -> tuple[int, int]:
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.execvpe(line[0], line, environment)
    import fcntl
    import termios

    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    return process, terminal


def _wait_for(terminal: int, mark: bytes, deadline: float) -> None:
    seen = b""
    while mark not in seen:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.perf_counter()))
        if not ready:
            raise InvariantError(f"the demo drew no frame in {PATIENCE_S:.0f} s; it said {seen[-400:]!r}")
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the terminal's other end closed: the demo has ended
            part = b""
        if not part:
            raise InvariantError(f"the demo ended before its first frame; it said {seen[-400:]!r}")
        seen += part


def _stop(process: int, terminal: int) -> None:
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    os.close(terminal)
