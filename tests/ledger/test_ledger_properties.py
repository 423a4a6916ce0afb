"""What holds whatever happens: nothing is made or lost, refusals change nothing, the log gives the state again."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ledger.ledger_scenes import HOUR_NS, LISTINGS, USD, fill, fund, settle_all, totals, venue
from seawall.core.errors import InputError, UnreadableFile
from seawall.ledger import events as ev
from seawall.ledger.ledger import Ledger

NAMES = st.sampled_from(["alice", "bob", "carol", "alice:b", "insurance", "backstop"])
ANY_NAME = st.sampled_from(["alice", "bob", "alice:b", "insurance", "fees", "rounding", "funding", "outside", "nobody", ""])
ASSETS = st.sampled_from(["USD", "BTC", "ETH"])
INSTRUMENTS = st.sampled_from(["BTC-PERP", "ETH-PERP", "BTC-DEC", "BTC-C", "ETH-BTC-PERP", "BTC", "ETH"])
AMOUNTS = st.integers(1, 10**12)
LOTS = st.integers(-1_000, 1_000)
PRICES = st.integers(1, 10**12)
PPM = st.integers(-300, 1_000)
STATES = st.sampled_from(["active", "reduce-only", "in-liquidation", "frozen", "closed"])
ODD = st.one_of(
    st.integers(),
    st.sampled_from([0, -1, 2**62, 2**63 - 1, 2**63, -(2**63), 10**30]),
    st.booleans(),
    st.floats(),
    st.none(),
    st.text(max_size=3),
    st.lists(st.integers(), max_size=1),
)
FIELDS = {
    "account": ANY_NAME,
    "owner": ANY_NAME,
    "source": ANY_NAME,
    "target": ANY_NAME,
    "fund": ANY_NAME,
    "maker": ANY_NAME,
    "taker": ANY_NAME,
    "fees": ANY_NAME,
    "asset": st.sampled_from(["USD", "BTC", "ETH", "DOGE", ""]),
    "settlement": ASSETS,
    "base": ASSETS,
    "instrument": st.one_of(INSTRUMENTS, st.just("NO-PERP")),
    "state": STATES,
    "key": st.sampled_from(["", "", "k"]),
}
KINDS = ev.LedgerEvent.__args__


@st.composite
def garbage(draw):
    """Any event with fields of any sort, mostly plausible names."""
    kind = draw(st.sampled_from(KINDS))
    fields = {name: draw(st.one_of(FIELDS.get(name, ODD), ODD)) for name in kind.__struct_fields__}
    fields["at_ns"] = draw(st.one_of(st.integers(0, 2**63), ODD))
    return kind(**fields)


class AnyVenue(RuleBasedStateMachine):
    """A venue to which anything may happen."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = venue("alice", "bob", "carol", cash=10_000 * USD)
        self.applied: list = [
            *LISTINGS,
            *(
                event
                for name in ("alice", "bob", "carol")
                for event in (
                    ev.Open(at_ns=0, account=name),
                    ev.Deposit(at_ns=0, account=name, asset="USD", amount=10_000 * USD),
                )
            ),
        ]
        self.do(ev.OpenBucket(at_ns=0, owner="alice", bucket="b"))
        self.do(ev.Deposit(at_ns=0, account="insurance", asset="USD", amount=500 * USD))

    def do(self, event) -> None:
        before = self.ledger.state_hash()
        try:
            receipt = self.ledger.apply(event)
        except InputError:
            assert self.ledger.state_hash() == before, f"refused, but something changed: {event}"
            return
        self.applied.append(event)
        sums: dict[str, int] = {}
        for line in receipt.postings:
            sums[line.unit] = sums.get(line.unit, 0) + line.amount
        assert not any(sums.values())

    @property
    def now(self) -> int:
        return self.ledger.at_ns

    @rule(account=NAMES, asset=ASSETS, amount=AMOUNTS)
    def deposit(self, account, asset, amount):
        self.do(ev.Deposit(at_ns=self.now, account=account, asset=asset, amount=amount))

    @rule(account=NAMES, asset=ASSETS, amount=AMOUNTS)
    def withdraw(self, account, asset, amount):
        self.do(ev.Withdraw(at_ns=self.now, account=account, asset=asset, amount=amount))

    @rule(source=NAMES, sink=NAMES, asset=ASSETS, amount=AMOUNTS)
    def transfer(self, source, sink, asset, amount):
        self.do(ev.Transfer(at_ns=self.now, source=source, target=sink, asset=asset, amount=amount))

    @rule(account=NAMES, asset=ASSETS, amount=AMOUNTS)
    def charge(self, account, asset, amount):
        self.do(ev.Charge(at_ns=self.now, account=account, target="insurance", asset=asset, amount=amount))

    @rule(account=NAMES, asset=ASSETS, amount=AMOUNTS)
    def cover(self, account, asset, amount):
        self.do(ev.Cover(at_ns=self.now, fund="insurance", account=account, asset=asset, amount=amount))

    @rule(maker=NAMES, taker=NAMES, instrument=INSTRUMENTS, lots=LOTS, price=PRICES, maker_fee=PPM, taker_fee=PPM)
    def trade(self, maker, taker, instrument, lots, price, maker_fee, taker_fee):
        self.do(
            ev.Trade(
                at_ns=self.now,
                maker=maker,
                taker=taker,
                instrument=instrument,
                lots=lots,
                price_nano=price,
                maker_fee_ppm=maker_fee,
                taker_fee_ppm=taker_fee,
            )
        )

    @rule(instrument=INSTRUMENTS, premium=st.integers(-(10**6), 10**6), price=PRICES)
    def fund(self, instrument, premium, price):
        at_ns = self.now + HOUR_NS
        index, at = 10**12, max(1, 10**12 + premium * 10**6)
        bid, ask = (at, at) if premium >= 0 else (0, at)
        self.do(
            ev.Premium(at_ns=at_ns, instrument=instrument, index_nano=index, impact_bid_nano=bid, impact_ask_nano=ask)
        )
        self.do(ev.Funding(at_ns=at_ns, instrument=instrument, price_nano=price))

    @rule(asset=ASSETS, rate=st.integers(0, 10**6), reserve=st.integers(0, 10**6), hours=st.integers(1, 10_000))
    def accrue(self, asset, rate, reserve, hours):
        at_ns = self.now + hours * HOUR_NS
        self.do(ev.Accrue(at_ns=at_ns, asset=asset, borrow_ppm=rate, reserve_ppm=reserve))

    @rule(account=NAMES, state=STATES)
    def set_state(self, account, state):
        self.do(ev.SetState(at_ns=self.now, account=account, state=state))

    @rule(account=NAMES)
    def settle(self, account):
        self.do(ev.Settle(at_ns=self.now, account=account))

    @rule(instrument=st.sampled_from(["BTC-DEC", "BTC-C", "ETH-BTC-PERP"]), price=PRICES)
    def expire(self, instrument, price):
        self.do(ev.Expire(at_ns=self.now, instrument=instrument, price_nano=price))

    @rule(event=garbage())
    def anything(self, event):
        self.do(event)

    @invariant()
    def nothing_is_made_or_lost(self):
        money, lots = totals(self.ledger)
        assert not any(money.values())
        assert not any(lots.values())

    def teardown(self):
        replayed = Ledger()
        for event in self.applied:
            replayed.apply(event)
        assert replayed.state_hash() == self.ledger.state_hash()
        decoded = Ledger()
        for event in self.applied:
            decoded.apply(ev.decode(ev.encode(event)))
        assert decoded.state_hash() == self.ledger.state_hash()
        restored = Ledger.from_columns(self.ledger.columns())
        assert restored.state_hash() == self.ledger.state_hash()
        for ledger in (self.ledger, restored):
            settle_all(ledger)
        assert restored.state_hash() == self.ledger.state_hash()
        columns = self.ledger.columns()
        assert not any(columns[name].any() for name in ("funding_dust", "interest_dust", "expiry_dust"))
        for asset in ("USD", "BTC", "ETH"):
            for clearing in ("funding", "interest", "expiry"):
                assert self.ledger.balance(clearing, asset) == 0, "paid = received, to the last unit"


