"""The formulas over one row, and what a run makes of them: by hand, and on laws whose answer is known."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproof.metrics import (
    METRICS,
    Bunching,
    Histogram,
    Sample,
    StreamRow,
    adjusted,
    bunching,
    clock_of,
    endings,
    figures,
    parse_terms,
    per_second,
    sample,
    spent,
    throughput,
)
from chatproof.metrics.gaps import gap_figure, gap_percentile, gap_sample
from chatproof.metrics.measures import (
    e2e,
    e2e_actual,
    first_token_ns,
    lag,
    tpot,
    ttfb,
    ttfr,
    ttft,
    ttft_actual,
)
from chatproof.metrics.throughput import completion_tokens
from chatproof.record import Ending

MS = 1_000_000
S = 1_000_000_000

LADDER = StreamRow(
    stream_id="n-1",
    scenario="steady",
    intended_ns=1000 * MS,
    started_ns=1005 * MS,
    connected_ns=1006 * MS,
    sent_ns=1007 * MS,
    headers_ns=1050 * MS,
    first_byte_ns=1060 * MS,
    first_event_ns=1060 * MS,
    role_only_ns=1060 * MS,
    first_reasoning_ns=1100 * MS,
    first_content_ns=1200 * MS,
    last_content_ns=2000 * MS,
    finish_ns=2001 * MS,
    usage_ns=2002 * MS,
    done_ns=2003 * MS,
    ended_ns=2004 * MS,
    ending=Ending.COMPLETE,
    status=200,
    clock="kernel",
    prompt_tokens=16,
    completion_tokens=10,
    credits="0.00225",
    content_events=5,
    events=9,
    reads=3,
    zero_gaps=1,
    gaps=Histogram.of([0, 200 * MS, 300 * MS, 300 * MS]).pack(),
)


def row(**changes: Any) -> StreamRow:
    """A plain stream: content from 0.2 s to 1.2 s after its start, 11 tokens."""
    start = changes.get("intended_ns", 0)
    plain = StreamRow(
        stream_id="n",
        scenario="steady",
        intended_ns=start,
        started_ns=start,
        first_byte_ns=start + 190 * MS,
        first_content_ns=start + 200 * MS,
        last_content_ns=start + 1200 * MS,
        ended_ns=start + 1210 * MS,
        ending=Ending.COMPLETE,
        completion_tokens=11,
        content_events=11,
        events=13,
        reads=13,
        gaps=Histogram.of([100 * MS] * 10).pack(),
    )
    return msgspec.structs.replace(plain, **changes)


def test_the_formulas_by_hand() -> None:
    """Each metric is the difference its docstring says; the first reasoning counts in TPOT, not in TTFT."""
    seen = [measure(LADDER) for measure in (ttft, ttft_actual, ttfr, ttfb, e2e, e2e_actual, lag, tpot)]

    assert seen == [200 * MS, 195 * MS, 100 * MS, 60 * MS, 1004 * MS, 999 * MS, 5 * MS, 100 * MS]


def test_what_never_happened_has_no_value() -> None:
    """Without the instant a metric is None, never 0: also TPOT of one token, whose denominator is 0."""
    bare = row(first_byte_ns=None, first_content_ns=None, last_content_ns=None, ended_ns=None)

    assert [measure(bare) for measure in (ttft, ttfr, ttfb, e2e, tpot)] == [None] * 5
    assert first_token_ns(bare) is None
    assert [tpot(row(completion_tokens=tokens)) for tokens in (None, 0, 1, 2)] == [None, None, None, S]


def test_a_role_only_chunk_is_no_first_token() -> None:
    """A stream that sent its role early and nothing else has no TTFT."""
    assert ttft(row(role_only_ns=10 * MS, first_content_ns=None)) is None


def test_a_row_goes_through_json_unchanged() -> None:
    """A row is one JSON object that decodes to the same row; what is at its default is not written."""
    text = msgspec.json.encode(LADDER)

    assert msgspec.json.decode(text, type=StreamRow) == LADDER
    assert "request_id" not in json.loads(text)
    assert json.loads(text)["ending"] == "complete"


ALL_ENDINGS = [row(ending=ending) for ending in Ending]


def test_every_ending_but_complete_and_left_is_infinitely_slow() -> None:
    """A sample holds the complete stream, leaves `left` out, and counts the eleven others against it."""
    assert sample(ALL_ENDINGS, "ttft") == Sample((200 * MS,), unfinished=11, left=1)
    found = gap_sample(ALL_ENDINGS)
    assert (found.streams, found.unfinished, found.left) == (1, 11, 1)


def test_an_unstreamed_answer_has_no_first_token_but_an_end() -> None:
    """Sync rows are outside TTFT, TPOT and gaps whatever their ending, and inside e2e."""
    sync = [
        row(stream=False, first_content_ns=None, gaps=""),
        row(stream=False, ending=Ending.HTTP_ERROR),
    ]

    assert sample(sync, "ttft") == sample(sync, "tpot") == Sample(())
    assert gap_sample(sync).observed is False
    assert sample(sync, "e2e") == Sample((1210 * MS,), unfinished=1)


def test_a_complete_stream_without_content_is_counted_apart() -> None:
    """An empty answer is neither fast nor slow: it stands in `not_applicable`."""
    assert sample([row(), row(first_content_ns=None)], "ttft") == Sample((200 * MS,), not_applicable=1)


def test_endings_are_all_named() -> None:
    """The count has every ending of the vocabulary, those that never happened with 0."""
    assert endings([row(), row(), row(ending=Ending.CUT)]) == {
        **dict.fromkeys((ending.value for ending in Ending), 0),
        "complete": 2,
        "cut": 1,
    }


def test_the_clock_is_the_kernels_only_when_it_always_was() -> None:
    """One row stamped in Python takes the claim away; one that got no bytes does not."""
    kernel, refused = row(clock="kernel"), row(first_byte_ns=None)

    assert [clock_of(rows) for rows in ([kernel], [kernel, refused], [kernel, row()], [])] == [
        "kernel",
        "kernel",
        "user",
        "user",
    ]


def test_credits_add_up_as_decimals() -> None:
    """Ten times 0.1 is 1, a cut stream that was charged counts, complete ones that do not say are told."""
    rows = [row(credits="0.1")] * 10 + [row(), row(ending=Ending.CUT, credits="2"), row(ending=Ending.RESET)]

    assert spent(rows) == (Decimal("3.0"), 1)


def test_gap_percentiles_count_streams_not_gaps() -> None:
    """Ten streams of 1000 gaps carry a p99 but no interval for it; 368 streams carry both."""
    gaps = Histogram.of([20 * MS] * 990 + [90 * MS] * 10).pack()
    few, many = (gap_percentile(gap_sample([row(gaps=gaps)] * n), "p99") for n in (10, 368))

    assert few.value == pytest.approx(20 * MS, rel=0.005)
    assert few.low is None
    assert few.interval_reason == "independent streams = 10: p99 with a 95 % interval needs 368"
    assert many.low == pytest.approx(20 * MS, rel=0.005)
    assert many.high == pytest.approx(90 * MS, rel=0.005)


def test_a_stream_that_holds_most_gaps_is_still_one_observation() -> None:
    """One stream of 900 gaps beside 100 of one gap is worth (sum m)^2 / sum m^2 = 1.2 observations."""
    long = row(gaps=Histogram.of([20 * MS] * 900).pack())
    short = row(gaps=Histogram.of([20 * MS]).pack())

    assert gap_sample([long, *[short] * 100]).independent(adjusted=False) == 1000**2 // (900**2 + 100)
    assert gap_sample([short] * 100).independent(adjusted=False) == 100


def test_unfinished_streams_stand_as_average_streams_of_endless_gaps() -> None:
    """One cut stream beside nine of 10 gaps: 10 infinite gaps of 100, so p90 is finite and p95 is not."""
    found = gap_sample([row()] * 9 + [row(ending=Ending.CUT)])

    assert (found.infinite, found.independent(adjusted=True)) == (10, 10)
    assert gap_percentile(found, "p90", adjusted=True).value == pytest.approx(100 * MS, rel=0.005)
    assert gap_percentile(found, "p95", adjusted=True).reason == "falls among 1 unfinished streams"


def test_the_gap_figure_says_how_many_streams_it_rests_on() -> None:
    """n counts the gaps and `streams` the streams; nothing is infinite, every null has its reason."""
    shown = gap_figure(gap_sample([row()] * 40 + [row(gaps="")]), "user")
    json.dumps(shown, allow_nan=False)

    assert (shown["n"], shown["streams"], shown["not_applicable"]) == (400, 40, 1)
    assert shown["p90_s"] == shown["max_s"] == pytest.approx(0.1, rel=0.005)


def test_every_metric_has_its_figure() -> None:
    """The report's table has one figure per metric, and of nothing it is null with a reason, not an error."""
    shown = figures([])

    assert tuple(shown) == METRICS
    for figure in shown.values():
        json.dumps(figure, allow_nan=False)
        assert (figure["n"], figure["p50_s"]) == (0, None)
        reasons = figure["reasons"]
        assert isinstance(reasons, dict)
        assert reasons["p50_s"] == "n = 0: p50 with a 95 % interval needs 6"


