"""Vectors of Maker's Dog (what goes into an auction) and Clipper (who takes what, restarts, rewards, breaker)."""

import re
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

from seawall.core.times import SECOND_NS
from seawall.liquidation.auction_parts import ActiveList, Breaker
from seawall.liquidation.auction_rules import keeper_reward
from seawall.liquidation.collateral_slices import Sale, Slice, needs_restart, sale_of, slice_of
from seawall.liquidation.conform.maker_refusals import refused_start, refused_take
from seawall.liquidation.conform.reading import exact, fields, name_of, rows, whole
from seawall.liquidation.curves import RAY, Curve, Stair, check_curve, exponential, linear, price
from seawall.margin.conform.fields import Fields
from seawall.margin.conform.reading import BadVector, reads
from seawall.margin.conform.report import Case, Check, Unsupported

__all__ = ["clipper_cases", "dog_cases"]

WAD = 10**18
_WORD = re.compile(r"[a-z0-9]+")


def _same_reason(expected: Any, found: str) -> bool:
    """Whether a source's short name of a refusal says nothing that ours does not."""
    if expected is True:
        return True
    said = set(_WORD.findall(str(expected).lower().split("/")[-1]))
    return bool(said) and said <= set(_WORD.findall(found.lower()))


def _refusal(check: Check, expected: Fields, found: Any) -> bool:
    """Compares a refusal; True if there is nothing more to compare."""
    wanted = expected.take("revert")
    if wanted is None and not isinstance(found, str):
        return False
    if isinstance(found, str):
        met = wanted is not None and _same_reason(wanted, found)
        check.exact("refusal", wanted, wanted if met else found)
    else:
        check.exact("refusal", wanted, "none")
    if wanted is not None:
        expected.done()
    return True


def _figures(check: Check, place: str, expected: Fields, figures: dict[str, int]) -> None:
    """Every figure expected must be one that is computed."""
    for name, value in figures.items():
        if name in expected:
            check.exact(f"{place}{name}", whole(expected.take(name)), value)
    expected.done()


def dog_cases(data: Any) -> list[Case] | None:
    """Cases with an input of collateral, debt and holes."""
    found = data.get("cases") if isinstance(data, dict) else None
    if not isinstance(found, list) or not found:
        return None
    if not all(isinstance(row, dict) and isinstance(row.get("input"), dict) and "ink_wad" in row["input"] for row in found):
        return None
    return [Case(name_of(row, "cases", i), partial(_dog, row)) for i, row in enumerate(found)]


@reads
def _dog(row: dict[str, Any], check: Check) -> None:
    row_fields = fields(row)
    given, expected = fields(row_fields.need("input")), _column(row_fields.need("expect"))
    row_fields.done()
    ink, art, rate = (whole(given.need(name)) for name in ("ink_wad", "art_wad", "rate_ray"))
    chop, dust, spot = (whole(given.need(name)) for name in ("chop_wad", "dust_rad", "spot_ray"))
    total, open_total = whole(given.need("Hole_rad")), whole(given.need("Dirt_rad"))
    bucket, open_bucket = whole(given.need("hole_rad")), whole(given.need("dirt_rad"))
    given.done()
    room = min(total - open_total, bucket - open_bucket)
    sale = sale_of(ink, art, rate, spot, chop, WAD, dust, room)
    if _refusal(check, expected, sale):
        return
    assert isinstance(sale, Sale)
    figures = {
        "lot_wad": sale.collateral,
        "dink_wad": sale.collateral,
        "dart_wad": sale.debt,
        "due_rad": sale.debt * rate,
        "tab_rad": sale.target,
        "art_left_wad": art - sale.debt,
        "ink_left_wad": ink - sale.collateral,
        "Dirt_rad": open_total + sale.target,
        "dirt_rad": open_bucket + sale.target,
    }
    _figures(check, "", expected, figures)


