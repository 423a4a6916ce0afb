"""A venue to rehearse a crash at, as files: its market, its opening book, its venue.toml.

The market is that of the modelled crash without its options: whoever carries closings out has prices of linear contracts.
It begins now, because a service gives events its own time; `pace` seconds of the crash pass in one of the wall clock, and the
windows of closing are made as much shorter.
"""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from seawall.feeds.tables import write_table
from seawall.market.market import Market
from seawall.stress.board import make_board
from seawall.stress.cascade.setting import Setting, path_of
from seawall.stress.crash import modelled_path
from seawall.stress.population import Population, populate

__all__ = ["MAKER", "PROVIDERS", "SETTING", "Rehearsal", "load", "prepare"]

FILE = "rehearsal.json"
SETTING = Setting(exogenous_ppm={}, default_exogenous_ppm=1_000_000)
"""The whole fall is taken as given: the population of a rehearsal is too small to make the rest of it."""
MAKER = "street"
PROVIDERS = ("provider-1", "provider-2")
LINEAR = ("perpetual", "future", "spot")

_TOML = """# A venue for a rehearsal: everything happens {pace:g} times as fast as in the modelled crash.
log = "warning"

[venue]
name = "rehearsal"
market = "market.json"
book = "book.parquet"
model = "{model}"
capacity = {capacity}
clock_every_s = 0.5

[journal]
folder = "journal"

[listen]
port = {port}

[dashboard]
enabled = {dashboard}
port = {dashboard_port}

[closing]
rescue_s = {rescue_s:g}
selling_s = {selling_s:g}

[closing.buckets.main]
opening_ppm = 980_000
knee_ppm = 850_000
knee_s = {knee_s:g}
end_s = {end_s:g}
tail_s = {end_s:g}
insolvent_s = {insolvent_s:g}
fee_ppm = 10_000
dust = 100
commitment_min = 1_000

[liquidator]
beat_ms = 20
look_s = 0.25
order_s = {order_s:g}
confirm_s = 5

{depth}"""


class Rehearsal(msgspec.Struct, frozen=True):
    """folder: of the files; url: of the service; dashboard: address of its dashboard, empty for none; steps: seconds of the crash; interest_units: by underlying, open interest.

    fund, committed: whole units that the venue and the providers put behind it, so little that the fall goes through all
    layers; pocket: what each keeper bids with.
    """

    folder: str
    url: str
    dashboard: str
    seed: int
    pace: float
    steps: int
    accounts: int
    interest_units: dict[str, float]
    fund: int
    committed: int
    pocket: int

    def save(self) -> None:
        """Beside the venue's files, where the other processes find it."""
        (Path(self.folder) / FILE).write_bytes(msgspec.json.encode(self))


def load(folder: Path) -> Rehearsal:
    """What `prepare` wrote."""
    return msgspec.json.decode((folder / FILE).read_bytes(), type=Rehearsal)


def prepare(folder: Path, accounts: int, seed: int, pace: float, model: str = "portfolio", dashboard: bool = True) -> Rehearsal:
    """Writes the files of a new venue into an empty folder. Raises InputError for a population that cannot be."""
    folder.mkdir(parents=True, exist_ok=True)
    ticks = modelled_path(seed)
    board = make_board(ticks.first_prices(), time.time_ns())
    document = dict(board.document)
    document["instruments"] = [row for row in document["instruments"] if row["kind"] in LINEAR]
    market = Market.from_document(document, place="rehearsal market")
    population = populate(market, accounts, seed)
    market.save(folder / "market.json")
    _write_book(population, market, folder / "book.parquet")
    legs, book = market.legs, population.accounts
    held = legs.role[book.leg] != 0
    units = np.maximum(book.lots, 0) * (legs.lot * legs.ratio)[book.leg] * held
    interest = np.bincount(legs.underlying[book.leg], units, len(legs.index))
    notional = int(float(interest @ legs.index))
    names = list(market.underlyings)
    rehearsal = Rehearsal(
        folder=str(folder),
        url=f"http://127.0.0.1:{_free_port()}",
        dashboard=f"http://127.0.0.1:{_free_port()}/" if dashboard else "",
        seed=seed,
        pace=pace,
        steps=len(path_of(ticks, tuple(names), SETTING, "modelled").prices),
        accounts=accounts,
        interest_units=dict(zip(names, interest.tolist(), strict=True)),
        fund=max(notional * 3 // 10_000, 1_000),
        committed=max(notional * 2 // 10_000, 2_000),
        pocket=max(notional // 100, 10_000),
    )
    (folder / "venue.toml").write_text(_toml(rehearsal, market, model), "utf-8")
    rehearsal.save()
    return rehearsal


def _write_book(population: Population, market: Market, path: Path) -> None:
    """The opening book without those who have borrowed against coins: nobody deposits a debt."""
    rows = population.rows(market)
    debtors = rows.filter((pl.col("instrument") == market.settlement) & pl.col("quantity").str.starts_with("-"))["account"]
    write_table(rows.filter(~pl.col("account").is_in(debtors.implode())), path)


def _toml(it: Rehearsal, market: Market, model: str) -> str:
    """venue.toml; what markets are taken to absorb is what the depth model has in calm times, halved."""
    quick = 1.0 / it.pace
    share = SETTING.depth
    lines = []
    for name, units in it.interest_units.items():
        worth = units * float(market.index[name])
        part = share.share_ppm.get(name, share.default_share_ppm) / 2e6
        points = [max(int(worth * part * percent), percent) for percent in (1, 2, 5, 10)]
        lines.append(f"[liquidator.depth.{name}]\nmoves_ppm = [10_000, 20_000, 50_000, 100_000]\nnotional = {json.dumps(points)}\n")
    return _TOML.format(
        pace=it.pace,
        model=model,
        capacity=it.accounts + 1_000,
        port=it.url.rpartition(":")[2],
        dashboard="true" if it.dashboard else "false",
        dashboard_port=it.dashboard.strip("/").rpartition(":")[2] or 0,
        rescue_s=max(5 * quick, 0.05),
        selling_s=max(60 * quick, 0.5),
        knee_s=max(60 * quick, 0.5),
        end_s=max(600 * quick, 5.0),
        insolvent_s=max(300 * quick, 3.0),
        order_s=max(30 * quick, 0.3),
        depth="\n".join(lines),
    )


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
