"""Comparison and drift: exact tests against brute force, and false alarms counted where nothing differs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, permutations, product
from math import exp, log
from random import Random
from statistics import median

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproof.metrics import (
    Change,
    Histogram,
    StreamRow,
    Trend,
    compare_pairs,
    compare_ratios,
    compare_runs,
    drift,
    false_alarms,
    over_time,
)
from chatproof.record import Ending

MS = 1_000_000
S = 1_000_000_000
RATIOS = st.floats(0.2, 5.0)


def pairs_of(ratios: Sequence[float]) -> list[tuple[float, float]]:
    """Pairs whose A is always 1."""
    return [(1.0, ratio) for ratio in ratios]


def run(random: Random, n: int, scale: float = 1.0, ending: Ending = Ending.COMPLETE) -> list[StreamRow]:
    """A run of n streams, one every 10 ms, with a skewed TTFT around 200 ms times `scale`."""
    return [
        StreamRow(
            stream_id=str(i),
            scenario="steady",
            intended_ns=i * 10 * MS,
            started_ns=i * 10 * MS,
            first_content_ns=i * 10 * MS + int(200 * MS * scale * random.lognormvariate(0, 0.3)),
            ending=ending,
        )
        for i in range(n)
    ]


@given(st.lists(RATIOS, min_size=6, max_size=9))
def test_the_p_value_is_that_of_all_sign_patterns(ratios: list[float]) -> None:
    """p is the share of the 2**n sign patterns that are at least as far from 0, by enumerating them."""
    logs = [log(ratio) for ratio in ratios]
    seen = abs(sum(logs))
    sums = [
        sum(s * d for s, d in zip(signs, logs, strict=True)) for signs in product((1, -1), repeat=len(logs))
    ]

    assert compare_ratios(pairs_of(ratios)).p == sum(abs(each) >= seen - 1e-12 for each in sums) / len(sums)


@given(st.lists(RATIOS, min_size=6, max_size=8))
def test_the_interval_ends_where_the_test_begins_to_refuse(ratios: list[float]) -> None:
    """Just inside the interval a sign-flip test at 5 % does not refuse the ratio, just outside it does."""
    found = compare_ratios(pairs_of(ratios))
    assert found.low is not None
    assert found.high is not None
    logs = [log(ratio) for ratio in ratios]

    def refused(truth: float) -> bool:
        """Whether either tail of the sums under all sign patterns is at most 2.5 %."""
        rest = [d - truth for d in logs]
        sums = [
            sum(s * d for s, d in zip(signs, rest, strict=True))
            for signs in product((1, -1), repeat=len(rest))
        ]
        above = sum(each >= sum(rest) - 1e-12 for each in sums) / len(sums)
        below = sum(each <= sum(rest) + 1e-12 for each in sums) / len(sums)
        return min(above, below) <= 0.025

    assert refused(log(found.low) - 1e-6)
    assert refused(log(found.high) + 1e-6)
    if found.high > found.low * exp(4e-6):
        assert not refused(log(found.low) + 1e-6)
        assert not refused(log(found.high) - 1e-6)


def test_six_pairs_give_their_own_range() -> None:
    """With 6 pairs the interval is from the least to the greatest ratio, and its p is 2 of 64."""
    found = compare_ratios(pairs_of([1.2, 1.3, 1.25, 1.22, 1.4, 1.15]))

    assert (found.change, found.pairs) == (Change.SLOWER, 6)
    assert found.low == pytest.approx(1.15)
    assert found.high == pytest.approx(1.4)
    assert found.p == 2 / 64


@pytest.mark.parametrize(
    ("ratios", "change"),
    [
        ([1.2, 1.3, 1.25, 1.22, 1.4, 1.15], Change.SLOWER),
        ([1 / 1.2, 1 / 1.3, 1 / 1.25, 1 / 1.22, 1 / 1.4, 1 / 1.15], Change.FASTER),
        ([1.01, 0.99, 1.02, 1.0, 0.98, 1.01], Change.SAME),
        ([1.04, 1.05, 1.03, 1.06, 1.05, 1.04], Change.SAME),
        ([1.05, 1.08, 1.06, 1.12, 1.07, 1.06], Change.INCONCLUSIVE),
        ([1 / 1.05, 1 / 1.08, 1 / 1.06, 1 / 1.12, 1 / 1.07, 1 / 1.06], Change.INCONCLUSIVE),
        ([1.5, 0.7, 1.3, 0.9, 1.2, 1.1], Change.INCONCLUSIVE),
    ],
)
def test_the_verdicts_by_interval_and_floor(ratios: list[float], change: Change) -> None:
    """Slower needs the whole interval above 1 and the floor reached; a real but small effect is the same."""
    assert compare_ratios(pairs_of(ratios)).change is change


def test_five_pairs_decide_nothing() -> None:
    """However large the effect, five pairs have no 95 % interval."""
    found = compare_ratios(pairs_of([9.0] * 5))

    assert (found.change, found.reasons) == (Change.INCONCLUSIVE, ("5 pairs; 6 are needed",))


def test_many_pairs_are_drawn_with_a_fixed_seed() -> None:
    """Above 16 pairs the same pairs give the same answer, close to that of the first 16 enumerated."""
    random = Random(5)
    ratios = [random.lognormvariate(0.2, 0.1) for _ in range(40)]
    found = compare_ratios(pairs_of(ratios))

    assert found == compare_ratios(pairs_of(ratios))
    assert found.change is Change.SLOWER
    assert found.low is not None
    assert found.high is not None
    assert found.low < exp(sum(map(log, ratios)) / 40) < found.high
    assert found.high / found.low == pytest.approx(exp(2 * 1.96 * 0.1 / 40**0.5), rel=0.03)


@pytest.mark.parametrize(
    ("spread", "floor"), [(0.05, 1.10), (0.3, 1.10), (1.0, 1.10), (0.05, 1.0), (0.3, 1.0)]
)
def test_a_against_a_is_seldom_called_slower(spread: float, floor: float) -> None:
    """Of 1500 comparisons of 6 alike pairs at most 2.5 % + 2 sd are alarms, at any noise, floor or none."""
    rate = false_alarms(
        lambda random: random.lognormvariate(0, spread), pairs=6, rounds=1500, seed=3, floor=floor
    )

    assert rate <= 0.033


def test_a_heavy_tail_does_not_raise_false_alarms() -> None:
    """Percentiles that are now and then ten times as large are no alarm: signs are even whatever the law."""
    rate = false_alarms(lambda random: random.paretovariate(0.8), pairs=8, rounds=600, seed=4, floor=1.0)

    assert rate <= 0.038


def test_a_quarter_slower_is_found() -> None:
    """The test can see: with 5 % noise, 1.25 times slower is called in at least 95 % of 200 comparisons."""
    random = Random(6)
    found = [
        compare_ratios(
            [(random.lognormvariate(0, 0.05), random.lognormvariate(log(1.25), 0.05)) for _ in range(8)]
        )
        for _ in range(200)
    ]

    assert sum(each.change is Change.SLOWER for each in found) >= 190


def test_interleaved_runs_compare_in_their_percentile() -> None:
    """Six pairs of runs, B 1.5 times slower: slower, and the ratio is 1.5 within the noise."""
    random = Random(8)
    pairs = [(run(random, 200), run(random, 200, 1.5)) for _ in range(6)]
    found = compare_pairs(pairs, "ttft", "p50")

    assert found.change is Change.SLOWER
    assert found.ratio == pytest.approx(1.5, rel=0.06)


def test_a_pair_without_a_percentile_cannot_be_compared() -> None:
    """A half-broken run has no adjusted percentile, and the reason names pair and side."""
    random = Random(9)
    pairs = [(run(random, 100), run(random, 100)) for _ in range(5)]
    pairs.append((run(random, 100), run(random, 40) + run(random, 60, ending=Ending.CUT)))

    assert compare_pairs(pairs, "ttft", "p50").reasons == (
        "pair 6, B: ttft p50: falls among 60 unfinished streams",
    )
    assert compare_pairs(pairs, "ttft", "p50").change is Change.CANNOT_COMPARE


def test_a_figure_of_nought_cannot_be_compared() -> None:
    """A ratio to 0 says nothing, and is no error."""
    found = compare_ratios([(1.0, 1.0)] * 5 + [(0.0, 1.0)])

    assert (found.change, found.reasons) == (Change.CANNOT_COMPARE, ("a figure is not above 0",))


PRINT = {"machine": "a", "tool": "1", "scenario": "steady", "seed": "7", "settings": "x"}


def test_runs_with_other_fingerprints_cannot_be_compared() -> None:
    """Each key that differs or was not recorded is named, with both values."""
    other = {**PRINT, "machine": "b"}
    del other["seed"]
    found = compare_runs([], [], PRINT, other, "ttft", "p50")

    assert found.change is Change.CANNOT_COMPARE
    assert found.reasons == ("machine: a against b", "seed: 7 against not recorded")


def test_recorded_runs_compare_block_by_block() -> None:
    """1200 streams a run make twelve blocks; alike runs are the same, one 1.4 times slower is slower."""
    random = Random(10)
    a, alike, slow = run(random, 1200), run(random, 1200), run(random, 1200, 1.4)

    assert compare_runs(a, alike, PRINT, PRINT, "ttft", "p50").change is Change.SAME
    found = compare_runs(a, slow, PRINT, PRINT, "ttft", "p90")
    assert (found.change, found.pairs) == (Change.SLOWER, 12)
    assert compare_runs(random.sample(a, 1200), slow, PRINT, PRINT, "ttft", "p90") == found


def test_recorded_runs_compare_in_their_gaps() -> None:
    """Gaps 1.3 times as long in every stream are slower; rows without gaps do not count."""

    def gapped(ms: int) -> list[StreamRow]:
        gaps = Histogram.of([ms * MS] * 50).pack()
        rows = run(Random(16), 60)
        return [msgspec.structs.replace(row, gaps=gaps if i % 2 else "") for i, row in enumerate(rows)]

    found = compare_runs(gapped(20), gapped(26), PRINT, PRINT, "itl", "p95")

    assert (found.change, found.pairs) == (Change.SLOWER, 12)
    assert found.ratio == pytest.approx(1.3, rel=0.01)


def test_a_recorded_run_that_is_too_short_says_what_it_needs() -> None:
    """Six blocks of p95 need 432 streams each."""
    random = Random(12)
    found = compare_runs(run(random, 431), run(random, 900), PRINT, PRINT, "ttft", "p95")

    assert (found.change, found.pairs) == (Change.INCONCLUSIVE, 5)
    assert found.reasons == ("each run needs 432 observations of ttft for 6 blocks",)


def test_the_slope_is_the_median_of_all_slopes() -> None:
    """Theil and Sen's line through a series with one wild point, against its definition."""
    points = [(float(x), 100.0 + 2 * x) for x in range(12)]
    points[5] = (5.0, 9000.0)
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2)]
    found = drift(points)

    assert found.per_hour == pytest.approx(median(slopes) * 3600)
    assert found.per_hour == pytest.approx(2 * 3600)
    assert found.trend is Trend.RISING


