"""Exchanges as a HAR 1.2 file and back, exactly: opens in a browser's network panel. Judges nothing.

What HAR has no place for stands in members of our own, which HAR allows under names with an underscore: the tag, the
monotonic instants, how the transfer ended, and `_reads`, a pair for each read of the body: nanoseconds since the start
and how many bytes of the body it brought.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from chatproof import __version__
from chatproof.record import Exchange, Headers, Read, Request, Tag, Transfer

CAP: Final = 2_000_000  # bytes of a body that a recording keeps
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANTS: Final = ("connected_ns", "sent_ns", "headers_ns", "ended_ns")


class HarError(ValueError):
    """The file is no recording of ours; the text says which entry and why."""


def to_har(exchanges: Iterable[Exchange], *, version: str = __version__, cap: int = CAP) -> dict[str, Any]:
    """A HAR document of exchanges, in their order; a body is cut after `cap` bytes and then marked `_capped`."""
    return {
        "log": {
            "version": "1.2",
            "creator": {"name": "chatproof", "version": version},
            "comment": "Times of reads are in _reads: nanoseconds since _started_ns, and bytes.",
            "entries": [_entry(exchange, cap) for exchange in exchanges],
        }
    }


def from_har(har: Mapping[str, Any]) -> tuple[Exchange, ...]:
    """The exchanges that :func:`to_har` was given; HarError where the document is not of our making.

    An exchange whose body was capped comes back with what was kept, and as one that was stopped at a limit.
    """
    try:
        entries = har["log"]["entries"]
    except (KeyError, TypeError):
        raise HarError("not a HAR file: it has no log with entries") from None
    found: list[Exchange] = []
    for number, entry in enumerate(entries):
        try:
            found.append(_exchange(entry))
        except (KeyError, TypeError, ValueError) as problem:
            said = f"{type(problem).__name__}: {problem}"
            raise HarError(f"entry {number} is no recording of chatproof's: {said}") from None
    return tuple(found)


def dumps(har: Mapping[str, Any]) -> bytes:
    """The file's bytes, an entry a line: UTF-8, and ASCII only where a text holds what UTF-8 cannot."""
    try:
        return _lines(har, ascii_only=False).encode()
    except UnicodeEncodeError:
        return _lines(har, ascii_only=True).encode()


def _lines(har: Mapping[str, Any], *, ascii_only: bool) -> str:
    def text(value: Any) -> str:
        return json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":"), allow_nan=False)

    entries = ",\n".join(text(entry) for entry in har["log"]["entries"])
    head = text({**har["log"], "entries": []}).removesuffix("]}")
    return f'{{"log":{head}\n{entries}\n]}}}}\n'


def loads(data: bytes) -> tuple[Exchange, ...]:
    """The exchanges of a file's bytes; HarError where they are not of our making."""
    try:
        return from_har(json.loads(data))
    except (UnicodeDecodeError, json.JSONDecodeError) as problem:
        raise HarError(f"not a HAR file: {problem}") from None


