"""What a change does: the verbs of which faults and variations are composed. Each returns one change of one
seam.

Every verb takes `when`, a condition (see `conditions`); without it the change always applies.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from . import pointer
from .call import Call
from .problem import Problem
from .reply import Carries, Chunk, Ending, Frame, Framing, Json, Reply
from .rule import first_problem
from .rules import CHAT
from .seams import ALWAYS, CHUNKS, LIMIT, PROBLEM, REFUSAL, REPLY, SHOWN_USAGE, Change, Seam, When

GONE = pointer.GONE

# Refusals ---------------------------------------------------------------------------------------------------


def accept(*rules: str, when: When = ALWAYS) -> Change[Problem | None]:
    """Lets requests pass that only these rules object to; a rule further down may still object."""

    def edit(call: Call, problem: Problem | None) -> Problem | None:
        if problem is None or problem.rule not in rules:
            return problem
        call.skipped.update(rules)
        return first_problem(call, CHAT, call.skipped)

    return Change(PROBLEM, edit, when)


def let_through(when: When) -> Change[Problem | None]:
    """Accepts whatever the rules said."""
    return Change(PROBLEM, lambda call, problem: None, when)


def refuse(problem: Problem, when: When = ALWAYS) -> Change[Problem | None]:
    """Refuses requests that no rule objects to."""
    return Change(PROBLEM, lambda call, found: found or problem, when)


def limit(problem: Problem | None, when: When = ALWAYS) -> Change[Problem | None]:
    """Says this instead of what account and model say; None lets the request through."""
    return Change(LIMIT, lambda call, found: problem, when)


def remap(when: When = ALWAYS, **fields: Any) -> Change[Problem]:
    """Replaces fields of a refusal: `status`, `code`, `message`, `retryable`, `param`, `headers`."""
    return Change(REFUSAL, lambda call, problem: replace(problem, **fields), when)


# JSON documents ---------------------------------------------------------------------------------------------


def put(seam: Seam[Json], at: str, value: Any, when: When = ALWAYS) -> Change[Json]:
    """Writes a value at a pointer (``*``: every array item); a function is called with the old value."""
    change = value if callable(value) else lambda old: value

    def edit(call: Call, document: Json) -> Json:
        pointer.edit(document, at, change)
        return document

    return Change(seam, edit, when)


def drop(seam: Seam[Json], at: str, when: When = ALWAYS) -> Change[Json]:
    """Removes what is at a pointer."""
    return put(seam, at, lambda old: GONE, when)


def document(seam: Seam[Json], instead: Callable[[Call, Json], Json], when: When = ALWAYS) -> Change[Json]:
    """Serves another document, made from the call and (a copy of) the right one."""
    return Change(seam, instead, when)


def usage(field: str, value: Any, when: When = ALWAYS) -> Change[Json]:
    """Writes one field of the usage object, sync and in streams; a function is called with the old value."""
    return put(SHOWN_USAGE, f"/{field}", value, when)


# Streams, event by event ------------------------------------------------------------------------------------


def events(
    change: Callable[[Call, tuple[Chunk, ...]], Iterable[Chunk]], when: When = ALWAYS
) -> Change[tuple[Chunk, ...]]:
    """Any change of a stream's events; must not edit the chunks it is given (see `with_data`)."""
    return Change(CHUNKS, lambda call, chunks: tuple(change(call, chunks)), when)


def put_in(
    kinds: Iterable[Carries], at: str, value: Any, when: When = ALWAYS, nth: slice = slice(None)
) -> Change[tuple[Chunk, ...]]:
    """Writes a value at a pointer of each chunk of some kinds; `nth` picks among those chunks."""
    wanted = tuple(kinds)
    change = value if callable(value) else lambda old: value

    def edit(call: Call, chunks: tuple[Chunk, ...]) -> Iterable[Chunk]:
        places = [index for index, chunk in enumerate(chunks) if chunk.carries in wanted]
        chosen = set(places[nth])
        return (
            with_data(chunk, at, change) if index in chosen else chunk for index, chunk in enumerate(chunks)
        )

    return events(edit, when)


def drop_in(
    kinds: Iterable[Carries], at: str, when: When = ALWAYS, nth: slice = slice(None)
) -> Change[tuple[Chunk, ...]]:
    """Removes what is at a pointer of each chunk of some kinds."""
    return put_in(kinds, at, lambda old: GONE, when, nth)


def with_data(chunk: Chunk, at: str, change: Callable[[Any], Any]) -> Chunk:
    """The chunk with an edited copy of its JSON; literals such as [DONE] stay."""
    data = copy.deepcopy(chunk.data)
    if isinstance(data, dict):
        pointer.edit(data, at, change)
    return replace(chunk, data=data)


def without(*kinds: Carries, when: When = ALWAYS, nth: slice = slice(None)) -> Change[tuple[Chunk, ...]]:
    """Leaves out the chunks of some kinds."""

    def edit(call: Call, chunks: tuple[Chunk, ...]) -> Iterable[Chunk]:
        chosen = [id(chunk) for chunk in chunks if chunk.carries in kinds][nth]
        return (chunk for chunk in chunks if id(chunk) not in chosen)

    return events(edit, when)


def insert(
    *added: Chunk | Callable[[Chunk], Chunk],
    before: Carries | None = None,
    after: Carries | None = None,
    when: When = ALWAYS,
) -> Change[tuple[Chunk, ...]]:
    """Adds events before the first or after the last one of a kind; a function makes one from that
    neighbour."""

    def edit(call: Call, chunks: tuple[Chunk, ...]) -> Iterable[Chunk]:
        places = [index for index, chunk in enumerate(chunks) if chunk.carries is (before or after)]
        if not places:
            return chunks
        at = places[0] if before else places[-1] + 1
        beside = chunks[places[0] if before else places[-1]]
        made = [one(beside) if callable(one) else one for one in added]
        return (*chunks[:at], *made, *chunks[at:])

    return events(edit, when)


