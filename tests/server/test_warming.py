"""Warming asks what clients ask, changes nothing, and leaves nothing to compile for the first client."""

import time

import pytest

from seawall.engine.clearing import Clearing
from seawall.kernels import account
from seawall.kernels.merge import merge
from seawall.server.load import genesis_of
from seawall.server.looking import Looking
from seawall.server.warming import warm


@pytest.fixture(scope="module")
def venue() -> Looking:
    looking = Looking()
    looking.clearing, looking._clock, looking._seen = Clearing(genesis_of(), 8), time.time_ns, {}
    return looking


def _signatures() -> tuple[int, int]:
    """How many signatures of what a question runs are compiled."""
    kernels = [kernel for kernel in vars(account).values() if hasattr(kernel, "signatures")]
    return len(merge.signatures), sum(len(kernel.signatures) for kernel in kernels)


def test_warming_changes_nothing(venue):
    before = venue.clearing.state_hash(), venue.clearing.sequence
    warm(venue)
    assert (venue.clearing.state_hash(), venue.clearing.sequence) == before


def test_after_warming_a_question_compiles_nothing(venue):
    warm(venue)
    compiled = _signatures()
    assert min(compiled) > 0
    venue.what_if("insurance", [("BTC-PERP", "0.001"), ("ETH-PERP", "-0.01")])
    venue.overview()
    assert _signatures() == compiled
