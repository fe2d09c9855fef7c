"""Faults that streams show only side by side, or beside their sync twins: counts, mixing, departures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ..call import Call
from ..changes import ends, events, reply, with_data
from ..conditions import STREAM, SUCCEEDED, When, crowded
from ..model import Answer, Prompt, answer
from ..reply import Carries, Chunk, Ending, Reply
from ..seams import ANSWER, CHARGE, IDENTITY, USAGE, Change, Identity
from ..vocabulary import Fault, fails, warns
from ..wallet import Charge, Usage, charge_of

_STREAMED = STREAM & SUCCEEDED


def _two_more(call: Call, counts: Usage) -> Usage:
    return replace(counts, prompt=counts.prompt + 2)


def _twice(call: Call, charge: Charge) -> Charge:
    return charge_of(charge.credits * 2)


_TWINS = (
    Fault(
        "stream-counts-more",
        "A stream counts two prompt tokens more than its sync twin.",
        warns("STR-16"),
        (Change(USAGE, _two_more, STREAM),),
    ),
    Fault(
        "stream-counts-system-twice",
        "At temperature 0 a stream counts each message twice.",
        warns("STR-16"),
        (
            Change(
                USAGE,
                lambda call, counts: replace(counts, prompt=counts.prompt * 2),
                STREAM & When("temperature is 0", lambda call: call.fields.get("temperature") == 0),
            ),
        ),
    ),
    Fault(
        "stream-costs-double",
        "A token costs twice as much in a stream.",
        warns("STR-16", "BIL-07"),
        (Change(CHARGE, _twice, STREAM),),
    ),
)


def _neighbour(call: Call) -> Call | None:
    """The last stream before this one that is under way and differs in its messages only."""

    def others(one: Call) -> dict[str, Any]:
        return {name: value for name, value in one.fields.items() if name != "messages"}

    alike = (
        one
        for one in reversed(call.world.calls)
        if one is not call and one.stream and one.raw != call.raw and others(one) == others(call)
    )
    return next(alike, None)


def _swapped(call: Call, found: Answer) -> Answer:
    other = _neighbour(call)
    return answer(Prompt.of(other.fields), other.nonce) if other else found


def _shared_id(call: Call, identity: Identity) -> Identity:
    other = _neighbour(call)
    return replace(identity, id=other.rendered.identity.id) if other and other.rendered else identity


def _overheard(call: Call, chunks: tuple[Chunk, ...]) -> Iterable[Chunk]:
    """The neighbour's text is spliced in before this stream's own."""
    other = _neighbour(call)
    made = other.rendered if other else None
    spliced = False
    for chunk in chunks:
        if made is not None and chunk.carries is Carries.CONTENT and not spliced:
            spliced = True
            yield _saying(chunk, made.answer.choices[0].text)
        yield chunk


def _saying(chunk: Chunk, text: str) -> Chunk:
    return replace(with_data(chunk, "/choices/0/delta/content", lambda old: text), tokens=0)


_MIXED = (
    Fault(
        "streams-overhear",
        "A stream brings the text of another one that is under way.",
        fails("STR-17"),
        (events(_overheard),),
    ),
    Fault(
        "answers-swapped",
        "With four calls at once a stream gets the answer to its neighbour's prompt.",
        fails("STR-17"),
        (Change(ANSWER, _swapped, STREAM & crowded(4)),),
    ),
    Fault(
        "ids-shared-in-crowd",
        "With four calls at once streams share their ids.",
        fails("STR-17"),
        (Change(IDENTITY, _shared_id, STREAM & crowded(4)),),
    ),
)


def _cut_on_departure(call: Call, plan: Reply) -> Reply:
    """Breaks this stream off when any client leaves while it is under way."""
    before, name = call.world.departures, call.applying

    def breaks_off() -> bool:
        left = call.world.departures > before
        if left:
            call.note(name)
        return left

    return replace(plan, breaks_off=breaks_off)


def _first_since_departure(call: Call) -> bool:
    seen = int(call.world.memory.get("departures", 0))
    call.world.memory["departures"] = call.world.departures
    return call.world.departures > seen


_AFTER_DEPARTURE = When("a client left since the last stream", _first_since_departure)


_DEPARTURES = (
    Fault(
        "departure-cuts-neighbours",
        "When a client leaves, the streams beside it are cut.",
        fails("STR-18", "STR-15"),
        (reply(_cut_on_departure, _STREAMED),),
    ),
    Fault(
        "departure-cripples-next",
        "The first stream after a client left ends after two tokens, without finish_reason or [DONE].",
        fails("STR-18", "STR-02", "STR-06", "STR-12"),
        (ends(Ending.WHOLE, Carries.CONTENT, 1, _STREAMED & _AFTER_DEPARTURE),),
    ),
)

FAULTS = (*_TWINS, *_MIXED, *_DEPARTURES)
