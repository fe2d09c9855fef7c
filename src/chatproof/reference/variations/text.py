"""Oddities of what a stream says: how tokens and choices are dealt out to chunks, and what comes beside text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from ..call import Call
from ..changes import events, insert
from ..conditions import LONG, SECOND_MODEL
from ..reply import Chunk, Json
from ..vocabulary import Variation
from .chunks import SEVERAL, beside, less, saying
from .framing import CONTENT, FINISH, STREAMED


def delta(chunk: Chunk) -> Json:
    """What a chunk adds to its first choice."""
    assert isinstance(chunk.data, dict)
    found: Json = chunk.data["choices"][0]["delta"]
    return found


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

VARIATIONS = (*_TEXT, *_CHOICES)
