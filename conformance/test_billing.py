"""What answers cost: the charge follows usage, is taken once, and is what the wallet loses (BIL-08..10)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from chatproof import balance
from chatproof.answer import Answer
from chatproof.facts.billing import CREDITS, call_of, figure
from chatproof.linear_charge import first_contradiction, linearity
from chatproof.money import Printed, agrees_balance
from chatproof.probe import Talk, Violation, arrived, told, user
from chatproof.verdict import NotObserved

WITH_USAGE: Any = {"stream": True, "stream_options": {"include_usage": True}}
FEW, MANY = 4, 32  # tokens of a short and a long answer
FILLER = "The quick brown fox jumps over the lazy dog. " * 12  # some 120 tokens of a longer prompt


def charged(answer: Answer) -> Printed:
    """What a completion says that it costs."""
    if not arrived(answer):
        raise NotObserved(told(answer))
    charge = figure(answer, CREDITS)
    if charge is None:
        raise NotObserved(f"usage.{CREDITS} is absent or unreadable")
    return charge


@pytest.mark.clause("BIL-08")
def test_charge_is_linear(talk: Talk, model: str) -> None:
    """Short and long answers to short and long prompts: one pair of prices per token explains every charge.

    The control is the short answer to a short prompt. The nonce comes first in each prompt, so that none is read from
    a cache.
    """
    answers = [talk.control()]
    for filler, cap in (("", MANY), (FILLER, FEW), (FILLER, MANY)):
        prompt = (
            f"{talk.nonce()}: ignore this code. {filler}Count from 1 to 40, with a space between the numbers."
        )
        answers.append(talk.chat(messages=[user(prompt)], max_tokens=cap))
    told_of = [
        (answer, call) for answer in answers if arrived(answer) and (call := call_of(answer)) is not None
    ]
    calls = [call for _, call in told_of]
    found = linearity(calls)
    if found.linear is None:
        raise NotObserved(found.reason)

    if not found.linear:
        shows = next(answer for answer, call in told_of if call == first_contradiction(calls))
        seen = ", ".join(f"{call.credits} for {call.prompt} and {call.completion}" for call in calls)
        raise Violation(
            "charges for prompt and completion tokens that one pair of prices explains", seen, shows
        )


@pytest.mark.alone
@pytest.mark.clause("BIL-09")
def test_replay_costs_nothing_more(talk: Talk, model: str) -> None:
    """A replay shows the first charge; where the balance can be read, it moves by one charge, not by two."""
    hook = talk.target.billing.balance is not None
    for attempt in ("first", "second"):
        before = balance.still(talk, f"{attempt}-before") if hook else None
        body, key = talk.body(), talk.nonce()
        answers = [talk.chat(body, key=key, step=f"{attempt}-{step}") for step in ("request", "replay")]
        charge, shown = charged(answers[0]), figure(answers[1], CREDITS)
        if not arrived(answers[1]):
            raise NotObserved(told(answers[1]))
        if shown is None or shown.value != charge.value:
            actual = f"{shown} credits" if shown else "no charge"
            raise Violation(f"the first charge, {charge} credits", actual, answers[1])
        if before is None or falls(talk, f"{attempt}-after", before, [charge]):
            return

    raise Violation(f"a balance that falls by {charge} credits once", fell(talk, before), answers[1])


@pytest.mark.alone
@pytest.mark.clause("BIL-10")
def test_balance_falls_by_what_is_shown(talk: Talk, model: str) -> None:
    """Over sync calls, a stream with usage and failed calls the balance falls by the charges shown, and no more.

    A stream that shows no charge (BIL-07 is a SHOULD) stays out of it.
    """
    streams, wrong = 1, 0
    for attempt in ("first", "second", "third"):
        before = balance.still(talk, f"{attempt}-before")
        bought = [
            talk.chat(step=f"{attempt}-sync-{n}", max_tokens=cap) for n, cap in enumerate((FEW, MANY), 1)
        ]
        bought += [talk.chat(step=f"{attempt}-stream", **WITH_USAGE) for _ in range(streams)]
        served = [answer for answer in fail(talk, attempt) if answer.status == 200 and not answer.error]
        if streams and arrived(bought[-1]) and figure(bought[-1], CREDITS) is None:
            streams = 0
            continue
        charges = [charged(answer) for answer in (*bought, *served)]
        if falls(talk, f"{attempt}-after", before, charges):
            return
        wrong += 1
        if wrong == 2:
            break

    shown = " + ".join(map(str, charges))
    raise Violation(f"a balance that falls by {shown} credits", fell(talk, before), bought[-1])


def fail(talk: Talk, attempt: str) -> list[Answer]:
    """Calls that fail in different places; where one is served, its charge counts, and the rest is others' to judge.

    Those that name another model are the same calls whichever model is pinned: the first one's window has them.
    """
    any_error = tuple(range(400, 600))
    down = talk.target.provoke.unavailable_model
    failing: list[dict[str, Any]] = [{"messages": []}, {"messages": [], **WITH_USAGE}]
    if talk.model == talk.target.models[0].id:
        failing += [{"model": f"no-such-model-{talk.nonce()}"}]
        failing += [{"model": down}, {"model": down, **WITH_USAGE}] if down else []
    return [
        talk.chat(step=f"{attempt}-failed-{n}", expected=any_error, **request)
        for n, request in enumerate(failing, start=1)
    ]


@pytest.mark.alone
@pytest.mark.clause("BIL-10")
def test_stream_without_usage_is_charged(talk: Talk, model: str) -> None:
    """Every completion is charged: a stream that nobody asked for usage moves the balance too."""
    prompt = f"{talk.nonce()}: ignore this code. Count from 1 to 40, with a space between the numbers."
    request: dict[str, Any] = {"messages": [user(prompt)], "max_tokens": MANY}
    charge = charged(talk.chat(step="sync", **request))
    if charge.value == 0:
        return  # nothing to charge for, or BIL-05's
    before = balance.still(talk, "before")
    if charge.value < before.unit:
        raise NotObserved("the same request costs too little to be seen in the balance")
    stream = talk.chat(step="stream", stream=True, **request)
    if not arrived(stream) or not stream.text:
        raise NotObserved(f"no answer: {told(stream)}")
    after = balance.when(talk, "after", lambda now: now.value < before.value)

    if after.value >= before.value:
        expected = f"a balance that falls: the same request without stream costs {charge} credits"
        raise Violation(expected, f"{before} before and {after} after", stream)


def falls(talk: Talk, step: str, before: Printed, charges: Sequence[Printed]) -> bool:
    """Whether the balance comes to fall by these charges and stays there."""

    def agrees(now: Printed) -> bool:
        return agrees_balance(before, now, charges)

    return agrees(balance.when(talk, step, agrees))


def fell(talk: Talk, before: Printed | None) -> str:
    """How far the balance has fallen, for a finding."""
    after = balance.read(talk, "shown")
    return f"{before} before, {after} after: {before.value - after.value:f} less" if before else ""
