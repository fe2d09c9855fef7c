"""Refusals as values: the problem of one request, before it becomes an envelope."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request is refused: public code, HTTP status, and the rule that said so.

    `param` is an RFC 6901 pointer to the field at fault; `headers` go with it (Retry-After, Allow).
    """

    status: int
    code: str
    message: str
    retryable: bool = False
    param: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    rule: str = ""


def invalid(message: str, param: str | None = None) -> Problem:
    """A request that is wrong in itself: 400 invalid_request."""
    return Problem(400, "invalid_request", message, param=param)