def _entry(exchange: Exchange, cap: int) -> dict[str, Any]:
    sent, body = exchange.request, exchange.body
    started = _EPOCH + timedelta(microseconds=exchange.wall_ns // 1000)
    entry: dict[str, Any] = {
        "startedDateTime": started.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "time": _ms(exchange.ended_ns - exchange.started_ns),
        "request": {
            "method": sent.method,
            "url": sent.url,
            "httpVersion": exchange.http_version or "HTTP/1.1",
            "cookies": [],
            "headers": _pairs(sent.headers),
            "queryString": _pairs(parse_qsl(urlsplit(sent.url).query, keep_blank_values=True)),
            "headersSize": -1,
            "bodySize": len(sent.body),
        },
        "response": {
            "status": exchange.status or 0,
            "statusText": _phrase(exchange.status),
            "httpVersion": exchange.http_version,
            "cookies": [],
            "headers": _pairs(exchange.headers),
            "content": {
                "size": len(body),
                "mimeType": exchange.header("Content-Type") or "x-unknown",
                **_text(body[:cap], "encoding"),
            },
            "redirectURL": exchange.header("Location") or "",
            "headersSize": -1,
            "bodySize": len(body),
        },
        "cache": {},
        "timings": _timings(exchange),
        "_tag": {"probe": exchange.tag.probe, "step": exchange.tag.step, "attempt": exchange.tag.attempt},
        "_transfer": exchange.transfer.value,
        "_detail": exchange.detail,
        "_wall_ns": exchange.wall_ns,
        "_started_ns": exchange.started_ns,
        **{f"_{name}": getattr(exchange, name) for name in _INSTANTS},
        "_reused": exchange.reused,
        "_lateness_ns": exchange.lateness_ns,
        "_reads": [[read.at_ns - exchange.started_ns, len(read.data)] for read in exchange.reads],
    }
    if sent.body:
        content_type = sent.header("Content-Type") or "application/octet-stream"
        entry["request"]["postData"] = {"mimeType": content_type, **_text(sent.body, "_encoding")}
    if len(body) > cap:
        entry["_capped"] = f"the first {cap} of {len(body)} bytes of the body are kept"
    return entry


def _exchange(entry: Mapping[str, Any]) -> Exchange:
    sent, came = entry["request"], entry["response"]
    post = sent.get("postData")
    started = entry["_started_ns"]
    tag = entry["_tag"]
    exchange = Exchange(
        tag=Tag(tag["probe"], tag["step"], tag["attempt"]),
        request=Request(
            method=sent["method"],
            url=sent["url"],
            headers=_headers(sent["headers"]),
            body=_bytes(post, "_encoding") if post else b"",
        ),
        wall_ns=entry["_wall_ns"],
        started_ns=started,
        **{name: entry[f"_{name}"] for name in _INSTANTS},
        reused=entry["_reused"],
        http_version=came["httpVersion"],
        status=came["status"] or None,
        headers=_headers(came["headers"]),
        reads=_reads(entry["_reads"], started, _bytes(came["content"], "encoding")),
        transfer=Transfer(entry["_transfer"]),
        detail=entry["_detail"],
        lateness_ns=entry["_lateness_ns"],
    )
    capped = entry.get("_capped")
    return replace(exchange, transfer=Transfer.CAPPED, detail=capped) if capped else exchange


def _reads(pairs: Iterable[tuple[int, int]], started: int, body: bytes) -> tuple[Read, ...]:
    reads: list[Read] = []
    offset = 0
    for after_ns, size in pairs:
        data = body[offset : offset + size]
        offset += size
        if data or not size:
            reads.append(Read(started + after_ns, data))
    return tuple(reads)


def _text(data: bytes, encoding: str) -> dict[str, str]:
    try:
        return {"text": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"text": base64.b64encode(data).decode("ascii"), encoding: "base64"}


def _bytes(content: Mapping[str, Any], encoding: str) -> bytes:
    text: str = content["text"]
    return (
        base64.b64decode(text, validate=True) if content.get(encoding) == "base64" else text.encode("utf-8")
    )


def _pairs(headers: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in headers]


def _headers(pairs: Iterable[Mapping[str, str]]) -> Headers:
    return tuple((pair["name"], pair["value"]) for pair in pairs)


def _timings(exchange: Exchange) -> dict[str, float]:
    """The spans that a network panel draws, in milliseconds; one that never was is -1 or 0, as HAR has it."""
    start, end = exchange.started_ns, exchange.ended_ns
    connected = exchange.connected_ns
    sent = exchange.sent_ns or connected or start
    headers = exchange.headers_ns or end
    return {
        "blocked": -1,
        "dns": -1,
        "connect": _ms(connected - start) if connected is not None else -1,
        "ssl": -1,
        "send": _ms(max(0, sent - (connected or start))),
        "wait": _ms(max(0, headers - sent)),
        "receive": _ms(max(0, end - headers)),
    }


def _ms(ns: int) -> float:
    return ns / 1_000_000


def _phrase(status: int | None) -> str:
    try:
        return HTTPStatus(status).phrase if status else ""
    except ValueError:
        return ""
