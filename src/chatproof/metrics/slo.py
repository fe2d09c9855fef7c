"""The verdict on service level objectives, by a one-sided binomial bound. Knows only terms and rows.

A term allows a share of streams to be over its limit. With x of n streams over the limit it is

- PASS when so few would be seen with at most 5 % chance if the true share were the allowed one,
- FAIL when so many would be seen with at most 5 % chance if the true share were the allowed one,
- INCONCLUSIVE otherwise: the run is too short to tell.

Latencies are judged on adjusted samples from the intended start: unfinished streams are over every limit,
`left` ones are not judged. Gaps count as `GapSample.independent` says. Each term has its own 5 %: with m
terms that all stand exactly at their limit, a run fails wrongly with at most m times 5 %, and passes wrongly
with at most 5 %.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, floor, log, log1p
from typing import Final

from chatproof.metrics.binomial import ALPHA, at_least, at_most, share_above, share_below
from chatproof.metrics.gaps import gap_percentile, gap_quantile, gap_sample
from chatproof.metrics.measures import MEASURES, sample
from chatproof.metrics.percentiles import percentile, seconds
from chatproof.metrics.rows import StreamRow
from chatproof.metrics.terms import COMPLETE, GAPS, Term
from chatproof.record import Ending

_MOST_STREAMS: Final = 10_000_000  # nobody runs a longer test to settle a term


class Judgement(StrEnum):
    """What a run shows of a term."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class NotMeasured(ValueError):
    """A term names a metric that no stream of the run has: a mistake of whoever wrote the term."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A term and what the run shows of it."""

    term: Term
    judgement: Judgement
    n: int
    """Independent observations: streams; for gaps what they are worth in streams."""
    over: float
    """How many of them are over the limit."""
    value: float | None
    """The adjusted percentile in seconds, or the complete fraction; None with `value_reason`."""
    value_reason: str | None
    more_streams: int | None
    """How many more streams would decide if the observed share stayed; None when decided, or none would."""

    @property
    def reason(self) -> str:
        """One line: what was seen, what is allowed, what is shown, and what would decide."""
        if not self.n:
            return "no stream to judge"
        seen = f"{self.over:g} of {self.n} over the limit ({self.over / self.n:.3%})"
        allowed = f"{self.term.allowed:.3%} allowed"
        if self.judgement is Judgement.PASS:
            return f"{seen}, {allowed}; shown to be at most {share_below(ceil(self.over), self.n):.3%}"
        if self.judgement is Judgement.FAIL:
            return f"{seen}, {allowed}; shown to be at least {share_above(floor(self.over), self.n):.3%}"
        more = f"{self.more_streams} more streams" if self.more_streams else "no number of streams"
        return f"{seen}, {allowed}; {more} would decide if this share stayed"


def judge(term: Term, rows: Sequence[StreamRow]) -> Judged:
    """What the rows show of a term; NotMeasured when none of them has its metric."""
    if term.metric == COMPLETE:
        judged = [row.ending is Ending.COMPLETE for row in rows if row.ending is not Ending.LEFT]
        n, over, streams = len(judged), float(judged.count(False)), len(judged)
        value, why = (1 - over / n, None) if n else (None, "n = 0")
    elif term.metric == GAPS:
        gaps = gap_sample(rows)
        _require(term, gaps.observed or gaps.left > 0 or not rows)
        n, streams = gaps.independent(adjusted=True), gaps.streams + gaps.unfinished
        seen = gaps.gaps.over(term.limit_ns) + gaps.infinite
        over = seen * n / (gaps.gaps.total + gaps.infinite) if n else 0.0
        shown = gap_percentile(gaps, term.label, adjusted=True)
        value, why = seconds(shown.value), shown.reason
    else:
        found = sample(rows, term.metric)
        _require(term, found.observed or found.left > 0 or not rows)
        n = streams = len(found.values) + found.unfinished
        over = float(sum(map(term.over, found.values)) + found.unfinished)
        shown = percentile(found, term.label, adjusted=True)
        value, why = seconds(shown.value), shown.reason
    judgement = weigh(over, n, term.allowed)
    more = more_needed(over, n, term.allowed) if judgement is Judgement.INCONCLUSIVE and n else None
    return Judged(term, judgement, n, over, value, why, ceil(more * streams / n) if more else None)


def overall(judged: Iterable[Judged]) -> Judgement:
    """The verdict on all terms: fail beats inconclusive beats pass; no term at all is inconclusive."""
    seen = {each.judgement for each in judged}
    order = (Judgement.FAIL, Judgement.INCONCLUSIVE, Judgement.PASS)
    return next((each for each in order if each in seen), Judgement.INCONCLUSIVE)


def slo_report(judged: Sequence[Judged]) -> dict[str, object]:
    """The verdict on all terms and each term's row, in the report's form."""
    return {
        "verdict": overall(judged).value,
        "terms": [
            {
                "term": each.term.text,
                "verdict": each.judgement.value,
                "n": each.n,
                "over": round(each.over, 3),
                "allowed": each.term.allowed,
                "value": each.value,
                "value_reason": each.value_reason,
                "more_streams": each.more_streams,
                "reason": each.reason,
            }
            for each in judged
        ],
    }


def weigh(over: float, n: int, allowed: float) -> Judgement:
    """The verdict on `over` of `n` streams above a limit where the share `allowed` may be; exact tails."""
    if n and at_most(ceil(over - 1e-9), n, allowed) <= ALPHA:
        return Judgement.PASS
    if n and at_least(floor(over + 1e-9), n, allowed) <= ALPHA:
        return Judgement.FAIL
    return Judgement.INCONCLUSIVE


def more_needed(over: float, n: int, allowed: float) -> int | None:
    """How many more streams would decide if the share over the limit stayed as seen; None when none would.

    None also when it takes more than ten million.
    """

    def decided(total: int) -> bool:
        return weigh(over * total / n, total, allowed) is not Judgement.INCONCLUSIVE

    enough = n
    while not decided(enough):
        if enough > _MOST_STREAMS:
            return None
        enough *= 2
    short = enough // 2
    while enough - short > 1:
        middle = (enough + short) // 2
        if decided(middle):
            enough = middle
        else:
            short = middle
    return max(0, enough - n)


def fewest(terms: Iterable[Term]) -> int:
    """The fewest streams that can show all terms to be met: 59 for a p95, 299 for a p99, at least 1."""
    return max((ceil(log(ALPHA) / log1p(-term.allowed)) for term in terms), default=1)


def hopeless(term: Term, rows: Sequence[StreamRow], planned: int) -> bool:
    """Whether the term fails at `planned` streams even if every stream still to come keeps it.

    Stopping on this alone leaves the error of the final verdict as it is.
    """
    if term.metric == GAPS or not rows:
        return False  # the weight of a gap is not known before the streams are
    return at_least(floor(judge(term, rows).over), planned, term.allowed) <= ALPHA


def meets(terms: Iterable[Term], row: StreamRow) -> bool:
    """Whether one stream is complete and keeps the limit of every term it has the metric of.

    Its gaps are judged by their own percentile.
    """
    if row.ending is not Ending.COMPLETE:
        return False
    for term in terms:
        if term.metric == COMPLETE:
            continue
        own = gap_quantile(row, term.label) if term.metric == GAPS else MEASURES[term.metric].of(row)
        if own is not None and term.over(own):
            return False
    return True


def _require(term: Term, measured: bool) -> None:
    if not measured:
        raise NotMeasured(
            f"SLO {term.text!r}: no stream of this run has {term.metric}; drop the term or measure it"
        )
