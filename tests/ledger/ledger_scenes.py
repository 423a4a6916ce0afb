"""A small venue for the tests of the ledger: two assets, one instrument of each kind, and short ways to say events."""

from __future__ import annotations

from seawall.ledger import events as ev
from seawall.ledger.funding import FundingRule
from seawall.ledger.ledger import Ledger

HOUR_NS = 3_600 * 10**9
USD = 10**6
RULE = FundingRule(samples=1, cap_ppm=100_000)
LISTINGS = (
    ev.ListAsset(at_ns=0, asset="USD", decimals=6),
    ev.ListAsset(at_ns=0, asset="BTC", decimals=8),
    ev.ListAsset(at_ns=0, asset="ETH", decimals=9, borrowable=True),
    ev.ListInstrument(at_ns=0, instrument="BTC-PERP", kind="perpetual", settlement="USD", funding=RULE),
    ev.ListInstrument(at_ns=0, instrument="ETH-PERP", kind="perpetual", settlement="USD", funding=RULE),
    ev.ListInstrument(at_ns=0, instrument="BTC-DEC", kind="future", settlement="USD"),
    ev.ListInstrument(at_ns=0, instrument="BTC-C", kind="option", settlement="USD"),
    ev.ListInstrument(at_ns=0, instrument="ETH-BTC-PERP", kind="perpetual", settlement="ETH", funding=RULE),
    ev.ListInstrument(at_ns=0, instrument="BTC", kind="spot", settlement="USD", base="BTC", lot_units=10_000),
    ev.ListInstrument(at_ns=0, instrument="ETH", kind="spot", settlement="USD", base="ETH", lot_units=10**6),
)
USERS = ("alice", "bob", "carol")


def venue(*users: str, cash: int = 0) -> Ledger:
    """A ledger with the listings and users above (or those named), each with `cash` micro USD."""
    ledger = Ledger()
    for event in LISTINGS:
        ledger.apply(event)
    for user in users or USERS:
        ledger.apply(ev.Open(at_ns=0, account=user))
        if cash:
            ledger.apply(ev.Deposit(at_ns=0, account=user, asset="USD", amount=cash))
    return ledger


def fill(ledger: Ledger, taker: str, maker: str, lots: int, price_nano: int, instrument: str = "BTC-PERP", **more):
    """A trade now."""
    return ledger.apply(
        ev.Trade(
            at_ns=ledger.at_ns,
            maker=maker,
            taker=taker,
            instrument=instrument,
            lots=lots,
            price_nano=price_nano,
            **more,
        )
    )


def fund(ledger: Ledger, rate_ppm: int, price_nano: int, instrument: str = "BTC-PERP") -> None:
    """The next hour's funding at a rate per 8 h, from one premium sample."""
    at_ns = (ledger.at_ns // HOUR_NS + 1) * HOUR_NS
    index, at = 10**12, 10**12 + rate_ppm * 10**6
    bid, ask = (at, at + 1) if rate_ppm >= 0 else (0, at)
    ledger.apply(
        ev.Premium(at_ns=at_ns, instrument=instrument, index_nano=index, impact_bid_nano=bid, impact_ask_nano=ask)
    )
    ledger.apply(ev.Funding(at_ns=at_ns, instrument=instrument, price_nano=price_nano))


def settle_all(ledger: Ledger) -> None:
    """Touches everybody who may hold something."""
    columns = ledger.columns()
    for name, kind, state in zip(columns["account"], columns["kind"], columns["state"]):
        if kind in (0, 1, 2) and state != 4:
            ledger.apply(ev.Settle(at_ns=ledger.at_ns, account=name))


def totals(ledger: Ledger) -> tuple[dict[str, int], dict[str, int]]:
    """(asset → balances + costs over all accounts, instrument → lots over all accounts), from the columns."""
    columns = ledger.columns()
    assets = [ev.decode(data).asset for data in columns["asset"]]
    listings = [ev.decode(data) for data in columns["instrument"]]
    money = dict.fromkeys(assets, 0)
    for asset, amount in zip(columns["balance_asset"].tolist(), columns["balance"].tolist()):
        money[assets[asset]] += amount
    lots = {listing.instrument: 0 for listing in listings}
    positions = (columns[name].tolist() for name in ("position_instrument", "lots", "cost"))
    for instrument, held, cost in zip(*positions):
        lots[listings[instrument].instrument] += held
        money[listings[instrument].settlement] += cost
    return money, lots
