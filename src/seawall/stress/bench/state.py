"""Memory of a running engine: a process of its own holds a million accounts and says how large it is."""

from __future__ import annotations

import gc
import resource
import subprocess
import sys
from pathlib import Path

from seawall.stress.bench.measure import Measure, measured
from seawall.stress.bench.setting import Setting

__all__ = ["MEASURES", "hold", "measure"]

MEASURES = ("state_gb",)


def measure(setting: Setting, names: set[str]) -> list[Measure]:
    """Resident memory of a whole process with the engine of the full book in it."""
    setting.say(f"state: an engine of {setting.size:,} accounts in a process of its own")
    code = f"from seawall.stress.bench.state import hold; print(hold({setting.quick}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the process with the engine failed:\n{done.stderr}")
    gigabytes = int(done.stdout.split()[-1]) / 1e9
    words = f"resident memory of the process, interpreter and libraries included; {setting.size:,} accounts"
    return [measured("state_gb", gigabytes, words)]


def hold(quick: bool) -> int:
    """Resident bytes of this process once an engine is ready and what built it is gone."""
    from seawall.engine.loop import Engine

    setting = Setting(quick=quick)
    engine = Engine(setting.book, setting.market, setting.model)
    setting.forget()
    gc.collect()
    _trim()
    size = resident_bytes()
    del engine
    return size


def _trim() -> None:
    """Gives freed pages back, where the C library can."""
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def resident_bytes() -> int:
    """Resident memory of this process now; its peak where the system does not tell."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text("ascii").split()[1]) * resource.getpagesize()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
