"""`seawall serve`: runs the service of a venue.toml until a signal ends it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seawall.cli.arguments import AsJson

if TYPE_CHECKING:
    from seawall.server.api.desk import Desk

NAME = "serve"


def command(
    config: Annotated[Path, typer.Option("--config", "-c", help="venue.toml; examples/venue.toml explains each key.")],
    check: bool = typer.Option(False, "--check", help="Only read the configuration and say whether it can be served."),
    json: AsJson = False,
) -> int:
    """Run the service: journal, margin, HTTP and WebSocket API, stream; with --json one line when it is ready."""
    from seawall.cli import output
    from seawall.server.config import load_config
    from seawall.server.keys import Keys
    from seawall.server.run import check_listening, run

    found = load_config(config)
    if check:
        check_listening(found.listen, Keys(found.keys_path))
        if json:
            output.print_json({"config": str(config), "ok": True})
        else:
            print(f"{config}: can be served")
        return 0

    def ready(url: str, desk: Desk) -> None:
        import json as text

        from msgspec import structs

        if json:
            print(text.dumps({"listening": url, "recovered": structs.asdict(desk.service.recovered)}), flush=True)

    run(found, ready)
    return 0
