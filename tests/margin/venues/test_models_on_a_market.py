"""The venue models as ordinary models: on a Market snapshot, with mainnet's parameters, whole lots."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.margin.venues.derive_reference import YEAR, pmrm_v1, pmrm_v2, standard

from seawall.core.errors import InputError, UnsafeParameters
from seawall.kernels.account import evaluate_accounts
from seawall.margin import models
from seawall.margin.venues import dydx_rules
from seawall.margin.venues.derive_parameters import mainnet_portfolio, mainnet_standard
from seawall.market.market import Market

BTC, ETH = "113000", "3900"
EXPIRIES = ("2025-10-11T08:00:00Z", "2025-12-26T08:00:00Z")
SECONDS = {EXPIRIES[0]: 11 * 3600, EXPIRIES[1]: 76 * 86_400 + 11 * 3600}


def option(symbol: str, right: str, strike: str, expiry: str, forward: str, iv: str, lot: str = "0.01") -> dict:
    row = {"symbol": symbol, "kind": "option", "underlying": "BTC", "lot": lot, "right": right}
    return row | {"strike": strike, "expiry": expiry, "forward": forward, "iv": iv}


LISTED = [
    {"symbol": "BTC", "kind": "spot", "underlying": "BTC", "lot": "0.0001", "haircut": "0.08"},
    {"symbol": "BTC-PERP", "kind": "perpetual", "underlying": "BTC", "lot": "0.001", "mark": "112950"},
    option("NEAR-C", "call", "113500", EXPIRIES[0], "113010", "0.61"),
    option("NEAR-P", "put", "111000", EXPIRIES[0], "113010", "0.66"),
    option("FAR-P", "put", "110000", EXPIRIES[1], "113800", "0.53", "0.1"),
    option("FAR-C", "call", "120000", EXPIRIES[1], "113800", "0.52"),
    option("FAR-CP", "put", "120000", EXPIRIES[1], "113800", "0.52"),
]
ETH_PERP = {"symbol": "ETH-PERP", "kind": "perpetual", "underlying": "ETH", "lot": "0.01", "mark": "3895"}


def market(tmp_path, rows: list[dict]) -> Market:
    document = {"as_of": "2025-10-10T21:00:00Z", "settlement": "USD", "rate": "0.04", "instruments": rows}
    document["underlyings"] = {"BTC": {"index": BTC}, "ETH": {"index": ETH}}
    path = tmp_path / "market.json"
    path.write_text(json.dumps(document), "utf-8")
    return Market.load(path)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory) -> Market:
    return market(tmp_path_factory.mktemp("market"), [*LISTED, ETH_PERP])


@pytest.fixture(scope="module")
def tables(snapshot) -> dict:
    makers = {
        "v1": ("derive-portfolio", {"version": 1}),
        "v2": ("derive-portfolio", {}),
        "standard": ("derive-standard", {}),
    }
    return {key: models.get(name, **given).tables(snapshot) for key, (name, given) in makers.items()}


def margin(snapshot: Market, kind: int, tables, book: dict[str, int], cash: float) -> list[int]:
    """equity, initial, maintenance in micro, worst of one account."""
    symbols = list(snapshot.legs.symbols)
    legs = sorted(symbols.index(symbol) for symbol, lots in book.items() if lots)
    out = np.zeros((1, 4), np.int64)
    evaluate_accounts(
        kind,
        tables,
        np.zeros(1, np.int64),
        np.full(1, len(legs), np.int64),
        np.array(legs, np.int32),
        np.array([book[symbols[leg]] for leg in legs], np.int64),
        np.array([round(cash * 1e9)], np.int64),
        out,
    )
    return [int(value) for value in out[0]]


def twin_input(book: dict[str, int], cash: float) -> dict:
    """The same account in the words of the vectors; a perpetual is entered at price 0."""
    rows = {row["symbol"]: row for row in LISTED}
    size = {symbol: lots * float(rows[symbol]["lot"]) for symbol, lots in book.items()}
    options = [
        {
            "sec_to_expiry": SECONDS[rows[symbol]["expiry"]],
            "strike": float(rows[symbol]["strike"]),
            "is_call": rows[symbol]["right"] == "call",
            "amount": amount,
            "vol": float(rows[symbol]["iv"]),
            "mark_vol": float(rows[symbol]["iv"]),
            "vol_confidence": 1.0,
        }
        for symbol, amount in size.items()
        if rows[symbol]["kind"] == "option"
    ]
    sure = {
        "forward_confidence": 1.0,
        "rate_confidence": 1.0,
        "vol_confidence": 1.0,
        "rate": 0.04,
        "forward_fixed": 0.0,
    }
    expiries = [
        sure | {"sec_to_expiry": SECONDS[expiry], "forward": float(forward), "forward_variable": float(forward)}
        for expiry, forward in ((EXPIRIES[0], "113010"), (EXPIRIES[1], "113800"))
    ]
    perp = size.get("BTC-PERP", 0.0)
    paid = perp * 112_950.0
    return {
        "spot": 113_000.0,
        "spot_confidence": 1.0,
        "stable_price": 1.0,
        "cash": cash,
        "base": size.get("BTC", 0.0),
        "perp": {
            "position": perp,
            "price": 112_950.0,
            "confidence": 1.0,
            "unrealised_pnl": paid,
            "unrealised_funding": 0.0,
            "unsettled_cash": paid,
        },
        "collaterals": [
            {
                "amount": size.get("BTC", 0.0),
                "price": 113_000.0,
                "confidence": 1.0,
                "is_risk_cancelling": True,
                "mm_haircut": 0.08,
                "im_haircut": 0.04,
            }
        ],
        "options": options,
        "expiries": expiries,
    }


def raw_parameters(version: int) -> dict:
    p = mainnet_portfolio(version)
    vol = {name: getattr(p, name) for name in ("vol_range_up", "vol_range_down", "short_term_power", "long_term_power")}
    margin_v2 = (
        "mm_factor",
        "im_factor",
        "short_rate_mult",
        "long_rate_mult",
        "short_rate_add",
        "long_rate_add",
    )
    statics = ("long_base_static_discount", "short_base_static_discount")
    other = ("peg_loss_threshold", "peg_loss_factor", "conf_threshold", "conf_margin", "mm_perp_percent")
    more = ("im_perp_percent", "mm_option_percent", "im_option_percent", "base_percent")
    raw = {
        "scenarios": [
            {"spot_shock": s.spot, "vol_shock": s.vol.capitalize(), "dampening": s.dampening} for s in p.scenarios
        ],
        "vol_shock": vol | {"dte_floor_days": p.dte_floor_days, "min_vol_up_shock": p.min_vol_up_shock},
        "skew_shock": {name: getattr(p.skew, name) for name in p.skew.__struct_fields__},
        "margin": {name: getattr(p, name) for name in (*margin_v2, *statics)},
        "other_contingency": {name: getattr(p, name) for name in (*other, *more)},
        "basis_contingency": {
            "scenario_spot_up": p.basis_up,
            "scenario_spot_down": p.basis_down,
            "add_factor": p.basis_add,
            "mult_factor": p.basis_mult,
        },
    }
    if version == 1:
        raw["margin"] |= {"base_static_discount": 0.95, "rate_mult": 1.0, "rate_add": 0.12}
        raw["other_contingency"] |= {"perp_percent": 0.03, "option_percent": 0.02}
    return raw


def standard_input(source: dict) -> dict:
    p = mainnet_standard().markets["BTC"]
    names = ("max_spot_req", "min_spot_req", "mm_call_spot_req", "mm_put_spot_req", "mm_put_mtm_req")
    scales = ("unpaired_im_scale", "unpaired_mm_scale", "mm_offset_scale")
    thresholds = ("perp_threshold", "option_threshold", "base_threshold")
    one = {"name": "BTC"} | {
        key: source[key] for key in ("spot", "spot_confidence", "perp", "base", "options", "expiries")
    }
    parameters = {
        "perp": {"mm": p.perp_mm, "im": p.perp_im},
        "option_margin": {name: getattr(p, name) for name in (*names, *scales)},
        "oracle_contingency": {name: getattr(p, name) for name in thresholds} | {"factor": p.oracle_factor},
        "base_margin": {"margin_factor": p.base_margin_factor, "im_scale": p.base_im_scale},
    }
    params = {"depeg": {"threshold": 0.99, "factor": 2.0}, "markets": {"BTC": parameters}}
    return {"stable_price": 1.0, "cash": source["cash"], "markets": [one], "params": params}


books = st.fixed_dictionaries(
    {row["symbol"]: st.integers(-400, 400).map(lambda n, k=row["kind"]: abs(n) if k == "spot" else n) for row in LISTED}
)


@settings(max_examples=80)
@given(book=books, cash=st.integers(-200_000, 500_000))
def test_books_in_lots_agree_with_the_twins_and_err_against_the_account(book, cash, snapshot, tables):
    source = twin_input(book, float(cash))
    twins = {
        "v1": pmrm_v1(source, raw_parameters(1)),
        "v2": pmrm_v2(source | {"params": raw_parameters(2)}),
        "standard": standard(standard_input(source)),
    }
    for key, twin in twins.items():
        kind = models.get("derive-standard" if key == "standard" else "derive-portfolio").kind
        equity, initial, maintenance, _ = margin(snapshot, kind, tables[key], book, float(cash))
        for name, micro in (("mtm", equity), ("IM", equity - initial), ("MM", equity - maintenance)):
            assert twin[name] - 0.01 <= micro / 1e6 <= twin[name] + 2e-6, (key, name)


@pytest.mark.parametrize("key", ["v1", "v2", "standard"])
def test_requirements_of_two_underlyings_add(key, snapshot, tables):
    kind = models.get("derive-standard" if key == "standard" else "derive-portfolio").kind
    bitcoin, ether = {"BTC-PERP": 120, "FAR-C": -30}, {"ETH-PERP": -500}
    parts = [margin(snapshot, kind, tables[key], book, 0.0) for book in (bitcoin, ether)]
    whole = margin(snapshot, kind, tables[key], bitcoin | ether, 0.0)
    for k in (0, 1, 2):
        assert abs(whole[k] - parts[0][k] - parts[1][k]) <= 1


def test_the_worst_scenario_has_words(snapshot, tables):
    model = models.get("derive-portfolio")
    down = margin(snapshot, model.kind, tables["v2"], {"BTC-PERP": 10}, 0.0)[3]
    assert model.worst_label(down) == "spot -0.18, vol up"
    assert model.worst_label(len(model.parameters.scenarios)) == "basis contingency"
    assert model.worst_label(-1) == ""
    assert margin(snapshot, model.kind, tables["v2"], {}, 5.0) == [5_000_000, 0, 0, -1]


def test_a_settled_expiry_keeps_its_intrinsic_value(tmp_path):
    late = market(tmp_path, LISTED).with_index({"BTC": BTC}, as_of_ns=1_766_736_000_000_000_000)
    for name in ("derive-portfolio", "derive-standard"):
        values = models.get(name).tables(late).values
        symbols = list(late.legs.symbols)
        lot_nano = 10**7
        forward = late.legs.ratio[symbols.index("FAR-CP")] * 113_000.0
        assert values[symbols.index("FAR-CP"), 0] == pytest.approx((120_000.0 - forward) * lot_nano, rel=1e-12)


BAD = {
    "future": {
        "symbol": "F",
        "kind": "future",
        "underlying": "BTC",
        "lot": "0.001",
        "expiry": EXPIRIES[1],
        "mark": "113800",
    },
    "inverse perpetual": {
        "symbol": "I",
        "kind": "perpetual",
        "underlying": "BTC",
        "lot": "10",
        "inverse": True,
        "mark": "113000",
    },
    "basket": {"symbol": "B", "kind": "basket", "lot": "0.1", "weights": {"BTC": "0.5", "ETH": "4"}},
    "forward-start option": {
        "symbol": "S",
        "kind": "option",
        "underlying": "BTC",
        "lot": "0.01",
        "right": "call",
        "strike_fraction": "1.1",
        "strike_fixes": EXPIRIES[0],
        "expiry": EXPIRIES[1],
        "forward": "113800",
        "iv": "0.5",
    },
    "coin-settled option": option("C", "call", "120000", EXPIRIES[1], "113800", "0.52") | {"settled_in": "coin"},
}


@pytest.mark.parametrize("what", sorted(BAD))
@pytest.mark.parametrize("name", ["derive-portfolio", "derive-standard", "dydx"])
def test_what_a_venue_does_not_list_is_refused_by_name(tmp_path, name, what):
    with pytest.raises(InputError) as caught:
        models.get(name).tables(market(tmp_path, [ETH_PERP, BAD[what]]))
    assert BAD[what]["symbol"] in str(caught.value)
    assert what in str(caught.value)


@pytest.mark.parametrize("row", [LISTED[0], LISTED[2]], ids=["spot", "option"])
def test_dydx_lists_perpetuals_only(tmp_path, row):
    with pytest.raises(InputError, match="one of perpetual"):
        models.get("dydx").tables(market(tmp_path, [row]))


@settings(max_examples=80)
@given(lots=st.tuples(st.integers(-5_000, 5_000), st.integers(-5_000, 5_000)), interest=st.integers(0, 4_000_000))
def test_dydx_on_a_market_is_exact(lots, interest, tmp_path_factory):
    rows = [LISTED[1], ETH_PERP | {"open_interest": str(interest)}]
    given_market = market(tmp_path_factory.mktemp("dydx"), rows)
    model = models.get("dydx", tier_of={"BTC": "large", "ETH": "mid"})
    book = {"BTC-PERP": lots[0], "ETH-PERP": lots[1]}
    large = dydx_rules.Tier(50_000, 600_000)
    mid = dydx_rules.Tier(100_000, 500_000, 40_000_000 * 10**6, 100_000_000 * 10**6)
    markets = {
        0: dydx_rules.Perpetual(-3, 112_950, 0, large),
        1: dydx_rules.Perpetual(-2, 3_895, 0, mid, open_interest=interest * 100),
    }
    held = {key: dydx_rules.Position(count) for key, count in enumerate(lots) if count}
    risk = dydx_rules.risk(dydx_rules.Account(0, held), markets)
    found = margin(given_market, model.kind, model.tables(given_market), book, 0.0)
    assert found[:3] == [risk.net_collateral, risk.initial, risk.maintenance]


def test_defaults_discount_longs_and_mark_shorts_up():
    p = mainnet_portfolio(2)
    assert p.long_base_static_discount < 1 < p.short_base_static_discount
    assert len(p.scenarios) == 33
    assert len(mainnet_portfolio(1).scenarios) == 23


@pytest.mark.parametrize(
    ("name", "given_parameters"),
    [
        ("derive-portfolio", {"version": 3}),
        ("derive-portfolio", {"nonsense": 1}),
        ("derive-portfolio", {"im_factor": "much"}),
        ("derive-portfolio", {"im_factor": -1.0}),
        ("derive-portfolio", {"scenarios": []}),
        ("derive-portfolio", {"scenarios": [{"spot": 1.1, "vol": "linear"}]}),
        ("derive-portfolio", {"scenarios": [{"spot": 1.1, "vol": "sideways"}]}),
        ("derive-portfolio", {"version": 1, "scenarios": [{"spot": 1.0, "vol": "abs"}]}),
        ("derive-standard", {"default_market": {"perp_mm": 0.2, "perp_im": 0.1}}),
        ("derive-standard", {"markets": {"BTC": {"perp_mm": -0.1}}}),
        ("dydx", {"default_tier": "none"}),
        ("dydx", {"tiers": {"large": {"initial_ppm": 2_000_000, "maintenance_fraction_ppm": 1}}}),
    ],
)
def test_bad_parameters_are_refused(name, given_parameters):
    with pytest.raises((InputError, UnsafeParameters)):
        models.get(name, **given_parameters)


def test_seconds_of_the_expiries_are_those_of_the_market(snapshot):
    found = {int(round((ns - snapshot.as_of_ns) / 1e9)) for ns in snapshot.legs.block_expiry_ns if ns}
    assert found == set(SECONDS.values())
    assert YEAR == 365 * 86_400
