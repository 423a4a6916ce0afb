"""The performance table: every claim of the README, measured in one run against named baselines."""

from seawall.stress.bench.measure import GOALS, Measure
from seawall.stress.bench.registry import run

__all__ = ["GOALS", "Measure", "run"]
