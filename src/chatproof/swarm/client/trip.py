"""One exchange with a target as values: its bounds, what the transport saw of it, and who takes the body."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from chatproof.record import Headers, Transfer


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one exchange."""

    connect_s: float = 10.0
    first_byte_s: float = 60.0
    silence_s: float = 20.0
    whole_s: float = 600.0
    body_bytes: int = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """What the transport saw of one exchange; instants in nanoseconds of the monotonic clock."""

    started_ns: int
    connected_ns: int | None = None  # None: refused, or a kept connection
    secured_ns: int | None = None
    sent_ns: int | None = None
    first_byte_ns: int | None = None
    headers_ns: int | None = None
    ended_ns: int
    reused: bool = False
    reconnected: bool = False  # the kept connection was closed under the request, which then took a new one
    http_version: str = ""
    status: int | None = None
    headers: Headers = ()
    body_bytes: int = 0
    reads: int = 0
    transfer: Transfer
    detail: str = ""
    kernel_clock: bool = False

    def header(self, name: str) -> str | None:
        """The first value of a response header; `name` in lower case."""
        return next((value for key, value in self.headers if key.lower() == name), None)


class Sink(Protocol):
    """Takes the body; returns a reason to hang up, or None to go on."""

    def coded(self, coding: str) -> None:
        """The body comes in a content coding: `gzip`, `deflate` or another word; told before the first block."""

    def feed(self, at_ns: int, block: bytes) -> Transfer | None:
        """Takes the bytes that one read brought."""
