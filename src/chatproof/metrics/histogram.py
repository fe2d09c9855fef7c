"""A histogram of durations in 1 % logarithmic buckets. Knows nothing of what it counts.

Bucket k holds the durations from 1.01**k up to 1.01**(k+1) nanoseconds, and bucket -1 those of 0 ns. A bucket
is shown by the value that is equally far, relatively, from both its ends, so that a quantile is within 0.5 %
of the true one. Histograms merge exactly: adding to one, or to several and merging, gives the same counts.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import accumulate
from math import log
from typing import Final

GROWTH: Final = 1.01
ZERO: Final = -1
_PER_BUCKET: Final = 1 / log(GROWTH)
_PACKED: Final = re.compile(r"(?:-?\d+:\d+(?: -?\d+:\d+)*)?", re.ASCII)


def bucket_value(bucket: int) -> float:
    """The nanoseconds a bucket stands for: the harmonic mean of its ends, off by at most 0.4976 %."""
    return 0.0 if bucket == ZERO else 2 * GROWTH ** (bucket + 1) / (1 + GROWTH)


class Histogram:
    """Counts of durations by bucket; add and merge in any order."""

    __slots__ = ("counts",)

    def __init__(self, counts: dict[int, int] | None = None) -> None:
        self.counts: dict[int, int] = {} if counts is None else counts

    def add(self, ns: int) -> None:
        """Count one duration of `ns` nanoseconds; one that is not positive counts as 0."""
        bucket = int(log(ns) * _PER_BUCKET) if ns > 0 else ZERO
        self.counts[bucket] = self.counts.get(bucket, 0) + 1

    def add_between(self, start_ns: int, instants: Iterable[int]) -> int:
        """Count the durations from each instant to the next that is later, and say how many these were."""
        counts = self.counts
        added = 0
        for at_ns in instants:
            if at_ns > start_ns:
                bucket = int(log(at_ns - start_ns) * _PER_BUCKET)
                counts[bucket] = counts.get(bucket, 0) + 1
                added += 1
            start_ns = at_ns
        return added

    def merge(self, other: Histogram) -> None:
        """Add the counts of another histogram to this one."""
        counts = self.counts
        for bucket, count in other.counts.items():
            counts[bucket] = counts.get(bucket, 0) + count

    @property
    def total(self) -> int:
        """How many durations were counted."""
        return sum(self.counts.values())

    def ranks(self) -> Callable[[int], float | None]:
        """A function from a rank, 1 for the shortest, to its duration in ns; None past the longest."""
        buckets = sorted(self.counts)
        reached = list(accumulate(self.counts[bucket] for bucket in buckets))

        def at(rank: int) -> float | None:
            index = bisect_left(reached, rank)
            return bucket_value(buckets[index]) if index < len(buckets) else None

        return at

    def quantile(self, q: Fraction) -> float | None:
        """The nearest-rank quantile in nanoseconds, within 0.5 %; None when nothing was counted."""
        return self.ranks()(max(1, -(-self.total * q.numerator // q.denominator)))

    def over(self, limit_ns: float) -> int:
        """How many lie above the limit, each bucket judged by the value it stands for."""
        return sum(count for bucket, count in self.counts.items() if bucket_value(bucket) > limit_ns)

    def pack(self) -> str:
        """One line of text, `bucket:count` by bucket: the form for JSON and for the wire."""
        return " ".join(f"{bucket}:{count}" for bucket, count in sorted(self.counts.items()))

    @classmethod
    def unpack(cls, text: str) -> Histogram:
        """The histogram that `pack` wrote; ValueError when the text is anything else."""
        if not _PACKED.fullmatch(text):
            raise ValueError(f"not a packed histogram: {text[:80]!r} is not bucket:count and so on")
        fields = list(map(int, text.replace(":", " ").split()))
        counts = dict(zip(fields[::2], fields[1::2], strict=True))
        if 2 * len(counts) != len(fields) or min(counts, default=ZERO) < ZERO or not all(counts.values()):
            raise ValueError(f"not a packed histogram: {text[:80]!r} has a bucket twice, or one that is none")
        return cls(counts)

    @classmethod
    def of(cls, durations: Iterable[int]) -> Histogram:
        """The histogram of some durations in nanoseconds."""
        histogram = cls()
        for ns in durations:
            histogram.add(ns)
        return histogram

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self.counts == other.counts

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Histogram({self.pack()!r})"
