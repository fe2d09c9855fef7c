"""When to try again, by the book (OWN-02): pure; the caller sleeps."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from chatproof.answer import Answer

NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter: before attempt k+1 up to `base_s` x 2^(k-1), at least `Retry-After`."""

    attempts: int = 4
    base_s: float = 0.5
    longest_s: float = 10  # a server that asks for more is not waited for

    def wait_s(self, attempt: int, answer: Answer, chance: random.Random) -> float | None:
        """Seconds to wait before the next attempt; `None`: no retry. `attempt` counts from 1.

        Only an error that says `retryable: true` is tried again.
        """
        retryable = answer.is_error and answer.error is not None and answer.error.get("retryable") is True
        if not retryable or attempt >= self.attempts:
            return None
        asked = retry_after_s(answer)
        if asked > self.longest_s:
            return None
        return max(asked, chance.uniform(0, min(self.longest_s, self.base_s * 2 ** (attempt - 1))))


def retry_after_s(answer: Answer) -> float:
    """What `Retry-After` asks for, in seconds from the end of the exchange; 0 where it is absent or unreadable."""
    said = (answer.exchange.header("Retry-After") or "").strip()
    if re.fullmatch(r"\d+", said):
        return float(said)
    try:
        until = parsedate_to_datetime(said)
    except ValueError:
        return 0.0
    exchange = answer.exchange
    ended_ns = exchange.wall_ns + exchange.ended_ns - exchange.started_ns
    return max(0.0, until.timestamp() - ended_ns / NS)
