"""One event's JSON as a typed chunk, as much of it as load looks at. Knows no stream.

What does not fit the types is read again the lenient way that conformance reads it, so that both see the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from chatproof.answer import decode_json


class Delta(msgspec.Struct, gc=False):
    """What a chunk adds to a choice; only what the fold asks for."""

    role: str | None = None
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class Choice(msgspec.Struct, gc=False):
    """One choice of a chunk."""

    index: int = 0
    delta: Delta | None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct, gc=False):
    """One chunk, or an error envelope."""

    id: str | None = None
    object: str | None = None
    created: int | None = None
    model: str | None = None
    choices: list[Choice] = []
    usage: Mapping[str, msgspec.Raw] | None = (
        None  # only that it is there: its digits are read from the event
    )
    error: Mapping[str, msgspec.Raw] | None = None


decode = msgspec.json.Decoder(Chunk).decode
UNFIT = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)  # what `decode` raises on anything else


def lenient(data: bytes) -> Chunk | None:
    """The chunk in an event that does not fit the types; None where it is not a JSON object."""
    try:
        value = decode_json(data)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    listed = value.get("choices")
    choices = [_choice(c) for c in listed if isinstance(c, dict)] if isinstance(listed, list) else []
    return Chunk(
        id=_text(value.get("id")),
        object=_text(value.get("object")),
        created=value["created"] if type(value.get("created")) is int else None,
        model=_text(value.get("model")),
        choices=choices,
        usage=_object(value.get("usage")),
        error=_object(value.get("error")),
    )


def _choice(choice: Mapping[str, Any]) -> Choice:
    delta = choice.get("delta")
    fields = delta if isinstance(delta, dict) else {}
    index, finish = choice.get("index"), choice.get("finish_reason")
    return Choice(
        index=index if type(index) is int else 0,
        delta=Delta(**{name: _text(fields.get(name)) for name in Delta.__struct_fields__}),
        finish_reason=None if finish is None else str(finish),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _object(value: object) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) else None
