"""`python -m seawall.server.dashboard`: the dashboard as a process of its own, beside a running service.

`seawall serve` starts it where the configuration says so; by hand it can be started, ended and started again at any time.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

import uvicorn

from seawall.core.errors import SeawallError
from seawall.server.dashboard import vendor
from seawall.server.dashboard.app import make_app
from seawall.server.dashboard.run import bound, config_of
from seawall.server.dashboard.service_source import ServiceSource

__all__ = ["main"]

KEY_VARIABLE = "SEAWALL_KEY"
TOKEN_VARIABLE = "SEAWALL_DASHBOARD_TOKEN"


def main() -> int:
    """Serves until SIGTERM or SIGINT. 2: what was asked cannot be."""
    parser = argparse.ArgumentParser(prog="python -m seawall.server.dashboard", description=__doc__)
    parser.add_argument("--service", default="http://127.0.0.1:8460", help="address of the service")
    parser.add_argument("--board", type=Path, required=True, help="the service's status board, a file")
    parser.add_argument("--host", default="127.0.0.1", help=f"beyond loopback a token is needed, in {TOKEN_VARIABLE}")
    parser.add_argument("--port", type=int, default=8461)
    parser.add_argument("--name", action="append", default=[], help="a further host name that a proxy reaches it by")
    asked = parser.parse_args()
    if gone := vendor.missing():
        print(f"the dashboard's browser files are not here ({', '.join(gone)}): run `{vendor.HOW}`", file=sys.stderr)
    try:
        asyncio.run(_serve(asked))
    except SeawallError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


async def _serve(asked: argparse.Namespace) -> None:
    listener = bound(asked.host, asked.port)
    try:
        source = await ServiceSource.open(asked.service, asked.board, os.environ.get(KEY_VARIABLE, ""))
        token = os.environ.get(TOKEN_VARIABLE, "")
        app = make_app(source, host=asked.host, token=token, hosts=tuple(asked.name))
        shown = f"[{asked.host}]" if ":" in asked.host else asked.host
        print(f"dashboard http://{shown}:{listener.getsockname()[1]}/{'?token=…' if token else ''}", file=sys.stderr, flush=True)
        await uvicorn.Server(config_of(app)).serve(sockets=[listener])
    finally:
        listener.close()


if __name__ == "__main__":
    sys.exit(main())
