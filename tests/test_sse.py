"""The event-stream parser against the WHATWG text: named cases, every split, a second reading of the text."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproof.sse import (
    CUT_BY_END_OF_INPUT,
    CUT_BY_LINE_END,
    NOT_UTF8,
    Event,
    Parser,
    Problem,
    Stream,
    parse,
)

Plain = tuple[bytes, str, str, bool]


def whole(body: bytes) -> Stream:
    """The body as one read at instant 1."""
    return parse([(body, 1)])


def plain(stream: Stream) -> list[Plain]:
    """The events without their places and times."""
    return [(event.data, event.type, event.id, event.terminated) for event in stream.events]


def data_of(body: bytes) -> list[bytes]:
    """The data of each event of a body that is one read."""
    return [event.data for event in whole(body).events]


def timeless(
    stream: Stream,
) -> tuple[list[tuple[bytes, str, str, int, int, bool]], dict[str, int], tuple[Problem, ...]]:
    """All that must not depend on where the reads were cut."""
    places = [(e.data, e.type, e.id, e.start, e.end, e.terminated) for e in stream.events]
    return places, dict(stream.oddities), stream.problems


def cut(body: bytes, *places: int) -> list[tuple[bytes, int]]:
    """The body cut at offsets into reads, the first at instant 0, the next at 1 ..."""
    edges = [0, *sorted(places), len(body)]
    return [(body[a:b], n) for n, (a, b) in enumerate(pairwise(edges))]


def by_the_text(body: bytes) -> list[Plain]:
    """A second reading of the text, on the whole body at once and with no speed in mind."""
    body = body.removeprefix(b"\xef\xbb\xbf")
    *lines, last = re.split(rb"\r\n|\r|\n", body)
    events: list[Plain] = []
    buffer, kind, last_id = b"", "", ""
    for line in lines:
        if line == b"":
            if buffer:
                events.append((buffer[:-1], kind, last_id, True))
            buffer, kind = b"", ""
            continue
        buffer, kind, last_id = _field(line, buffer, kind, last_id)
    if b":" in last:
        buffer, kind, last_id = _field(last, buffer, kind, last_id)
    if buffer:
        events.append((buffer[:-1], kind, last_id, False))
    return events


def _field(line: bytes, buffer: bytes, kind: str, last_id: str) -> tuple[bytes, str, str]:
    name, value = line.split(b":", 1) if b":" in line else (line, b"")
    value = value[1:] if value[:1] == b" " else value
    if name == b"data":
        return buffer + value + b"\n", kind, last_id
    if name == b"event":
        return buffer, value.decode("utf-8", "replace"), last_id
    if name == b"id" and b"\0" not in value:
        return buffer, kind, value.decode("utf-8", "replace")
    return buffer, kind, last_id


EXAMPLES = {
    "standard: three lines make one event": (
        b"data: YHOO\ndata: +2\ndata: 10\n\n",
        [(b"YHOO\n+2\n10", "", "", True)],
    ),
    "standard: four blocks": (
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event",
        [
            (b"first event", "", "1", True),
            (b"second event", "", "", True),
            (b" third event", "", "", False),
        ],
    ),
    "standard: data without a colon": (
        b"data\n\ndata\ndata\n\ndata:",
        [(b"", "", "", True), (b"\n", "", "", True), (b"", "", "", False)],
    ),
    "standard: one space only is taken": (
        b"data:test\n\ndata: test\n\ndata:  test\n\n",
        [(b"test", "", "", True), (b"test", "", "", True), (b" test", "", "", True)],
    ),
    "a tab is no space": (b"data:\tx\n\n", [(b"\tx", "", "", True)]),
    "a colon in the value stays": (b"data: a: b:c\n\n", [(b"a: b:c", "", "", True)]),
    "comments alone dispatch nothing": (b": ping\n\n:\n\n: pong\n\n", []),
    "a comment inside a block": (b"data: a\n: ping\ndata: b\n\n", [(b"a\nb", "", "", True)]),
    "an event field alone dispatches nothing": (
        b"event: keepalive\n\ndata: x\n\n",
        [(b"x", "", "", True)],
    ),
    "the event field holds for its own block": (
        b"event: error\ndata: x\n\ndata: y\n\n",
        [(b"x", "error", "", True), (b"y", "", "", True)],
    ),
    "the id persists": (
        b"id: 7\ndata: x\n\ndata: y\n\n: ping\n\nid\ndata: z\n\n",
        [(b"x", "", "7", True), (b"y", "", "7", True), (b"z", "", "", True)],
    ),
    "an id alone sets the id and dispatches nothing": (
        b"id: 8\n\ndata: x\n\n",
        [(b"x", "", "8", True)],
    ),
    "an id with NUL is ignored": (
        b"id: 7\ndata: x\n\nid: 8\0\ndata: y\n\n",
        [(b"x", "", "7", True), (b"y", "", "7", True)],
    ),
    "retry and unknown fields are ignored": (
        b"retry: 100\nDATA: x\n data: x\nfoo\n\ndata: y\n\n",
        [(b"y", "", "", True)],
    ),
    "CRLF": (b"data: a\r\n\r\ndata: b\r\n\r\n", [(b"a", "", "", True), (b"b", "", "", True)]),
    "CR": (b"data: a\r\rdata: b\r\r", [(b"a", "", "", True), (b"b", "", "", True)]),
    "all three ends mixed": (
        b"data: a\r\n\ndata: b\r\r\ndata: c\n\rdata: d\rdata: e\ndata: f\r\n\r\n",
        [(b"a", "", "", True), (b"b", "", "", True), (b"c", "", "", True), (b"d\ne\nf", "", "", True)],
    ),
    "blank lines before, between and after": (
        b"\n\n\ndata: a\n\n\n\n\ndata: b\n\n\n",
        [(b"a", "", "", True), (b"b", "", "", True)],
    ),
    "a BOM is taken once": (
        b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\ndata: c\n\n",
        [(b"a", "", "", True), (b"c", "", "", True)],
    ),
    "a BOM before a blank line": (b"\xef\xbb\xbf\ndata: a\n\n", [(b"a", "", "", True)]),
    "a BOM before an unterminated line": (b"\xef\xbb\xbfdata: a", [(b"a", "", "", False)]),
    "an unterminated [DONE]": (
        b"data: {}\n\ndata: [DONE]",
        [(b"{}", "", "", True), (b"[DONE]", "", "", False)],
    ),
    "a [DONE] with its line end and no blank line": (
        b"data: {}\n\ndata: [DONE]\n",
        [(b"{}", "", "", True), (b"[DONE]", "", "", False)],
    ),
    "a terminated [DONE]": (b"data: [DONE]\n\n", [(b"[DONE]", "", "", True)]),
    "an end inside a field name": (b"data: a\n\ndat", [(b"a", "", "", True)]),
    "an end after a whole field name is no data yet": (b"data: a\n\ndata", [(b"a", "", "", True)]),
    "an end inside a comment": (b"data: a\n\n: pi", [(b"a", "", "", True)]),
    "an end inside a comment of an event": (b"data: a\n: pi", [(b"a", "", "", False)]),
    "nothing": (b"", []),
    "line separators of Unicode are data": (
        'data: {"a":"x\u2028y\u2029z\u0085w\x0b\x0c"}\n\n'.encode(),
        [('{"a":"x\u2028y\u2029z\u0085w\x0b\x0c"}'.encode(), "", "", True)],
    ),
    "two line feeds inside what looks like one block": (
        b"data: {\ndata: }\n\ndata: x\n\n",
        [(b"{\n}", "", "", True), (b"x", "", "", True)],
    ),
    "a JSON body is an unknown field": (b'{"id":"x","choices":[]}', []),
    "an emoji": (
        "data: \N{WAVING HAND SIGN}\n\n".encode(),
        [("\N{WAVING HAND SIGN}".encode(), "", "", True)],
    ),
    "bytes that are not UTF-8": (
        b"data: \xff\n\ndata: x\n\n",
        [(b"\xff", "", "", True), (b"x", "", "", True)],
    ),
}


@pytest.mark.parametrize(("body", "expected"), EXAMPLES.values(), ids=EXAMPLES.keys())
def test_example(body: bytes, expected: list[Plain]) -> None:
    """Each named rule of the text gives the events written here by hand."""
    assert plain(whole(body)) == expected


@pytest.mark.parametrize(("body", "expected"), EXAMPLES.values(), ids=EXAMPLES.keys())
def test_second_reading(body: bytes, expected: list[Plain]) -> None:
    """The oracle of the property tests agrees with the events written by hand."""
    assert by_the_text(body) == expected


@pytest.mark.parametrize("body", [body for body, _ in EXAMPLES.values()], ids=EXAMPLES.keys())
def test_every_split(body: bytes) -> None:
    """Cutting an example at any two places, or at every byte, changes nothing but times."""
    expected = timeless(whole(body))

    for first in range(len(body) + 1):
        for second in range(first, len(body) + 1):
            assert timeless(parse(cut(body, first, second))) == expected
    assert timeless(parse(cut(body, *range(1, len(body))))) == expected


LINE_ENDS = st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"])
LINES = st.one_of(
    st.sampled_from(
        [
            *[b"", b"", b"data: x", b'data: {"a":1}', b"data", b"data:", b"data:y", b"data:  z"],
            *[b"data: [DONE]", b": ping", b":", b"event: error", b"event", b"id: 1", b"id", b"id: a\0b"],
            *[b"retry: 5", b"foo: bar", b"\xef\xbb\xbfdata: b", b"data: \xff\xfe", b"data: \xe4\xbd", b"dat"],
            "data: né\u2028".encode(),
        ]
    ),
    st.text(max_size=6).map(str.encode),
    st.binary(max_size=6),
)
STREAMS = st.builds(
    lambda bom, lines, tail: bom + b"".join(line + end for line, end in lines) + tail,
    st.sampled_from([b"", b"", b"\xef\xbb\xbf", b"\xef\xbb"]),
    st.lists(st.tuples(LINES, LINE_ENDS), max_size=14),
    LINES,
)
# What servers send: the blocks of the short cut, with a few that it must leave to the line machine.
BLOCKS = st.lists(
    st.sampled_from(
        [
            *[b"data: {}\n\n"] * 4,
            *[b"data: \n\n", b"data:x\n\n", b"\n", b": ping\n\n", b"event: e\ndata: x\n\n"],
            *[b"data: a\ndata: b\n\n", "data: é\n\n".encode(), b"data: \xff\n\n", b"id: 3\ndata: x\n\n"],
            *[b"data: [DONE]", b"data: x\n"],
        ]
    ),
    max_size=12,
).map(b"".join)
BODIES = st.one_of(STREAMS, BLOCKS)


@given(BODIES)
def test_any_stream_by_the_text(body: bytes) -> None:
    """Whatever the bytes, the events are those of the second reading of the text."""
    assert plain(whole(body)) == by_the_text(body)


@given(BODIES, st.data())
def test_any_split(body: bytes, data: st.DataObject) -> None:
    """Whatever the bytes and the cuts, events, places, oddities and problems are the same."""
    places = data.draw(st.lists(st.integers(0, len(body)), max_size=8))

    assert timeless(parse(cut(body, *places))) == timeless(whole(body))


@given(BODIES)
def test_short_cut(body: bytes) -> None:
    """Fed byte by byte, so that only the line machine works, any body gives what one read gives."""
    assert timeless(parse(cut(body, *range(1, len(body))))) == timeless(whole(body))


@given(BODIES, st.data())
def test_instants(body: bytes, data: st.DataObject) -> None:
    """The instant of an event is that of the read that brought its last byte, whatever the cuts."""
    reads = cut(body, *data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    instants = [at_ns for piece, at_ns in reads for _ in piece]

    assert all(event.at_ns == instants[event.end - 1] for event in parse(reads).events)


@given(BODIES)
def test_places(body: bytes) -> None:
    """The bytes from `start` to `end`, parsed alone, give the event's data; places never overlap."""
    events = whole(body).events
    edges = [edge for event in events for edge in (event.start, event.end)]
    alone = [b"\n" + body[event.start : event.end] for event in events]  # no BOM opens what follows a line

    assert edges == sorted(edges)
    assert [data_of(part)[-1:] for part in alone] == [[event.data] for event in events]