AnyVenue.TestCase.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
TestAnyVenue = AnyVenue.TestCase


POSITIONS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), LOTS.filter(bool)), min_size=1, max_size=6)
RATES = st.lists(st.tuples(st.integers(-100_000, 100_000), PRICES), min_size=1, max_size=8)
FOUR = ("alice", "bob", "carol", "dave")


@given(POSITIONS, RATES)
@settings(max_examples=60)
def test_one_settlement_equals_settling_every_interval_but_for_its_roundings(positions, rates):
    once, each = venue(*FOUR), venue(*FOUR)
    for ledger in (once, each):
        for maker, taker, lots in positions:
            if maker != taker:
                fill(ledger, FOUR[taker], FOUR[maker], lots, 1_000)
    start = {name: once.balance(name, "USD") for name in FOUR}
    exact = dict.fromkeys(FOUR, Fraction(0))
    for rate, price in rates:
        before = int(once.columns()["index_pico"].sum())
        for ledger in (once, each):
            fund(ledger, rate, price)
        settle_all(each)
        step = int(once.columns()["index_pico"].sum()) - before
        assert abs(step) <= abs(Fraction(rate * price, 8_000)) < abs(step) + 1
        for name in FOUR:
            exact[name] -= Fraction(once.position(name, "BTC-PERP")[0] * step, 10**6)
    settle_all(once)
    for name in FOUR:
        assert once.balance(name, "USD") == start[name] + exact[name].__floor__()
        assert 0 <= once.balance(name, "USD") - each.balance(name, "USD") < len(rates)
    for ledger in (once, each):
        assert ledger.balance("funding", "USD") == 0


