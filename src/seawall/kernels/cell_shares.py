"""Takes one account under `cells.py` apart: the choices that its requirement stands on, and each leg's part in them.

It retraces the account kernel on the same integers: sums by underlying, the floor of every cell, the loss of every
scenario, and then only inside the worst one what each leg adds. What takes products wider than int64
(the shares of a dip and of a charge for concentration) is left to the caller, with all that it needs.
"""


from seawall.kernels import cells
from seawall.kernels.compiled import entry, inner
from seawall.kernels.fixed import mul_ppm_ceil, mul_ppm_floor

# rows of what is written by leg, int64[ROWS, n]
EQUITY, MARK, NET, CURVE = 0, 1, 2, 3  # micro; nano, with what a short option owes; lots of its curve; whose row speaks
SCAN, DIP, BOUND, TAIL, MINIMUM, BASIS, CONCENTRATION, HAIRCUT, DUST = range(4, 13)  # nano
APART = 13  # in the cell of the scan, the one corner less the other
ROWS = 14

# what is written by underlying, int64[U, HELD]
FIRST, LAST, UNDERLYING, DIPS, SCALED, CHARGE = range(6)
SUMS = 6  # then columns, and the sums of gaps and of what comes between levels
GAPS = SUMS + cells.COLUMNS
FLOORS = GAPS + 4 * cells.CELLS  # of every cell: its floor, and which level, which bound and how deep a dip that is of
SIDES = FLOORS + cells.CELLS
BOUNDS = SIDES + cells.CELLS
DEPTHS = BOUNDS + cells.CELLS
HELD = DEPTHS + cells.CELLS

# head, int64[HEAD]
COUNT, WORST, LOSS, LEAST, CASH = range(5)
HEAD = 5
SCENARIOS = 2 * cells.STEPS + cells.TAILS
PPM = 1_000_000


@inner
def _curves(group, extra, legs, lots, by_leg):
    """Net lots of each leg's curve, and the position whose row speaks for it, the first of the curve."""
    for p in range(len(legs)):
        by_leg[NET, p] = lots[p]
        by_leg[CURVE, p] = p
        first = p
        while group[legs[p]] >= 0 and first > 0 and group[legs[first - 1]] == group[legs[p]]:
            first -= 1
        for other in range(first, p):
            if cells.same_curve(extra[legs[other]], extra[legs[p]]):
                by_leg[CURVE, p] = by_leg[CURVE, other]
                net = by_leg[NET, other] + lots[p]
                for q in range(other, p + 1):
                    if by_leg[CURVE, q] == by_leg[CURVE, p]:
                        by_leg[NET, q] = net
                break


@inner
def _bend(row, net, kind, cell):
    """What a lot of a leg whose curve is net long or short adds: 0 the gap in spot, 1 in volatility, 2, 3 the
    moves of longs and of shorts."""
    at = cells.ROW_GAP + min(kind, 2) * cells.CELLS + cell
    if net > 0:
        return 0 if kind == 3 else row[at]
    if net < 0 and kind % 2 == 1:
        return -row[at]
    return 0


@inner
def _sums(values, group, legs, lots, by_leg, mine):
    """Sums over the legs of one underlying."""
    for c in range(SUMS, FLOORS):
        mine[c] = 0
    for p in range(mine[FIRST], mine[LAST]):
        row, quantity = values[legs[p]], lots[p]
        for c in range(min(len(row), cells.COLUMNS)):
            mine[SUMS + c] += quantity * row[c]
        mark = quantity * row[cells.MARK]
        net = by_leg[NET, p]
        if group[legs[p]] < 0:
            net = 0
        elif quantity < 0:
            mark += quantity
            mine[SUMS] += quantity
        by_leg[MARK, p] = mark
        by_leg[NET, p] = net
        if net == 0:
            continue
        speaks = values[legs[by_leg[CURVE, p]]]
        three = len(speaks) - cells.ROW_GAP  # counts of the run time: literal ones would be written out
        one = three // 3
        if net > 0:
            for c in range(three):
                mine[GAPS + c] += quantity * speaks[cells.ROW_GAP + c]
            continue
        for c in range(one):
            mine[GAPS + one + c] -= quantity * speaks[cells.ROW_GAP + one + c]
        for c in range(one):
            mine[GAPS + three + c] -= quantity * speaks[cells.ROW_GAP + three - one + c]


