"""Rows when they are asked for: at the present prices for evaluations, at nodes for certificates.

Holds what pricing needs and the step does not: the legs' terms, the model's shocks, and for which
steps of the grids the gaps of each row were made.
"""

from typing import Any

import numpy as np

from seawall.core.units import PPM
from seawall.engine import nodes as node_rows
from seawall.engine.state import (
    BUILT,
    DRIFTS,
    GAP_UNTIL,
    IN_ALL,
    LADDER,
    LADDER_STEP,
    NEAR,
    NEAR_UNTIL,
    READY,
    REBUILD,
    RING,
    SINCE_NODES,
    SLOPES,
    SPAN,
    TIMES,
    Board,
    Filler,
    Nodes,
)
from seawall.kernels import cells, rows, tiers
from seawall.kernels.board import FILL_CELLS, FOREVER, NEVER, fill_cells, price_cell, price_cells
from seawall.kernels.bound import Bound
from seawall.kernels.merge import merge
from seawall.kernels.tables import CELLS, TIERS, Tables
from seawall.kernels.tier_rows import FILL_TIERS, fill_tiers
from seawall.margin.model import leg_arrays

LOOSE_VOL, LOOSE_BASIS = 0.12, 0.008
MOVE_MARGIN = 1.1  # relative moves add up to a little more than their sum
TIER_STEP = 0.005  # log-price step that stands for anchors in models without an anchor grid


