"""Every metric by its name, in the form that a report shows. Knows only rows; computes, never renders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from chatproof.metrics.gaps import gap_figure, gap_percentile, gap_sample
from chatproof.metrics.measures import MEASURES, clock_of, sample
from chatproof.metrics.percentiles import Percentile, percentile, sample_figure
from chatproof.metrics.rows import StreamRow
from chatproof.metrics.terms import GAPS

METRICS: Final = (*MEASURES, GAPS)


def adjusted(rows: Sequence[StreamRow], metric: str, label: str) -> Percentile:
    """The adjusted percentile of any metric of `METRICS`, in nanoseconds."""
    if metric == GAPS:
        return gap_percentile(gap_sample(rows), label, adjusted=True)
    return percentile(sample(rows, metric), label, adjusted=True)


def figures(rows: Sequence[StreamRow]) -> dict[str, dict[str, object]]:
    """`load.metrics` of the report: the figure of each metric, in seconds."""
    clock = clock_of(rows)
    shown = {name: sample_figure(sample(rows, name), clock) for name in MEASURES}
    return {**shown, GAPS: gap_figure(gap_sample(rows), clock)}
