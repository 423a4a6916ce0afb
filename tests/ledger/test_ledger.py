"""The ledger by hand: what each event posts, to the last unit."""

from __future__ import annotations

import pytest

from conftest import ROOT
from ledger.ledger_scenes import HOUR_NS, USD, fill, fund, settle_all, totals, venue
from seawall.core.errors import DuplicateRow, InputError, UnreadableFile
from seawall.ledger import events as ev
from seawall.ledger.events import Posting
from seawall.ledger.ledger import Ledger

YEAR_NS = 365 * 86_400 * 10**9


def lines(receipt) -> set[tuple]:
    return {(p.account, p.part, p.unit, p.amount) for p in receipt.postings}


def test_a_deposit_comes_from_outside_and_a_withdrawal_goes_there():
    ledger = venue("alice")
    receipt = ledger.apply(ev.Deposit(at_ns=1, account="alice", asset="USD", amount=5))
    assert receipt.postings == (Posting("outside", "balance", "USD", -5), Posting("alice", "balance", "USD", 5))
    assert receipt.sequence == ledger.sequence
    assert lines(ledger.apply(ev.Withdraw(at_ns=2, account="alice", asset="USD", amount=2))) == {
        ("outside", "balance", "USD", 2),
        ("alice", "balance", "USD", -2),
    }
    assert (ledger.balance("alice", "USD"), ledger.balance("outside", "USD")) == (3, -3)


def test_a_fill_moves_lots_and_costs_and_its_rounding_goes_to_rounding():
    """3 lots at 333.3 nano: 999.9 nano, so the buyer owes 1 micro and the seller gets 0; fees ceil(0.9999 × ppm)."""
    ledger = venue(cash=10)
    receipt = fill(ledger, "alice", "bob", 3, 333, taker_fee_ppm=500, maker_fee_ppm=-200)
    assert lines(receipt) == {
        ("alice", "lots", "BTC-PERP", 3),
        ("alice", "cost", "USD", -1),
        ("alice", "balance", "USD", -1),  # ceil(0.0005)
        ("bob", "lots", "BTC-PERP", -3),
        ("fees", "balance", "USD", 1),  # bob's rebate of 0.0002 is rounded down to nothing
        ("rounding", "balance", "USD", 1),
    }
    assert ledger.position("alice", "BTC-PERP") == (3, -1)
    assert ledger.position("bob", "BTC-PERP") == (-3, 0)


def test_fees_by_hand():
    """10 lots at 100 USD: 1,000 USD; taker 5 bp = 0.50, maker −2 bp = 0.20 back."""
    ledger = venue(cash=10 * USD)
    fill(ledger, "alice", "bob", 10, 100 * 10**9, taker_fee_ppm=500, maker_fee_ppm=-200)
    assert ledger.balance("alice", "USD") == 9_500_000
    assert ledger.balance("bob", "USD") == 10_200_000
    assert ledger.balance("fees", "USD") == 300_000
    assert ledger.position("alice", "BTC-PERP") == (10, -1_000 * USD)


def test_closing_releases_the_cost_in_proportion_and_flipping_opens_the_rest():
    ledger = venue(cash=1_000 * USD)
    fill(ledger, "alice", "bob", 3, 100 * 10**9)  # alice long 3 at 100
    fill(ledger, "alice", "bob", -1, 130 * 10**9)  # +30
    assert ledger.balance("alice", "USD") == 1_030 * USD
    assert ledger.position("alice", "BTC-PERP") == (2, -200 * USD)
    fill(ledger, "alice", "bob", -5, 90 * 10**9)  # −20, then short 3 at 90
    assert ledger.balance("alice", "USD") == 1_010 * USD
    assert ledger.position("alice", "BTC-PERP") == (-3, 270 * USD)
    fill(ledger, "alice", "bob", 3, 80 * 10**9)  # +30
    assert ledger.balance("alice", "USD") == 1_040 * USD
    assert ledger.position("alice", "BTC-PERP") == (0, 0)
    assert ledger.balance("bob", "USD") == 960 * USD


