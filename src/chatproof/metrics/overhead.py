"""What does a gateway add to its upstream? Pairs of runs, the differences of their percentiles. Knows only rows.

A pair of runs is one observation, as in `compare`: the difference of a percentile, the gateway's less the upstream's.
The figure is the mean of the pairs' differences, and the interval inverts the sign-flip test on them. All is counted
from the actual start, so that what the client was late by is in neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from chatproof.metrics.compare import LEAST_PAIRS, Pair, centre
from chatproof.metrics.figures import adjusted
from chatproof.metrics.percentiles import shown_label
from chatproof.metrics.slo import Judgement
from chatproof.metrics.terms import Term

ADDED: Final = (("ttft", "ttft_actual"), ("itl", "itl"), ("e2e", "e2e_actual"))  # name and metric
LABELS: Final = ("p50", "p95")


@dataclass(frozen=True, slots=True)
class Added:
    """What the gateway adds in one percentile, in nanoseconds; what is None is told by `reason`."""

    metric: str
    label: str
    pairs: int
    streams: tuple[int, int]  # of gateway and upstream, all pairs together
    gateway: float | None = None  # the mean of the pairs' percentiles
    upstream: float | None = None
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""

    @property
    def from_zero(self) -> bool:
        """Whether the difference is told apart from zero: the whole interval lies on one side."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


def added(pairs: Sequence[Pair], metric: str, label: str) -> Added:
    """What is added to the adjusted percentile of `ttft`, `itl` or `e2e`, by pairs of (gateway's rows, upstream's)."""
    streams = sum(len(a) for a, _ in pairs), sum(len(b) for _, b in pairs)
    measured = dict(ADDED)[metric]
    figures: list[tuple[float, float]] = []
    for number, (rows_a, rows_b) in enumerate(pairs, 1):
        a, b = adjusted(rows_a, measured, label), adjusted(rows_b, measured, label)
        if a.value is None or b.value is None:
            side, found = ("gateway", a) if a.value is None else ("upstream", b)
            why = f"pair {number}, {side}: {found.reason}"
            return Added(metric, label, len(pairs), streams, reason=why)
        figures.append((a.value, b.value))
    if len(pairs) < LEAST_PAIRS:
        return Added(
            metric, label, len(pairs), streams, reason=f"{len(pairs)} pairs; {LEAST_PAIRS} are needed"
        )
    gateway, upstream = fmean(a for a, _ in figures), fmean(b for _, b in figures)
    found_at = centre([a - b for a, b in figures])
    return Added(
        metric, label, len(pairs), streams, gateway, upstream, found_at.mean, found_at.low, found_at.high
    )


def judge_added(term: Term, pairs: Sequence[Pair]) -> tuple[Judgement, str]:
    """An objective on what is added, such as `ttft_p95<5ms`, with the reason; met only by the whole interval."""
    found = added(pairs, term.metric, term.label)
    if found.low is None or found.high is None:
        return Judgement.INCONCLUSIVE, found.reason
    if not term.over(found.high):
        return Judgement.PASS, "the whole interval is within the limit"
    if term.over(found.low):
        return Judgement.FAIL, "the whole interval is over the limit"
    return (
        Judgement.INCONCLUSIVE,
        "the limit lies inside the interval: more pairs, or longer runs, would tell",
    )


def addable(term: Term) -> None:
    """Refuses an objective on what no difference is made of; ValueError."""
    if term.metric not in dict(ADDED):
        names = ", ".join(f"{name}_{LABELS[-1]}" for name, _ in ADDED)
        raise ValueError(f"SLO {term.text!r}: what is added is measured in {names} and the like")


def shown(found: Added) -> dict[str, object]:
    """The figure in a report's form: seconds, and null with a reason."""

    def seconds(ns: float | None) -> float | None:
        return None if ns is None else round(ns / 1e9, 9)

    return {
        "metric": found.metric,
        "percentile": shown_label(found.label),
        "added_s": seconds(found.mean),
        "interval_s": None if found.low is None else [seconds(found.low), seconds(found.high)],
        "from_zero": found.from_zero,
        "gateway_s": seconds(found.gateway),
        "upstream_s": seconds(found.upstream),
        "pairs": found.pairs,
        "streams": list(found.streams),
        "reason": found.reason,
    }
