"""When a call is tried again (OWN-02): the rule, and the client that goes by it, against a scripted server."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproof.answer import Answer
from chatproof.record import Tag
from chatproof.target import parse_target
from chatproof.wire import Backoff, Call, Gateway
from chatproof.wire.retry import retry_after_s
from tests.exchanges import ABSENT, WALL_NS, answer, error_answer, stream_answer, sync_answer
from tests.scripted import Heard, Said, scripted

RETRYABLE = {"code": "rate_limited", "retryable": True}
NS = 1_000_000_000


def limited(after: str | None = None) -> Answer:
    """A 429 that may be tried again, with a `Retry-After` or without."""
    return error_answer(RETRYABLE, status=429, headers={"Retry-After": after})


@given(attempt=st.integers(1, 3), seed=st.integers())
def test_waits_grow_and_are_jittered(attempt: int, seed: int) -> None:
    """Before attempt k+1 the wait is anywhere from nothing to base x 2^(k-1)."""
    wait_s = Backoff(base_s=0.5).wait_s(attempt, limited(), random.Random(seed))

    assert wait_s is not None
    assert 0 <= wait_s <= 0.5 * 2 ** (attempt - 1)


def test_jitter_spreads_waits() -> None:
    """Clients that failed together do not come back together."""
    waits = [Backoff().wait_s(1, limited(), random.Random(seed)) or 0 for seed in range(200)]

    assert min(waits) < 0.1
    assert max(waits) > 0.4


def test_waits_are_bounded() -> None:
    """No wait is longer than the longest, and no call is tried more often than allowed."""
    backoff = Backoff(attempts=20, base_s=1, longest_s=3)
    waits = [backoff.wait_s(attempt, limited(), random.Random(1)) for attempt in range(1, 21)]

    assert all(wait is not None and wait <= 3 for wait in waits[:19])
    assert waits[19] is None


@pytest.mark.parametrize(
    "given_answer",
    [
        sync_answer(),
        stream_answer(),
        error_answer(),
        error_answer({"code": "rate_limited", "retryable": False}, status=429),
        error_answer({"code": "rate_limited", "retryable": ABSENT}, status=429),
        error_answer({"code": "rate_limited", "retryable": "true"}, status=429),
        error_answer({"code": "rate_limited", "retryable": 1}, status=429),
        error_answer(status=503, body=b"<html>Service Unavailable</html>"),
        error_answer(status=503, body=b'{"error": "busy", "retryable": true}'),
        error_answer(RETRYABLE, status=200),
        answer(b"", status=None),
    ],
    ids=[
        "a completion",
        "a stream",
        "retryable false",
        "429 with retryable false",
        "429 without retryable",
        "retryable as text",
        "retryable as a number",
        "503 with a page",
        "503 with no envelope",
        "an envelope under 200",
        "no response",
    ],
)
def test_only_retryable_true_is_tried_again(given_answer: Answer) -> None:
    """A status alone, or a word for true, is no leave to try again."""
    assert Backoff().wait_s(1, given_answer, random.Random(1)) is None


@pytest.mark.parametrize("after", ["2", "7", "10"])
def test_retry_after_is_the_least_wait(after: str) -> None:
    """The server's own time is kept, whatever the jitter says."""
    wait_s = Backoff(base_s=0.01).wait_s(1, limited(after), random.Random(1))

    assert wait_s == float(after)


def test_a_server_that_asks_for_too_much_is_not_waited_for() -> None:
    """A run does not stand still for minutes: what was to be judged is noise then."""
    assert Backoff(longest_s=10).wait_s(1, limited("11"), random.Random(1)) is None


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (None, 0.0),
        ("", 0.0),
        ("0", 0.0),
        ("3", 3.0),
        (" 3 ", 3.0),
        ("-3", 0.0),
        ("1.5", 0.0),
        ("soon", 0.0),
        (formatdate(WALL_NS / NS + 5, usegmt=True), 5.0),
        (formatdate(WALL_NS / NS - 5, usegmt=True), 0.0),
    ],
)
def test_retry_after(said: str | None, seconds: float) -> None:
    """Whole seconds or an HTTP date, from the end of the exchange; whatever cannot be read asks for nothing."""
    assert retry_after_s(limited(said)) == pytest.approx(seconds, abs=0.01)


