"""Faults of streams as a whole: type, end, time and errors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ..call import Call
from ..changes import (
    answer_status,
    events,
    frames,
    header,
    held_back,
    insert,
    put,
    rewrite,
    told_in_stream,
    with_data,
    without,
)
from ..conditions import (
    INCLUDE_USAGE,
    LONG,
    NON_ASCII,
    SECOND_MODEL,
    STREAM,
    When,
    code,
    rule,
    status,
)
from ..reply import Carries, Chunk, Frame
from ..seams import ASKED
from ..vocabulary import Fault, fails, unseen
from .chunks import CHUNKS, CONTENT, DONE, FINISH, SEVERAL, STREAMED, literal, moved

_TYPE = (
    Fault(
        "stream-as-json-type",
        "Streams are served as application/json.",
        fails("STR-01"),
        (header("Content-Type", "application/json", STREAMED),),
    ),
    Fault(
        "stream-as-text",
        "Streams with usage are served as text/plain.",
        fails("STR-01"),
        (header("Content-Type", "text/plain", STREAMED & INCLUDE_USAGE),),
    ),
    Fault(
        "stream-201",
        "Streams of several choices are answered with 201.",
        fails("STR-01"),
        (answer_status(201, STREAMED & SEVERAL),),
    ),
    Fault(
        "stream-ignored",
        "The second model ignores stream and sends one JSON body.",
        fails("STR-01"),
        (put(ASKED, "/stream", False, STREAM & SECOND_MODEL),),
    ),
)


def _cut(call: Call) -> bool:
    made = call.rendered
    return made is not None and any(choice.finish == "length" for choice in made.answer.choices)


_DONE = (
    Fault(
        "no-done",
        "A finished stream ends without [DONE].",
        fails("STR-02"),
        (without(DONE),),
        unseen("STR-03"),
    ),
    Fault(
        "no-done-with-usage",
        "A stream with usage ends without [DONE].",
        fails("STR-02"),
        (without(DONE, when=INCLUDE_USAGE),),
    ),
    Fault(
        "no-done-after-length",
        "A stream that was cut by max_tokens ends without [DONE].",
        fails("STR-02"),
        (without(DONE, when=When("the answer was cut", lambda call: _cut(call))),),
    ),
    Fault(
        "no-done-long",
        "A stream of 30 tokens or more ends without [DONE].",
        fails("STR-02"),
        (without(DONE, when=LONG),),
    ),
    Fault(
        "done-twice",
        "[DONE] is sent twice.",
        fails("STR-02", "STR-03"),
        (insert(Chunk("[DONE]", DONE), after=DONE),),
    ),
    Fault(
        "done-lower-case",
        "The second model's streams end with [done].",
        fails("STR-02", "STR-04"),
        (rewrite(lambda data: data.replace(b"[DONE]", b"[done]"), DONE, when=SECOND_MODEL),),
    ),
    Fault(
        "stream-empty",
        "The second model's streams are empty.",
        fails("STR-02", "STR-06", "STR-12"),
        (without(*CHUNKS, DONE, when=SECOND_MODEL),),
        unseen("REQ-09", "BIL-07", "BIL-10"),
    ),
    Fault(
        "content-after-done",
        "A content chunk follows [DONE].",
        fails("STR-03", "STR-06"),
        (events(lambda call, chunks: moved(chunks, CONTENT, DONE)),),
    ),
    Fault(
        "event-after-done",
        "An empty event named end follows [DONE].",
        fails("STR-03"),
        (rewrite(lambda data: data + b"event: end\n\n", DONE),),
    ),
    Fault(
        "closing-object-after-done",
        "An empty JSON object follows [DONE].",
        fails("STR-03", "STR-04"),
        (insert(literal("{}"), after=DONE, when=SECOND_MODEL),),
    ),
)


def _bursts(written: tuple[Frame, ...], count: int) -> Iterable[Frame]:
    """The same frames, written in so many bursts."""
    size = -(-len(written) // count)
    for start in range(0, len(written), size):
        some = written[start : start + size]
        yield replace(some[0], after_ns=sum(frame.after_ns for frame in some))
        yield from (replace(frame, after_ns=0) for frame in some[1:])


def _slow_start(written: tuple[Frame, ...]) -> Iterable[Frame]:
    """The first content waits for nine tenths of the answer; the rest follows a millisecond apart."""
    total = sum(frame.after_ns for frame in written)
    waited = False
    for frame in written:
        if frame.carries is CONTENT and not waited:
            waited = True
            yield replace(frame, after_ns=total)
        else:
            yield replace(frame, after_ns=3_000_000 if frame.carries is CONTENT else 0)


_TIME = (
    Fault(
        "buffered",
        "A long stream is held back and delivered at once.",
        fails("STR-09"),
        (held_back(when=STREAMED & LONG),),
    ),
    Fault(
        "in-three-bursts",
        "A long stream comes in three bursts.",
        fails("STR-09"),
        (frames(lambda written: _bursts(written, 3), STREAMED & LONG),),
    ),
    Fault(
        "mostly-buffered",
        "The first nine tenths of a long stream are held back, the rest comes token by token.",
        fails("STR-09"),
        (held_back(0.9, STREAMED & LONG),),
    ),
    Fault(
        "first-token-held-back",
        "The first token of a long stream waits for the whole answer; then the tokens come one by one.",
        fails("STR-09"),
        (frames(_slow_start, STREAMED & LONG),),
    ),
)


_MID_ERROR = Chunk(
    {"error": {"code": "model_unavailable", "message": "The model stopped.", "retryable": True}},
    Carries.ERROR,
)


def _breaks(*tail: Chunk) -> Any:
    """The stream fails after three tokens; what follows the error is given."""

    def edit(call: Call, chunks: tuple[Chunk, ...]) -> Iterable[Chunk]:
        places = [index for index, chunk in enumerate(chunks) if chunk.carries is CONTENT][:3]
        error = with_data(_MID_ERROR, "/error/request_id", lambda old: call.request_id)
        return (*chunks[: (places or [0])[-1] + 1], error, *tail) if places else chunks

    return edit


def _breaks_and_finishes(call: Call, chunks: tuple[Chunk, ...]) -> Iterable[Chunk]:
    finish = [chunk for chunk in chunks if chunk.carries in (FINISH, DONE)]
    return _breaks(*finish)(call, chunks)  # type: ignore[no-any-return]


_ERRORS = (
    Fault(
        "unknown-model-told-in-stream",
        "A stream from an unknown model is refused inside a stream that began with 200.",
        fails("STR-10", "REQ-08"),
        (told_in_stream(code("unsupported_model") & STREAM),),
    ),
    Fault(
        "validation-told-in-stream",
        "Invalid streaming requests are refused inside a stream that began with 200.",
        fails("STR-10", "SMP-08"),
        (told_in_stream(code("invalid_request") & STREAM),),
    ),
    Fault(
        "unavailable-told-in-stream",
        "A stream from an unavailable model is refused inside a stream that began with 200.",
        fails("STR-10", "ERR-10"),
        (told_in_stream(status(503) & STREAM),),
    ),
    Fault(
        "unknown-key-told-in-stream",
        "A stream with an unknown key is refused inside a stream that began with 200.",
        fails("STR-10", "AUT-02"),
        (told_in_stream(rule("unknown_key") & STREAM),),
    ),
    Fault(
        "done-after-error",
        "The second model's streams fail after three tokens, and end with [DONE].",
        fails("STR-11"),
        (events(_breaks(Chunk("[DONE]", DONE)), SECOND_MODEL),),
        unseen("REQ-09", "STR-12", "BIL-07", "BIL-10"),
    ),
    Fault(
        "finish-after-error",
        "The second model's streams fail after three tokens, and end with finish_reason stop and [DONE].",
        fails("STR-11", "STR-04"),
        (events(_breaks_and_finishes, SECOND_MODEL),),
        unseen("REQ-09", "STR-12", "BIL-07", "BIL-10"),
    ),
    Fault(
        "non-ascii-error-hidden",
        "Streams of non-ASCII text fail after three tokens, and end with [DONE].",
        fails("STR-11"),
        (events(_breaks(Chunk("[DONE]", DONE)), NON_ASCII),),
    ),
)

FAULTS = (*_TYPE, *_DONE, *_TIME, *_ERRORS)
