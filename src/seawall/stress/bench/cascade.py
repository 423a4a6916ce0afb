"""Cascades: selling everything at market against Seawall's way, over twenty seeds of the modelled 2025-10-10.

Both meet the same book, path, depth, keepers and money. Ratios are of sums over all seeds (bad debt, with what
a fund or backstop lost on positions that it took over) and of means (overshoot below the exogenous price).
"""

from __future__ import annotations

from seawall.margin.models import get
from seawall.stress.bench.measure import Measure, measured
from seawall.stress.bench.setting import Setting as Bench
from seawall.stress.cascade.compare import compare, modelled, totals
from seawall.stress.cascade.setting import Setting
from seawall.stress.cascade.venue import VenueMix

__all__ = ["MEASURES", "measure"]

MEASURES = ("cascade_bad_debt_ratio", "cascade_overshoot_ratio", "adl_overclosure_ratio")
SEEDS = 20


def measure(setting: Bench, names: set[str]) -> list[Measure]:
    """All three come of the same runs."""
    seeds = 1 if setting.quick else SEEDS
    mix = VenueMix(accounts=200) if setting.quick else VenueMix()
    model = get("cross")
    setting.say(f"cascades: {seeds} seeds, two policies")
    found = compare(
        modelled(model, mix), model, ("dump", "seawall"), range(1, seeds + 1), Setting(),
        lambda done: setting.say(f"cascades: run {done} of {2 * seeds}"),
    )  # fmt: skip
    dump, ours = totals(found.of("dump")), totals(found.of("seawall"))
    where = f"{seeds} seeds, {mix.accounts:,} accounts"
    out = []
    if "cascade_bad_debt_ratio" in names:
        words = f"dump {dump['bad_debt_bp']:.2f} bp of open interest against {ours['bad_debt_bp']:.2f} bp; {where}"
        out.append(measured("cascade_bad_debt_ratio", dump["bad_debt_bp"] / max(ours["bad_debt_bp"], 1e-3), words))
    if "cascade_overshoot_ratio" in names:
        words = f"dump {dump['overshoot_pct']:.2f} % against {ours['overshoot_pct']:.2f} %; {where}"
        out.append(measured("cascade_overshoot_ratio", dump["overshoot_pct"] / max(ours["overshoot_pct"], 1e-3), words))
    if "adl_overclosure_ratio" in names:
        words = f"pro rata; the ranked queue of the dump closed {dump['over_closure']:.3f} times what was needed; {where}"
        out.append(measured("adl_overclosure_ratio", ours["over_closure"], words))
    return out