def test_a_date_is_counted_from_the_end_of_the_exchange() -> None:
    """An answer that took three seconds leaves two of five."""
    date = formatdate(WALL_NS / NS + 5, usegmt=True)
    slow = error_answer(RETRYABLE, status=429, body=b"{", headers={"Retry-After": date})
    late = Answer(replace(slow.exchange, ended_ns=3 * NS))

    assert retry_after_s(late) == pytest.approx(2.0)


# --- the client ------------------------------------------------------------------------------------------------


def envelope(retryable: bool | None, status: int = 429, **headers: str) -> Said:
    """An error envelope that says so of a retry."""
    error: dict[str, object] = {"code": "rate_limited", "message": "later"}
    if retryable is not None:
        error["retryable"] = retryable
    return Said(status, {"error": error}, {name.replace("_", "-"): value for name, value in headers.items()})


def after(count: int, first: Said, then: Said) -> Callable[[Heard], Said]:
    """`first` so many times, `then` from there on."""
    left = iter([first] * count)
    return lambda _: next(left, then)


def sent(
    script: Callable[[Heard], Said], expected: tuple[int, ...] = ()
) -> tuple[list[Heard], Answer, Gateway]:
    """One call to a scripted server: what it heard, and what came of it."""
    with scripted(script) as server:
        text = f'base_url = "{server.root}/v1"\napi_key = "sk-scripted"\n'
        target = parse_target(text, name="scripted", beside=Path.cwd(), env={})
        gateway = Gateway(target, seed=1, backoff=Backoff(base_s=0.04))
        headers = (("Idempotency-Key", "one-operation"), ("Authorization", "Bearer sk-scripted"))
        call = Call(
            tag=Tag("probe", "1"),
            method="POST",
            url=f"{server.root}/v1/chat/completions",
            headers=headers,
            body=b'{"model": "m"}',
            expected=expected,
        )
        answer = gateway.send(call)
        gateway.close()
        return server.heard, answer, gateway


@pytest.mark.parametrize(
    ("script", "requests", "status"),
    [
        (after(0, envelope(True), Said()), 1, 200),
        (after(1, envelope(True), Said()), 2, 200),
        (after(3, envelope(True), Said()), 4, 200),
        (after(99, envelope(True), Said()), 4, 429),
        (after(99, envelope(True, 503), Said()), 4, 503),
        (after(99, envelope(False), Said()), 1, 429),
        (after(99, envelope(None), Said()), 1, 429),
        (after(1, envelope(True), envelope(False)), 2, 429),
        (after(99, envelope(True, Retry_After="60"), Said()), 1, 429),
    ],
    ids=[
        "no error",
        "true once",
        "true three times",
        "true for ever",
        "503 for ever",
        "false",
        "nothing",
        "true, then false",
        "too late a time to come back",
    ],
)
def test_the_client_goes_by_the_rule(script: Callable[[Heard], Said], requests: int, status: int) -> None:
    """It asks again only where it may, and gives the last answer back."""
    heard, answer, _ = sent(script)

    assert (len(heard), answer.status) == (requests, status)


def test_a_provoked_error_is_not_tried_again() -> None:
    """A probe that wants to see a 429 gets the first one."""
    heard, _, _ = sent(after(99, envelope(True), Said()), expected=(429,))

    assert len(heard) == 1


def test_every_attempt_is_the_same_operation() -> None:
    """The same body under the same idempotency key, so that no attempt can be charged twice."""
    heard, _, _ = sent(after(3, envelope(True), Said()))

    assert {request.body for request in heard} == {b'{"model": "m"}'}
    assert {request.headers["idempotency-key"] for request in heard} == {"one-operation"}


def test_every_attempt_is_recorded() -> None:
    """A retry hides nothing: each attempt is an exchange of its own, numbered."""
    _, answer, gateway = sent(after(2, envelope(True), Said()))

    assert [str(exchange.tag) for exchange in gateway.exchanges] == ["probe/1", "probe/1#2", "probe/1#3"]
    assert answer.exchange == gateway.exchanges[-1]


def test_attempts_keep_their_distance() -> None:
    """Where the server names a time, no attempt comes before it."""
    heard, _, _ = sent(after(1, envelope(True, Retry_After="1"), Said()))

    assert [b.at_ns - a.at_ns >= NS for a, b in pairwise(heard)] == [True]
