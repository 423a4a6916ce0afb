"""What can go wrong between a client and a service: it said no, or it could not be reached."""

from __future__ import annotations

from typing import Any

from seawall.core.errors import SeawallError, one_line

__all__ = ["ServiceError", "Unreachable"]


class ServiceError(SeawallError):
    """The service answered no. status: of HTTP; code, place, found, expected: what it said; verdict: of margin, on 422."""

    exit_code = 1

    def __init__(self, status: int, error: dict[str, Any], verdict: Any = None, retry_s: float = 0.0) -> None:
        super().__init__(status, error)
        self.status = status
        self.code = str(error.get("code", ""))
        self.place = str(error.get("place", ""))
        self.found = str(error.get("found", ""))
        self.expected = str(error.get("expected", ""))
        self.verdict = verdict
        self.retry_s = retry_s

    def __str__(self) -> str:
        return one_line(f"{self.place}: found {self.found}, expected {self.expected} ({self.status} {self.code})")


class Unreachable(SeawallError):
    """No answer came: whether a write was done is not known; the same idempotency key may be sent again."""

    exit_code = 1

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(url, problem)
        self.url = url
        self.problem = problem

    def __str__(self) -> str:
        return one_line(f"{self.url}: {self.problem}; is the service running there?")
