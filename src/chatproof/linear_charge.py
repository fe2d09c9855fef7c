"""Whether charges follow usage linearly: does one price pair explain them all? Knows no price table.

Each call says |a x prompt + b x completion - credits| <= one unit of the last printed place: a strip of the
plane of all price pairs (a, b). The pairs that explain every call are what the strips and the quadrant a, b
>= 0 have in common, a convex polygon. It is cut strip by strip, in exact fractions, so that empty means
empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from chatproof.money import Printed

Point = tuple[Fraction, Fraction]


@dataclass(frozen=True, slots=True)
class Call:
    """What one answer says of its price; answers with cached prompt tokens have no place here."""

    prompt: int
    completion: int
    credits: Printed

    def __str__(self) -> str:
        return f"{self.prompt} prompt + {self.completion} completion tokens for {self.credits} credits"


@dataclass(frozen=True, slots=True)
class Linearity:
    """Whether one price pair explains the calls: yes, no, or `None` where they cannot decide; and why."""

    linear: bool | None
    reason: str


def linearity(calls: Sequence[Call]) -> Linearity:
    """Judge BIL-08 on calls of one model; it takes three whose token counts are not collinear."""
    distinct = len({(call.prompt, call.completion) for call in calls})
    if distinct < 3:
        return Linearity(None, f"calls with three different token counts are needed, there are {distinct}")
    if _collinear(calls):
        return Linearity(None, "the (prompt, completion) counts of all calls lie on one line")
    contradiction = first_contradiction(calls)
    if contradiction is not None:
        return Linearity(False, f"no price pair explains {contradiction} beside the calls before it")
    return Linearity(True, f"one price pair explains all {len(calls)} calls")


def first_contradiction(calls: Sequence[Call]) -> Call | None:
    """The first call that no non-negative price pair explains beside all calls before it, or `None`."""
    # A strip bounds a wherever prompt > 0, b wherever completion > 0; a price that nothing bounds is free:
    # take 0.
    ceilings = [(call, Fraction(call.credits.value + call.credits.unit)) for call in calls]
    right = min((top / call.prompt for call, top in ceilings if call.prompt > 0), default=Fraction(0))
    up = min((top / call.completion for call, top in ceilings if call.completion > 0), default=Fraction(0))
    zero = Fraction(0)
    right, up = max(right, zero), max(up, zero)
    polygon: list[Point] = [(zero, zero), (right, zero), (right, up), (zero, up)]
    for call, ceiling in ceilings:
        floor = ceiling - 2 * Fraction(call.credits.unit)
        polygon = _clip(polygon, call.prompt, call.completion, ceiling)
        polygon = _clip(polygon, -call.prompt, -call.completion, -floor)
        if not polygon:
            return call
    return None


def _clip(polygon: Iterable[Point], x: int, y: int, most: Fraction) -> list[Point]:
    """The part of a convex polygon where x * a + y * b <= most; edges are inside, so a point is enough."""
    corners = [(point, x * point[0] + y * point[1] - most) for point in polygon]
    kept: dict[Point, None] = {}
    for (here, over), (there, over_there) in pairwise([*corners, *corners[:1]]):
        if over <= 0:
            kept[here] = None
        if (over < 0 < over_there) or (over_there < 0 < over):
            part = over / (over - over_there)
            kept[here[0] + part * (there[0] - here[0]), here[1] + part * (there[1] - here[1])] = None
    return list(kept)


def _collinear(calls: Sequence[Call]) -> bool:
    """Whether all counts lie on one line."""
    first = calls[0]
    steps = [(call.prompt - first.prompt, call.completion - first.completion) for call in calls]
    x, y = max(steps, key=lambda step: abs(step[0]) + abs(step[1]))
    return all(x * other_y == y * other_x for other_x, other_y in steps)
