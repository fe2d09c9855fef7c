"""Whether a stream was sent as it was made: what the instants of its content say (STR-09). Knows no clock.

The clause counts *moments*: instants more than `apart_ms` apart, taken greedily from the first. But what a proxy
flushes at once still takes a while to write and to read, and on a slow machine may spread over several moments. So
the instants are also grouped into *bursts*, which a silence of more than `apart_ms` tells apart; a burst that does not
last counts for one. Too few moments are a violation; enough moments in too few bursts, or with two long silences and
little else between them, are *unclear*, and another stream must decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from chatproof.answer import Answer
from chatproof.target import Settings

# Measured on two cores with four busy loops beside client and server: a flush of 27 to 80 events takes 1 to 5 ms, and
# is now and then cut in pieces 3 to 5 ms apart.
ENOUGH = 30  # content events without which nothing is judged
LASTING = 3  # a burst as long as three times the moments asked for (24 ms) is no flush
PLENTY = 2  # at so many times the moments asked for, a flush or two cut in pieces change nothing
SILENT_SHARE = 0.7  # of the time: three blocks have two silences and little else
NS_PER_MS = 1_000_000
TEXTS = (("content",), ("reasoning_content", "reasoning"))  # a model may do nothing but think


class Pace(StrEnum):
    """How the content of one stream came."""

    STEADY = "steady"  # at many more moments than asked for
    COARSE = "coarse"  # at enough moments: one flush cut in two would look like it
    BLOCKS = "blocks"  # at too few, or nearly all at one of them
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Arrival:
    """The instant at which one event brought text, and how many characters."""

    at_ns: int
    size: int


def arrivals(answer: Answer) -> tuple[Arrival, ...]:
    """The arrivals of the stream's visible text, or of its reasoning where only that is long enough to judge."""
    found = [_arrivals(answer, names) for names in TEXTS]
    return next((some for some in found if len(some) >= ENOUGH), found[0])


def _arrivals(answer: Answer, names: Sequence[str]) -> tuple[Arrival, ...]:
    texts = ((piece, next((t for n in names if (t := piece.delta.get(n))), None)) for piece in answer.pieces)
    return tuple(Arrival(p.chunk.event.at_ns, len(t)) for p, t in texts if isinstance(t, str))


def first_text_ns(answer: Answer) -> int | None:
    """When the first text or reasoning came, from the moment the request was sent; `None` where none came."""
    instants = [some[0].at_ns for names in TEXTS if (some := _arrivals(answer, names))]
    sent_ns = answer.exchange.sent_ns or answer.exchange.started_ns
    return min(instants) - sent_ns if instants else None


def pace(content: Sequence[Arrival], settings: Settings) -> Pace:
    """How content came, judged by the settings' `incremental`."""
    rule = settings.incremental
    apart_ns = int(rule.apart_ms * NS_PER_MS)

    def kept(groups: Sequence[int]) -> bool:
        return len(groups) >= rule.moments and max(groups) <= rule.largest_share * sum(groups)

    if not kept(moments(content, apart_ns)):
        return Pace.BLOCKS
    sure = bursts(content, apart_ns, LASTING * rule.moments * apart_ns)
    if not kept(sure) or mostly_silent(content, rule.moments - 2):
        return Pace.UNCLEAR
    return Pace.STEADY if len(sure) >= PLENTY * rule.moments else Pace.COARSE


def mostly_silent(content: Sequence[Arrival], silences: int) -> bool:
    """Whether so many silences between arrivals are nearly all of the time from the first to the last."""
    gaps = sorted(later.at_ns - earlier.at_ns for earlier, later in pairwise(content))
    return sum(gaps[len(gaps) - silences :]) > SILENT_SHARE * sum(gaps)


def moments(content: Sequence[Arrival], apart_ns: int) -> list[int]:
    """Characters that came at each moment: within `apart_ns` of its first arrival."""
    groups: list[int] = []
    first_ns = 0
    for arrival in content:
        if not groups or arrival.at_ns - first_ns > apart_ns:
            groups.append(0)
            first_ns = arrival.at_ns
        groups[-1] += arrival.size
    return groups


def bursts(content: Sequence[Arrival], apart_ns: int, lasting_ns: int) -> list[int]:
    """Characters that came in each burst, with no silence above `apart_ns` in it; a lasting one counts by moments."""
    found: list[list[Arrival]] = []
    for arrival in content:
        if not found or arrival.at_ns - found[-1][-1].at_ns > apart_ns:
            found.append([])
        found[-1].append(arrival)
    groups: list[int] = []
    for burst in found:
        lasts = burst[-1].at_ns - burst[0].at_ns >= lasting_ns
        groups += moments(burst, apart_ns) if lasts else [sum(arrival.size for arrival in burst)]
    return groups


def described(content: Sequence[Arrival], settings: Settings) -> str:
    """What was seen, in a few words."""
    groups = moments(content, int(settings.incremental.apart_ms * NS_PER_MS))
    share = round(100 * max(groups) / sum(groups))
    number = f"{len(groups)} moment{'s' if len(groups) != 1 else ''}"
    span_ms = (content[-1].at_ns - content[0].at_ns) / NS_PER_MS
    return f"{len(content)} content events at {number} within {span_ms:.1f} ms, {share} % of the text at one of them"
