"""What every client of the benchmark is given and what it tells: one JSON line."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.row import RAMP_S


@dataclass(frozen=True, slots=True)
class Load:
    """The work: `users` closed loops for `seconds`."""

    base_url: str
    users: int
    seconds: float
    begun_ns: int = field(default_factory=time.monotonic_ns)

    def start_of(self, number: int) -> float:
        """When a user starts, in seconds: spread, so that a thousand users do not move in step."""
        return RAMP_S * number / self.users

    def goes_on(self) -> bool:
        """Whether a user asks again."""
        return time.monotonic_ns() - self.begun_ns < self.seconds * 1e9


def begin() -> Load:
    """The load that the last three words of the command line ask for."""
    base_url, users, seconds = sys.argv[-3:]
    return Load(base_url, int(users), float(seconds))


@dataclass(slots=True)
class Outcome:
    """What was measured: first contents by request id, events, streams."""

    firsts: dict[str, int] = field(default_factory=dict)
    events: int = 0
    streams: int = 0
    complete: int = 0
    ended_ns: int = 0
    _numbers: count[int] = field(default_factory=count)

    def name(self, user: int) -> str:
        """A request id of its own."""
        return f"u{user}-{next(self._numbers)}"

    def add(self, name: str, first_ns: int | None, events: int, complete: bool) -> None:
        """One stream is over."""
        if first_ns is not None:
            self.firsts[name] = first_ns
        self.events += events
        self.streams += 1
        self.complete += complete
        self.ended_ns = time.monotonic_ns()

    def print(self) -> None:
        """Tells it all."""
        told = {
            "ended_ns": self.ended_ns,
            "streams": self.streams,
            "complete": self.complete,
            "events": self.events,
            "rss_mb": peak_mb(),
            "firsts": self.firsts,
        }
        print(json.dumps(told))


def peak_mb() -> float:
    """The most memory this process held, in MB. What `getrusage` tells is at least what its parent held."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


BODY: dict[str, Any] = {
    "model": "bench",
    "messages": [{"role": "user", "content": "Say token again and again, please, for this benchmark."}],
    "max_tokens": 128,
    "stream": True,
    "stream_options": {"include_usage": True},
}
