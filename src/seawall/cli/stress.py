"""`seawall stress`: what-if at the scale of a venue; so far cascades of liquidations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from seawall.cli.arguments import AsJson, ModelName, Param, Params, ask

if TYPE_CHECKING:
    from seawall.stress.cascade.compare import Compared

NAME = "stress"
app = typer.Typer(
    name=NAME, help="Stress a whole venue: cascades of liquidations. Each takes --json.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def _group() -> None:
    """A group of commands, even while there is one."""


@app.command("cascade")
def cascade(
    book: Path | None = typer.Option(None, help="Book of linear contracts (with --market); default: a modelled, balanced one."),
    market: Path | None = typer.Option(None, help="market.json of the book's instruments."),
    prices: Path | None = typer.Option(None, help="Prices (Parquet, CSV, JSON lines); default: the modelled 2025-10-10."),
    model: ModelName = "cross",
    param: Param = None,
    params: Params = None,
    policy: list[str] | None = typer.Option(None, "--policy", help="dump, slices, dutch, seawall (may be given more than once; default: all)."),
    seeds: int = typer.Option(1, min=1, max=1000, help="How many seeds."),
    seed: int = typer.Option(1, min=0, help="The first of them."),
    accounts: int = typer.Option(3000, min=5, max=100_000, help="Of the modelled book."),
    depth: list[str] | None = typer.Option(None, "--depth", help="NAME=VALUE of the depth model, as return_s=60 (may be given more than once)."),
    keepers: list[str] | None = typer.Option(None, "--keepers", help="NAME=VALUE of the keepers, as down_ppm=800000."),
    exogenous: str | None = typer.Option(None, help="Share of every move taken as given, as 70%; default: the modelled ones, 100% with --prices."),
    out: Path | None = typer.Option(None, help="Folder for cascade.json and the picture of the first seed."),
    picture: str = typer.Option("png", help="png or svg."),
    json: AsJson = False,
) -> None:
    """Liquidations move the price that triggers further ones: policies side by side on the same seeds."""
    from seawall.cli import output
    from seawall.core.errors import InputError, MissingExtra

    if picture not in ("png", "svg"):
        raise InputError("--picture", repr(picture), "png or svg")
    if (book is None) != (market is None):
        raise InputError("--book, --market", "one without the other", "both, or none for a modelled book")
    asked = ask(model, param, params)
    with output.status("preparing"):
        from seawall.stress.cascade.compare import POLICIES, compare

        chosen = list(dict.fromkeys(policy or POLICIES))
        setting = _setting(depth, keepers, exogenous, prices is not None)
        source = _source(book, market, prices, asked.model, accounts)
    with output.progress_bar("running", seeds * len(chosen)) as advance:
        found = compare(source, asked.model, chosen, range(seed, seed + seeds), setting, advance)
    answer = _answer(found, chosen, setting, asked.words)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        try:
            from seawall.stress.cascade.chart import draw

            draw(found.runs, out / f"cascade.{picture}", f"Cascade, seed {seed}: {next(iter(found.runs.values())).path.source}")
            answer["plot"] = str(out / f"cascade.{picture}")
        except MissingExtra as error:
            output.note(f"no picture: {error}")
        import json as codec

        (out / "cascade.json").write_text(codec.dumps(answer, indent=2) + "\n")
    if json:
        output.print_json(answer)
    else:
        _print(answer, seeds)


def _setting(depth: list[str] | None, keepers: list[str] | None, exogenous: str | None, own_prices: bool) -> Any:
    from seawall.core.errors import InputError, show
    from seawall.core.units import parse_decimal
    from seawall.margin.parameters import changed
    from seawall.stress.cascade.depth import DepthParameters
    from seawall.stress.cascade.keepers import KeeperParameters
    from seawall.stress.cascade.setting import Setting

    parts: dict[str, Any] = {
        "depth": changed("the depth model", DepthParameters(), _named(depth, "--depth")).checked(),
        "keepers": changed("the keepers", KeeperParameters(), _named(keepers, "--keepers")).checked(),
    }
    if exogenous is None and not own_prices:
        return Setting(**parts)
    words = "100%" if exogenous is None else exogenous
    share = parse_decimal(words.removesuffix("%").strip(), "--exogenous") * 10_000
    if not words.endswith("%") or share != int(share) or not 0 <= share <= 1_000_000:
        raise InputError("--exogenous", show(words), "a share from 0% to 100%, like 70%")
    return Setting(exogenous_ppm={}, default_exogenous_ppm=int(share), **parts)


def _named(given: list[str] | None, option: str) -> dict[str, Any]:
    """NAME=VALUE as plain values: JSON where it is, else text (which no parameter is)."""
    from seawall.core.errors import InputError, UnreadableFile, show
    from seawall.core.jsontext import parse_json, with_floats

    out: dict[str, Any] = {}
    for words in given or []:
        name, sign, text = words.partition("=")
        if not sign or not name.strip():
            raise InputError(option, show(words), "NAME=VALUE")
        try:
            out[name.strip()] = with_floats(parse_json(text.encode(), f"{option} {name}"))
        except UnreadableFile:
            raise InputError(f"{option} {name}", show(text), "a number, or an object of numbers by underlying") from None
    return out


def _source(book: Path | None, market: Path | None, prices: Path | None, model: Any, accounts: int) -> Any:
    from seawall.core.errors import InputError
    from seawall.feeds.prices import read_prices
    from seawall.stress.cascade.compare import modelled
    from seawall.stress.cascade.venue import VenueMix, given_venue, modelled_venue

    mix = VenueMix(accounts=accounts)
    if book is None and prices is None:
        return modelled(model, mix)
    history = None if prices is None else read_prices(prices)
    if book is None or market is None:
        assert history is not None
        return lambda seed: (modelled_venue(history.ticks.first_prices(), seed, model, mix), history.ticks, str(prices))
    from seawall.ledger.book import Book
    from seawall.market.market import Market
    from seawall.stress.crash import LABEL, modelled_path

    snapshot = Market.load(market)
    venue = given_venue(snapshot, Book.load(book).bind(snapshot), str(book))
    if history is not None:
        return lambda seed: (venue, history.ticks, str(prices))
    if not set(modelled_path(0).names) & set(snapshot.underlyings):
        raise InputError(str(market), "no name of the modelled crash", "--prices with this market's names")
    return lambda seed: (venue, modelled_path(seed), LABEL)


def _answer(found: Compared, chosen: list[str], setting: Any, words: dict[str, Any]) -> dict[str, Any]:
    import msgspec

    from seawall.stress.cascade.compare import totals

    return {
        **words,
        "prices": next(iter(found.runs.values())).path.source,
        "setting": msgspec.to_builtins(setting),
        "policies": {name: totals(found.of(name)) for name in chosen},
        "runs": msgspec.to_builtins(found.outcomes),
    }


def _print(answer: dict[str, Any], seeds: int) -> None:
    from seawall.cli import output

    columns = ["policy", "bad debt bp", "of it inherited", "most", "fund", "ADL", "closed by it %", "deferred", "penalty bp", "overshoot %", "worst name %",
               "liquidated", "closed", "sold %", "bids %", "over-closure", "to safety s"]  # fmt: skip
    names = ("bad_debt_bp", "inherited_bp", "inherited_most_bp", "fund_bp", "adl_bp", "adl_closed_pct", "deferred_bp", "penalty_bp", "overshoot_pct",
             "overshoot_most_pct", "liquidated", "closed", "sold_pct", "bids_pct", "over_closure", "to_safety_s")  # fmt: skip
    rows = []
    for policy, sums in answer["policies"].items():
        places = {"liquidated": 0, "closed": 0, "to_safety_s": 0, "over_closure": 4}
        rows.append([policy, *(f"{sums[name]:,.{places.get(name, 2)}f}" for name in names)])
    output.print_table(columns, rows)
    print(f"{seeds} seed{'s' * (seeds != 1)}; bp and % of open interest; {answer['prices']}")
    if "plot" in answer:
        print(f"picture: {answer['plot']}")
