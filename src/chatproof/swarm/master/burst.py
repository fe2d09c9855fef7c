"""What a burst did: the legs of an open loop one by one, and how long after it the target was itself again. Pure.

A leg's requests are those that it meant to start. The target is itself again from the first second on after which no
second's median TTFT is above what 95 % of the streams before the burst kept. What never came counts as infinitely slow.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from chatproof.metrics import StreamRow
from chatproof.metrics.figures import adjusted_each
from chatproof.record import Ending
from chatproof.swarm.asking.arrivals import Leg

NS = 1_000_000_000


def burst(legs: Sequence[Leg], rows: Sequence[StreamRow], begins_ns: int) -> dict[str, Any] | None:
    """`load.burst` of the report: the legs, and `recovery_s`; None where the rate never rose and fell again.

    `begins_ns` is where the first leg begins, on the rows' clock.
    """
    peak = max(range(len(legs)), key=lambda number: legs[number].rate, default=0)
    if not 0 < peak < len(legs) - 1:
        return None
    starts = [begins_ns + round(sum(leg.seconds for leg in legs[:n]) * NS) for n in range(len(legs) + 1)]
    parts = [[row for row in rows if start <= row.intended_ns < end] for start, end in pairwise(starts)]
    shown = [
        _leg(leg, part, start - begins_ns) for leg, part, start in zip(legs, parts, starts, strict=False)
    ]
    usual = adjusted_each(parts[peak - 1], "ttft", ("p95",))["p95"].value
    after = [row for part in parts[peak + 1 :] for row in part]
    return {"legs": shown, "recovery_s": _recovery_s(after, starts[peak + 1], usual)}


def _leg(leg: Leg, rows: Sequence[StreamRow], start_ns: int) -> dict[str, Any]:
    ttft = adjusted_each(rows, "ttft", ("p50", "p95"))
    return {
        "from_s": start_ns / NS,
        "seconds": leg.seconds,
        "asked_per_s": leg.rate,
        "achieved_per_s": len(rows) / leg.seconds,
        "requests": len(rows),
        "complete": sum(row.ending is Ending.COMPLETE for row in rows),
        **{f"ttft_{label}_s": None if at.value is None else at.value / NS for label, at in ttft.items()},
    }


def _recovery_s(rows: Sequence[StreamRow], start_ns: int, usual_ns: float | None) -> int | None:
    """Whole seconds after the burst; None where it never was itself again, or before was too little to tell."""
    seconds: dict[int, list[float]] = {}
    for row in rows:
        ttft = float("inf") if row.first_content_ns is None else row.first_content_ns - row.intended_ns
        if row.ending is not Ending.LEFT:
            seconds.setdefault((row.intended_ns - start_ns) // NS, []).append(ttft)
    if usual_ns is None or not seconds:
        return None
    slow = [at for at, values in seconds.items() if sorted(values)[len(values) // 2] > usual_ns]
    recovered = max(slow, default=-1) + 1
    return recovered if recovered <= max(seconds) else None
