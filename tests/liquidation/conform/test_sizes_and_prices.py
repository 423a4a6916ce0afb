"""Published vectors of sizes, prices and deleveraging: met where development data lies, and honest about bad files."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import shared_dir
from seawall.core.errors import InputError
from seawall.liquidation import conform

PASSED = {
    "dydx_liquidations": 48,
    "dydx_bankruptcy_fillable": 17,
    "dydx_deleveraging": 39,
    "drift_liquidation": 31,
    "mango_perp_liquidation": 14,
    "aave_v3_liquidation": 12,
}
TIERS = [{"Id": 3, "InitialMarginPpm": 200_000, "MaintenanceFractionPpm": 500_000}, {"Id": 0, "InitialMarginPpm": 10**6}]
FIXTURES = {
    "liquidity_tiers": TIERS,
    "oracle_prices": [{"Id": 0, "Exponent": -5, "Price": 5_000_000_000}, {"Id": 1, "Exponent": -6, "Price": 3_000_000_000}],
    "clob_pairs": {"ClobPair_Btc": {"Id": 0, "QuantumConversionExponent": -8}},
}
BTC = {"id": 0, "market_id": 0, "atomic_resolution": -8, "liquidity_tier": 3}
LONG = {"perpetualId": 0, "deltaQuantums": -21347, "perpetuals": [BTC]}
LONG |= {"assetPositions": [{"AssetId": 0, "Quantums": -13_000_000}]}
LONG |= {"perpetualPositions": [{"PerpetualId": 0, "Quantums": 100_000_000}]}
CARL = {"Id": "Carl", "AssetPositions": [{"AssetId": 0, "Quantums": 54_999_000_000}]}
CARL |= {"PerpetualPositions": [{"PerpetualId": 0, "Quantums": -100_000_000}]}
DAVE = {"Id": "Dave", "AssetPositions": [{"AssetId": 0, "Quantums": 50_000_000_000}]}
DAVE |= {"PerpetualPositions": [{"PerpetualId": 0, "Quantums": 100_000_000}]}
PAIR = {"liquidatedSubaccount": CARL, "offsettingSubaccount": DAVE, "deltaQuantums": 100_000_000}
# figures: dydxprotocol/v4-chain @ 84d4664 (liquidations_test.go, deleveraging_test.go), drift-labs/protocol-v2 @ 0ae3e3b1,
# blockworks-foundation/mango-v4 @ 1303a4a1, aave-dao/aave-v3-origin @ fd1fbd91
FILES: dict[str, dict[str, Any]] = {
    "dydx": {
        "protocol": "dYdX v4",
        "fixtures": FIXTURES,
        "vectors": [
            {
                "name": "TestGetBankruptcyPriceInQuoteQuantums/rounds up",
                "inputs": LONG,
                "expected": {"expectedBankruptcyPriceQuoteQuantums": 2776},
            },
            {
                "name": "TestProcessDeleveraging/well-collateralized",
                "inputs": PAIR,
                "expected": {
                    "expectedLiquidatedSubaccount": {"Id": "Carl"},
                    "expectedOffsettingSubaccount": {"Id": "Dave", "AssetPositions": [{"AssetId": 0, "Quantums": 104_999_000_000}]},
                },
            },
            {"name": "TestIsValidInsuranceFundDelta/0", "inputs": {"insuranceFundDelta": -1}, "expected": {}},
        ],
    },
    "prices": {
        "fillable_price": [
            {
                "name": "long",
                "usdc": -4501,
                "base_quantums": 10_000_000,
                "quote_per_base": 500,
                "mmf": "0.1",
                "bankruptcy_adjustment": "2",
                "smmr": "1/10",
                "expect": "24999/50",
            }
        ],
        "bankruptcy_price": [
            {
                "name": "rounds up long",
                "usdc_quantums": "-13000000",
                "positions": {"BTC": {"base_quantums": "100000000", "quote_per_base": "500"}},
                "close": {"perp": "BTC", "delta": "-21347"},
                "mmf": "0.10",
                "expect_quote_quantums": "2776",
            }
        ],
        "reject": ["delta=0", "no position", "delta same sign as position", "|delta|>|position|"],
    },
    "drift": {
        "protocol": "Drift v2",
        "vectors": [
            {
                "name": "calculate_perp_if_fee::test/0",
                "inputs": {
                    "function": "calculate_perp_if_fee",
                    "margin_shortage": 20_000_000,
                    "user_base_asset_amount": 10_000_000_000,
                    "margin_ratio": 500,
                    "liquidator_fee": 10_000,
                    "oracle_price": 100_000_000,
                    "quote_oracle_price": 1_000_000,
                    "max_if_liquidation_fee": 50_000,
                },
                "expected": 19_000,
            }
        ],
    },
    "mango": {
        "protocol": "Mango v4",
        "vectors": [
            {
                "name": "test_liq_base_or_positive_pnl/pos base liq 3",
                "inputs": {
                    "base_asset_weight": 0.5,
                    "base_liab_weight": 1.5,
                    "overall_asset_weight": 0.5,
                    "positive_pnl_liq_fee": 0.0,
                    "perp_oracle_price": 1,
                    "base_lot_size": 1,
                    "liqee": {"settle_token": 5.0, "base_lots": 20, "quote": -20.0},
                    "max_base_transfer": 100,
                    "max_pnl_transfer": 100,
                },
                "expected": {"settle_token": 5.0, "base_lots": 10, "quote": -10.0, "tolerance": 0.01},
            }
        ],
    },
    "aave": {
        "close_factor": [{"hf": "0.97", "coll_usd": 2000, "debt_usd": 2000, "expect_cf": "0.5"}],
        "seizure": [
            {
                "name": "default_fee",
                "collateral_1e8": 100_000_000,
                "debt_1e6": 20_500_000_000,
                "wbtc_price_1e8": 2_268_000_000_000,
                "bonus_bps": 10_500,
                "protocol_fee_bps": 1_000,
                "lt_bps": 8_600,
                "hf": 0.9514536585365854,
                "max_debt_1e6": 10_250_000_000,
                "seized_to_liquidator": 47_227_732,
                "protocol_fee": 225_971,
                "debt_repaid": 10_250_000_000,
                "deficit": 0,
            }
        ],
        "constants": {"min_leftover_usd": 1000},
        "steward": {"cases": [{"param": "cap"}]},
    },
}
EXPECTED_KEYS = ("expect", "deficit", "seized", "protocol_fee", "debt_repaid", "max_debt", "hf", "min_leftover")


def judged(folder: Path, data: object) -> Any:
    path = folder / "vectors.json"
    path.write_text(json.dumps(data), "utf-8")
    return conform.run([path]).files[0]


@pytest.mark.parametrize("name", PASSED)
def test_published_vectors_are_met(name):
    file = conform.run([shared_dir() / "vectors" / f"{name}.json"]).files[0]
    assert file.failures == ()
    assert file.passed == PASSED[name]
    assert set(file.reasons) <= {"a limit on changes of parameters, not a liquidation"}


@pytest.mark.parametrize("name", FILES)
def test_carried_figures_are_met(name, tmp_path):
    file = judged(tmp_path, FILES[name])
    assert file.failures == ()
    assert file.failed == 0
    assert file.passed >= 1


def leaves(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to every number or word of a document."""
    if isinstance(data, dict):
        return [found for key, value in data.items() for found in leaves(value, (*path, key))]
    if isinstance(data, list):
        return [found for key, value in enumerate(data) for found in leaves(value, (*path, key))]
    return [path]