@given(
    st.lists(st.integers(-(10**9), 10**9), min_size=2, max_size=4),
    st.lists(st.tuples(st.integers(0, 500_000), st.integers(0, 10**6), st.integers(1, 5_000)), min_size=1, max_size=6),
)
@settings(max_examples=60)
def test_interest_is_that_of_every_interval_added_up(balances, accruals):
    ledger = venue(*FOUR[: len(balances)])
    for name, amount in zip(FOUR, balances):
        if amount > 0:
            ledger.apply(ev.Deposit(at_ns=0, account=name, asset="USD", amount=amount))
        elif amount < 0:
            ledger.apply(ev.Charge(at_ns=0, account=name, target="insurance", asset="USD", amount=-amount))
    owed, lent = -sum(min(0, b) for b in balances), sum(max(0, b) for b in balances)
    borrow = supply = Fraction(0)
    for rate, reserve, hours in accruals:
        ledger.apply(
            ev.Accrue(at_ns=ledger.at_ns + hours * HOUR_NS, asset="USD", borrow_ppm=rate, reserve_ppm=reserve)
        )
        step = Fraction(rate, 10**6) * Fraction(hours, 365 * 24)
        borrow += step
        supply += min(step, Fraction(owed, lent) * step * Fraction(10**6 - reserve, 10**6)) if lent else 0
    settle_all(ledger)
    for name, amount in zip(FOUR, balances):
        exact = amount + amount * (borrow if amount < 0 else supply)
        # the index itself is rounded down by 10^-15 a step, the balance once, against the account
        assert -1 - Fraction(1, 100) < ledger.balance(name, "USD") - exact < 1
        if amount >= 0:
            assert ledger.balance(name, "USD") <= exact
    assert ledger.balance("interest", "USD") == 0


@given(st.permutations(range(12)))
@settings(max_examples=40)
def test_events_that_have_nothing_to_do_with_each_other_commute(order):
    pairs = [("a", "b"), ("c", "d"), ("e", "f"), ("g", "h")]
    users = [name for pair in pairs for name in pair]
    events = []
    for k, (maker, taker) in enumerate(pairs):
        events.append(ev.Deposit(at_ns=0, key=f"d{k}", account=maker, asset="USD", amount=1_000 + k))
        events.append(
            ev.Trade(
                at_ns=0, maker=maker, taker=taker, instrument="BTC-PERP", lots=3 + k, price_nano=33_333, taker_fee_ppm=777
            )
        )
        events.append(ev.OpenBucket(at_ns=0, owner=taker, bucket="x"))
    one, other = venue(*users), venue(*reversed(users))
    for event in events:
        one.apply(event)
    for k in order:
        other.apply(events[k])
    for ledger in (one, other):
        fund(ledger, 777, 123_456_789)
    for name in users:
        one.apply(ev.Settle(at_ns=one.at_ns, account=name))
    for name in reversed(users):
        other.apply(ev.Settle(at_ns=other.at_ns, account=name))
    mine, theirs = one.columns(), other.columns()
    for columns in (mine, theirs):
        del columns["receipt"]  # carries the number of the event, which differs
    for name, column in mine.items():
        assert list(column) == list(theirs[name]), name


