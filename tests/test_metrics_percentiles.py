"""Binomial tails, order-statistic intervals and percentiles, each against a slow and obvious second way."""

from __future__ import annotations

import json
from fractions import Fraction
from math import ceil, comb
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproof.metrics import Sample, percentile
from chatproof.metrics.binomial import (
    at_least,
    at_most,
    carries,
    interval_ranks,
    share_above,
    share_below,
)
from chatproof.metrics.percentiles import quantile_of, ranked, sample_figure, shown_label

LABELS = ("p50", "p90", "p95", "p99", "p999")


def exactly_at_most(k: int, n: int, p: Fraction) -> Fraction:
    """P(X <= k), by the definition, in fractions."""
    return sum((comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1)), Fraction(0))


@given(st.integers(1, 80), st.integers(-1, 81), st.fractions(0, 1, max_denominator=50))
def test_tails_are_those_of_the_definition(n: int, k: int, p: Fraction) -> None:
    """Both tails equal the sum of binomial coefficients, to nine digits, also where they are tiny."""
    k = min(k, n)

    assert at_most(k, n, float(p)) == pytest.approx(float(exactly_at_most(k, n, p)), rel=1e-9, abs=1e-15)
    assert at_least(k, n, float(p)) == pytest.approx(
        float(1 - exactly_at_most(k - 1, n, p)), rel=1e-9, abs=1e-15
    )


def test_a_tail_of_a_million_trials() -> None:
    """A far tail where nothing may underflow: P(no event in 10**6 at 1e-5) = exp(-10) or nearly."""
    assert at_most(0, 10**6, 1e-5) == pytest.approx((1 - 1e-5) ** 10**6, rel=1e-7)
    assert at_most(500_000, 10**6, 0.5) == pytest.approx(0.5, abs=1e-3)


def test_clopper_pearson_bounds_are_the_published_ones() -> None:
    """0 of 10 leaves up to 25.89 %, 1 of 10 up to 39.42 % and at least 0.51 % (one-sided 95 %)."""
    assert share_below(0, 10) == pytest.approx(1 - 0.05 ** (1 / 10), abs=1e-12)
    assert share_below(1, 10) == pytest.approx(0.3942, abs=1e-4)
    assert share_above(1, 10) == pytest.approx(0.0051, abs=1e-4)
    assert (share_above(0, 10), share_below(10, 10)) == (0.0, 1.0)


def test_what_n_each_percentile_needs() -> None:
    """The smallest n whose interval closes is 6, 36, 72, 368 and 3688: the exact power is below 2.5 %."""
    assert [carries(quantile_of(label)) for label in LABELS] == [6, 36, 72, 368, 3688]
    for label in LABELS:
        q, n = quantile_of(label), carries(quantile_of(label))

        assert q**n <= Fraction(25, 1000) < q ** (n - 1)


@given(st.integers(6, 120), st.sampled_from([Fraction(1, 2), Fraction(9, 10), Fraction(95, 100)]))
def test_interval_ranks_are_the_tightest_that_cover(n: int, q: Fraction) -> None:
    """Each end leaves out at most 2.5 %, and one rank further in would leave out more."""
    ranks = interval_ranks(n, q)
    if n < carries(q):
        assert ranks is None
        return
    assert ranks is not None
    low, high = ranks
    tail = Fraction(25, 1000)

    assert exactly_at_most(low - 1, n, q) <= tail < exactly_at_most(low, n, q)
    assert 1 - exactly_at_most(high - 1, n, q) <= tail < 1 - exactly_at_most(high - 2, n, q)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """Over 1000 samples of a heavy-tailed law the p95 interval holds the true p95 in at least 95 % - 2 sd."""
    random = Random(1)
    truth = (1 - 0.95) ** (-1 / 1.5)  # of a Pareto law with exponent 1.5
    covered = 0
    for _ in range(1000):
        sample = Sample(tuple(sorted(int(random.paretovariate(1.5) * 1e9) for _ in range(100))))
        found = percentile(sample, "p95")
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= truth * 1e9 <= found.high

    assert covered >= 936


@given(st.lists(st.integers(0, 10**10), min_size=36, max_size=200), st.integers(0, 50))
def test_percentiles_are_those_of_the_sorted_list(values: list[int], unfinished: int) -> None:
    """Plain and adjusted percentiles equal the nearest rank of a list with infinity per unfinished one."""
    sample = Sample(tuple(sorted(values)), unfinished)
    for label in ("p50", "p90"):
        q = quantile_of(label)
        all_ns = sorted([*map(float, values), *[float("inf")] * unfinished])
        plain = sorted(values)[ceil(q * len(values)) - 1]
        infinite_too = all_ns[ceil(q * len(all_ns)) - 1]

        assert percentile(sample, label).value == plain
        adjusted = percentile(sample, label, adjusted=True)
        assert adjusted.value == (None if infinite_too == float("inf") else infinite_too)
        if adjusted.value is None:
            assert adjusted.reason == f"falls among {unfinished} unfinished streams"