def test_what_a_part_of_a_cost_rounds_off_comes_back_with_the_last_lot():
    ledger = venue(cash=0)
    fill(ledger, "alice", "bob", 3, 3_333)  # 9.999 micro: alice −10, bob +9
    fill(ledger, "alice", "bob", -1, 3_000)  # releases floor(−10/3) = −4 of her cost; she gets 3
    assert (ledger.balance("alice", "USD"), ledger.position("alice", "BTC-PERP")) == (-1, (2, -6))
    fill(ledger, "alice", "bob", -2, 3_000)
    assert (ledger.balance("alice", "USD"), ledger.position("alice", "BTC-PERP")) == (-1, (0, 0))
    assert ledger.balance("bob", "USD") == 0
    assert ledger.balance("rounding", "USD") == 1


def test_options_and_spot_move_balances():
    ledger = venue(cash=100 * USD)
    assert ("alice", "balance", "USD", -50 * USD) in lines(fill(ledger, "alice", "bob", 5, 10 * 10**9, "BTC-C"))
    assert ledger.position("alice", "BTC-C") == (5, 0)
    ledger.apply(ev.Deposit(at_ns=0, account="bob", asset="BTC", amount=30_000))
    fill(ledger, "alice", "bob", 2, 9 * 10**9, "BTC")
    assert (ledger.balance("alice", "BTC"), ledger.balance("bob", "BTC")) == (20_000, 10_000)
    assert (ledger.balance("alice", "USD"), ledger.balance("bob", "USD")) == (32 * USD, 168 * USD)


def test_funding_by_hand():
    """800 ppm per 8 h is 100 ppm an hour: longs of 10 lots at 100 USD pay 0.10 USD an hour, shorts get it."""
    ledger = venue(cash=10 * USD)
    fill(ledger, "alice", "bob", 10, 100 * 10**9)
    for _ in range(3):
        fund(ledger, 800, 100 * 10**9)
    assert ledger.balance("alice", "USD") == 10 * USD, "an index moves nobody's balance"
    receipt = ledger.apply(ev.Settle(at_ns=ledger.at_ns, account="alice"))
    assert lines(receipt) == {("alice", "balance", "USD", -300_000), ("funding", "balance", "USD", 300_000)}
    fill(ledger, "bob", "carol", 1, 100 * 10**9)  # any touch of the position settles it
    assert ledger.balance("bob", "USD") == 10_300_000
    assert ledger.balance("funding", "USD") == 0


def test_funding_fractions_go_to_rounding_by_whole_units():
    """A step of 8 ppm ÷ 8 h of 3 × 333 nano is less than a micro each: the longs pay up, the short gets nothing."""
    ledger = venue(cash=100)
    fill(ledger, "alice", "carol", 3, 333_333)
    fill(ledger, "bob", "carol", 5, 333_333)
    fund(ledger, 800, 333_333)  # 33,333 pico a lot: 0.1 and 0.17 micro
    settle_all(ledger)
    assert [ledger.balance(name, "USD") for name in ("alice", "bob", "carol")] == [99, 99, 100]
    assert (ledger.balance("funding", "USD"), ledger.balance("rounding", "USD")) == (0, 2 + 2)
    assert not ledger.columns()["funding_dust"].any()


def test_a_position_owes_no_funding_of_the_time_before_it_was_opened():
    ledger = venue(cash=10 * USD)
    fill(ledger, "alice", "bob", 10, 100 * 10**9)
    fund(ledger, 800, 100 * 10**9)
    fill(ledger, "alice", "bob", -10, 100 * 10**9)
    fund(ledger, 800, 100 * 10**9)
    fill(ledger, "bob", "carol", 1, 100 * 10**9)  # where alice's position stood
    settle_all(ledger)
    assert [ledger.balance(n, "USD") for n in ("alice", "bob", "carol")] == [9_900_000, 10_100_000, 10 * USD]