@given(BODIES)
def test_problems_are_utf8(body: bytes) -> None:
    """There is a problem exactly where the body is not UTF-8, and the first one is where a decoder stops."""
    try:
        body.decode()
        expected = None
    except UnicodeDecodeError as error:
        expected = error.start

    problems = whole(body).problems
    assert (problems[0].offset if problems else None) == expected


def test_events_come_when_complete() -> None:
    """`feed` returns an event with the read that completes it, at that read's instant."""
    parser = Parser()

    assert parser.feed(b"data: a\n", 10) == []
    assert parser.feed(b"", 15) == []
    assert parser.feed(b"\nda", 20) == [Event(b"a", "", "", 20, 0, 9, True)]
    assert parser.feed(b"ta: b", 30) == []
    assert parser.feed(b"", 40) == []
    assert parser.close() == [Event(b"b", "", "", 30, 9, 16, False)]
    assert parser.close() == []


def test_cr_completes_at_once() -> None:
    """The second CR completes an event; the LF that a later read brings makes no second one."""
    parser = Parser()

    assert parser.feed(b"data: a\r\n\r", 1) == [Event(b"a", "", "", 1, 0, 10, True)]
    assert parser.feed(b"\n", 2) == []
    assert parser.feed(b"data: b\n\n", 3) == [Event(b"b", "", "", 3, 11, 20, True)]
    assert parser.oddities == {"crlf": 2}


