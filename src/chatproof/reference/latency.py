"""How long the reference's model takes. Knows no clock."""

from __future__ import annotations

import random
from dataclasses import dataclass

MILLISECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Latency:
    """Time to first token, gap between tokens (nanoseconds), and how many answers are made at once.

    `jitter` is a fraction: each time is drawn uniformly from 1 ± jitter times its value, by `seed`.
    Above `capacity` answers of one world at the same time, the next ones wait in a queue.
    """

    ttft_ns: int = 10 * MILLISECOND
    gap_ns: int = 4 * MILLISECOND
    jitter: float = 0.0
    capacity: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        if self.ttft_ns < 0 or self.gap_ns < 0 or not 0 <= self.jitter <= 1 or self.capacity < 1:
            raise ValueError("latency needs times >= 0, jitter in 0..1 and a capacity of at least 1")

    def pauses(self, tokens: int, number: int) -> tuple[int, ...]:
        """The pause before each token of the request of that number; the first one is the TTFT."""
        if not self.jitter:
            return (self.ttft_ns, *(self.gap_ns,) * (tokens - 1))[: max(tokens, 1)]
        drawn = random.Random(f"{self.seed}/{number}")
        values = (self.ttft_ns, *(self.gap_ns,) * max(tokens - 1, 0))
        return tuple(round(value * drawn.uniform(1 - self.jitter, 1 + self.jitter)) for value in values)
