"""Random numbers that are the same on every machine: a counter, hashed, and arithmetic that rounds one way.

NumPy promises the bits of its generators but not the numbers it makes of them, and the logarithm of a
maths library differs in the last bit between machines. Here bits are SplitMix64 of a counter (Steele, Lea
and Flood 2014, "Fast splittable pseudorandom number generators"), normals are Marsaglia's polar method
(1964) over the kernels' own logarithm, and each name has a stream of its own, so that one more underlying
on a market changes nobody else's numbers.
"""

import numpy as np

from seawall.kernels.shocked import logarithms

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def stream(seed: int, name: str) -> int:
    """The key of a named stream: FNV-1a of the name over the seed, 64 bits."""
    key = (0xCBF29CE484222325 ^ seed * _GOLDEN) & _MASK
    for byte in name.encode():
        key = (key ^ byte) * 0x100000001B3 & _MASK
    return key


def uniforms(key: int, count: int, first: int = 0) -> np.ndarray:
    """float64[count] in (0, 1), those numbered from `first` on: 52 bits and a half."""
    numbers = np.arange(first + 1, first + count + 1, dtype=np.uint64)
    x = np.uint64(key) + numbers * np.uint64(_GOLDEN)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return ((x >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def normals(key: int, count: int) -> np.ndarray:
    """float64[count] standard normals; a longer draw begins with a shorter one."""
    found = np.zeros(0)
    first = 0
    while len(found) < count:
        pairs = 2.0 * uniforms(key, 512, first) - 1.0
        first += 512
        a, b = pairs[0::2], pairs[1::2]
        square = a * a + b * b
        inside = (square < 1.0) & (square > 0.0)
        a, b, square = a[inside], b[inside], square[inside]
        radius = np.sqrt(-2.0 * logarithms(square) / square)
        found = np.concatenate([found, np.column_stack([a * radius, b * radius]).ravel()])
    return found[:count]
