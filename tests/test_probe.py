"""A probe's words against a server that answers from a script: nonces, controls, noise, refusals, shared answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chatproof.answer import NONCE
from chatproof.contract import Level
from chatproof.probe import (
    ABSENT,
    PUBLIC_CODES,
    SHORT,
    Shared,
    Talk,
    Violation,
    arrived,
    kept_line,
    noise,
    told,
    unknown_key,
    user,
)
from chatproof.record import Transfer
from chatproof.target import Target, parse_target, read_contract
from chatproof.verdict import NotObserved
from chatproof.wire import Backoff, Gateway
from tests.exchanges import COMPLETION, answer, error_answer, stream_answer, sync_answer
from tests.scripted import Heard, Said, Server, scripted
from tests.sockets import peer

KEY = "sk-test-4f1d0c9be7a2"
MODEL = "small"
DONE = Said(body=COMPLETION)


def problem(status: int, code: str = "invalid_request", *, retryable: bool = False) -> Said:
    """A refusal in the envelope."""
    return Said(status, {"error": {"code": code, "message": "No.", "retryable": retryable}})


def once(first: Said, then: Said = DONE) -> Callable[[Heard], Said]:
    """The first request gets one answer, all others another."""
    answers = iter([first])
    return lambda heard: next(answers, then)


def unless_minimal(said: Said) -> Callable[[Heard], Said]:
    """A request with messages that are a list is answered 200, any other one so."""
    return lambda heard: DONE if isinstance(json.loads(heard.body).get("messages"), list) else said


def target_of(root: str, more: str = "") -> Target:
    """A target at a server's address."""
    text = f'base_url = "{root}/v1"\napi_key = "{KEY}"\ntimeout_s = 1\n{more}'
    return parse_target(text, name="test", beside=Path(), env={})


@contextmanager
def talking(
    script: Callable[[Heard], Said] = lambda heard: DONE, *, more: str = "", seed: int = 7
) -> Iterator[tuple[Talk, Server]]:
    """A conversation with a server that answers so."""
    with scripted(script) as server:
        gateway = Gateway(target_of(server.root, more), seed=seed, backoff=Backoff(attempts=1))
        try:
            yield Talk(gateway, "test_some", seed, Shared(), MODEL), server
        finally:
            gateway.close()


# --- nonces and bodies --------------------------------------------------------------------------------------


def test_nonces_follow_from_the_seed() -> None:
    """The same seed and probe give the same nonces in the same order; another seed or probe gives others."""

    def nonces(seed: int, probe: str) -> list[str]:
        with talking(seed=seed) as (talk, _):
            again = Talk(talk.gateway, probe, seed, Shared(), MODEL)
            return [again.nonce() for _ in range(50)]

    first = nonces(7, "a")

    assert nonces(7, "a") == first
    assert len({*first, *nonces(8, "a"), *nonces(7, "b")}) == 150
    assert all(NONCE.fullmatch(nonce) for nonce in first)


def test_minimal_body() -> None:
    """A body pins the model, asks for a short answer, and takes changes; `ABSENT` leaves a member out."""
    with talking() as (talk, _):
        body = talk.body(temperature=0, max_tokens=ABSENT)

        assert body.keys() == {"model", "messages", "temperature"}
        assert talk.body()["max_tokens"] == SHORT
        assert NONCE.search(body["messages"][0]["content"])


def test_request_carries_what_every_request_does() -> None:
    """The key, the target file's headers, the codings we read, and a fresh idempotency key for each chat request."""
    with talking(more='headers = { "X-Env" = "staging" }\n') as (talk, server):
        talk.chat()
        talk.chat()
    first, second = server.heard

    assert first.headers["authorization"] == f"Bearer {KEY}"
    assert first.headers["x-env"] == "staging"
    assert first.headers["accept-encoding"] == "identity"
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]
    assert first.path == "/v1/chat/completions"


def test_caller_may_say_otherwise() -> None:
    """Credentials, the idempotency key and any standing header can be replaced or left out."""
    with talking() as (talk, server):
        talk.chat(authorization=None, key=None)
        talk.chat(authorization="Bearer other", key="k", headers=(("Accept-Encoding", "gzip"),))
        talk.chat(b"not json")
    without, other, raw = server.heard

    assert without.headers.keys().isdisjoint({"authorization", "idempotency-key"})
    assert (other.headers["authorization"], other.headers["idempotency-key"]) == ("Bearer other", "k")
    assert other.headers["accept-encoding"] == "gzip"
    assert raw.body == b"not json"


