"""What a request may say and what it must not (REQ-01..08, 11..13); caps and characters have files of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from chatproof.answer import Answer
from chatproof.evidence import json_body
from chatproof.probe import ABSENT, Talk, Violation, noise, told, user
from chatproof.verdict import NotObserved

TEXT = "Say hello."
SYSTEM = {"role": "system", "content": "Answer in one word."}
STREAMED = (pytest.param(ABSENT, id="unstreamed"), pytest.param(True, id="streamed"))
CONTENT_SHAPES = {"missing": ABSENT, "number": 5, "object": {"text": TEXT}}


def without(message: dict[str, Any]) -> dict[str, Any]:
    """A message less the members that are `ABSENT`."""
    return {name: value for name, value in message.items() if value is not ABSENT}


@pytest.mark.clause("REQ-01")
@pytest.mark.parametrize("field", ["model", "messages"])
def test_required_field_may_not_be_missing(talk: Talk, field: str) -> None:
    """A request without a model or without messages is invalid."""
    talk.refused(lambda: talk.chat(**{field: ABSENT}), f"no {field}")


@pytest.mark.clause("REQ-02")
@pytest.mark.parametrize(
    "messages",
    [
        pytest.param(TEXT, id="string"),
        pytest.param(user(TEXT), id="object"),
        pytest.param(5, id="number"),
        pytest.param([], id="empty"),
        pytest.param([TEXT], id="array of strings"),
    ],
)
def test_messages_are_a_list_of_objects(talk: Talk, messages: object) -> None:
    """`messages` of another shape is invalid."""
    talk.refused(lambda: talk.chat(messages=messages), f"messages as {json_body(messages).decode()}")


@pytest.mark.clause("REQ-03")
@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([{"content": TEXT}], id="missing"),
        pytest.param([{"role": "wizard", "content": TEXT}], id="unknown"),
        pytest.param([user(TEXT), {"role": "wizard", "content": TEXT}], id="unknown in a later message"),
    ],
)
def test_each_message_has_a_known_role(talk: Talk, messages: object) -> None:
    """A message that nobody is known to have said is invalid."""
    talk.refused(lambda: talk.chat(messages=messages), f"messages {json_body(messages).decode()}")


@pytest.mark.clause("REQ-04")
@pytest.mark.parametrize("shape", CONTENT_SHAPES)
@pytest.mark.parametrize("role", ["user", "system"])
def test_message_has_content(talk: Talk, role: str, shape: str) -> None:
    """A user or system message that says nothing, a number or an object is invalid."""
    wrong = without({"role": role, "content": CONTENT_SHAPES[shape]})
    messages = [wrong] if role == "user" else [wrong, user(TEXT)]

    talk.refused(lambda: talk.chat(messages=messages), f"{role} message {json_body(wrong).decode()}")


@pytest.mark.clause("REQ-04")
def test_content_may_be_parts(talk: Talk) -> None:
    """Content as an array of text parts is as good as a string, be it the system's or the user's.

    What is refused in parts is asked for role by role; where it is refused as a string too, parts are not why.
    """
    parts = [{"type": "text", "text": TEXT}]
    if talk.chat(messages=[{"role": "system", "content": parts}, user(parts)]).status == 200:
        return

    def ask(role: str, content: object) -> Answer:
        said = {"role": role, "content": content}
        return talk.chat(messages=[said] if role == "user" else [said, user(TEXT)])

    for role in ("user", "system"):
        talk.accepted(
            partial(ask, role, parts),
            f"{role} content as an array of one text part",
            beside=partial(ask, role, TEXT),
        )


@pytest.mark.clause("REQ-05")
def test_conversation_is_accepted(talk: Talk) -> None:
    """A leading system message and alternating turns are the ordinary form."""
    turns = [SYSTEM, user(TEXT), {"role": "assistant", "content": "Hello."}, user(TEXT)]

    talk.accepted(lambda: talk.chat(messages=turns), "system, user, assistant, user")


@pytest.mark.clause("REQ-06")
@pytest.mark.parametrize("stream", [pytest.param(ABSENT, id="absent"), pytest.param(False, id="false")])
def test_answer_is_one_body_by_default(talk: Talk, stream: object) -> None:
    """Without `stream: true` the answer is one body, not an event stream; whether it is right is the facts' word."""
    answer = (
        talk.control()
        if stream is ABSENT
        else talk.accepted(lambda: talk.chat(stream=stream), "stream false")
    )
    looks = answer.body[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    streams = looks.startswith((b"data:", b"event:", b":"))

    if streams or answer.media_type == "text/event-stream":
        said = "no stream member" if stream is ABSENT else "stream: false"
        actual = "an event stream" if streams else "a body that is labelled text/event-stream"
        raise Violation(f"one JSON body with {said}", actual, answer)


@pytest.mark.clause("REQ-06")
@pytest.mark.parametrize("stream", ["sometimes", "true"])
def test_stream_is_no_string(talk: Talk, stream: str) -> None:
    """`stream` is a boolean; a word for one is invalid."""
    talk.refused(lambda: talk.chat(stream=stream), f'stream "{stream}"')


@pytest.mark.clause("REQ-07")
@pytest.mark.parametrize("stream", STREAMED)
def test_auto_is_a_model(talk: Talk, stream: object) -> None:
    """`auto` leaves the choice of the model to the deployment."""
    talk.accepted(lambda: talk.chat(model="auto", stream=stream), 'model "auto"')


@pytest.mark.clause("REQ-08")
@pytest.mark.parametrize("stream", STREAMED)
def test_unknown_model_is_refused(talk: Talk, stream: object) -> None:
    """A model that nobody offers is refused as the target file says: by status, and by code where it names one."""
    allowed = talk.settings.unknown_model_refusals
    statuses = tuple(status for status, _ in allowed)
    body = talk.body(model=f"no-such-model-{talk.nonce()}", stream=stream)
    answer = talk.chat(body, expected=statuses)
    if answer.status not in statuses and (noise(answer) or (answer.status or 0) >= 500):
        answer = talk.chat(body, expected=statuses)
    talk.control()

    if answer.status not in statuses and noise(answer):
        raise NotObserved(told(answer))
    codes = {code for status, code in allowed if status == answer.status}
    if not codes or not (None in codes or answer.code in codes):
        raise Violation(f"{' or '.join(talk.settings.unknown_model)}: an unknown model", told(answer), answer)


@pytest.mark.clause("REQ-11")
@pytest.mark.parametrize("stream", STREAMED)
def test_unknown_field_is_no_harm(talk: Talk, stream: object) -> None:
    """A top-level field that the deployment does not know does not make the request invalid."""
    talk.accepted(lambda: talk.chat(x_unknown_to_all={"a": 1}, stream=stream), "an unknown extra field")


def _whole(talk: Talk) -> bytes:
    return json_body(talk.body())


NOT_JSON_OBJECTS: dict[str, Callable[[Talk], bytes]] = {
    "malformed": lambda talk: _whole(talk).replace(b'"messages":', b"messages="),
    "empty": lambda talk: b"",
    "truncated": lambda talk: _whole(talk)[:-12],
    "array": lambda talk: b"[" + _whole(talk) + b"]",
    "string": lambda talk: json.dumps(TEXT).encode(),
    "number": lambda talk: b"5",
    "null": lambda talk: b"null",
}


@pytest.mark.clause("REQ-12")
@pytest.mark.parametrize("form", NOT_JSON_OBJECTS)
def test_body_is_a_json_object(talk: Talk, form: str) -> None:
    """A body that is not JSON, or JSON but no object, is an invalid request and no crash: it gets the envelope."""
    answer = talk.refused(lambda: talk.chat(NOT_JSON_OBJECTS[form](talk)), f"a body that is {form}")

    if answer.error is None:
        raise Violation(f"the error envelope: a body that is {form}", told(answer), answer)


OPTIONAL_FIELDS: dict[str, dict[str, Any]] = {
    "stop": {"stop": "zq9"},
    "seed": {"seed": 7},
    "n": {"n": 1},
    "user": {"user": "customer-1"},
    "metadata": {"metadata": {"ticket": "1"}},
    "max_completion_tokens": {"max_completion_tokens": 8, "max_tokens": ABSENT},
    "presence_penalty": {"presence_penalty": 0.5},
    "frequency_penalty": {"frequency_penalty": -0.5},
}


@pytest.mark.clause("REQ-13")
def test_optional_fields_are_accepted_or_named(talk: Talk) -> None:
    """The optional fields of OpenAI's work, or each refusal says which one is not supported.

    All are asked for in one request; only where that is not answered 200, each is in one of its own.
    """
    together = {name: value for fields in OPTIONAL_FIELDS.values() for name, value in fields.items()}
    if talk.chat(**together, step="all").status == 200:
        return

    for field in OPTIONAL_FIELDS:
        accepted_or_named(talk, field)


def accepted_or_named(talk: Talk, field: str) -> None:
    """Judge what a request with one optional field gets."""
    answer = talk.chat(**OPTIONAL_FIELDS[field], step=field)
    if answer.status != 200 and (noise(answer) or (answer.status or 0) >= 500):
        answer = talk.chat(**OPTIONAL_FIELDS[field], step=f"{field}-again")
    if answer.status == 200:
        return
    talk.control()

    if noise(answer):
        raise NotObserved(told(answer))
    expected = f"200, or unsupported_option that names {field}"
    if answer.status not in (400, 422) or answer.code != "unsupported_option":
        raise Violation(expected, told(answer), answer)
    named = [answer.error.get(member) for member in ("param", "details", "message")] if answer.error else []
    if field not in json.dumps(named, default=str):
        raise Violation(expected, f"{told(answer)}, which does not name it", answer)
