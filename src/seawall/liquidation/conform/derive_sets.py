"""Sets of portfolio-manager parameters that Derive's own tests name, for vectors that only give the name.

Figures of derivexyz/v2-core @ 7736900, test/risk-managers/unit-tests/PMRM (PMRM version 1).
"""

from typing import Any

from seawall.margin.venues.derive_parameters import PortfolioParameters, Scenario

__all__ = ["SETS"]

_STEPS = (1.15, 1.1, 1.05, 1.0, 0.95, 0.9, 0.85)

_DEFAULT: dict[str, Any] = {
    "version": 1,
    "scenarios": tuple(Scenario(spot, vol) for spot in _STEPS for vol in ("up", "none", "down")),
    "vol_range_up": 0.45,
    "vol_range_down": 0.3,
    "short_term_power": 0.3,
    "long_term_power": 0.13,
    "dte_floor_days": 1.0,
    "min_vol_up_shock": 0.0,
    "im_factor": 1.3,
    "mm_factor": 1.0,
    "long_base_static_discount": 0.95,
    "long_rate_mult": 4.0,
    "long_rate_add": 0.05,
    "basis_up": 1.05,
    "basis_down": 0.95,
    "basis_add": 0.25,
    "basis_mult": 0.01,
    "peg_loss_threshold": 0.98,
    "peg_loss_factor": 2.0,
    "conf_threshold": 0.6,
    "conf_margin": 0.5,
    "base_percent": 0.02,
    "mm_perp_percent": 0.02,
    "im_perp_percent": 0.0,
    "mm_option_percent": 0.01,
    "im_option_percent": 0.0,
}
_PORTFOLIO = _DEFAULT | {"long_rate_add": 0.12, "conf_margin": 0.4, "base_percent": 0.025, "mm_perp_percent": 0.025}

SETS = {
    "pmrm1_default": PortfolioParameters(**_DEFAULT),
    "pmrm1_portfolio": PortfolioParameters(**_PORTFOLIO),
}
