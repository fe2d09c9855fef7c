"""Where an answer must end (REQ-09, 10)."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from chatproof.answer import Answer
from chatproof.probe import Talk, Violation, noise, told, user
from chatproof.verdict import NotObserved

LONGEST_TOKEN = 256  # characters; the longest in any published vocabulary is a run of 128 blanks
CAPS = (7, 11)  # two, since an answer may end of itself just where one of them cuts
STREAMED = (
    pytest.param({}, id="unstreamed"),
    pytest.param({"stream": True, "stream_options": {"include_usage": True}}, id="streamed"),
)


def long_answer(talk: Talk, cap: int, **changes: Any) -> Answer:
    """An answer that would go on for long without its cap."""
    prompt = f"Count from 1 to 200 in digits, nothing else. {talk.nonce()}"
    return talk.chat(messages=[user(prompt)], max_tokens=cap, **changes)


def within(answer: Answer, cap: int) -> int:
    """Judge how long an answer with one choice is, and give its completion tokens.

    NotObserved where it reports none, which is RSP-07's or STR-12's to judge.
    """
    tokens = answer.count("completion_tokens")
    expected = f"at most {cap} completion tokens with max_tokens {cap}"
    if tokens is None:
        raise NotObserved("the answer reports no completion_tokens")
    if tokens > cap:
        raise Violation(expected, f"{tokens}, finish_reason {list(answer.finishes)}", answer)
    if len(answer.text) > cap * LONGEST_TOKEN:
        raise Violation(expected, f"{tokens} reported, but {len(answer.text)} characters", answer)
    return tokens


@pytest.mark.clause("REQ-09")
def test_one_token_is_a_cap(talk: Talk, model: str) -> None:
    """`max_tokens` 1, the least there is, gives one token."""
    answer = talk.accepted(partial(long_answer, talk, 1), "max_tokens 1")

    within(answer, 1)


@pytest.mark.clause("REQ-09")
@pytest.mark.parametrize("how", STREAMED)
def test_cut_answer_says_length(talk: Talk, model: str, how: dict[str, Any]) -> None:
    """An answer cut by `max_tokens` says so; one that fills two caps to the token was cut, and did not stop."""
    for cap in CAPS:
        answer = talk.accepted(partial(long_answer, talk, cap, **how), f"max_tokens {cap}")
        tokens = within(answer, cap)
        if tokens < cap or "stop" not in answer.finishes:
            return

    filled = f'"stop", with {tokens} completion tokens of {CAPS[-1]}'
    raise Violation('finish_reason "length" for an answer that max_tokens cut', filled, answer)


@pytest.mark.clause("REQ-09")
def test_each_cut_choice_says_length(talk: Talk) -> None:
    """Where several choices were cut, each says so; a deployment need not offer several."""
    for cap in CAPS:
        answer = long_answer(talk, cap, n=2)
        if noise(answer):
            raise NotObserved(told(answer))
        filled = answer.count("completion_tokens") == 2 * cap and len(answer.choices) == 2
        if answer.status != 200 or not filled or "stop" not in answer.finishes:
            return

    actual = f"{list(answer.finishes)}, with {2 * CAPS[-1]} completion tokens of 2 x {CAPS[-1]}"
    raise Violation('finish_reason "length" in each choice that max_tokens cut', actual, answer)


@pytest.mark.clause("REQ-10")
@pytest.mark.parametrize(
    "cap",
    [pytest.param("8", id="string"), pytest.param(1.5, id="fraction"), pytest.param(True, id="boolean")],
)
def test_cap_is_a_whole_number(talk: Talk, cap: object) -> None:
    """`max_tokens` of another type is invalid."""
    talk.refused(lambda: talk.chat(max_tokens=cap), f"max_tokens {cap!r}")


@pytest.mark.clause("REQ-10", level="SHOULD")
@pytest.mark.parametrize("cap", [0, -1])
def test_cap_is_positive(talk: Talk, cap: int) -> None:
    """`max_tokens` below 1 is invalid."""
    talk.refused(lambda: talk.chat(max_tokens=cap), f"max_tokens {cap}")
