"""What one account's rows may do on a stretch of a line of prices, from those at its two ends.

A share x of the way from a to b every price is a + x·(b - a). An option's entry V is convex in it, with
V'' = worth·multiple·φ(d1)·(b - a)²/(price·s), so that V lies below its chord by at least 4x(1 - x) times an
eighth of the least V'' and at most as much of the greatest, and by no more than 4x(1 - x) times a quarter of
worth·multiple·(b - a), since its slope turns by one at most. As a function of the price V'' has one hump:
its least is at an end, its greatest at an end or where d1 = 0. Lots net: a short option lies above its chord by
at least what its least says.

`stack` writes an account's rows with these corrections, as further legs of one lot, for the account kernel to
evaluate; `union_gaps` bounds the gaps of `rows.py` over several steps of the price grid at once.
"""

from typing import NamedTuple

import numpy as np

from seawall.kernels import cells
from seawall.kernels.anchors import cell_high, cell_low
from seawall.kernels.compiled import entry, inner
from seawall.kernels.normal import exp_, log_, norm_cdf, norm_pdf

COLUMNS = cells.BASIS + 2  # those that follow the price; gaps come after
LEVELS = cells.LEVELS - 1
NODES = LEVELS * cells.NODES
DENSITY = 0.3989422804014327  # 1/√(2π)
HAIR = 1e-9  # what floats may be off by, relatively
VARIANTS = 4
# rows of one buffer, at fixed distances, so that the loops over it vectorise
ROW = 32
VEGA, MOVE, LEAST, MOST, CDF_LEAST, CDF_MOST = (ROW * k for k in range(3, 9))
NODE_WORK = ROW * 9


class Bent(NamedTuple):
    """The options of one account whose strikes are fixed: m arrays' rows, float64 but `underlying` (int64).

    lots; worth: discounted lot × ratio, nano per unit of the index; moneyness: ln(ratio / strike); haircut: of the
    mark. sigma, shift, multiple, damping: [m, COLUMNS], the total volatility of each column, the log of its
    multiple of the price, that multiple, and the share of its change that counts.
    """

    underlying: np.ndarray
    lots: np.ndarray
    worth: np.ndarray
    moneyness: np.ndarray
    haircut: np.ndarray
    sigma: np.ndarray
    shift: np.ndarray
    multiple: np.ndarray
    damping: np.ndarray


class Gapped(NamedTuple):
    """What the gaps of n legs are made of while time stands still; float64 but `kind`, `underlying` (int64).

    kind: 0 no gaps, 1 an option, 2 a dynamic strike. scale: nano; ratio; moneyness: ln(ratio / strike). low, high,
    width: [n, NODES], bounds of the total volatility and of the step between levels, node by node.
    multiple, shift: [n, NODES], of the price at each node, and its log.
    """

    kind: np.ndarray
    underlying: np.ndarray
    scale: np.ndarray
    ratio: np.ndarray
    moneyness: np.ndarray
    low: np.ndarray
    high: np.ndarray
    width: np.ndarray
    multiple: np.ndarray
    shift: np.ndarray


@inner
def _column_bends(sigma, shift, multiple, damping, ka, kb, first, last, turn, least, most):
    """least, most: bounds of how far each column lies below its chord in the middle, for log-moneyness from ka to
    kb; turn: worth·(last - first). One loop without branches, so that it vectorises."""
    part = 0.125 * DENSITY * turn * (last - first)
    for c in range(len(least)):
        inverse = 1.0 / sigma[c]
        da = (ka + shift[c]) * inverse + 0.5 * sigma[c]
        db = (kb + shift[c]) * inverse + 0.5 * sigma[c]
        at_a = exp_(-0.5 * da * da)
        at_b = exp_(-0.5 * db * db)
        top = 1.0 if da * db < 0.0 else max(at_a, at_b)
        each = part * inverse * multiple[c]
        least[c] = min(at_a / first, at_b / last) * each
        most[c] = min(top / first * each, 0.25 * turn * multiple[c])
    mark_least, mark_most = least[0], most[0]
    for c in range(len(least)):
        least[c] = (mark_least + damping[c] * (least[c] - mark_least)) * (1.0 - HAIR)
        most[c] = (mark_most + damping[c] * (most[c] - mark_most)) * (1.0 + HAIR)


