"""Bands in a leader's price and the ratios of all others to it, for books hedged across underlyings.

A band in every own price must hold for every combination of prices inside it, so what one underlying
loses is never what another one gains. With P = P0 · f · ρ, f the leader's move and ρ that of the ratio
to it, the parts of health at ρ = 1 move along one line: their chords net. What the ratios may do comes
on top, at the steeper of the two chords. So the distance to a line falls by at most

    c · A + e · B

where f falls and rises by c and each ratio by e, in steps of the anchor grid. Which share of the distance
goes to c and which to e is chosen so that the expected rate of trips, 1/c² + n·v/e², is least: for one line
that is κ = e/c = (n·v·A/B)^⅓. v is the variance of a ratio to that of a price. docs/tripwires.md has the
proof; the choice never affects what is decided.
"""

import numpy as np

from seawall.engine.bands import FALL, RISE, bend, height, total_bend, total_stray
from seawall.engine.faces import LOWER, ON, UPPER
from seawall.engine.nodes import ANCHOR_WIDTH
from seawall.engine.pieces import POINT, STAGE, UNDERLYING
from seawall.engine.state import LADDER_STEP
from seawall.kernels.compiled import inner, once

# led[k]: how far the leader may fall and rise, relative; how far every ratio may go, in steps of the
# anchor grid; and whether the stage's ends, not health, are in the way
LED_FALL, LED_RISE, LED_RATIO, LED_ENDS = range(4)
LED = 4
# sums[k, j]: distance to a line, what a step of the leader down and up and of every ratio takes of it
ROOM, BY_FALL, BY_RISE, BY_RATIO = range(4)
SUMS = 4
RATIO_VARIANCE = 0.72  # of the ratio of two prices with a correlation of 0.64, to one price's
LEAST_RATIO, MOST_RATIO = 0.02, 2.0  # κ
HEDGED = 0.6  # of the losses apart, at most so much is lost together, for a leader to be worth trying
HAIR = 1e-9


@once
def _sum(nodes, index, scratch, count, joint, cash, leader):
    """Sets sums; returns how many lines there are, 0 where one is crossed already."""
    sums = scratch.sums
    bend(scratch, count, POINT)
    lines = 0
    for which in range(0, 2 * UPPER, UPPER):
        if not scratch.rule[which + ON]:
            continue
        bent = total_bend(scratch, count, which, POINT) + total_stray(scratch, count, which)
        for j in range(joint if which == LOWER else 1):
            sums[ROOM, lines] = height(scratch, count, cash, which, j, POINT) - bent
            if sums[ROOM, lines] <= 0.0:
                return 0
            for k in range(BY_FALL, SUMS):
                sums[k, lines] = 0.0
            lines += 1
    for i in range(count):
        u = scratch.pieces[i, UNDERLYING]
        rise = scratch.ends[STAGE, i, RISE] / index[u] - 1.0
        step = nodes.ladder[u, ANCHOR_WIDTH, LADDER_STEP] if u != leader else 0.0
        line = 0
        for which in range(0, 2 * UPPER, UPPER):
            if not scratch.rule[which + ON]:
                continue
            for j in range(joint if which == LOWER else 1):
                by_fall, by_rise = _losses(index, scratch, i, which, j)
                sums[BY_FALL, line] += by_fall
                sums[BY_RISE, line] += by_rise
                sums[BY_RATIO, line] += step * max(abs(by_fall), abs(by_rise)) * (1.0 + rise)
                line += 1
    return lines


