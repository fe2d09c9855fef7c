"""Answers made by hand, as the wire would have recorded them: right by the contract until a test changes one.

Knows no fact. A *change* names a member by its dotted path (numbers are places in a list) and gives its new
value; `ABSENT` takes the member out.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from chatproof.answer import CHAT_ROUTE, Answer
from chatproof.facts import Terms
from chatproof.probe import ABSENT
from chatproof.record import Exchange, Headers, Read, Request, Tag, Transfer
from chatproof.schemas import load_schemas
from chatproof.target import Settings, folder, read_contract

__all__ = [
    "ABSENT",
    "ASKED",
    "BASE",
    "CHUNKS",
    "COMPLETION",
    "CREATED",
    "ERROR",
    "MODEL",
    "WALL_NS",
    "answer",
    "changed",
    "error_answer",
    "frames",
    "stream_answer",
    "sync_answer",
    "terms",
]

BASE = "http://127.0.0.1:1/v1"
MODEL = "MiniMax-M2.7"
WALL_NS = 1_790_000_000_000_000_000
CREATED = 1_790_000_000
ASKED: Mapping[str, Any] = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "Say hello."}],
    "max_tokens": 32,
}
COMPLETION: Mapping[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": CREATED,
    "model": MODEL,
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hello there."}, "finish_reason": "stop"}
    ],
    "usage": {
        "prompt_tokens": 24,
        "completion_tokens": 38,
        "total_tokens": 62,
        "credits": "0.0792",
        "credits_usd_reference": "0.0000792",
    },
}
ERROR: Mapping[str, Any] = {
    "error": {
        "code": "invalid_request",
        "message": "messages is required.",
        "retryable": False,
        "request_id": "req_1",
        "param": "/messages",
    }
}
_ENVELOPE = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": CREATED, "model": MODEL}


def _chunk(delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {**_ENVELOPE, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


CHUNKS: Sequence[Mapping[str, Any]] = (
    _chunk({"role": "assistant", "content": ""}),
    _chunk({"content": "Hello"}),
    _chunk({"content": " there."}),
    _chunk({}, "stop"),
)


def changed(value: Any, changes: Mapping[str, Any]) -> Any:
    """A copy of a JSON value with these members changed."""
    new = copy.deepcopy(value)
    for path, member in changes.items():
        *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        inner: Any = new
        for step in steps:
            inner = inner[step]
        if member is ABSENT:
            del inner[last]
        else:
            inner[last] = member
    return new


@cache
def terms(settings: Settings | None = None) -> Terms:
    """The published contract and schemas, and the default settings unless others are given."""
    schemas = load_schemas(folder("schemas"))
    return Terms(settings=settings or Settings(), error_codes=read_contract().error_codes, schemas=schemas)


def answer(
    body: bytes | Sequence[bytes],
    *,
    asked: Mapping[str, Any] | bytes = ASKED,
    status: int | None = 200,
    method: str = "POST",
    route: str = CHAT_ROUTE,
    tag: Tag | None = None,
    request_headers: Headers = (),
    headers: Mapping[str, str | None] | None = None,
    content_type: str = "application/json",
    transfer: Transfer = Transfer.WHOLE,
    detail: str = "",
) -> Answer:
    """An exchange as an answer: `body` in one read, or in several, a millisecond apart.

    `headers` are the response's, beside its content type and request id; a value of `None` takes one out.
    """
    pieces = [body] if isinstance(body, bytes) else list(body)
    said = {"Content-Type": content_type, "X-Request-Id": "req_1", **(headers or {})}
    sent = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    return Answer(
        Exchange(
            tag=tag or Tag("probe", "1"),
            request=Request(
                method=method,
                url=BASE + route,
                headers=(("Authorization", "Bearer <redacted:api_key>"), *request_headers),
                body=sent if method == "POST" else b"",
            ),
            wall_ns=WALL_NS,
            started_ns=0,
            connected_ns=1_000_000,
            sent_ns=2_000_000,
            headers_ns=3_000_000 if status is not None else None,
            ended_ns=(4 + len(pieces)) * 1_000_000,
            http_version="HTTP/1.1" if status is not None else "",
            status=status,
            headers=tuple((name, value) for name, value in said.items() if value is not None),
            reads=tuple(Read((4 + n) * 1_000_000, piece) for n, piece in enumerate(pieces) if piece),
            transfer=transfer,
            detail=detail,
        )
    )


def sync_answer(
    changes: Mapping[str, Any] | None = None,
    *,
    body: bytes | None = None,
    asked: Mapping[str, Any] | None = None,
    **http: Any,
) -> Answer:
    """An unstreamed completion with these members changed, or with these bytes as its body.

    `asked` are members of the request's body; the rest is as :func:`answer` takes it.
    """
    content = json.dumps(changed(COMPLETION, changes or {})).encode() if body is None else body
    return answer(content, asked={**ASKED, **(asked or {})}, **http)


def stream_answer(
    events: Iterable[Mapping[str, Any] | str] = CHUNKS,
    *,
    changes: Mapping[str, Any] | None = None,
    done: bool = True,
    body: bytes | Sequence[bytes] | None = None,
    asked: Mapping[str, Any] | None = None,
    **http: Any,
) -> Answer:
    """A stream of these events (JSON objects, or frames as text), `[DONE]` behind them, an event a read.

    `changes` are paths that begin with the place of an event: `{"1.choices.0.delta.content": "Hi"}`.
    """
    pieces = frames(changed(list(events), changes or {}), done=done) if body is None else body
    http = {"content_type": "text/event-stream", **http}
    return answer(pieces, asked={**ASKED, "stream": True, **(asked or {})}, **http)


def frames(events: Iterable[Mapping[str, Any] | str], *, done: bool = True) -> list[bytes]:
    """Events as they stand on the wire: `data:` and JSON, or the text as it is."""
    texts = [e if isinstance(e, str) else f"data: {json.dumps(e, ensure_ascii=False)}\n\n" for e in events]
    return [text.encode() for text in [*texts, *(["data: [DONE]\n\n"] if done else [])]]


def error_answer(
    changes: Mapping[str, Any] | None = None,
    *,
    status: int = 400,
    body: bytes | None = None,
    **http: Any,
) -> Answer:
    """An error envelope with these members of `error` changed, or these bytes, under a status."""
    full = {f"error.{path}": value for path, value in (changes or {}).items()}
    content = json.dumps(changed(ERROR, full)).encode() if body is None else body
    return answer(content, **{"status": status, **http})
