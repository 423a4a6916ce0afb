"""The picture of a replay: rates of decisions stay what a clock would count, however rare the ticks are."""

from __future__ import annotations

import pytest

import seawall as sw
from conftest import ROOT
from seawall.feeds.prices import read_prices
from seawall.stress import report
from seawall.stress.replay import Replay


def test_decisions_per_second_are_over_a_step_at_least():
    figure = pytest.importorskip("matplotlib.figure")
    folder = ROOT / "examples"
    market, book = sw.Market.load(folder / "market.json"), sw.Book.load(folder / "book.csv")
    replay = Replay(sw.Engine(book, market, "portfolio"), read_prices(folder / "crash.csv"))
    replay.run()
    times = [sample.at_ns for sample in replay.samples]
    assert len(set(times)) < len(times)  # a tick a minute, a sample every 22 seconds
    axis = figure.Figure().subplots()
    report._decisions(axis, replay)
    drawn = [rate for line in axis.lines for rate in line.get_ydata()]
    assert 0 < max(drawn) <= sum(replay.log.counts.values()) / (replay.step_ns * 1e-9)
