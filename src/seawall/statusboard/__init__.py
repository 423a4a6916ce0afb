"""The status board as other processes see it: its files to the byte, and the reader in Python (the one in C is beside it).

    from seawall.statusboard import BoardReader
    reader = BoardReader("/run/venue/board")
    row = reader.find("alice")
    figures = reader.read(row)       # a Row, or an Unknown that says why

The engine writes it (`engine/status_board.py`). docs/status_board.md has the layout and what a reader may believe.
"""

from __future__ import annotations

from pathlib import Path

from seawall.statusboard.reader import BoardReader, Header, Row, Unknown

__all__ = ["C_INCLUDE", "BoardReader", "Header", "Row", "Unknown"]

C_INCLUDE = Path(__file__).parent
"""The folder with `seawall_board.h`, for a compiler's -I."""
