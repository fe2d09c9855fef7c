"""What refusals say, and failures provoked by keys and a model of the target file (ERR-07, 09..11, 13)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from chatproof.answer import Answer
from chatproof.contract import Level
from chatproof.probe import ABSENT, PUBLIC_CODES, Talk, Violation, noise, told, user
from chatproof.verdict import NotObserved, Untestable

POINTER = re.compile(r"(/([^~/]|~[01])*)*")  # RFC 6901, section 3
STREAMED = (pytest.param(ABSENT, id="unstreamed"), pytest.param(True, id="streamed"))
ENOUGH = 5  # requests after which a key with a small rate limit has met it
WRONG_FIELDS: Mapping[str, dict[str, Any]] = {
    "temperature": {"temperature": 7},
    "max_tokens": {"max_tokens": "eight"},
    "role": {"messages": [user("Say hello."), {"role": "wizard", "content": "Say hello."}]},
}
HOLDERS = {"role": ("role", "messages")}  # what a pointer to a field may name


def refusals_of_a_field(talk: Talk) -> dict[str, Answer]:
    """By field: the `invalid_request` that a request got which is wrong in that field only.

    NotObserved where there is none. A code that the public table does not know is ERR-03's to judge.
    """
    asked = {field: talk.shared(f"wrong-{field}", wrong_in(field)) for field in WRONG_FIELDS}
    found = {field: answer for field, answer in asked.items() if is_invalid_request(talk, answer)}
    if not found:
        raise NotObserved(f"nothing was refused as invalid_request: {told(asked['temperature'])}")
    return found


def wrong_in(field: str) -> Callable[[Talk], Answer]:
    """Asks with one field wrong."""
    return lambda talk: talk.chat(**WRONG_FIELDS[field])


def is_invalid_request(talk: Talk, answer: Answer) -> bool:
    """Whether a refusal is `invalid_request`, or would be if its code were a public one."""
    if answer.error is None or answer.status not in talk.settings.invalid_request_status:
        return False
    return answer.code == "invalid_request" or answer.code not in PUBLIC_CODES


def names(field: str, answer: Answer) -> bool:
    """Whether `param` or `details` of a refusal lead to the field."""
    error = answer.error or {}
    said = json.dumps([error.get("param"), error.get("details")], default=str)
    return any(name in said for name in HOLDERS.get(field, (field,)))


@pytest.mark.clause("ERR-07")
def test_refusal_names_the_field(talk: Talk) -> None:
    """A refusal for one field says which: `param` leads to it, or `details` name it."""
    for field, answer in refusals_of_a_field(talk).items():
        if not names(field, answer):
            error = answer.error or {}
            shows = {name: error[name] for name in ("param", "details") if name in error}
            actual = json.dumps(shows, default=str) if shows else "neither"
            raise Violation(f"error.param or error.details that name {field}", actual, answer)


@pytest.mark.clause("ERR-07")
def test_param_is_a_pointer(talk: Talk) -> None:
    """`error.param`, where it is there, is a JSON pointer."""
    for answer in refusals_of_a_field(talk).values():
        param = answer.error.get("param") if answer.error else None
        if param is not None and not (isinstance(param, str) and POINTER.fullmatch(param)):
            expected = 'error.param as a JSON pointer (RFC 6901), such as "/temperature"'
            raise Violation(expected, json.dumps(param, default=str), answer, level=Level.MUST)


@dataclass(frozen=True, slots=True)
class Failure:
    """How a provoked request must fail: one row of the table of error codes."""

    status: int
    code: str
    retryable: bool

    def __str__(self) -> str:
        return f"{self.status} {self.code}, retryable {json.dumps(self.retryable)}"


def provoked(talk: Talk, ask: Callable[[], Answer], failure: Failure, what: str) -> None:
    """Judge a failure that the request provokes: what it does not provoke is tried once more.

    Noise and silence are no answers either, where others are answered at the same time. The clauses name the row of the
    table: status, code and `retryable` must all be told, and be these.
    """
    answer = ask()
    if answer.status != failure.status and (noise(answer) or (answer.status or 0) >= 500):
        answer = ask()
    beside = talk.chat() if noise(answer) and answer.status != failure.status else talk.control()

    expected = f"{failure}: {what}"
    if answer.status != failure.status:
        if beside.status != 200:
            raise NotObserved(told(answer))
        raise Violation(expected, told(answer), answer)
    if answer.code != failure.code:
        raise Violation(expected, told(answer), answer)
    retryable = answer.error.get("retryable") if answer.error else None
    if retryable is not failure.retryable:
        raise Violation(expected, f"{told(answer)}, retryable {retryable!r}", answer)


@pytest.mark.clause("ERR-09")
@pytest.mark.parametrize("stream", STREAMED)
def test_rate_limited_key(talk: Talk, stream: object) -> None:
    """A key over its limit is told to come back: 429 `rate_limited`."""
    key = talk.target.provoke.rate_limited_key
    if key is None:
        raise Untestable("provoke.rate_limited_key")

    def ask() -> Answer:
        answer = talk.chat(authorization=f"Bearer {key}", expected=(429,), stream=stream)
        for _ in range(1, ENOUGH):
            if answer.status != 200:
                break
            answer = talk.chat(authorization=f"Bearer {key}", expected=(429,), stream=stream)
        return answer

    provoked(talk, ask, Failure(429, "rate_limited", True), "a key over its rate limit")


@pytest.mark.clause("ERR-10")
@pytest.mark.parametrize("stream", STREAMED)
def test_unavailable_model(talk: Talk, stream: object) -> None:
    """A model that is down is 503 `model_unavailable`, and `auto` answers the same request in its place."""
    model = talk.target.provoke.unavailable_model
    if model is None:
        raise Untestable("provoke.unavailable_model")
    body = talk.body(model=model, stream=stream)
    failure = Failure(503, "model_unavailable", talk.settings.model_unavailable_retryable)

    provoked(talk, lambda: talk.chat(body, expected=(503,)), failure, "a model that is down")

    def instead() -> Answer:
        return talk.chat({**body, "model": "auto"})

    what = 'the same request with "auto" and a fresh key'
    answer = instead()
    if answer.status == 503 and (answer := instead()).status == 503 and talk.chat().status == 200:
        raise Violation(f"200: {what}, as to others", told(answer), answer)
    talk.accepted(lambda: answer if answer.status == 200 else instead(), what)


@pytest.mark.clause("ERR-11")
@pytest.mark.parametrize("stream", STREAMED)
def test_empty_wallet(talk: Talk, stream: object) -> None:
    """A wallet without credits is 402 `insufficient_balance`."""
    key = talk.target.provoke.empty_wallet_key
    if key is None:
        raise Untestable("provoke.empty_wallet_key")

    provoked(
        talk,
        lambda: talk.chat(authorization=f"Bearer {key}", stream=stream),
        Failure(402, "insufficient_balance", False),
        "an empty wallet",
    )


@pytest.mark.clause("ERR-13")
def test_failure_repeats(talk: Talk) -> None:
    """A request that cannot succeed fails the same way when it is sent again, with the same key or without one."""
    cases: dict[str, dict[str, Any]] = {
        "invalid": {"body": talk.body(temperature=7), "key": None},
        "keyed": {"body": talk.body(max_tokens="eight"), "key": talk.nonce()},
        "unknown-model": {"body": talk.body(model=f"no-such-model-{talk.nonce()}"), "key": None},
        "unknown-key": {"body": talk.body(), "authorization": f"Bearer {talk.unknown_key}", "key": None},
    }
    judged = 0
    for name, case in cases.items():
        first = talk.chat(**case, step=f"{name}-1")
        if not (first.is_error and first.error and first.error.get("retryable") is False):
            continue
        second = talk.chat(**case, step=f"{name}-2")
        if noise(second):
            continue
        judged += 1
        if (second.status, second.code) != (first.status, first.code):
            raise Violation(f"{first.status} {first.code} again for the same request", told(second), second)
    if not judged:
        raise NotObserved("no request failed with retryable false")
