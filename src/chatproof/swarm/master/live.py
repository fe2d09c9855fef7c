"""The run second by second, while it goes on: what the web page and the tab show. Pure state; keeps ten minutes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from chatproof.metrics import Histogram, StreamRow
from chatproof.record import Ending
from chatproof.swarm.worker.health import Health

NS = 1_000_000_000
KEPT_S = 600
P50, P95, P99 = Fraction(1, 2), Fraction(95, 100), Fraction(99, 100)


@dataclass(slots=True)
class Second:
    """What ended in one second of the run."""

    ttft: Histogram = field(default_factory=Histogram)
    gaps: Histogram = field(default_factory=Histogram)
    tokens: int = 0
    endings: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Live:
    """Figures by the second in which a stream ended; arrivals by the second in which they were due."""

    seconds: dict[int, Second] = field(default_factory=dict)
    due: Counter[int] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)

    def add(self, row: StreamRow) -> None:
        """Takes one row."""
        at = (row.ended_ns if row.ended_ns is not None else row.started_ns) // NS
        second = self.seconds.get(at)
        if second is None:
            second = self.seconds[at] = Second()
            for old in [each for each in self.seconds if each < at - KEPT_S]:
                del self.seconds[old]
        self.due[row.intended_ns // NS] += 1
        self.endings[row.ending.value] += 1
        second.endings[row.ending.value] += 1
        second.tokens += row.completion_tokens or 0
        if row.first_content_ns is not None:
            second.ttft.add(row.first_content_ns - row.intended_ns)
        if row.gaps and row.ending is Ending.COMPLETE:
            second.gaps.merge(Histogram.unpack(row.gaps))

    def recent(self, seconds: int) -> Second:
        """The last seconds as one."""
        found = Second()
        for at in sorted(self.seconds)[-seconds:]:
            second = self.seconds[at]
            found.ttft.merge(second.ttft)
            found.gaps.merge(second.gaps)
            found.tokens += second.tokens
            found.endings += second.endings
        return found

    def series(
        self, health: Sequence[Health], asked_at: Callable[[int], float | None], until: int | None = None
    ) -> dict[str, Any]:
        """All that the page draws, of the seconds before `until`: one that goes on would look like a fall.

        `asked_at` tells the rate that was asked for in a second of the run.
        """
        times = sorted(at for at in self.seconds if until is None or at < until)
        rows = [self.seconds[at] for at in times]
        names = sorted(self.endings)
        return {
            "seconds": times,
            "ttft_ms": {
                label: [_ms(row.ttft, q) for row in rows] for label, q in (("p50", P50), ("p95", P95))
            },
            "itl_ms": {
                label: [_ms(row.gaps, q) for row in rows] for label, q in (("p50", P50), ("p99", P99))
            },
            "tokens_per_s": [row.tokens for row in rows],
            "ended": {name: [row.endings.get(name, 0) for row in rows] for name in names},
            "achieved_per_s": [self.due.get(at, 0) for at in times],
            "asked_per_s": [asked_at(at) for at in times],
            "endings": dict(self.endings),
            "clients": [_client(each) for each in health],
        }

    def table(self) -> list[dict[str, Any]]:
        """The newest figures as rows of a name and a value: the tab in locust's own page."""
        newest = self.recent(10)
        span = min(10, max(1, len(self.seconds)))
        figures = [
            ("TTFT p50 (ms), last 10 s", _ms(newest.ttft, P50)),
            ("TTFT p95 (ms), last 10 s", _ms(newest.ttft, P95)),
            ("gap p50 (ms), last 10 s", _ms(newest.gaps, P50)),
            ("gap p99 (ms), last 10 s", _ms(newest.gaps, P99)),
            ("tokens/s, last 10 s", round(newest.tokens / span, 1)),
        ]
        ended = [(f"streams {name}", count) for name, count in sorted(self.endings.items())]
        return [
            {"name": name, "value": "-" if value is None else value} for name, value in (*figures, *ended)
        ]


def _ms(found: Histogram, q: Fraction) -> float | None:
    value = found.quantile(q)
    return None if value is None else round(value / 1e6, 3)


def _client(health: Health) -> dict[str, Any]:
    return {
        "worker": health.worker,
        "cpu": health.cpu[-1] if health.cpu else None,
        "hub_lag_p99_ms": _ms(Histogram.unpack(health.hub_lag), P99),
        "canary_p99_ms": _ms(Histogram.unpack(health.canary), P99),
        "late_starts_p99_ms": _ms(Histogram.unpack(health.schedule_lag), P99),
        "dropped": health.dropped,
        "rss_mb": health.rss_mb[-1] if health.rss_mb else None,
    }
