"""One finished request as the run's row: transport, fold and schedule put together. Judges only how it ended.

The ending is conformance's (`answer.Answer.ending`), worked out from the fold instead of the whole body.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chatproof.answer import Number, decode_json
from chatproof.metrics import StreamRow
from chatproof.record import BROKEN_OFF, Ending, Read, Transfer
from chatproof.swarm.asking.ask import Ask
from chatproof.swarm.client.transport import KERNEL_CLOCK
from chatproof.swarm.client.trip import Trip
from chatproof.swarm.streams.stream import INFLATED, StreamFold

BODY_CAP = 1 << 16  # of an unstreamed answer or an error: more is not judged


class Collector:
    """The sink of any answer: keeps the first bytes as they are, and folds them too where a stream was asked for."""

    def __init__(self, fold: StreamFold | None) -> None:
        self.fold = fold
        self.reads: list[Read] = []
        self.size = 0
        self.coding = ""
        self.first_byte_ns: int | None = None

    def coded(self, coding: str) -> None:
        """The body comes in this content coding."""
        self.coding = coding
        if self.fold is not None:
            self.fold.coded(coding)

    def feed(self, at_ns: int, block: bytes) -> Transfer | None:
        """Takes what one read brought."""
        if self.first_byte_ns is None:
            self.first_byte_ns = at_ns
        if self.fold is None or self.size < 2048:  # of a stream the beginning tells what it is instead
            if self.size < BODY_CAP:
                self.reads.append(Read(at_ns, block))
            self.size += len(block)
        return self.fold.feed(at_ns, block) if self.fold is not None else None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where and when a request belongs in its run; `epoch_ns` is the run's zero."""

    scenario: str
    worker: str
    model: str
    epoch_ns: int
    intended_ns: int


def stream_ending(trip: Trip, fold: StreamFold, looks: bytes) -> Ending:
    """How an answer to `stream: true` ended."""
    if trip.transfer in BROKEN_OFF and not (trip.transfer is Transfer.STALLED and fold.dones):
        return BROKEN_OFF[trip.transfer]
    if trip.status == 429:
        return Ending.RATE_LIMITED
    if trip.status is None or not 200 <= trip.status < 300:
        return Ending.HTTP_ERROR
    if fold.error is not None:
        return Ending.ERROR_IN_STREAM
    if trip.status != 200 or not _is_stream(trip, looks) or fold.bad_events:
        return Ending.MALFORMED
    return Ending.COMPLETE if fold.finishes and fold.dones_terminated else Ending.CUT


def sync_ending(trip: Trip, value: object) -> Ending:
    """How an answer to an unstreamed request ended."""
    if trip.transfer in BROKEN_OFF:
        return BROKEN_OFF[trip.transfer]
    if trip.status == 429:
        return Ending.RATE_LIMITED
    if trip.status is None or not 200 <= trip.status < 300:
        return Ending.HTTP_ERROR
    return Ending.COMPLETE if value is not None else Ending.MALFORMED