def test_steps_are_counted_or_named() -> None:
    """Each exchange is tagged with the probe and a step of its own."""
    with talking() as (talk, _):
        talk.chat()
        talk.chat(step="named")
        talk.request("GET", "/models")

        assert [str(e.tag) for e in talk.gateway.exchanges] == [
            "test_some/1",
            "test_some/named",
            "test_some/2",
        ]


def test_calls_together_overlap_and_keep_their_order() -> None:
    """Calls made together are under way at the same time, and answers come in the calls' order."""
    with talking() as (talk, _):
        answers = talk.together([lambda step=step: talk.chat(step=step) for step in "abcdefgh"])  # type: ignore[misc]

        assert [answer.exchange.tag.step for answer in answers] == list("abcdefgh")


def test_kept_line_is_one_connection() -> None:
    """Inside the block the exchanges share a connection; the conversation's other exchanges do not."""
    empty = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    with peer((empty,)) as server:
        gateway = Gateway(target_of(server.root), seed=1)
        talk = Talk(gateway, "test_some", 1, Shared(), MODEL)
        with kept_line(talk) as line:
            answers = [talk.chat(line=line), talk.chat(line=line), talk.chat()]
        gateway.close()

    assert [answer.exchange.reused for answer in answers] == [False, True, False]


def test_unknown_key_is_redacted_nowhere_but_known_to_all() -> None:
    """The key that nobody handed out follows from the seed."""
    with talking(seed=9) as (talk, _):
        assert talk.unknown_key == unknown_key(9) != unknown_key(10)


# --- shared answers and the control -------------------------------------------------------------------------


def test_shared_answer_is_asked_for_once() -> None:
    """Whoever asks, in whatever order: one request, with tags and nonces of its own."""
    with talking() as (talk, server):
        other = Talk(talk.gateway, "test_other", 7, talk._shared, MODEL)
        first = talk.shared("x", lambda own: own.chat())
        second = other.shared("x", lambda own: own.chat())

        assert first is second
        assert len(server.heard) == 1
        assert first.exchange.tag.probe == f"shared-x-{MODEL}"
        assert talk.asked[-1] is other.asked[-1] is first


def test_shared_answers_differ_by_model() -> None:
    """Another model's answer is another answer."""
    with talking() as (talk, server):
        other = Talk(talk.gateway, "test_some", 7, talk._shared, "large")
        talk.control()
        other.control()

        assert [json.loads(heard.body)["model"] for heard in server.heard] == [MODEL, "large"]


def test_control_is_tried_twice() -> None:
    """One bad answer is an accident; the control is the second one."""
    with talking(once(problem(500, "internal_error"))) as (talk, server):
        assert talk.control().status == 200
        assert talk.control().status == 200
        assert len(server.heard) == 2


def test_no_judgement_without_a_control() -> None:
    """Where even the minimal request is refused, nothing can be said of others."""
    with (
        talking(lambda heard: problem(401, "invalid_api_key")) as (talk, _),
        pytest.raises(NotObserved, match=r"positive control.*401 invalid_api_key"),
    ):
        talk.refused(lambda: talk.chat(messages=5), "messages as a number")


# --- accepted and refused -----------------------------------------------------------------------------------


def test_accepted() -> None:
    """200 is the answer, at once or the second time after noise."""
    for script in (lambda heard: DONE, once(problem(429, "rate_limited")), once(problem(502, "bad_gateway"))):
        with talking(script) as (talk, _):
            assert talk.accepted(talk.chat, "a request").status == 200


def test_refusal_of_a_valid_request_is_a_violation() -> None:
    """A 4xx says so at once, with the answer that shows it."""
    with talking(lambda heard: problem(400)) as (talk, server), pytest.raises(Violation) as caught:
        talk.accepted(talk.chat, "a minimal request")

    assert caught.value.expected == "200: a minimal request"
    assert caught.value.actual == "400 invalid_request (No.)"
    assert caught.value.answer is not None
    assert len(server.heard) == 1


def test_repeated_5xx_beside_a_good_control_is_a_violation() -> None:
    """A server that fails on this request alone, twice, is not out of order: it is wrong."""
    with (
        talking(unless_minimal(problem(500, "internal_error"))) as (talk, _),
        pytest.raises(Violation, match="500"),
    ):
        talk.accepted(lambda: talk.chat(messages="x"), "messages as text")


@pytest.mark.parametrize("status", [429, 503])
def test_lasting_noise_is_not_guilt(status: int) -> None:
    """A rate limit or unavailability that does not pass says nothing of the request."""
    with talking(unless_minimal(problem(status, "rate_limited"))) as (talk, _):
        with pytest.raises(NotObserved, match=str(status)):
            talk.accepted(lambda: talk.chat(messages="x"), "messages as text")
        with pytest.raises(NotObserved, match=str(status)):
            talk.refused(lambda: talk.chat(messages="x"), "messages as text")


