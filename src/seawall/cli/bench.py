"""`seawall bench`: the performance table, measured in one run against named baselines."""

from __future__ import annotations

import typer

NAME = "bench"


def command(
    names: list[str] | None = typer.Argument(None, help="Measures or families to run; default: all."),
    quick: bool = typer.Option(
        False, "--quick", help="A small book, to try the bench; its figures say nothing."
    ),
    json: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
) -> None:
    """Measure Seawall against its peers on the same book. Exit code 1 if a goal is missed (not with
    --quick)."""
    from seawall.cli import output
    from seawall.stress.bench import run

    result = run(names or None, quick=quick, progress=lambda words: output.note(f"bench: {words}"))
    if json:
        output.print_json(result)
    else:
        rows = [
            [m["name"], f"{m['value']:,.4g}", m["unit"], "" if m["goal"] is None else str(m["goal"]),
             "" if m["met"] is None else ("yes" if m["met"] else "NO"), m["baseline"]]
            for m in result["measures"]
        ]  # fmt: skip
        output.print_table(["measure", "value", "unit", "goal", "met", "against"], rows)
    if not quick and any(m["met"] is False for m in result["measures"]):
        raise typer.Exit(1)
