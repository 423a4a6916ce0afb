"""Recorded events folded by compiled code, for recovery: `BulkFold`, and `Unwrapped` records of a journal."""

from __future__ import annotations

from .session import BulkFold, receipt_of
from .unwrapped import Unwrapped

__all__ = ["BulkFold", "Unwrapped", "receipt_of"]
