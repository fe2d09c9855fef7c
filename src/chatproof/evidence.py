"""What stands behind a finding: the exchange as bytes to keep, the excerpt that shows it, the curl line for it.

Everything here is made of redacted exchanges. Knows no clause.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence

import msgspec

from chatproof.answer import Answer
from chatproof.record import Exchange, Request

EXCERPT_BYTES = 400
EXCERPT_LINES = 12
NS_PER_MS = 1_000_000
_MARKER = re.compile(r"<redacted:([^:>]+)[^>]*>")


def pack(exchanges: Sequence[Exchange]) -> bytes:
    """Exchanges as bytes, for another process."""
    return msgspec.msgpack.encode(exchanges)


def unpack(data: bytes) -> tuple[Exchange, ...]:
    """What :func:`pack` made."""
    return msgspec.msgpack.decode(data, type=tuple[Exchange, ...])


def curl(request: Request) -> str:
    """A shell line that sends the request again, environment variables in place of keys.

    `<redacted:api_key>` becomes `$BEATRA_API_KEY`, another kind its name in capitals; the key that nobody was given
    needs no variable.
    """
    words = ["curl -sS -N -i"]
    if request.method != "POST":
        words.append(f"-X {request.method}" if request.method != "HEAD" else "-I")
    words += [f"-H {_quoted(f'{name}: {value}' if value else f'{name};')}" for name, value in request.headers]
    if request.method == "POST":
        words.append(f"--data-binary {_quoted(request.body.decode('utf-8', 'surrogateescape'))}")
    return " ".join([*words, _quoted(request.url)])


def _expansion(kind: str) -> str:
    return '"${UNKNOWN_KEY:-nobody-was-given-this}"' if kind == "unknown_key" else f'"${variable(kind)}"'


def variable(kind: str) -> str:
    """The environment variable that stands for a kind of secret in a curl line."""
    return "BEATRA_API_KEY" if kind == "api_key" else re.sub(r"\W", "_", kind).upper()


def _quoted(text: str) -> str:
    """One word of a POSIX shell; bytes that a shell word cannot hold as printf writes them."""
    if not _MARKER.search(text):
        return shlex.quote(text)
    parts = re.split(r"(<redacted:[^>]+>)", text)
    return "".join(
        _expansion(match[1]) if (match := _MARKER.fullmatch(part)) else shlex.quote(part)
        for part in parts
        if part
    )


def excerpt(answer: Answer, at: tuple[int, int] | None = None) -> tuple[str, ...]:
    """The shortest part of what came that shows the point, a line each, with milliseconds since the request was sent.

    Without `at` the status line and headers, and the body's first bytes.
    """
    exchange = answer.exchange
    if at is not None:
        return tuple(_timed(exchange, *at))
    lines = [f"{exchange.http_version or 'no response'} {exchange.status or ''}".strip()]
    lines += [f"{name}: {value}" for name, value in exchange.headers]
    if exchange.reads:
        lines += ["", *_timed(exchange, 0, EXCERPT_BYTES)]
    if exchange.detail:
        lines.append(f"[{exchange.transfer}: {exchange.detail}]")
    return tuple(lines)


def _timed(exchange: Exchange, start: int, end: int) -> list[str]:
    sent_ns = exchange.sent_ns or exchange.started_ns
    lines: list[str] = []
    offset = 0
    for read in exchange.reads:
        piece = read.data[max(0, start - offset) : max(0, min(end, start + EXCERPT_BYTES) - offset)]
        offset += len(read.data)
        if piece:
            text = piece.decode("utf-8", "backslashreplace").replace("\r", "\\r")
            ms = (read.at_ns - sent_ns) / NS_PER_MS
            lines += [f"{ms:9.1f} ms  {line}" for line in text.splitlines() if line]
    return lines[:EXCERPT_LINES] + ["..."] * (len(lines) > EXCERPT_LINES)


def json_body(value: object) -> bytes:
    """A JSON request body; non-ASCII as it is."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
