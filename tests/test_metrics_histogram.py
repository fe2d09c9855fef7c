"""The gap histogram: bounded error, exact merging, and a text form that comes back unchanged."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from time import perf_counter_ns

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproof.metrics import Histogram

DURATIONS = st.lists(st.integers(0, 10**13), min_size=1, max_size=60)
QUANTILES = st.fractions(Fraction(1, 100), Fraction(99, 100), max_denominator=100)


@given(DURATIONS, QUANTILES)
def test_a_quantile_is_within_half_a_percent_of_the_sorted_list(durations: list[int], q: Fraction) -> None:
    """Any quantile is at most 0.5 % from the nearest-rank value of the durations themselves."""
    rank = max(1, -(-len(durations) * q.numerator // q.denominator))
    truth = sorted(durations)[rank - 1]

    found = Histogram.of(durations).quantile(q)

    assert found is not None
    assert abs(found - truth) <= 0.005 * truth


@given(DURATIONS, DURATIONS, DURATIONS)
def test_merging_in_any_grouping_equals_adding_all(a: list[int], b: list[int], c: list[int]) -> None:
    """Merging is exact, associative and commutative: no count depends on which worker saw it."""
    left = Histogram.of(a)
    left.merge(Histogram.of(b))
    left.merge(Histogram.of(c))
    right = Histogram.of(c)
    right.merge(Histogram.of(b))
    right.merge(Histogram.of(a))

    assert left == right == Histogram.of([*a, *b, *c])
    assert left.total == len(a) + len(b) + len(c)


@given(st.lists(st.integers(-5, 10**13), max_size=60))
def test_the_packed_form_comes_back_unchanged(durations: list[int]) -> None:
    """What `pack` writes, `unpack` reads as the same histogram."""
    histogram = Histogram.of(durations)

    assert Histogram.unpack(histogram.pack()) == histogram


@pytest.mark.parametrize("text", ["5", "a:1", "5:0", "5:-1", "-2:1", "5:1 5:2", "5:1,6:2"])
def test_a_text_that_is_no_histogram_is_refused(text: str) -> None:
    """A damaged text is an error, never a few counts fewer."""
    with pytest.raises(ValueError, match="not a packed histogram"):
        Histogram.unpack(text)


def test_nothing_counted_has_no_quantile() -> None:
    """An empty histogram answers None, not 0."""
    assert Histogram().quantile(Fraction(1, 2)) is None


def test_gaps_of_nought_are_counted_as_nought() -> None:
    """Events of one read have a gap of 0, and the quantile says 0."""
    histogram = Histogram.of([0, 0, 0, 1000])

    assert histogram.quantile(Fraction(3, 4)) == 0.0
    assert histogram.over(0) == 1


def test_what_is_over_a_limit_is_counted_by_bucket() -> None:
    """A limit between two buckets separates them."""
    histogram = Histogram.of([10_000_000] * 7 + [50_000_000] * 3)

    assert [histogram.over(ns) for ns in (9_000_000, 20_000_000, 60_000_000)] == [10, 3, 0]


def test_a_size_that_fits_a_row() -> None:
    """The gaps of a stream of 256 tokens around 20 ms pack into at most 300 characters."""
    gaps = [20_000_000 + (i * 7919 % 1000) * 4_000 for i in range(255)]

    assert len(Histogram.of(gaps).pack()) <= 300


@pytest.mark.alone
def test_an_add_is_cheap() -> None:
    """One add costs at most ten calls of an empty method (0.25 us against 0.06 us where it was written)."""

    class Empty:
        def add(self, ns: int) -> None:
            """Does nothing."""

    durations = [20_000_000 + i * 997 for i in range(5000)]

    def once(add: Callable[[int], None]) -> int:
        start = perf_counter_ns()
        for ns in durations:
            add(ns)
        return perf_counter_ns() - start

    rounds = range(20)

    assert min(once(Histogram().add) for _ in rounds) <= 10 * min(once(Empty().add) for _ in rounds)
