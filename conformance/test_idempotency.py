"""Idempotency-Key: one operation a key, whatever happens to the answer (IDM-01..08)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from chatproof.answer import Answer
from chatproof.facts.billing import CREDITS, figure
from chatproof.probe import FRESH, Talk, Violation, arrived, noise, told, user
from chatproof.verdict import NotObserved, Untestable

KEY = "Idempotency-Key"
PAIRS = 8  # of twins: sixteen requests at once
TWINS_MAY = (409, 429)


def first(talk: Talk) -> Answer:
    """A completion under a key of its own, shared by the probes that ask for it again."""
    answer = talk.shared("first", lambda own: answered(own.chat))
    if answer.status != 200:
        raise NotObserved(f"a request with a fresh {KEY} was not answered 200: {told(answer)}")
    return answer


def again(talk: Talk, answer: Answer, step: str | None = None, **request: Any) -> Answer:
    """The same key once more, with the same body or with these members changed."""
    key = answer.exchange.request.header(KEY)
    changes = request.pop("changes", {})
    body = {**answer.asked, **changes}
    return talk.chat(
        body if changes else answer.exchange.request.body, key=key, step=step, expected=(409,), **request
    )


def replay(talk: Talk) -> Answer:
    """The answer to the first completion's request, sent again; shared like the first."""
    original = first(talk)
    return talk.shared("replay", lambda own: answered(lambda: again(own, original)))


def answered(ask: Callable[[], Answer]) -> Answer:
    """An answer that is no noise, asked for twice at most."""
    answer = ask()
    if noise(answer):
        answer = ask()
    if noise(answer):
        raise NotObserved(told(answer))
    return answer


@pytest.mark.clause("IDM-01")
@pytest.mark.parametrize("key", [FRESH, None], ids=["with", "without"])
def test_key_is_optional(talk: Talk, key: str | None) -> None:
    """A request is answered 200 with a key and without one; where neither is, the key is not the reason."""
    if key and talk.minimal().status == 200:
        return
    answer = answered(lambda: talk.chat(key=key))
    if answer.status == 200:
        return
    other = talk.chat(key=None if key else FRESH)
    if other.status != 200:
        raise NotObserved(f"not answered 200 with a key or without one: {told(answer)}")

    how, otherwise = ("with", "without") if key else ("without", "with")
    raise Violation(f"200 {how} an {KEY}, as {otherwise} one", told(answer), answer)


@pytest.mark.clause("IDM-02")
def test_same_request_gets_the_first_result(talk: Talk) -> None:
    """The same key and body once more: the first completion, word for word, at the first charge."""
    original, repeated = first(talk), replay(talk)

    if repeated.status != 200:
        raise Violation("200 and the first result", told(repeated), repeated)
    if repeated.completion_id != original.completion_id:
        raise Violation(
            f"the first completion's id, {original.completion_id}", repeated.completion_id, repeated
        )
    if repeated.text != original.text:
        raise Violation(f"the first completion's text, {original.text!r}", repr(repeated.text), repeated)
    charge, later = figure(original, CREDITS), figure(repeated, CREDITS)
    if charge and (later is None or charge.value != later.value):
        raise Violation(
            f"the first charge, {charge} credits", f"{later} credits" if later else "no charge", repeated
        )


CHANGES: Mapping[str, Callable[[Talk], dict[str, Any]]] = {
    "prompt": lambda talk: {"messages": [user(f"Repeat this code: {talk.nonce()}")]},
    "max_tokens": lambda talk: {"max_tokens": 9},
    "stream": lambda talk: {"stream": True},
}


@pytest.mark.clause("IDM-03")
@pytest.mark.parametrize("change", CHANGES)
def test_other_body_is_a_conflict(talk: Talk, change: str) -> None:
    """The same key with another body is refused with 409, in the envelope, and not worth a retry."""
    original = first(talk)
    answer = answered(lambda: again(talk, original, changes=CHANGES[change](talk)))

    if answer.status != 409:
        same = ", the first result" if answer.completion_id == original.completion_id else ""
        raise Violation(f"409 to a used key with another {change}", told(answer) + same, answer)
    if answer.error is None or answer.error.get("retryable") is not False:
        shows = "no envelope" if answer.error is None else f"retryable {answer.error.get('retryable')!r}"
        expected = f"409 with the envelope, retryable false, to a used key with another {change}"
        raise Violation(expected, f"{told(answer)}: {shows}", answer)


@pytest.mark.clause("IDM-04")
@pytest.mark.parametrize("difference", ["another-key", "letter-case"])
def test_other_key_is_another_operation(talk: Talk, difference: str) -> None:
    """The same body under another key, be it only in its letters' case, is a completion of its own."""
    original = first(talk)
    used = original.exchange.request.header(KEY) or ""
    key = used.upper() if difference == "letter-case" else talk.nonce()
    answer = talk.accepted(
        lambda: talk.chat(original.exchange.request.body, key=key, expected=(409,)),
        f"another {KEY} with the same body",
    )

    if answer.completion_id == original.completion_id:
        raise Violation(
            f"another completion under {key} than under {used}", f"the same, {answer.completion_id}", answer
        )


