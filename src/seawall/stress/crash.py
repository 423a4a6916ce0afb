"""A modelled crash in the shape of 10 October 2025: seeded, synthetic, and labelled as such.

Only public round figures are in it: Bitcoin from 121,500 to about 102,000 and part of the way back inside an
hour, ether a fifth, large alternative coins a third to four fifths. Every seed starts and bottoms at those figures;
the path between them is drawn from it: a slow slide, a capitulation of a few minutes, a rebound that keeps about half. The smaller a
coin, the more of its fall lies in the capitulation itself.
"""

from __future__ import annotations

import numpy as np

from seawall.feeds.ticks import PriceHistory, Ticks
from seawall.stress.board import Board, make_board
from seawall.stress.vols import VolSchedule, vol_updates

__all__ = ["LABEL", "modelled_crash", "modelled_path"]

LABEL = "modelled on 2025-10-10 (public figures, seeded; no recorded prices)"
START_NS = 1_760_128_200_000_000_000  # 2025-10-10T20:30:00Z
DURATION_S = 75 * 60
# Price before, and the deepest fall: public, rounded.
NAMES = {
    "BTC": (121_500.0, 0.1605),
    "ETH": (4_360.0, 0.21),
    "SOL": (221.0, 0.36),
    "XRP": (2.82, 0.57),
    "DOGE": (0.249, 0.62),
    "LINK": (22.4, 0.64),
    "AVAX": (28.4, 0.70),
    "SUI": (3.46, 0.80),
}
# (minute, share of the deepest log fall) of the leader.
_SHAPE = ((0, 0.0), (12, 0.03), (20, 0.22), (27, 0.30), (32, 0.55), (34.5, 0.72), (36, 1.0),
          (38, 0.78), (41, 0.62), (47, 0.55), (55, 0.46), (75, 0.41))  # fmt: skip
_LOW_S = 36 * 60


def modelled_crash(
    seed: int = 20251010, *, schedule: VolSchedule | None = None, step_s: float = 1.0
) -> tuple[Board, PriceHistory]:
    """The modelled market before the crash and its prices: one tick per name every `step_s` seconds, and
    vols.

    The same seed gives the same path, bit for bit, on one build of NumPy.
    """
    ticks = modelled_path(seed, step_s=step_s)
    board = make_board(ticks.first_prices(), START_NS)
    updates = vol_updates(board, ticks, schedule or VolSchedule())
    series = dict.fromkeys(ticks.names, "modelled")
    return board, PriceHistory(LABEL, ticks, series, (), updates, board.document)


def modelled_path(seed: int, *, step_s: float = 1.0) -> Ticks:
    """The prices alone; int64 nano on each name's own tick grid (six significant digits of its first
    price)."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(0.0, DURATION_S + step_s / 2, step_s)
    depth = np.interp(seconds / 60.0, [m for m, _ in _SHAPE], [d for _, d in _SHAPE])
    prices = np.empty((len(seconds), len(NAMES)))
    noise = _noise(rng, seconds, depth, step_s)
    for n, (start, fall) in enumerate(NAMES.values()):
        # From 0 for the leader to 1 for the deepest fall: how much of it is capitulation.
        late = np.clip((fall - 0.16) / 0.6, 0.0, 1.0)
        shape = (1.0 - 0.6 * late) * depth + 0.6 * late * depth**7
        prices[:, n] = start * np.exp(_to_depth(np.log1p(-fall) * shape + noise[:, n], np.log1p(-fall)))
    digits = [int(np.floor(np.log10(start))) - 5 for start, _ in NAMES.values()]
    nano = np.stack([_on_grid(prices[:, n], digits[n]) for n in range(len(NAMES))], axis=1)
    at_ns = START_NS + np.round(seconds * 1e9).astype(np.int64)
    # Names tick one after another inside a second, the leader first.
    offsets = np.arange(len(NAMES), dtype=np.int64) * int(step_s * 1e9 / (2 * len(NAMES)))
    times = (at_ns[:, None] + offsets[None, :]).ravel()
    names = np.tile(np.arange(len(NAMES), dtype=np.int32), len(seconds))
    return Ticks(tuple(NAMES), times, names, nano.ravel())


def _noise(rng: np.random.Generator, seconds: np.ndarray, depth: np.ndarray, step_s: float) -> np.ndarray:
    """Log-price noise (T, names): mean-reverting, shared in part, louder while prices fall, silent at the
    low."""
    speed = np.abs(np.gradient(depth, seconds))
    loud = 1.0 + 9.0 * np.clip(speed / 0.002, 0.0, 1.0)
    quiet = 1.0 - 0.97 * np.exp(-(((seconds - _LOW_S) / 45.0) ** 2))
    common = rng.standard_normal((len(seconds), 1))
    own = rng.standard_normal((len(seconds), len(NAMES)))
    falls = np.array([fall for _, fall in NAMES.values()])
    scale = 0.00016 * np.sqrt(step_s) * (1.0 + 2.0 * falls)
    shocks = (0.8 * common + 0.6 * own) * loud[:, None] * scale
    keep = 0.996**step_s
    path = np.empty_like(shocks)
    state = np.zeros(len(NAMES))
    for t in range(len(seconds)):
        state = keep * state + shocks[t]
        path[t] = state
    return path * quiet[:, None]


def _to_depth(path: np.ndarray, depth: float) -> np.ndarray:
    """The log path from 0, stretched so that its lowest point is `depth`: noise moves the low in time only."""
    path = path - path[0]
    return path * (depth / path.min())


def _on_grid(prices: np.ndarray, digit: int) -> np.ndarray:
    """Prices as int64 nano, rounded to the power of ten `digit`."""
    tick_nano = 10 ** (9 + digit)
    return np.maximum(np.round(prices * 1e9 / tick_nano), 1).astype(np.int64) * tick_nano
