"""`expected-shortfall` and `value-at-risk` of one account in plain Python: a full sort, exact fractions, no kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import ceil, isqrt
from typing import Any

PPM = 10**6


def tail_mean(losses: Sequence[int], weights: Sequence[int], tail_ppm: int) -> Fraction:
    """Mean of the worst tail_ppm of the weight; the last loss counts in part."""
    missing, total = tail_ppm, Fraction(0)
    for loss, weight in sorted(zip(losses, weights, strict=True), reverse=True):
        taken = min(weight, missing)
        total += Fraction(loss) * taken
        missing -= taken
    assert missing == 0
    return total / tail_ppm


def tail_edge(losses: Sequence[int], weights: Sequence[int], tail_ppm: int) -> int:
    """The greatest loss that is reached or exceeded with a weight of at least tail_ppm."""
    return max(x for x in losses if sum(w for y, w in zip(losses, weights, strict=True) if y >= x) >= tail_ppm)


def _stretch(gross: int, liquid: int, most: int) -> int:
    """√(gross / liquid) in ppm, rounded up as the kernel does."""
    square = -(-gross * PPM // liquid) * PPM
    root = isqrt(square)
    return min(root + (root * root < square), most)


def _size_charges(gross_nano: int, p: Sequence[int], root_max: int) -> tuple[int, int]:
    gross = -(-gross_nano // PPM)
    concentrated = ceil(Fraction(max(0, gross - p[0]) * 1000 * p[1], PPM))
    charges = [concentrated, concentrated]
    if p[2] and gross > p[2]:
        more = _stretch(gross, p[2], root_max) - PPM
        for k in range(2):
            charges[k] += ceil(Fraction(ceil(Fraction(gross * 1000 * p[3 + k], PPM)) * more, PPM))
    return charges[0], charges[1]


def account(tables: Any, lots: Mapping[int, int], cash_nano: int) -> list[int]:
    """[equity, initial, maintenance] in micro of lots by leg."""
    held = {leg: count for leg, count in sorted(lots.items()) if count}
    values, extra, scalars = tables.values.tolist(), tables.extra.tolist(), tables.scalars.tolist()
    shorts = sum(-count for leg, count in held.items() if count < 0 and tables.leg_right[leg])
    equity = (cash_nano + sum(count * values[leg][0] for leg, count in held.items()) - shorts) // 1000
    if not held:
        return [equity, 0, 0]
    width = tables.values.shape[1]
    losses = [sum(n * (values[leg][0] - values[leg][c]) for leg, n in held.items()) for c in range(1, width)]
    weights = tables.scenario_params[0].tolist()
    dust = sum(abs(count) for count in held.values())
    by_strike: dict[Any, int] = {}
    by_underlying: dict[int, int] = {}
    flat = 0
    for leg, count in held.items():
        group = int(tables.leg_group[leg])
        by_strike[group if group >= 0 else ("leg", leg)] = by_strike.get(group, 0) + count * extra[leg][2]
        underlying = int(tables.leg_underlying[leg])
        by_underlying[underlying] = by_underlying.get(underlying, 0) + abs(count) * extra[leg][1]
        flat += abs(count) * extra[leg][0]
    naked = sum(max(0, -net) for net in by_strike.values())
    minimum = ceil(Fraction(naked * scalars[5], PPM))
    out = [equity]
    for k in range(2):
        tail = scalars[1 + k]
        risk = ceil(tail_mean(losses, weights, tail)) if scalars[0] else tail_edge(losses, weights, tail)
        risk = max(risk + dust, minimum, 0)
        total = ceil(Fraction(-(-risk // 1000) * scalars[3 + k], PPM)) - (-flat // 1000)
        for underlying, gross in by_underlying.items():
            total += _size_charges(gross, tables.underlying_params[underlying].tolist(), scalars[6])[k]
        out.append(total)
    return out