@pytest.mark.clause("IDM-05")
def test_retryable_outcome_is_not_stored(talk: Talk) -> None:
    """A 429 under a key does not stay: the same request with the same key succeeds when the cause is gone."""
    flaky = talk.target.provoke.flaky_key
    if flaky is None:
        raise Untestable("provoke.flaky_key")
    body, key, bearer = talk.body(), talk.nonce(), f"Bearer {flaky}"
    limited = talk.chat(body, key=key, authorization=bearer, step="limited", expected=(429, 503))
    if limited.status not in (429, 503):
        raise NotObserved(f"provoke.flaky_key gave no 429 on the first use of an {KEY}: {told(limited)}")
    retried = talk.chat(body, key=key, authorization=bearer, step="retried")
    if noise(retried) and retried.status != limited.status:
        raise NotObserved(told(retried))

    if retried.status != 200:
        raise Violation(
            f"200 to the same request after a {limited.status} that has passed", told(retried), retried
        )


@pytest.mark.clause("IDM-06")
def test_twins_give_one_completion(talk: Talk) -> None:
    """Two requests at once with one key give one completion: both get it, or one is told to wait.

    Eight such pairs at the same time; what is wrong in one of them must be wrong again in eight others. A pair that
    met noise says nothing, and neither does one with a 5xx where a crowd without twins meets some too.
    """
    talk.control()
    for name in ("", "again-"):
        answers = talk.together(twins(talk, name))
        pairs = [pair for pair in zip(answers[::2], answers[1::2], strict=True) if not clouded(*pair)]
        if not pairs:
            raise NotObserved(f"of two requests at once with one key one got {told(refused(*answers[:2]))}")
        wrong = [found for pair in pairs if (found := split(*pair))]
        if not wrong:
            return
    failed = [found for found in wrong if found[2].is_error and (found[2].status or 0) >= 500]
    if len(failed) == len(wrong):
        alone = [answer for answer in talk.together(twins(talk, "alone-", keys=2)) if answer.is_error]
        if alone and len(failed) < len(pairs):
            return
        if alone:
            raise NotObserved(f"of sixteen requests at once without a twin {len(alone)} got {told(alone[0])}")

    raise Violation(*next((found for found in wrong if found not in failed), wrong[0]))


def twins(talk: Talk, name: str, keys: int = 1) -> list[Callable[[], Answer]]:
    """Eight pairs of equal requests, each pair under one key or two of its own; the steps tell that 409 is expected."""

    def call(step: str, body: Mapping[str, Any], key: str) -> Callable[[], Answer]:
        return lambda: talk.chat(body, step=step, key=key, expected=(*TWINS_MAY, 500, 502, 503))

    calls = []
    for n in range(1, 2 * PAIRS, 2):
        prompt = f"{talk.nonce()}: ignore this code. Count from 1 to 24, with a space between the numbers."
        body, key = talk.body(messages=[user(prompt)], max_tokens=24), talk.nonce()
        other = key if keys == 1 else talk.nonce()
        calls += [call(f"twin-{name}{n}", body, key), call(f"twin-{name}{n + 1}", body, other)]
    return calls


def refused(one: Answer, other: Answer) -> Answer:
    """The one of two answers that is no 200, else the first."""
    return next((answer for answer in (one, other) if answer.status != 200), one)


def clouded(one: Answer, other: Answer) -> bool:
    """Whether noise keeps a pair of twins from being judged; one that was told to wait is no noise."""
    waits = {one.status, other.status} & {200} and {one.status, other.status} & set(TWINS_MAY)
    return not waits and (noise(one) or noise(other))


def split(one: Answer, other: Answer) -> tuple[str, str, Answer] | None:
    """What is wrong with a pair of twins: expected, actual, and the answer that shows it; `None` where all is well."""
    statuses = {one.status, other.status}
    if statuses == {200}:
        if one.completion_id == other.completion_id:
            return None
        ids = f"{one.completion_id} and {other.completion_id}"
        return "one completion for two requests with one key", ids, other
    if 200 in statuses and statuses & set(TWINS_MAY):
        return None
    expected = "one completion for both, or 409 or 429 for one"
    return expected, f"{told(one)} and {told(other)}", refused(one, other)


@pytest.mark.clause("IDM-07")
def test_replayed_stream(talk: Talk) -> None:
    """What a stream's key brings the second time is recorded: no clause says what it should."""
    original = talk.chat(stream=True, step="first")
    if not arrived(original):
        raise NotObserved(told(original))
    repeated = again(talk, original, step="again")

    if repeated.status != 200:
        talk.notes.append(f"a replayed stream is answered {told(repeated)}")
    else:
        same = repeated.completion_id == original.completion_id
        talk.notes.append(f"a replayed stream is {'the first one' if same else 'another completion'}")


@pytest.mark.clause("IDM-08")
@pytest.mark.parametrize("own", [None, "cp-of-the-replay"], ids=["generated", "sent"])
def test_replay_has_a_request_id_of_its_own(talk: Talk, own: str | None) -> None:
    """`X-Request-Id` names the replay, not the first request; `id` is the first completion's."""
    original = first(talk)
    headers = (("X-Request-Id", own),) if own else ()
    repeated = answered(lambda: again(talk, original, headers=headers)) if own else replay(talk)
    if repeated.status != 200:
        raise NotObserved(f"no replay: {told(repeated)}")

    if repeated.completion_id != original.completion_id:
        raise Violation(
            f"the first completion's id, {original.completion_id}", repeated.completion_id, repeated
        )
    if original.request_id and repeated.request_id == original.request_id:
        raise Violation(
            "an X-Request-Id of the replay's own", f"the first request's, {repeated.request_id}", repeated
        )
