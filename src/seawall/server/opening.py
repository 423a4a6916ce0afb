"""From a configuration to a service: the genesis of a new journal, and the accounts that it begins with.

The opening book is written like anything else: accounts, deposits, fills, in the journal, by the service itself. The other side of
the opening positions is held by the account `opening`, of the kind backstop, because a ledger's positions sum to zero.

A start that ends half-way through the book is gone on with by the next: a file beside the log says which book is being written
(`MARKER`), and the log how much of it is there, as these records are written by `WRITER`. Nothing else is taken before the
last of them is on the disk.
"""

from __future__ import annotations

import hashlib
import time
from decimal import Decimal
from pathlib import Path

import msgspec

from seawall.core.errors import ExpiredInstrument, InputError, UnreadableFile, show
from seawall.core.times import SECOND_NS
from seawall.core.units import NANO, format_decimal
from seawall.engine.genesis import Genesis
from seawall.journal import Limits, batches
from seawall.journal.files import HeadFile, Identity, sync_folder, write_durably
from seawall.ledger.amounts import Amounts
from seawall.ledger.book import Book
from seawall.ledger.chart import GENESIS
from seawall.ledger.funding import FundingRule
from seawall.market.market import Market
from seawall.server import requests as wire
from seawall.server.closing.table import closing_terms
from seawall.server.config import VenueConfig
from seawall.server.records import SCHEMA, decode
from seawall.server.service import Service, ServiceConfig

__all__ = ["COUNTERPARTY", "MARKER", "WRITER", "open_service", "opening_requests", "service_config"]

COUNTERPARTY = "opening"
WRITER = "opening"
MARKER = "opening.json"
AT_ONCE = 4_096  # requests that wait for the disk together


class _Marker(msgspec.Struct, frozen=True):
    """What is being written: so many requests, and SHA-256 over them."""

    requests: int
    sha256: str


async def open_service(config: VenueConfig) -> Service:
    """The service of a configuration: its journal folded, the opening book written if there is none or a part of it.

    Raises InputError for a market, model or book that cannot be (a new journal is then left empty of accounts), and
    for a book that is another one than an earlier start began to write.
    """
    folder = config.journal_folder
    new, marker = _is_new(folder), folder / MARKER
    requests = opening_requests(config, time.time_ns()) if new else None
    service = await Service.open(service_config(config, new))
    own = len(GENESIS) + len(service.clearing.genesis.parties())
    try:
        if marker.exists() and _written(folder) == _read_marker(marker).requests:
            _take_away(marker)  # all that was missing
        elif marker.exists() or len(service.clearing.ledger.state.names) == own:
            await _write_opening(service, requests or opening_requests(config, time.time_ns()), marker)
    except BaseException:
        await service.close()
        raise
    return service


async def _write_opening(service: Service, requests: list[wire.Request], path: Path) -> None:
    """Writes what of the opening book is not in the log yet. Every group is on the disk before the next."""
    if not requests:
        return
    marker = _Marker(len(requests), hashlib.sha256(msgspec.json.encode(requests)).hexdigest())
    if path.exists():
        if _read_marker(path) != marker:
            problem = "a book, or a market, that is not the one that an earlier start began to write"
            raise InputError(str(path), problem, "the files of then; or begin anew in another folder")
    else:
        write_durably(path, msgspec.json.encode(marker))
    done = _written(path.parent)
    for first in range(done, len(requests), AT_ONCE):
        for written in await service.write_all(requests[first : first + AT_ONCE], key_id=WRITER):
            if not written.sequence:
                reason = written.verdict.reason if written.verdict is not None else "refused"
                raise InputError("venue.book", reason, "a book whose accounts cover what is moved")
    _take_away(path)


def _take_away(marker: Path) -> None:
    marker.unlink()
    sync_folder(marker.parent)


def _is_new(folder: Path) -> bool:
    """Whether a log has no record that anybody was told of: it may need a genesis, and uses its own if it has one."""
    if not (folder / "journal.head").exists():
        return True
    head, _ = HeadFile.read(folder, Identity.read(folder))
    return head is not None and head.seq == 0


def _read_marker(path: Path) -> _Marker:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Marker)
    except msgspec.DecodeError as error:
        raise UnreadableFile(str(path), str(error), "what an earlier start wrote") from None


def _written(folder: Path) -> int:
    """How many requests of the opening book the log holds: they come first, with nothing but clocks between them."""
    count = 0
    for batch in batches(folder, 1, SCHEMA):
        for record in batch.records:
            count += decode(record).key_id == WRITER
    return count


