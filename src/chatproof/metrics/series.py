"""A run's rows as curves for a reader: distributions, percentiles and endings over time. Knows only rows.

Everything here is bounded, however long the run: a curve has at most so many points, a run so many bins. Seconds
throughout; instants count from the start of the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from chatproof.metrics.figures import adjusted_each
from chatproof.metrics.gaps import gap_sample
from chatproof.metrics.measures import sample
from chatproof.metrics.percentiles import Percentile, seconds
from chatproof.metrics.rows import StreamRow
from chatproof.metrics.terms import GAPS
from chatproof.record import Ending

MOST_POINTS: Final = 200
MOST_BINS: Final = 30
SHOWN: Final = {"ttft": ("p50", "p95"), "itl": ("p50", "p99"), "e2e": ("p50", "p95")}
NS: Final = 1_000_000_000


def series(rows: Sequence[StreamRow], window_ns: int) -> dict[str, Any]:
    """Every curve of a run that lasted `window_ns`."""
    return {
        "distributions": {name: distribution(rows, name) for name in SHOWN},
        "percentiles": percentiles(rows, window_ns),
        "endings": endings(rows, window_ns),
    }


def distribution(rows: Sequence[StreamRow], metric: str) -> dict[str, Any]:
    """The empirical distribution: points (seconds, share of all that were at most so slow).

    The share is of complete and unfinished together, so that a curve that ends below 1 shows what never came.
    """
    if metric == GAPS:
        found = gap_sample(rows)
        at, n, unfinished, beyond = found.gaps.ranks(), found.gaps.total, found.unfinished, found.infinite
    else:
        values = sample(rows, metric)
        n, unfinished = len(values.values), values.unfinished
        beyond = unfinished

        def at(rank: int) -> float | None:
            return values.values[rank - 1]

    ranks = (
        range(1, n + 1)
        if n <= MOST_POINTS
        else [1 + (n - 1) * i // (MOST_POINTS - 1) for i in range(MOST_POINTS)]
    )
    points = [[seconds(at(rank)), round(rank / (n + beyond), 6)] for rank in ranks]
    return {"n": n, "unfinished": unfinished, "points": points}


def percentiles(rows: Sequence[StreamRow], window_ns: int) -> dict[str, Any]:
    """Adjusted percentiles with their intervals, by the intended start in equal bins of the run."""
    bins, width_ns = _binned(rows, window_ns, [row.intended_ns for row in rows])
    return {
        "bin_s": width_ns / NS,
        **{
            metric: [
                {
                    "at_s": round((number + 0.5) * width_ns / NS, 3),
                    "streams": len(part),
                    **{
                        label: _with_interval(found)
                        for label, found in adjusted_each(part, metric, labels).items()
                    },
                }
                for number, part in enumerate(bins)
                if part
            ]
            for metric, labels in SHOWN.items()
        },
    }


def endings(rows: Sequence[StreamRow], window_ns: int) -> dict[str, Any]:
    """How many streams ended how in each bin; those without an end stand in the bin of their last known instant."""
    bins, width_ns = _binned(rows, window_ns, [_over(row) for row in rows])
    counts = {ending.value: [sum(row.ending is ending for row in part) for part in bins] for ending in Ending}
    return {"bin_s": width_ns / NS, "counts": {name: each for name, each in counts.items() if any(each)}}


def _over(row: StreamRow) -> int:
    return row.started_ns if row.ended_ns is None else row.ended_ns


def _binned(
    rows: Sequence[StreamRow], window_ns: int, instants: Sequence[int]
) -> tuple[list[list[StreamRow]], int]:
    """Rows in equal bins; what lies beyond the window, as streams that drained do, is in the last one."""
    width = max(NS, -(-max(window_ns, 1) // MOST_BINS))
    count = max(1, -(-window_ns // width))
    bins: list[list[StreamRow]] = [[] for _ in range(count)]
    for row, instant in zip(rows, instants, strict=True):
        bins[min(max(0, instant) // width, count - 1)].append(row)
    return bins, width


def _with_interval(found: Percentile) -> list[float | None]:
    return [seconds(found.value), seconds(found.low), seconds(found.high)]
