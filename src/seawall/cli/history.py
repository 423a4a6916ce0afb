"""`seawall history`: real bars from an exchange, into a file that `demo --prices` and `replay` read."""

from __future__ import annotations

from pathlib import Path

import typer

NAME = "history"


def command(
    symbols: list[str] = typer.Argument(help="The exchange's symbols, as BTC/USDT or BTC/USDT:USDT."),
    exchange: str = typer.Option("binance", help="Any exchange that ccxt knows."),
    timeframe: str = typer.Option("5m", help="Length of a bar."),
    start: str = typer.Option(..., "--from", help="First time, as 2025-10-10T00:00:00Z."),
    end: str = typer.Option(..., "--to", help="End, not included."),
    out: Path = typer.Option(Path("history.parquet"), help="Parquet file; an existing one is extended."),
    json: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
) -> None:
    """Download price history from an exchange (resumes where it stopped)."""
    from seawall.cli import output
    from seawall.cli.session import span
    from seawall.feeds.history import CcxtSource, download

    since_ns, until_ns = span(start, end)
    assert since_ns is not None
    assert until_ns is not None
    source = CcxtSource(exchange)
    with output.progress_bar(f"{exchange} {timeframe}", 1.0) as advance:
        share = {}

        def progress(symbol: str, done: int, total: int) -> None:
            share[symbol] = done / max(total, 1)
            advance(sum(share.values()), len(symbols))

        rows = download(
            source, symbols, timeframe, since_ns // 10**6, until_ns // 10**6, out, progress=progress
        )
    if json:
        output.print_json({"file": str(out), "rows": rows, "exchange": exchange, "symbols": symbols})
    else:
        print(f"{rows:,} bars in {out}; next: seawall demo --prices {out}")
