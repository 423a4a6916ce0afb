"""A program that starts a service on a book and ends when that is written: for tests that kill it before.

    python opening_books.py VENUE_TOML
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from seawall.server.config import load_config
from seawall.server.opening import open_service


async def main() -> None:
    service = await open_service(load_config(Path(sys.argv[1])))
    await service.close()


if __name__ == "__main__":
    asyncio.run(main())
