"""Many streams at once (STR-17, STR-18): none sees another's text, none suffers when others hang up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from chatproof.answer import Answer
from chatproof.probe import Talk, Violation, arrived, told, user
from chatproof.record import Transfer
from chatproof.verdict import NotObserved

WITH_USAGE: Any = {"stream": True, "stream_options": {"include_usage": True}}
CROWD = 16
ROUNDS = 3
AFTER_EVENTS = 4  # a client leaves when it has seen so many: the role, and some tokens


def prepared(talk: Talk, step: str, prompt: str, **request: Any) -> Callable[[], Answer]:
    """A stream to be asked for later; its nonces are drawn now, since threads would draw them in any order."""
    leave = request.pop("leave", None)
    body, key = talk.body(stream=True, messages=[user(prompt)], **request), talk.nonce()
    return lambda: talk.chat(body, step=step, key=key, leave=leave)


@pytest.mark.clause("STR-17")
def test_concurrent_streams_do_not_mix(talk: Talk) -> None:
    """Sixteen streams at once, each with nonces of its own to repeat; ids and nonces are judged over all streams.

    Those that come to their end are judged, be they two; how many of them did, the row says.
    """
    prompts = [f'Repeat exactly: "{" ".join(talk.nonce() for _ in range(3))}"' for _ in range(CROWD)]
    calls = [prepared(talk, f"stream-{n:02}", text, max_tokens=48) for n, text in enumerate(prompts, 1)]
    answers = talk.together(calls)

    broken_off = [answer for answer in answers if not arrived(answer)]
    came = CROWD - len(broken_off)
    if came < 2:
        raise NotObserved(f"{came} of {CROWD} streams at once came to their end: {told(broken_off[0])}")
    if broken_off:
        talk.remarks.append(f"judged on the {came} of {CROWD} streams at once that came to their end")


def gone(body: bytes) -> bool:
    """Whether a client that does not stay has seen enough."""
    return body.count(b"data:") >= AFTER_EVENTS


def crowd(talk: Talk, name: str, *, leaving: bool) -> tuple[list[Answer], list[Answer]]:
    """Sixteen streams at once, of which every other one hangs up if they are leaving, and the next two requests.

    The streams that hang up, and all the others.
    """
    calls = []
    for n in range(1, CROWD + 1):
        leave = gone if leaving and n % 2 else None
        prompt = f"{talk.nonce()}: ignore this code. Count from 1 to 40, with a space between the numbers."
        calls.append(prepared(talk, f"{name}-{n:02}", prompt, max_tokens=64, leave=leave))
    answers = talk.together(calls)
    after = [talk.chat(step=f"{name}-next"), talk.chat(step=f"{name}-next-stream", **WITH_USAGE)]
    return answers[::2], [*answers[1::2], *after]


@pytest.mark.clause("STR-18")
def test_hang_ups_harm_nobody(talk: Talk) -> None:
    """Clients hang up mid-stream: the streams beside them come to their end, and so do the next requests.

    What broke is asked for again with nobody leaving: what breaks then too is not the fault of those who leave. And
    since streams may break by chance, it must break so in each of three rounds.
    """
    for n in range(1, ROUNDS + 1):
        leavers, others = crowd(talk, f"leaving-{n}", leaving=True)
        if not any(broken(answer) for answer in others):
            if not any(answer.exchange.transfer is Transfer.LEFT for answer in leavers):
                raise NotObserved("every stream had come to its end before its client could leave")
            return
        half, staying = crowd(talk, f"staying-{n}", leaving=False)
        if any(answer.status in (401, 429, 503) for answer in (*others, *half, *staying)):
            raise NotObserved("not all of sixteen streams at once were let in")
        harmed = only_beside_leavers(others, half, staying)
        if not harmed:
            return

    first = harmed[0]
    where = "a stream beside them" if first in others[: CROWD // 2] else "the next request"
    actual = f"{first.ending}: {told(first)}"
    raise Violation(f"{where} to come to its end when clients hang up", actual, first)


def only_beside_leavers(
    others: Sequence[Answer], half: Sequence[Answer], staying: Sequence[Answer]
) -> list[Answer]:
    """What broke beside those who left or after them, and in the same place broke nowhere when all stayed.

    NotObserved where some of the streams broke although all stayed.
    """
    beside, usual = others[: CROWD // 2], [*half, *staying[: CROWD // 2]]
    breaking = [answer for answer in usual if broken(answer)]
    if len(breaking) == len(usual) and not any(arrived(answer) for answer in usual):
        raise NotObserved(f"streams break even where nobody leaves: {told(breaking[0])}")
    harmed = [answer for answer in beside if broken(answer)]
    if harmed and 0 < len(breaking) < len(usual):
        raise NotObserved(
            f"{len(breaking)} of {CROWD} streams break where nobody leaves: {told(breaking[0])}"
        )
    after = zip(others[CROWD // 2 :], staying[CROWD // 2 :], strict=True)
    return ([] if breaking else harmed) + [a for a, as_usual in after if broken(a) and not broken(as_usual)]


def broken(answer: Answer) -> bool:
    """Whether something of an answer is missing."""
    return not arrived(answer) or (answer.asked_stream and not answer.dones)
