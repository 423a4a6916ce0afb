"""The one-step rule: a parameter set must survive the worst move between two evaluations.

For every notional X: the worst allowed move of X plus the liquidation fee on the moved notional
is at most the maintenance margin of X (Percolator's solvency envelope, more_margin_engines §2.2,
in our units). Each model states the least maintenance rate it ever charges and the rate needed.
"""

from typing import Any

from seawall.core.errors import UnsafeParameters
from seawall.core.units import PPM
from seawall.margin.model import Model


def check_envelope(model: Model, market: Any) -> None:
    """Raises UnsafeParameters naming the rule, the rate charged and the rate needed."""
    for field in ("step_move_ppm", "liquidation_fee_ppm"):
        # a step or a fee below zero would make every parameter set pass
        if not 0 <= getattr(model, field) <= PPM:
            raise UnsafeParameters(f"model {model.name}, {field}", str(getattr(model, field)), f"0 to {PPM}")
    for place, have_ppm, need_ppm in model.envelope(market):
        if have_ppm < need_ppm:
            raise UnsafeParameters(
                f"model {model.name}, {place}",
                f"maintenance of {have_ppm / 10_000:g} %",
                f"at least {need_ppm / 10_000:g} %: a step of {model.step_move_ppm / 10_000:g} % "
                f"plus a liquidation fee of {model.liquidation_fee_ppm / 10_000:g} %",
            )