@pytest.mark.parametrize("metric", METRICS)
def test_a_percentile_by_name_is_the_figures_own(metric: str) -> None:
    """`adjusted` and the adjusted figure of the same rows agree for every metric."""
    rows = [row(first_reasoning_ns=100 * MS, intended_ns=i * MS) for i in range(50)]
    figure = figures(rows)[metric]["adjusted"]
    found = adjusted(rows, metric, "p50").value

    assert isinstance(figure, dict)
    assert found is not None
    assert figure["p50_s"] == pytest.approx(found / 1e9)


def total(bins: Iterable[float]) -> Fraction:
    """The sum of some bins, exactly."""
    return sum(map(Fraction, bins), Fraction(0))


def test_tokens_fall_into_the_seconds_in_which_they_came() -> None:
    """11 tokens from 0.2 s to 1.2 s: 80 % in the first second, 20 % in the second, none when it ended."""
    assert per_second([row()], completion_tokens, 0, 3 * S) == pytest.approx((8.8, 2.2, 0.0))


def test_an_answer_at_one_instant_is_in_one_second() -> None:
    """A stream delivered at once, and an unstreamed answer, fall whole into the second of that instant."""
    once = row(last_content_ns=200 * MS)
    sync = row(stream=False, ended_ns=2500 * MS)

    assert per_second([once, sync], completion_tokens, 0, 3 * S) == (11.0, 0.0, 11.0)


