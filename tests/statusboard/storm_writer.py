"""A process that writes a few rows of a board over and over, as fast as it can, until its standard input ends or it is killed.

storm_writer.py BOARD ROWS UPDATES: prints "ready" once the board can be read. Word k of a row is its first word + k.
"""

from __future__ import annotations

import os
import sys
import threading
import time

import numpy as np

from seawall.engine.status_board import StatusBoard

path, rows, updates = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
board = StatusBoard.create(path, rows, [f"account {k}" for k in range(rows)])
at = np.arange(updates) % rows
values = np.arange(updates)[:, None] * 16 + np.arange(7)
board.write(at, values)
board.header(time.time_ns(), time.monotonic_ns(), 1, 1)
print("ready", flush=True)
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
count = 0
while not ended.is_set():
    board.write(at, values)
    values += 16
    count += updates
    board.header(time.time_ns(), time.monotonic_ns(), 1, count)
board.close()
print(count, os.getpid())
