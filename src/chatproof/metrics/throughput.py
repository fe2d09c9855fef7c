"""Throughput: tokens and events apportioned by event time, goodput, bunching. Knows only rows.

Tokens of a stream did not all arrive when it ended. They are spread evenly over the time from its first token
to its last content event, and each second of the run gets the part that falls into it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from chatproof.metrics.measures import first_token_ns, sample
from chatproof.metrics.percentiles import SHOWN, Sample, percentile
from chatproof.metrics.rows import StreamRow
from chatproof.metrics.slo import meets
from chatproof.metrics.terms import Term

BIN_NS: Final = 1_000_000_000


def completion_tokens(row: StreamRow) -> int:
    """Output tokens of a stream, 0 when it never told."""
    return row.completion_tokens or 0


def content_events(row: StreamRow) -> int:
    """Content events of a stream."""
    return row.content_events


def per_second(
    rows: Iterable[StreamRow], count: Callable[[StreamRow], int], start_ns: int, end_ns: int
) -> tuple[float, ...]:
    """What `count` says of each stream, apportioned to the seconds from start to end; the last may be cut.

    An unstreamed answer falls whole into the second in which it ended; what is outside the window is left
    out.
    """
    bins = [0.0] * -(-(end_ns - start_ns) // BIN_NS)
    for row in rows:
        first, last = first_token_ns(row), row.last_content_ns
        if not row.stream or first is None or last is None:
            first = last = row.ended_ns
        amount = count(row)
        if amount and first is not None and last is not None:
            _spread(bins, amount, first - start_ns, last - start_ns, end_ns - start_ns)
    return tuple(bins)


def _spread(bins: list[float], amount: int, first: int, last: int, window: int) -> None:
    if first >= last:
        if 0 <= first < window:
            bins[first // BIN_NS] += amount
        return
    low, high = max(0, first), min(last, window)
    for index in range(low // BIN_NS, -(-high // BIN_NS)):
        inside = min(high, (index + 1) * BIN_NS) - max(low, index * BIN_NS)
        bins[index] += amount * inside / (last - first)


@dataclass(frozen=True, slots=True)
class Throughput:
    """Rates of a run over its window."""

    seconds: float
    tokens_per_s: float | None
    """Output tokens that arrived in the window / its seconds."""
    events_per_s: float | None
    """Content events that arrived in the window / its seconds."""
    streams_per_s: float | None
    """Complete streams that were to start in the window / its seconds."""
    goodput_per_s: float | None
    """Those of them that keep every SLO limit / seconds of the window."""
    approximate_tokens: int
    """Streams whose tokens were counted from events."""
    without_tokens: int
    """Streams with content whose tokens are not known: they add 0."""
    user_tokens_per_s: dict[str, float | None]
    """Speed that a share of streams reaches while it streams: 1 / adjusted TPOT at p50, p90, p95, p99.

    None where that percentile has none; the reason stands with TPOT."""


def throughput(
    rows: Sequence[StreamRow], start_ns: int, end_ns: int, terms: Sequence[Term] = ()
) -> Throughput:
    """The rates of the rows over the window from start to end."""
    seconds = (end_ns - start_ns) / 1e9
    inside = [row for row in rows if start_ns <= row.intended_ns < end_ns]

    def rate(amount: float) -> float | None:
        return amount / seconds if seconds > 0 else None

    return Throughput(
        seconds=seconds,
        tokens_per_s=rate(sum(per_second(rows, completion_tokens, start_ns, end_ns))),
        events_per_s=rate(sum(per_second(rows, content_events, start_ns, end_ns))),
        streams_per_s=rate(sum(meets((), row) for row in inside)),
        goodput_per_s=rate(sum(meets(terms, row) for row in inside)),
        approximate_tokens=sum(row.tokens_approximate for row in rows),
        without_tokens=sum(row.content_events > 0 and row.completion_tokens is None for row in rows),
        user_tokens_per_s=_speeds(sample(rows, "tpot")),
    )


def _speeds(tpot: Sample) -> dict[str, float | None]:
    slowest = {label: percentile(tpot, label, adjusted=True).value for label in SHOWN[:4]}
    return {label: 1e9 / ns if ns else None for label, ns in slowest.items()}


@dataclass(frozen=True, slots=True)
class Bunching:
    """How tokens are packed on the way; a proxy that buffers shows as zero gaps and many events a read."""

    zero_gap_share: float | None
    """Gaps of 0 ns / gaps: content events that came in the same read as the one before."""
    events_per_read: float | None
    """Data events / reads that brought bytes."""
    tokens_per_event: float | None
    """Tokens reported by usage / content events of the streams that reported."""


def bunching(rows: Iterable[StreamRow]) -> Bunching:
    """The bunching of the complete streams among the rows."""
    gaps = zero = events = reads = tokens = told = 0
    for row in rows:
        if not row.stream or not meets((), row):
            continue
        gaps += max(0, row.content_events - 1)
        zero += row.zero_gaps
        events += row.events
        reads += row.reads
        if row.completion_tokens is not None and not row.tokens_approximate:
            tokens += row.completion_tokens
            told += row.content_events
    return Bunching(_share(zero, gaps), _share(events, reads), _share(tokens, told))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
