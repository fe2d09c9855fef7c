"""Samples in, figures and verdicts out. Knows no clock, no network and no file."""

from chatproof.metrics.capacity import Ask, Capacity, CapacitySearch, Outcome, Step
from chatproof.metrics.compare import (
    Change,
    Comparison,
    compare_pairs,
    compare_ratios,
    compare_runs,
    false_alarms,
)
from chatproof.metrics.drift import Drift, Trend, drift, over_time
from chatproof.metrics.figures import METRICS, adjusted, figures
from chatproof.metrics.histogram import Histogram
from chatproof.metrics.measures import MEASURES, clock_of, endings, sample, spent
from chatproof.metrics.percentiles import Percentile, Sample, percentile
from chatproof.metrics.rows import Clock, StreamRow
from chatproof.metrics.slo import (
    Judged,
    Judgement,
    NotMeasured,
    hopeless,
    judge,
    meets,
    overall,
    slo_report,
)
from chatproof.metrics.terms import Term, parse_term, parse_terms, terms_of
from chatproof.metrics.throughput import Bunching, Throughput, bunching, per_second, throughput

__all__ = [
    "MEASURES",
    "METRICS",
    "Ask",
    "Bunching",
    "Capacity",
    "CapacitySearch",
    "Change",
    "Clock",
    "Comparison",
    "Drift",
    "Histogram",
    "Judged",
    "Judgement",
    "NotMeasured",
    "Outcome",
    "Percentile",
    "Sample",
    "Step",
    "StreamRow",
    "Term",
    "Throughput",
    "Trend",
    "adjusted",
    "bunching",
    "clock_of",
    "compare_pairs",
    "compare_ratios",
    "compare_runs",
    "drift",
    "endings",
    "false_alarms",
    "figures",
    "hopeless",
    "judge",
    "meets",
    "over_time",
    "overall",
    "parse_term",
    "parse_terms",
    "per_second",
    "percentile",
    "sample",
    "slo_report",
    "spent",
    "terms_of",
    "throughput",
]
