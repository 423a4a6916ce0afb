"""What the screen shows of accounts that are being closed: sections of the live view made from what a source has heard.

Amounts stay the decimals that the service said. A curve travels as its shape, in 1/10,000 of its largest figure: that
changes only when the auction does, while its price, which changes with every market, is one number of its row.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from typing import Any

from seawall.server.dashboard.fold import RINGS, View
from seawall.server.dashboard.source import ClosingSeen

__all__ = ["AUCTIONS_MOST", "CLOSINGS_MOST", "LAYERS", "STAGES", "Sections", "age_ms", "sections", "words_of"]

STAGES = ("rescue", "selling", "auction", "backstop", "funds", "deleveraging")
LAYERS = ("account", "proceeds", "tranche", "backstop", "fund", "deleveraging", "deferred")
AUCTIONS_MOST = 100  # on the screen, those with the largest requirement
CLOSINGS_MOST = 200
SETTLED_MOST = 8
EXITS_MOST = 8
NEVER = -1
"""Age in ms of what was never heard."""


Curves = dict[int, tuple[Any, list[float], list[float], list[list[float]]]]
"""Of an auction: the curve as it was answered, its seconds and prices as numbers, and its shape."""


class Sections:
    """Makes the sections; those whose answers have not changed since the last call are not made again."""

    def __init__(self) -> None:
        self._of: tuple[Any, ...] = ()
        self._made: View = {}
        self._curves: Curves = {}

    def make(self, seen: ClosingSeen) -> View:
        """As `sections`."""
        of = (seen.why, seen.closings, seen.auctions, seen.waterfall)
        if len(self._of) != len(of) or any(old is not new for old, new in zip(self._of, of, strict=True)):
            self._of, self._made = of, sections(seen, self._curves)
            running = {one["auction"] for one in seen.auctions.get("auctions", ())}
            self._curves = {number: known for number, known in self._curves.items() if number in running}
        return self._made | {"news": _news(seen)}


def sections(seen: ClosingSeen, known: Curves | None = None) -> View:
    """"closing" (figures of the whole), "closings" (by account), "auctions" and "curves" (by number), "news" (a ring).
    known: curves read before, which are not read again; new ones are added."""
    read: Curves = {} if known is None else known
    if seen.why:
        return {"closing": {"why": seen.why}, "closings": {}, "auctions": {}, "curves": {}, "news": []}
    auctions = sorted(seen.auctions.get("auctions", ()), key=lambda one: (-float(one["requirement"]), one["auction"]))
    closings = seen.closings.get("closings", ())[:CLOSINGS_MOST]
    return {
        "closing": _whole(seen, auctions),
        "closings": {one["account"]: _closing(one) for one in closings},
        "auctions": {str(one["auction"]): _auction(one, read) for one in auctions[:AUCTIONS_MOST]},
        "curves": {str(one["auction"]): _points(one, read)[3] for one in auctions[:AUCTIONS_MOST] if one["curve"]},
        "news": _news(seen),
    }


def _news(seen: ClosingSeen) -> list[list[Any]]:
    """Points of a ring: [n, time ms, what, account, words]."""
    owners = {one["auction"]: one["owner"] for one in seen.auctions.get("auctions", ())}

    def account(data: dict[str, Any]) -> str:
        return str(data.get("account") or owners.get(data.get("auction"), ""))

    return [
        [one["n"], one["at_ms"], one["data"]["what"], account(one["data"]), words_of(one["data"])]
        for one in seen.news[-RINGS["news"] :]
    ]


def age_ms(seen: ClosingSeen) -> int:
    """How long ago the oldest of the answers came; NEVER where none has."""
    return int((time.monotonic() - seen.heard_s) * 1000) if seen.heard_s else NEVER


def _whole(seen: ClosingSeen, auctions: list[dict[str, Any]]) -> View:
    """Counts and levels. stages: of all closings where the service says so, else of those that it listed."""
    closings, waterfall = seen.closings, seen.waterfall
    listed = closings.get("closings", ())
    stages = closings.get("stages")
    if stages is None:
        stages = {name: sum(one["stage"] == name for one in listed) for name in STAGES}
    insolvent = sum(bool(one["insolvent"]) for one in auctions)
    running = seen.auctions.get("total", len(auctions))
    return {
        "why": "",
        "at_ms": seen.auctions.get("at_ns", 0) // 1_000_000,
        "asset": waterfall.get("asset", ""),
        "total": closings.get("total", 0),
        "listed": min(len(listed), CLOSINGS_MOST),
        "waiting": closings.get("waiting", 0),
        "stages": {name: stages.get(name, 0) for name in STAGES},
        "auctions": [running, len(auctions) - insolvent, insolvent, sum(bool(one["due"]) for one in auctions)],
        "requirement": f"{sum(float(one['requirement']) for one in auctions):.2f}",
        "breaker": seen.auctions.get("breaker"),
        "stale": list(seen.auctions.get("stale", ())),
        "tranches": [[one["market"], one["balance"]] for one in waterfall.get("tranches", ())],
        "vaults": [_vault(one) for one in waterfall.get("vaults", ())],
        "fund": waterfall.get("fund"),
        "claims": waterfall.get("claims"),
        "totals": {name: waterfall.get("totals", {}).get(name) for name in LAYERS},
        "settled": [_settled(one) for one in _newest(waterfall.get("settled", ()))],
    }


def _newest(settled: Any) -> list[dict[str, Any]]:
    """The newest first, whichever way they are listed."""
    return sorted(settled, key=lambda one: -int(one["sequence"]))[:SETTLED_MOST]


def _vault(one: dict[str, Any]) -> View:
    exits = [[each["at_ns"] // 1_000_000, each["amount"]] for each in one["exits"][:EXITS_MOST]]
    names = ("bucket", "total", "capacity", "stopped", "providers")
    return {name: one[name] for name in names} | {"exits": exits, "inventory": list(one["inventory"][:EXITS_MOST])}


def _settled(one: dict[str, Any]) -> View:
    paid = {each["layer"]: each["paid"] for each in one["layers"]}
    names = ("sequence", "account", "market", "need", "residual")
    return {name: one[name] for name in names} | {"at_ms": one["at_ns"] // 1_000_000, "paid": paid}


def _closing(one: dict[str, Any]) -> list[Any]:
    """[stage, episode, breached ms, equity, maintenance, market, bucket, auction or 0, orders]; an order is
    [instrument, quantity, limit or None, lane]."""
    orders = [[order["instrument"], order["quantity"], order["limit"], order["lane"]] for order in one["orders"]]
    names = ("equity", "maintenance", "market", "bucket", "auction")
    return [one["stage"], one["episode"], one["breached_ns"] // 1_000_000, *(one[name] for name in names), orders]


def _auction(one: dict[str, Any], read: Curves) -> list[Any]:
    """[owner, bucket, insolvent, version, elapsed s, price, largest share, value, requirement, health, due, fresh, bids,
    cash, positions, the largest of them, the curve's largest figure or None]."""
    legs = sorted(one["legs"], key=lambda leg: -abs(float(leg["quantity"]) * float(leg["mark"])))
    largest = [legs[0]["instrument"], legs[0]["quantity"]] if legs else ["", "0"]
    names = ("price", "share_most", "value", "requirement", "health")
    elapsed_s = round(float(one["elapsed_s"]), 1)
    return [
        one["owner"], one["bucket"], int(one["insolvent"]), one["version"], elapsed_s, *(one[name] for name in names),
        int(one["due"]), int(one["fresh"]), one["bids"], one["cash"], len(legs), largest, _scale(one, read),
    ]  # fmt: skip


def _points(one: dict[str, Any], read: Curves) -> tuple[Any, list[float], list[float], list[list[float]]]:
    """An auction's curve as numbers, with its shape: [seconds…], [1/10,000 of the largest figure…]. One that stayed the same
    answer is read once."""
    curve, number = one["curve"], one["auction"]
    if number not in read or read[number][0] is not curve:
        seconds, prices = [float(each) for each, _ in curve], [float(each) for _, each in curve]
        unit = 10_000 / (max((abs(price) for price in prices), default=0.0) or 1.0)
        read[number] = (curve, seconds, prices, [[round(each, 1) for each in seconds], [round(price * unit) for price in prices]])
    return read[number]


def _scale(one: dict[str, Any], read: Curves) -> float | None:
    """What the largest figure of the curve's shape is at present figures, from the price now: the curve may be of a while ago, or
    of another auction under the same terms."""
    _, seconds, prices, _ = _points(one, read)
    if not seconds:
        return None
    price, elapsed_s = float(one["price"]), float(one["elapsed_s"])
    after = min(bisect_left(seconds, elapsed_s), len(seconds) - 1)
    before = max(after - 1, 0)
    long_s = seconds[after] - seconds[before]
    share = min(max((elapsed_s - seconds[before]) / long_s, 0.0), 1.0) if long_s > 0 else 1.0
    now = prices[before] + share * (prices[after] - prices[before])
    most = max(abs(each) for each in prices)
    return round(price * most / now, 2) if now else most


# -- messages of the stream in words -----------------------------------------------------------

_LEFT_OUT = ("what", "account", "number", "at_ns", "episode", "version")
LAYER_WORDS = {"tranche": "tranche", "backstop": "providers", "fund": "fund", "deleveraging": "deleveraging", "deferred": "claims"}


def words_of(data: dict[str, Any]) -> str:
    """What a message of the stream says, for people: money to the cent, all else as it has it. Kinds that are not known here
    are told field by field, so that nothing is hidden."""
    made = _WORDS.get(data["what"])
    if made is not None:
        try:
            return made(data)
        except (KeyError, TypeError):
            pass  # the message has other fields than these words need: field by field, then
    return " · ".join(_fields(data))


def _fields(data: dict[str, Any], prefix: str = "") -> list[str]:
    out: list[str] = []
    for name, value in data.items():
        if prefix == "" and name in _LEFT_OUT or value in (None, "", [], {}):
            continue
        if isinstance(value, dict):
            out += _fields(value, f"{prefix}{name} ")
        elif isinstance(value, list):
            each = [" ".join(map(str, one.values())) if isinstance(one, dict) else str(one) for one in value[:4]]
            out.append(f"{prefix}{name} {', '.join(each)}")
        else:
            out.append(f"{prefix}{name.replace('_', ' ')} {value}")
    return out


def _cents(text: str) -> str:
    return f"{float(text):,.2f}".replace("-", "−")


def _order(data: dict[str, Any]) -> str:
    limit = data["limit"]
    return f"{data['quantity']} {data['instrument']} {'at any price' if limit is None else f'within {limit}'}, {data['lane']}"


def _staged(data: dict[str, Any]) -> str:
    figures = f"equity {_cents(data['equity'])}, maintenance {_cents(data['maintenance'])}"
    return f"{data['from']} → {data['to']}: {data['why']} · {figures}"


def _paid(data: dict[str, Any]) -> str:
    layers = ", ".join(f"{LAYER_WORDS[one['layer']]} {_cents(one['paid'])}" for one in data["layers"] if float(one["paid"]))
    return f"shortfall {_cents(data['need'])}: {layers or 'nobody could pay'}"


def _rested(data: dict[str, Any]) -> str:
    residual = data.get("residual") or "0"
    return str(data["cause"]) + (f", {_cents(residual)} became claims" if float(residual) else "")


_WORDS: dict[str, Any] = {
    "staged": _staged,
    "place-order": _order,
    "deleverage": _order,
    "sold": lambda d: f"{float(d['share']):.1%} to {d['bidder']} for {_cents(d['paid'])}, auction {d['auction']}",
    "started": lambda d: f"auction {d['auction']}: requirement {_cents(d['requirement'])}",
    "ended": lambda d: f"auction {d['auction']}: {d['cause']}",
    "rested": _rested,
    "settled": _paid,
    "executed": lambda d: f"{d['order']} is over" if "quantity" not in d else f"{d['quantity']} {d['instrument']} at {d['price']} against {d['maker']}",
    "deleveraged": lambda d: f"{d['quantity']} {d['instrument']} against {len(d['parts'])} of the other side",
    "backstop-due": lambda d: f"auction {d['auction']}: {float(d['share']):.1%} for {_cents(d['price'])}, and nobody buys",
    "bid": lambda d: f"{d['bidder']} for {float(d['share']):.1%}, auction {d['auction']}",
    "refused": lambda d: f"{d['event']}: {d['reason']}",
    "residual": lambda d: f"{d['quantity']} {d['instrument']} that nobody can bear",
}
