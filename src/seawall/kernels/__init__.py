"""Arithmetic on arrays: no domain words, no objects, every function compiled by Numba.

Numba's own cache looks at one file at a time, so a compiled function would survive a change in
another file that was inlined into it. Compiled code is therefore kept in a folder named after
the contents of all files that hold compiled code.
"""

import hashlib
import os
from pathlib import Path

import numba

_COMPILED = ("kernels", "engine", "ledger/bulk")


def _cache_folder() -> Path:
    package = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256(numba.__version__.encode())
    for folder in _COMPILED:
        for file in sorted((package / folder).glob("*.py")):
            digest.update(file.read_bytes())
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        return Path(chosen) / digest.hexdigest()[:16]
    beside = package / "kernels" / "__pycache__"
    if os.access(beside if beside.exists() else beside.parent, os.W_OK):
        return beside / f"numba-{digest.hexdigest()[:16]}"
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return home / "seawall" / digest.hexdigest()[:16]


numba.config.CACHE_DIR = str(_cache_folder())