def test_refused() -> None:
    """The status that the settings name for `invalid_request` is a refusal."""
    with talking(unless_minimal(problem(400))) as (talk, _):
        assert talk.refused(lambda: talk.chat(messages=5), "messages as a number").status == 400
    with talking(unless_minimal(problem(422)), more="[settings]\ninvalid_request_status = [400, 422]\n") as (
        talk,
        _,
    ):
        assert talk.refused(lambda: talk.chat(messages=5), "messages as a number").status == 422


REFUSED_WRONG = {
    "accepted": DONE,
    "another status": problem(404, "not_found"),
    "another public code": problem(400, "unsupported_model"),
    "a 5xx, repeated": problem(500, "internal_error"),
}


@pytest.mark.parametrize("how", REFUSED_WRONG)
def test_wrong_refusal_is_a_violation(how: str) -> None:
    """An accepted request, another status, another public code and a repeated 5xx are all no `invalid_request`."""
    with talking(unless_minimal(REFUSED_WRONG[how])) as (talk, _), pytest.raises(Violation) as caught:
        talk.refused(lambda: talk.chat(messages=5), "messages as a number", level=Level.SHOULD)

    assert caught.value.expected == "400 invalid_request: messages as a number"
    assert caught.value.level is Level.SHOULD


@pytest.mark.parametrize("said", [problem(400, "bad_body"), Said(400, b"<html>"), Said(400, {"detail": []})])
def test_form_of_a_refusal_is_for_others_to_judge(said: Said) -> None:
    """A code that is not public and a body without envelope do not count twice: the status decides."""
    with talking(unless_minimal(said)) as (talk, _):
        assert talk.refused(lambda: talk.chat(messages=5), "messages as a number").status == 400


def test_refusal_inside_a_stream_is_none() -> None:
    """A stream that tells the refusal has not refused the request, whatever its status."""
    told_in_stream = Said(
        200, b'data: {"error":{"code":"invalid_request"}}\n\n', {"Content-Type": "text/event-stream"}
    )
    with talking(unless_minimal(told_in_stream)) as (talk, _), pytest.raises(Violation):
        talk.refused(lambda: talk.chat(messages=5, stream=True), "messages as a number", statuses=(200,))


def test_public_codes_are_the_contracts() -> None:
    """The codes that decide a refusal are those of the contract's table."""
    assert {row.code for row in read_contract().error_codes if row.code} == PUBLIC_CODES


# --- words --------------------------------------------------------------------------------------------------


def test_noise() -> None:
    """Rate limits, unavailability and silence are noise; an answer, also a 500, is not."""
    quiet = [
        error_answer(status=429),
        error_answer(status=503),
        answer(b"", status=None, transfer=Transfer.TIMED_OUT),
        answer(b"", status=None, transfer=Transfer.REFUSED),
    ]
    loud = [sync_answer(), error_answer(status=500), answer(b"", status=None, transfer=Transfer.RESET)]

    assert [noise(one) for one in [*quiet, *loud]] == [True] * 4 + [False] * 3


def test_arrived() -> None:
    """A success has arrived with its transfer's end or with `[DONE]`; an error in it, or half of it, has not."""
    error = 'data: {"error":{"code":"x","message":"m","retryable":true}}\n\n'
    there = [sync_answer(), stream_answer(), stream_answer(transfer=Transfer.CUT), stream_answer(done=False)]
    absent = [
        error_answer(),
        stream_answer(done=False, transfer=Transfer.CUT),
        stream_answer([error]),
        sync_answer(transfer=Transfer.RESET),
    ]

    assert [arrived(one) for one in [*there, *absent]] == [True] * 4 + [False] * 4


def test_told() -> None:
    """An answer in a few words, as findings and reasons quote it."""
    assert told(error_answer()) == "400 invalid_request (messages is required.)"
    assert told(error_answer(body=b"<html>", status=502)) == "502 <html>"
    assert told(error_answer(body=b"", status=502)) == "502 with an empty body"
    assert told(sync_answer()) == "200"
    assert told(sync_answer(transfer=Transfer.CUT, detail="early")) == "200 (cut: early)"
    gone = answer(b"", status=None, transfer=Transfer.REFUSED, detail="nobody there")
    assert told(gone) == "no response (refused: nobody there)"


def test_violation_is_complete() -> None:
    """It says what was expected and what was there, cut to what a reader takes in."""
    wrong = Violation("yes", "x" * 300)

    assert wrong.expected == "yes"
    assert wrong.actual == "x" * 200 + "... (300 characters)"
    assert user("hi") == {"role": "user", "content": "hi"}
