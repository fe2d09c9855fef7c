"""Inter-token latency: the gaps between a stream's content events. Knows only rows and histograms.

Gaps of one stream are dependent on each other. Whatever is concluded from gaps therefore counts streams, not
gaps: see `GapSample.independent`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from chatproof.metrics.histogram import Histogram
from chatproof.metrics.percentiles import Percentile, figure, quantile_of, ranked
from chatproof.metrics.rows import Clock, StreamRow
from chatproof.record import Ending


@dataclass(frozen=True, slots=True)
class GapSample:
    """Inter-token gaps of a run, with what is needed to not mistake a gap for an independent observation."""

    gaps: Histogram
    """All gaps of the complete streams."""
    streams: int
    """Complete streams with at least one gap."""
    squares: int
    """The sum over those streams of the square of their number of gaps."""
    unfinished: int = 0
    """Each stands as a stream with the mean number of gaps, all infinitely long, when adjusted."""
    left: int = 0
    not_applicable: int = 0
    """Complete streams with fewer than two content events."""

    @property
    def observed(self) -> bool:
        """Whether there is anything to judge."""
        return self.streams > 0 or (self.unfinished > 0 and self.not_applicable == 0)

    @property
    def infinite(self) -> int:
        """Gaps that unfinished streams stand for: the mean gaps of a stream each, or 1 where unknown."""
        return round(self.unfinished * self.gaps.total / self.streams) if self.streams else self.unfinished

    def independent(self, *, adjusted: bool) -> int:
        """How many independent observations the gaps are worth: (sum m)**2 / sum m**2 over the streams.

        Gaps of one stream are dependent, so a stream is one observation however many gaps it has, and less
        where a few streams hold most of the gaps (Kish's effective sample size of clusters that are alike
        inside). The bound is safe for any dependence inside a stream, at the price of wide intervals.
        """
        total, squares = self.gaps.total, float(self.squares)
        if adjusted:
            total += self.infinite
            squares += self.infinite**2 / self.unfinished if self.unfinished else 0
        return int(total**2 / squares + 1e-9) if total else 0


def gap_sample(rows: Iterable[StreamRow]) -> GapSample:
    """The inter-token gaps of some rows: times between consecutive content events of a stream, in ns."""
    gaps = Histogram()
    streams = squares = 0
    counts = Counter[str]()
    for row in rows:
        if not row.stream:
            continue
        if row.ending is not Ending.COMPLETE:
            counts["left" if row.ending is Ending.LEFT else "unfinished"] += 1
        elif row.gaps:
            mine = Histogram.unpack(row.gaps)
            gaps.merge(mine)
            streams += 1
            squares += mine.total**2
        else:
            counts["not_applicable"] += 1
    return GapSample(gaps, streams, squares, **counts)


def gap_percentile(found: GapSample, label: str, *, adjusted: bool = False) -> Percentile:
    """A percentile of the gaps, within 0.5 %; its interval is carried by streams, not by gaps."""
    beyond = found.infinite if adjusted else 0
    n = found.gaps.total + beyond
    at = found.gaps.ranks()
    return ranked(label, n, found.independent(adjusted=adjusted), at, found.unfinished)


def gap_figure(found: GapSample, clock: Clock) -> dict[str, object]:
    """The report's form of the inter-token latency."""
    largest = found.gaps.ranks()(found.gaps.total) if found.gaps.counts else None
    return figure(
        found.gaps.total,
        found.gaps.total + found.infinite,
        lambda label, adjusted: gap_percentile(found, label, adjusted=adjusted),
        largest,
        unfinished=found.unfinished,
        left=found.left,
        clock=clock,
        extra={"streams": found.streams, "not_applicable": found.not_applicable},
    )


def gap_quantile(row: StreamRow, label: str) -> float | None:
    """A percentile of one stream's own gaps, in ns; None when it has none."""
    return Histogram.unpack(row.gaps).quantile(quantile_of(label)) if row.gaps else None
