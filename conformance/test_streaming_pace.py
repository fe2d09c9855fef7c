"""Streams are sent as they are made (STR-09).

Both probes run alone: nothing else of this run keeps the client or the deployment busy. They judge instants, so what
they saw once proves nothing against the deployment: they accuse on what repeats, and never on a stream during which
this client was late.
"""

from __future__ import annotations

from collections import Counter

import pytest

from chatproof.answer import Answer
from chatproof.incremental import ENOUGH, NS_PER_MS, Pace, arrivals, described, first_text_ns, pace
from chatproof.probe import SHORT, Talk, Violation, arrived, told, user
from chatproof.verdict import NotObserved

LONG = 96  # tokens: three times the content events that are needed
LATE_NS = 20 * NS_PER_MS  # what came meanwhile came at one moment for this client
LATE_SHARE = 3  # and so did a third of a stream that took no more than three times as long
STREAMS = 8  # asked for at most, until enough of them say the same
ENOUGH_SAY = {Pace.STEADY: 1, Pace.COARSE: 3, Pace.BLOCKS: 2}
HELD_BACK = 4  # long streams; a first token that is late by chance is late in all of them once in 70 runs


def counted(talk: Talk, step: str, max_tokens: int) -> Answer:
    """A stream that counts, for so many tokens; the nonce comes first, so that no two share a cached prompt."""
    prompt = f"{talk.nonce()}: ignore this code. Count from 1 to 80, with a space between the numbers."
    return talk.chat(step=step, stream=True, max_tokens=max_tokens, messages=[user(prompt)])


def long_stream(talk: Talk, step: str) -> Answer | None:
    """A stream that is long enough to judge; `None` where it did not come to its end."""
    answer = counted(talk, step, LONG)
    if not arrived(answer):
        return None
    events = len(arrivals(answer))
    if events < ENOUGH:
        raise NotObserved(f"a long answer had {events} content events, {ENOUGH} are needed")
    return answer


def was_late(answer: Answer) -> bool:
    """Whether this client was kept from reading for so long that a steady stream may have come to it in blocks."""
    exchange = answer.exchange
    took_ns = exchange.ended_ns - (exchange.sent_ns or exchange.started_ns)
    return exchange.lateness_ns > min(LATE_NS, took_ns // LATE_SHARE)


@pytest.mark.alone
@pytest.mark.clause("STR-09")
def test_content_comes_as_it_is_made(talk: Talk) -> None:
    """The content of a long stream comes at several moments, and not nearly all of it at one of them."""
    rule = talk.settings.incremental
    seen: Counter[Pace] = Counter()
    late = 0
    for n in range(1, STREAMS + 1):
        answer = long_stream(talk, f"long-{n}")
        if answer is None:
            continue
        found = pace(arrivals(answer), talk.settings)
        if was_late(answer) and found is not Pace.STEADY:
            late += 1
            continue
        seen[found] += 1
        if seen[found] < ENOUGH_SAY.get(found, STREAMS + 1):
            continue
        if found is not Pace.BLOCKS:
            return

        most = round(100 * rule.largest_share)
        expected = (
            f"content at {rule.moments} moments or more, {rule.apart_ms:g} ms apart, at most {most} % at one"
        )
        raise Violation(
            expected, f"{described(arrivals(answer), talk.settings)}; so in 2 of {n} streams", answer
        )
    told_of = ", ".join(f"{count} {name}" for name, count in seen.items()) or "none came to its end"
    raise NotObserved(f"{STREAMS} streams do not agree: {told_of}; the client was late in {late}")


@pytest.mark.alone
@pytest.mark.clause("STR-09")
def test_first_content_is_not_held_back(talk: Talk) -> None:
    """A long answer's first content comes no later than a short one's and half of what the long one takes after it.

    By how much this client was late, the first content may have come sooner than it was seen, and the rest have taken
    longer: a long answer that would be in time then says nothing.
    """
    short_ns, held_back = 0, 0
    for n in range(1, STREAMS + 1):
        short, answer = counted(talk, f"short-{n}", SHORT), long_stream(talk, f"long-{n}")
        waited_ns = first_text_ns(short)
        if answer is None or not arrived(short) or waited_ns is None:
            raise NotObserved(
                f"no short answer to compare: {told(short)}" if answer else "a long stream broke off"
            )
        short_ns = max(short_ns, waited_ns)
        first_ns, content = first_text_ns(answer) or 0, arrivals(answer)
        after_ns = content[-1].at_ns - content[0].at_ns
        limit_ns = short_ns + after_ns // 2
        if first_ns <= limit_ns:
            return
        late_ns = answer.exchange.lateness_ns
        held_back += first_ns - late_ns > limit_ns + late_ns // 2
        if held_back == HELD_BACK:
            break
    else:
        raise NotObserved(f"the client was late in {STREAMS - held_back} of {STREAMS} long answers")

    why = f"{_ms(short_ns)} for a short answer's and half of the {_ms(after_ns)} after it"
    expected = f"the first content of a long answer within {_ms(limit_ns)} ({why})"
    raise Violation(expected, f"after {_ms(first_ns)}, and as late in {HELD_BACK} long answers", answer)


def _ms(duration_ns: int) -> str:
    return f"{duration_ns / NS_PER_MS:.0f} ms"
