"""The fold sees what conformance sees: same first content, counts, ending and verdicts, however bytes are split."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from gevent.pool import Pool
from hypothesis import given, settings
from hypothesis import strategies as st

from chatproof.answer import Answer
from chatproof.record import Ending, Exchange, Read, Request, Tag, Transfer
from chatproof.reference import Reference, embedded, target_text
from chatproof.reference.faults import FAULTS
from chatproof.reference.variations import VARIATIONS
from chatproof.run import terms_of
from chatproof.swarm.asking.ask import Ask, Asker, Workload
from chatproof.swarm.client.endpoint import Endpoint
from chatproof.swarm.client.engine import Channel, Engine
from chatproof.swarm.client.trip import Limits, Trip
from chatproof.swarm.streams.kept import IN_EVERY, exchange_of
from chatproof.swarm.streams.row import Collector, Origin, row_of
from chatproof.swarm.streams.stream import StreamFold
from chatproof.target import Target, parse_target, read_contract
from tests.load_server import event, whole_stream

STREAM = {
    "model": "m",
    "messages": [],
    "stream": True,
    "max_tokens": 64,
    "stream_options": {"include_usage": True},
}


def folded(body: bytes, cuts: Sequence[int] = (), **made: int) -> StreamFold:
    """The fold of a body that came in reads cut at these places, a millisecond apart."""
    fold = StreamFold(**made)
    places = [0, *sorted({cut % (len(body) + 1) for cut in cuts}), len(body)]
    for at, (start, end) in enumerate(itertools.pairwise(places)):
        if end > start:
            fold.feed(1_000_000 * (at + 1), body[start:end])
    fold.close()
    return fold


def answered(body: bytes, cuts: Sequence[int] = ()) -> Answer:
    """The same body as conformance records it."""
    places = [0, *sorted({cut % (len(body) + 1) for cut in cuts}), len(body)]
    reads = tuple(
        Read(1_000_000 * (at + 1), body[start:end])
        for at, (start, end) in enumerate(itertools.pairwise(places))
        if end > start
    )
    asked = Request(method="POST", url="http://t/v1/chat/completions", body=json.dumps(STREAM).encode())
    return Answer(
        Exchange(
            tag=Tag("t", "1"),
            request=asked,
            wall_ns=0,
            started_ns=0,
            ended_ns=1,
            status=200,
            headers=(("Content-Type", "text/event-stream"),),
            reads=reads,
            transfer=Transfer.WHOLE,
        )
    )


USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
PIECES = st.lists(
    st.sampled_from(
        [
            event("a"),
            event("ü🌍"),
            event(""),
            event(),
            event(None, role="assistant"),
            event(finish="stop"),
            event("late", finish="length"),
            event(usage=USAGE),
            event(usage=None),
            b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n',
            b'data: {"choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n',
            b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n',
            b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}\n\n',
            b'data: {"choices":[{"index":1,"delta":{"content":"second"}}]}\n\n',
            b'data: {"choices":[{"index":"0","delta":{"content":7}}]}\n\n',
            b'data: {"choices":[{"index":0.5,"delta":{"content":"odd"},"finish_reason":5}]}\n\n',
            b'data: {"choices":[{"delta":null}]}\n\n',
            b'data: {"choices":{"0":1},"id":9,"created":"now"}\n\n',
            b'data: {"choices":[{"index":0,"delta":{"content":"\\ud800"}}]}\n\n',
            b'data: {"error":{"code":"rate_limited","message":"m","retryable":true}}\n\n',
            b'data: {"error":"text"}\n\n',
            b"data: [1]\n\n",
            b"data: null\n\n",
            b"data: {broken\n\n",
            b"data: [DONE]\n\n",
            b"data:[DONE] \n\n",
            b": comment\n\n",
            b"event: x\nid: 1\n\n",
            b'data: {"choices":\ndata: [{"index":0,"delta":{"content":"two lines"}}]}\n\n',
            b'data: {"choices":[{"index":0,"delta":{"content":"crlf"}}]}\r\n\r\n',
        ]
    ),
    max_size=12,
)
CUTS = st.lists(st.integers(0, 5000), max_size=8)


@settings(max_examples=250, deadline=None)
@given(PIECES, CUTS, st.sampled_from([b"", b"data: [DONE]\n\n", b"data: [DONE]", b'data: {"choi']))
def test_the_fold_reads_what_conformance_reads(pieces: list[bytes], cuts: list[int], last: bytes) -> None:
    """Instants, counts and usage are those of the whole-body reading, whatever comes in whatever reads."""
    body = b"".join(pieces) + last
    fold, answer = folded(body, cuts), answered(body, cuts)

    moments = list(dict.fromkeys(id(piece.chunk) for piece in answer.content))
    times = {id(piece.chunk): piece.chunk.event.at_ns for piece in answer.content}
    contents = [times[moment] for moment in moments]
    assert fold.first_content_ns == (contents[0] if contents else None)
    assert fold.last_content_ns == (contents[-1] if contents else None)
    assert fold.content_events == len(contents)
    assert fold.events == len(answer.stream.events)
    assert fold.dones == len(answer.dones)
    assert fold.finishes == len(answer.finishes)
    assert fold.usage == answer.usage
    assert fold.error == (answer.stream_error.error if answer.stream_error else None)
    assert fold.bad_events == sum(not isinstance(chunk.value, dict) for chunk in answer.chunks)
    gaps = [b - a for a, b in itertools.pairwise(contents)]
    assert fold.zero_gaps == sum(gap <= 0 for gap in gaps)
    assert fold.gaps.total == len(gaps)


def test_a_role_is_never_a_first_token() -> None:
    """Chunks with a role, empty content or reasoning come before the first content and are told apart."""
    body = (
        b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
        b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}\n\n' + event("Hi")
    )
    fold = folded(body, [body.index(b"\n\n") + 2, body.index(b"hm") + 10])

    assert fold.role_only_ns is not None
    assert fold.first_reasoning_ns is not None
    assert fold.first_content_ns is not None
    assert fold.role_only_ns < fold.first_reasoning_ns <= fold.first_content_ns


def test_text_of_any_length_leaves_only_a_digest() -> None:
    """Ten thousand tokens leave the same few marks as two, so memory does not grow with the answer."""
    short, long = folded(whole_stream("a", "b")), folded(whole_stream(*"ab" * 5000), range(0, 10**6, 4096))

    assert [mark.data for mark in long.marks] == [mark.data for mark in short.marks]
    assert long.marks_whole
    assert (long.content_events, long.gaps.total) == (10_000, 9_999)
    assert not long.kept


def test_raw_bytes_are_kept_only_up_to_the_cap() -> None:
    """A sampled stream that is longer than the cap says that it is not whole."""
    body = whole_stream("a", "b")

    assert b"".join(read.data for read in folded(body, [40], keep_bytes=len(body)).kept) == body
    assert folded(body, [40], keep_bytes=len(body)).kept_whole
    assert not folded(body, [40], keep_bytes=len(body) - 1).kept_whole


# --- the same exchange, judged both ways, for every fault and variation of the reference ---------------------


@pytest.fixture(scope="module")
def reference() -> Iterator[Reference]:
    """A reference for all tests of this module."""
    with embedded() as running:
        yield running


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """An engine that gives up soon: some faults never end."""
    made = Engine(Limits(first_byte_s=0.6, silence_s=0.6, whole_s=3))
    yield made
    made.close()


@pytest.fixture(scope="module")
def target(reference: Reference) -> Target:
    """The reference as a target."""
    return parse_target(target_text(reference.base_url), name="t", beside=Path(), env={})


def asked(
    engine: Engine, base_url: str, key: str, workload: Workload, name: str
) -> tuple[Ask, Trip, Collector]:
    """One exchange of the load engine, its raw bytes kept."""
    endpoint = Endpoint.of(base_url)
    asker = Asker(endpoint, "MiniMax-M2.7", (("Authorization", f"Bearer {key}"),), (), seed=5)
    ask = asker.ask(name, workload)
    sink = Collector(StreamFold(keep_bytes=1 << 20) if workload.stream else None)
    channel = Channel(engine, endpoint)
    trip = channel.post(ask.wire, sink)
    channel.close()
    if sink.fold is not None:
        sink.fold.close()
    return ask, trip, sink


WORLDS = [*FAULTS, *VARIATIONS]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "sync"])
def test_load_and_conformance_agree_on_every_fault_and_variation(
    reference: Reference, engine: Engine, target: Target, stream: bool
) -> None:
    """Ending and cheap verdicts worked out from the fold are those of the whole exchange, fault by fault."""
    terms = terms_of(target, read_contract())
    workload = Workload("w", 20, 16, stream)
    origin = Origin("t", "w0", "m", 0, 0)
    different: list[tuple[object, ...]] = []
    endings = set()

    def one(name: str) -> tuple[Ask, Trip, Collector]:
        return asked(engine, reference.base_url_of(name), target.api_key, workload, f"t-{name}")

    pool = Pool(24)  # some worlds never answer: they must not wait for each other
    for name, (ask, trip, sink) in zip(WORLDS, pool.map(one, WORLDS), strict=True):
        fold = sink.fold
        whole = tuple(fold.kept) if fold is not None else tuple(sink.reads)
        full = Answer(exchange_of(ask, trip, "http://t/v1/chat/completions", time.time_ns(), whole))
        row = row_of(ask, origin, trip, sink)
        endings.add(row.ending)
        if row.ending != full.ending:
            different.append((name, "ending", row.ending, full.ending))
        if fold is None or not fold.marks_whole or trip.status is None or trip.status >= 400:
            continue
        brief = Answer(exchange_of(ask, trip, "http://t/v1/chat/completions", time.time_ns(), fold.digest))
        different += [
            (name, fact.clause, bool(list(fact.judge(brief, terms))), bool(list(fact.judge(full, terms))))
            for fact in IN_EVERY
            if fact.of(full) != fact.of(brief)
            or (fact.of(full) and bool(list(fact.judge(brief, terms))) != bool(list(fact.judge(full, terms))))
        ]

    assert not different
    assert endings >= {Ending.COMPLETE, Ending.MALFORMED, *([Ending.CUT] if stream else [])}
