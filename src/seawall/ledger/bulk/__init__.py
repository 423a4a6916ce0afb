"""Recorded events folded by compiled code, for recovery: `BulkFold`."""

from __future__ import annotations

from .session import BulkFold

__all__ = ["BulkFold"]
