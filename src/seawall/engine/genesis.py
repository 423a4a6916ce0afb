"""What a venue begins with: its market, its model, its assets, as one record that opens the log.

Everything that the clearing is a function of comes from this record and the events after it, so that a log can be
replayed without a configuration file.
"""

from __future__ import annotations

from typing import Any

import msgspec

from seawall.core.errors import InputError, LimitExceeded
from seawall.core.instruments import Instrument
from seawall.core.units import format_decimal
from seawall.ledger import events as ledger_events
from seawall.ledger.funding import FundingRule
from seawall.ledger.ledger import Ledger
from seawall.liquidation.closing_desk import ClosingDesk
from seawall.liquidation.closing_terms import ClosingTerms
from seawall.margin import models
from seawall.margin.model import Model
from seawall.market.market import Market

__all__ = ["Genesis"]

COIN_DECIMALS = 8
DAY_NS = 86_400 * 10**9
CLOSING_DECIMALS = 6


class Genesis(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """market: the content of market.json, at at_ns; model and the parameters that differ from its own.

    decimals: of the settlement currency in the ledger. borrowable: assets of spot trades that may be owed.
    funding: rules by perpetual. keys_ns: how long an idempotency key is remembered. closing: how failed accounts are
    closed; None: not here.
    """

    at_ns: int
    market: dict[str, Any]
    model: str
    parameters: dict[str, Any] = {}
    decimals: int = 6
    borrowable: tuple[str, ...] = ()
    funding: dict[str, FundingRule] = {}
    hysteresis_ppm: int = 20_000
    keys_ns: int = DAY_NS
    closing: ClosingTerms | None = None

    def open_market(self) -> Market:
        """The market of the first moment."""
        return Market.from_document(self.market, "genesis market")

    def open_model(self) -> Model:
        """The model with the parameters of the first moment."""
        return models.get(self.model, **self.parameters)

    def open_ledger(self, market: Market) -> Ledger:
        """A ledger with the market's assets and instruments listed; inverse contracts are not: it has none yet."""
        ledger = Ledger()
        known = {market.settlement, *(name for name, one in market.instruments.items() if one.kind == "spot")}
        for name in self.borrowable:
            if name not in known:
                raise InputError("borrowable", repr(name), "an asset of the market: its settlement or a spot instrument")
        for name in self.funding:
            if name not in market.instruments:
                raise InputError(f"funding of {name}", repr(name), "an instrument of the market")
        self._list_asset(ledger, market.settlement, self.decimals)
        for symbol, instrument in market.instruments.items():
            if instrument.kind == "spot":
                self._list_asset(ledger, symbol, coin_decimals(instrument))
        for symbol, instrument in market.instruments.items():
            if not instrument.inverse:
                ledger.apply(self._listing(market.settlement, symbol, instrument))
        for name, kind in self.parties().values():
            ledger.apply(ledger_events.Open(at_ns=self.at_ns, account=name, kind=kind))
        return ledger

    def open_desk(self, market: Market) -> ClosingDesk | None:
        """The closing desk of the first moment, where the venue closes accounts itself."""
        if self.closing is None:
            return None
        if self.decimals != CLOSING_DECIMALS:
            found = f"a settlement currency of {self.decimals} decimals"
            raise InputError("closing", found, f"{CLOSING_DECIMALS}: the desk counts in micro")
        return self.closing.desk(market.settlement, list(self.market["underlyings"]))

    def parties(self) -> dict[str, tuple[str, Any]]:
        """Party of the desk → the venue's own account for it and its kind; none where the venue closes nothing."""
        return {} if self.closing is None else self.closing.own_accounts(list(self.market["underlyings"]))

    def _list_asset(self, ledger: Ledger, asset: str, decimals: int) -> None:
        listing = ledger_events.ListAsset(
            at_ns=self.at_ns, asset=asset, decimals=decimals, borrowable=asset in self.borrowable
        )
        ledger.apply(listing)

    def _listing(self, settlement: str, symbol: str, instrument: Instrument) -> ledger_events.ListInstrument:
        kind: Any = "future" if instrument.kind == "basket" else instrument.kind  # entered at a price, without funding
        spot = instrument.kind == "spot"
        return ledger_events.ListInstrument(
            at_ns=self.at_ns,
            instrument=symbol,
            kind=kind,
            settlement=settlement,
            base=symbol if spot else "",
            lot_units=int(instrument.lot * 10 ** coin_decimals(instrument)) if spot else 0,
            funding=self.funding.get(symbol, FundingRule()),
        )


def coin_decimals(instrument: Instrument) -> int:
    """Decimals of a spot instrument's asset in the ledger: eight, or nine where a lot needs them."""
    for decimals in (COIN_DECIMALS, COIN_DECIMALS + 1):
        if instrument.lot * 10**decimals % 1 == 0:
            return decimals
    raise LimitExceeded(f"lot of {instrument.symbol}", format_decimal(instrument.lot), "at most nine decimals")
