"""The short cut for running text: whatever the bytes and the reads, the fold is what decoding every event gives."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproof.sse import Event
from chatproof.swarm.streams import chunk, ladder, stream
from chatproof.swarm.streams.ladder import Ladder
from chatproof.swarm.streams.stream import StreamFold
from chatproof.swarm.streams.template import Template
from tests.load_server import event, whole_stream

SLOTS = (*Ladder.__slots__, *StreamFold.__slots__)
PUBLIC = [name for name in SLOTS if not name.startswith("_")]
RAW = (
    b'{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m",'
    b'"choices":[{"index":0,"delta":{"content":"%b"}}]}'
)


def raw(text: bytes) -> bytes:
    """An event whose text is put between the quotes as it is."""
    return b"data: " + RAW % text + b"\n\n"


ODD = [
    b"",
    b"\\n",
    b'\\"',
    b"\\\\",
    b"\\",
    b'a","role":"assistant',
    b'a"},"finish_reason":"stop","x":{"y":"',
    b"\\ud83d\\ude00",
    b"\\ud83d",
    b"\\ude00",
    b"\\u0000",
    b"\x01",
    b"\n",
    b"\r",
    b"\t",
    b"\xff",
    "é🌍".encode(),
    b'"}}]}\n\n',
    raw(b"inner")[:-2],
]
TEXTS = st.one_of(st.sampled_from([b" token", b"a", b" b", b"12"]), st.sampled_from(ODD))
PLAIN = st.sampled_from([b" token", b"a", b" b", b"12"]).map(raw)
PIECES = st.lists(
    st.one_of(
        PLAIN,
        PLAIN,
        PLAIN,
        TEXTS.map(raw),
        st.text(max_size=4).map(lambda text: event(text)),
        st.sampled_from(
            [
                raw(b"other").replace(b"c1", b"c2"),
                raw(b"later").replace(b'"created":1,', b'"created":2,'),
                raw(b"late").replace(b"}}]}", b'},"finish_reason":"stop"}]}'),
                raw(b"two").replace(b'"index":0', b'"index":1'),
                raw(b"x").replace(b"\n\n", b"\r\n\r\n"),
                raw(b"x").replace(b"data: ", b"data:"),
                raw(b"x").replace(b"\n\n", b"\n: comment\n\n"),
                raw(b"x").replace(b'"model":', b'"usage":{"total_tokens":1},"model":'),
                b": ping\n\n",
                b'data: {"error":{"code":"x"}}\n\n',
                b"data: [DONE]\n\n",
                b"\n",
            ]
        ),
    ),
    max_size=24,
)


def folded(body: bytes, cuts: Sequence[int], at_event_ends: bool) -> dict[str, Any]:
    """Every public field of the fold of a body, cut at these places, and perhaps after each event as well."""
    ends = {at + 2 for at in range(len(body)) if body.startswith(b"\n\n", at)} if at_event_ends else set()
    places = sorted({0, len(body)} | ends | {cut % (len(body) + 1) for cut in cuts})
    fold = StreamFold()
    for at, (start, end) in enumerate(itertools.pairwise(places)):
        fold.feed(1_000_000 * (at + 1), body[start:end])
    fold.close()
    fields = {name: getattr(fold, name) for name in PUBLIC}
    told = [(read.at_ns, byte) for read in fold.digest for byte in read.data]
    return {**fields, "text": fold.text, "digest": told}


@given(PIECES, st.lists(st.integers(0, 5000), max_size=6), st.booleans())
def test_any_stream(pieces: list[bytes], cuts: list[int], at_event_ends: bool) -> None:
    """Every figure, mark and instant is the same with the short cut and without."""
    body = raw(b"first") + b"".join(pieces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "TEMPLATES", 0)
        decoded = folded(body, cuts, at_event_ends)

    assert folded(body, cuts, at_event_ends) == decoded


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("together", [True, False], ids=["one read", "a read each"])
def test_odd_text_among_running_text(odd: bytes, together: bool) -> None:
    """What is no JSON string, or no text, is never taken for running text."""
    body = b"".join(map(raw, [b"a", b"b", b"c", odd, b"d", b"e"])) + raw(b"f")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "TEMPLATES", 0)
        decoded = folded(body, [], not together)

    assert folded(body, [], not together) == decoded


@pytest.mark.parametrize("reads", ["each", "four", "all"])
def test_running_text_is_not_decoded(reads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a thousand like chunks a handful is decoded, in whatever reads they come; else the short cut is none."""
    decoded: list[bytes] = []

    def decode(data: bytes) -> chunk.Chunk:
        decoded.append(data)
        return chunk.decode(data)

    monkeypatch.setattr(ladder, "decode", decode)
    events = whole_stream(*[" word", "\n", ' "é"', " x"] * 250).split(b"\n\n")[:-1]
    size = {"each": 1, "four": 4, "all": 5000}[reads]
    fold = StreamFold()
    for at in range(0, len(events), size):
        fold.feed(at, b"".join(part + b"\n\n" for part in events[at : at + size]))
    fold.close()

    assert (fold.content_events, fold.text) == (1000, ' word\n "é" x' * 250)
    assert len(decoded) < 40


def test_chunks_that_are_never_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that writes something else into every chunk costs a few tries, not one an event."""
    tried: list[Event] = []
    made = Template.of

    def of(event: Event, found: chunk.Chunk) -> Template | None:
        tried.append(event)
        return made(event, found)

    monkeypatch.setattr(Template, "of", of)
    fold = StreamFold()
    for number in range(500):
        fold.feed(number, raw(b"x").replace(b'"model"', b'"n":%d,"model"' % number))
    fold.close()

    assert fold.content_events == 500
    assert len(tried) == stream.TEMPLATES


def test_the_other_content() -> None:
    """A key of the same name elsewhere in the chunk is not what the text is told by."""
    data = json.dumps(
        {
            "choices": [
                {"index": 0, "logprobs": {"content": "no"}, "delta": {"content": "yes"}},
            ]
        }
    ).encode()

    assert Template.of(Event(data, "", "", 0, 0, len(data) + 8, True), chunk.decode(data)) is None
