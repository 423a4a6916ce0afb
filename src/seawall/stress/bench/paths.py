"""Price paths for the tick measures: a calm market and a crash, one-second steps, seeded.

Every second, each underlying ticks once, in the order of the market. Prices are decimal strings, as
they would come from a feed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from seawall.core.times import YEAR_NS

__all__ = ["Path", "calm", "crash"]

SECOND_NS = 10**9
COMMON = 0.8  # correlation of every underlying with the market's common move


class Path(NamedTuple):
    """prices[second][underlying] as strings; at_ns[second]."""

    underlyings: tuple[str, ...]
    prices: list[list[str]]
    at_ns: list[int]

    @property
    def ticks(self) -> int:
        """Ticks in all: seconds times underlyings."""
        return len(self.at_ns) * len(self.underlyings)


def calm(start: dict[str, str], as_of_ns: int, seconds: int, seed: int, yearly_vol: float = 0.8) -> Path:
    """A random walk of so much volatility a year, the underlyings correlated."""
    rng = np.random.default_rng(seed)
    return _path(start, as_of_ns, _noise(rng, seconds, len(start), yearly_vol))


def crash(start: dict[str, str], as_of_ns: int, seconds: int, seed: int, fall: float = 0.20) -> Path:
    """Every underlying falls by `fall` over the path, around a straight line of its logarithm.

    The noise on it is that of a market of 300 % a year.
    """
    rng = np.random.default_rng(seed)
    steps = _noise(rng, seconds, len(start), 3.0)
    steps -= steps.mean(axis=0)  # what is left after the noise is the fall, exactly
    return _path(start, as_of_ns, steps + np.log1p(-fall) / seconds)


def _noise(rng: np.random.Generator, seconds: int, count: int, yearly_vol: float) -> np.ndarray:
    scale = yearly_vol * np.sqrt(SECOND_NS / YEAR_NS)
    common = rng.standard_normal((seconds, 1))
    own = rng.standard_normal((seconds, count))
    return scale * (COMMON * common + np.sqrt(1.0 - COMMON**2) * own)


def _path(start: dict[str, str], as_of_ns: int, steps: np.ndarray) -> Path:
    first = np.array([float(price) for price in start.values()])
    prices = first * np.exp(np.cumsum(steps, axis=0))
    decimals = 5 - np.floor(np.log10(first)).astype(int)
    places = decimals.clip(0).tolist()
    texts = [[f"{price:.{d}f}" for price, d in zip(row, places, strict=True)] for row in prices.tolist()]
    at_ns = [as_of_ns + SECOND_NS * (second + 1) for second in range(len(texts))]
    return Path(tuple(start), texts, at_ns)
