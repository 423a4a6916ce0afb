"""From a configuration to a service: the genesis of a new journal, and the accounts that it begins with.

The opening book is written like anything else: accounts, deposits, fills, in the journal, by the service itself. The other side of
the opening positions is held by the account `opening`, of the kind backstop, because a ledger's positions sum to zero.
"""

from __future__ import annotations

import time
from decimal import Decimal

import msgspec

from seawall.core.errors import ExpiredInstrument, InputError, show
from seawall.core.times import SECOND_NS
from seawall.core.units import NANO, format_decimal
from seawall.engine.genesis import Genesis
from seawall.journal import Limits
from seawall.ledger.amounts import Amounts
from seawall.ledger.book import Book
from seawall.ledger.funding import FundingRule
from seawall.market.market import Market
from seawall.server import requests as wire
from seawall.server.config import VenueConfig
from seawall.server.service import Service, ServiceConfig

__all__ = ["COUNTERPARTY", "open_service", "opening_requests", "service_config"]

COUNTERPARTY = "opening"
AT_ONCE = 4_096  # requests that wait for the disk together


async def open_service(config: VenueConfig) -> Service:
    """The service of a configuration: its journal folded, or a new journal with the opening book written.

    Raises InputError for a market, model or book that cannot be; a new journal is then left empty of accounts.
    """
    new = not (config.journal_folder / "journal.head").exists()
    requests = opening_requests(config, time.time_ns()) if new else []
    service = await Service.open(service_config(config, new))
    try:
        for first in range(0, len(requests), AT_ONCE):
            await service.write_all(requests[first : first + AT_ONCE])
    except BaseException:
        await service.close()
        raise
    return service


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
    )
