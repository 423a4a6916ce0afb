"""What every test may use: where development data lies, and how Hypothesis runs.

Tests on data that is not part of the project ask `shared_dir()` and skip with a reason where it is absent.
The same tree gives the same answer: examples of property tests are the same at every run. SEAWALL_EXPLORE=1 (`make explore`,
`make soak`) draws new ones; what that finds becomes a test of its own.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import samples

ROOT = Path(__file__).resolve().parent.parent

settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", settings.get_profile("explore"), derandomize=True, database=None)
settings.load_profile("explore" if os.environ.get("SEAWALL_EXPLORE") else "repeatable")


def shared_dir() -> Path:
    """The folder with market data and published vectors for development.

    SEAWALL_SHARED, or `shared` beside the repository; skips the calling test where there is none.
    """
    folder = Path(os.environ.get("SEAWALL_SHARED", ROOT.parent / "shared"))
    if not (folder / "vectors").is_dir() and not (folder / "data").is_dir():
        pytest.skip(f"no development data at {folder} (set SEAWALL_SHARED to its folder)")
    return folder


def environment() -> dict[str, str]:
    """For child processes: the tests run from a source tree as well as against an installed package."""
    paths = [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}


@pytest.fixture
def sample_document() -> dict:
    """A new copy of the small market's document, see `samples.py`."""
    return samples.market_document()


@pytest.fixture
def sample_market():
    """The small market, loaded."""
    from seawall.market.market import Market

    return Market.from_document(samples.market_document())