@pytest.mark.parametrize(("n", "skip"), [(5, 1), (6, 2), (7, 4), (8, 6)])
def test_the_slopes_interval_is_that_of_all_orders(n: int, skip: int) -> None:
    """The interval leaves out as many slopes as at most 2.5 % of all orders have falling pairs, and no more."""
    random = Random(17)
    points = [(float(x), random.gauss(50, 20)) for x in range(n)]
    slopes = sorted((b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2))
    falls = [sum(a > b for a, b in combinations(order, 2)) for order in permutations(range(n))]
    found = drift(points)

    assert sum(fall < skip for fall in falls) / len(falls) <= 0.025
    assert sum(fall < skip + 1 for fall in falls) / len(falls) > 0.025
    assert found.low_per_hour == pytest.approx(slopes[skip - 1] * 3600)
    assert found.high_per_hour == pytest.approx(slopes[-skip] * 3600)


@pytest.mark.parametrize(
    "order", [(0, 1, 2, 3, 4, 5), (5, 4, 3, 2, 1, 0), (0, 2, 1, 3, 5, 4), (3, 0, 5, 1, 4, 2)]
)
def test_the_p_value_is_that_of_all_orders(order: tuple[int, ...]) -> None:
    """p is twice the share of the 720 orders of six points with a rank correlation at least as strong."""

    def falling(values: Sequence[int]) -> int:
        return sum(a > b for a, b in combinations(values, 2))

    weaker = min(falling(order), 15 - falling(order))
    share = sum(falling(each) <= weaker for each in permutations(range(6))) / 720

    assert drift([(i, 10.0 + y) for i, y in enumerate(order)]).p == pytest.approx(min(1.0, 2 * share))


