"""Auctions alone: every failed account is offered whole, at a price that falls until keepers take it, as portfolio auctions of
lending and option venues do.

The price of everything an account holds begins at the marks and falls evenly; each second every keeper whose own
price it has reached takes the share of the account that its capital bears, all legs alike. What nobody has taken when the price is at
its floor is sold at market, at once. The fund bears what is lost, then winners by rank, as with `Dump`. It knows no depth, no
pacing and no partial close; an account that recovers leaves its auction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from seawall.core.units import PPM

if TYPE_CHECKING:
    from seawall.stress.cascade.loop import Run

__all__ = ["Dutch"]


class Dutch:
    """State: since when each failed account is offered. floor_ppm: discount at the end; fall_s: seconds until then."""

    name = "dutch"
    backstop = False
    floor_ppm = 30_000
    fall_s = 20.0

    def __init__(self) -> None:
        self._since_s: dict[int, float] = {}

    def step(self, run: Run, failed: list[int]) -> None:
        """Opens, serves and ends auctions, the weakest accounts first."""
        world = run.world
        now = set(failed)
        self._since_s = {account: since for account, since in self._since_s.items() if account in now}
        for account in sorted(failed, key=lambda a: int(world.equity_micro[a])):
            asked = run.now_s - self._since_s.setdefault(account, run.now_s)
            off_ppm = int(self.floor_ppm * min(asked / self.fall_s, 1.0))
            self._offer(run, account, off_ppm)
            if asked >= self.fall_s and world.open_rows(account):
                owed = -world.equity_nano(account)
                if owed > 0 and not run.fund_covers(owed):
                    run.deleverage_ranked(account)
                run.close(account, {row: int(world.lots[row]) for row in world.open_rows(account)})

    def _offer(self, run: Run, account: int, off_ppm: int) -> None:
        """Shares of the account to every keeper that the price has reached, the keenest first."""
        world, keepers = run.world, run.keepers
        before, traded = world.equity_nano(account), 0
        for k, party in enumerate(keepers.rows):
            rows = world.open_rows(account)
            gross = sum(abs(int(world.lots[row])) * int(world.mark_nano[world.leg[row]]) for row in rows)
            budget = int(keepers.room_nano(k) * keepers.parameters.rate_ppm // PPM * run.path.step_s)
            if not gross or budget <= 0 or not self._reached(run, rows, gross, off_ppm, float(keepers.edge[k])):
                continue
            for row in rows:
                traded += self._take(run, row, party, min(budget, gross), gross, off_ppm)
        if traded:
            run.tally.closed_at(account, run.now_s)
            run.tally.auctioned_nano += traded
            run.finish(account, before, traded)

    @staticmethod
    def _reached(run: Run, rows: list[int], gross_nano: int, off_ppm: int, edge: float) -> bool:
        """Whether the account at this discount from the marks is cheaper than the market by a keeper's edge."""
        world = run.world
        gain = 0.0
        for row in rows:
            leg, lots = int(world.leg[row]), int(world.lots[row])
            traded = float(world.depth.mid[world.underlying[leg]] * world.lot_units[leg]) * 1e9
            gain += lots * (traded - int(world.mark_nano[leg]))
        return gain + gross_nano * off_ppm / PPM >= edge * gross_nano

    @staticmethod
    def _take(run: Run, row: int, party: int, part_nano: int, gross_nano: int, off_ppm: int) -> int:
        """A keeper's share of one leg, floor, at the auction's price; its notional. Rounded against the account."""
        world = run.world
        leg, held = int(world.leg[row]), int(world.lots[row])
        mark = int(world.mark_nano[leg])
        # Lots that are too few to be shared go whole.
        lots = abs(held) if part_nano >= gross_nano else abs(held) * part_nano // gross_nano
        if not lots:
            return 0
        side = 1 if held > 0 else -1
        price = mark - side * -(-mark * off_ppm // PPM)
        world.trade(int(world.owner[row]), party, leg, -side * lots, -side * lots * price)
        return lots * mark
