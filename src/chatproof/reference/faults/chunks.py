"""Faults of single chunks: their JSON, identity, choices and roles."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ..call import Call
from ..changes import (
    drop_in,
    ends,
    events,
    frames,
    insert,
    put_in,
    rewrite,
    with_data,
    without,
)
from ..conditions import (
    INCLUDE_USAGE,
    LONG,
    NON_ASCII,
    SECOND_MODEL,
    STREAM,
    SUCCEEDED,
    When,
    asks_for,
)
from ..reply import Carries, Chunk, Ending, Frame
from ..vocabulary import Fault, fails, unseen, warns

ROLE, CONTENT, FINISH = Carries.ROLE, Carries.CONTENT, Carries.FINISH
USAGE, DONE = Carries.USAGE, Carries.DONE
RUNNING = (ROLE, CONTENT)
CHUNKS = (ROLE, CONTENT, FINISH, USAGE)
SEVERAL = When("several choices", lambda call: (call.fields.get("n") or 1) > 1)
STREAMED = STREAM & SUCCEEDED


def moved(chunks: tuple[Chunk, ...], kind: Carries, behind: Carries) -> Iterable[Chunk]:
    """The last chunk of a kind comes right behind the last one of another."""
    moved = [chunk for chunk in chunks if chunk.carries is kind][-1:]
    for chunk in chunks:
        if not any(chunk is one for one in moved):
            yield chunk
        if chunk.carries is behind:
            yield from moved


def literal(text: str) -> Chunk:
    """An event whose data is just this text."""
    return Chunk(text, Carries.OTHER)


def _cut_in_two(data: bytes) -> bytes:
    half = len(data) // 2
    return data[:half] + b"\n\n: keepalive\n\ndata: " + data[half:]


def _in_array(data: bytes) -> bytes:
    return b"data: [" + data[6:-2] + b"]\n\n"


def _first(written: tuple[Frame, ...], kind: Carries, change: Any) -> Iterable[Frame]:
    done = False
    for frame in written:
        hit = frame.carries is kind and not done
        done = done or hit
        yield replace(frame, data=change(frame.data)) if hit else frame


_JSON = (
    Fault(
        "comment-as-data",
        "An upstream's comment comes as data.",
        fails("STR-04"),
        (insert(literal(": PROCESSING"), before=CONTENT),),
    ),
    Fault(
        "keepalive-inside-event",
        "A keepalive is written into the middle of a long stream's first content event.",
        fails("STR-04"),
        (frames(lambda written: _first(written, CONTENT, _cut_in_two), STREAMED & LONG),),
    ),
    Fault(
        "chunk-truncated",
        "The finish chunk of the second model lacks its last brace.",
        fails("STR-04", "STR-06"),
        (rewrite(lambda data: data.rstrip(b"}\n") + b"\n\n", FINISH, when=SECOND_MODEL),),
    ),
    Fault(
        "chunk-array",
        "The first content chunk of a long stream comes as an array of one.",
        fails("STR-04"),
        (frames(lambda written: _first(written, CONTENT, _in_array), STREAMED & LONG),),
    ),
    Fault(
        "content-number-in-chunk",
        "A chunk of digits carries a number instead of a string.",
        fails("STR-04"),
        (put_in([CONTENT], "/choices/*/delta/content", 7, nth=slice(-1, None), when=SECOND_MODEL),),
    ),
    Fault(
        "usage-chunk-without-choices",
        "The usage chunk has no choices.",
        fails("STR-04") | warns("STR-12"),
        (drop_in([USAGE], "/choices"),),
    ),
    Fault(
        "index-absent",
        "The choices of the second model's content chunks have no index.",
        fails("STR-04"),
        (drop_in([CONTENT], "/choices/*/index", SECOND_MODEL),),
    ),
    Fault(
        "delta-absent",
        "The finish chunk has no delta.",
        fails("STR-04"),
        (drop_in([FINISH], "/choices/*/delta"),),
    ),
)


def _id_each(call: Call, chunks: tuple[Chunk, ...]) -> Iterable[Chunk]:
    return (with_data(chunk, "/id", lambda old: f"chatcmpl-{uuid.uuid4().hex}") for chunk in chunks)


def _created_runs(call: Call, chunks: tuple[Chunk, ...]) -> Iterable[Chunk]:
    half = len(chunks) // 2
    return (
        with_data(chunk, "/created", lambda old: old + 1) if index >= half else chunk
        for index, chunk in enumerate(chunks)
    )


_ENVELOPE = (
    Fault("id-per-chunk", "Every chunk has an id of its own.", fails("STR-05"), (events(_id_each),)),
    Fault(
        "id-differs-in-usage",
        "The usage chunk has another id.",
        fails("STR-05"),
        (put_in([USAGE], "/id", "chatcmpl-usage"),),
    ),
    Fault("created-per-chunk", "created follows the clock.", fails("STR-05"), (events(_created_runs, LONG),)),
    Fault(
        "created-milliseconds",
        "Chunks count created in milliseconds.",
        fails("STR-05"),
        (put_in(CHUNKS, "/created", lambda old: old * 1000),),
    ),
    Fault(
        "alias-in-first-chunk",
        "The first chunk of a call to auto says auto.",
        fails("STR-05"),
        (put_in([ROLE], "/model", "auto", asks_for(model="auto")),),
    ),
    Fault(
        "alias-in-stream",
        "All chunks of a call to auto say auto.",
        fails("STR-05"),
        (put_in(CHUNKS, "/model", "auto", asks_for(model="auto")),),
    ),
    Fault(
        "object-of-sync",
        "Chunks call themselves chat.completion.",
        fails("STR-05"),
        (put_in(CHUNKS, "/object", "chat.completion", SECOND_MODEL),),
    ),
    Fault(
        "id-absent-at-finish",
        "The finish chunk has no id.",
        fails("STR-04"),
        (drop_in([FINISH], "/id"),),
    ),
)


def _index_counts(call: Call, chunks: tuple[Chunk, ...]) -> Iterable[Chunk]:
    return (_with_index(chunk, number) for number, chunk in enumerate(chunks))


def _with_index(chunk: Chunk, number: int) -> Chunk:
    return with_data(chunk, "/choices/0/index", lambda old: number)


def _as_text(chunk: Chunk) -> Chunk:
    if chunk.carries is not CONTENT or isinstance(chunk.data, str):
        return chunk
    delta = {"text": chunk.data["choices"][0]["delta"]["content"]}
    return with_data(chunk, "/choices/0/delta", lambda old: delta)


_FINISH = (
    Fault(
        "finish-null",
        "The last chunk of a choice has finish_reason null.",
        fails("STR-06"),
        (put_in([FINISH], "/choices/*/finish_reason", None),),
        unseen("STR-07"),
    ),
    Fault(
        "finish-absent",
        "With usage the last chunk of a choice has no finish_reason.",
        fails("STR-06"),
        (drop_in([FINISH], "/choices/*/finish_reason", INCLUDE_USAGE),),
    ),
    Fault(
        "finish-twice",
        "The finish chunk is sent twice.",
        fails("STR-06"),
        (insert(lambda beside: beside, after=FINISH),),
    ),
    Fault(
        "finish-early",
        "The finish chunk comes before the last content.",
        fails("STR-06"),
        (events(lambda call, chunks: moved(chunks, CONTENT, FINISH), SECOND_MODEL),),
    ),
    Fault(
        "finish-empty-string",
        "Running chunks have finish_reason as an empty string.",
        fails("STR-06"),
        (put_in(RUNNING, "/choices/*/finish_reason", ""),),
    ),
    Fault(
        "stream-finish-upstream-word",
        "In streams the upstream's own word stands for stop.",
        fails("STR-04"),
        (put_in([FINISH], "/choices/*/finish_reason", lambda old: "end_turn" if old == "stop" else old),),
    ),
    Fault(
        "index-counts-up",
        "The choice's index counts the chunks, so that the choice that finishes has said nothing.",
        fails("STR-06", "STR-07") | warns("STR-08"),
        (events(_index_counts, SECOND_MODEL),),
    ),
    Fault(
        "second-choice-unfinished",
        "Of several choices only the first gets a finish_reason.",
        fails("STR-06"),
        (without(FINISH, when=SEVERAL, nth=slice(1, None)),),
    ),
    Fault(
        "cut-silently",
        "The second model's streams stop after three tokens: no finish_reason, no [DONE], a clean end.",
        fails("STR-02", "STR-06", "STR-12"),
        (ends(Ending.WHOLE, CONTENT, 2, STREAMED & SECOND_MODEL),),
        unseen("REQ-09", "BIL-07"),
    ),
    Fault(
        "nothing-said",
        "Streams of non-ASCII text finish with stop and say nothing.",
        fails("STR-07"),
        (without(CONTENT, when=NON_ASCII & STREAMED),),
    ),
    Fault(
        "content-under-another-name",
        "The second model's text is in delta.text.",
        fails("STR-07"),
        (events(lambda call, chunks: [_as_text(chunk) for chunk in chunks], SECOND_MODEL),),
        unseen("BIL-10"),
    ),
    Fault(
        "tokens-blank",
        "Streams of non-ASCII text bring empty strings.",
        fails("STR-07"),
        (put_in([CONTENT], "/choices/*/delta/content", "", NON_ASCII & STREAMED),),
    ),
    Fault(
        "stream-role-absent",
        "No delta has a role.",
        warns("STR-08"),
        (drop_in([ROLE], "/choices/*/delta/role"),),
    ),
    Fault(
        "stream-role-late",
        "The role comes with the second delta.",
        warns("STR-08"),
        (
            drop_in([ROLE], "/choices/*/delta/role"),
            put_in([CONTENT], "/choices/*/delta/role", "assistant", nth=slice(0, 1)),
        ),
    ),
    Fault(
        "stream-role-changes",
        "The finish chunk repeats the role as user.",
        warns("STR-08"),
        (put_in([FINISH], "/choices/*/delta/role", "user"),),
    ),
)

FAULTS = (*_JSON, *_ENVELOPE, *_FINISH)
