"""The status board: what an update costs the engine, and what a read costs somebody else, in C, while updates pour in.

A board of a million rows. Updates: batches of random rows through `StatusBoard.write`, per row. Reads: random rows by the
C header, each with the check of the engine's sign of life, in a process of its own while this one writes without a pause.
The reader is compiled in a temporary folder; on a machine without a C compiler the measure says so and has no figure.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from seawall.engine.status_board import StatusBoard
from seawall.statusboard import C_INCLUDE, BoardReader
from seawall.stress.bench.measure import Measure, measured
from seawall.stress.bench.setting import Setting

__all__ = ["MEASURES", "measure"]

MEASURES = ("status_board_update_ns", "status_board_read_us")
BATCH = 4_096
REPEATS = 5
_SHARED_MEMORY = Path("/dev/shm")
_SOURCE = Path(__file__).with_suffix(".c")


def measure(setting: Setting, names: set[str]) -> list[Measure]:
    """The status board's measures among `names`."""
    rows = 20_000 if setting.quick else 1_000_000
    found: list[Measure] = []
    where = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="seawall-bench-", dir=where) as name:
        setting.say(f"status board: {rows:,} rows")
        with StatusBoard.create(Path(name) / "board", rows) as board:
            everything = np.arange(rows)
            board.write(everything, np.tile(np.arange(7), (rows, 1)))
            if "status_board_update_ns" in names:
                found.append(_updates(board))
            if "status_board_read_us" in names:
                found.append(_reads(board, Path(name), 20_000 if setting.quick else 2_000_000))
    return found


def _updates(board: StatusBoard) -> Measure:
    """The least CPU time per row over several repeats, of random rows."""
    rng = np.random.default_rng(1)
    count = max(1, board.rows // BATCH)
    orders = {"random": rng.permutation(board.rows), "rising": np.arange(board.rows)}
    batches = {name: order[: count * BATCH].reshape(count, -1) for name, order in orders.items()}
    batches["one by one"] = orders["random"][:BATCH].reshape(-1, 1)
    values = rng.integers(0, 10**12, (BATCH, 7))
    taken = {}
    for name, each in batches.items():
        part = values[: each.shape[1]]
        best = float("inf")
        for _ in range(REPEATS):
            start = time.process_time()
            for rows in each:
                board.write(rows, part)
            best = min(best, time.process_time() - start)
        taken[name] = 1e9 * best / each.size
    words = f"random rows of {board.rows:,}, {BATCH:,} a call; rising rows {taken['rising']:.1f}, a call for each {taken['one by one']:,.0f} ns"
    return measured("status_board_update_ns", taken["random"], words)


def _reads(board: StatusBoard, folder: Path, reads: int) -> Measure:
    """The 99th percentile of reads in C under a storm of writes, and what Python takes."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return measured("status_board_read_us", float("nan"), "not measured: this machine has no C compiler")
    program = folder / "reader"
    line = [compiler, "-std=gnu11", "-O2", "-I", str(C_INCLUDE), str(_SOURCE), "-o", str(program)]
    subprocess.run(line, check=True, capture_output=True, timeout=120)
    ended = threading.Event()
    storm = threading.Thread(target=_write_until, args=(board, ended), daemon=True)
    board.header(time.time_ns(), time.monotonic_ns(), 1, 1)
    storm.start()
    try:
        done = subprocess.run([program, board.path, str(reads)], capture_output=True, text=True, timeout=600)
        python_us = _python_us(board)
    finally:
        ended.set()
        storm.join()
    assert done.returncode == 0, f"the reader in C ended with {done.returncode}: {done.stdout}{done.stderr}"
    found = json.loads(done.stdout)
    words = f"C, {board.rows:,} rows under a storm of writes; p99; p50 {found['p50_ns'] / 1e3:.3f}, mean {found['mean_ns'] / 1e3:.3f} us, "
    words += f"{found['busy']} of {2 * reads:,} unknown; Python {python_us:.1f} us"
    return measured("status_board_read_us", found["p99_ns"] / 1e3, words)


def _write_until(board: StatusBoard, ended: threading.Event) -> None:
    rng = np.random.default_rng(2)
    orders = [rng.integers(0, board.rows, 16 * BATCH) for _ in range(16)]
    values = rng.integers(0, 10**12, (16 * BATCH, 7))
    while not ended.is_set():
        for rows in orders:
            board.write(rows, values)
        board.header(time.time_ns(), time.monotonic_ns(), 1, 1)


def _python_us(board: StatusBoard) -> float:
    with BoardReader(board.path, max_age_s=60.0) as reader:
        rows = np.random.default_rng(3).integers(0, board.rows, 2_000).tolist()
        start = time.perf_counter()
        known = sum(1 for row in rows if reader.read(row))
        taken = time.perf_counter() - start
    assert known > 0.9 * len(rows), f"Python's reader knew {known} of {len(rows)} rows"
    return 1e6 * taken / len(rows)
