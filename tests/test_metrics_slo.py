"""Objectives: how they are written, and verdicts that are as often wrong as they promise, at most."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from math import comb
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproof.metrics import (
    Histogram,
    Judgement,
    NotMeasured,
    StreamRow,
    Term,
    hopeless,
    judge,
    meets,
    overall,
    parse_term,
    parse_terms,
    slo_report,
    terms_of,
)
from chatproof.metrics.slo import more_needed, weigh
from chatproof.record import Ending

MS = 1_000_000
S = 1_000_000_000
PASS, FAIL, INCONCLUSIVE = Judgement.PASS, Judgement.FAIL, Judgement.INCONCLUSIVE


def row(first_ms: float = 200, ending: Ending = Ending.COMPLETE, **more: Any) -> StreamRow:
    """A stream with its first content after `first_ms`."""
    return StreamRow(
        stream_id="n",
        scenario="steady",
        intended_ns=0,
        started_ns=0,
        first_content_ns=int(first_ms * MS),
        last_content_ns=int(first_ms * MS) + S,
        ended_ns=int(first_ms * MS) + S,
        ending=ending,
        **more,
    )


def run(under: int, over: int) -> list[StreamRow]:
    """A run with so many streams under 800 ms and so many over."""
    return [row(200)] * under + [row(900)] * over


TTFT = parse_term("ttft_p95<800ms")


@pytest.mark.parametrize(
    ("text", "metric", "label", "share", "limit_ns", "strict"),
    [
        ("ttft_p95<800ms", "ttft", "p95", Fraction(95, 100), 800 * MS, True),
        ("itl_p99<=120ms", "itl", "p99", Fraction(99, 100), 120 * MS, False),
        ("e2e_p95 < 12 s", "e2e", "p95", Fraction(95, 100), 12 * S, True),
        ("tpot_p99.9<=1.5us", "tpot", "p99.9", Fraction(999, 1000), 1500, False),
        ("ttft_actual_p999<1s", "ttft_actual", "p999", Fraction(999, 1000), S, True),
        ("complete_fraction>=0.999", "complete_fraction", "", Fraction(999, 1000), 0, False),
    ],
)
def test_a_term_is_read_as_written(
    text: str, metric: str, label: str, share: Fraction, limit_ns: int, strict: bool
) -> None:
    """Metric, percentile, sign, limit and unit of each form that is documented."""
    assert parse_term(text) == Term(text, metric, label, share, limit_ns, strict)


def test_a_target_files_table_is_the_same_terms() -> None:
    """The public keys of `[slo]` give the terms that the option would, with <= and whatever number type."""
    table = {
        "ttft_p95_ms": 800,
        "itl_p99_ms": 120.5,
        "e2e_p95_s": Decimal(12),
        "tpot_p95_ms": "40",
        "complete_fraction": 0.999,
    }
    written = [
        "ttft_p95<=800ms,itl_p99<=120.5ms,e2e_p95<=12s",
        "tpot_p95<=40ms,complete_fraction>=0.999",
    ]

    assert terms_of(table) == parse_terms(written)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tftt_p95<1s", "unknown metric 'tftt'; known are ttft, ttft_actual, "),
        ("ttft<1s", "names no percentile: write ttft_p95"),
        ("ttft_p95<800", "a limit in us, ms or s"),
        ("ttft_p95>800ms", "needs < or <="),
        ("ttft_p95<0ms", "must be above 0"),
        ("ttft_p95<1.2.3s", "'1.2.3' is no number"),
        ("ttft_p0<1s", "is no percentile"),
        ("complete_fraction<0.5", "write it like complete_fraction>=0.999"),
        ("complete_fraction>=1", "no number of streams can show exactly 1"),
        ("complete_fraction>=99.9", "a share between 0 and 1"),
        ("fast please", "write it like ttft_p95<800ms"),
        ("", "write it like ttft_p95<800ms"),
    ],
)
def test_a_term_that_says_nothing_is_refused_in_one_line(text: str, says: str) -> None:
    """The message names the term and what to write instead."""
    with pytest.raises(ValueError, match="SLO") as caught:
        parse_term(text)

    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "table",
    [{"ttft_p95": 800}, {"ttft_p95_ms": True}, {"ttft_p95_ms": [1]}, {"x_p95_ms": 1}, {"ttft_p95_ms": "NaN"}],
)
def test_a_table_that_says_nothing_is_refused(table: dict[str, object]) -> None:
    """Unknown keys and values that are no numbers are errors of the target file."""
    with pytest.raises(ValueError, match=r"SLO|\[slo\]"):
        terms_of(table)


def test_the_verdicts_turn_where_the_binomial_says() -> None:
    """Of 200 streams with 5 % allowed, at most 4 pass and at least 16 fail, by the definition."""
    tail = [
        sum(comb(200, i) * Fraction(1, 20) ** i * Fraction(19, 20) ** (200 - i) for i in range(k + 1))
        for k in range(30)
    ]
    most_pass = max(k for k in range(30) if tail[k] <= Fraction(1, 20))
    least_fail = min(k for k in range(1, 30) if 1 - tail[k - 1] <= Fraction(1, 20))
    verdicts = {k: judge(TTFT, run(200 - k, k)).judgement for k in range(25)}

    assert (most_pass, least_fail) == (4, 16)
    assert verdicts == {
        k: PASS if k <= most_pass else FAIL if k >= least_fail else INCONCLUSIVE for k in range(25)
    }


def test_a_limit_is_over_as_its_sign_says() -> None:
    """A stream exactly at the limit breaks `<` and keeps `<=`."""
    at = [row(800)] * 100

    assert judge(TTFT, at).judgement is FAIL
    assert judge(parse_term("ttft_p95<=800ms"), at).judgement is PASS


def test_unfinished_streams_are_over_every_limit_and_left_ones_are_not_judged() -> None:
    """Cuts with a fast first token still break a TTFT objective; hanging up on purpose does not."""
    cut = [row()] * 80 + [row(ending=Ending.CUT)] * 20
    left = [row()] * 80 + [row(ending=Ending.LEFT)] * 20

    assert judge(TTFT, cut).judgement is FAIL
    assert judge(TTFT, cut).value_reason == "falls among 20 unfinished streams"
    assert (judge(TTFT, left).judgement, judge(TTFT, left).n) == (PASS, 80)


def test_a_part_of_a_stream_is_rounded_to_the_cautious_side() -> None:
    """Gaps can weigh 4.5 streams: not shown to be as few as 4, nor, for 15.5, as many as 16."""
    assert [weigh(over, 200, 0.05) for over in (4.0, 4.5, 15.5, 16.0)] == [
        PASS,
        INCONCLUSIVE,
        INCONCLUSIVE,
        FAIL,
    ]


def test_hanging_up_on_purpose_is_not_incomplete() -> None:
    """`left` streams are neither complete nor broken: the fraction is of the others."""
    found = judge(parse_term("complete_fraction>=0.9"), [row()] * 40 + [row(ending=Ending.LEFT)] * 40)

    assert (found.judgement, found.n, found.value) == (PASS, 40, 1.0)


def test_streams_of_unequal_length_need_more_of_them() -> None:
    """80 streams with 10 or 90 gaps are worth 48; 251 more such are 419 more streams."""
    short, long = (row(gaps=Histogram.of([20 * MS] * n).pack()) for n in (10, 90))
    found = judge(parse_term("itl_p99<120ms"), [short, long] * 40)

    assert (found.n, found.judgement, found.more_streams) == (48, INCONCLUSIVE, 419)


def test_complete_fraction_needs_the_streams_that_show_it() -> None:
    """Without one failure, 2994 streams do not show 99.9 % and 2995 do; 2 of 20 broken show the contrary."""
    term = parse_term("complete_fraction>=0.999")
    short, long = judge(term, [row()] * 2994), judge(term, [row()] * 2995)

    assert (short.judgement, short.more_streams) == (INCONCLUSIVE, 1)
    assert (long.judgement, long.value) == (PASS, 1.0)
    assert judge(term, [row()] * 18 + [row(ending=Ending.RATE_LIMITED)] * 2).judgement is FAIL


def test_every_verdict_says_why_in_one_line() -> None:
    """Seen, allowed, and what is shown or what would decide."""
    assert judge(TTFT, run(100, 0)).reason == (
        "0 of 100 over the limit (0.000%), 5.000% allowed; shown to be at most 2.951%"
    )
    assert judge(TTFT, run(50, 50)).reason == (
        "50 of 100 over the limit (50.000%), 5.000% allowed; shown to be at least 41.362%"
    )
    assert judge(TTFT, run(40, 0)).reason == (
        "0 of 40 over the limit (0.000%), 5.000% allowed; 19 more streams would decide if this share stayed"
    )
    assert judge(TTFT, run(19, 1)).reason == (
        "1 of 20 over the limit (5.000%), 5.000% allowed; no number of streams would decide "
        "if this share stayed"
    )
    assert judge(TTFT, []).reason == "no stream to judge"


@given(st.integers(1, 300), st.integers(0, 300), st.sampled_from([0.5, 0.1, 0.05, 0.01]))
def test_the_streams_that_would_decide_do_decide(n: int, over: int, allowed: float) -> None:
    """So many more at the same share do decide; only at the allowed share itself does no number."""
    over = min(over, n)
    if weigh(over, n, allowed) is not INCONCLUSIVE:
        return
    more = more_needed(over, n, allowed)
    if more is None:
        assert abs(over / n - allowed) < 1e-3
    else:
        assert more > 0
        assert weigh(over * (n + more) / n, n + more, allowed) is not INCONCLUSIVE


def test_a_run_at_the_limit_is_judged_wrongly_as_seldom_as_promised() -> None:
    """If exactly 5 % of streams are slow, PASS and FAIL each come in at most 5 % of 2000 runs, plus 2 sd."""
    random = Random(7)
    verdicts = [weigh(sum(random.random() < 0.05 for _ in range(400)), 400, 0.05) for _ in range(2000)]

    assert verdicts.count(PASS) / 2000 <= 0.06
    assert verdicts.count(FAIL) / 2000 <= 0.06


def test_slow_gaps_that_come_by_the_stream_are_not_taken_for_many() -> None:
    """Where 1 % of streams are slow in every gap, p99 is passed or failed wrongly in at most 6 % of runs.

    Counting the 25 600 gaps of a run as independent would be wrong in most of them.
    """
    random = Random(11)
    term = parse_term("itl_p99<=120ms")
    slow = row(gaps=Histogram.of([200 * MS] * 64).pack())
    fast = row(gaps=Histogram.of([20 * MS] * 64).pack())
    verdicts, naive = [], []
    for _ in range(300):
        bad = sum(random.random() < 0.01 for _ in range(400))
        verdicts.append(judge(term, [slow] * bad + [fast] * (400 - bad)).judgement)
        naive.append(weigh(bad * 64, 400 * 64, 0.01))

    assert max(verdicts.count(PASS), verdicts.count(FAIL)) / 300 <= 0.06
    assert naive.count(INCONCLUSIVE) / 300 < 0.5


def test_gaps_are_judged_on_their_share_over_the_limit() -> None:
    """0.1 % of gaps over the limit, spread over 600 streams, keeps p99; 3 % does not."""
    good = [row(gaps=Histogram.of([20 * MS] * 1000 + [200 * MS]).pack())] * 600
    bad = [row(gaps=Histogram.of([20 * MS] * 97 + [200 * MS] * 3).pack())] * 600
    term = parse_term("itl_p99<120ms")
    kept, broken = judge(term, good), judge(term, bad)

    assert (kept.judgement, kept.n) == (PASS, 600)
    assert kept.value == pytest.approx(0.02, rel=0.005)
    assert broken.judgement is FAIL
    assert broken.over == pytest.approx(18.0)


def test_a_metric_that_nobody_measured_is_a_mistake_of_the_term() -> None:
    """Gaps of unstreamed answers, or reasoning that never came: a named error in one line, not a verdict."""
    sync = [row(stream=False)] * 10
    half = [row()] * 9 + [row(ending=Ending.CUT)]
    unmeasured = [
        ("itl_p99<1s", sync),
        ("ttft_p95<1s", sync),
        ("ttfr_p95<1s", [row()]),
        ("ttfr_p95<1s", half),
    ]

    for text, rows in unmeasured:
        with pytest.raises(NotMeasured, match="no stream of this run has") as caught:
            judge(parse_term(text), rows)
        assert "\n" not in str(caught.value)


def test_a_run_whose_every_stream_failed_fails() -> None:
    """Nothing measured because everything broke is the target's fault; no row at all is nobody's."""
    broken = [row(ending=Ending.HTTP_ERROR)] * 10

    assert [judge(parse_term(text), broken).judgement for text in ("ttft_p95<1s", "itl_p99<1s")] == [
        FAIL,
        FAIL,
    ]
    assert judge(TTFT, []).judgement is INCONCLUSIVE
    assert judge(TTFT, [row(ending=Ending.LEFT)] * 9).judgement is INCONCLUSIVE


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        ((PASS, PASS), PASS),
        ((PASS, INCONCLUSIVE), INCONCLUSIVE),
        ((INCONCLUSIVE, FAIL, PASS), FAIL),
        ((), INCONCLUSIVE),
    ],
)
def test_fail_beats_inconclusive_beats_pass(seen: tuple[Judgement, ...], verdict: Judgement) -> None:
    """The verdict on all terms; no term at all has shown nothing."""
    runs = {PASS: run(200, 0), FAIL: run(0, 200), INCONCLUSIVE: run(10, 0)}

    assert overall([judge(TTFT, runs[each]) for each in seen]) is verdict


def test_hopeless_is_said_only_when_nothing_can_save_the_run() -> None:
    """It is said exactly when a run filled up with good streams would fail."""
    for over in range(25):
        so_far = run(10, over)
        filled = run(200 - over, over)

        assert hopeless(TTFT, so_far, 200) is (judge(TTFT, filled).judgement is FAIL)


def test_gaps_are_never_given_up_early() -> None:
    """What a gap weighs is not known before the streams are, so nothing is hopeless yet."""
    slow = row(gaps=Histogram.of([200 * MS] * 64).pack())

    assert hopeless(parse_term("itl_p99<120ms"), [slow] * 100, 200) is False


def test_one_stream_meets_the_terms_it_has() -> None:
    """A stream is good when complete and under each limit; a metric it does not have does not count."""
    terms = parse_terms(["ttft_p95<800ms,tpot_p95<1ms,complete_fraction>=0.9"])

    assert [meets(terms, one) for one in (row(), row(900), row(ending=Ending.CUT))] == [True, False, False]
    assert meets(terms, row(completion_tokens=2)) is False


def test_the_report_is_plain_json() -> None:
    """The verdicts as the report writes them, without a fraction or an infinity in it."""
    shown = slo_report([judge(TTFT, run(200, 0)), judge(TTFT, run(10, 0))])

    assert json.loads(json.dumps(shown, allow_nan=False)) == shown
    assert shown["verdict"] == "inconclusive"
    assert isinstance(shown["terms"], list)
    assert shown["terms"][0]["value"] == 0.2
