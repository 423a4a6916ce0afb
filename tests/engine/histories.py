"""Random histories of a venue, one seed each: requests as users send them, most of them possible, some of them not.

A `Venue` draws the next request against a clearing's present state, so that fills are near the market, withdrawals
near free collateral and cancels of orders that are open; the same seed and the same state give the same request.
"""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import samples
from seawall.core.times import parse_iso_ns
from seawall.engine.clearing import Clearing
from seawall.engine.genesis import Genesis
from seawall.ledger.funding import FundingRule
from seawall.server import requests as wire

HOUR_NS = 3_600 * 10**9
PERPETUALS = {
    "BTC": ("113000", "0.001"),
    "ETH": ("3900.25", "0.01"),
    "SOL": ("201.4", "0.1"),
}
STATES = ("active", "active", "reduce-only", "in-liquidation", "frozen", "closed")
# what may be announced, by model: values that the one-step rule allows
ANNOUNCED = {
    "portfolio": {"range_ppm.BTC": ("120000", "180000"), "default_range_ppm": ("210000", "280000")},
    "cross": {"open_interest_from": ("1000000", "4000000"), "open_interest_to": ("6000000", "40000000")},
    "fixed": {"initial_ppm": ("110000", "190000"), "maintenance_ppm": ("50000", "80000")},
}
WEIGHTS = {
    "open": 3, "bucket": 1, "deposit": 8, "withdraw": 6, "transfer": 4, "charge": 1, "cover": 1, "fill": 20,
    "spot": 3, "order": 8, "cancel": 3, "ticks": 22, "jump": 2, "marks": 2, "surface": 1, "parameters": 1,
    "premium": 3, "funding": 4, "accrue": 3, "expire": 1, "settle": 2, "state": 2, "clock": 2, "garbage": 2,
}  # fmt: skip


def genesis(model: str = "portfolio", document: dict[str, Any] | None = None) -> Genesis:
    """The small market of every kind, with frequent funding and coin that may be borrowed."""
    document = document or samples.market_document()
    return Genesis(
        at_ns=parse_iso_ns(document["as_of"]),
        market=document,
        model=model,
        borrowable=("USD", "ETH") if any(row["symbol"] == "ETH" for row in document["instruments"]) else ("USD",),
        funding={"BTC-PERP": FundingRule(samples=2, interest_ppm=100, cap_ppm=30_000)},
    )


def perpetuals_document() -> dict[str, Any]:
    """Perpetuals and spot alone: what every model can margin, and quick."""
    rows: list[dict[str, Any]] = []
    for name, (index, lot) in PERPETUALS.items():
        rows.append({"symbol": f"{name}-PERP", "kind": "perpetual", "underlying": name, "lot": lot, "mark": index})
    rows.append({"symbol": "BTC", "kind": "spot", "underlying": "BTC", "lot": "0.0001", "haircut": "0.08"})
    return {
        "as_of": "2025-10-10T06:00:00Z",
        "settlement": "USD",
        "rate": "0.04",
        "underlyings": {name: {"index": index} for name, (index, _) in PERPETUALS.items()},
        "instruments": rows,
    }


