"""Oddities of answers themselves: models that think before they speak, how tokens are counted, who answers for auto."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from ..call import Call
from ..changes import document, events, put, usage, with_data
from ..conditions import asks_for, every_nth
from ..reply import Chunk, Json
from ..seams import ASKED, COMPLETION, IDENTITY, USAGE, Change
from ..vocabulary import Variation
from ..wallet import Usage
from .framing import CONTENT, STREAMED
from .text import delta

THOUGHTS = 12  # tokens: more than a short answer may have
AUTO = asks_for(model="auto")


def _thought_first(call: Call, made: Json) -> Json:
    assert call.rendered is not None
    for choice, said in zip(made["choices"], call.rendered.answer.choices, strict=True):
        choice["message"]["reasoning_content"] = "".join(said.pieces[:THOUGHTS])
        choice["message"]["content"] = "".join(said.pieces[THOUGHTS:])
    return made


def _streamed_thought_first(call: Call, chunks: tuple[Chunk, ...]) -> Iterator[Chunk]:
    seen: Counter[int | None] = Counter()
    for chunk in chunks:
        if chunk.carries is CONTENT:
            seen[chunk.choice] += 1
        if chunk.carries is CONTENT and seen[chunk.choice] <= THOUGHTS:
            yield _as_thought(chunk)
        else:
            yield chunk


def _as_thought(chunk: Chunk) -> Chunk:
    thought = delta(chunk)["content"]
    return with_data(chunk, "/choices/0/delta", lambda old: {"reasoning_content": thought})


_THOUGHTS = (
    Variation(
        "thinks-first",
        "The first twelve tokens of an answer are reasoning: a short one has no text at all.",
        (document(COMPLETION, _thought_first), events(_streamed_thought_first, STREAMED)),
    ),
)


def _end_token(call: Call, counted: Usage) -> Usage:
    cap = call.fields.get("max_tokens") or call.fields.get("max_completion_tokens")
    return counted if cap is not None and counted.completion >= cap else _more(counted, completion=1)


def _more(counted: Usage, prompt: int = 0, completion: int = 0) -> Usage:
    return replace(counted, prompt=counted.prompt + prompt, completion=counted.completion + completion)


_COUNTS = (
    Variation(
        "hidden-system-prompt",
        "Each prompt has two hundred tokens that nobody sent.",
        (Change(USAGE, lambda call, counted: _more(counted, prompt=200)),),
    ),
    Variation(
        "end-token-counted",
        "The token that ends an answer is counted and charged.",
        (Change(USAGE, _end_token),),
    ),
    Variation(
        "usage-order",
        "Usage begins with the charge, and names its tokens a second time.",
        (
            usage("input_tokens", 1),
            usage("output_tokens", 1),
            put(COMPLETION, "/usage", lambda old: dict(sorted(old.items()))),
        ),
    ),
)


_MODELS = (
    Variation(
        "auto-alternates",
        "The second model answers every other call for auto.",
        (put(ASKED, "/model", "swift-small-1", AUTO & every_nth(2)),),
    ),
    Variation(
        "auto-is-another",
        "A model that the target file does not list answers for auto.",
        (Change(IDENTITY, lambda call, made: replace(made, model="swift-large-9"), AUTO),),
    ),
)

VARIATIONS = (*_THOUGHTS, *_COUNTS, *_MODELS)
