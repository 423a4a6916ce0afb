"""`seawall export`: the accounts of a running service as a CSV file, all of them or those of a status."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from seawall.cli.arguments import AsJson
from seawall.cli.remote import DEFAULT_URL, KeyOption, UrlOption, connect

NAME = "export"
PAGE_ROWS = 100_000


def command(
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write; - for stdout.")] = Path("-"),
    status: str = typer.Option("", help="Only accounts that are ok, margin_call, liquidatable or bankrupt."),
    search: str = typer.Option("", help="Only accounts with this in their name."),
    url: UrlOption = DEFAULT_URL,
    key_file: KeyOption = None,
    json: AsJson = False,
) -> int:
    """Write the table of accounts of a running service as CSV, by name; the file appears when it is whole."""
    from seawall.cli import output

    lines = 0
    rough = out.with_name(out.name + ".part")
    with connect(url, key_file) as client, (sys.stdout.buffer if str(out) == "-" else rough.open("wb")) as file:
        total = client.accounts(status=status, search=search, limit=1).total
        for offset in range(0, max(total, 1), PAGE_ROWS):
            query = {"status": status, "search": search, "offset": offset, "limit": PAGE_ROWS}
            page = b"".join(client.accounts_csv(**query))
            head, _, rows = page.partition(b"\n")
            file.write(page if offset == 0 else rows)
            lines += rows.count(b"\n")
        file.flush()
    if str(out) == "-":
        return 0
    rough.replace(out)
    if json:
        output.print_json({"file": str(out), "accounts": lines})
    else:
        output.note(f"{lines:,} accounts in {out}")
    return 0
