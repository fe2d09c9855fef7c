"""Oddities of streams as bytes: line ends, fields, comments, and how writes cut them; all of it event-stream text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from ..call import Call
from ..changes import coalesced, frames, header, put_in, reply, rewrite, splits
from ..conditions import INCLUDE_USAGE, LONG, STREAM, SUCCEEDED, When
from ..encodings import at_each, deflated, gzipped
from ..reply import Carries, Ending, Frame, Framing, Reply
from ..vocabulary import Variation

ROLE, CONTENT, FINISH = Carries.ROLE, Carries.CONTENT, Carries.FINISH
USAGE, DONE = Carries.USAGE, Carries.DONE
CHUNKS = (ROLE, CONTENT, FINISH, USAGE)
STREAMED = STREAM & SUCCEEDED
SPLIT_GAP_NS = 300_000  # long enough for the kernel to hand the halves over one by one


def _ended_by(end: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(b"\n", end)


def _between_cr_and_lf(data: bytes) -> Iterable[bytes]:
    *lines, rest = data.split(b"\r\n")
    yield lines[0] + b"\r"
    yield from (b"\n" + line + b"\r" for line in lines[1:])
    yield b"\n" + rest


def _all_line_ends(written: tuple[Frame, ...]) -> Iterator[Frame]:
    ends = (b"\n", b"\r\n", b"\r")
    for n, frame in enumerate(written):
        first, second = ends[n % 3], ends[n // 3 % 3]
        if first == b"\r" and second == b"\n":
            second = b"\r"  # CR and LF would be one line end
        yield replace(frame, data=frame.data.removesuffix(b"\n\n") + first + second)


_LINE_ENDS = (
    Variation("crlf", "Lines end in CRLF.", (rewrite(_ended_by(b"\r\n"), when=STREAMED),)),
    Variation("cr", "Lines end in CR alone.", (rewrite(_ended_by(b"\r"), when=STREAMED),)),
    Variation(
        "crlf-split",
        "Lines end in CRLF, and each is cut in two by the end of a write.",
        (rewrite(_ended_by(b"\r\n"), when=STREAMED), splits(_between_cr_and_lf, SPLIT_GAP_NS, STREAMED)),
    ),
    Variation(
        "all-line-ends", "LF, CRLF and CR end the lines of one stream.", (frames(_all_line_ends, STREAMED),)
    ),
    Variation(
        "blank-lines",
        "Three blank lines open a stream and stand behind each event, [DONE] included.",
        (
            rewrite(lambda data: data + b"\n\n\n", when=STREAMED),
            frames(lambda written: (Frame(b"\n\n\n"), *written), STREAMED),
        ),
    ),
)


def _comments_first(written: tuple[Frame, ...]) -> Iterator[Frame]:
    yield Frame(b": PROCESSING\n\n")
    for frame in written:
        if frame.carries is CONTENT:
            break
        yield replace(frame, after_ns=frame.after_ns // 2)
        yield Frame(b":\n\n", after_ns=frame.after_ns // 2)
    first = next(n for n, frame in enumerate(written) if frame.carries is CONTENT)
    yield from written[first:]


def _before_done(*said: bytes) -> Callable[[tuple[Frame, ...]], Iterable[Frame]]:
    def edit(written: tuple[Frame, ...]) -> Iterable[Frame]:
        for frame in written:
            if frame.carries is DONE:
                yield from map(Frame, said)
            yield frame

    return edit


def _numbered(written: tuple[Frame, ...]) -> Iterator[Frame]:
    for n, frame in enumerate(written, 1):
        yield replace(frame, data=b"id: %d\n" % n + frame.data)


def _numbered_behind(written: tuple[Frame, ...]) -> Iterator[Frame]:
    for n, frame in enumerate(written, 1):
        yield replace(frame, data=frame.data[:-1] + b"id: %d\n\n" % n)
        yield Frame(b": ping\n\n")


_FIELDS = (
    Variation(
        "no-space",
        "No space follows data:, not even before [DONE].",
        (rewrite(lambda data: data.replace(b"data: ", b"data:", 1), when=STREAMED),),
    ),
    Variation(
        "comments-first",
        "A comment opens a stream, and more come before its first token.",
        (frames(_comments_first, STREAMED),),
    ),
    Variation(
        "comments-inside",
        "Each event has a comment above its data and one below.",
        (rewrite(lambda data: b": above\n" + data[:-1] + b": below\n\n", when=STREAMED),),
    ),
    Variation(
        "comments-after-done",
        "Comments with figures follow [DONE], the last without a blank line.",
        (
            frames(
                lambda written: (
                    *written,
                    Frame(b": x-cost=0.0000234\n\n"),
                    Frame(b": bye\n", after_ns=5_000_000),
                ),
                STREAMED,
            ),
        ),
    ),
    Variation(
        "comments-before-done",
        "Comments with figures come between the last chunk and [DONE].",
        (frames(_before_done(b": x-litellm-response-cost=2.34e-05\n\n", b": x-ms=112\n\n"), STREAMED),),
    ),
    Variation("event-ids", "Each event has an id.", (frames(_numbered, STREAMED),)),
    Variation(
        "event-ids-and-pings",
        "Each event has an id below its data, and a ping behind it.",
        (frames(_numbered_behind, STREAMED),),
    ),
    Variation(
        "event-names",
        "Each event is named message, and named again below its data.",
        (rewrite(lambda data: b"event: message\n" + data[:-1] + b"event: message\n\n", when=STREAMED),),
    ),
    Variation(
        "keepalive-events",
        "A keepalive event without data comes behind each chunk.",
        (rewrite(lambda data: data + b"event: keepalive\n\n", *CHUNKS, when=STREAMED),),
    ),
    Variation(
        "retry-field",
        "A stream opens with the time after which a browser would come again.",
        (frames(lambda written: (Frame(b"retry: 3000\n\n"), *written), STREAMED),),
    ),
    Variation(
        "unknown-fields",
        "Each event has a field that the format does not know, and one that is a name only.",
        (rewrite(lambda data: b"x-trace: 4bf92f35\nserver\n" + data, when=STREAMED),),
    ),
    Variation(
        "byte-order-mark",
        "A byte order mark opens a stream.",
        (frames(lambda w: (replace(w[0], data=b"\xef\xbb\xbf" + w[0].data), *w[1:]), STREAMED),),
    ),
)


def respelled(spell: Callable[[Any], str]) -> Callable[[bytes], bytes]:
    """An edit of one event: its JSON in another spelling, on as many data lines as that has."""

    def edit(data: bytes) -> bytes:
        text = data.removeprefix(b"data: ").strip()
        if not text.startswith(b"{"):
            return data
        return b"".join(b"data: %b\n" % line.encode() for line in spell(json.loads(text)).split("\n")) + b"\n"

    return edit


def reversed_members(value: Any) -> Any:
    """A JSON value with the members of each object in the opposite order."""
    if isinstance(value, dict):
        return {name: reversed_members(value[name]) for name in reversed(value)}
    return [reversed_members(item) for item in value] if isinstance(value, list) else value


_JSON = (
    Variation(
        "many-data-lines",
        "The JSON of each chunk is indented, and spread over as many data lines.",
        (rewrite(respelled(lambda value: json.dumps(value, indent=2)), *CHUNKS, when=STREAMED),),
    ),
    Variation(
        "escaped-chunks",
        "The JSON of each chunk is ASCII with spaces, its members in another order, slashes and letters escaped.",
        (
            put_in(CHUNKS, "/system_fingerprint", "fp/é🌍", STREAMED),
            rewrite(
                respelled(
                    lambda value: (
                        json.dumps(reversed_members(value))
                        .replace("/", r"\/")
                        .replace("chatcmpl", r"ch\u0061tcmpl")
                    )
                ),
                *CHUNKS,
                when=STREAMED,
            ),
        ),
    ),
)


def _inside_characters(data: bytes) -> Iterable[bytes]:
    start = 0
    for at, byte in enumerate(data):
        if byte >= 0x80:
            yield data[start:at]
            start = at
    yield data[start:]


def _bytewise(data: bytes) -> Iterable[bytes]:
    return (data[at : at + 1] for at in range(len(data)))


def _offers(coding: str) -> When:
    return When(f"{coding} was offered", lambda call: coding in (call.header("Accept-Encoding") or ""))


def _until_close(call: Call, plan: Reply) -> Reply:
    return replace(plan, framing=Framing.CLOSE)


_WRITES = (
    Variation(
        "characters-split",
        "Each chunk has non-ASCII text, and every byte of its characters comes in a write of its own.",
        (
            put_in(CHUNKS, "/system_fingerprint", "fp-你🌍", STREAMED),
            splits(_inside_characters, SPLIT_GAP_NS, STREAMED),
        ),
    ),
    Variation(
        "bytewise",
        "Each byte of a short stream with usage comes in a write of its own.",
        (splits(_bytewise, when=STREAMED & INCLUDE_USAGE & ~LONG),),
    ),
    Variation("four-events-a-write", "Events come in fours.", (coalesced(4, STREAMED),)),
    Variation(
        "odd-writes",
        "Writes end anywhere in an event, be it inside a field's name or between its two line ends.",
        (splits(lambda data: (*at_each((3, 41, max(0, len(data) - 45)))(data),), SPLIT_GAP_NS, STREAMED),),
    ),
    Variation(
        "gzip-if-offered",
        "What a client may have in gzip comes so, streams and bodies alike.",
        (
            frames(gzipped, _offers("gzip")),
            header("Content-Encoding", "gzip", _offers("gzip")),
            header("Vary", "Accept-Encoding", _offers("gzip")),
        ),
    ),
    Variation(
        "deflate-if-offered",
        "What a client may have in deflate comes so, streams and bodies alike.",
        (frames(deflated, _offers("deflate")), header("Content-Encoding", "deflate", _offers("deflate"))),
    ),
    Variation(
        "stream-until-close",
        "A stream has no chunked encoding: the end of the connection ends it, as behind an old proxy.",
        (reply(_until_close, STREAMED),),
    ),
    Variation(
        "stream-then-close",
        "The connection is closed after a stream, as its head says.",
        (reply(lambda call, plan: replace(plan, ending=Ending.CLOSED), STREAMED),),
    ),
    Variation(
        "stream-type-in-capitals",
        "A stream's content type is in capitals, with a parameter in quotes.",
        (header("Content-Type", 'Text/Event-Stream ; Charset="UTF-8"', STREAMED),),
    ),
    Variation(
        "stream-type-alone",
        "A stream's content type has no parameter, and proxies are told to keep their hands off.",
        (
            header("Content-Type", "text/event-stream", STREAMED),
            header("Cache-Control", "no-cache, no-transform", STREAMED),
            header("X-Accel-Buffering", "no", STREAMED),
        ),
    ),
)

VARIATIONS = (*_LINE_ENDS, *_FIELDS, *_JSON, *_WRITES)
