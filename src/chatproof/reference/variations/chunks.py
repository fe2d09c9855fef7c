"""Oddities of single chunks: which members they have, and how text, roles, ends and usage are dealt out to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from ..call import Call
from ..changes import drop_in, events, insert, put_in, with_data
from ..conditions import INCLUDE_USAGE, LONG, SECOND_MODEL, When
from ..render import shown_usage
from ..reply import Carries, Chunk, Json
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


def delta(chunk: Chunk) -> Json:
    """What a chunk adds to its first choice."""
    assert isinstance(chunk.data, dict)
    found: Json = chunk.data["choices"][0]["delta"]
    return found


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


def _grouped(size: int) -> Callable[[Call, tuple[Chunk, ...]], Iterator[Chunk]]:
    """So many tokens of a choice come in one chunk."""

    def edit(call: Call, chunks: tuple[Chunk, ...]) -> Iterator[Chunk]:
        held: list[Chunk] = []
        for chunk in chunks:
            if held and (len(held) == size or chunk.carries is not CONTENT or chunk.choice != held[0].choice):
                yield _joined(held)
                held = []
            if chunk.carries is CONTENT:
                held.append(chunk)
            else:
                yield chunk

    return edit


def _joined(some: list[Chunk]) -> Chunk:
    text = "".join(delta(one)["content"] for one in some)
    return replace(
        saying(some[0], "/choices/0/delta/content", text),
        after_ns=sum(one.after_ns for one in some),
        tokens=sum(one.tokens for one in some),
    )


def _last_with_finish(call: Call, chunks: tuple[Chunk, ...]) -> Iterator[Chunk]:
    last = {chunk.choice: chunk for chunk in chunks if chunk.carries is CONTENT}
    for chunk in less(chunks, lambda one: one.carries is CONTENT and last[one.choice] is one):
        if chunk.carries is FINISH and chunk.choice in last:
            said = delta(last[chunk.choice])
            chunk = replace(saying(chunk, "/choices/0/delta", said), tokens=1)
        yield chunk


def _empty_between(call: Call, chunks: tuple[Chunk, ...]) -> Iterator[Chunk]:
    for n, chunk in enumerate(chunks):
        yield chunk
        if chunk.carries is CONTENT and n % 2:
            choice = {
                "index": chunk.choice,
                "delta": {"content": "" if n % 4 == 1 else None},
                "finish_reason": None,
            }
            yield beside(chunk, [choice])


def _thinking(call: Call, chunks: tuple[Chunk, ...]) -> Iterator[Chunk]:
    thought: set[int | None] = set()
    for chunk in chunks:
        if chunk.carries is CONTENT and chunk.choice not in thought:
            thought.add(chunk.choice)
            for word in ("Let", " me", " see."):
                said = {"content": None, "reasoning_content": word}
                yield beside(chunk, [{"index": chunk.choice, "delta": said, "finish_reason": None}])
        yield chunk


def _calling(neighbour: Chunk) -> Chunk:
    called = {"name": "weather", "arguments": '{"in": "Oslo"}'}
    said = {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": called}]}
    return beside(neighbour, [{"index": 0, "delta": said, "finish_reason": None}])


_TEXT = (
    Variation("two-tokens-a-chunk", "Tokens come in chunks of two.", (events(_grouped(2), STREAMED),)),
    Variation(
        "short-answer-in-one-chunk",
        "An answer of less than 30 tokens comes in one chunk.",
        (events(_grouped(30), STREAMED & ~LONG),),
    ),
    Variation(
        "content-with-finish",
        "The last token comes in one chunk with finish_reason.",
        (events(_last_with_finish, STREAMED),),
    ),
    Variation(
        "empty-content",
        "Chunks whose content is empty or null come between the tokens.",
        (events(_empty_between, STREAMED),),
    ),
    Variation(
        "reasoning-first",
        "Reasoning comes before the text, in a member of its own.",
        (events(_thinking, STREAMED),),
    ),
    Variation(
        "tool-call-and-stop",
        "The second model calls a tool at the end of a stream whose finish_reason stays what it was.",
        (insert(_calling, before=FINISH, when=STREAMED & SECOND_MODEL),),
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


def _one_by_one(call: Call, chunks: tuple[Chunk, ...]) -> Iterator[Chunk]:
    """All of a choice comes before the next one begins, all at the instants at which chunks were due."""
    pauses = [chunk.after_ns for chunk in chunks]
    tail = [chunk for chunk in chunks if chunk.choice is None]
    told = sorted(
        (chunk for chunk in chunks if chunk.choice is not None), key=lambda chunk: chunk.choice or 0
    )
    for chunk, pause in zip((*told, *tail), pauses, strict=True):
        yield replace(chunk, after_ns=pause)


def _side_by_side(call: Call, chunks: tuple[Chunk, ...]) -> Iterator[Chunk]:
    """What the choices say in one round comes in one chunk."""
    held: Chunk | None = None
    for chunk in chunks:
        if (
            held is not None
            and chunk.choice is not None
            and chunk.carries is held.carries
            and not chunk.after_ns
        ):
            assert isinstance(held.data, dict)
            assert isinstance(chunk.data, dict)
            joined = saying(held, "/choices", [*held.data["choices"], *chunk.data["choices"]])
            held = replace(joined, tokens=held.tokens + chunk.tokens)
            continue
        if held is not None:
            yield held
        held = chunk
    if held is not None:
        yield held


_CHOICES = (
    Variation(
        "choices-one-by-one",
        "Several choices of a stream come one after the other.",
        (events(_one_by_one, STREAMED & SEVERAL),),
    ),
    Variation(
        "choices-side-by-side",
        "One chunk brings the next token of every choice.",
        (events(_side_by_side, STREAMED & SEVERAL),),
    ),
)

VARIATIONS = (*_MEMBERS, *_ROLES, *_TEXT, *_EDGES, *_USAGE, *_CHOICES)
