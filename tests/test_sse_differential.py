"""Our event-stream parser beside httpx-sse: the same events, but for differences named and asserted."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import httpx
import pytest
from httpx_sse import EventSource
from hypothesis import given
from hypothesis import strategies as st

from chatproof.sse import parse

Seen = list[tuple[str, str, str]]


def theirs(reads: Iterable[bytes]) -> Seen:
    """The (data, type, id) that httpx-sse makes of a response that comes in these reads."""
    response = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=iter(reads))
    return [(event.data, _type(event.event), event.id) for event in EventSource(response).iter_sse()]


def _type(event: str) -> str:
    # httpx-sse gives the browser's default name where the stream gave none.
    return "" if event == "message" else event


def ours(reads: Iterable[bytes]) -> Seen:
    """The (data, type, id) of the terminated events that we make of these reads."""
    events = parse((read, 0) for read in reads).events
    return [(event.text, event.type, event.id) for event in events if event.terminated]


# No BOM and no empty data line, so that the empty events that httpx-sse adds can be told from real ones.
LINES = st.one_of(
    st.sampled_from(
        [
            *["", "", "", "data: x", "data:y", 'data: {"a":"b"}', "data:  z", "data: [DONE]", "data: 你好"],
            *["data: \u2028\u2029\u0085\x0b\x0c", "data: \N{WAVING HAND SIGN}", ": ping", ":", "foo: bar"],
            *["event: error", "event", "id: 1", "id", "id: a\0b", "retry: 5", "retry: x"],
        ]
    ),
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1, max_size=5).map(
        "data:.{}".format
    ),
)
BODIES = st.lists(st.tuples(LINES, st.sampled_from(["\n", "\n", "\r\n", "\r"])), max_size=16).map(
    lambda lines: "".join(line + end for line, end in lines).encode()
)


@given(BODIES, st.data())
def test_same_events(body: bytes, data: st.DataObject) -> None:
    """On any stream, however cut, both see the same events, once the empty ones it adds are left out."""
    edges = sorted({0, len(body), *data.draw(st.lists(st.integers(0, len(body)), max_size=6))})
    reads = [body[a:b] for a, b in pairwise(edges)]

    assert ours(reads) == [event for event in theirs(reads) if event[0] != ""]


@pytest.mark.parametrize(
    ("body", "their_events", "our_events"),
    [
        (
            b"\xef\xbb\xbfdata: a\n\ndata: b\n\n",
            [("b", "", "")],
            [("a", "", ""), ("b", "", "")],
        ),
        (
            b"event: keepalive\n\ndata: a\n\n",
            [("", "keepalive", ""), ("a", "", "")],
            [("a", "", "")],
        ),
        (
            b"retry: 10\n\ndata: a\n\n",
            [("", "", ""), ("a", "", "")],
            [("a", "", "")],
        ),
        (
            b"id: 1\ndata: a\n\n: ping\n\n\ndata: b\n\n",
            [("a", "", "1"), ("", "", "1"), ("", "", "1"), ("b", "", "1")],
            [("a", "", "1"), ("b", "", "1")],
        ),
    ],
    ids=["bom", "event-only", "retry-only", "blank-after-id"],
)
def test_differences(body: bytes, their_events: Seen, our_events: Seen) -> None:
    """The listed differences are still there, and it is httpx-sse that departs from the text."""
    assert theirs([body]) == their_events
    assert ours([body]) == our_events


def test_unterminated_last_event() -> None:
    """httpx-sse drops an unterminated `[DONE]`; we show it, told apart by `terminated`."""
    body = b"data: a\n\ndata: [DONE]\n"

    events = parse([(body, 0)]).events
    assert theirs([body]) == [("a", "", "")]
    assert [(event.text, event.terminated) for event in events] == [("a", True), ("[DONE]", False)]


def test_bytes_that_are_not_utf8() -> None:
    """httpx-sse replaces bytes that are not UTF-8 without a word; we give the same text, and say where."""
    body = b"data: a\xff\n\n"

    stream = parse([(body, 0)])
    assert theirs([body]) == [("a\ufffd", "", "")]
    assert ours([body]) == [("a\ufffd", "", "")]
    assert [problem.offset for problem in stream.problems] == [7]