# Replies, byte by byte --------------------------------------------------------------------------------------


def reply(change: Callable[[Call, Reply], Reply], when: When = ALWAYS) -> Change[Reply]:
    """Any change of status, headers, frames or ending."""
    return Change(REPLY, change, when)


def header(name: str, value: str | None, when: When = ALWAYS) -> Change[Reply]:
    """Sets a response header to a value, or (None) removes it."""

    def edit(call: Call, plan: Reply) -> Reply:
        return replace(plan, headers=with_header(plan.headers, name, value))

    return Change(REPLY, edit, when)


def with_header(
    headers: tuple[tuple[str, str], ...], name: str, value: str | None
) -> tuple[tuple[str, str], ...]:
    """Headers with one replaced, added or (None) removed."""
    others = tuple(pair for pair in headers if pair[0].lower() != name.lower())
    return others if value is None else (*others, (name, value))


def answer_status(number: int, when: When = ALWAYS) -> Change[Reply]:
    """Sends another status with everything else as it was."""
    return Change(REPLY, lambda call, plan: replace(plan, status=number), when)


def body(
    content: bytes | Callable[[bytes], bytes], content_type: str | None = None, when: When = ALWAYS
) -> Change[Reply]:
    """Sends another body as one frame, with its length announced; a function is called with the old one."""

    def edit(call: Call, plan: Reply) -> Reply:
        data = content(plan.body) if callable(content) else content
        headers = with_header(plan.headers, "Content-Type", content_type) if content_type else plan.headers
        pause = sum(frame.after_ns for frame in plan.frames)
        return replace(
            plan, headers=headers, frames=(Frame(data, Carries.BODY, pause),), framing=Framing.LENGTH
        )

    return Change(REPLY, edit, when)


def told_in_stream(when: When = ALWAYS, status: int = 200) -> Change[Reply]:
    """Sends a JSON body as the only event of a stream instead."""

    def edit(call: Call, plan: Reply) -> Reply:
        told = Frame(b"data: " + plan.body + b"\n\n", Carries.ERROR)
        headers = with_header(plan.headers, "Content-Type", "text/event-stream")
        return replace(plan, status=status, headers=headers, frames=(told,), framing=Framing.CHUNKED)

    return Change(REPLY, edit, when)


def frames(change: Callable[[tuple[Frame, ...]], Iterable[Frame]], when: When = ALWAYS) -> Change[Reply]:
    """Any change of the frames of a reply's body: bytes, pauses, order."""
    return Change(REPLY, lambda call, plan: replace(plan, frames=tuple(change(plan.frames))), when)


def rewrite(change: Callable[[bytes], bytes], *kinds: Carries, when: When = ALWAYS) -> Change[Reply]:
    """Changes the bytes of each frame (of some kinds; of all, where none is named)."""

    def edit(written: tuple[Frame, ...]) -> Iterable[Frame]:
        return (
            replace(frame, data=change(frame.data)) if not kinds or frame.carries in kinds else frame
            for frame in written
        )

    return frames(edit, when)


def splits(cut: Callable[[bytes], Iterable[bytes]], gap_ns: int = 0, when: When = ALWAYS) -> Change[Reply]:
    """Hands each frame to the kernel in pieces, `gap_ns` apart."""

    def edit(written: tuple[Frame, ...]) -> Iterable[Frame]:
        for frame in written:
            for index, piece in enumerate(cut(frame.data)):
                first = index == 0
                yield Frame(
                    piece, frame.carries, frame.after_ns if first else gap_ns, frame.tokens if first else 0
                )

    return frames(edit, when)


def coalesced(group: int, when: When = ALWAYS) -> Change[Reply]:
    """Writes so many frames at once, when the last of them is due."""

    def edit(written: tuple[Frame, ...]) -> Iterable[Frame]:
        for start in range(0, len(written), group):
            some = written[start : start + group]
            yield Frame(
                b"".join(frame.data for frame in some),
                some[-1].carries,
                sum(frame.after_ns for frame in some),
                sum(frame.tokens for frame in some),
            )

    return frames(edit, when)


def held_back(share: float = 1.0, when: When = ALWAYS) -> Change[Reply]:
    """Keeps the first `share` of the frames until the last of them is due, and then writes them one after
    another."""

    def edit(written: tuple[Frame, ...]) -> Iterable[Frame]:
        held = max(1, round(len(written) * share))
        pause = sum(frame.after_ns for frame in written[:held])
        early = (replace(frame, after_ns=0) for frame in written[1:held])
        return (replace(written[0], after_ns=pause), *early, *written[held:])

    return frames(edit, when)


def ends(how: Ending, after: Carries | None = None, nth: int = -1, when: When = ALWAYS) -> Change[Reply]:
    """Ends the transfer in some way, right after the nth frame of a kind (after all frames, where none is
    named)."""

    def edit(call: Call, plan: Reply) -> Reply:
        places = [index for index, frame in enumerate(plan.frames) if after is None or frame.carries is after]
        if not -len(places) <= nth < len(places):
            return plan
        return replace(plan, frames=plan.frames[: places[nth] + 1], ending=how)

    return Change(REPLY, edit, when)


def later(pause_ns: int, when: When = ALWAYS) -> Change[Reply]:
    """Sends the body's first frame so much later."""

    def edit(written: tuple[Frame, ...]) -> Iterable[Frame]:
        return (replace(written[0], after_ns=written[0].after_ns + pause_ns), *written[1:]) if written else ()

    return frames(edit, when)