def clipper_cases(data: Any) -> list[Case] | None:
    """Sequences of takes, restarts, rewards, the breaker's levels, refusals, the list of what is active."""
    if not isinstance(data, dict) or not _is_clipper(data):
        return None
    out: list[Case] = []
    for kind, judge in (("take", _take), ("incentive", _incentive), ("circuit_breaker", _breaker)):
        given = enumerate(rows(data.get(kind), kind))
        out += [Case(name_of(row, kind, position), partial(judge, row)) for position, row in given]
    out += _restart_cases(data.get("redo"))
    for kind, refused in (("kick", refused_start), ("take", refused_take)):
        out += _refusal_cases(data.get("reject"), kind, refused)
    if "active_list_swap_remove" in data:
        out.append(Case("active_list_swap_remove", partial(_active, data["active_list_swap_remove"])))
    return out


def _is_clipper(data: dict[str, Any]) -> bool:
    def first(name: str) -> dict[str, Any]:
        value = data.get(name)
        return value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else {}

    redo = data.get("redo")
    return (
        "start" in first("take")
        or "tip_rad" in first("incentive")
        or "kick" in first("circuit_breaker")
        or (isinstance(redo, dict) and "top_ray" in redo)
    )


def _curve(kind: str, given: Fields) -> Curve:
    if kind == "linear":
        curve: Curve = linear(whole(given.need("tau_s")) * SECOND_NS)
    elif kind == "exponential":
        curve = exponential(whole(given.need("cut_ray")))
    elif kind == "stairstep":
        curve = Stair(whole(given.need("cut_ray")), whole(given.need("step_s")) * SECOND_NS)
    else:
        raise Unsupported(f"no curve here is called {kind!r}")
    check_curve(curve)
    return curve


@reads
def _take(row: dict[str, Any], check: Check) -> None:
    """Takers one after the other, at the curve's price."""
    row_fields = fields(row)
    start = fields(row_fields.need("start"))
    steps = rows(row_fields.need("steps"), "steps")
    row_fields.done()
    names = ("tab_rad", "lot_wad", "chost_rad", "top_ray", "cusp_ray", "tail_s")
    tab, lot, chost, top, cusp, tail_s = (whole(start.need(name)) for name in names)
    curve = _curve(str(start.need("curve")), start)
    start.done()
    for number, step in enumerate(steps):
        given = fields(step)
        elapsed_s, amount = whole(given.need("t_s")), whole(given.need("amt_wad"))
        ask = price(curve, top, elapsed_s * SECOND_NS)
        place = f"steps[{number}]."
        if "price_ray" in given:
            check.exact(f"{place}price_ray", whole(given.take("price_ray")), ask)
        most = given.take("max_ray")
        said = [given.take(name) for name in ("expect", "model")]
        columns = [_column(column) for column in said if column is not None] or [_column({})]
        given.done()
        taken: Slice | str
        if not lot or not tab:
            taken = "not-running-auction"
        elif needs_restart(elapsed_s, tail_s, ask, top, cusp, RAY):
            taken = "needs-reset"
        elif most is not None and whole(most) < ask:
            taken = "too-expensive"
        else:
            taken = slice_of(tab, lot, chost, ask, amount)
        if isinstance(taken, Slice):
            tab, lot = tab - taken.owed, lot - taken.collateral
        for column in columns:
            if _refusal(check, column, taken):
                continue
            assert isinstance(taken, Slice)
            figures = {"slice_wad": taken.collateral, "owe_rad": taken.owed, "tab_rad": tab, "lot_wad": lot}
            figures["price_ray"] = ask
            _figures(check, place, column, figures)


def _column(given: Any) -> Fields:
    """Figures expected of a step; a word alone is a refusal."""
    return fields({"revert": given.split("revert:")[-1].strip()} if isinstance(given, str) else given or {})


