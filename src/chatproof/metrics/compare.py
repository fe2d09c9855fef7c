"""Is B slower than A? Pairs of runs, a sign-flip test, an interval, an effect floor. Knows only rows.

Requests inside one run are not independent, so a pair of runs is one observation: the logarithm of the ratio
of their percentiles. If A and B are alike, each such logarithm is as likely positive as negative, whatever
its law.

- The p-value is the share of the 2**n sign patterns whose mean is at least as far from 0 as the one seen.
- The interval inverts that test: the means of all non-empty subsets of the pairs cut the line into 2**n parts
  that are equally likely to hold the true value (Hartigan's typical values). Two-sided at 95 % or a bit more,
  it exists from 6 pairs on. Above 16 pairs, 65 536 subsets are drawn with a fixed seed instead.
- B is slower only if the whole interval is above 1 and the ratio at least the floor; the same, if the whole
  interval is within the floor; anything between is inconclusive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import exp, log
from random import Random
from typing import Final

from chatproof.metrics.binomial import ALPHA, carries
from chatproof.metrics.figures import adjusted
from chatproof.metrics.gaps import gap_sample
from chatproof.metrics.measures import MEASURES
from chatproof.metrics.percentiles import quantile_of, shown_label
from chatproof.metrics.rows import StreamRow
from chatproof.metrics.terms import GAPS
from chatproof.record import Ending

FLOOR: Final = 1.10  # the same build differs by less between interleaved runs, by 1.7-4 x between machines
LEAST_PAIRS: Final = 6
MOST_BLOCKS: Final = 12
FINGERPRINT: Final = ("machine", "tool", "scenario", "seed", "settings")
_ENUMERATED: Final = 16

Pair = tuple[Sequence[StreamRow], Sequence[StreamRow]]


class Change(StrEnum):
    """What a comparison says of B against A."""

    SLOWER = "slower"
    FASTER = "faster"
    SAME = "same"
    INCONCLUSIVE = "inconclusive"
    CANNOT_COMPARE = "cannot compare"


@dataclass(frozen=True, slots=True)
class Comparison:
    """B against A in one percentile; a ratio above 1 means that B is slower."""

    change: Change
    pairs: int
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Centre:
    """Where some values lie: their mean, the ends of its 95 % interval, and the p-value of it being 0."""

    mean: float
    low: float
    high: float
    p: float


def compare_ratios(pairs: Sequence[tuple[float, float]], floor: float = FLOOR) -> Comparison:
    """The comparison of pairs of positive figures (of A, of B) that were measured side by side."""
    n = len(pairs)
    if n < LEAST_PAIRS:
        return Comparison(Change.INCONCLUSIVE, n, reasons=(f"{n} pairs; {LEAST_PAIRS} are needed",))
    if any(a <= 0 or b <= 0 for a, b in pairs):
        return Comparison(Change.CANNOT_COMPARE, n, reasons=("a figure is not above 0",))
    found = centre([log(b / a) for a, b in pairs])
    ratio, low, high = exp(found.mean), exp(found.low), exp(found.high)
    return Comparison(_change(ratio, low, high, floor), n, ratio, low, high, found.p)


def centre(values: Sequence[float]) -> Centre:
    """The centre that at least 6 independent values lie around evenly, by the sign-flip test."""
    subsets = _subsets(values)
    total = sum(values)
    p = sum(abs(2 * part - total) >= abs(total) - 1e-12 for part, _ in subsets) / len(subsets)
    means = sorted(part / size for part, size in subsets if size)
    skip = int(ALPHA / 2 * len(subsets))
    return Centre(total / len(values), means[skip - 1], means[-skip], p)


def compare_pairs(pairs: Sequence[Pair], metric: str, label: str, floor: float = FLOOR) -> Comparison:
    """The comparison of interleaved runs in the adjusted percentile of a metric, pair by pair."""
    figures, reasons = [], []
    for number, (rows_a, rows_b) in enumerate(pairs, 1):
        a, b = adjusted(rows_a, metric, label), adjusted(rows_b, metric, label)
        if a.value is not None and b.value is not None:
            figures.append((a.value, b.value))
        reasons += [
            f"pair {number}, {side}: {metric} {shown_label(label)}: {found.reason}"
            for side, found in (("A", a), ("B", b))
            if found.value is None
        ]
    if reasons:
        return Comparison(Change.CANNOT_COMPARE, len(pairs), reasons=tuple(reasons))
    return compare_ratios(figures, floor)


def compare_runs(
    run_a: Sequence[StreamRow],
    run_b: Sequence[StreamRow],
    fingerprint_a: Mapping[str, str],
    fingerprint_b: Mapping[str, str],
    metric: str,
    label: str,
    floor: float = FLOOR,
) -> Comparison:
    """The comparison of two recorded runs, block of A against the same block of B.

    Only runs with equal fingerprints compare: the same machine, tool, scenario, seed and settings. Each run
    is cut in order of intended start into 6 to 12 blocks of equal count, and the blocks are the pairs. That
    answers for what varies inside a run, not for what changed on the machine between the two: where that
    matters, measure both targets interleaved.
    """
    reasons = tuple(
        f"{key}: {fingerprint_a.get(key, 'not recorded')} against {fingerprint_b.get(key, 'not recorded')}"
        for key in FINGERPRINT
        if key not in fingerprint_a or fingerprint_a[key] != fingerprint_b.get(key)
    )
    if reasons:
        return Comparison(Change.CANNOT_COMPARE, 0, reasons=reasons)
    runs = [_judged(run, metric) for run in (run_a, run_b)]
    need = carries(quantile_of(label))
    count = min(MOST_BLOCKS, *(_observations(run, metric) // need for run in runs), *map(len, runs))
    if count < LEAST_PAIRS:
        short = f"each run needs {LEAST_PAIRS * need} observations of {metric} for {LEAST_PAIRS} blocks"
        return Comparison(Change.INCONCLUSIVE, count, reasons=(short,))
    blocks = [(_block(runs[0], i, count), _block(runs[1], i, count)) for i in range(count)]
    return compare_pairs(blocks, metric, label, floor)


def false_alarms(
    draw: Callable[[Random], float], *, pairs: int, rounds: int, seed: int, floor: float = FLOOR
) -> float:
    """The share of rounds in which A against A is called slower, for figures drawn by `draw`; seeded."""
    random = Random(seed)
    alarms = 0
    for _ in range(rounds):
        alike = [(draw(random), draw(random)) for _ in range(pairs)]
        alarms += compare_ratios(alike, floor).change is Change.SLOWER
    return alarms / rounds


def _change(ratio: float, low: float, high: float, floor: float) -> Change:
    if low > 1 and ratio >= floor:
        return Change.SLOWER
    if high < 1 and ratio <= 1 / floor:
        return Change.FASTER
    if 1 / floor < low and high < floor:
        return Change.SAME
    return Change.INCONCLUSIVE


def _subsets(values: Sequence[float]) -> list[tuple[float, int]]:
    """Sum and size of every subset; of 65 536 drawn ones when there are too many."""
    if len(values) <= _ENUMERATED:
        subsets = [(0.0, 0)]
        for value in values:
            subsets += [(part + value, size + 1) for part, size in subsets]
        return subsets
    random = Random(0)
    drawn = []
    for _ in range(2**_ENUMERATED):
        chosen = [value for value in values if random.getrandbits(1)]
        drawn.append((sum(chosen), len(chosen)))
    return drawn


def _judged(rows: Sequence[StreamRow], metric: str) -> list[StreamRow]:
    """The rows that count in the metric, in order of intended start."""

    def counts(row: StreamRow) -> bool:
        if metric == GAPS:
            measured, applies = bool(row.gaps), row.stream
        else:
            measure = MEASURES[metric]
            measured, applies = measure.of(row) is not None, row.stream or not measure.streams_only
        unfinished = row.ending not in (Ending.COMPLETE, Ending.LEFT)
        return applies and (unfinished or (measured and row.ending is Ending.COMPLETE))

    return sorted(filter(counts, rows), key=lambda row: row.intended_ns)


def _observations(rows: Sequence[StreamRow], metric: str) -> int:
    if metric == GAPS:
        found = gap_sample(rows)
        return found.gaps.total + found.infinite
    return len(rows)


def _block(rows: Sequence[StreamRow], index: int, count: int) -> Sequence[StreamRow]:
    return rows[len(rows) * index // count : len(rows) * (index + 1) // count]
