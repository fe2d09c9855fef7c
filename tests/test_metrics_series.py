"""Curves of a run: bounded, and right where the answer can be counted by hand."""

from __future__ import annotations

import json

from chatproof.metrics import Histogram, StreamRow
from chatproof.metrics.series import MOST_BINS, MOST_POINTS, distribution, endings, percentiles, series
from chatproof.record import Ending

MS = 1_000_000
S = 1_000_000_000


def row(number: int, start_s: float, ttft_ms: int = 100, ending: Ending = Ending.COMPLETE) -> StreamRow:
    """A stream of three tokens, 10 ms apart."""
    start = round(start_s * S)
    done = ending is Ending.COMPLETE
    return StreamRow(
        stream_id=str(number),
        scenario="steady",
        intended_ns=start,
        started_ns=start,
        first_content_ns=start + ttft_ms * MS if done else None,
        last_content_ns=start + (ttft_ms + 20) * MS if done else None,
        ended_ns=None if ending is Ending.STILL_RUNNING else start + (ttft_ms + 30) * MS,
        ending=ending,
        completion_tokens=3,
        gaps=Histogram.of([10 * MS, 10 * MS]).pack() if done else "",
    )


def test_distribution_ends_below_one_where_streams_are_unfinished() -> None:
    """Of four streams three came, one never: the curve ends at three quarters, and says how many are missing."""
    rows = [row(1, 0, 100), row(2, 0, 300), row(3, 0, 200), row(4, 0, ending=Ending.CUT)]

    assert distribution(rows, "ttft") == {
        "n": 3,
        "unfinished": 1,
        "points": [[0.1, 0.25], [0.2, 0.5], [0.3, 0.75]],
    }


def test_distribution_of_gaps_counts_gaps() -> None:
    """Two streams of three tokens have four gaps."""
    found = distribution([row(1, 0), row(2, 0)], "itl")

    assert found["n"] == 4
    assert found["points"][-1][1] == 1.0
    assert abs(found["points"][0][0] - 0.010) < 0.0001


def test_a_long_run_has_no_more_points_than_a_short_one() -> None:
    """Points and bins are bounded, and the slowest value is always among them."""
    rows = [row(i, i / 10, ttft_ms=i + 1) for i in range(5000)]
    found = series(rows, 500 * S)

    assert len(found["distributions"]["ttft"]["points"]) == MOST_POINTS
    assert found["distributions"]["ttft"]["points"][-1] == [5.0, 1.0]
    assert len(found["percentiles"]["ttft"]) == MOST_BINS
    assert all(len(counts) == MOST_BINS for counts in found["endings"]["counts"].values())
    assert len(json.dumps(found, allow_nan=False)) < 60_000


def test_endings_over_time_count_every_stream_once() -> None:
    """Each stream is in one bin: a late one in the last, one without an end where it began."""
    rows = [
        row(1, 0.2),
        row(2, 1.5, ending=Ending.CUT),
        row(3, 2.5, ttft_ms=9000),
        row(4, 0.5, ending=Ending.STILL_RUNNING),
    ]

    assert endings(rows, 3 * S) == {
        "bin_s": 1.0,
        "counts": {"complete": [1, 0, 1], "cut": [0, 1, 0], "still_running": [1, 0, 0]},
    }


def test_percentiles_over_time_have_their_streams_and_intervals() -> None:
    """A bin says how many streams it stands on; a percentile that these cannot carry is null."""
    rows = [row(i, i / 100, ttft_ms=100 + i % 7) for i in range(300)]
    found = percentiles(rows, 3 * S)["ttft"]
    few = percentiles(rows[:2], 3 * S)["ttft"]

    assert [(point["at_s"], point["streams"]) for point in found] == [(0.5, 100), (1.5, 100), (2.5, 100)]
    assert all(low <= value <= high for value, low, high in (point["p50"] for point in found))
    assert few[0]["p95"] == [None, None, None]


def test_a_run_of_nothing_has_empty_curves() -> None:
    """No rows: no points, no division by nothing."""
    found = series((), 0)

    assert found["distributions"]["ttft"] == {"n": 0, "unfinished": 0, "points": []}
    assert found["endings"]["counts"] == {}
