"""`exchanges.har`: valid HAR 1.2, and the same exchanges when it is read back."""

from __future__ import annotations

import json
import string
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproof import har
from chatproof.answer import Answer
from chatproof.record import Exchange, Read, Request, Tag, Transfer
from tests.judged import stream

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
LATIN = st.text(st.characters(max_codepoint=255), max_size=12)
NAME = st.text(string.ascii_letters + "-", min_size=1, max_size=12)
HEADERS = st.lists(st.tuples(NAME, LATIN), max_size=4).map(tuple)
NS = st.integers(min_value=0, max_value=2**62)
INSTANT = st.none() | NS
READS = st.lists(st.builds(Read, NS, st.binary(max_size=20)), max_size=6).map(tuple)
EXCHANGES = st.builds(
    Exchange,
    tag=st.builds(Tag, TEXT, TEXT, st.integers(1, 9)),
    request=st.builds(
        Request,
        method=st.sampled_from(["GET", "POST"]),
        url=TEXT.map(lambda text: f"http://127.0.0.1/{text}"),
        headers=HEADERS,
        body=st.binary(max_size=40),
    ),
    wall_ns=st.integers(0, 4_000_000_000_000_000_000),
    started_ns=NS,
    connected_ns=INSTANT,
    sent_ns=INSTANT,
    headers_ns=INSTANT,
    ended_ns=NS,
    reused=st.booleans(),
    http_version=st.sampled_from(["", "HTTP/1.1"]),
    status=st.none() | st.integers(100, 599),
    headers=HEADERS,
    reads=READS,
    transfer=st.sampled_from(Transfer),
    detail=TEXT,
    lateness_ns=NS,
)

REQUIRED: dict[str, set[str]] = {
    "entry": {"startedDateTime", "time", "request", "response", "cache", "timings"},
    "request": {
        "method",
        "url",
        "httpVersion",
        "cookies",
        "headers",
        "queryString",
        "headersSize",
        "bodySize",
    },
    "response": {
        "status",
        "statusText",
        "httpVersion",
        "cookies",
        "headers",
        "content",
        "redirectURL",
        "headersSize",
        "bodySize",
    },
    "timings": {"send", "wait", "receive"},
}


def entry(exchange: Exchange, cap: int = har.CAP) -> dict[str, Any]:
    """The entry of one exchange, as a reader of the file gets it."""
    read: dict[str, Any] = json.loads(har.dumps(har.to_har([exchange], cap=cap)))["log"]["entries"][0]
    return read


@given(st.lists(EXCHANGES, max_size=3))
def test_any_exchange_comes_back_as_it_was(exchanges: list[Exchange]) -> None:
    """Whatever was recorded - bytes that are no text, split characters, empty reads - is rebuilt exactly."""

    assert har.loads(har.dumps(har.to_har(exchanges))) == tuple(exchanges)


def test_lone_surrogates_come_back_too() -> None:
    """A text that UTF-8 cannot hold does not keep a recording from being written."""
    odd = Exchange(
        tag=Tag("p", "\udcff"),
        request=Request(method="GET", url="http://127.0.0.1/\ud800"),
        wall_ns=0,
        started_ns=0,
        ended_ns=1,
        transfer=Transfer.REFUSED,
    )

    assert har.loads(har.dumps(har.to_har([odd]))) == (odd,)


@given(EXCHANGES)
def test_every_member_that_har_demands_is_there(exchange: Exchange) -> None:
    """Entry, request, response and timings have what the HAR 1.2 text calls required, with times that are times."""
    found = entry(exchange)

    assert REQUIRED["entry"] <= found.keys()
    assert REQUIRED["request"] <= found["request"].keys()
    assert REQUIRED["response"] <= found["response"].keys()
    assert REQUIRED["timings"] <= found["timings"].keys()
    assert all(found["timings"][name] >= 0 for name in REQUIRED["timings"])
    assert datetime.fromisoformat(found["startedDateTime"]).tzinfo is not None
    assert all(name.startswith("_") for name in found.keys() - REQUIRED["entry"])


def test_times_of_a_stream_are_those_that_were_measured() -> None:
    """Send, wait and receive are the spans between the instants, and each read stands with its own."""
    found = entry(stream())

    assert found["time"] == 30.0
    assert found["timings"] == {
        "blocked": -1,
        "dns": -1,
        "connect": 0.1,
        "ssl": -1,
        "send": 0.1,
        "wait": 11.8,
        "receive": 18.0,
    }
    assert found["_reads"] == [[12_000_000, 30], [20_000_000, 4], [30_000_000, 4]]


def test_body_beyond_the_cap_is_cut_and_marked() -> None:
    """What a cap took away is said in the file, and the exchange that comes back was stopped at a limit."""
    found = entry(stream(), cap=31)
    (back,) = har.from_har({"log": {"entries": [found]}})

    assert found["_capped"] == "the first 31 of 38 bytes of the body are kept"
    assert back.body == stream().body[:31]
    assert [len(read.data) for read in back.reads] == [30, 1]
    assert (back.transfer, back.detail) == (Transfer.CAPPED, found["_capped"])
    assert not Answer(back).whole


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xff", "not a HAR file: "),
        (b"<html>", "not a HAR file: "),
        (b"[]", "not a HAR file: it has no log with entries"),
        (
            b'{"log":{"entries":[{"request":{}}]}}',
            "entry 0 is no recording of chatproof's: KeyError: 'response'",
        ),
    ],
)
def test_other_files_are_refused_in_one_line(data: bytes, said: str) -> None:
    """A file that is no recording of ours says what is wrong with it."""
    with pytest.raises(har.HarError) as told:
        har.loads(data)

    assert str(told.value).startswith(said)
    assert "\n" not in str(told.value)
