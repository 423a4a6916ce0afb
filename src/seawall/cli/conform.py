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
    from seawall.margin.conform import run

    with output.status("running vectors"):
        result = run(paths)
    if json:
        output.print_json(result)
    else:
        rows = [
            [f["file"], *(str(f[k]) for k in ("passed", "failed", "unsupported"))] for f in result["files"]
        ]
        output.print_table(["file", "passed", "failed", "unsupported"], rows)
        for file in result["files"]:
            for failure in file["failures"]:
                output.note(f"{file['file']}: {failure}")
    if any(file["failed"] for file in result["files"]):
        raise typer.Exit(1)