def row_of(ask: Ask, origin: Origin, trip: Trip, sink: Collector) -> StreamRow:
    """The row of a request whose trip is over and whose fold is closed."""
    fold = sink.fold
    body = plain(b"".join(read.data for read in sink.reads), sink.coding)
    refused = trip.status is not None and trip.status >= 400
    value = _json(body) if (fold is None or refused) and sink.size <= BODY_CAP else None
    fields: Mapping[str, Any] = value if isinstance(value, dict) else {}
    streamed = fold is not None and not refused
    ending = stream_ending(trip, fold, body[:64]) if fold is not None else sync_ending(trip, value)
    usage = (fold.usage if fold is not None and streamed else fields.get("usage")) or {}
    usage = usage if isinstance(usage, dict) else {}
    tokens = _whole(usage.get("completion_tokens"))
    approximate = fold is not None and tokens is None and fold.content_events > 0
    error = fold.error if fold is not None and streamed else fields.get("error")
    named = fold.envelope[3] if fold is not None and fold.envelope is not None else fields.get("model")
    zero = origin.epoch_ns

    def at(instant: int | None) -> int | None:
        return None if instant is None else instant - zero

    instants: dict[str, int | None] = {}
    if fold is not None and streamed:
        instants = {name: at(getattr(fold, name)) for name in LADDER}
    return StreamRow(
        stream_id=ask.stream_id,
        scenario=ask.workload.name,
        worker=origin.worker,
        model=named if isinstance(named, str) and named else origin.model,
        stream=ask.workload.stream,
        request_id=trip.header("x-request-id"),
        intended_ns=origin.intended_ns - zero,
        started_ns=trip.started_ns - zero,
        connected_ns=at(trip.secured_ns or trip.connected_ns),
        sent_ns=at(trip.sent_ns),
        headers_ns=at(trip.headers_ns),
        first_byte_ns=at(sink.first_byte_ns),
        ended_ns=trip.ended_ns - zero,
        ending=ending,
        detail="" if ending is Ending.COMPLETE else _detail(trip, error),
        status=trip.status,
        reused=trip.reused,
        reconnected=trip.reconnected,
        clock="kernel" if trip.kernel_clock else "user",
        prompt_tokens=_whole(usage.get("prompt_tokens")),
        completion_tokens=fold.content_events if fold is not None and approximate else tokens,
        tokens_approximate=approximate,
        credits=_decimal(usage.get("credits")),
        content_events=fold.content_events if fold is not None else 0,
        events=fold.events if fold is not None and streamed else 0,
        reads=trip.reads,
        zero_gaps=fold.zero_gaps if fold is not None else 0,
        gaps=fold.gaps.pack() if fold is not None else "",
        **instants,
    )


LADDER = (
    "first_event_ns",
    "role_only_ns",
    "first_reasoning_ns",
    "first_content_ns",
    "last_content_ns",
    "finish_ns",
    "usage_ns",
    "done_ns",
)


def still_running(ask: Ask, origin: Origin, started_ns: int, sink: Collector, ending: Ending) -> StreamRow:
    """The row of a request that the end of the run found on its way."""
    zero, fold = origin.epoch_ns, sink.fold
    ladder: dict[str, Any] = {}
    if fold is not None:
        found = {name: getattr(fold, name) for name in LADDER}
        ladder = {name: None if instant is None else instant - zero for name, instant in found.items()}
    return StreamRow(
        stream_id=ask.stream_id,
        scenario=ask.workload.name,
        worker=origin.worker,
        model=origin.model,
        stream=ask.workload.stream,
        intended_ns=origin.intended_ns - zero,
        started_ns=started_ns - zero,
        first_byte_ns=None if sink.first_byte_ns is None else sink.first_byte_ns - zero,
        ending=ending,
        clock="kernel" if KERNEL_CLOCK else "user",
        content_events=fold.content_events if fold is not None else 0,
        events=fold.events if fold is not None else 0,
        **ladder,
    )


def plain(body: bytes, coding: str) -> bytes:
    """A body with its content coding taken off, as far as it goes; as it is where that cannot be done."""
    if coding not in INFLATED:
        return body
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body, BODY_CAP)
    except zlib.error:
        return body


def _is_stream(trip: Trip, body: bytes) -> bool:
    media = (trip.header("content-type") or "").partition(";")[0].strip().lower()
    looks = body.removeprefix(b"\xef\xbb\xbf").lstrip()
    return media == "text/event-stream" or looks.startswith((b"data:", b":", b"event:"))


def _detail(trip: Trip, error: object) -> str:
    if trip.detail:
        return trip.detail
    if isinstance(error, dict):
        return f"{error.get('code')}: {error.get('message')}"[:200]
    return ""


def _json(body: bytes) -> Any:
    try:
        return decode_json(body)
    except ValueError:
        return None


def _whole(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _decimal(value: object) -> str | None:
    """A charge as the text it was printed as; None where it is no plain decimal."""
    text = value.text if isinstance(value, Number) else str(value) if type(value) is int else value
    if not isinstance(text, str) or not text.replace(".", "", 1).isdigit() or not text.isascii():
        return None
    return text