def test_what_is_outside_the_window_does_not_count() -> None:
    """A stream that is half before the window adds half of its tokens; one after it adds none."""
    rows = [row(), row(intended_ns=20 * S)]

    assert per_second(rows, completion_tokens, 700 * MS, 2700 * MS) == pytest.approx((5.5, 0.0))
    assert per_second(rows, completion_tokens, 0, 700 * MS) == pytest.approx((5.5,))


@given(
    st.lists(
        st.tuples(st.integers(0, 20 * S), st.integers(0, 20 * S), st.integers(0, 500)),
        max_size=30,
    ),
)
def test_apportioning_loses_no_token(streams: list[tuple[int, int, int]]) -> None:
    """Whatever the streams, the seconds of a window that holds them all add up to their tokens."""
    rows = [
        row(first_content_ns=first, last_content_ns=first + length, completion_tokens=tokens)
        for first, length, tokens in streams
    ]
    bins = per_second(rows, completion_tokens, 0, 41 * S)

    assert float(total(bins)) == pytest.approx(sum(tokens for _, _, tokens in streams), abs=1e-6)


def test_the_throughput_of_a_known_run() -> None:
    """Ten streams of 11 tokens over 20 s: 5.5 tokens/s, half a stream/s; a cut one adds events only."""
    rows = [row(intended_ns=i * S) for i in range(10)] + [row(ending=Ending.CUT, completion_tokens=None)]
    found = throughput(rows, 0, 20 * S, parse_terms(["ttft_p95<=200ms"]))

    assert found.tokens_per_s == pytest.approx(5.5)
    assert found.events_per_s == pytest.approx(121 / 20)
    assert (found.streams_per_s, found.goodput_per_s) == (0.5, 0.5)
    assert (found.approximate_tokens, found.without_tokens) == (0, 1)
    assert found.user_tokens_per_s == {"p50": pytest.approx(10.0), "p90": None, "p95": None, "p99": None}


def test_goodput_counts_only_streams_that_keep_every_limit() -> None:
    """Complete and within all limits: a slow start, slow gaps or a cut each take a stream out."""
    slow_gap = Histogram.of([100 * MS] * 9 + [5 * S]).pack()
    rows = [
        row(),
        row(first_content_ns=900 * MS),
        row(gaps=slow_gap),
        row(ending=Ending.CUT),
        row(completion_tokens=None),
    ]
    terms = parse_terms(["ttft_p95<800ms,itl_p99<=120ms", "tpot_p95<200ms", "complete_fraction>=0.9"])

    assert throughput(rows, 0, 10 * S, terms).goodput_per_s == 0.2


def test_streams_outside_the_window_are_in_no_rate() -> None:
    """A stream that was to start at the end of the window, or before it, is not one of its streams."""
    rows = [row(intended_ns=at * S) for at in (1, 2, 3, 4)]
    found = throughput(rows, 2 * S, 4 * S)

    assert (found.streams_per_s, found.goodput_per_s) == (1.0, 1.0)


def test_a_window_of_no_length_has_no_rates() -> None:
    """A rate over no time is None, never a division by zero."""
    found = throughput([row()], 0, 0)

    assert (found.tokens_per_s, found.goodput_per_s) == (None, None)


def test_bunching_by_hand() -> None:
    """Two streams of 5 events in 3 reads with one gap of 0 each, of which one reported its 10 tokens."""
    approximate = msgspec.structs.replace(LADDER, tokens_approximate=True)

    assert bunching([LADDER, approximate]) == Bunching(2 / 8, 18 / 6, 10 / 5)
    assert bunching([row(ending=Ending.CUT)]) == Bunching(None, None, None)