def test_nobody_withdraws_or_moves_what_he_owes_in_funding():
    ledger = venue(cash=10 * USD)
    fill(ledger, "alice", "bob", 10, 100 * 10**9)
    fund(ledger, 800, 100 * 10**9)
    with pytest.raises(InputError, match="at most the 9900000"):
        ledger.apply(ev.Withdraw(at_ns=ledger.at_ns, account="alice", asset="USD", amount=10 * USD))
    with pytest.raises(InputError, match="at most the 9900000"):
        ledger.apply(ev.Transfer(at_ns=ledger.at_ns, source="alice", target="carol", asset="USD", amount=10 * USD))
    ledger.apply(ev.Withdraw(at_ns=ledger.at_ns, account="alice", asset="USD", amount=9_900_000))
    assert ledger.balance("alice", "USD") == 0


def test_a_refused_fill_leaves_no_position_behind():
    ledger = venue(cash=10 * USD)
    ledger.apply(ev.SetState(at_ns=0, account="bob", state="frozen"))
    with pytest.raises(InputError, match="which is frozen"):
        fill(ledger, "alice", "bob", 10, 10**9)
    assert ledger._state.slot_of == {}
    assert ledger._state.positions(ledger._state.rows["alice"]) == []


def test_an_interval_is_charged_once_and_samples_start_anew():
    ledger = venue()
    fund(ledger, 800, 10**9)
    with pytest.raises(InputError, match="already charged"):
        ledger.apply(ev.Funding(at_ns=ledger.at_ns + HOUR_NS - 1, instrument="BTC-PERP", price_nano=10**9))
    before = ledger.columns()["index_pico"].sum()
    ledger.apply(ev.Funding(at_ns=ledger.at_ns + HOUR_NS, instrument="BTC-PERP", price_nano=10**9))
    assert ledger.columns()["index_pico"].sum() == before == 100 * 10**6, "no sample, no premium"


def test_interest_by_hand():
    """A debt of 100 at 10 % for a year owes 10; a tenth is reserve, and 9 goes to lenders of 300: 3 %."""
    ledger = venue()
    for name, amount in (("alice", 200 * USD), ("bob", 100 * USD)):
        ledger.apply(ev.Deposit(at_ns=0, account=name, asset="USD", amount=amount))
    ledger.apply(ev.Charge(at_ns=0, account="carol", target="insurance", asset="USD", amount=100 * USD))
    receipt = ledger.apply(ev.Accrue(at_ns=YEAR_NS, asset="USD", borrow_ppm=100_000, reserve_ppm=100_000))
    assert lines(receipt) == {("fees", "balance", "USD", USD), ("interest", "balance", "USD", -USD)}
    settle_all(ledger)
    assert [ledger.balance(n, "USD") for n in ("alice", "bob", "carol")] == [206 * USD, 103 * USD, -110 * USD]
    assert ledger.balance("insurance", "USD") == 100 * USD, "the venue's own accounts bear no interest"
    assert ledger.balance("interest", "USD") == 0


def test_a_balance_bears_interest_only_from_when_it_is_there_and_by_its_sign():
    """carol's debt pays 10 % in each of three years; bob comes after the first, alice turns from lender to borrower."""
    ledger = venue()
    ledger.apply(ev.Deposit(at_ns=0, account="alice", asset="USD", amount=100 * USD))
    ledger.apply(ev.Charge(at_ns=0, account="carol", target="insurance", asset="USD", amount=50 * USD))
    ledger.apply(ev.Accrue(at_ns=YEAR_NS, asset="USD", borrow_ppm=100_000))  # alice 5 %
    ledger.apply(ev.Deposit(at_ns=YEAR_NS, account="bob", asset="USD", amount=300 * USD))
    ledger.apply(ev.Charge(at_ns=YEAR_NS, account="alice", target="insurance", asset="USD", amount=205 * USD))
    assert ledger.balance("alice", "USD") == -100 * USD
    ledger.apply(ev.Accrue(at_ns=2 * YEAR_NS, asset="USD", borrow_ppm=100_000))  # on 150 owed; bob 5 %
    settle_all(ledger)
    assert [ledger.balance(n, "USD") for n in ("alice", "bob", "carol")] == [-110 * USD, 315 * USD, -60 * USD]
    ledger.apply(ev.Deposit(at_ns=2 * YEAR_NS, account="alice", asset="USD", amount=110 * USD))
    ledger.apply(ev.Accrue(at_ns=3 * YEAR_NS, asset="USD", borrow_ppm=100_000))
    settle_all(ledger)
    assert [ledger.balance(n, "USD") for n in ("alice", "bob", "carol")] == [0, 321 * USD - 1, -66 * USD]
    assert (ledger.balance("interest", "USD"), ledger.balance("rounding", "USD")) == (0, 1)
    assert ledger.balance("fees", "USD") == 0, "a share of 6/315 leaves a reserve of less than a micro, which is dust"