def replaced(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    out = copy.deepcopy(data)
    at = out
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return out


def expected_leaves() -> list[tuple[str, tuple[Any, ...]]]:
    found = []
    for name, data in FILES.items():
        for path in leaves(data):
            asserted = any(key == "expected" or str(key).startswith(EXPECTED_KEYS) for key in path)
            if asserted and path[-1] not in ("Id", "AssetId", "tolerance") and path[:1] + path[-1:] != ("close_factor", "hf"):
                found.append((name, path))
    return found


@pytest.mark.parametrize(("name", "path"), expected_leaves(), ids=str)
def test_a_figure_that_is_off_by_one_fails(name, path, tmp_path):
    value = FILES[name]
    for key in path:
        value = value[key]
    other = f"{value}1" if isinstance(value, str) else value + 1
    assert judged(tmp_path, replaced(FILES[name], path, other)).failed == 1


JUNK = st.sampled_from([None, "x", "", -1, 0, 10**40, 1.5, True, [], {}, "1/0", "1e999999999", [1], {"Id": 1}])


@settings(max_examples=400)
@given(data=st.data())
def test_a_broken_file_is_refused_in_one_line_or_counted_never_a_traceback(data, tmp_path_factory):
    name = data.draw(st.sampled_from(sorted(FILES)))
    broken = replaced(FILES[name], data.draw(st.sampled_from(leaves(FILES[name]))), data.draw(JUNK))
    refusal = ""
    try:
        file = judged(tmp_path_factory.getbasetemp(), broken)
        counted = file.passed + file.failed + file.unsupported
    except InputError as error:
        refusal, counted = str(error), 0
    assert counted or (refusal and "\n" not in refusal)


def test_a_vector_its_source_does_not_assert_is_unsupported(tmp_path):
    drift = replaced(FILES["drift"], ("vectors", 0, "check"), "skipped: no assertion")
    file = judged(tmp_path, drift)
    assert (file.passed, file.failed, file.unsupported) == (0, 0, 1)
    unknown = replaced(FILES["drift"], ("vectors", 0, "inputs", "left_over"), 5)
    assert judged(tmp_path, unknown).unsupported == 1
