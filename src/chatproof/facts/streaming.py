"""Event streams of chunks (STR-01..08, 11..15, 17, 19)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from chatproof.answer import NONCE, Answer, Chunk
from chatproof.facts.fact import Distinct, Terms, fact, must, problem, should
from chatproof.facts.response import plausible_created, usage_problems
from chatproof.record import Transfer
from chatproof.sse import Event
from chatproof.verdict import Problem

ENVELOPE = ("id", "object", "created", "model")
BARE_MAY_LACK = (*ENVELOPE, "index")


def asked_and_answered(a: Answer) -> bool:
    """Whether `stream: true` was answered with success."""
    return a.asked_stream and a.status is not None and 200 <= a.status < 300


def stream(a: Answer) -> bool:
    """Whether an event stream came, whole or not."""
    return a.is_stream


def chunked(a: Answer) -> bool:
    """Whether an event stream came that brought at least one chunk."""
    return a.is_stream and bool(a.chunks)


def ended(a: Answer) -> bool:
    """Whether an event stream reported no error and came to its end: the transfer's, or `[DONE]` before that broke."""
    return a.is_stream and a.stream_error is None and (a.whole or bool(a.dones))


def done(a: Answer) -> bool:
    """Whether `[DONE]` was seen."""
    return a.is_stream and bool(a.dones)


def finished(a: Answer) -> bool:
    """Whether a stream finished with stop or length, and nothing asked for made an empty answer likely."""
    short = a.asked_cap is not None and a.asked_cap < 16
    return (
        a.is_stream
        and bool({"stop", "length"} & set(map(str, a.finishes)))
        and not short
        and not a.asked.get("stop")
    )


def asked_for_usage(a: Answer) -> bool:
    """Whether usage was asked for and the stream came to its end without an error."""
    return ended(a) and a.asked_usage


def unasked_usage(a: Answer) -> bool:
    """Whether a stream came that nobody asked for usage."""
    return a.is_stream and not a.asked_usage


def transferred(a: Answer) -> bool:
    """Whether the server alone decided how the stream's transfer ended."""
    stalled = a.exchange.transfer is Transfer.STALLED and bool(a.dones)
    return a.is_stream and a.stream_error is None and (stalled or a.exchange.transfer in _BY_SERVER)


_BY_SERVER = (Transfer.WHOLE, Transfer.CUT, Transfer.RESET, Transfer.MALFORMED)


@fact("STR-01", of=asked_and_answered, cheap=True)
def stream_is_labelled(a: Answer, terms: Terms) -> Iterator[Problem]:
    """The answer to `stream: true` is 200 and says that it is an event stream."""
    if a.status != 200 or a.media_type != "text/event-stream":
        yield problem(
            "200 with Content-Type: text/event-stream", f"{a.status}, {a.media_type or 'no content type'}"
        )


@fact("STR-02", of=ended, cheap=True)
def ends_with_done(a: Answer, terms: Terms) -> Iterator[Problem]:
    """`[DONE]` comes exactly once, as an event that is terminated by its blank line."""
    last = a.stream.events[-1].end if a.stream.events else 0
    tail = (max(0, last - 80), last)
    if not a.dones:
        yield problem("data: [DONE] at the end", "the body ended without it", at=tail)
    elif len(a.dones) > 1:
        yield problem("data: [DONE] exactly once", f"{len(a.dones)} times", at=tail)
    elif not a.dones[0].terminated:
        yield problem("data: [DONE] ended by a blank line", "the body ended inside the event", at=tail)


@fact("STR-03", of=done)
def nothing_follows_done(a: Answer, terms: Terms) -> Iterator[Problem]:
    """After `[DONE]` only blank lines and comments come."""
    end = a.dones[0].end
    lines = a.body[end:].replace(b"\r", b"\n").split(b"\n")
    for line in lines:
        if line and not line.startswith(b":"):
            shows = line[:80].decode("utf-8", "backslashreplace")
            yield problem("nothing but blank lines and comments after [DONE]", shows, at=(end, len(a.body)))
            return


