"""What the venue assumes that its markets take: lots within a move of the price, and what selling them would bring.

A ladder says how much notional a market absorbs until its price has moved so far. It is an assumption of the configuration, not a
book: it decides how large a slice is and how much may go to the market before deleveraging, while prices are made by
those who carry orders out. Rounded against the account.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from seawall.core.errors import InputError
from seawall.core.units import PPM

__all__ = ["Ladder"]

Array = np.ndarray[Any, Any]


class Ladder:
    """moves_ppm: rising, above 0; notional_micro: what is taken within each, not falling, beyond the last nothing. Between two
    points the move is in proportion. Raises InputError for points that do not rise."""

    def __init__(self, place: str, moves_ppm: Sequence[int], notional_micro: Sequence[int]) -> None:
        fall = any(a >= b for a, b in zip([0, *moves_ppm], moves_ppm, strict=False))
        fall |= any(a > b for a, b in zip([0, *notional_micro], notional_micro, strict=False))
        if not moves_ppm or len(moves_ppm) != len(notional_micro) or fall or moves_ppm[-1] >= PPM or notional_micro[-1] <= 0:
            found = f"moves {list(moves_ppm)}, notional {list(notional_micro)}"
            raise InputError(place, found, "as many rising moves below 1,000,000 ppm as notionals, which do not fall")
        self.moves_ppm = np.array([0, *moves_ppm], np.int64)
        self._notional = [0, *notional_micro]

    def lots(self, mark_nano: int) -> Array:
        """int64[K]: lots of this mark that are taken within each move, rounded down, 0 first."""
        worth = max(mark_nano, 1)
        return np.array([min(each * 1000 // worth, 2**53) for each in self._notional], np.int64)

    def quote(self, side: int, mark_nano: int) -> Callable[[int], tuple[int, int]]:
        """lots → (lots that are taken, signed cash in micro) for a taker of this side: each lot at the price that the lots before it
        have moved, rounded against the taker."""
        depth, moves = self.lots(mark_nano).tolist(), self.moves_ppm.tolist()

        def proceeds(size: int) -> tuple[int, int]:
            taken = min(size, depth[-1])
            cost = 0  # twice the cost, nano × ppm
            for low, high, first, last in zip(depth, depth[1:], moves, moves[1:], strict=False):
                part = min(taken, high) - low
                if part <= 0:
                    break
                reached = first - (-(last - first) * part // (high - low))
                cost += part * (first + reached) * mark_nano
            lost = -(-cost // (2 * PPM))
            gross = taken * mark_nano
            return taken, (gross - lost) // 1000 if side < 0 else (-gross - lost) // 1000

        return proceeds
