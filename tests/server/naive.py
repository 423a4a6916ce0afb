"""A venue's money in plain Python: what requests mean, without any of the ledger's machinery.

Everybody is paid at once and exactly, in fractions; a trade moves cash and lots and knows no cost, no realised gain,
no touch, no clearing account. The ledger may differ by its named roundings alone: an account gets the floor of each
funding and each last price that reached it, so up to one unit less for each.
"""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from math import ceil, floor
from typing import Any

from seawall.engine.clearing import Clearing
from seawall.ledger.chart import TRADERS
from seawall.server import requests as wire

MICRO = 10**6


class Naive:
    """cash: by account, micro of the settlement currency; coins: by (account, asset), units; lots: by (account,
    instrument); slack: by account, how many units roundings may have taken."""

    def __init__(self, clearing: Clearing) -> None:
        self.lot: dict[str, Fraction] = {}
        self.coin: dict[str, tuple[int, int]] = {}
        for name, one in clearing.engine.market.instruments.items():
            self.lot[name] = Fraction(one.lot)
            if one.kind == "spot":
                self.coin[name] = 10**8, int(one.lot * 10**8)
        self.rules = clearing.genesis.funding
        self.cash: dict[str, Fraction] = defaultdict(Fraction)
        self.coins: dict[tuple[str, str], int] = defaultdict(int)
        self.lots: dict[tuple[str, str], int] = defaultdict(int)
        self.slack: dict[str, int] = defaultdict(int)
        self.samples: dict[str, list[Fraction]] = defaultdict(list)
        self.events = 0

    def apply(self, request: Any) -> None:
        """What a request does that was acknowledged."""
        self.events += 1
        match request:
            case wire.Deposit():
                self._pay("outside", request.account, request)
            case wire.Withdraw():
                self._pay(request.account, "outside", request)
            case wire.Transfer():
                self._pay(request.source, request.target, request)
            case wire.Charge():
                self._pay(request.account, request.target, request)
            case wire.Cover():
                self._pay(request.fund, request.account, request)
            case wire.Fill():
                self._fill(request)
            case wire.Premium():
                bid, index, ask = (Fraction(x) for x in (request.impact_bid, request.index, request.impact_ask))
                above = max(Fraction(0), bid - index) - max(Fraction(0), index - ask)
                self.samples[request.instrument].append(Fraction(_toward_zero(above * MICRO / index)))
            case wire.Funding():
                self._funding(request.instrument, Fraction(request.price))
            case wire.Expire():
                value = Fraction(request.price) * self.lot[request.instrument] * MICRO
                for name in self._holders(request.instrument):
                    self.cash[name] += self.lots.pop((name, request.instrument)) * value
                    self.slack[name] += 1

    def _pay(self, source: str, target: str, request: Any) -> None:
        amount = Fraction(request.amount)
        for name, sign in ((source, -1), (target, 1)):
            if request.asset in self.coin:
                self.coins[name, request.asset] += sign * int(amount * self.coin[request.asset][0])
            else:
                self.cash[name] += sign * amount * MICRO

    def _fill(self, fill: wire.Fill) -> None:
        lots = Fraction(fill.quantity) / self.lot[fill.instrument]
        notional = abs(Fraction(fill.quantity)) * Fraction(fill.price) * MICRO
        buyer, seller = (fill.taker, fill.maker) if lots > 0 else (fill.maker, fill.taker)
        self.cash[buyer] -= ceil(notional)
        self.cash[seller] += floor(notional)
        for name, fee in ((fill.taker, fill.taker_fee), (fill.maker, fill.maker_fee)):
            self.cash[name] -= ceil(notional * Fraction(fee))
        for name, sign in ((fill.taker, 1), (fill.maker, -1)):
            if fill.instrument in self.coin:
                self.coins[name, fill.instrument] += sign * int(lots) * self.coin[fill.instrument][1]
            else:
                self.lots[name, fill.instrument] += sign * int(lots)

    def _funding(self, instrument: str, price: Fraction) -> None:
        rule = self.rules.get(instrument)
        samples = self.samples.pop(instrument, [])
        expected, interest, cap = (rule.samples, rule.interest_ppm, rule.cap_ppm) if rule else (60, 0, 40_000)
        mean = _toward_zero(sum(samples, Fraction(0)) / max(len(samples), expected))
        rate = max(-cap, min(cap, mean + interest))
        # ppm × micro is pico: an hour of a rate per eight hours, rounded toward zero after the value and the period
        step = _toward_zero(Fraction(_toward_zero(rate * 3_600 * price * self.lot[instrument] * MICRO), 28_800))
        for name in self._holders(instrument):
            self.cash[name] -= Fraction(self.lots[name, instrument] * step, MICRO)
            self.slack[name] += 1

    def _holders(self, instrument: str) -> list[str]:
        return [name for (name, of), lots in list(self.lots.items()) if of == instrument and lots]

    def differences(self, clearing: Clearing) -> list[str]:
        """Where a clearing says something else: none."""
        state, wrong = clearing.ledger.state, []
        for row, name in enumerate(state.names):
            if state.kind[row] not in TRADERS:
                continue
            cash = clearing.engine.book.cash_nano[row] / Fraction(1000)
            if not self.cash[name] - self.slack[name] <= cash <= self.cash[name]:
                wrong.append(f"{name}: cash {cash}, naive {self.cash[name]} less at most {self.slack[name]}")
            held = {state.instruments[state.held[slot]].instrument: state.lots[slot] for slot in state.positions(row)}
            live = {of: lots for of, lots in held.items() if state.expiry_nano[state.instrument_of[of]] < 0}
            naive = {of: lots for (who, of), lots in self.lots.items() if who == name and lots}
            if live != naive:
                wrong.append(f"{name}: lots {live}, naive {naive}")
            for asset in self.coin:
                units = clearing.ledger.balance(name, asset)
                if units != self.coins[name, asset]:
                    wrong.append(f"{name}: {units} of {asset}, naive {self.coins[name, asset]}")
        for asset in state.assets:
            number = state.asset_of[asset.asset]
            total = sum(state.balance[number]) + sum(
                cost for cost, held in zip(state.cost, state.held) if state.settled_in[held] == number
            )
            if total:
                wrong.append(f"all {asset.asset} sums to {total}")
        return wrong


def _toward_zero(value: Fraction) -> int:
    return floor(value) if value >= 0 else -floor(-value)
