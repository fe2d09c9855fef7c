"""The chat route and who may use it (EP-01, 03, 04; AUT-01..05)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from chatproof.answer import CHAT_ROUTE, Answer
from chatproof.probe import ABSENT, Talk, Violation, noise, told
from chatproof.verdict import NotObserved, Untestable

KEY_CODES = ("unauthorized", "invalid_api_key")


@pytest.mark.clause("EP-01")
def test_minimal_request_is_answered(talk: Talk) -> None:
    """Model and one message, and no optional header, are answered 200; three failures in a row are no accident."""
    answers: list[Answer] = []
    while not answers or (answers[-1].status != 200 and len(answers) < 3):
        answers.append(talk.chat(talk.body(max_tokens=ABSENT), key=None))
    last = answers[-1]

    if last.status in (401, 429):
        raise NotObserved(told(last))
    if last.status != 200:
        raise Violation("200 to a minimal valid request", f"{len(answers)} times: {told(last)}", last)


def enveloped(answer: Answer, statuses: tuple[int, ...], what: str) -> None:
    """Judge a refusal that any code may name, as long as it comes in the envelope."""
    if noise(answer):
        raise NotObserved(told(answer))
    named = " or ".join(map(str, statuses))
    if answer.status not in statuses:
        raise Violation(f"{named} to {what}", told(answer), answer)
    if answer.error is None:
        raise Violation(f"{named} with the error envelope to {what}", told(answer), answer)


@pytest.mark.clause("EP-03")
def test_unknown_route_is_404(talk: Talk) -> None:
    """A route that does not exist says so in the envelope."""
    answer = talk.request("GET", f"/no-such-route-{talk.nonce()}")

    enveloped(answer, (404,), "an unknown route")


@pytest.mark.clause("EP-04")
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_wrong_method_is_refused(talk: Talk, method: str) -> None:
    """The chat route takes POST only, and says so in the envelope."""
    answer = talk.request(method, CHAT_ROUTE)

    enveloped(answer, (404, 405), f"{method} on the chat route")


@pytest.mark.clause("EP-05")
def test_offered_coding(talk: Talk) -> None:
    """What a client that can read gzip gets is judged on every exchange: gzip or no coding, and JSON either way."""
    answer = talk.chat(headers=(("Accept-Encoding", "gzip"),))

    if answer.status is None or noise(answer):
        raise NotObserved(told(answer))


def unauthorised(
    talk: Talk,
    authorization: str | None,
    codes: tuple[str, ...],
    retryable: bool | None = None,
    streams: tuple[object, ...] = (ABSENT, True),
) -> None:
    """Judge what requests with other credentials get, a stream too: 401 with one of these very codes."""
    for stream in streams:
        talk.refused(
            partial(talk.chat, authorization=authorization, key=None, stream=stream),
            "for these credentials",
            statuses=(401,),
            codes=codes,
            coded=True,
            retryable=retryable,
        )


@pytest.mark.clause("AUT-01")
def test_no_key_is_unauthorized(talk: Talk) -> None:
    """Without an Authorization header nothing is answered but 401 `unauthorized`."""
    unauthorised(talk, None, ("unauthorized",), retryable=False)


@pytest.mark.clause("AUT-02")
def test_unknown_key_is_invalid(talk: Talk) -> None:
    """A key nobody handed out is 401 `invalid_api_key`."""
    unauthorised(talk, f"Bearer {talk.unknown_key}", ("invalid_api_key",), retryable=False)


@pytest.mark.clause("AUT-03")
@pytest.mark.parametrize("form", ["Basic dXNlcjpwYXNzd29yZA==", "Bearer", "Bearer {key}x"])
def test_other_credentials_are_refused(talk: Talk, form: str) -> None:
    """Another scheme, an empty bearer and a key with something behind it are all 401."""
    unauthorised(talk, form.format(key=talk.target.api_key), KEY_CODES, streams=(ABSENT,))


INVALID_BODIES: Mapping[str, Mapping[str, Any] | bytes] = {
    "a wrong type": {"messages": 5},
    "a stream": {"messages": 5, "stream": True},
    "no JSON": b'{"messages": [',
}


@pytest.mark.clause("AUT-04")
@pytest.mark.parametrize("form", INVALID_BODIES)
def test_credentials_come_before_validation(talk: Talk, form: str) -> None:
    """Who is not known learns nothing of what a valid body looks like."""
    talk.refused(
        lambda: talk.chat(INVALID_BODIES[form], authorization=None, key=None),
        "an unknown caller's invalid body",
        statuses=(401,),
        codes=KEY_CODES,
    )


@pytest.mark.clause("AUT-05")
def test_revoked_key_is_invalid(talk: Talk) -> None:
    """A key that was taken back is 401 `invalid_api_key`."""
    key = talk.target.provoke.revoked_key
    if key is None:
        raise Untestable("provoke.revoked_key")

    unauthorised(talk, f"Bearer {key}", ("invalid_api_key",))
