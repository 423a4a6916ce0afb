"""The picture of an explanation, and the figures behind its heat map."""

from __future__ import annotations

import numpy as np
import pytest

from margin import scenes
from seawall.core.errors import InputError
from seawall.margin.explain import explain
from seawall.stress import explained

ROWS = [scenes.perpetual("BTC"), scenes.option("C", "call", 115e3, 24 * 30, 0.5)]
AT = scenes.market(ROWS, {"BTC": 113_000})
LOTS = {"BTC-PERP": 100, "C": -150}


def test_equity_changes_are_values_of_the_moved_market_less_todays():
    found = explain(scenes.book(AT, LOTS, "30000"), AT, "portfolio", "a")
    moves, vols = np.array([-0.2, 0.0, 0.1]), np.array([0.7, 1.0, 1.5])
    changes = explained.equity_changes(AT, found, moves, vols)
    root = np.sqrt(30 / 365)

    def call(spot: float, vol: float) -> float:
        return float(scenes.black(np.array([spot]), 115e3, np.array([vol * root]), 1)[0])

    for v, multiple in enumerate(vols):
        for m, move in enumerate(moves):
            expected = 113_000 * move - 1.5 * (call(113_000 * (1 + move), 0.5 * multiple) - call(113_000, 0.5))
            assert changes[v, m] == pytest.approx(expected, abs=1e-3)
    assert changes[1, 1] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".svg", b"<?xml")])
@pytest.mark.parametrize("model", ["fixed", "portfolio", "derive-standard", "derive-portfolio", "greeks", "value-at-risk"])
def test_a_picture_is_written(tmp_path, suffix, magic, model):
    pytest.importorskip("matplotlib")
    path = tmp_path / f"a{suffix}"
    explained.draw(explain(scenes.book(AT, LOTS, "30000"), AT, model, "a"), AT, path)
    assert path.read_bytes().startswith(magic)


def test_no_picture_of_nothing_or_in_another_format(tmp_path):
    with pytest.raises(InputError, match=r"\.png or \.svg"):
        explained.draw(explain(scenes.book(AT, LOTS), AT, "fixed", "a"), AT, tmp_path / "a.gif")
    with pytest.raises(InputError, match="no positions"):
        explained.draw(explain(scenes.book(AT, {}, "1"), AT, "fixed", "a"), AT, tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []
