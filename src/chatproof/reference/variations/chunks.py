"""Oddities of single chunks: which members they have, and where roles, ends and usage stand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from ..call import Call
from ..changes import drop_in, events, insert, put_in, with_data
from ..conditions import INCLUDE_USAGE, When
from ..render import shown_usage
from ..reply import Carries, Chunk
from ..vocabulary import Variation
from .framing import CHUNKS, CONTENT, DONE, FINISH, ROLE, STREAMED

RUNNING = (ROLE, CONTENT)
CHOOSING = (ROLE, CONTENT, FINISH)
SEVERAL = When("several choices", lambda call: (call.fields.get("n") or 1) > 1)


def beside(neighbour: Chunk, choices: list[Any]) -> Chunk:
    """Another chunk of the same stream, with these choices."""
    chunk = saying(neighbour, "/choices", choices)
    return replace(chunk, carries=Carries.OTHER, after_ns=0, tokens=0, choice=None)


def saying(chunk: Chunk, at: str, value: Any) -> Chunk:
    """The chunk with a value at a pointer of its JSON."""
    return with_data(chunk, at, lambda old: value)


def less(chunks: Iterable[Chunk], gone: Callable[[Chunk], bool]) -> Iterator[Chunk]:
    """Chunks less some of them, the rest at the instants at which they were due."""
    pause = 0
    for chunk in chunks:
        pause += chunk.after_ns
        if not gone(chunk):
            yield replace(chunk, after_ns=pause)
            pause = 0


_MEMBERS = (
    Variation(
        "finish-absent-until-the-end",
        "Running chunks have no finish_reason.",
        (drop_in(RUNNING, "/choices/*/finish_reason", STREAMED),),
    ),
    Variation(
        "null-members",
        "Chunks have every optional member of OpenAI's, and each is null.",
        (
            put_in(CHUNKS, "/system_fingerprint", None, STREAMED),
            put_in(CHUNKS, "/service_tier", None, STREAMED),
            put_in(CHOOSING, "/usage", None, STREAMED),
            put_in(CHOOSING, "/choices/*/logprobs", None, STREAMED),
            put_in(CHOOSING, "/choices/*/delta/refusal", None, STREAMED),
            put_in(CHOOSING, "/choices/*/delta/tool_calls", None, STREAMED),
            put_in(CHOOSING, "/choices/*/delta/function_call", None, STREAMED),
            put_in((CONTENT,), "/choices/*/delta/role", None, STREAMED),
        ),
    ),
    Variation(
        "optional-members",
        "Chunks name tier, backend and log probabilities, and have padding against traffic analysis.",
        (
            put_in(CHUNKS, "/system_fingerprint", "fp_44709d6fcb", STREAMED),
            put_in(CHUNKS, "/service_tier", "default", STREAMED),
            put_in(CHUNKS, "/obfuscation", "kq3Zt0", STREAMED),
            put_in(CHOOSING, "/choices/*/logprobs", {"content": [], "refusal": None}, STREAMED),
        ),
    ),
    Variation(
        "unknown-members",
        "Chunks, choices and deltas have members that OpenAI's do not have.",
        (
            put_in(CHUNKS, "/provider", "upstream-a", STREAMED),
            put_in(CHUNKS, "/error", None, STREAMED),
            put_in(CHUNKS, "/x_meta", {"took_ms": 3.25, "tags": []}, STREAMED),
            put_in(CHOOSING, "/choices/*/native_finish_reason", None, STREAMED),
            put_in(CHOOSING, "/choices/*/token_ids", [17, 4], STREAMED),
            put_in(CHOOSING, "/choices/*/delta/provider_specific_fields", {}, STREAMED),
        ),
    ),
    Variation(
        "no-tool-calls",
        "Each delta says that there are no tool calls.",
        (put_in(CHOOSING, "/choices/*/delta/tool_calls", [], STREAMED),),
    ),
    Variation(
        "clock-behind",
        "created is four minutes old: another machine's clock wrote it.",
        (put_in(CHUNKS, "/created", lambda old: old - 240, STREAMED),),
    ),
)


def _role_with_content(call: Call, chunks: tuple[Chunk, ...]) -> Iterator[Chunk]:
    greeted: set[int | None] = set()
    for chunk in less(chunks, lambda one: one.carries is ROLE):
        if chunk.carries is CONTENT and chunk.choice not in greeted:
            greeted.add(chunk.choice)
            chunk = saying(chunk, "/choices/0/delta/role", "assistant")
        yield chunk


_ROLES = (
    Variation(
        "role-with-content",
        "No chunk has the role alone: it comes with the first token.",
        (events(_role_with_content, STREAMED),),
    ),
    Variation(
        "role-without-content",
        "The first chunk has the role and no content.",
        (drop_in((ROLE,), "/choices/*/delta/content", STREAMED),),
    ),
    Variation(
        "role-with-null",
        "The first chunk has the role and null for content.",
        (put_in((ROLE,), "/choices/*/delta/content", None, STREAMED),),
    ),
    Variation(
        "role-in-each-chunk",
        "Each delta says again that it is the assistant's.",
        (put_in((CONTENT, FINISH), "/choices/*/delta/role", "assistant", STREAMED),),
    ),
)


def _bare(neighbour: Chunk) -> Chunk:
    chunk = beside(neighbour, [])
    return saying(chunk, "/prompt_filter_results", [{"prompt_index": 0}])


def _still(neighbour: Chunk) -> Chunk:
    return beside(neighbour, [{"index": 0, "delta": {}, "finish_reason": None}])


_EDGES = (
    Variation(
        "preamble",
        "A chunk with no choices comes first, with what a filter says of the prompt.",
        (insert(_bare, before=ROLE, when=STREAMED),),
    ),
    Variation(
        "annotations",
        "Chunks with no choices come between the tokens and behind the end.",
        (insert(_bare, before=CONTENT, when=STREAMED), insert(_bare, after=FINISH, when=STREAMED)),
    ),
    Variation(
        "empty-delta-after-finish",
        "Behind the end comes a chunk that adds nothing.",
        (insert(_still, after=FINISH, when=STREAMED),),
    ),
    Variation(
        "finish-with-empty-content",
        "The chunk with finish_reason has an empty content.",
        (put_in((FINISH,), "/choices/*/delta/content", "", STREAMED),),
    ),
)


def _unasked(call: Call, chunks: tuple[Chunk, ...]) -> Iterator[Chunk]:
    for chunk in chunks:
        if chunk.carries is DONE and call.rendered is not None:
            bill = shown_usage(call, call.rendered)
            last = next(one for one in reversed(chunks) if one.carries is FINISH)
            yield saying(beside(last, []), "/usage", bill)
        yield chunk


def _unasked_with_finish(call: Call, chunks: tuple[Chunk, ...]) -> Iterator[Chunk]:
    last = next(chunk for chunk in reversed(chunks) if chunk.carries is FINISH)
    for chunk in chunks:
        if chunk is last and call.rendered is not None:
            bill = shown_usage(call, call.rendered)
            chunk = saying(chunk, "/usage", bill)
        yield chunk


_USAGE = (
    Variation(
        "usage-unasked",
        "Streams that were not asked for usage report it too.",
        (events(_unasked, STREAMED & ~INCLUDE_USAGE),),
    ),
    Variation(
        "usage-unasked-with-finish",
        "Streams that were not asked for usage report it in the chunk with finish_reason.",
        (events(_unasked_with_finish, STREAMED & ~INCLUDE_USAGE),),
    ),
)

VARIATIONS = (*_MEMBERS, *_ROLES, *_EDGES, *_USAGE)
