"""Characters beyond ASCII, there and back (REQ-14)."""

from __future__ import annotations

import json

import pytest

from chatproof.evidence import json_body
from chatproof.probe import ABSENT, Talk, Violation, user

TEXTS = {
    "cjk": "你好，世界。こんにちは",
    "emoji": "🌍👩‍🚀🏳️‍🌈",
    "combining": "e\u0301 n\u0303 a\u0308\u0323",
    "line separator": "one\u2028two\u2029three",
    "escaped surrogates": "😀🌍",
}
STREAMED = (pytest.param(ABSENT, id="unstreamed"), pytest.param(True, id="streamed"))


@pytest.mark.clause("REQ-14")
@pytest.mark.parametrize("stream", STREAMED)
@pytest.mark.parametrize("kind", TEXTS)
def test_characters_survive(talk: Talk, kind: str, stream: object) -> None:
    """Text of any script is accepted, and what comes back is valid UTF-8; what it says is the model's affair."""
    prompt = f'Repeat exactly: "{TEXTS[kind]}"'

    def ask() -> bytes:
        body = talk.body(messages=[user(prompt)], max_tokens=24, stream=stream)
        return json.dumps(body).encode() if kind == "escaped surrogates" else json_body(body)

    answer = talk.accepted(lambda: talk.chat(ask()), f"{kind} in a message")

    try:
        answer.body.decode("utf-8")
        answer.text.encode("utf-8")
    except UnicodeError as wrong:
        raise Violation(f"valid UTF-8 in answer to {kind}", str(wrong), answer) from None
