"""Does it drift over a soak? A robust line through points over time. Knows only numbers and rows.

The slope is Theil and Sen's: the median of the slopes between all pairs of points. Its interval and p-value
come from the exact permutation law of Kendall's count of falling pairs, so no law of the noise is assumed,
only that points are independent: bins must be long against the time that a queue takes to drain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import combinations
from math import ceil
from statistics import median
from typing import Final

from chatproof.metrics.binomial import ALPHA
from chatproof.metrics.figures import adjusted
from chatproof.metrics.rows import StreamRow

FLOOR: Final = 0.10
MOST_POINTS: Final = 60
LEAST_POINTS: Final = 5  # below, even a strict order of the points is no evidence at 5 %

Point = tuple[float, float]


class Trend(StrEnum):
    """What the points show."""

    RISING = "rising"
    FALLING = "falling"
    STEADY = "steady"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Drift:
    """A line through points (seconds, value); slopes are in units of the value per hour."""

    trend: Trend
    points: int
    per_hour: float | None = None
    low_per_hour: float | None = None
    high_per_hour: float | None = None
    change: float | None = None
    """The slope times the time from first to last point, as a share of the median value."""
    p: float | None = None
    reason: str | None = None


def drift(points: Sequence[Point], floor: float = FLOOR) -> Drift:
    """The drift of a series: rising or falling if the whole interval is, and the change reaches the floor.

    Steady if the whole interval stays within the floor, inconclusive otherwise. More than 60 points are first
    grouped into 60 medians.
    """
    points = _grouped(sorted(points))
    n = len(points)
    slopes = sorted((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2) if x1 != x2)
    if n < LEAST_POINTS or len(slopes) < n * (n - 1) // 2:
        return Drift(
            Trend.INCONCLUSIVE, n, reason=f"{n} points; {LEAST_POINTS} at different times are needed"
        )
    skip = _skip(n)
    slope, low, high = median(slopes), slopes[skip - 1], slopes[-skip]
    level = abs(median(y for _, y in points))
    falling, rising = sum(each < 0 for each in slopes), sum(each > 0 for each in slopes)
    p = min(1.0, 2 * _law(n)[ceil((len(slopes) - abs(rising - falling)) / 2)])
    if not level:
        return Drift(Trend.INCONCLUSIVE, n, slope * 3600, low * 3600, high * 3600, None, p, "the median is 0")
    over = (points[-1][0] - points[0][0]) / level
    trend = _trend(slope * over, low * over, high * over, floor)
    return Drift(trend, n, slope * 3600, low * 3600, high * 3600, slope * over, p)


def over_time(
    rows: Sequence[StreamRow], metric: str, label: str, start_ns: int, end_ns: int, bins: int = 20
) -> tuple[Point, ...]:
    """The adjusted percentile of a metric, in seconds, by the intended start in equal bins of the run.

    Each point is (middle of the bin in seconds, value). A bin that cannot carry the percentile gives no
    point.
    """
    parts: list[list[StreamRow]] = [[] for _ in range(bins)]
    for row in rows:
        if start_ns <= row.intended_ns < end_ns:
            parts[(row.intended_ns - start_ns) * bins // (end_ns - start_ns)].append(row)
    width = (end_ns - start_ns) / 1e9 / bins
    values = [adjusted(part, metric, label).value for part in parts]
    return tuple(((i + 0.5) * width, value / 1e9) for i, value in enumerate(values) if value is not None)


def _trend(change: float, low: float, high: float, floor: float) -> Trend:
    if low > 0 and change >= floor:
        return Trend.RISING
    if high < 0 and change <= -floor:
        return Trend.FALLING
    return Trend.STEADY if -floor < low and high < floor else Trend.INCONCLUSIVE


def _grouped(points: Sequence[Point]) -> Sequence[Point]:
    count = min(len(points), MOST_POINTS)
    groups = [points[len(points) * i // count : len(points) * (i + 1) // count] for i in range(count)]
    return [(median(x for x, _ in group), median(y for _, y in group)) for group in groups]


def _skip(n: int) -> int:
    """The rank from either end of the slope that ends the interval: the last m with P(D < m) <= 2.5 %."""
    return next(m for m, below in enumerate(_law(n)) if below > ALPHA / 2)


@lru_cache(maxsize=256)
def _law(n: int) -> tuple[float, ...]:
    """P(D <= d) for the number D of falling pairs in a random order of n points, d = 0 ... n (n - 1) / 2."""
    law = [1.0]
    for k in range(2, n + 1):
        grown = [0.0] * (len(law) + k - 1)
        for d, share in enumerate(law):
            for more in range(k):
                grown[d + more] += share / k
        law = grown
    total, below = 0.0, []
    for share in law:
        total += share
        below.append(total)
    return tuple(below)
