"""One exchange as text for a reader: what was sent, what came and when. Judges nothing."""

from __future__ import annotations

from typing import Final

from chatproof.record import Exchange

NS_PER_MS: Final = 1_000_000
MOST_BYTES: Final = 200_000  # of a body; the recording holds the rest


def transcript(exchange: Exchange) -> str:
    """Request and response as sent, each read of the body with milliseconds since the request was sent."""
    sent = exchange.request
    zero = exchange.sent_ns or exchange.started_ns
    lines = [
        f"# {exchange.tag}",
        f"> {sent.method} {sent.url}",
        *(f"> {name}: {value}" for name, value in sent.headers),
        *([">", *(f"> {line}" for line in _text(sent.body).splitlines())] if sent.body else []),
        "",
        f"< {exchange.http_version} {exchange.status}" if exchange.status is not None else "< no response",
        *(f"< {name}: {value}" for name, value in exchange.headers),
        "<",
    ]
    left = MOST_BYTES
    for read in exchange.reads:
        ms = (read.at_ns - zero) / NS_PER_MS
        lines += [f"{ms:10.3f} ms  {line}" for line in _text(read.data[:left]).splitlines()]
        left -= len(read.data)
        if left <= 0:
            lines.append(f"[cut after {MOST_BYTES} bytes; the recording holds more]")
            break
    ended_ms = (exchange.ended_ns - zero) / NS_PER_MS
    detail = f": {exchange.detail}" if exchange.detail else ""
    lines.append(f"{ended_ms:10.3f} ms  [transfer {exchange.transfer}{detail}]")
    return "\n".join(lines) + "\n"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace").replace("\r", "\\r")
