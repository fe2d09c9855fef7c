"""Reply plans: all that will go down a connection for one request, as a frozen value. Knows no socket."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

Json = dict[str, Any]


class Carries(StrEnum):
    """What a frame brings, for the truth log."""

    BODY = "body"
    ROLE = "role"
    CONTENT = "content"
    FINISH = "finish"
    USAGE = "usage"
    DONE = "done"
    ERROR = "error"
    OTHER = "other"


class Ending(StrEnum):
    """How the transfer stops once the frames are out."""

    WHOLE = "whole"  # as HTTP says, and the connection may be used again
    CLOSED = "closed"  # as HTTP says, and then an orderly close
    CUT = "cut"  # an orderly close before the announced end
    RESET = "reset"  # a reset before the announced end
    HANG = "hang"  # silence before the announced end, until the client leaves
    DEAF = "deaf"  # as HTTP says, but the connection never answers again


class Framing(StrEnum):
    """How the body's end is told."""

    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"  # by the end of the connection


@dataclass(frozen=True, slots=True)
class Chunk:
    """One event of a stream before it is written: a JSON object, or a literal such as ``[DONE]``.

    `after_ns` is the pause before it; `choice` and `tokens` say whose text it carries and how much.
    """

    data: Json | str
    carries: Carries
    after_ns: int = 0
    tokens: int = 0
    choice: int | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """Bytes that are handed to the kernel in one write, `after_ns` after the frame before was due."""

    data: bytes
    carries: Carries = Carries.OTHER
    after_ns: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, headers (Content-Length and framing excluded), body frames, and the end."""

    status: int
    headers: tuple[tuple[str, str], ...]
    frames: tuple[Frame, ...]
    framing: Framing = Framing.LENGTH
    ending: Ending = Ending.WHOLE
    afterwards: bytes = b""  # bytes written after the end of the message, where a peer expects the next one
    breaks_off: Callable[[], bool] = field(
        default=lambda: False, repr=False
    )  # asked before each frame; true cuts there

    @property
    def body(self) -> bytes:
        """All frames joined."""
        return b"".join(frame.data for frame in self.frames)

    def header(self, name: str) -> str | None:
        """The first value of a header, by name in any case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


def encoded(value: Any) -> bytes:
    """JSON in UTF-8, non-ASCII characters as themselves."""
    return msgspec.json.encode(value)


def event(chunk: Chunk) -> Frame:
    """A chunk as one server-sent event."""
    data = chunk.data.encode() if isinstance(chunk.data, str) else encoded(chunk.data)
    return Frame(b"data: " + data + b"\n\n", chunk.carries, chunk.after_ns, chunk.tokens)


def json_reply(status: int, document: Json, headers: Iterable[tuple[str, str]] = ()) -> Reply:
    """A reply of one JSON document."""
    return Reply(
        status,
        (("Content-Type", "application/json"), *headers),
        (Frame(encoded(document), Carries.BODY),),
    )


def stream_reply(chunks: Iterable[Chunk], headers: Iterable[tuple[str, str]] = ()) -> Reply:
    """A reply of server-sent events, one frame an event."""
    return Reply(
        200,
        (("Content-Type", "text/event-stream; charset=utf-8"), ("Cache-Control", "no-cache"), *headers),
        tuple(event(chunk) for chunk in chunks),
        Framing.CHUNKED,
    )