def service_config(config: VenueConfig, new: bool) -> ServiceConfig:
    """What the service is told. new: whether a journal is to be begun, for which the market file is read."""
    journal = config.journal
    return ServiceConfig(
        folder=config.journal_folder,
        genesis=_genesis(config) if new else None,
        backend=journal.backend,
        capacity=config.venue.capacity,
        limits=Limits(pending_bytes=journal.pending_mb << 20, stall_s=journal.stall_s),
        board=config.board_path,
        snapshot_every_s=journal.snapshot_every_s,
        snapshot_every_records=journal.snapshot_every_records,
        snapshot_on_close=journal.snapshot_on_close,
        clock_every_s=config.venue.clock_every_s,
        liquidator=config.liquidator,
    )


def opening_requests(config: VenueConfig, now_ns: int) -> list[wire.Request]:
    """What writes the opening book: accounts, then money, then positions, at their entry or else the mark. Options enter at a
    nano a lot: what they cost is no longer in the cash of a book.

    Raises InputError for a book that the market cannot place, and for a debt, which no deposit makes.
    """
    if not config.venue.book:
        return []
    market = Market.load(config.path(config.venue.market))
    path = config.path(config.venue.book)
    book = Book.load(path, market)
    opens: list[wire.Request] = [wire.OpenAccount(account=COUNTERPARTY, kind="backstop")]
    names = dict.fromkeys(name.partition(":")[0] for name in book.names)
    opens += [wire.OpenAccount(account=name) for name in names]
    pools = [name.partition(":") for name in book.names if ":" in name]
    opens += [wire.OpenBucket(owner=owner, bucket=bucket) for owner, _, bucket in pools]
    money: list[wire.Request] = []
    fills: list[wire.Request] = []
    for row, (account, instrument) in enumerate(zip(book.account.tolist(), book.instrument.tolist(), strict=True)):
        name, symbol = str(book.names[account]), book.instruments[instrument]
        place = book.row_place(row)
        quantity = _decimal(book.quantity, row)
        if quantity == 0:
            continue
        if symbol == market.settlement or market.instruments[symbol].kind == "spot":
            money += _deposit(name, symbol, quantity, place)
            continue
        if market.instruments[symbol].expiry_ns and market.instruments[symbol].expiry_ns <= now_ns:
            raise ExpiredInstrument(place, show(symbol), "a contract that has not expired by now")
        entry = _decimal(book.entry, row) if book.entry is not None and book.entry.given[row] else None
        price = _price(market, symbol, entry)
        fills.append(
            wire.Fill(maker=COUNTERPARTY, taker=name, instrument=symbol, quantity=format_decimal(quantity), price=price)
        )
    return opens + money + fills


def _decimal(amounts: Amounts, row: int) -> Decimal:
    return amounts.odd.get(row) or Decimal(int(amounts.nano[row])) / NANO


def _deposit(name: str, asset: str, quantity: Decimal, place: str) -> list[wire.Request]:
    """Money into an account; into a pool through its owner."""
    if quantity < 0:
        raise InputError(place, format_decimal(quantity), "a balance that is not negative")
    amount = format_decimal(quantity)
    owner, pool, _ = name.partition(":")
    found: list[wire.Request] = [wire.Deposit(account=owner, amount=amount, asset=asset)]
    if pool:
        found.append(wire.Transfer(source=owner, target=name, amount=amount, asset=asset))
    return found


def _price(market: Market, symbol: str, entry: Decimal | None) -> str:
    """The price of an opening fill, whole nano per lot."""
    instrument = market.instruments[symbol]
    if instrument.kind == "option":
        nano = 1
    elif entry is not None:
        nano = int((entry * instrument.lot * NANO).to_integral_value())
    else:
        nano = round(market.mark(symbol) * float(instrument.lot) * NANO)
    return format_decimal(Decimal(max(nano, 1)) / NANO / instrument.lot)


def _genesis(config: VenueConfig) -> Genesis:
    venue = config.venue
    market = Market.load(config.path(venue.market))
    return Genesis(
        at_ns=market.as_of_ns,
        market=market.to_document(),
        model=venue.model,
        parameters=venue.parameters,
        decimals=venue.decimals,
        borrowable=tuple(venue.borrowable),
        funding={name: FundingRule(**msgspec.structs.asdict(rule)) for name, rule in venue.funding.items()},
        hysteresis_ppm=venue.hysteresis_ppm,
        keys_ns=venue.idempotency_s * SECOND_NS,
        closing=None if config.closing is None else closing_terms(config.closing),
    )