def test_oddities() -> None:
    """Each legal oddity is counted under its name, and what was not seen is absent."""
    body = (
        b"\xef\xbb\xbf: ping\r\n\r\nevent: a\rid: 1\nretry: 3\ndata:x\ndata\ndata:\n\n"
        b"id: \0\nfoo\n\n: pong\ndata: y\n\n"
    )

    assert whole(body).oddities == {
        "bom": 1,
        "comment": 2,
        "cr": 1,
        "crlf": 2,
        "event_field": 1,
        "id_field": 1,
        "id_with_nul": 1,
        "multi_line": 1,
        "no_colon": 1,
        "no_space": 1,
        "retry_field": 1,
        "unknown_field": 1,
    }
    assert whole(b"data: x\n\ndata: [DONE]\n\n").oddities == {}


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        (b"data: a\n\ndata: b\xffc\xff\n\n", (Problem(16, NOT_UTF8),)),
        (b": \xc0\x80\n\xff: x\n\n", (Problem(2, NOT_UTF8), Problem(5, NOT_UTF8))),
        (b"\xef\xbb\xbfdata: \xff\n\n", (Problem(9, NOT_UTF8),)),
        (b"data: \xed\xa0\x80\n\n", (Problem(6, NOT_UTF8),)),
        (b"data: \xf0\x9f\x91\n\ndata: \x8b\n\n", (Problem(6, CUT_BY_LINE_END), Problem(17, NOT_UTF8))),
        (b"data: \xf0\x9f\x91", (Problem(6, CUT_BY_END_OF_INPUT),)),
        (b"data: \xf0\x9f\x91\x8b", ()),
    ],
    ids=["data", "comment-and-name", "after-bom", "surrogate", "cut-by-event", "cut-by-end", "whole"],
)
def test_problems(body: bytes, problems: tuple[Problem, ...]) -> None:
    """Bytes that are not UTF-8 are reported with their offset, one a line, and the data keeps them."""
    assert whole(body).problems == problems


def test_character_over_reads() -> None:
    """A character cut by a read is legal: no problem, and the text is whole."""
    body = "data: 你好 \N{EARTH GLOBE EUROPE-AFRICA}\n\n".encode()

    stream = parse(cut(body, 7, 8, 14, 15))
    assert stream.problems == ()
    assert [event.text for event in stream.events] == ["你好 \N{EARTH GLOBE EUROPE-AFRICA}"]


def test_text_replaces_what_is_reported() -> None:
    """The text of an event that is not UTF-8 shows U+FFFD, and the same stream carries the problem."""
    stream = whole(b"data: a\xff\n\n")

    assert [event.text for event in stream.events] == ["a\ufffd"]
    assert stream.problems == (Problem(7, NOT_UTF8),)


@pytest.mark.parametrize("size", [1, 1000, 1 << 21])
def test_large_event(size: int) -> None:
    """An event of 1 MB comes whole, in one read and in reads of any size."""
    payload = b"x" * (1 << 20)
    body = b"data: " + payload + b"\n\ndata: [DONE]\n\n"

    stream = parse((body[n : n + size], n) for n in range(0, len(body), size))
    assert [event.data for event in stream.events] == [payload, b"[DONE]"]
