"""The pure parts of the benchmarks: how a row is made, what the sink without decoding sees, how alarms are counted."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.clients.stamps import Stamps
from benchmarks.false_alarms import table
from benchmarks.row import Row, Told, Work, better, row_of
from benchmarks.source import Log, Sent
from chatproof.metrics import Change
from chatproof.swarm.streams.stream import StreamFold

FAST = Work("fast", "/fast/2", 2, 1)
PACED = Work("paced 2", "/paced/200/20000/2", 2, 1, 0.22)
SECOND = 1_000_000_000
BODY = b"".join(
    b'data: {"choices":[{"index":0,"delta":%s,"finish_reason":null}]}\n\n' % delta
    for delta in (b'{"role":"assistant"}', b'{"content":"a"}', b'{"content":"b"}', b'{"content":"c"}')
)
WHOLE = BODY + b"data: [DONE]\n\n"


def _log(lag_p99_ms: float = 0.0) -> Log:
    sent = (
        Sent("ahead", 1 * SECOND, 2 * SECOND, 3 * SECOND, 300, True),
        Sent("a", 10 * SECOND, 11 * SECOND, 12 * SECOND, 300, True),
        Sent("b", 10 * SECOND, 12 * SECOND, 13 * SECOND, 300, True),
    )
    return Log(sent, lag_p99_ms, busy_ns=SECOND)


def _told(ended_ns: int = 14 * SECOND) -> Told:
    return Told(
        ended_ns,
        {"a": 11 * SECOND + 2_000_000, "b": 12 * SECOND + 2_000_000, "unknown": 0},
        2,
        2,
        50.0,
        launched_ns=7 * SECOND,
    )


def _row(work: Work, events_per_s: float, lag_p99_ms: float) -> Row:
    return Row("x", work, events_per_s, "2/2", None, None, 1, None, lag_p99_ms, 0.5)


def test_a_rate_is_what_the_server_sent_from_the_first_request_to_the_last_end_that_was_read() -> None:
    """600 events from second 10, when the first request came that the client counts, to second 14."""
    row = row_of("x", FAST, _told(), _log())

    assert row.events_per_s == 150
    assert row.ready_s == 3
    assert row.server_busy == 0.25


def test_a_client_cannot_have_ended_before_the_server_sent_its_last() -> None:
    """A client that forgets its last stream gets the server's instant."""
    row = row_of("x", FAST, _told(ended_ns=11 * SECOND), _log())

    assert row.events_per_s == 200


def test_an_error_is_the_clients_instant_less_the_servers_of_the_same_stream() -> None:
    """A stream that the server's log does not know has no error."""
    row = row_of("x", PACED, _told(), _log())

    assert (row.error_p50_ms, row.error_p99_ms) == (2.0, 2.0)


def test_a_late_server_marks_its_row() -> None:
    """2 ms is the limit."""
    assert [_row(PACED, 1, lag).cells[-2] for lag in (2.0, 2.1)] == ["2.00", "2.10 (!)"]


def test_of_saturating_tries_the_fastest_counts_and_of_paced_ones_the_one_with_the_punctual_server() -> None:
    """Whatever else the machine did meanwhile made a run slower or the server later, never the opposite."""
    slow, late = _row(FAST, 1, 0.0), _row(FAST, 2, 9.0)

    assert better(slow, late) is late
    assert better(_row(PACED, 1, 0.5), _row(PACED, 2, 9.0)).lag_p99_ms == 0.5
    assert better(_row(PACED, 1, 9.0), _row(PACED, 2, 0.5)).lag_p99_ms == 0.5


@given(st.lists(st.integers(0, len(WHOLE)), max_size=12), st.booleans())
def test_the_sink_that_only_stamps_sees_what_the_engines_own_sees(cuts: list[int], whole: bool) -> None:
    """However the body is cut into reads: as many events, the same first content, the same ending."""
    body = WHOLE if whole else BODY
    edges = sorted({0, *(min(cut, len(body)) for cut in cuts), len(body)})
    ours, its = StreamFold(), Stamps()
    for number, (start, end) in enumerate(itertools.pairwise(edges)):
        ours.feed(number, body[start:end])
        its.feed(number, body[start:end])
    ours.close()
    its.close()

    assert (its.events, its.first_content_ns, its.dones) == (ours.events, ours.first_content_ns, ours.dones)


def test_alarms_are_counted_by_figure_and_by_comparison() -> None:
    """Two comparisons, one with one figure called slower: one half, between 1.3 % and 98.7 % (Clopper-Pearson)."""
    found = [
        {"ttft p50": Change.SLOWER, "e2e p50": Change.SAME},
        {"ttft p50": Change.INCONCLUSIVE, "e2e p50": Change.SAME},
        {},
    ]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table(found).splitlines()[2:]]

    assert rows == [
        ["ttft p50", "2", "1", "0", "0", "1", "50.0% (1.3% to 98.7%)"],
        ["e2e p50", "2", "0", "0", "2", "0", "0.0% (0.0% to 84.2%)"],
        ["any of them", "2", "1", "-", "-", "-", "50.0% (1.3% to 98.7%)"],
    ]
