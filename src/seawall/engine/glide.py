"""Announced changes of model parameters that glide instead of jumping.

A change names fields ("maintenance_ppm", or "range_ppm.BTC" inside a dict) and their targets; the
parameters move there in equal stages of the glide, linearly or geometrically. Every stage is
checked before the first is applied, so a glide that would pass through an unsafe set is refused
when it is announced.
"""

from typing import Any

import msgspec

from seawall.core import events
from seawall.core.errors import InputError
from seawall.core.times import format_ns
from seawall.core.units import parse_decimal
from seawall.margin.envelope import check_envelope
from seawall.margin.model import Model

STAGES = 32


class Glide:
    """A change under way: `stage_at(now)` tells how far, `model(stage)` is the model there."""

    def __init__(self, model: Model, event: events.Parameters, market: Any) -> None:
        self.start_ns = event.at_ns
        self.length_ns = event.glide_ns
        self.stage = 0
        if event.glide_ns < 0:
            raise InputError("parameters glide_ns", str(event.glide_ns), "0 or more")
        targets = {path: (_current(model, path), _target(path, text)) for path, text in event.changes.items()}
        stages = STAGES if event.glide_ns else 1
        self.models = [_with(model, targets, (k + 1) / stages, event.shape) for k in range(stages)]
        for staged in self.models:
            check_envelope(staged, market)

    @classmethod
    def going(cls, start_ns: int, length_ns: int, stage: int, models: list[Model]) -> "Glide":
        """One that was checked when it was announced, `stage` of its models behind it."""
        glide = cls.__new__(cls)
        glide.start_ns, glide.length_ns, glide.stage, glide.models = start_ns, length_ns, stage, models
        return glide

    def stage_at(self, now_ns: int) -> int:
        """How many stages have begun: 0 before the first, all at the end."""
        if not self.length_ns:
            return 1
        return min(STAGES, STAGES * (now_ns - self.start_ns) // self.length_ns)

    @property
    def next_stage_ns(self) -> int:
        """The first moment of the stage after the present one."""
        return self.start_ns - (-(self.stage + 1) * self.length_ns // len(self.models))

    @property
    def done(self) -> bool:
        return self.stage == len(self.models)


def next_glide(running: Glide | None, model: Model, event: events.Parameters, market: Any) -> Glide:
    """The glide of an announcement, from where a running one arrives by then; InputError where
    that one is still on its way."""
    if running is not None:
        if running.stage_at(event.at_ns) < len(running.models):
            ends = format_ns(running.start_ns + running.length_ns)
            raise InputError("parameters", "a change while another is on its way", f"one from {ends} on")
        model = running.models[-1]
    return Glide(model, event, market)


def _target(path: str, text: str) -> int:
    number = parse_decimal(text, f"parameters {path}")
    if number != int(number) or number < 0:
        raise InputError(f"parameters {path}", text, "a whole number, 0 or more")
    return int(number)


def _current(model: Model, path: str) -> int:
    field, _, key = path.partition(".")
    if field not in model.parameters.__struct_fields__:
        known = ", ".join(model.parameters.__struct_fields__)
        raise InputError(f"parameters {path}", repr(field), f"a parameter of {model.name}: {known}")
    value = getattr(model.parameters, field)
    if key:
        if not isinstance(value, dict):
            raise InputError(f"parameters {path}", f"{field} has no keys", f"{field} alone")
        value = value.get(key, getattr(model.parameters, f"default_{field}", None))
    if not isinstance(value, int):
        raise InputError(f"parameters {path}", type(value).__name__, "a parameter that is one whole number")
    return value


def _with(model: Model, targets: dict[str, tuple[int, int]], share: float, shape: str) -> Model:
    """The model with every changed parameter `share` of the way; the last stage is exact."""
    changed: dict[str, Any] = {}
    for path, (start, end) in targets.items():
        field, _, key = path.partition(".")
        value = _between(start, end, share, shape)
        if key:
            changed.setdefault(field, dict(getattr(model.parameters, field)))[key] = value
        else:
            changed[field] = value
    return type(model)(msgspec.structs.replace(model.parameters, **changed))


def _between(start: int, end: int, share: float, shape: str) -> int:
    if share >= 1.0:
        return end
    if shape == "geometric" and start > 0 and end > 0:
        return round(start ** (1.0 - share) * end**share)
    return round(start + (end - start) * share)
