"""What each metric is: its formula over one row, and the sample it makes of a run. Knows only rows.

Plain samples hold the complete streams; every other ending but `left` is unfinished and infinitely slow when
adjusted. `lost` and `still_running` are unfinished too: what was not seen is not assumed to be good.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from chatproof.metrics.percentiles import Sample
from chatproof.metrics.rows import Clock, StreamRow
from chatproof.record import Ending


def ttft(row: StreamRow) -> int | None:
    """Time to first token: first_content - intended, in ns; a role-only or reasoning event never counts."""
    return _from(row.intended_ns, row.first_content_ns)


def ttft_actual(row: StreamRow) -> int | None:
    """Time to first token from the actual start: first_content - started, in ns."""
    return _from(row.started_ns, row.first_content_ns)


def ttfr(row: StreamRow) -> int | None:
    """Time to first reasoning: first_reasoning - intended, in ns."""
    return _from(row.intended_ns, row.first_reasoning_ns)


def ttfb(row: StreamRow) -> int | None:
    """Time to first byte of the body: first_byte - intended, in ns."""
    return _from(row.intended_ns, row.first_byte_ns)


def e2e(row: StreamRow) -> int | None:
    """End to end: ended - intended, in ns."""
    return _from(row.intended_ns, row.ended_ns)


def e2e_actual(row: StreamRow) -> int | None:
    """End to end from the actual start: ended - started, in ns."""
    return _from(row.started_ns, row.ended_ns)


def lag(row: StreamRow) -> int:
    """How late the client started: started - intended, in ns."""
    return row.started_ns - row.intended_ns


def tpot(row: StreamRow) -> int | None:
    """Time per output token: (last_content - first token) / (completion_tokens - 1), in ns.

    The first token is the first content, or the first reasoning where that came earlier: completion_tokens
    counts both. None with fewer than two tokens.
    """
    first = first_token_ns(row)
    if first is None or row.last_content_ns is None or (row.completion_tokens or 0) < 2:
        return None
    return (row.last_content_ns - first) // ((row.completion_tokens or 0) - 1)


def first_token_ns(row: StreamRow) -> int | None:
    """The instant of the first reasoning or content, whichever came first."""
    return min((at for at in (row.first_reasoning_ns, row.first_content_ns) if at is not None), default=None)


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric with one value a stream: its formula, and whether unstreamed answers have it too."""

    of: Callable[[StreamRow], int | None]
    streams_only: bool = True


MEASURES: Final[Mapping[str, Measure]] = {
    "ttft": Measure(ttft),
    "ttft_actual": Measure(ttft_actual),
    "ttfr": Measure(ttfr),
    "ttfb": Measure(ttfb, streams_only=False),
    "e2e": Measure(e2e, streams_only=False),
    "e2e_actual": Measure(e2e_actual, streams_only=False),
    "tpot": Measure(tpot),
}


def sample(rows: Iterable[StreamRow], name: str) -> Sample:
    """The sample of the metric `name` over some rows."""
    measure = MEASURES[name]
    values: list[int] = []
    counts = Counter[str]()
    for row in rows:
        if measure.streams_only and not row.stream:
            continue
        if row.ending is Ending.COMPLETE:
            value = measure.of(row)
            if value is None:
                counts["not_applicable"] += 1
            else:
                values.append(value)
        else:
            counts["left" if row.ending is Ending.LEFT else "unfinished"] += 1
    return Sample(tuple(sorted(values)), **counts)


def endings(rows: Iterable[StreamRow]) -> dict[str, int]:
    """Streams by ending, every ending named, the ones that never happened with 0."""
    counts = Counter(row.ending for row in rows)
    return {ending.value: counts[ending] for ending in Ending}


def clock_of(rows: Iterable[StreamRow]) -> Clock:
    """The clock a figure may claim: `kernel` only when the kernel stamped every row that got bytes."""
    clocks = {row.clock for row in rows if row.first_byte_ns is not None}
    return "kernel" if clocks == {"kernel"} else "user"


def spent(rows: Iterable[StreamRow]) -> tuple[Decimal, int]:
    """Credits charged over some rows, and how many complete rows did not say."""
    total, silent = Decimal(0), 0
    for row in rows:
        if row.credits is not None:
            total += Decimal(row.credits)
        elif row.ending is Ending.COMPLETE:
            silent += 1
    return total, silent


def _from(start: int, instant: int | None) -> int | None:
    return None if instant is None else instant - start