def test_lenders_never_get_more_than_borrowers_pay_per_unit():
    ledger = venue()
    ledger.apply(ev.Deposit(at_ns=0, account="alice", asset="USD", amount=1))
    ledger.apply(ev.Charge(at_ns=0, account="carol", target="insurance", asset="USD", amount=10**15))
    ledger.apply(ev.Accrue(at_ns=YEAR_NS, asset="USD", borrow_ppm=100_000))
    columns = ledger.columns()
    assert columns["borrow_index"].max() == columns["supply_index"].max() == 10**14
    settle_all(ledger)
    assert ledger.balance("fees", "USD") == 10**14 - 1
    assert ledger.balance("interest", "USD") == 0


def test_expiry_pays_both_sides_and_leaves_nothing():
    ledger = venue(cash=100 * USD)
    fill(ledger, "alice", "bob", 3, 10 * 10**9, "BTC-DEC")
    fill(ledger, "alice", "bob", 3, 2 * 10**9, "BTC-C")
    ledger.apply(ev.Expire(at_ns=1, instrument="BTC-DEC", price_nano=12_000_000_333))
    ledger.apply(ev.Expire(at_ns=1, instrument="BTC-C", price_nano=0))
    receipt = ledger.apply(ev.Settle(at_ns=1, account="alice"))
    assert ("expiry", "lots", "BTC-DEC", 3) in lines(receipt)
    assert ledger.balance("alice", "USD") == (100 - 6 + 6) * USD, "36.000000999 less 30, and the premium"
    settle_all(ledger)
    assert ledger.balance("bob", "USD") == (100 + 6 - 6) * USD - 1
    assert (ledger.balance("expiry", "USD"), ledger.balance("rounding", "USD")) == (0, 1)
    assert len(ledger.columns()["lots"]) == 0
    with pytest.raises(InputError, match="has expired"):
        fill(ledger, "alice", "bob", 1, 10**9, "BTC-DEC")


def test_a_bucket_is_filled_by_its_owner_and_takes_only_its_instrument():
    ledger = venue(cash=100)
    ledger.apply(ev.OpenBucket(at_ns=0, owner="alice", bucket="one", instrument="BTC-PERP"))
    ledger.apply(ev.Transfer(at_ns=0, source="alice", target="alice:one", asset="USD", amount=60))
    assert (ledger.balance("alice", "USD"), ledger.balance("alice:one", "USD")) == (40, 60)
    fill(ledger, "alice:one", "bob", 1, 10**3)
    assert ledger.position("alice", "BTC-PERP") == (0, 0)
    for event in (
        ev.Transfer(at_ns=0, source="alice:one", target="bob", asset="USD", amount=1),
        ev.Transfer(at_ns=0, source="bob", target="alice:one", asset="USD", amount=1),
        ev.Withdraw(at_ns=0, account="alice:one", asset="USD", amount=1),
        ev.Deposit(at_ns=0, account="alice:one", asset="USD", amount=1),
        ev.Trade(at_ns=0, maker="bob", taker="alice:one", instrument="BTC-C", lots=1, price_nano=1),
        ev.OpenBucket(at_ns=0, owner="alice:one", bucket="two"),
        ev.OpenBucket(at_ns=0, owner="alice", bucket="one"),
        ev.SetState(at_ns=0, account="alice", state="closed"),
    ):
        with pytest.raises(InputError):
            ledger.apply(event)
    ledger.apply(ev.SetState(at_ns=0, account="alice", state="frozen"))
    assert ledger.account_state("alice:one") == "frozen"


