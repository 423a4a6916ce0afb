"""`seawall efficiency`: what each margin model locks up of a book's collateral, and how much risk that covers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from seawall.margin.efficiency import Efficiency

NAME = "efficiency"


def command(
    book: Path = typer.Argument(help="Book: account, instrument, quantity (Parquet, CSV, JSON lines)."),
    market: Path = typer.Argument(help="market.json, or a folder of Parquet tables."),
    models: list[str] | None = typer.Option(
        None, "--models", "-m", help="fixed,cross,…: these models, or all (default: the five general ones)."
    ),
    prices: Path | None = typer.Option(
        None, help="Coverage of the moves that this price file realised (default: the yardstick's scenarios)."
    ),
    horizon_hours: int = typer.Option(24, min=1, max=8760, help="Of the expected shortfall and of the moves."),
    confidence: str = typer.Option("99%", help="Of the expected shortfall."),
    account: list[str] | None = typer.Option(None, help="Only this account (may be given more than once)."),
    by_account: bool = typer.Option(False, "--by-account", help="A table for each account, and a panel in the picture."),
    out: Path | None = typer.Option(None, help="Write every account under every model to this .parquet or .csv file."),
    plot: Path | None = typer.Option(None, help="Draw the comparison to this .png or .svg."),
    json: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
) -> None:
    """The same book under several models: capital locked and idle, saved against isolated margin, and risk covered."""
    from seawall.cli import output
    from seawall.core.errors import InputError, show

    for path, suffixes in ((plot, (".png", ".svg")), (out, (".parquet", ".csv"))):
        if path is not None and path.suffix not in suffixes:
            raise InputError(str(path), f"a name ending in {show(path.suffix)}", " or ".join(suffixes))
    with output.status("evaluating"):
        found, realised = _found(book, market, models, account, prices, horizon_hours, confidence)
        if plot is not None:
            from seawall.stress import efficiency_chart

            draw = efficiency_chart.draw_accounts if by_account else efficiency_chart.draw
            draw(found, plot)
        if out is not None:
            from seawall.feeds.tables import write_table

            write_table(found.to_polars(), out)
    if json:
        answer: dict[str, Any] = {"book": str(book), "market": str(market), "prices": None if prices is None else str(prices)}
        answer |= found.to_dict()
        if by_account:
            named = enumerate(found.names)
            answer["accounts"] = [{"account": name, "models": found.to_dict([row])["models"]} for row, name in named]
        output.print_json(answer | {"plot": None if plot is None else str(plot)})
        return
    if by_account:
        _print_accounts(found)
    else:
        _print_book(found, realised)
    for under in found.models:
        if under.unsupported:
            output.note(f"{under.model}: {under.unsupported}")
    for kind, written in (("picture", plot), ("table", out)):
        if written is not None:
            print(f"{kind}: {written}")


def _found(
    book: Path,
    market: Path,
    models: list[str] | None,
    account: list[str] | None,
    prices: Path | None,
    horizon_hours: int,
    confidence: str,
) -> tuple[Efficiency, str]:
    """The comparison, and in words which moves coverage counts."""
    from seawall.ledger.book import Book
    from seawall.margin.efficiency import MODELS, efficiency_bound
    from seawall.margin.models import get, names
    from seawall.market.market import Market

    wanted = [name for words in models or [] for name in words.split(",")] or list(MODELS)
    chosen = [get(name) for name in (names() if wanted == ["all"] else dict.fromkeys(wanted))]
    ppm = _confidence_ppm(confidence)
    yardstick: Any = get(
        "expected-shortfall",
        horizon_hours=horizon_hours,
        initial_confidence_ppm=ppm,
        maintenance_confidence_ppm=ppm,
    )
    snapshot = Market.load(market)
    accounts = _chosen(Book.load(book).bind(snapshot), book, account)
    moves, words = None, f"modelled moves over {horizon_hours} h"
    if prices is not None:
        from seawall.core.times import format_ns
        from seawall.feeds.moves import horizon_moves
        from seawall.feeds.prices import read_prices

        held = {snapshot.underlyings[u] for u in set(snapshot.legs.underlying[accounts.leg].tolist())}
        realised = horizon_moves(read_prices(prices, names=held or None), held, horizon_hours)
        moves = realised.moves_ppm or None  # nobody holds anything: nothing can lose
        begin = f"one every {realised.step_hours} h from {format_ns(realised.start_ns)}"
        words = f"realised moves over {horizon_hours} h, {begin}"
    found = efficiency_bound(accounts, snapshot, chosen, moves, yardstick)
    return found, f"{found.moves:,} {words}"


def _chosen(accounts: Any, book: Path, names: list[str] | None) -> Any:
    """The accounts of these names, or all."""
    from seawall.core.errors import InputError

    if not names:
        return accounts
    place = {name: row for row, name in enumerate(accounts.names)}
    for name in names:
        if name not in place:
            raise InputError(str(book), f"no account {name!r}", "an account of the book")
    return accounts.take([place[name] for name in dict.fromkeys(names)])


def _confidence_ppm(words: str) -> int:
    """99% as 990,000."""
    from seawall.core.errors import InputError, show
    from seawall.core.units import parse_decimal

    share = parse_decimal(words.removesuffix("%").strip(), "--confidence") * 10_000
    if not words.endswith("%") or share != int(share) or not 0 < share < 1_000_000:
        raise InputError("--confidence", show(words), "a share above 0% and below 100%, like 97.5%")
    return int(share)


def _share(ppm: int | None) -> str:
    """A share in per cent, rounded down: 99.99 % is not 100 %."""
    return "-" if ppm is None else f"{ppm // 1_000 / 10:,.1f} %"


def _rate(ppm: int | None) -> str:
    """A rate in per cent, rounded up."""
    return "-" if ppm is None else f"{-(-ppm // 100) / 100:,.2f} %"


def _times(ppm: int | None) -> str:
    """A multiple, rounded up."""
    return "-" if ppm is None else f"{-(-ppm // 10_000) / 100:,.2f}"


def _saved(micro: int | None) -> str:
    from seawall.cli import output

    return "-" if micro is None else output.money(0 if abs(micro) < 5_000 else micro)


def _yardstick(found: Efficiency) -> str:
    return f"{found.confidence_ppm / 10_000:g} % over {found.horizon_hours} h"


def _print_book(found: Efficiency, realised: str) -> None:
    from seawall.cli import output

    lines: list[list[str]] = []
    head = ""
    for under in found.models:
        if under.unsupported:
            lines.append([under.model, *["-"] * 8])
            continue
        sums = found.totals(under)
        head = (
            f"{sums.accounts:,} account{'s' * (sums.accounts != 1)}, equity {output.money(sums.equity_micro)} "
            f"{found.settlement}, expected shortfall ({_yardstick(found)}) {output.money(sums.shortfall_micro)}; "
            f"covered: of {realised}"
        )
        lines.append(
            [
                under.model,
                output.money(sums.initial_micro),
                _saved(sums.saved_micro),
                _share(sums.saved_ppm),
                output.money(sums.idle_micro),
                _times(sums.per_shortfall_ppm),
                _share(sums.covered_initial_ppm),
                _share(sums.covered_maintenance_ppm),
                output.money(under.worst_uncovered_micro),
            ]
        )
    columns = ["model", "initial margin", "saved", "saved %", "idle", "margin / ES", "initial covers",
               "maintenance covers", "worst uncovered"]  # fmt: skip
    output.print_table(columns, lines)
    if head:
        print(head)


def _print_accounts(found: Efficiency) -> None:
    from seawall.cli import output

    columns = ["model", "initial margin", "of notional", "margin / ES", "saved", "initial covers", "maintenance covers"]
    for row, account in enumerate(found.names):
        lines = []
        for under in found.models:
            if under.unsupported:
                lines.append([under.model, *["-"] * 6])
                continue
            sums = found.totals(under, [row])
            lines.append(
                [
                    under.model,
                    output.money(sums.initial_micro),
                    _rate(sums.per_notional_ppm),
                    _times(sums.per_shortfall_ppm),
                    _saved(sums.saved_micro),
                    _share(sums.covered_initial_ppm),
                    _share(sums.covered_maintenance_ppm),
                ]
            )
        shortfall = output.money(int(found.shortfall_micro[row]))
        output.print_table(columns, lines, title=f"{account}: expected shortfall ({_yardstick(found)}) {shortfall}")
