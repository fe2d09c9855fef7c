"""One exchange read as the contract reads it: bodies, chunks, usage, text, ending. Judges nothing.

Every property is derived from the frozen exchange and worked out once. What cannot be read is `None` (or an empty
tuple), never a guess: the facts decide what that means.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chatproof import sse
from chatproof.asked import CHAT_ROUTE, NONCE, Asked
from chatproof.decode import Number, decode_json, decoded
from chatproof.record import BROKEN_OFF, Ending, Transfer

__all__ = [
    "CHAT_ROUTE",
    "DONE",
    "NONCE",
    "SUBSTANCE",
    "Answer",
    "Chunk",
    "Number",
    "Piece",
    "decode_json",
]

DONE = b"[DONE]"


@dataclass(frozen=True, slots=True)
class Chunk:
    """One data event of a stream and the JSON value in it (`None` where it is not JSON)."""

    event: sse.Event
    value: Any

    @property
    def fields(self) -> Mapping[str, Any]:
        """The chunk's members; empty where the event is not a JSON object."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def choices(self) -> tuple[Mapping[str, Any], ...]:
        """The chunk's choices that are objects, in order."""
        found = self.fields.get("choices")
        return tuple(c for c in found if isinstance(c, dict)) if isinstance(found, list) else ()

    @property
    def error(self) -> Mapping[str, Any] | None:
        """The `error` object where the event is an error envelope."""
        found = self.fields.get("error")
        return found if isinstance(found, dict) else None


@dataclass(frozen=True, slots=True)
class Piece:
    """What one chunk said about one choice."""

    chunk: Chunk
    index: Any
    delta: Mapping[str, Any]
    finish: Any  # None where null or absent

    @property
    def content(self) -> str:
        """The visible text this piece adds."""
        found = self.delta.get("content")
        return found if isinstance(found, str) else ""

    @property
    def substance(self) -> bool:
        """Whether it adds anything to the answer: text, reasoning, a refusal or a tool call."""
        return any(self.delta.get(key) for key in SUBSTANCE)


SUBSTANCE = ("content", "reasoning_content", "reasoning", "refusal", "tool_calls", "function_call")


