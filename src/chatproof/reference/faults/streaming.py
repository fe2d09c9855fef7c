"""Faults of the streaming section: framing, chunks, order, time, transfer."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from ..call import Call
from ..changes import (
    GONE,
    answer_status,
    drop_in,
    ends,
    events,
    frames,
    header,
    held_back,
    insert,
    put,
    put_in,
    reply,
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
    SUCCEEDED,
    When,
    asks_for,
    code,
    rule,
    status,
)
from ..render import shown_usage
from ..reply import Carries, Chunk, Ending, Frame, Json
from ..seams import ASKED
from ..vocabulary import Fault, fails, unseen, warns

ROLE, CONTENT, FINISH, USAGE, DONE = (
    Carries.ROLE,
    Carries.CONTENT,
    Carries.FINISH,
    Carries.USAGE,
    Carries.DONE,
)
RUNNING = (ROLE, CONTENT)
CHUNKS = (ROLE, CONTENT, FINISH, USAGE)
SEVERAL = When("several choices", lambda call: (call.fields.get("n") or 1) > 1)
STREAMED = STREAM & SUCCEEDED


def _literal(text: str) -> Chunk:
    return Chunk(text, Carries.OTHER)


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
        "The second model's streams are answered with 201.",
        fails("STR-01"),
        (answer_status(201, STREAMED & SECOND_MODEL),),
    ),
    Fault(
        "stream-ignored",
        "The second model ignores stream and sends one JSON body.",
        fails("STR-01"),
        (put(ASKED, "/stream", False, STREAM & SECOND_MODEL),),
    ),
)

_DONE = (
    Fault("no-done", "A finished stream ends without [DONE].", fails("STR-02"), (without(DONE),)),
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
    ),
    Fault(
        "content-after-done",
        "A content chunk follows [DONE].",
        fails("STR-03", "STR-06"),
        (events(lambda call, chunks: _moved(chunks, CONTENT, DONE)),),
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
        fails("STR-03"),
        (insert(_literal("{}"), after=DONE, when=SECOND_MODEL),),
    ),
)


def _cut(call: Call) -> bool:
    made = call.rendered
    return made is not None and any(choice.finish == "length" for choice in made.answer.choices)


def _moved(chunks: tuple[Chunk, ...], kind: Carries, behind: Carries) -> Iterable[Chunk]:
    """The last chunk of a kind comes right behind the last one of another."""
    moved = [chunk for chunk in chunks if chunk.carries is kind][-1:]
    for chunk in chunks:
        if not any(chunk is one for one in moved):
            yield chunk
        if chunk.carries is behind:
            yield from moved


def _in_array(data: bytes) -> bytes:
    return b"data: [" + data[6:-2] + b"]\n\n"


def _cut_in_two(data: bytes) -> bytes:
    half = len(data) // 2
    return data[:half] + b"\n\n: keepalive\n\ndata: " + data[half:]


_JSON = (
    Fault(
        "comment-as-data",
        "An upstream's comment comes as data.",
        fails("STR-04"),
        (insert(_literal(": PROCESSING"), before=CONTENT),),
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


def _first(written: tuple[Frame, ...], kind: Carries, change: Any) -> Iterable[Frame]:
    done = False
    for frame in written:
        hit = frame.carries is kind and not done
        done = done or hit
        yield replace(frame, data=change(frame.data)) if hit else frame


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
        fails("STR-04", "STR-05"),
        (put_in(CHUNKS, "/object", "chat.completion", SECOND_MODEL),),
    ),
    Fault(
        "id-absent-at-finish",
        "The finish chunk has no id.",
        fails("STR-04", "STR-05"),
        (drop_in([FINISH], "/id"),),
    ),
)


def _index_counts(call: Call, chunks: tuple[Chunk, ...]) -> Iterable[Chunk]:
    return (_with_index(chunk, number) for number, chunk in enumerate(chunks))


def _with_index(chunk: Chunk, number: int) -> Chunk:
    return with_data(chunk, "/choices/0/index", lambda old: number)


_FINISH = (
    Fault(
        "finish-null",
        "The last chunk of a choice has finish_reason null.",
        fails("STR-06"),
        (put_in([FINISH], "/choices/*/finish_reason", None),),
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
        (events(lambda call, chunks: _moved(chunks, CONTENT, FINISH), SECOND_MODEL),),
    ),
    Fault(
        "finish-empty-string",
        "Running chunks have finish_reason as an empty string.",
        fails("STR-04", "STR-06"),
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
        "The choice's index counts the chunks.",
        fails("STR-06") | warns("STR-08"),
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
    ),
    Fault(
        "nothing-said",
        "Streams of non-ASCII text finish with stop and say nothing.",
        fails("STR-07"),
        (without(CONTENT, when=NON_ASCII),),
    ),
    Fault(
        "content-under-another-name",
        "The second model's text is in delta.text.",
        fails("STR-07"),
        (events(lambda call, chunks: [_as_text(chunk) for chunk in chunks], SECOND_MODEL),),
    ),
    Fault(
        "tokens-blank",
        "Streams at temperature 0 bring empty strings.",
        fails("STR-07"),
        (put_in([CONTENT], "/choices/*/delta/content", "", asks_for(temperature=0)),),
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


def _as_text(chunk: Chunk) -> Chunk:
    if chunk.carries is not CONTENT or isinstance(chunk.data, str):
        return chunk
    delta = {"text": chunk.data["choices"][0]["delta"]["content"]}
    return with_data(chunk, "/choices/0/delta", lambda old: delta)


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
    ),
    Fault(
        "finish-after-error",
        "The second model's streams fail after three tokens, and end with finish_reason stop and [DONE].",
        fails("STR-11"),
        (events(_breaks_and_finishes, SECOND_MODEL),),
    ),
    Fault(
        "non-ascii-error-hidden",
        "Streams of non-ASCII text fail after three tokens, and end with [DONE].",
        fails("STR-11"),
        (events(_breaks(Chunk("[DONE]", DONE)), NON_ASCII),),
    ),
)


def _onto_finish(call: Call, chunks: tuple[Chunk, ...]) -> Iterable[Chunk]:
    """The usage rides on a chunk with a choice."""
    last = [chunk.data for chunk in chunks if chunk.carries is FINISH][-1:]
    index = last[0]["choices"][0]["index"] if last and isinstance(last[0], dict) else 0
    choice: Json = {"index": index, "delta": {}}
    return (
        with_data(chunk, "/choices", lambda old: [choice]) if chunk.carries is USAGE else chunk
        for chunk in chunks
    )


def _unasked(total: Callable[[int], object]) -> Callable[[Call, tuple[Chunk, ...]], Iterable[Chunk]]:
    """A usage chunk before [DONE], right but for its total."""

    def edit(call: Call, chunks: tuple[Chunk, ...]) -> Iterable[Chunk]:
        made = call.rendered
        for chunk in chunks:
            if chunk.carries is DONE and made is not None and isinstance(chunks[0].data, dict):
                data = {**chunks[0].data, "choices": [], "usage": shown_usage(call, made)}
                yield with_data(Chunk(data, USAGE), "/usage/total_tokens", total)
            yield chunk

    return edit


_USAGE = (
    Fault(
        "usage-not-sent",
        "include_usage is ignored.",
        fails("STR-12"),
        (without(USAGE),),
        unseen("BIL-07", "STR-16"),
    ),
    Fault(
        "usage-not-sent-by-second-model",
        "The second model ignores include_usage.",
        fails("STR-12"),
        (without(USAGE, when=SECOND_MODEL),),
    ),
    Fault(
        "usage-first",
        "The usage chunk comes first.",
        fails("STR-12"),
        (events(lambda call, chunks: _usage_first(chunks)),),
    ),
    Fault(
        "usage-twice",
        "The usage chunk comes twice.",
        fails("STR-12"),
        (insert(lambda beside: beside, after=USAGE),),
    ),
    Fault(
        "usage-after-done",
        "The usage chunk follows [DONE].",
        fails("STR-03", "STR-12"),
        (events(lambda call, chunks: _moved(chunks, USAGE, DONE)),),
    ),
    Fault(
        "usage-incomplete",
        "The second model's stream usage has no prompt_tokens.",
        fails("STR-12"),
        (drop_in([USAGE], "/usage/prompt_tokens", SECOND_MODEL),),
    ),
    Fault(
        "usage-beside-choice",
        "The usage comes on a chunk with a choice.",
        warns("STR-12"),
        (events(_onto_finish),),
    ),
    Fault(
        "unasked-usage-wrong",
        "A usage chunk comes unasked, and its total is wrong.",
        warns("STR-13"),
        (events(_unasked(lambda total: total + 1), ~INCLUDE_USAGE),),
    ),
    Fault(
        "unasked-usage-incomplete",
        "The second model sends a usage chunk unasked, without its total.",
        warns("STR-13"),
        (events(_unasked(lambda total: GONE), ~INCLUDE_USAGE & SECOND_MODEL),),
    ),
)


_UNASKED_BARE = Fault(
    "unasked-usage-without-choices",
    "A usage chunk comes unasked, and has no choices.",
    fails("STR-04") | warns("STR-13"),
    (events(_unasked(lambda total: total), ~INCLUDE_USAGE), drop_in([USAGE], "/choices", ~INCLUDE_USAGE)),
)


def _usage_first(chunks: tuple[Chunk, ...]) -> Iterable[Chunk]:
    usage = [chunk for chunk in chunks if chunk.carries is USAGE]
    return (*usage, *(chunk for chunk in chunks if chunk.carries is not USAGE))


def _split_character(data: bytes) -> bytes:
    """A multi-byte character begins in one event and ends in the next."""
    at = next((index for index, byte in enumerate(data) if byte >= 0xC0), None)
    return data if at is None else data[: at + 1] + b"\n\ndata: " + data[at + 1 :]


def _bare_lines(data: bytes) -> bytes:
    return data.removeprefix(b"data: ")


_FORMAT = (
    Fault(
        "stream-not-utf-8",
        "Non-ASCII streams are encoded in GB 18030.",
        fails("STR-14", "STR-04", "REQ-14"),
        (rewrite(lambda data: data.decode().encode("gb18030"), CONTENT, when=NON_ASCII & STREAMED),),
    ),
    Fault(
        "character-cut-by-event",
        "A multi-byte character is cut by the end of an event.",
        fails("STR-14", "STR-04"),
        (rewrite(_split_character, CONTENT, when=NON_ASCII & STREAMED),),
    ),
    Fault(
        "ndjson",
        "The second model's stream is lines of JSON without a field name.",
        fails("STR-02", "STR-06", "STR-12", "STR-14"),
        (rewrite(_bare_lines, when=SECOND_MODEL & STREAMED),),
    ),
    Fault(
        "one-newline",
        "The second model's chunks end with one newline instead of two.",
        fails("STR-02", "STR-04", "STR-06", "STR-12"),
        (rewrite(lambda data: data[:-1], *CHUNKS, when=SECOND_MODEL & STREAMED),),
    ),
)

_TRANSFER = (
    Fault(
        "reset-after-done",
        "The second model's connections are reset after [DONE], before the chunked encoding ends.",
        fails("STR-15"),
        (ends(Ending.RESET, when=STREAMED & SECOND_MODEL),),
    ),
    Fault(
        "closed-after-done",
        "Connections of streams with usage are closed after [DONE], before the chunked encoding ends.",
        fails("STR-15"),
        (ends(Ending.CUT, when=STREAMED & INCLUDE_USAGE),),
    ),
    Fault(
        "deaf-after-stream",
        "After a long stream the connection stays open and never answers again.",
        fails("STR-15"),
        (ends(Ending.DEAF, when=STREAMED & LONG),),
    ),
    Fault(
        "junk-after-stream",
        "After the second model's streams there is junk on the connection.",
        fails("STR-15"),
        (
            reply(
                lambda call, plan: replace(plan, afterwards=b"\r\n<!-- served by edge-7 -->\r\n"),
                STREAMED & SECOND_MODEL,
            ),
        ),
    ),
    Fault(
        "reset-mid-stream",
        "The second model's streams are reset after three tokens.",
        fails("STR-15"),
        (ends(Ending.RESET, CONTENT, 2, STREAMED & SECOND_MODEL),),
    ),
)

FAULTS = (
    *_TYPE,
    *_DONE,
    *_JSON,
    *_ENVELOPE,
    *_FINISH,
    *_TIME,
    *_ERRORS,
    *_USAGE,
    _UNASKED_BARE,
    *_FORMAT,
    *_TRANSFER,
)