def test_a_flat_series_is_steady_and_a_wild_one_inconclusive() -> None:
    """Steady is shown, not assumed: only an interval within the floor says so."""
    random = Random(13)
    flat = [(60.0 * i, 100 + random.gauss(0, 1)) for i in range(20)]
    wild = [(60.0 * i, 100 + random.gauss(0, 60)) for i in range(8)]

    assert drift(flat).trend is Trend.STEADY
    assert drift(wild).trend is Trend.INCONCLUSIVE
    assert drift([(x, 300 - x / 10) for x, _ in flat]).trend is Trend.FALLING
    assert drift([(x, 0.0) for x, _ in flat]).reason == "the median is 0"
    assert drift(flat[:4]).reason == "4 points; 5 at different times are needed"


def test_noise_alone_seldom_drifts() -> None:
    """Of 600 series of pure noise at most 5 % + 2 sd are called rising or falling, with no floor to help."""
    random = Random(14)
    trends = [
        drift([(float(i), random.lognormvariate(3, 0.5)) for i in range(20)], 0.0).trend for _ in range(600)
    ]

    assert sum(trend is not Trend.INCONCLUSIVE for trend in trends) / 600 <= 0.068


def test_a_leak_in_many_readings_is_found() -> None:
    """3600 noisy readings of a memory that grows by 30 % are grouped, and rise by about that much."""
    random = Random(15)
    found = drift([(float(i), 100e6 * (1 + 0.3 * i / 3600) + random.gauss(0, 5e6)) for i in range(3600)])

    assert (found.trend, found.points) == (Trend.RISING, 60)
    assert found.change == pytest.approx(0.3 / 1.15, rel=0.1)


def test_a_metric_over_time_goes_by_intended_start() -> None:
    """Ten streams a bin give its median in seconds at its middle; a bin of too few streams gives no point."""
    rows = [
        StreamRow(
            stream_id=str(i),
            scenario="soak",
            intended_ns=i * S // 10,
            started_ns=i * S // 10,
            first_content_ns=i * S // 10 + (i // 10 + 1) * 100 * MS,
            ending=Ending.COMPLETE,
        )
        for i in range(42)
    ]

    assert over_time(rows, "ttft", "p50", 0, 5 * S, bins=5) == (
        (0.5, 0.1),
        (1.5, 0.2),
        (2.5, 0.3),
        (3.5, 0.4),
    )
