"""Was the client fit to measure? The judgement that comes before any other. Looks at no process itself.

What the probes of a worker saw is a cumulative snapshot. Thresholds carry their reasons: each is the lateness beyond
which a figure of the run would be the client's and no longer the target's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
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
OWN_SHARE = 0.6  # of a core: a worker below it is not what is full
WAITED_SHARE = 0.02  # of the time: enough to make one look in a hundred late
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
    waited: list[float] = []  # share of each second that it could have run and others did; Linux tells
    gc_pauses: int = 0
    gc_total_ns: int = 0
    gc_max_ns: int = 0
    rss_mb: list[float] = []  # every five seconds
    arrivals: int = 0  # of the open loop: those that were due
    dropped: int = 0  # ... and could not be started


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
        what = self.what.removesuffix(" ms")
        unit = "" if what == self.what else " ms"
        return f"{self.worker}: {what} {self.value:.4g}{unit}, limit {self.limit:g}{unit}"


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
    """What to do about complaints: another machine, or so many workers that each needs 60 % of a core."""
    if not list(found):
        return ""
    every = list(workers)
    own = [_mean(health.cpu) for health in every]
    waited = max((_mean(health.waited) for health in every), default=0.0)
    if max(own, default=0.0) < OWN_SHARE and waited >= WAITED_SHARE:
        return (
            f"others had the core that the client needed, {waited:.0%} of the time, while it used {max(own):.0%} of "
            "one: run it where nothing else runs, not beside the target"
        )
    needed = max(len(every) + 1, math.ceil(sum(own) / OWN_SHARE))
    return (
        f"the client was too busy to tell: run the same load with --processes {needed}"
        f" ({needed - len(every)} more), on more cores or hosts, or ask for less"
    )


def _mean(shares: Sequence[float]) -> float:
    return sum(shares) / len(shares) if shares else 0.0


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
        "cpu_mean": round(_mean(health.cpu), 3) if health.cpu else None,
        "cpu_max": max(health.cpu, default=None),
        "cpu_per_s": health.cpu,
        "waited_mean": round(_mean(health.waited), 3) if health.waited else None,
        "gc": {
            "pauses": health.gc_pauses,
            "total_ms": health.gc_total_ns / MS,
            "max_ms": health.gc_max_ns / MS,
        },
        "rss_mb": {"first": health.rss_mb[0], "last": health.rss_mb[-1]} if health.rss_mb else None,
        "arrivals": health.arrivals,
        "dropped": health.dropped,
    }