class Venue:
    """The next request for a clearing: `at_ns` moves on with each."""

    def __init__(self, seed: int, clearing: Clearing) -> None:
        self.rng = random.Random(f"history {seed}")
        self.at_ns = clearing.at_ns
        self.count = 0
        market = clearing.engine.market
        self.model = clearing.genesis.model
        self.underlyings = list(market.underlyings)
        self.symbols = [name for name, one in market.instruments.items() if one.kind != "spot" and not one.inverse]
        self.coins = [name for name, one in market.instruments.items() if one.kind == "spot"]
        self.marked = [name for name, one in market.instruments.items() if one.kind in ("perpetual", "future")]
        self.options = [name for name, one in market.instruments.items() if one.kind == "option"]
        self.perpetuals = [n for n, one in market.instruments.items() if one.kind == "perpetual" and not one.inverse]

    def next(self, clearing: Clearing) -> tuple[Any, int]:
        """(request, its time)."""
        rng = self.rng
        self.count += 1
        kind = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        if len(self._users(clearing)) < 4:
            kind = "open"
        self.at_ns += rng.choice((0, 1, 10**6, 10**8, 10**9, 30 * 10**9, 600 * 10**9))
        if kind == "funding":
            self.at_ns = (self.at_ns // HOUR_NS + 1) * HOUR_NS
        return getattr(self, f"_{kind}")(clearing), self.at_ns

    # -- names and sizes -----------------------------------------------------------------------

    def _users(self, clearing: Clearing) -> list[str]:
        state = clearing.ledger.state
        return [name for name, kind in zip(state.names, state.kind) if kind == 0]

    def _user(self, clearing: Clearing) -> str:
        return self.rng.choice(self._users(clearing))

    def _mark(self, clearing: Clearing, symbol: str) -> Decimal:
        legs = clearing.engine.watch.desk.base.legs
        instrument = clearing.engine.watch.desk.base.instruments[symbol]
        nano = sum(clearing.engine.watch.mark_nano(leg) for leg, _ in legs.expand(symbol))
        return Decimal(nano).scaleb(-9) / instrument.lot

    def _price(self, clearing: Clearing, symbol: str) -> str:
        """Near the mark, in whole cents and so in whole nano per lot."""
        price = self._mark(clearing, symbol) * Decimal(repr(self.rng.uniform(0.97, 1.03)))
        return str(max(price.quantize(Decimal("0.01")), Decimal("0.01")))

    def _quantity(self, clearing: Clearing, symbol: str) -> str:
        instrument = clearing.engine.watch.desk.base.instruments[symbol]
        worth = max(self._mark(clearing, symbol), Decimal(1))
        size = Decimal(repr(10 ** self.rng.uniform(1.5, 5.3)))
        lots = max(1, int(size / worth / instrument.lot))
        return str(self.rng.choice((1, -1)) * lots * instrument.lot)

    # -- requests ------------------------------------------------------------------------------

    def _open(self, clearing: Clearing) -> Any:
        kind = self.rng.choices(("user", "insurance", "fees"), (20, 1, 1))[0]
        return wire.OpenAccount(account=f"u{self.count}", kind=kind)

    def _bucket(self, clearing: Clearing) -> Any:
        only = self.rng.choice(("", self.rng.choice(self.symbols)))
        return wire.OpenBucket(owner=self._user(clearing), bucket=f"b{self.count}", instrument=only)

    def _deposit(self, clearing: Clearing) -> Any:
        account = self.rng.choice((self._user(clearing), self._user(clearing), "insurance"))
        if self.coins and self.rng.random() < 0.25:
            amount = f"{10 ** self.rng.uniform(-3, 1):.8f}"
            return wire.Deposit(account=account, amount=amount, asset=self.rng.choice(self.coins))
        return wire.Deposit(account=account, amount=f"{10 ** self.rng.uniform(2, 5):.6f}")

    def _withdraw(self, clearing: Clearing) -> Any:
        name = self._user(clearing)
        free = clearing.engine.figures(name).free_collateral_micro
        near = self.rng.choice((free, free + 1, free // 2, 10**6))
        asset = self.rng.choice(("", "", "", *self.coins))
        amount = f"{self.rng.uniform(0.0001, 0.5):.8f}" if asset else str(Decimal(max(near, 1)).scaleb(-6))
        return wire.Withdraw(account=name, amount=amount, asset=asset)

    def _transfer(self, clearing: Clearing) -> Any:
        source = self._user(clearing)
        family = [name for name in self._users(clearing) if name.split(":")[0] == source.split(":")[0]]
        target = self.rng.choice(family) if self.rng.random() < 0.6 else self._user(clearing)
        return wire.Transfer(source=source, target=target, amount=f"{10 ** self.rng.uniform(0, 4):.6f}")

    def _charge(self, clearing: Clearing) -> Any:
        target = self.rng.choice(("fees", "insurance"))
        return wire.Charge(account=self._user(clearing), target=target, amount=f"{10 ** self.rng.uniform(0, 4):.6f}")

    def _cover(self, clearing: Clearing) -> Any:
        return wire.Cover(account=self._user(clearing), amount=f"{10 ** self.rng.uniform(-1, 3):.6f}")

    def _fill(self, clearing: Clearing) -> Any:
        return self._trade(clearing, self.rng.choice(self.symbols))

    def _spot(self, clearing: Clearing) -> Any:
        return self._trade(clearing, self.rng.choice(self.coins or self.symbols))

    def _trade(self, clearing: Clearing, symbol: str) -> Any:
        users = self._users(clearing)
        maker, taker = self.rng.choice((*users, "insurance")), self.rng.choice(users)
        fees = self.rng.choice((("0", "0"), ("-0.0001", "0.0005"), ("0.0002", "0.0005")))
        return wire.Fill(
            maker=maker, taker=taker, instrument=symbol, quantity=self._quantity(clearing, symbol),
            price=self._price(clearing, symbol), maker_fee=fees[0], taker_fee=fees[1],
        )  # fmt: skip

    def _order(self, clearing: Clearing) -> Any:
        symbol = self.rng.choice((*self.symbols, *self.coins))
        return wire.Order(
            account=self._user(clearing), id=f"o{self.rng.randrange(10**6)}", instrument=symbol,
            quantity=self._quantity(clearing, symbol), price=self._price(clearing, symbol),
        )  # fmt: skip

    def _cancel(self, clearing: Clearing) -> Any:
        if not clearing.orders:
            return wire.Cancel(account=self._user(clearing), id="none")
        row, id = self.rng.choice(list(clearing.orders))
        return wire.Cancel(account=clearing.ledger.state.names[row], id=id)

    def _ticks(self, clearing: Clearing, spread: float = 0.002) -> Any:
        index = clearing.engine.watch.desk.index_nano
        chosen = self.rng.sample(self.underlyings, self.rng.randint(1, len(self.underlyings)))
        prices = {}
        for name in chosen:
            now = int(index[clearing.engine.watch.underlying_index[name]])
            first = float(clearing.genesis.market["underlyings"][name]["index"]) * 1e9
            pull = 0.02 if now < first else -0.02  # it does not run away
            moved = int(now * (1.0 + self.rng.gauss(pull * spread, spread)))
            prices[name] = str(Decimal(max(moved, 10**6)).scaleb(-9))
        return wire.Ticks(prices=prices)

    def _jump(self, clearing: Clearing) -> Any:
        return self._ticks(clearing, 0.08)

    def _marks(self, clearing: Clearing) -> Any:
        symbol = self.rng.choice(self.marked)
        return wire.Marks(prices={symbol: self._price(clearing, symbol)})

    def _surface(self, clearing: Clearing) -> Any:
        if not self.options:
            return self._ticks(clearing)
        chosen = self.rng.sample(self.options, self.rng.randint(1, len(self.options)))
        return wire.Surface(vols={name: f"{self.rng.uniform(0.4, 0.8):.4f}" for name in chosen})

    def _parameters(self, clearing: Clearing) -> Any:
        known = ANNOUNCED.get(self.model)
        if not known:
            return self._clock(clearing)
        name = self.rng.choice(list(known))
        glide = self.rng.choice(("0", "30", "1800.5"))
        shape: Any = self.rng.choice(("linear", "geometric"))
        return wire.Parameters(changes={name: self.rng.choice(known[name])}, glide_s=glide, shape=shape)

    def _premium(self, clearing: Clearing) -> Any:
        index = self.rng.uniform(0.99, 1.01)
        return wire.Premium(
            instrument=self.rng.choice(self.perpetuals), index="1", impact_bid=f"{index:.6f}", impact_ask=f"{index + 1e-5:.6f}"
        )

    def _funding(self, clearing: Clearing) -> Any:
        return wire.Funding(instrument=self.rng.choice(self.perpetuals))

    def _accrue(self, clearing: Clearing) -> Any:
        asset = self.rng.choice(("USD", *self.coins))
        return wire.Accrue(asset=asset, rate=f"{self.rng.uniform(0, 2):.6f}", reserve="0.1")

    def _expire(self, clearing: Clearing) -> Any:
        left = [one for k, one in enumerate(self.symbols) if k and not self._expired(clearing, one)]
        if self.rng.random() < 0.7 or not left:
            return self._ticks(clearing)
        symbol = self.rng.choice(left)
        return wire.Expire(instrument=symbol, price=self.rng.choice(("0", self._price(clearing, symbol))))

    def _expired(self, clearing: Clearing, symbol: str) -> bool:
        state = clearing.ledger.state
        return state.expiry_nano[state.instrument_of[symbol]] >= 0

    def _settle(self, clearing: Clearing) -> Any:
        return wire.Settle(account=self._user(clearing))

    def _state(self, clearing: Clearing) -> Any:
        back = self.rng.random() < 0.5
        return wire.SetState(account=self._user(clearing), state="active" if back else self.rng.choice(STATES))

    def _clock(self, clearing: Clearing) -> Any:
        return wire.Clock()

    def _garbage(self, clearing: Clearing) -> Any:
        """Nothing that may change anything."""
        return self.rng.choice(
            (
                wire.Deposit(account="nobody", amount="1"),
                wire.Deposit(account=self._user(clearing), amount="-1"),
                wire.Deposit(account=self._user(clearing), amount="1e12"),
                wire.Withdraw(account=self._user(clearing), amount="0.0000001"),
                wire.Fill(maker="u1", taker="u1", instrument="BTC-PERP", quantity="1", price="1"),
                wire.Fill(maker="insurance", taker=self._user(clearing), instrument="BTC-PERP", quantity="90000000", price="9"),
                wire.Ticks(prices={self.underlyings[0]: "1", "NONE": "1"}),
                wire.Ticks(prices={self.underlyings[0]: "9000000000"}),
                wire.Order(account="insurance", id="x", instrument="BTC-PERP", quantity="1", price="1"),
                wire.OpenAccount(account="fees"),
                wire.Parameters(changes={"no_such": "1"}),
            )
        )