def test_a_debt_is_covered_and_no_more():
    ledger = venue("alice", "bob")
    ledger.apply(ev.Deposit(at_ns=0, account="insurance", asset="USD", amount=50))
    ledger.apply(ev.Charge(at_ns=0, account="alice", target="insurance", asset="USD", amount=30))
    cover = ev.Cover(at_ns=0, fund="insurance", account="alice", asset="USD", amount=31)
    with pytest.raises(InputError, match="at most the 30"):
        ledger.apply(cover)
    ledger.apply(ev.Cover(at_ns=0, fund="insurance", account="alice", asset="USD", amount=30))
    assert (ledger.balance("alice", "USD"), ledger.balance("insurance", "USD")) == (0, 50)


STATES = ("active", "reduce-only", "in-liquidation", "frozen", "closed")
LEGAL = {
    "active": {"reduce-only", "in-liquidation", "frozen", "closed"},
    "reduce-only": {"active", "in-liquidation", "frozen", "closed"},
    "in-liquidation": {"active", "reduce-only", "frozen"},
    "frozen": {"active", "reduce-only", "in-liquidation", "closed"},
    "closed": set(),
}


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("after", STATES)
def test_states_follow_each_other_as_the_table_says(before, after):
    ledger = venue("alice")
    if before != "active":
        ledger.apply(ev.SetState(at_ns=0, account="alice", state=before))
    event = ev.SetState(at_ns=0, account="alice", state=after)
    if after in LEGAL[before]:
        ledger.apply(event)
        assert ledger.account_state("alice") == after
    else:
        with pytest.raises(InputError):
            ledger.apply(event)
        assert ledger.account_state("alice") == before


@pytest.mark.parametrize(
    ("state", "deposit", "withdraw", "reduce", "grow"),
    [
        ("active", True, True, True, True),
        ("reduce-only", True, True, True, False),
        ("in-liquidation", True, False, True, False),
        ("frozen", False, False, False, False),
    ],
)
def test_what_each_state_allows(state, deposit, withdraw, reduce, grow):
    ledger = venue(cash=100)
    fill(ledger, "alice", "bob", 4, 1_000)
    if state != "active":
        ledger.apply(ev.SetState(at_ns=0, account="alice", state=state))
    for allowed, event in (
        (deposit, ev.Deposit(at_ns=0, account="alice", asset="USD", amount=1)),
        (withdraw, ev.Withdraw(at_ns=0, account="alice", asset="USD", amount=1)),
        (grow, ev.Trade(at_ns=0, maker="bob", taker="alice", instrument="BTC-PERP", lots=1, price_nano=1_000)),
        (reduce, ev.Trade(at_ns=0, maker="alice", taker="bob", instrument="BTC-PERP", lots=2, price_nano=1_000)),
        (grow, ev.Trade(at_ns=0, maker="bob", taker="alice", instrument="BTC-PERP", lots=-9, price_nano=1_000)),
    ):
        if allowed:
            assert ledger.apply(event).postings
        else:
            with pytest.raises(InputError):
                ledger.apply(event)


def test_a_key_is_applied_once_and_tells_the_same():
    ledger = venue("alice", "bob")
    first = ledger.apply(ev.Deposit(at_ns=1, key="d1", account="alice", asset="USD", amount=5))
    known = ledger.state_hash()
    again = ledger.apply(ev.Deposit(at_ns=9, key="d1", account="alice", asset="USD", amount=5))
    assert again == first
    assert ledger.state_hash() == known
    late = ledger.apply(ev.Deposit(at_ns=0, key="d1", account="alice", asset="USD", amount=5))
    assert late == first, "a repetition may be older than the ledger"
    with pytest.raises(DuplicateRow, match="another event"):
        ledger.apply(ev.Deposit(at_ns=9, key="d1", account="bob", asset="USD", amount=5))
    with pytest.raises(DuplicateRow, match="another event"):
        ledger.apply(ev.Withdraw(at_ns=9, key="d1", account="alice", asset="USD", amount=5))