@fact("STR-04", of=chunked)
def every_event_is_a_chunk(a: Answer, terms: Terms) -> Iterator[Problem]:
    """Each data event is a chunk object; the last one may be an error envelope."""
    for chunk in a.chunks:
        if not chunk.event.terminated and not a.whole:
            continue  # the transfer was cut inside this event: STR-15's
        at = (chunk.event.start, chunk.event.end)
        if not isinstance(chunk.value, dict):
            shows = chunk.event.data[:120].decode("utf-8", "backslashreplace")
            yield problem("one JSON object in each data event", shows, at=at)
        elif chunk.error is None:
            yield from _chunk_problems(chunk, terms, at)
        elif chunk is not a.chunks[-1]:
            yield problem("an error envelope only as the last event", "chunks after it", at=at)
        else:
            for where, wrong in terms.schemas["error"].problems(chunk.value):
                yield problem("an error event that is an error envelope", f"{where}: {wrong}", at=at)


def _chunk_problems(chunk: Chunk, terms: Terms, at: tuple[int, int]) -> Iterator[Problem]:
    bare = terms.settings.chunk_envelope == "bare"
    for where, wrong in terms.schemas["chat.completion.chunk"].problems(chunk.value):
        lenient = bare and any(wrong == f"'{name}' is a required property" for name in BARE_MAY_LACK)
        make = should if lenient else must
        found = make("chunks that validate against chat.completion.chunk", f"{where}: {wrong}")
        yield Problem(expected=found.expected, actual=found.actual, level=found.level, at=at)


@fact("STR-05", of=chunked)
def envelope_is_constant(a: Answer, terms: Terms) -> Iterator[Problem]:
    """`id`, `created`, `object` and `model` are right, and the same in every chunk."""
    chunks = [chunk for chunk in a.chunks if chunk.fields and chunk.error is None]
    for name in ENVELOPE:
        first_at: dict[str, Event] = {}
        for chunk in (c for c in chunks if name in c.fields):
            first_at.setdefault(repr(chunk.fields[name]), chunk.event)
        values = list(first_at)
        if len(values) > 1:
            other = first_at[values[1]]
            told = f"{len(values)} values: {', '.join(values[:3])}"
            yield problem(f"the same {name} in every chunk", told, at=(other.start, other.end))
    first = {name: c.fields[name] for c in reversed(chunks) for name in ENVELOPE if name in c.fields}
    if first.get("object", "chat.completion.chunk") != "chat.completion.chunk":
        yield problem('object "chat.completion.chunk"', repr(first["object"]))
    if "created" in first and not plausible_created(a, first["created"]):
        yield problem("created as a plausible Unix time in seconds", repr(first["created"]))
    if any(str(c.fields.get("model")).lower() == "auto" for c in chunks):
        yield problem("the id of the model that handled the call", "auto")


@fact("STR-06", of=ended)
def each_choice_finishes_once(a: Answer, terms: Terms) -> Iterator[Problem]:
    """Each choice gets one finish_reason, no content after it, and never an empty string for one."""
    seen = {repr(piece.index): piece.index for piece in a.pieces} or {"0": 0}
    for index in seen.values():
        pieces = [piece for piece in a.pieces if piece.index == index]
        reasons = [piece.finish for piece in pieces if piece.finish is not None and piece.finish != ""]
        if len(reasons) != 1:
            yield problem(
                f"one finish_reason for choice {index}", f"{len(reasons)}: {reasons}" if reasons else "none"
            )
            continue
        ended = next(n for n, piece in enumerate(pieces) if piece.finish == reasons[0])
        late = next((piece for piece in pieces[ended + 1 :] if piece.substance), None)
        if late is not None:
            at = (late.chunk.event.start, late.chunk.event.end)
            yield problem(f"no content after choice {index} finished", repr(dict(late.delta)), at=at)
    blank = next((piece for piece in a.pieces if piece.finish == ""), None)
    if blank is not None:
        at = (blank.chunk.event.start, blank.chunk.event.end)
        yield problem("finish_reason null or absent on running chunks", "an empty string", at=at)


@fact("STR-07", of=finished)
def deltas_add_up(a: Answer, terms: Terms) -> Iterator[Problem]:
    """A choice that finished has said something."""
    for piece in a.pieces:
        if piece.finish in ("stop", "length"):
            said = any(other.substance for other in a.pieces if other.index == piece.index)
            if not said:
                yield problem(f"text, reasoning, a refusal or tool calls in choice {piece.index}", "nothing")


@fact("STR-08", of=chunked)
def role_comes_first(a: Answer, terms: Terms) -> Iterator[Problem]:
    """The first delta of a choice says `assistant`, and no later one says otherwise."""
    firsts: dict[str, Any] = {}
    for piece in a.pieces:
        role = piece.delta.get("role")
        if repr(piece.index) not in firsts:
            firsts[repr(piece.index)] = role
            if role != "assistant":
                yield problem('role "assistant" in the first delta of a choice', repr(role))
        elif role is not None and role != "assistant":
            yield problem("no other role later in the choice", repr(role))