@inner
def lead(nodes, index, scratch, count, joint, cash, leader):
    """Bands of the present point in the leader's coordinates, within the stage, into led.

    Returns the expected rate of trips, infinite where there is no such band.
    """
    led, sums = scratch.led, scratch.sums
    lines = _sum(nodes, index, scratch, count, joint, cash, leader)
    if lines == 0:
        return np.inf
    step = nodes.ladder[leader, ANCHOR_WIDTH, LADDER_STEP]
    ratios, farthest, widest = 0, np.inf, np.inf
    for i in range(count):
        u = scratch.pieces[i, UNDERLYING]
        fall = 1.0 - scratch.ends[STAGE, i, FALL] / index[u]
        rise = scratch.ends[STAGE, i, RISE] / index[u] - 1.0
        farthest = min(farthest, 0.5 * min(fall, rise) / step)
        if u != leader:
            ratios += 1
            widest = min(widest, 0.5 * min(fall, rise) / nodes.ladder[u, ANCHOR_WIDTH, LADDER_STEP])
    tightest, at = 0.0, 0
    for k in range(lines):
        need = (step * max(sums[BY_FALL, k], sums[BY_RISE, k], 0.0) + sums[BY_RATIO, k]) / sums[ROOM, k]
        if need > tightest:
            tightest, at = need, k
    kappa = MOST_RATIO
    if sums[BY_RATIO, at] > 0.0:
        by_leader = step * max(sums[BY_FALL, at], sums[BY_RISE, at], 0.0)
        kappa = (RATIO_VARIANCE * ratios * by_leader / sums[BY_RATIO, at]) ** (1.0 / 3.0)
        kappa = min(MOST_RATIO, max(LEAST_RATIO, kappa))
    both = farthest
    for k in range(lines):
        need = step * max(sums[BY_FALL, k], sums[BY_RISE, k], 0.0) + kappa * sums[BY_RATIO, k]
        if need > 0.0:
            both = min(both, sums[ROOM, k] / need)
    # what the leader cannot use within the stage, the ratios can
    by_ratio = widest
    for k in range(lines):
        left = sums[ROOM, k] - step * both * max(sums[BY_FALL, k], sums[BY_RISE, k], 0.0)
        if sums[BY_RATIO, k] > 0.0:
            by_ratio = min(by_ratio, left / sums[BY_RATIO, k])
    led[LED_RATIO], led[LED_ENDS] = by_ratio, 0.0
    ends_fall, ends_rise = np.inf, np.inf
    for i in range(count):
        u = scratch.pieces[i, UNDERLYING]
        fall = 1.0 - scratch.ends[STAGE, i, FALL] / index[u]
        rise = scratch.ends[STAGE, i, RISE] / index[u] - 1.0
        way = ratio_way(nodes, scratch, u, leader)
        # (1 - F)·(1 - way) and (1 + R)·(1 + way) are the farthest that its own price may go
        ends_fall = min(ends_fall, (fall - way) / (1.0 - way))
        ends_rise = min(ends_rise, (rise - way) / (1.0 + way))
    rate = RATIO_VARIANCE * ratios / max(by_ratio, HAIR) ** 2
    for side in range(2):
        end = ends_fall if side == FALL else ends_rise
        far = np.inf
        for k in range(lines):
            if sums[BY_FALL + side, k] > 0.0:
                left = max(0.0, sums[ROOM, k] - by_ratio * sums[BY_RATIO, k])
                far = min(far, left / sums[BY_FALL + side, k])
        if far > end:
            led[LED_ENDS] = 1.0
        led[LED_FALL + side] = min(far, end) * (1.0 - HAIR)
        rate += 0.5 * (step / max(led[LED_FALL + side], HAIR)) ** 2
    return rate


@once
def ratio_way(nodes, scratch, underlying, leader):
    """How far, relative, the ratio of an underlying to the leader may go."""
    if underlying == leader:
        return 0.0
    return scratch.led[LED_RATIO] * nodes.ladder[underlying, ANCHOR_WIDTH, LADDER_STEP]


@inner
def hedged(index, scratch, count):
    """Whether on the line that limits bands in own prices much of what they may lose is made good by
    others when everything moves alike; where not, a leader's coordinates gain nothing."""
    which, j = scratch.tightest[0], scratch.tightest[1]
    fall = rise = apart = 0.0
    for i in range(count):
        by_fall, by_rise = _losses(index, scratch, i, which, j)
        fall += by_fall
        rise += by_rise
        apart += max(by_fall, by_rise, 0.0)
    return max(fall, rise, 0.0) < HEDGED * apart


@once
def _losses(index, scratch, i, which, j):
    """What one underlying loses on a line for each unit of its relative fall, and rise, to the stage."""
    u = scratch.pieces[i, UNDERLYING]
    fall = 1.0 - scratch.ends[STAGE, i, FALL] / index[u]
    rise = scratch.ends[STAGE, i, RISE] / index[u] - 1.0
    if which == LOWER:
        here, there = scratch.lower[POINT, FALL, i, j], scratch.lower[STAGE]
        return (here - there[FALL, i, j]) / fall, (here - there[RISE, i, j]) / rise
    here, there = scratch.upper[POINT, FALL, i, 0], scratch.upper[STAGE]
    return (there[FALL, i, 0] - here) / fall, (there[RISE, i, 0] - here) / rise


@inner
def own_rate(nodes, index, scratch, count, ends, share):
    """The expected rate of trips of a band a share of the way to ends (float64[count, 2]) in every own
    price."""
    rate = 0.0
    for i in range(count):
        u = scratch.pieces[i, UNDERLYING]
        step = nodes.ladder[u, ANCHOR_WIDTH, LADDER_STEP]
        for side in range(2):
            rate += 0.5 * (step / max(abs(ends[i, side] / index[u] - 1.0) * share, HAIR)) ** 2
    return rate