def test_p999_is_refused_below_the_n_it_needs() -> None:
    """3687 streams do not carry p99.9 and 3688 do; the reason says so."""
    few, enough = (Sample(tuple(range(1, n + 1))) for n in (3687, 3688))

    assert percentile(few, "p999").value is None
    assert percentile(few, "p999").reason == "n = 3687: p99.9 with a 95 % interval needs 3688"
    assert percentile(enough, "p999").value == 3685


def test_an_interval_may_end_among_unfinished_streams() -> None:
    """A percentile can be finite while the upper end of its interval is not; then only that end is null."""
    sample = Sample(tuple(range(1, 97)), unfinished=4)
    found = percentile(sample, "p95", adjusted=True)

    assert (found.value, found.high) == (95, None)
    assert found.low is not None
    assert found.interval_reason == "its end falls among 4 unfinished streams"


def test_an_interval_carried_by_fewer_is_as_wide_as_theirs() -> None:
    """1000 observations worth 100: from the first of the 40th ten to the last of the 61st."""
    found = ranked("p50", 1000, 100, lambda rank: rank, 0)
    uneven = ranked("p50", 1005, 100, lambda rank: rank, 0)

    assert (found.value, found.low, found.high) == (500, 391, 610)
    assert (uneven.value, uneven.low, uneven.high) == (503, 392, 614)


def test_the_figure_of_a_hundred_streams() -> None:
    """The report's form: seconds, an interval beside each percentile, a reason for each null."""
    sample = Sample(tuple(i * 10_000_000 for i in range(1, 101)), unfinished=20, left=3, not_applicable=2)
    shown = sample_figure(sample, "kernel")

    assert shown == {
        "n": 100,
        "p50_s": 0.5,
        "p90_s": 0.9,
        "p95_s": 0.95,
        "p99_s": None,
        "p999_s": None,
        "interval_s": {
            "p50": [0.4, 0.61],
            "p90": [0.84, 0.96],
            "p95": [0.9, 1.0],
            "p99": None,
            "p999": None,
        },
        "max_s": 1.0,
        "adjusted": {
            "n": 120,
            "unfinished": 20,
            "left": 3,
            "p50_s": 0.6,
            "p90_s": None,
            "p95_s": None,
            "p99_s": None,
            "p999_s": None,
            "interval_s": {"p50": [0.49, 0.72], "p90": None, "p95": None, "p99": None, "p999": None},
            "max_s": None,
        },
        "clock": "kernel",
        "not_applicable": 2,
        "reasons": {
            "p99_s": "n = 100: p99 with a 95 % interval needs 368",
            "p999_s": "n = 100: p99.9 with a 95 % interval needs 3688",
            "adjusted.p90_s": "falls among 20 unfinished streams",
            "adjusted.interval_s.p90": "falls among 20 unfinished streams",
            "adjusted.p95_s": "falls among 20 unfinished streams",
            "adjusted.interval_s.p95": "falls among 20 unfinished streams",
            "adjusted.p99_s": "n = 120: p99 with a 95 % interval needs 368",
            "adjusted.p999_s": "n = 120: p99.9 with a 95 % interval needs 3688",
            "adjusted.max_s": "20 unfinished streams",
        },
    }
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown


@given(st.lists(st.integers(0, 10**12), max_size=80), st.integers(0, 80))
def test_every_null_of_a_figure_has_its_reason(values: list[int], unfinished: int) -> None:
    """No figure is ever null without a reason, and none is ever infinite or not a number."""
    shown = sample_figure(Sample(tuple(sorted(values)), unfinished), "user")
    json.dumps(shown, allow_nan=False)
    for prefix, side in (("", shown), ("adjusted.", shown["adjusted"])):
        assert isinstance(side, dict)
        nulls = {f"{prefix}{key}" for key, value in side.items() if value is None}

        assert isinstance(shown["reasons"], dict)
        assert nulls <= shown["reasons"].keys()


@pytest.mark.parametrize(
    ("label", "q", "people"),
    [
        ("p5", Fraction(5, 100), "p5"),
        ("p95", Fraction(95, 100), "p95"),
        ("p999", Fraction(999, 1000), "p99.9"),
        ("p99.9", Fraction(999, 1000), "p99.9"),
        ("p9999", Fraction(9999, 10000), "p99.99"),
    ],
)
def test_labels_name_quantiles(label: str, q: Fraction, people: str) -> None:
    """The first two digits are the percent, the rest its decimals."""
    assert (quantile_of(label), shown_label(label)) == (q, people)


@pytest.mark.parametrize("label", ["p0", "p", "95", "p-5", "p1e1", "p95%", "p00"])
def test_other_labels_are_refused(label: str) -> None:
    """What names no percentile is an error that shows how to write one."""
    with pytest.raises(ValueError, match=r"write p50, p95, p99\.9"):
        quantile_of(label)