@inner
def _bends(bent, a, b, least, most, down, up):
    """Adds by underlying how far columns may lie below (down) and above (up) their chords, nano; returns by
    how much the charges that follow two columns may stray."""
    charges = 0.0
    for k in range(len(bent.lots)):
        u = bent.underlying[k]
        first, last = min(a[u], b[u]), max(a[u], b[u])
        if first == last:
            continue
        moneyness = bent.moneyness[k]
        _column_bends(
            bent.sigma[k], bent.shift[k], bent.multiple[k], bent.damping[k], moneyness + log_(first),
            moneyness + log_(last), first, last, (last - first) * bent.worth[k], least, most,
        )  # fmt: skip
        lots = bent.lots[k]
        lower, upper = (most, least) if lots > 0.0 else (least, most)
        for c in range(len(least)):
            down[u, c] += lots * lower[c]
            up[u, c] -= lots * upper[c]
        stray = 0.0
        for c in range(cells.BASIS, COLUMNS):
            stray = max(stray, max(most[c] - least[0], most[0] - least[c]))
        charges += abs(lots) * (stray + bent.haircut[k] * most[0])
    return charges


@entry
def bends(bent, a, b, work):
    """work[0, : 2]: by how much charges may stray, and marks, nano; work[2 : 2 + U] and work[2 + U :]: how far each underlying's
    columns may lie below and above their chords from a to b (float64[U]). work: float64[2 + 2·U, COLUMNS]."""
    count = len(a)
    for k in range(2, len(work)):
        for c in range(COLUMNS):
            work[k, c] = 0.0
    charges = _bends(bent, a, b, work[0], work[1], work[2 : 2 + count], work[2 + count :])
    marks = 0.0
    for k in range(2, len(work)):
        marks += max(work[k, 0], 0.0)
    work[0, 0], work[0, 1] = charges, marks


@entry
def stack(values_a, extra_a, values_b, extra_b, gaps, which, slot, held, corrections, grain, work, upper, values, extra):
    """Rows of VARIANTS accounts, one after the other in values (int64[VARIANTS·R, WIDTH]) and extra.

    upper: the rows carried on past a by the stretch's own length, at a, at b, and carried on past b, each raised by all
    that columns may lie above their chords. Otherwise: at a, at b; and both again lowered by all that columns may
    lie below. which: int64[p], the account's legs; slot: int64[p], their places among the R; held: the
    underlyings held (int64), whose corrections stand at `corrections`. gaps: int64[n, 3·CELLS]. grain: float64[U],
    nano that rounding may hide. work: of `bends`.
    """
    size = len(values) // VARIANTS
    count = (len(work) - 2) // 2
    for v in range(VARIANTS):
        share_a, share_b = 1, 0
        if upper:
            share_a, share_b = 2 - v, v - 1
        elif v % 2 == 1:
            share_a, share_b = 0, 1
        for p in range(len(which)):
            leg, at = which[p], v * size + slot[p]
            for c in range(work.shape[1]):
                values[at, c] = share_a * values_a[leg, c] + share_b * values_b[leg, c]
            for c in range(gaps.shape[1]):
                values[at, COLUMNS + c] = gaps[leg, c]
            for c in range(cells.EXTRA_HAIRCUT):
                extra[at, c] = share_a * extra_a[leg, c] + share_b * extra_b[leg, c]
        for i in range(len(held)):
            u, at = held[i], v * size + corrections[i]
            bend = work[2 + count + u] if upper else work[2 + u]
            sign = 1 if upper else -1
            for c in range(cells.COLUMNS):
                amount = grain[u]
                if upper or v >= 2:
                    amount += max(bend[c], 0.0)
                values[at, c] = sign * np.int64(np.ceil(amount))
            for c in range(cells.COLUMNS, COLUMNS):
                values[at, c] = values[at, 0]