class Pricer:
    """Board and nodes of one model on one market, filled lazily."""

    def __init__(self, market: Any, model: Any, tables: Tables, index: np.ndarray) -> None:
        self.model = model
        legs = leg_arrays(market.legs)
        self.legs = legs._replace(**{name: np.array(getattr(legs, name)) for name in legs._fields})
        count, underlyings = len(legs.kind), len(market.underlyings)
        if model.kind == CELLS:
            self.shocks = model.shocks(market.underlyings)
            self.constants = model.constants(market.rate)
            self.steps = model.anchor_steps(market.underlyings)
            self.columns = cells.COLUMNS
        else:
            self.shocks = np.zeros((underlyings, 4, cells.COLUMNS))
            self.shocks[:, rows.SHOCK_MULTIPLE] = 1.0
            self.constants = np.zeros(9)
            self.constants[rows.MODEL_RATE] = market.rate
            self.steps = np.full(underlyings, TIER_STEP)
            self.columns = 1
        self.filler = Filler(Bound.block(), np.zeros(count, np.int32))
        self.cells = price_cells(index, self.steps)  # of the anchor grid, that the present prices lie in
        self.still = np.zeros(2)  # what rows of the present hold for
        current = np.zeros(underlyings, np.int64)
        self.board = Board(tables, index, current, np.full(count, -1, np.int64), np.full((count, 3), NEVER))
        self._make_room(64)
        ladder = np.zeros((underlyings, LADDER, LADDER_STEP + 1))
        ladder[:, :, LADDER_STEP] = node_rows.ladder_steps(self.steps)
        self.nodes = Nodes(
            values=np.zeros((NEAR + 2, RING, count, tables.values.shape[1]), np.int64),
            extra=np.tile(tables.extra, (NEAR + 2, RING, 1, 1)),
            stray=np.zeros((LADDER, RING, count)),
            key=np.full((underlyings, NEAR + 2, RING + 1), NEVER),
            made_ns=np.full((underlyings, LADDER, RING), NEVER),
            ladder=ladder,
            times=np.full((underlyings, TIMES), NEVER),
            slopes=np.zeros((count, SLOPES)),
            valid_ns=np.zeros(count, np.int64),
        )
        # of nodes closer than anchors: the first and last anchor cell that their gaps are made for
        self.gap_cells = np.zeros((underlyings, node_rows.ANCHOR_WIDTH, RING, 2), np.int64)
        self.near_gaps: list[dict[int, np.ndarray]] = [{} for _ in range(underlyings)]  # by anchor cell
        self.spare = tables._replace(values=tables.values.copy(), extra=tables.extra.copy())
        self.ceiling = np.zeros(underlyings)  # highest node that the slopes are good for
        self.drift = np.zeros((underlyings, DRIFTS))
        self.leg_first = np.searchsorted(self.legs.underlying, np.arange(underlyings + 1))
        self.loose = np.zeros(2)  # relative moves of volatility and basis that nodes hold for
        self.node_fills = self.row_fills = 0
        self.scales_with_interest = model.kind == TIERS and bool(
            tables.scenario_params[:, tiers.TIER_INTEREST_TO].any()
        )

    def moved(self, underlying: int, version: int) -> None:
        """The price of an underlying is another."""
        self.board.current[underlying] = version
        self.nodes.times[underlying, READY] = 0
        self.cells[underlying] = price_cell(self.board.index[underlying], self.steps[underlying])

    def later(self, version: int) -> None:
        """Time has passed."""
        self.board.current[:] = version

    def stale(self, legs: np.ndarray) -> np.ndarray:
        """Those of the legs whose rows are not of the present."""
        return legs[self.board.fresh[legs] < self.board.current[self.legs.underlying[legs]]]

    def row(
        self, book: Any, account: int, changes: list[tuple[int, int]], now_ns: int, version: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """(legs, lots) of an account with lots added by leg, at present rows of all of these; views, until the next call.
        Their sums must fit int64."""
        length, more = int(book.positions.length[account]), len(changes)
        if length + more > len(self.row_legs):
            self._make_room(2 * (length + more))
        for k, change in enumerate(changes):
            self.more_legs[k], self.more_lots[k] = change
        legs, lots = book.positions.columns
        count, behind = merge(
            legs, lots, int(book.positions.start[account]), length, self.more_legs, self.more_lots, more, self.board.fresh,
            self.board.current, self.legs.underlying, self.row_legs, self.row_lots, self.row_stale,
        )  # fmt: skip
        if behind:
            self.fill_rows(self.row_stale[:behind], now_ns, version)
        return self.row_legs[:count], self.row_lots[:count]

    def _make_room(self, rows: int) -> None:
        """Buffers of `row`."""
        self.row_legs, self.row_stale, self.more_legs = np.zeros((3, rows), np.int32)
        self.row_lots, self.more_lots = np.zeros((2, rows), np.int64)

    def forget_gaps(self) -> None:
        """Terms of legs have changed: gaps no longer hold."""
        self.board.gaps[:] = NEVER
        self.nodes.times[:, NEAR_UNTIL] = NEVER

    def loosen(self, moving: np.ndarray) -> None:
        """Volatility, basis (bool[2]) have begun to move: nodes are made to hold while they do."""
        self.loose[:] = np.where(moving, (LOOSE_VOL, LOOSE_BASIS), 0.0)
        for underlying in range(len(self.drift)):
            self.forget_nodes(underlying)

    def drifted(self, underlying: int, k: int, move: float) -> None:
        """Volatility (k = 0) or basis has moved by up to `move`, relative; too far, and nodes go."""
        drift = self.drift[underlying]
        drift[SINCE_NODES + k] += MOVE_MARGIN * move
        drift[IN_ALL + k] += MOVE_MARGIN * move
        if move > 0.0 and drift[SINCE_NODES + k] > 0.5 * self.loose[k]:
            self.forget_nodes(underlying)

    def forget_nodes(self, underlying: int) -> None:
        """Nodes of an underlying are too old."""
        self.nodes.times[underlying, REBUILD] = NEVER
        self.drift[underlying, SINCE_NODES:IN_ALL] = 0.0

    def fill_rows(self, which: np.ndarray, now_ns: int, version: int) -> None:
        """Rows of the legs `which` (int32) at the present prices."""
        self.row_fills += len(which)
        self.board.fresh[which] = version
        self._fill(
            which, self.board.index, self.cells, 1, self.steps, 0, self.still, now_ns, self.board.tables,
            self.board.gaps,
        )  # fmt: skip

    def bind_filler(self) -> None:
        """Gives the step the address of what fills rows: only now, as the step may be compiled before that."""
        board, tables, which = self.board, self.board.tables, self.filler.which
        if self.model.kind == CELLS:
            FILL_CELLS.bind(self.filler.bound, (
                self.legs, which, board.index, self.cells, 1, self.steps, 0, self.still, 0, self.shocks, self.constants,
                int(tables.scalars[cells.SCALAR_SHORT_MINIMUM]), board.gaps, tables.values, tables.extra,
            ))  # fmt: skip
            return
        rate = float(self.constants[rows.MODEL_RATE])
        FILL_TIERS.bind(self.filler.bound, (self.legs, which, board.index, 0, rate, tables))

    def fill_nodes(self, underlying: int, now_ns: int) -> None:
        """The nodes around the present price of an underlying that are not there."""
        nodes = self.nodes
        which = np.arange(self.leg_first[underlying], self.leg_first[underlying + 1], dtype=np.int32)
        price, steps = self.board.index[underlying], nodes.ladder[underlying, :, LADDER_STEP]
        low = [int(node_rows.node_below(price, step)) for step in steps.tolist()]
        highest = node_rows.node_price(low[-1] + SPAN, steps[-1])
        if now_ns >= nodes.times[underlying, REBUILD] or highest > self.ceiling[underlying]:
            nodes.key[underlying] = NEVER
            nodes.times[underlying, BUILT] = now_ns
            self.ceiling[underlying] = node_rows.CEILING * highest
            ceiling = self.ceiling[underlying] * self.shocks[underlying, rows.SHOCK_MULTIPLE].max()
            shortest = node_rows.fill_slopes(
                self.legs, self.constants, which, ceiling, now_ns, nodes.slopes, nodes.valid_ns
            )
            lasts = max(node_rows.YOUNGEST_NS, min(node_rows.OLDEST_NS, shortest // 8))
            nodes.times[underlying, REBUILD] = now_ns + lasts
        nodes.times[underlying, READY] = 0
        for width in range(LADDER):
            for node in (low[width], low[width] + SPAN):
                ring = node & (RING - 1)
                if nodes.key[underlying, width, ring] == node:
                    continue
                self._fill_node(which, underlying, width, ring, node, now_ns)
                nodes.key[underlying, width, ring] = node
                nodes.made_ns[underlying, width, ring] = now_ns
        if self.model.kind == CELLS:
            self._fill_near(underlying, which, low[0], now_ns)

    def _fill_near(self, underlying: int, which: np.ndarray, low: int, now_ns: int) -> None:
        """The nodes of the narrowest stage again, with the gaps of evaluations in the anchor cells next to
        them, inside the stage: it lies in no others."""
        nodes, legs = self.nodes, slice(which[0], which[-1] + 1)
        if now_ns >= nodes.times[underlying, NEAR_UNTIL]:
            nodes.key[underlying, NEAR:] = NEVER
            nodes.times[underlying, NEAR_UNTIL] = FOREVER
            self.near_gaps[underlying].clear()
        for side, node in enumerate((low, low + SPAN)):
            ring, at = node & (RING - 1), NEAR + side
            if nodes.key[underlying, at, ring] == node:
                continue
            nodes.values[at, ring, legs] = nodes.values[0, ring, legs]
            nodes.extra[at, ring, legs] = nodes.extra[0, ring, legs]
            cell = (node - side) // node_rows.LADDER_GROWTH**node_rows.ANCHOR_WIDTH
            nodes.values[at, ring, legs, cells.ROW_GAP :] = self._cell_gaps(underlying, which, cell, now_ns)
            nodes.key[underlying, at, ring] = node

    def _cell_gaps(self, underlying: int, which: np.ndarray, cell: int, now_ns: int) -> np.ndarray:
        """int64[n, 3·CELLS]: gaps of evaluations in an anchor cell, kept until one of them ends."""
        known = self.near_gaps[underlying]
        if cell not in known:
            gaps = np.full((len(self.legs.kind), 3), NEVER)
            self._fill(
                which, self.board.index, np.full(len(self.steps), cell), 1, self.steps, 0, self.still, now_ns,
                self.spare, gaps,
            )  # fmt: skip
            times = self.nodes.times[underlying]
            times[NEAR_UNTIL] = min(times[NEAR_UNTIL], gaps[which, GAP_UNTIL].min())
            if len(known) == RING:
                known.pop(next(iter(known)))
            known[cell] = self.spare.values[which, cells.ROW_GAP :]
        return known[cell]

    def _fill_node(self, which: np.ndarray, underlying: int, width: int, ring: int, node: int, now_ns: int) -> None:
        self.node_fills += 1
        nodes, step = self.nodes, self.nodes.ladder[underlying, width, LADDER_STEP]
        here = self.board.tables._replace(values=nodes.values[width, ring], extra=nodes.extra[width, ring])
        price = np.full(len(self.steps), node_rows.node_price(node, step))
        gaps = np.full((len(self.legs.kind), 3), NEVER)
        cell, span, steps = node, SPAN, np.full(len(self.steps), step)
        if width < node_rows.ANCHOR_WIDTH:
            # an evaluation's gaps are made for a whole anchor cell, so these must be too
            finer = node_rows.LADDER_GROWTH ** (node_rows.ANCHOR_WIDTH - width)
            cell, last = node // finer, (node + SPAN - 1) // finer
            span, steps = last - cell + 1, self.steps
            if self._took_gaps(underlying, which, width, ring, cell, last):
                span = 0
        self._fill(which, price, np.full(len(steps), cell), span, steps, 1, self.loose, now_ns, here, gaps)
        node_rows.fill_strays(
            self.legs, self.constants, self.shocks, which, node, step, now_ns, *self.loose, self.columns,
            nodes.stray[width, ring],
        )  # fmt: skip
        if self.model.kind == TIERS and self.scales_with_interest:
            highest = node_rows.node_price(node + SPAN, step)
            nodes.stray[width, ring, which] += self._kinks(which, here, highest, now_ns)

    def _took_gaps(self, underlying: int, which: np.ndarray, width: int, ring: int, cell: int, last: int) -> bool:
        """Copies gaps from a node that has those of the same anchor cells, if there is one."""
        mine, held = self.gap_cells[underlying], self.nodes.key[underlying, : node_rows.ANCHOR_WIDTH, :RING]
        same = np.argwhere((mine == (cell, last)).all(axis=2) & (held != NEVER))
        mine[width, ring] = cell, last
        if len(same) == 0 or self.model.kind != CELLS:
            return False
        legs = slice(which[0], which[-1] + 1)
        values = self.nodes.values
        values[width, ring, legs, cells.ROW_GAP :] = values[same[0, 0], same[0, 1], legs, cells.ROW_GAP :]
        return True

    def _kinks(self, which: np.ndarray, low: Tables, price: float, now_ns: int) -> np.ndarray:
        """float64[n]: how far initial margin may rise above its chord up to a price, nano per lot.

        It is convex but where open interest takes the rate to 100 %; margin rises with the price,
        so on an interval with that price in it, it is at most its rise over it above the chord.
        """
        high = low._replace(values=low.values.copy(), extra=low.extra.copy())
        fill_tiers(self.legs, which, np.full(len(self.drift), price), now_ns, self.constants[rows.MODEL_RATE], high)
        margins, capped = [], []
        for tables in (low, high):
            rate = tables.extra[which, tiers.EXTRA_INITIAL_RATE].astype(np.float64)
            margins.append(tables.extra[which, tiers.EXTRA_NOTIONAL] * rate / PPM)
            capped.append(rate >= PPM)
        return np.where(capped[1] & ~capped[0], margins[1] - margins[0] + 1.0, 0.0)

    def _fill(
        self,
        which: np.ndarray,
        price: np.ndarray,
        cell: np.ndarray,
        span: int,
        steps: np.ndarray,
        life_back: int,
        loose: np.ndarray,
        now_ns: int,
        tables: Tables,
        gaps: np.ndarray,
    ) -> None:
        if self.model.kind == CELLS:
            fill_cells(
                self.legs, which, price, cell, span, steps, life_back, loose, now_ns, self.shocks, self.constants,
                int(tables.scalars[cells.SCALAR_SHORT_MINIMUM]), gaps, tables.values, tables.extra,
            )  # fmt: skip
        else:
            fill_tiers(self.legs, which, price, now_ns, self.constants[rows.MODEL_RATE], tables)