@inner
def _choose(mine):
    """Sets what is noted of every cell; of equals the first is taken."""
    for cell in range(cells.CELLS):
        for side in range(2):
            at = SUMS + 1 + (cell // cells.SPOT_CELLS + side) * cells.NODES + cell % cells.SPOT_CELLS
            depth = cells.dip(mine[GAPS + cell], abs(mine[at] - mine[at + 1]))
            low = min(mine[at], mine[at + 1]) - depth
            if side == 0 or low < mine[FLOORS + cell]:
                mine[FLOORS + cell], mine[SIDES + cell], mine[DEPTHS + cell] = low, side, depth
        bound = 1
        for kind in range(2, 4):
            if mine[GAPS + kind * cells.CELLS + cell] < mine[GAPS + bound * cells.CELLS + cell]:
                bound = kind
        mine[BOUNDS + cell] = bound
        mine[FLOORS + cell] -= mine[GAPS + bound * cells.CELLS + cell]


@inner
def _lowest(mine, params, step, row):
    """The cell with the least floor in the window of a step, the first of equals."""
    best = row * cells.SPOT_CELLS + params[cells.PARAM_FIRST + step]
    for cell in range(best + 1, row * cells.SPOT_CELLS + params[cells.PARAM_LAST + step] + 1):
        if mine[FLOORS + cell] < mine[FLOORS + best]:
            best = cell
    return best


@inner
def _losses(held, count, params, offset, losses):
    """Every scenario's loss, nano, in the kernel's numbering."""
    for s in range(SCENARIOS):
        total = 0
        for i in range(count):
            mine = held[i]
            if s < 2 * cells.STEPS:
                level = mine[FLOORS + _lowest(mine, params[mine[UNDERLYING]], s // 2, s % 2)]
            else:
                level = mine[SUMS + 1 + cells.GRID + s - 2 * cells.STEPS]
            change = level - mine[SUMS]
            total += change if change < 0 else mul_ppm_floor(change, offset)
        losses[s] = -total


@inner
def _range_parts(values, legs, lots, by_leg, mine, cell):
    """SCAN, BOUND, and what a dip is shared by, of one underlying in its cell; returns the change but for the dip."""
    side, bound, mine[DIPS] = mine[SIDES + cell], mine[BOUNDS + cell], mine[DEPTHS + cell]
    at = 1 + (cell // cells.SPOT_CELLS + side) * cells.NODES + cell % cells.SPOT_CELLS
    lower = at if mine[SUMS + at] <= mine[SUMS + at + 1] else at + 1
    change = 0
    for p in range(mine[FIRST], mine[LAST]):
        row, quantity = values[legs[p]], lots[p]
        speaks, net = values[legs[by_leg[CURVE, p]]], by_leg[NET, p]
        by_leg[SCAN, p] = by_leg[MARK, p] - quantity * row[lower]
        by_leg[BOUND, p] = quantity * _bend(speaks, net, bound, cell)
        by_leg[DIP, p] = quantity * _bend(speaks, net, 0, cell)
        by_leg[APART, p] = quantity * (row[at] - row[at + 1])
        change -= by_leg[SCAN, p] + by_leg[BOUND, p]
        if mine[DIPS] == 0:
            by_leg[DIP, p] = 0
    return change


@inner
def _scale(by_leg, row, mine, offset, total):
    """Scales losses as gains are, rounded on the running total from `total` on; returns that total."""
    for p in range(mine[FIRST], mine[LAST]):
        before = mul_ppm_floor(total, offset)
        total -= by_leg[row, p]
        by_leg[row, p] = before - mul_ppm_floor(total, offset)
    return total


@inner
def _risk_parts(values, legs, lots, params, offset, head, held, by_leg):
    """Parts of the worst scenario."""
    worst = head[WORST]
    for i in range(head[COUNT]):
        mine = held[i]
        mine[DIPS] = 0
        mine[SCALED] = 0
        if worst < 0:
            continue
        if worst < 2 * cells.STEPS:
            cell = _lowest(mine, params[mine[UNDERLYING]], worst // 2, worst % 2)
            change = _range_parts(values, legs, lots, by_leg, mine, cell) - mine[DIPS]
            if change > 0:
                mine[SCALED] = 1
                if mine[DIPS] == 0:
                    _scale(by_leg, BOUND, mine, offset, _scale(by_leg, SCAN, mine, offset, 0))
        else:
            change = 0
            for p in range(mine[FIRST], mine[LAST]):
                at = 1 + cells.GRID + worst - 2 * cells.STEPS
                by_leg[TAIL, p] = by_leg[MARK, p] - lots[p] * values[legs[p], at]
                change -= by_leg[TAIL, p]
            if change > 0:
                _scale(by_leg, TAIL, mine, offset, 0)


@inner
def _minimum(group, extra, legs, lots, by_leg):
    """MINIMUM of every leg; returns their sum."""
    total = 0
    p = 0
    while p < len(legs):
        first = p
        naked = 0
        while p < len(legs) and (p == first or group[legs[p]] == group[legs[first]]):
            by_leg[MINIMUM, p] = -lots[p] * extra[legs[p], cells.EXTRA_SHORT_MINIMUM]
            naked += by_leg[MINIMUM, p]
            p += 1
        if group[legs[first]] < 0 or naked <= 0:
            for q in range(first, p):
                by_leg[MINIMUM, q] = 0
        else:
            total += naked
    return total


@inner
def _flat(values, extra, block, legs, lots, params, head, held, by_leg):
    """What no factor scales. CONCENTRATION is gross notional, to be shared by where a charge is due."""
    p = 0
    while p < len(legs):
        first = p
        up = down = 0
        while p < len(legs) and block[legs[p]] == block[legs[first]]:
            row = values[legs[p]]
            up += lots[p] * (row[cells.BASIS] - row[cells.MARK])
            down += lots[p] * (row[cells.BASIS + 1] - row[cells.MARK])
            p += 1
        at = cells.BASIS if up <= down else cells.BASIS + 1
        for q in range(first, p):
            row = values[legs[q]]
            by_leg[BASIS, q] = -lots[q] * (row[at] - row[cells.MARK]) if min(up, down) < 0 else 0
    for i in range(head[COUNT]):
        gross = 0
        for p in range(held[i, FIRST], held[i, LAST]):
            size = abs(lots[p])
            row = extra[legs[p]]
            by_leg[CONCENTRATION, p] = size * row[cells.EXTRA_NOTIONAL]
            gross += by_leg[CONCENTRATION, p]
            by_leg[HAIRCUT, p] = size * (row[cells.EXTRA_LONG] if lots[p] > 0 else row[cells.EXTRA_SHORT])
            by_leg[DUST, p] = size * row[cells.EXTRA_DUST]
        above = gross - params[held[i, UNDERLYING], cells.PARAM_CONCENTRATION_FROM] * 1000
        rate = params[held[i, UNDERLYING], cells.PARAM_CONCENTRATION_RATE]
        held[i, CHARGE] = mul_ppm_ceil(above, rate) if above > 0 else 0
        if held[i, CHARGE] == 0:
            for p in range(held[i, FIRST], held[i, LAST]):
                by_leg[CONCENTRATION, p] = 0


@entry
def take_apart(
    values, extra, block, group, underlying, params, scalars, legs, lots, cash_nano, head, held, losses, by_leg
):  # fmt: skip
    """Fills head (int64[HEAD]), held (int64[>= U held, HELD]), losses (int64[SCENARIOS]) and by_leg (int64[ROWS, n]).

    The first seven are of `Tables`; legs: int32[n], rising; lots: int64[n]. Where a dip is shared (held[i, DIPS] > 0),
    DIP and APART hold the legs' parts of the gap and of the corners' difference, and nothing is scaled yet.
    """
    _curves(group, extra, legs, lots, by_leg)
    count = 0
    for p in range(len(legs)):
        if p == 0 or underlying[legs[p]] != underlying[legs[p - 1]]:
            held[count, FIRST] = p
            held[count, UNDERLYING] = underlying[legs[p]]
            count += 1
        held[count - 1, LAST] = p + 1
    for i in range(count):
        _sums(values, group, legs, lots, by_leg, held[i])
        _choose(held[i])
    running = cash_nano
    for p in range(len(legs)):
        before = running // 1000
        running += by_leg[MARK, p]
        by_leg[EQUITY, p] = running // 1000 - before
    offset = scalars[cells.SCALAR_OFFSET]
    _losses(held, count, params, offset, losses)
    head[COUNT], head[CASH], head[WORST], head[LOSS] = count, cash_nano // 1000, -1, 0
    for s in range(SCENARIOS):
        if losses[s] > head[LOSS]:
            head[WORST], head[LOSS] = s, losses[s]
    head[LEAST] = _minimum(group, extra, legs, lots, by_leg)
    _risk_parts(values, legs, lots, params, offset, head, held, by_leg)
    _flat(values, extra, block, legs, lots, params, head, held, by_leg)


@entry
def round_up(parts, factors, out):
    """out[s, c, k] (micro, int64[2, C, n]) = steps of ⌈running total of parts · factors[s, c] / 10⁹⌉, parts and
    factors (ppm) in int64. Whole nano and their millionths are added up apart, so that nothing leaves int64."""
    for s in range(out.shape[0]):
        whole = millionths = before = 0
        for c in range(parts.shape[0]):
            for k in range(parts.shape[1]):
                rest = parts[c, k] % PPM * factors[s, c]
                whole += parts[c, k] // PPM * factors[s, c] + rest // PPM
                millionths += rest % PPM
                after = -(-(whole - -millionths // PPM) // 1000)
                out[s, c, k] = after - before
                before = after