@given(st.data())
@settings(max_examples=40)
def test_columns_that_were_tampered_with_are_refused_or_have_another_hash(data):
    ledger = venue(cash=100)
    fill(ledger, "alice", "bob", 3, 333)
    ledger.apply(ev.Deposit(at_ns=0, key="k", account="alice", asset="USD", amount=5))
    columns, known = ledger.columns(), ledger.state_hash()
    name = data.draw(st.sampled_from([name for name in columns if len(columns[name])]))
    at = data.draw(st.integers(0, len(columns[name]) - 1))
    if isinstance(columns[name], list):
        columns[name][at] = columns[name][at][:-1]
    else:
        columns[name][at] += data.draw(st.sampled_from([-1, 1, 7]))
    try:
        found = Ledger.from_columns(columns)
    except UnreadableFile:
        return
    assert found.state_hash() != known


def test_a_sum_beyond_int64_is_refused_with_nothing_changed():
    ledger = venue("alice", "bob")
    ledger.apply(ev.Deposit(at_ns=0, account="alice", asset="USD", amount=2**63 - 1))
    before = ledger.state_hash()
    for event in (
        ev.Deposit(at_ns=0, account="bob", asset="USD", amount=2),
        ev.Trade(at_ns=0, maker="alice", taker="bob", instrument="BTC-PERP", lots=2**62, price_nano=1),
        ev.Trade(at_ns=0, maker="alice", taker="bob", instrument="BTC-PERP", lots=1, price_nano=2**53),
    ):
        with pytest.raises(InputError):
            ledger.apply(event)
        assert ledger.state_hash() == before


def test_wire_fields_are_only_ever_appended():
    """The order of an array's fields is the format: this is the one of the first version."""
    base = ("at_ns", "key")
    released = {
        "listasset": ("asset", "decimals", "borrowable"),
        "listinstrument": ("instrument", "kind", "settlement", "base", "lot_units", "funding"),
        "open": ("account", "kind"),
        "openbucket": ("owner", "bucket", "instrument"),
        "deposit": ("account", "asset", "amount"),
        "withdraw": ("account", "asset", "amount"),
        "transfer": ("source", "target", "asset", "amount"),
        "charge": ("account", "target", "asset", "amount"),
        "cover": ("fund", "account", "asset", "amount"),
        "trade": (
            "maker", "taker", "instrument", "lots", "price_nano", "maker_fee_ppm", "taker_fee_ppm", "fees",
        ),
        "premium": ("instrument", "index_nano", "impact_bid_nano", "impact_ask_nano"),
        "funding": ("instrument", "price_nano"),
        "accrue": ("asset", "borrow_ppm", "reserve_ppm"),
        "expire": ("instrument", "price_nano"),
        "settle": ("account",),
        "setstate": ("account", "state"),
    }  # fmt: skip
    found = {kind.__struct_config__.tag: kind.__struct_fields__ for kind in KINDS}
    assert found.keys() >= released.keys()
    for tag, fields in released.items():
        assert found[tag][: len(fields) + 2] == base + fields
    frame = bytes.fromhex("96a7 6465706f736974 07 a0 a5616c696365 a3555344 05".replace(" ", ""))
    assert ev.decode(frame) == ev.Deposit(at_ns=7, account="alice", asset="USD", amount=5)
    assert ev.encode(ev.decode(frame)) == frame
    with pytest.raises(UnreadableFile):
        ev.decode(frame[:-1])
