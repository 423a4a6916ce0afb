"""The modelled crash: the public figures are met, the seed decides the rest, and vols rise with the fall."""

from __future__ import annotations

import numpy as np
import pytest

from seawall.stress.board import Smile, make_board
from seawall.stress.crash import NAMES, START_NS, modelled_crash, modelled_path
from seawall.stress.vols import VolSchedule, vol_updates


@pytest.fixture(scope="module")
def ticks():
    return modelled_path(1)


def prices(ticks, name):
    return ticks.price_nano[ticks.name == ticks.names.index(name)] / 1e9


@pytest.mark.parametrize("seed", [0, 1, 7, 20251010, 4_000_000_000])
def test_bitcoin_falls_from_121_500_to_about_102_000_and_comes_part_way_back_inside_an_hour(seed):
    path = prices(modelled_path(seed), "BTC")
    assert path[0] == 121_500
    assert path.min() == pytest.approx(102_000, rel=1e-4)
    assert path.argmin() < 3600
    hour_later = path[3600]
    assert 0.3 < (hour_later - path.min()) / (path[0] - path.min()) < 0.7


@pytest.mark.parametrize("seed", [0, 1, 7, 20251010])
def test_every_coin_falls_as_far_as_its_public_figure_whatever_the_seed(seed):
    ticks = modelled_path(seed)
    for name, (start, fall) in NAMES.items():
        path = prices(ticks, name)
        assert path[0] == pytest.approx(start, rel=1e-5)
        assert path.min() / path[0] == pytest.approx(1 - fall, rel=1e-4)


def test_the_smaller_coins_fall_by_half_to_four_fifths():
    falls = {name: fall for name, (_, fall) in NAMES.items()}
    assert falls["BTC"] < falls["ETH"] < falls["SOL"] < 0.5
    assert all(0.5 < falls[name] <= 0.8 for name in ("XRP", "DOGE", "LINK", "AVAX", "SUI"))


def test_every_name_ticks_every_second_in_time_order(ticks):
    assert (np.diff(ticks.at_ns) > 0).all()
    assert len(ticks) == 8 * (75 * 60 + 1)
    assert (np.bincount(ticks.name) == 75 * 60 + 1).all()


def test_the_seed_decides_the_path():
    again, other = modelled_path(1), modelled_path(2)
    assert np.array_equal(modelled_path(1).price_nano, again.price_nano)
    assert not np.array_equal(again.price_nano, other.price_nano)


def test_the_history_is_labelled_as_modelled():
    _, history = modelled_crash(1, step_s=30.0)
    assert "modelled" in history.source
    assert set(history.series.values()) == {"modelled"}


def test_vols_rise_with_the_fall_and_come_down_slowly():
    board, history = modelled_crash(1, step_s=5.0, schedule=VolSchedule(every_s=60.0, move=0.0))
    symbol = min(
        (s for s in board.symbols if s.startswith("BTC-17OCT25")),
        key=lambda s: abs(float(s.split("-")[2]) - 112_000),
    )
    path = [(update.at_ns, float(update.ivs[symbol])) for update in history.surfaces if symbol in update.ivs]
    minutes = np.array([(at - START_NS) / 60e9 for at, _ in path])
    vols = np.array([vol for _, vol in path])
    calm, peak = vols[minutes < 8].mean(), vols[(minutes > 35) & (minutes < 40)].max()
    assert peak > 1.5 * calm
    assert calm < vols[-1] < peak


def test_a_vol_update_lists_only_what_changed_and_never_an_expired_option():
    board, history = modelled_crash(1, step_s=10.0)
    assert history.surfaces
    assert all(update.ivs and update.ivs.keys() <= set(board.symbols) for update in history.surfaces)
    late = int(board.option_expiry_ns.min()) + 1
    vols = board.vols(late, np.array([p for p, _ in NAMES.values()]), np.zeros(8))
    assert np.isnan(vols[board.option_expiry_ns < late]).all()
    assert np.isfinite(vols[board.option_expiry_ns > late]).all()


def test_vol_updates_can_be_coarse_or_left_out():
    board, history = modelled_crash(1, step_s=10.0)
    assert vol_updates(board, history.ticks, VolSchedule(every_s=0, move=0)) == ()
    few = vol_updates(board, history.ticks, VolSchedule(every_s=1, move=0, limit=10))
    assert 5 <= len(few) <= 12


def test_a_board_of_any_size_has_the_asked_share_of_options_and_no_symbol_twice():
    prices = {name: str(price) for name, (price, _) in NAMES.items()}
    board = make_board(prices, START_NS, instruments=2000, option_share=0.9)
    symbols = [row["symbol"] for row in board.document["instruments"]]
    assert len(symbols) == len(set(symbols)) == 2000
    assert len(board.symbols) == 1800


def test_no_contract_of_a_board_expires_before_the_end_that_it_is_made_for():
    year = 365 * 86_400 * 10**9
    board = make_board({"BTC": "60000"}, START_NS, until_ns=START_NS + year)
    assert board.option_expiry_ns.min() > START_NS + year


@pytest.mark.parametrize("stress", [0.0, 0.5, 1.0])
def test_the_modelled_smile_is_free_of_butterfly_and_calendar_arbitrage(stress):
    smile = Smile()
    k = np.linspace(-1.5, 1.5, 601)
    previous = np.zeros_like(k)
    for days in (0.5, 1, 2, 7, 14, 28, 77, 168):
        years = np.full_like(k, days / 365)
        atm = smile.atm(np.full_like(k, 0.85), years, np.full_like(k, stress))
        w = smile.vols(k, years, atm) ** 2 * years
        inside = np.abs(k) < 10 * atm * np.sqrt(years)
        assert (w > previous)[inside].all()
        first, second = np.gradient(w, k), np.gradient(np.gradient(w, k), k)
        density = (1 - k * first / (2 * w)) ** 2 - first**2 / 4 * (1 / w + 0.25) + second / 2
        assert (density[5:-5] > -1e-6)[inside[5:-5]].all()
        previous = w
