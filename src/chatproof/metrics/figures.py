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
    return adjusted_each(rows, metric, (label,))[label]


def adjusted_each(rows: Sequence[StreamRow], metric: str, labels: Sequence[str]) -> dict[str, Percentile]:
    """Several adjusted percentiles of one metric: the rows, which may be many, are read once."""
    if metric == GAPS:
        gaps = gap_sample(rows)
        return {label: gap_percentile(gaps, label, adjusted=True) for label in labels}
    values = sample(rows, metric)
    return {label: percentile(values, label, adjusted=True) for label in labels}


def figures(rows: Sequence[StreamRow]) -> dict[str, dict[str, object]]:
    """`load.metrics` of the report: the figure of each metric, in seconds."""
    clock = clock_of(rows)
    shown = {name: sample_figure(sample(rows, name), clock) for name in MEASURES}
    return {**shown, GAPS: gap_figure(gap_sample(rows), clock)}