def test_a_refused_event_does_not_use_its_key_and_keys_are_forgotten_in_time():
    ledger = Ledger(keys_ns=100)
    ledger.apply(ev.ListAsset(at_ns=0, asset="USD", decimals=6))
    ledger.apply(ev.Open(at_ns=0, account="alice"))
    withdraw = ev.Withdraw(at_ns=1, key="w", account="alice", asset="USD", amount=5)
    with pytest.raises(InputError, match="at most the 0"):
        ledger.apply(withdraw)
    ledger.apply(ev.Deposit(at_ns=1, account="alice", asset="USD", amount=20))
    ledger.apply(withdraw)
    ledger.apply(ev.Deposit(at_ns=101, account="alice", asset="USD", amount=1))
    assert ledger.apply(ev.Withdraw(at_ns=101, key="w", account="alice", asset="USD", amount=5)).sequence == 4
    ledger.apply(ev.Deposit(at_ns=202, account="alice", asset="USD", amount=1))
    assert ledger.apply(ev.Withdraw(at_ns=202, key="w", account="alice", asset="USD", amount=5)).sequence == 7


def test_nothing_is_left_over_after_a_long_day():
    ledger = venue("alice", "bob", "carol", "insurer", cash=7 * USD)
    for k in range(40):
        fill(ledger, ("alice", "bob")[k % 2], ("carol", "insurer")[k % 3 % 2], (7, -3, 2)[k % 3], 333_333_337 + k)
        fund(ledger, (777, -333, 91)[k % 3], 333_444_555)
        ledger.apply(ev.Accrue(at_ns=ledger.at_ns, asset="USD", borrow_ppm=77_777, reserve_ppm=12_345))
    settle_all(ledger)
    money, lots = totals(ledger)
    assert set(money.values()) == set(lots.values()) == {0}
    assert ledger.balance("funding", "USD") == ledger.balance("interest", "USD") == 0


def test_the_example_of_the_page_runs_and_shows_a_fill(capsys):
    page = (ROOT / "docs" / "ledger.md").read_text("utf-8")
    exec(page.split("```python\n")[1].split("```")[0], {})
    shown = capsys.readouterr().out
    assert "Posting(account='alice', part='cost', unit='USD', amount=-1000000000, instrument='BTC-PERP')" in shown
    assert "(10, -1000000000)" in shown


@pytest.mark.parametrize(
    ("name", "at", "value"),
    [("position_instrument", 0, -1), ("position_account", 1, -1), ("position_instrument", 0, 99), ("position_account", 1, 10**6)],
)
def test_positions_of_nobody_in_nothing_are_refused(name, at, value):
    ledger = venue(cash=100)
    fill(ledger, "alice", "bob", 3, 333)
    columns = ledger.columns()
    columns[name][at] = value
    with pytest.raises(UnreadableFile):
        Ledger.from_columns(columns)


def test_the_same_position_twice_and_positions_out_of_order_are_refused():
    ledger = venue(cash=100)
    fill(ledger, "alice", "bob", 3, 333)
    names = ("position_account", "position_instrument", "lots", "cost", "since_pico")
    for order in ([0, 0, 1], [1, 0]):
        columns = ledger.columns()
        for name in names:
            columns[name] = columns[name][order]
        with pytest.raises(UnreadableFile):
            Ledger.from_columns(columns)


def test_a_restored_ledger_goes_on_like_the_one_it_came_from():
    ledger = venue("zoë", "alice", "bob", cash=100 * USD)
    for instrument in ("BTC-PERP", "ETH-PERP", "BTC-DEC"):
        fill(ledger, "zoë", "bob", 3, 333 * 10**6, instrument)
        fill(ledger, "alice", "zoë", 2, 444 * 10**6, instrument)
    restored = Ledger.from_columns(ledger.columns())
    for each in (ledger, restored):
        fill(each, "bob", "zoë", 3, 555 * 10**6, "ETH-PERP")  # one closes, one turns, one opens
        fill(each, "alice", "bob", -2, 555 * 10**6, "BTC-DEC")
        fill(each, "alice", "bob", 1, 555 * 10**6, "BTC-C")
        settle_all(each)
    assert restored.position("alice", "BTC-DEC") == (0, 0)
    assert restored.state_hash() == ledger.state_hash()