@inner
def _nodes(g, k, forward_low, forward_high, k_low, k_high, moves, work):
    """Sets work at every node: vega gap, move, least and greatest d1, and Φ of both."""
    low, high, width = g.low[k], g.high[k], g.width[k]
    multiple, shift = g.multiple[k], g.shift[k]
    for j in range(len(low)):
        a, b = k_low + moves * shift[j], k_high + moves * shift[j]
        s, t = low[j], high[j]
        d_low = min(a / s, a / t) + 0.5 * s
        d_high = max(b / s, b / t) + 0.5 * t
        far = max(abs(d_low), abs(d_high))
        near = max(d_low, 0.0) + min(d_high, 0.0)
        ahead = forward_high * multiple[j]
        vega = ahead * norm_pdf(near)
        by_vega = 0.25 * (vega - forward_low * multiple[j] * norm_pdf(far)) * width[j]
        steep = max(abs(a), abs(b)) / s
        bend = max(steep * steep, 0.25 * t * t)
        by_volga = 0.125 * vega * bend / s * width[j] * width[j]
        work[VEGA + j] = min(min(by_vega, by_volga), ahead)
        work[MOVE + j] = min(vega * width[j], ahead)
        turn = np.sqrt(2.0 * max(a, 0.0))
        least = min(a / s + 0.5 * s, a / t + 0.5 * t)
        least = turn if (turn > s) & (turn < t) else least
        most = max(b / s + 0.5 * s, b / t + 0.5 * t)
        work[LEAST + j] = least
        work[MOST + j] = most
        work[CDF_LEAST + j] = norm_cdf(least)
        work[CDF_MOST + j] = norm_cdf(most)


@entry
def union_gaps(g, which, first, span, steps, work, out):
    """out[leg] (int64[3·CELLS]) of the legs in `which`: gaps no less than `rows.fill_gaps` of any of `span`
    steps of the price grid from `first` (int64[U]) on. g: Gapped; work: float64[NODE_WORK]."""
    for p in range(len(which)):
        k = which[p]
        row = out[k]
        if g.kind[k] == 0:
            for c in range(len(row)):
                row[c] = 0
            continue
        u = g.underlying[k]
        index_low = cell_low(first[u], steps[u])
        index_high = cell_high(first[u] + span - 1, steps[u])
        fixed = g.kind[k] == 1
        moves = 1.0 if fixed else 0.0
        k_low = g.moneyness[k] + moves * log_(index_low)
        k_high = g.moneyness[k] + moves * log_(index_high)
        forward_low, forward_high = index_low * g.ratio[k], index_high * g.ratio[k]
        _nodes(g, k, forward_low, forward_high, k_low, k_high, moves, work)
        _cells(g.low[k], g.multiple[k], forward_low, forward_high, g.scale[k] * (1.0 + HAIR), moves, work)
        for level in range(LEVELS):
            at = level * cells.SPOT_CELLS
            for cell in range(cells.SPOT_CELLS):
                for gap in range(3):
                    row[gap * cells.CELLS + at + cell] = np.int64(work[gap * ROW + level * cells.NODES + cell]) + 2


@inner
def _cells(low, multiple, forward_low, forward_high, scale, moves, work):
    """Sets the first three rows of work between every node and the next: the gap in spot, in volatility, and the move, rounded up."""
    for j in range(len(low) - 1):
        length = forward_high * (multiple[j + 1] - multiple[j])
        by_delta = 0.25 * max(0.0, work[CDF_MOST + j + 1] - work[CDF_LEAST + j]) * length
        near = max(work[LEAST + j], 0.0) + min(work[MOST + j + 1], 0.0)
        by_gamma = 0.125 * norm_pdf(near) / (forward_low * multiple[j] * low[j]) * length * length
        vega = max(work[VEGA + j], work[VEGA + j + 1])
        move = max(work[MOVE + j], work[MOVE + j + 1])
        work[j] = np.ceil(scale * moves * min(by_delta, by_gamma))
        work[ROW + j] = np.ceil(scale * vega)
        work[2 * ROW + j] = np.ceil(scale * move)
