"""The search for the highest rate that meets the SLO: runs the steps that `metrics.capacity` asks for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from chatproof.metrics import Histogram, StreamRow
from chatproof.metrics.capacity import CapacitySearch, Outcome
from chatproof.metrics.figures import adjusted
from chatproof.metrics.measures import clock_of
from chatproof.metrics.slo import fewest, hopeless
from chatproof.record import Ending
from chatproof.swarm.asking.arrivals import Leg
from chatproof.swarm.master.conductor import Conductor
from chatproof.swarm.master.ledger import Ledger
from chatproof.swarm.master.summary import slo_verdict
from chatproof.swarm.worker.health import Health, complaints

NS = 1_000_000_000
SETTLE_S = 10.0  # the longest that a step waits for its last streams
LONGER = 3  # times the length, for a second try
SPARE = 2  # times the fewest requests that can show it: room for some that are over
MOST_S = 120.0  # a step is not stretched beyond that


def search(conductor: Conductor, pause: Callable[[int | None], str | None]) -> str:
    """Runs steps until the search has ended; why it did. The table of steps is left in the conductor's `extra`."""
    options = conductor.options
    ledger = conductor.ledger
    assert ledger is not None
    found = CapacitySearch(low=min(options["rate"], options["max_rate"]), high=options["max_rate"])
    need = fewest(conductor.terms)
    table: list[dict[str, Any]] = []
    reason = None
    while (ask := found.next) is not None and reason is None:
        seconds = step_seconds(options["step_s"], ask.rate, need, longer=ask.longer)
        start_ns = time.monotonic_ns() - conductor.epoch_ns
        before = {health.worker: health for health in ledger.health}
        conductor.fly((Leg(ask.rate, seconds, options["arrival"]),))
        planned = max(1, round(ask.rate * seconds))
        rows, stopped_early = [], False
        until_ns = time.monotonic_ns() + int((seconds + 0.1) * NS)
        settled_ns = until_ns + int(SETTLE_S * NS)
        while reason is None and time.monotonic_ns() < settled_ns:
            reason = pause(None)
            rows = [row for row in ledger.rows if row.intended_ns >= start_ns]
            if not stopped_early and any(
                hopeless(term, rows, planned) for term in conductor.terms if _has(rows)
            ):
                stopped_early = True
                settled_ns = until_ns  # the step's arrivals still come, but nobody waits for their ends
            if time.monotonic_ns() >= until_ns and not ledger.running:
                break
        if reason is not None:
            break
        outcome = _outcome(conductor, ledger, rows, before)
        found = found.after(outcome)
        table.append(_row(ask.rate, seconds, outcome, rows, conductor, stopped_early=stopped_early))
        conductor.say(
            f"step {len(table)}: {ask.rate:.4g}/s {outcome.value}, {len(rows)} requests in {seconds:.4g} s"
        )
        if outcome is Outcome.INCONCLUSIVE and ask.longer and len(rows) < need:
            reason = (
                f"{len(rows)} requests in {seconds:.4g} s cannot show that {ask.rate:.4g}/s meets the SLO, which takes "
                f"{need}: give a higher --rate or a longer --step-s"
            )
    result = found.result
    conductor.extra["capacity"] = {
        "knee_per_s": result.knee,
        "not_met_per_s": result.not_met,
        "reason": reason or result.reason,
        "objectives": [term.text for term in conductor.terms],
        "steps": table,
    }
    return reason or f"the search ended: {result.reason}"


def step_seconds(asked: float, rate: float, need: int, *, longer: bool) -> float:
    """How long a step lasts: as asked, but for as many requests as may decide, within two minutes of it."""
    enough = min(SPARE * need / rate, MOST_S)
    return max(asked, enough) * (LONGER if longer else 1)


def _has(rows: list[StreamRow]) -> bool:
    return any(row.ending is Ending.COMPLETE for row in rows)


def _outcome(
    conductor: Conductor, ledger: Ledger, rows: list[StreamRow], before: dict[str, Health]
) -> Outcome:
    during = [_since(health, before.get(health.worker)) for health in ledger.health]
    if complaints(during, clock_of(rows)):
        return Outcome.INVALID
    return Outcome(slo_verdict(conductor.terms, rows).value)


def _since(now: Health, before: Health | None) -> Health:
    """A worker's health of this step alone."""
    if before is None:
        return now
    packed = {
        name: _less(getattr(now, name), getattr(before, name))
        for name in ("hub_lag", "canary", "schedule_lag")
    }
    return msgspec.structs.replace(
        now,
        **packed,
        cpu=now.cpu[len(before.cpu) :],
        gc_max_ns=now.gc_max_ns if now.gc_max_ns > before.gc_max_ns else 0,
        arrivals=now.arrivals - before.arrivals,
        dropped=now.dropped - before.dropped,
        canary_expected=False,
    )


def _less(now: str, before: str) -> str:
    counts = dict(Histogram.unpack(now).counts)
    for bucket, count in Histogram.unpack(before).counts.items():
        counts[bucket] = counts.get(bucket, 0) - count
    return Histogram({bucket: count for bucket, count in counts.items() if count > 0}).pack()


def _row(
    rate: float,
    seconds: float,
    outcome: Outcome,
    rows: list[StreamRow],
    conductor: Conductor,
    *,
    stopped_early: bool,
) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "rate_per_s": round(rate, 4),
        "seconds": seconds,
        "outcome": outcome.value,
        "requests": len(rows),
        "complete": sum(row.ending is Ending.COMPLETE for row in rows),
        "hopeless_early": stopped_early,
    }
    for term in conductor.terms:
        if term.label:
            value = adjusted(rows, term.metric, term.label).value
            shown[f"{term.metric}_{term.label}_s"] = None if value is None else value / NS
    return shown
