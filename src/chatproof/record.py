"""What was sent, what came and when: the frozen record of one HTTP exchange. Knows nothing of chat.

An :class:`Exchange` is complete when it is made and never judged here. Times are integer nanoseconds of one
monotonic clock; `wall_ns` is the only instant of the calendar, and is there for people and for HAR files.
Secrets never enter a record: the edge that makes it has already put typed markers in their place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

Headers = tuple[tuple[str, str], ...]
ASIDE = "aside-"  # how the steps begin that are not judged


class Transfer(StrEnum):
    """How the bytes of one exchange stopped, as the socket saw it."""

    WHOLE = "whole"  # ended as HTTP says: last chunk, announced length, or an orderly close where neither was given
    CUT = "cut"  # an orderly close before the announced end
    RESET = "reset"  # the peer reset the connection
    STALLED = "stalled"  # silent for longer than the stall limit, after the response had begun
    TIMED_OUT = "timed_out"  # no first byte in time, or the whole exchange took longer than its limit
    REFUSED = "refused"  # no connection: name, address, TLS or proxy
    MALFORMED = "malformed"  # what came was not HTTP
    LEFT = "left"  # we hung up on purpose
    CAPPED = "capped"  # we stopped reading at the byte limit


class Ending(StrEnum):
    """How one stream ended, judged from its bytes and its transfer; only `complete` is success (OWN-01)."""

    COMPLETE = "complete"
    CUT = "cut"
    RESET = "reset"
    ERROR_IN_STREAM = "error_in_stream"
    MALFORMED = "malformed"
    STALLED = "stalled"
    REFUSED = "refused"
    RATE_LIMITED = "rate_limited"
    HTTP_ERROR = "http_error"
    TIMED_OUT = "timed_out"
    LEFT = "left"
    LOST = "lost"
    STILL_RUNNING = "still_running"


BROKEN_OFF: Mapping[Transfer, Ending] = {  # how an answer ended whose transfer did not end whole
    Transfer.REFUSED: Ending.REFUSED,
    Transfer.TIMED_OUT: Ending.TIMED_OUT,
    Transfer.STALLED: Ending.STALLED,
    Transfer.RESET: Ending.RESET,
    Transfer.CUT: Ending.CUT,
    Transfer.MALFORMED: Ending.MALFORMED,
    Transfer.CAPPED: Ending.MALFORMED,
    Transfer.LEFT: Ending.LEFT,
}


@dataclass(frozen=True, slots=True)
class Read:
    """Bytes of the body that one read brought, with the instant it returned; HTTP framing is already off."""

    at_ns: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Tag:
    """Which step of which probe made an exchange, and which attempt of it; unique within a run."""

    probe: str
    step: str
    attempt: int = 1

    @property
    def aside(self) -> bool:
        """Whether the step asked for something that no contract speaks of, such as the balance."""
        return self.step.startswith(ASIDE)

    def __str__(self) -> str:
        return f"{self.probe}/{self.step}" + (f"#{self.attempt}" if self.attempt > 1 else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was sent; header names as sent, secrets replaced by markers."""

    method: str
    url: str
    headers: Headers = ()
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The first value of a header, by name in any case."""
        return next(_values(self.headers, name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and all that came of it."""

    tag: Tag
    request: Request
    wall_ns: int  # calendar time of the start, nanoseconds since 1970
    started_ns: int
    connected_ns: int | None = None  # None: refused, or a kept connection was used again
    sent_ns: int | None = None  # the last byte of the request was handed to the kernel
    headers_ns: int | None = None  # the response's head was complete
    ended_ns: int
    reused: bool = False  # the connection had carried an exchange before
    http_version: str = ""
    status: int | None = None
    headers: Headers = ()
    reads: tuple[Read, ...] = ()
    transfer: Transfer
    detail: str = ""  # the transport's own words when it did not end whole
    lateness_ns: int = 0  # the longest that this client was kept from running during the exchange

    @property
    def body(self) -> bytes:
        """All body bytes that came, without HTTP framing."""
        return b"".join(read.data for read in self.reads)

    def header(self, name: str) -> str | None:
        """The first value of a response header, by name in any case."""
        return next(_values(self.headers, name), None)

    def header_values(self, name: str) -> tuple[str, ...]:
        """Every value of a response header, in order."""
        return tuple(_values(self.headers, name))


def _values(headers: Iterable[tuple[str, str]], name: str) -> Iterator[str]:
    wanted = name.lower()
    return (value for key, value in headers if key.lower() == wanted)
