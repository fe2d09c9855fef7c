"""Faults of the chunk that reports usage."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..call import Call
from ..changes import (
    GONE,
    drop_in,
    events,
    insert,
    with_data,
    without,
)
from ..conditions import (
    INCLUDE_USAGE,
    SECOND_MODEL,
)
from ..render import shown_usage
from ..reply import Chunk, Json
from ..vocabulary import Fault, fails, unseen, warns
from .chunks import DONE, FINISH, USAGE, moved


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


def _usage_first(chunks: tuple[Chunk, ...]) -> Iterable[Chunk]:
    usage = [chunk for chunk in chunks if chunk.carries is USAGE]
    return (*usage, *(chunk for chunk in chunks if chunk.carries is not USAGE))


_USAGE = (
    Fault(
        "usage-not-sent",
        "include_usage is ignored.",
        fails("STR-12"),
        (without(USAGE),),
        unseen("REQ-09", "BIL-07", "STR-16"),
    ),
    Fault(
        "usage-not-sent-by-second-model",
        "The second model ignores include_usage.",
        fails("STR-12"),
        (without(USAGE, when=SECOND_MODEL),),
        unseen("REQ-09", "BIL-07"),
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
        (events(lambda call, chunks: moved(chunks, USAGE, DONE)),),
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
    fails("STR-04"),
    (events(_unasked(lambda total: total), ~INCLUDE_USAGE), drop_in([USAGE], "/choices", ~INCLUDE_USAGE)),
)

FAULTS = (*_USAGE, _UNASKED_BARE)
