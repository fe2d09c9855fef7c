"""Exact percentiles with n, a distribution-free interval, or a reason why not. Knows only numbers.

A percentile is the nearest-rank order statistic: the ceil(q * n)-th smallest. It is shown only when n carries
it (`binomial.carries`). In the *adjusted* percentiles every unfinished stream stands as infinitely slow; one
that falls among them is None with that reason, so that no figure is ever infinite.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from chatproof.metrics.binomial import carries, interval_ranks
from chatproof.metrics.rows import Clock

SHOWN: Final = ("p50", "p90", "p95", "p99", "p999")
_LABEL: Final = re.compile(r"p(\d{1,2})(?:\.?(\d+))?")


@dataclass(frozen=True, slots=True)
class Percentile:
    """One percentile in nanoseconds with the ends of its 95 % interval; what is None is told by `reasons`."""

    value: float | None
    low: float | None
    high: float | None
    reason: str | None = None
    interval_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One metric over the streams of a run, each stream one observation."""

    values: tuple[int, ...]
    """Nanoseconds of the complete streams, ascending."""
    unfinished: int = 0
    """Streams with any other ending than complete and left: infinitely slow when adjusted."""
    left: int = 0
    """Streams that we hung up on: in no percentile."""
    not_applicable: int = 0
    """Complete streams that have no such instant: in no percentile."""

    @property
    def observed(self) -> bool:
        """Whether there is anything to judge: unfinished streams alone are, if no complete one lacks it."""
        return bool(self.values) or (self.unfinished > 0 and self.not_applicable == 0)


def quantile_of(label: str) -> Fraction:
    """The quantile that a label such as `p95`, `p999` or `p99.9` names; ValueError when it names none."""
    found = _LABEL.fullmatch(label)
    q = Fraction(f"{found[1]}.{found[2] or 0}") / 100 if found else Fraction(0)
    if q <= 0:
        raise ValueError(f"{label!r} is no percentile: write p50, p95, p99.9 ...")
    return q


def shown_label(label: str) -> str:
    """A label for people: `p999` is `p99.9`."""
    found = _LABEL.fullmatch(label)
    return f"p{found[1]}.{found[2]}" if found and found[2] else label


def percentile(sample: Sample, label: str, *, adjusted: bool = False) -> Percentile:
    """The percentile of a sample, plain (complete streams) or adjusted (unfinished ones infinitely slow)."""
    values = sample.values
    beyond = sample.unfinished if adjusted else 0
    n = len(values) + beyond
    return ranked(label, n, n, lambda rank: values[rank - 1] if rank <= len(values) else None, beyond)


def ranked(
    label: str, n: int, independent: int, at: Callable[[int], float | None], unfinished: int
) -> Percentile:
    """The percentile of n ordered observations, of which only `independent` carry the interval.

    `at(rank)` gives the observation of a rank from 1, or None for one that is infinitely slow.
    """
    q = quantile_of(label)
    if n < carries(q):
        return Percentile(None, None, None, _too_few(label, n, "n"))
    among = f"falls among {unfinished} unfinished streams"
    value = at(rank_of(q, n))
    ranks = interval_ranks(independent, q)
    if ranks is None:
        why = _too_few(label, independent, "independent streams")
        return Percentile(value, None, None, None if value is not None else among, why)
    low, high = at((ranks[0] - 1) * n // independent + 1), at(-(-ranks[1] * n // independent))
    open_end = None if high is not None else among if low is None else f"its end {among}"
    return Percentile(value, low, high, None if value is not None else among, open_end)


def rank_of(q: Fraction, n: int) -> int:
    """The nearest rank of a quantile: ceil(q * n), from 1."""
    return max(1, -(-n * q.numerator // q.denominator))


def figure(
    n: int,
    adjusted_n: int,
    get: Callable[[str, bool], Percentile],
    largest: float | None,
    *,
    unfinished: int,
    left: int,
    clock: Clock,
    extra: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """A metric in the report's form: seconds, intervals, the adjusted twin, and a reason for each null."""
    reasons: dict[str, str] = {}
    plain = _side(lambda label: get(label, False), "", reasons)
    adjusted = _side(lambda label: get(label, True), "adjusted.", reasons)
    if n == 0:
        reasons["max_s"] = "n = 0"
    if unfinished or n == 0:
        reasons["adjusted.max_s"] = f"{unfinished} unfinished streams" if unfinished else "n = 0"
    return {
        "n": n,
        **plain,
        "max_s": seconds(largest),
        "adjusted": {
            "n": adjusted_n,
            "unfinished": unfinished,
            "left": left,
            **adjusted,
            "max_s": None if unfinished else seconds(largest),
        },
        "clock": clock,
        **(extra or {}),
        "reasons": reasons,
    }


def sample_figure(sample: Sample, clock: Clock) -> dict[str, object]:
    """The report's form of a metric that has one value a stream."""
    n = len(sample.values)
    return figure(
        n,
        n + sample.unfinished,
        lambda label, adjusted: percentile(sample, label, adjusted=adjusted),
        sample.values[-1] if sample.values else None,
        unfinished=sample.unfinished,
        left=sample.left,
        clock=clock,
        extra={"not_applicable": sample.not_applicable},
    )


def seconds(ns: float | None) -> float | None:
    """Nanoseconds shown as seconds."""
    return None if ns is None else round(ns / 1e9, 9)


def _side(get: Callable[[str], Percentile], prefix: str, reasons: dict[str, str]) -> dict[str, object]:
    values: dict[str, object] = {}
    intervals: dict[str, list[float | None] | None] = {}
    for label in SHOWN:
        found = get(label)
        values[f"{label}_s"] = seconds(found.value)
        closed = found.low is not None
        intervals[label] = [seconds(found.low), seconds(found.high)] if closed else None
        if found.reason:
            reasons[f"{prefix}{label}_s"] = found.reason
        if found.interval_reason:
            reasons[f"{prefix}interval_s.{label}"] = found.interval_reason
    return {**values, "interval_s": intervals}


def _too_few(label: str, n: int, what: str) -> str:
    return f"{what} = {n}: {shown_label(label)} with a 95 % interval needs {carries(quantile_of(label))}"
