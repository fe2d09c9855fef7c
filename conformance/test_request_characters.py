"""Characters beyond ASCII, there and back (REQ-14)."""

from __future__ import annotations

import json
from functools import partial

import pytest

from chatproof.answer import Answer
from chatproof.evidence import json_body
from chatproof.probe import ABSENT, Talk, Violation, user

TEXTS = {
    "CJK": "你好，世界。こんにちは",
    "emoji": "🌍👩‍🚀🏳️‍🌈",
    "combining marks": "e\u0301 n\u0303 a\u0308\u0323",
    "line separators": "one\u2028two\u2029three",
}
ESCAPED = "escaped surrogates", "😀🌍"
ALL = "characters of every kind", " ".join(TEXTS.values())
LONG_ENOUGH = 64  # tokens: all of it, as the reference counts
STREAMED = (pytest.param(ABSENT, id="unstreamed"), pytest.param(True, id="streamed"))


@pytest.mark.clause("REQ-14")
@pytest.mark.parametrize("stream", STREAMED)
def test_characters_survive(talk: Talk, stream: object) -> None:
    """Text of any script is accepted, and what comes back is valid UTF-8; what it says is the model's affair.

    One message holds all kinds; only where it is refused, each has one of its own.
    """
    answer = asked(talk, *ALL, stream)
    if answer.status == 200:
        return comes_as_utf_8(answer, ALL[0])

    for kind, text in TEXTS.items():
        answer = talk.accepted(partial(asked, talk, kind, text, stream), f"{kind} in a message")
        comes_as_utf_8(answer, kind)
    return None


@pytest.mark.clause("REQ-14")
@pytest.mark.parametrize("stream", STREAMED)
def test_escaped_characters_survive(talk: Talk, stream: object) -> None:
    """So is text that JSON writes as escaped surrogate pairs."""
    kind, text = ESCAPED
    answer = talk.accepted(partial(asked, talk, kind, text, stream), f"{kind} in a message")

    comes_as_utf_8(answer, kind)


def asked(talk: Talk, kind: str, text: str, stream: object) -> Answer:
    """The answer to a message that wants the text repeated."""
    prompt = f'Repeat exactly: "{text}"'
    body = talk.body(messages=[user(prompt)], max_tokens=LONG_ENOUGH, stream=stream)
    return talk.chat(json.dumps(body).encode() if kind == ESCAPED[0] else json_body(body))


def comes_as_utf_8(answer: Answer, kind: str) -> None:
    """Judge the bytes of an answer, and the text that its JSON spells."""
    try:
        answer.body.decode("utf-8")
        answer.text.encode("utf-8")
    except UnicodeError as wrong:
        raise Violation(f"valid UTF-8 in answer to {kind}", str(wrong), answer) from None