@fact("STR-11", of=chunked)
def no_success_after_an_error(a: Answer, terms: Terms) -> Iterator[Problem]:
    """After an event that tells an error, in whatever shape, neither `[DONE]` nor a finish_reason pretends success."""
    failed = next((chunk for chunk in a.chunks if chunk.fields.get("error")), None)
    if failed is None:
        return
    after = failed.event.end
    if any(event.start >= after for event in a.dones):
        yield problem("no [DONE] after an error event", "[DONE]", at=(failed.event.start, len(a.body)))
    reasons = [p.finish for p in a.pieces if p.finish is not None and p.chunk.event.start >= after]
    if reasons:
        yield problem(
            "no finish_reason after an error event", repr(reasons), at=(failed.event.start, len(a.body))
        )


@fact("STR-12", of=asked_for_usage)
def usage_comes_when_asked(a: Answer, terms: Terms) -> Iterator[Problem]:
    """One chunk has full usage, with or after the last finish_reason and before `[DONE]`."""
    holders = [chunk for chunk in a.chunks if isinstance(chunk.fields.get("usage"), dict)]
    if len(holders) != 1:
        at = (holders[1].event.start, holders[1].event.end) if holders else None
        yield problem("one chunk with usage", f"{len(holders) or 'none'}", at=at)
        return
    holder = holders[0]
    at = (holder.event.start, holder.event.end)
    yield from usage_problems(a)
    finish = max((p.chunk.event.start for p in a.pieces if p.finish), default=0)
    if holder.event.start < finish:
        yield problem("usage with or after the last finish_reason", "before it", at=at)
    if any(event.start < holder.event.start for event in a.dones):
        yield problem("usage before [DONE]", "after it", at=at)
    if holder.fields.get("choices") != []:
        yield should(
            "usage in a chunk of its own, with choices: []", f"choices: {holder.fields.get('choices')!r}"
        )


@fact("STR-13", of=unasked_usage)
def unasked_usage_is_well_formed(a: Answer, terms: Terms) -> Iterable[Problem]:
    """Usage that nobody asked for adds up all the same."""
    return usage_problems(a) if a.usage is not None else ()


@fact("STR-14", of=stream)
def body_is_an_event_stream(a: Answer, terms: Terms) -> Iterator[Problem]:
    """Every line and event is valid UTF-8, and not all lines are of fields that the format does not know."""
    for wrong in a.stream.problems:
        if a.whole or wrong.offset < len(a.body) - 4:
            yield problem(
                "valid UTF-8 in every event", f"{wrong.what} at byte {wrong.offset}", at=_around(wrong.offset)
            )
    if not a.stream.events and "unknown_field" in a.stream.oddities:
        shows = a.body[:80].decode("utf-8", "backslashreplace")
        yield problem("data lines, as the event-stream format has them", shows, at=(0, min(80, len(a.body))))


def _around(offset: int) -> tuple[int, int]:
    return max(0, offset - 40), offset + 8


@fact("STR-15", of=transferred, cheap=True)
def transfer_ends_cleanly(a: Answer, terms: Terms) -> Iterator[Problem]:
    """The body ends as HTTP says that it ends."""
    if a.exchange.transfer is Transfer.STALLED:
        yield problem("the transfer's end after [DONE]", "silence until the client gave up")
    elif not a.whole:
        yield problem("the final chunk of the transfer", f"{a.exchange.transfer}: {a.exchange.detail}")


def concurrent(a: Answer) -> bool:
    """Whether a stream came that names itself."""
    return a.is_stream and a.completion_id is not None


def nonces_in(a: Answer) -> set[str]:
    """Nonces in the visible text of an answer."""
    return set(NONCE.findall(a.text)) if a.is_chat and a.status == 200 else set()


STREAM_IDS_ARE_DISTINCT = Distinct(
    clause="STR-17",
    of=concurrent,
    token=lambda a: a.completion_id,
    owner=lambda a: a.operation,
    expected="an id of its own for each stream",
)


@fact("STR-19", of=stream)
def oddities_are_legal(a: Answer, terms: Terms) -> Iterable[Problem]:
    """Whatever else the event-stream format allows is no finding."""
    return ()