@reads
def _restart_cases(redo: Any) -> list[Case]:
    if redo is None:
        return []
    given = fields(redo)
    common = {name: given.take(name) for name in ("top_ray", "cusp_ray", "tail_s", "curve", "cut_ray", "step_s")}
    cases, after = rows(given.take("cases"), "redo.cases"), given.take("after")
    given.done()
    out = [Case(f"redo: {name_of(row, 'cases', i)}", partial(_restart, common | row)) for i, row in enumerate(cases)]
    if after is not None:
        out.append(Case("redo: after", partial(_new_top, after)))
    return out


@reads
def _restart(row: dict[str, Any], check: Check) -> None:
    given = fields(row)
    top, cusp, tail_s = (whole(given.need(name)) for name in ("top_ray", "cusp_ray", "tail_s"))
    elapsed_s, expected = whole(given.need("dur_s")), given.need("expect")
    curve = _curve(str(given.need("curve")), given)
    given.done()
    ask = price(curve, top, elapsed_s * SECOND_NS)
    check.exact("needs restart", expected, needs_restart(elapsed_s, tail_s, ask, top, cusp, RAY))


@reads
def _new_top(row: dict[str, Any], check: Check) -> None:
    given = fields(row)
    feed, buf, expected = (exact(given.need(name)) for name in ("feed_at_redo", "buf", "expect_new_top"))
    given.done()
    top = int(feed * RAY) * int(buf * RAY) // RAY
    check.within("new top", expected, Fraction(top, RAY))


@reads
def _incentive(row: dict[str, Any], check: Check) -> None:
    """At a restart nothing is paid for an auction whose target or lot is dusty; a missing figure is not dusty."""
    given = fields(row)
    tip, chip, expected = (whole(given.need(name)) for name in ("tip_rad", "chip_wad", "expect_coin_rad"))
    tab, chost = given.take("tab_rad"), whole(given.take("chost_rad", 0))
    lot, feed = given.take("lot_wad"), given.take("feed_ray")
    given.done()
    dusty = tab is not None and whole(tab) < chost
    if lot is not None and feed is not None:
        dusty = dusty or whole(lot) * whole(feed) < chost
    if tab is None and not dusty:
        raise Unsupported("a reward without the debt that it is a share of")
    found = 0 if dusty else keeper_reward(tip, chip, whole(tab), WAD)
    check.exact("coin_rad", expected, found)


@reads
def _breaker(row: dict[str, Any], check: Check) -> None:
    given = fields(row)
    breaker = Breaker(whole(given.need("level")))
    may = {"kick": breaker.may_start, "redo": breaker.may_restart, "take": breaker.may_bid}
    for name, found in may.items():
        if name in given:
            check.exact(name, given.take(name), found)
    given.done()


def _refusal_cases(reject: Any, kind: str, refused: Callable[[str], tuple[Any, Any]]) -> list[Case]:
    if not isinstance(reject, dict | None):
        raise BadVector("vector", "reject that is no object", "lists of situations")
    words = (reject or {}).get(kind) or []
    if not isinstance(words, list):
        raise BadVector("vector", f"reject.{kind} that is no list", "a list of situations")
    return [Case(f"reject {kind}: {word}", partial(_reject, refused, word)) for word in words]


def _reject(refused: Callable[[str], tuple[Any, Any]], word: Any, check: Check) -> None:
    """The auction takes the same event without the fault, and refuses it with the fault."""
    without, with_fault = refused(str(word))
    check.exact("refused without the fault", None, without)
    check.exact("refused with it", True, with_fault is not None)


@reads
def _active(row: dict[str, Any], check: Check) -> None:
    """Removing one moves the last into its place."""
    given = fields(row)
    active, remove, expected = ActiveList(given.need("start")), given.need("remove"), given.need("expect")
    given.done()
    if not isinstance(expected, list) or len(expected) != len(remove):
        raise TypeError("a list after each removal is expected")
    for number, (gone, after) in enumerate(zip(remove, expected)):
        active.remove(gone)
        check.exact(f"after[{number}]", after, list(active.numbers))
