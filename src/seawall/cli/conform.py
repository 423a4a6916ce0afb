"""`seawall conform`: the models against published test vectors."""

from __future__ import annotations

from pathlib import Path

import typer

NAME = "conform"


def command(
    paths: list[Path] = typer.Argument(help="Vector files, or folders of them."),
    json: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
) -> None:
    """Run published vectors: passed, failed, unsupported per file. Exit code 1 if one fails."""
    from seawall.cli import output
    from seawall.liquidation.conform import run

    with output.status("running vectors"):
        report = run(paths)
    if json:
        output.print_json(report.to_json_object())
    else:
        rows = [[f.file, str(f.passed), str(f.failed), str(f.unsupported)] for f in report.files]
        output.print_table(["file", "passed", "failed", "unsupported"], rows)
        for file in report.files:
            for f in file.failures[:20]:
                difference = f"{f.field} found {f.found}, expected {f.expected} ({f.tolerance})"
                output.note(f"{file.file}: {f.name}: {difference}")
            for reason, count in file.reasons.items():
                output.note(f"{file.file}: {count:,} unsupported: {reason}")
    if not report.ok:
        raise typer.Exit(1)
