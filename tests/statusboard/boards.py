"""For the tests of the status board: a compiler, a board with a few rows, and a writer in a process of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from conftest import environment
from seawall.engine.status_board import StatusBoard
from seawall.statusboard import C_INCLUDE

HERE = Path(__file__).resolve().parent
NAMES = ("alice", "bob", "carol:BTC-PERP", "zoë", "x" * 300)


def compiled(source: Path, folder: Path) -> Path:
    """A C program, built with the machine's compiler without a warning; skips where there is none."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler on this machine")
    program = folder / source.stem
    line = [compiler, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-I", str(C_INCLUDE), str(source), "-o", str(program)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return program


def board_at(path: Path, rows: int = 8, names: tuple[str, ...] = NAMES) -> StatusBoard:
    """A board with a sign of life, and figures 10·row + 0…6 in the first three rows."""
    board = StatusBoard.create(path, rows, names)
    board.write(np.arange(3), 10 * np.arange(3)[:, None] + np.arange(7))
    beat(board)
    return board


def beat(board: StatusBoard, ago_s: float = 0.0) -> None:
    """A sign of life, so many seconds old."""
    board.header(time.time_ns(), time.monotonic_ns() - int(ago_s * 1e9), 41, 42)


def storm(path: Path, rows: int, updates: int = 4096) -> subprocess.Popen[str]:
    """A writer at work on a board."""
    line = [sys.executable, str(HERE / "storm_writer.py"), str(path), str(rows), str(updates)]
    writer = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment())
    assert writer.stdout is not None
    assert writer.stdout.readline().strip() == "ready"
    return writer
