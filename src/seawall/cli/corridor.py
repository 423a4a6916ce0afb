"""The certified safe corridor of one account, for `seawall liquidation-price --corridor`."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Any

from seawall.cli import output

if TYPE_CHECKING:
    from seawall.engine.corridor import Corridor, Corridors
    from seawall.margin.model import Model

__all__ = ["find", "print_table", "to_json"]

_PREPARING = "certifying (the engine's kernels compile on the first run)"


def find(book: Any, market: Any, model: Model, account: str) -> Corridors:
    """The corridor from an engine that holds this account alone, with room kept for moves of vols and bases."""
    from seawall.cli import compiling

    with output.status(_PREPARING), compiling.beside(model) as join:
        from seawall.engine.loop import Engine

        join(book, market)
        return Engine(book.bind(market).only(account), market, model, expect_moves=True).corridors(account)


def to_json(found: Corridors) -> dict[str, Any]:
    """Prices as decimal strings, ends included; vol and basis as relative moves, null where any is harmless."""
    from seawall.core.times import format_ns

    lead = None
    if found.lead is not None:
        lead = {
            "underlying": found.lead.underlying,
            "low": _price(found.lead.low_nano),
            "high": _price(found.lead.high_nano),
            "ratios": {name: {"low": low, "high": high} for name, (low, high) in found.lead.ratios.items()},
        }
    return {
        "status": found.status,
        "until": None if found.none else format_ns(found.until_ns),
        "none": found.none or None,
        "underlyings": [
            {
                "underlying": each.underlying,
                "low": _price(each.low_nano),
                "high": _price(each.high_nano),
                "vol": None if each.vol_ppm is None else f"{each.vol_ppm / 1e6:.6f}",
                "basis": None if each.basis_ppm is None else f"{each.basis_ppm / 1e6:.6f}",
            }
            for each in found.corridors
        ],
        "leader": lead,
    }


def print_table(found: Corridors) -> None:
    """The corridor of each underlying, and under which conditions it holds."""
    from seawall.core.times import format_ns

    if found.none:
        print(f"no safe corridor: {found.none}")
        return
    rows = [
        [
            each.underlying,
            *_inward(each),
            f"{each.low_nano / each.price_nano - 1:+.2%}",
            f"{each.high_nano / each.price_nano - 1:+.2%}",
            _room(each.vol_ppm),
            _room(each.basis_ppm),
        ]
        for each in found.corridors
    ]
    title = f"safe corridor: {found.status.replace('_', ' ')} until {format_ns(found.until_ns // 10**9 * 10**9)}"
    if not rows:
        print(f"{title}, at any price: the account holds nothing that has one")
        return
    columns = ["underlying", "from", "to", "below", "above", "vols", "bases"]
    output.print_table(columns, rows, title=title)
    print("proved while every price, vol and basis stays inside its band, whatever the others do inside theirs")
    if found.lead is not None:
        others = ", ".join(found.lead.ratios)
        print(f"cut from wider bands of the price of {found.lead.underlying} and the ratios to it of {others}")


def _price(nano: int) -> str:
    return f"{Decimal(nano).scaleb(-9).normalize():f}"


def _inward(each: Corridor) -> tuple[str, str]:
    """The ends for people: rounded inwards, to about a millionth of the price."""
    from seawall.margin.liquidation import default_tick

    step = default_tick(Decimal(each.price_nano).scaleb(-9))
    low = (Decimal(each.low_nano).scaleb(-9) / step).to_integral_value(ROUND_CEILING) * step
    high = (Decimal(each.high_nano).scaleb(-9) / step).to_integral_value(ROUND_FLOOR) * step
    return f"{low:,f}", f"{high:,f}"


def _room(ppm: int | None) -> str:
    return "any" if ppm is None else f"±{ppm // 10 / 1000:.3f}%"
