"""The keeper's log: one JSON object a line, with its time and what happened. No secret can get into it.

Fields are the caller's; a value that is, or contains, one of the secrets that the log was told at its beginning is replaced. So even an
error message of a library that quotes a header does not leak a key.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from seawall.core.times import format_ns

__all__ = ["Log"]

HIDDEN = "[hidden]"


class Log:
    """secrets: texts that must not be seen. Lines go to stderr unless said otherwise."""

    def __init__(self, clock: Callable[[], int], secrets: Sequence[str] = (), to: TextIO | None = None) -> None:
        self._clock, self._to = clock, to
        self._secrets = sorted((text for text in secrets if text), key=len, reverse=True)

    def __call__(self, what: str, **fields: Any) -> None:
        """One line."""
        words = {"at": format_ns(self._clock()), "what": what} | fields
        text = json.dumps(words, default=str, ensure_ascii=False)
        for secret in self._secrets:
            text = text.replace(json.dumps(secret, ensure_ascii=False)[1:-1], HIDDEN)
        print(text, file=self._to or sys.stderr, flush=True)
