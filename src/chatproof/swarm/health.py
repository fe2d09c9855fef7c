"""Was the client fit to measure? Probes of one process, and the judgement that comes before any other.

A probe is a cumulative snapshot; the judgement is pure. Thresholds carry their reasons: each is the lateness beyond
which a figure of the run would be the client's and no longer the target's.
"""

from __future__ import annotations

import gc
import math
import resource
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction

import msgspec

from chatproof.metrics import Clock, Histogram
from chatproof.metrics.binomial import ALPHA, at_least

P99 = Fraction(99, 100)
MS = 1_000_000
CANARY_MS = 5.0  # what the engine adds to a first token; the figures promise less
HUB_KERNEL_MS = 20.0  # one token gap: a client later than that merges two tokens into one read
HUB_USER_MS = 5.0  # without kernel times each of these milliseconds is in the figures
SCHEDULE_MS = 20.0  # an open loop that starts later than this does not offer the rate it says
CPU_SHARE = 0.97  # a core that is never idle: in a closed loop the client then sets the pace
CPU_WINDOWS = 0.5  # ... for more than half of the run's seconds
GC_MS = 100.0  # one pause of the collector that holds up every stream at once
LATE_SHARE = 0.01  # of looks that may be later than a limit
ENOUGH = 50  # samples before a percentile of them is believed


class Health(msgspec.Struct):
    """The probes of one worker since the start of the run."""

    worker: str = ""
    hub_lag: str = ""  # packed histograms
    canary: str = ""
    canary_expected: bool = True
    schedule_lag: str = ""
    cpu: list[float] = []  # share of one core, a second each
    gc_pauses: int = 0
    gc_total_ns: int = 0
    gc_max_ns: int = 0
    rss_mb: list[float] = []  # every five seconds
    arrivals: int = 0  # of the open loop: those that were due
    dropped: int = 0  # ... and could not be started


class CpuMeter:
    """This process's share of one core since the last look."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.monotonic_ns(), time.process_time_ns()

    def look(self) -> float:
        """The share since the last look."""
        wall, cpu = time.monotonic_ns(), time.process_time_ns()
        share = (cpu - self._cpu) / max(1, wall - self._wall)
        self._wall, self._cpu = wall, cpu
        return round(share, 3)


class GcMeter:
    """How long the collector held everything up."""

    def __init__(self) -> None:
        self.pauses = self.total_ns = self.max_ns = 0
        self._started = 0
        gc.callbacks.append(self._called)

    def close(self) -> None:
        """Stops looking."""
        gc.callbacks.remove(self._called)

    def _called(self, phase: str, info: dict[str, int]) -> None:
        now = time.monotonic_ns()
        if phase == "start":
            self._started = now
        else:
            took = now - self._started
            self.pauses += 1
            self.total_ns += took
            self.max_ns = max(self.max_ns, took)


def settle_collector() -> None:
    """Takes what is there out of the collector's sight: a full collection would stop all streams for 20 ms."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def rss_mb() -> float:
    """The memory this process holds now, in MB; on other systems than Linux the most it ever held."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize() / 1e6
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


@dataclass(frozen=True, slots=True)
class Complaint:
    """One reason why the client was not fit."""

    worker: str
    what: str
    value: float
    limit: float

    @property
    def text(self) -> str:
        """The reason as a line."""
        return f"{self.worker}: {self.what} {self.value:.4g}, limit {self.limit:g}"


def complaints(workers: Iterable[Health], clock: Clock) -> tuple[Complaint, ...]:
    """Every reason why these clients were not fit to measure; none means fit."""
    return tuple(complaint for health in workers for check in CHECKS if (complaint := check(health, clock)))


def _canary(health: Health, clock: Clock) -> Complaint | None:
    found = Histogram.unpack(health.canary)
    if health.canary_expected and not found.total and len(health.cpu) >= 3:
        return Complaint(health.worker, "canary events", 0, 1)
    return _late(health, found, "canary p99 ms", CANARY_MS)


def _hub(health: Health, clock: Clock) -> Complaint | None:
    limit = HUB_KERNEL_MS if clock == "kernel" else HUB_USER_MS
    return _late(health, Histogram.unpack(health.hub_lag), "event loop lag p99 ms", limit)


def _schedule(health: Health, clock: Clock) -> Complaint | None:
    return _late(health, Histogram.unpack(health.schedule_lag), "late starts p99 ms", SCHEDULE_MS)


def _late(health: Health, found: Histogram, what: str, limit: float) -> Complaint | None:
    """A complaint where more than 1 % are shown to be over the limit: a single hiccup of a short run is none."""
    p99, over = found.quantile(P99), found.over(limit * MS)
    if p99 is None or found.total < ENOUGH or at_least(over, found.total, LATE_SHARE) > ALPHA:
        return None
    return Complaint(health.worker, what, p99 / MS, limit)


def _cpu(health: Health, clock: Clock) -> Complaint | None:
    busy = sum(share >= CPU_SHARE for share in health.cpu)
    if len(health.cpu) < 3 or busy <= CPU_WINDOWS * len(health.cpu):
        return None
    return Complaint(health.worker, "share of seconds with a full core", busy / len(health.cpu), CPU_WINDOWS)


def _collector(health: Health, clock: Clock) -> Complaint | None:
    longest = health.gc_max_ns / MS
    return Complaint(health.worker, "collector pause ms", longest, GC_MS) if longest > GC_MS else None


def _dropped(health: Health, clock: Clock) -> Complaint | None:
    if not health.arrivals or health.dropped <= 0.001 * health.arrivals:
        return None
    return Complaint(health.worker, "share of arrivals dropped", health.dropped / health.arrivals, 0.001)


CHECKS: tuple[Callable[[Health, Clock], Complaint | None], ...] = (
    _canary,
    _hub,
    _schedule,
    _cpu,
    _collector,
    _dropped,
)


def advice(found: Iterable[Complaint], workers: Iterable[Health]) -> str:
    """What to do about complaints: how many workers would carry the same load at 60 % of a core each."""
    if not list(found):
        return ""
    every = list(workers)
    busy = sum(sum(health.cpu) / len(health.cpu) for health in every if health.cpu)
    needed = max(len(every) + 1, math.ceil(busy / 0.6))
    return (
        f"the client was too busy to tell: run the same load with --processes {needed}"
        f" ({needed - len(every)} more), on more cores or hosts, or ask for less"
    )


def shown(health: Health) -> dict[str, object]:
    """One worker's health as the report shows it."""

    def p99(packed: str) -> float | None:
        value = Histogram.unpack(packed).quantile(P99)
        return None if value is None else round(value / MS, 4)

    return {
        "worker": health.worker,
        "hub_lag_p99_ms": p99(health.hub_lag),
        "canary_p99_ms": p99(health.canary),
        "canary_events": Histogram.unpack(health.canary).total,
        "schedule_lag_p99_ms": p99(health.schedule_lag),
        "cpu_mean": round(sum(health.cpu) / len(health.cpu), 3) if health.cpu else None,
        "cpu_max": max(health.cpu, default=None),
        "cpu_per_s": health.cpu,
        "gc": {
            "pauses": health.gc_pauses,
            "total_ms": health.gc_total_ns / MS,
            "max_ms": health.gc_max_ns / MS,
        },
        "rss_mb": {"first": health.rss_mb[0], "last": health.rss_mb[-1]} if health.rss_mb else None,
        "arrivals": health.arrivals,
        "dropped": health.dropped,
    }
