"""A recorded stream without its repetitions: of running chunks that differ in nothing but their text one is kept.

No clause asks what the text says, only that it is text, so every fact judges the shorter stream as it judges the
whole; validating each of a thousand like chunks would hold up the load for a tenth of a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from chatproof import sse
from chatproof.record import Read

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
KEPT = 2  # of each kind: the second shows what is repeated


def condensed(reads: Sequence[Read]) -> tuple[Read, ...]:
    """The reads without the bytes of repeated chunks; whatever is not a plain running chunk stays as it came."""
    body = b"".join(read.data for read in reads)
    stream = sse.parse((read.data, read.at_ns) for read in reads)
    if stream.problems:
        return tuple(reads)
    seen: dict[bytes, int] = {}
    kept: list[Read] = []
    start = 0
    for event in stream.events:
        kind = _kind(event.data) if event.terminated else None
        if kind is not None:
            seen[kind] = seen.get(kind, 0) + 1
            if seen[kind] > KEPT:
                if event.start > start:
                    kept.append(Read(event.at_ns, body[start : event.start]))
                start = event.end
                continue
        kept.append(Read(event.at_ns, body[start : event.end]))
        start = event.end
    if start < len(body):
        kept.append(Read(reads[-1].at_ns, body[start:]))
    return tuple(kept)


def _kind(data: bytes) -> bytes | None:
    """What a running chunk is but for its text; None where it is anything else."""
    try:
        value: Any = _decode(data)
        (choice,) = value["choices"]
        delta = choice["delta"]
        text = delta["content"]
    except (msgspec.DecodeError, ValueError, TypeError, KeyError):
        return None
    if not isinstance(text, str) or not text or choice.get("finish_reason") is not None or value.get("usage"):
        return None
    delta["content"] = "x"
    return _encode(value)
