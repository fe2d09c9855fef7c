"""When requests are meant to start, in open loop: seeded schedules, and each worker's share. Knows no clock.

A schedule is a sequence of legs, one after the other. All workers make the same whole schedule from the same seed and
each takes its own arrivals out of it, so that the whole is what was asked for whoever runs it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Process = Literal["constant", "poisson"]
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Leg:
    """A time with one arrival rate."""

    rate: float  # requests a second, of all workers together
    seconds: float
    process: Process = "poisson"

    def __post_init__(self) -> None:
        if self.rate < 0 or self.seconds <= 0:
            raise ValueError("a leg needs a rate of at least 0 and a time above 0")


def arrivals(legs: Sequence[Leg], seed: int) -> Iterator[int]:
    """The instants of all arrivals in nanoseconds from the start, in order."""
    start = 0.0
    for number, leg in enumerate(legs):
        draw = random.Random(f"arrivals/{seed}/{number}")
        at = 0.0
        while leg.rate > 0:
            at += draw.expovariate(leg.rate) if leg.process == "poisson" else 1 / leg.rate
            if at > leg.seconds:
                break
            yield int((start + at) * _SECOND)
        start += leg.seconds


def share(legs: Sequence[Leg], seed: int, worker: int, workers: int) -> Iterator[tuple[int, int]]:
    """One worker's arrivals, as (number in the whole schedule, instant): every `workers`-th one."""
    for number, at_ns in enumerate(arrivals(legs, seed)):
        if number % workers == worker:
            yield number, at_ns


def total_seconds(legs: Sequence[Leg]) -> float:
    """How long all legs take."""
    return sum(leg.seconds for leg in legs)


def expected(legs: Sequence[Leg], until_s: float | None = None) -> float:
    """How many arrivals the legs bring, on average; in their first `until_s` seconds where that is given."""
    left, count = total_seconds(legs) if until_s is None else until_s, 0.0
    for leg in legs:
        count += leg.rate * min(leg.seconds, max(left, 0.0))
        left -= leg.seconds
    return count