class Answer(Asked):
    """A view of one exchange, of what was asked and of what came; see the module's text."""

    def __repr__(self) -> str:
        return f"<Answer {self.exchange.tag} {self.status} {self.exchange.transfer}>"

    @property
    def status(self) -> int | None:
        """The HTTP status; `None` where no response head came."""
        return self.exchange.status

    @property
    def whole(self) -> bool:
        """Whether the response arrived to its end."""
        return self.exchange.transfer is Transfer.WHOLE

    @cached_property
    def is_error(self) -> bool:
        """Whether the status is 4xx or 5xx."""
        return self.status is not None and self.status >= 400

    @cached_property
    def media_type(self) -> str:
        """The content type without parameters, lower case; empty where absent."""
        return (self.exchange.header("Content-Type") or "").partition(";")[0].strip().lower()

    @cached_property
    def request_id(self) -> str | None:
        """The `X-Request-Id` of the response."""
        return self.exchange.header("X-Request-Id")

    @cached_property
    def reads(self) -> tuple[tuple[bytes, int], ...]:
        """The body's bytes and their instants, with a gzip or deflate coding taken off."""
        coding = (self.exchange.header("Content-Encoding") or "identity").strip().lower()
        raw = tuple((read.data, read.at_ns) for read in self.exchange.reads)
        if coding not in ("gzip", "x-gzip", "deflate"):
            return raw
        inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
        try:
            return tuple((inflate.decompress(data), at_ns) for data, at_ns in raw)
        except zlib.error:
            return raw

    @cached_property
    def body(self) -> bytes:
        """The body's bytes with a gzip or deflate coding taken off."""
        return b"".join(data for data, _ in self.reads)

    @cached_property
    def json(self) -> Any:
        """The body as JSON; `None` where it is not JSON (or is null)."""
        return decoded(self.body)

    @cached_property
    def fields(self) -> Mapping[str, Any]:
        """The members of an unstreamed JSON object; empty otherwise."""
        return self.json if isinstance(self.json, dict) else {}

    @cached_property
    def is_stream(self) -> bool:
        """Whether a 200 answer to `stream: true` is an event stream, by its label or by the look of its bytes."""
        if not self.asked_stream or self.status != 200:
            return False
        looks = self.body[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
        return self.media_type == "text/event-stream" or looks.startswith((b"data:", b":", b"event:"))

    @cached_property
    def is_sync(self) -> bool:
        """Whether this is a 200 answer to a chat request that asked for no stream, nor for anything like one."""
        return self.is_chat and self.status == 200 and not self.asked.get("stream")

    @cached_property
    def stream(self) -> sse.Stream:
        """The body as an event stream, timed by its reads."""
        return sse.parse(self.reads)

    @cached_property
    def chunks(self) -> tuple[Chunk, ...]:
        """Every data event but `[DONE]`, in order."""
        return tuple(Chunk(e, decoded(e.data)) for e in self.stream.events if e.data.strip() != DONE)

    @cached_property
    def dones(self) -> tuple[sse.Event, ...]:
        """The `[DONE]` events, terminated or not."""
        return tuple(e for e in self.stream.events if e.data.strip() == DONE)

    @cached_property
    def stream_error(self) -> Chunk | None:
        """The first error envelope inside the stream."""
        return next((chunk for chunk in self.chunks if chunk.error is not None), None)

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """What each chunk said about each choice, in order of arrival."""
        return tuple(self._pieces())

    def _pieces(self) -> Iterator[Piece]:
        for chunk in self.chunks:
            for choice in chunk.choices:
                delta = choice.get("delta")
                fields = delta if isinstance(delta, dict) else {}
                yield Piece(chunk, choice.get("index", 0), fields, choice.get("finish_reason"))

    @cached_property
    def content(self) -> tuple[Piece, ...]:
        """The pieces that add visible text."""
        return tuple(piece for piece in self.pieces if piece.content)

    @cached_property
    def choices(self) -> tuple[Mapping[str, Any], ...]:
        """The choices of an unstreamed answer that are objects."""
        found = self.fields.get("choices")
        return tuple(c for c in found if isinstance(c, dict)) if isinstance(found, list) else ()

    @cached_property
    def text(self) -> str:
        """All visible text of all choices, choice by choice; streamed or not."""
        if self.is_stream:
            indices = sorted({str(piece.index) for piece in self.content})
            return "".join(p.content for i in indices for p in self.content if str(p.index) == i)
        messages = (choice.get("message") for choice in self.choices)
        texts = (message.get("content") for message in messages if isinstance(message, dict))
        return "".join(text for text in texts if isinstance(text, str))

    @cached_property
    def finishes(self) -> tuple[Any, ...]:
        """The non-null finish reasons, in order of arrival; streamed or not."""
        if self.is_stream:
            return tuple(piece.finish for piece in self.pieces if piece.finish is not None)
        return tuple(reason for c in self.choices if (reason := c.get("finish_reason")) is not None)

    @cached_property
    def usage(self) -> Mapping[str, Any] | None:
        """The `usage` object: the body's, or the last one that a stream's chunks carry."""
        holders = [chunk.fields for chunk in self.chunks] if self.is_stream else [self.fields]
        found = [holder["usage"] for holder in holders if isinstance(holder.get("usage"), dict)]
        return found[-1] if found else None

    def count(self, name: str) -> int | None:
        """A token count of `usage`, where it is a whole number."""
        found = self.usage.get(name) if self.usage else None
        return found if type(found) is int else None

    @cached_property
    def cached_tokens(self) -> int:
        """Cached prompt tokens that `usage` reports; 0 where it says nothing."""
        details = self.usage.get("prompt_tokens_details") if self.usage else None
        found = details.get("cached_tokens") if isinstance(details, dict) else None
        return found if type(found) is int else 0

    @cached_property
    def completion_id(self) -> str | None:
        """The completion's `id`: the body's, or the first chunk's."""
        found = self._named("id")
        return found if isinstance(found, str) and found else None

    @cached_property
    def model(self) -> str | None:
        """The `model` that answered: the body's, or the first chunk's that names one."""
        found = self._named("model")
        return found if isinstance(found, str) and found else None

    def _named(self, key: str) -> Any:
        holders = (chunk.fields for chunk in self.chunks) if self.is_stream else iter([self.fields])
        return next((holder[key] for holder in holders if holder.get(key)), None)

    @cached_property
    def error(self) -> Mapping[str, Any] | None:
        """The `error` object of an error envelope: the body's, or the stream's."""
        if self.is_stream:
            return self.stream_error.error if self.stream_error else None
        found = self.fields.get("error")
        return found if isinstance(found, dict) else None

    @property
    def code(self) -> str | None:
        """The envelope's `code`, where it is a string."""
        found = self.error.get("code") if self.error else None
        return found if isinstance(found, str) else None

    @cached_property
    def ending(self) -> Ending:
        """How the answer ended, by the list that load runs use too."""
        transfer = self.exchange.transfer
        if transfer in BROKEN_OFF and not (transfer is Transfer.STALLED and self.dones):
            return BROKEN_OFF[transfer]
        if self.status == 429:
            return Ending.RATE_LIMITED
        if self.status is None or not 200 <= self.status < 300:
            return Ending.HTTP_ERROR
        if not self.asked_stream:
            return Ending.COMPLETE if self.whole and self.json is not None else Ending.MALFORMED
        if self.stream_error is not None:
            return Ending.ERROR_IN_STREAM
        if not self.is_stream or any(not isinstance(chunk.value, dict) for chunk in self.chunks):
            return Ending.MALFORMED
        finished = bool(self.finishes) and any(event.terminated for event in self.dones)
        return Ending.COMPLETE if finished else Ending.CUT
