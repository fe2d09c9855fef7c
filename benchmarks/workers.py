"""One load worker against two: how many paced streams each holds, where there are cores for it; else what can be shown.

`held` needs a core for the server, two for the workers and one for the rest of the machine. On fewer cores two workers
share the client's one, and what is measured is whether a second worker costs more per event than it carries.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.machine import CLIENT_CORE, CORES, SERVER_CORE
from benchmarks.ours import Run, steady
from benchmarks.row import WORKS, Row, Work, row_of
from benchmarks.source import Binaries, log_of, serving

ENOUGH_CORES = 4
FLOOR = 1.7  # of the streams that one worker holds, two should hold
ERROR_MS = 0.2
STEP = 1.15
FIRST, LAST = 600, 8000


@dataclass(frozen=True, slots=True)
class Held:
    """One run with some workers: what it did and why it does not count as held, if so."""

    workers: int
    users: int
    row: Row
    why_not: str
    cpu_us: float
    """Processor time of all workers together, microseconds an event; neither starting nor locust's master is in it."""


def look(binaries: Binaries, work: Work, workers: int, cores: str) -> Held:
    """One run of all of `chatproof` with so many workers on these cores, judged."""
    with serving(binaries) as root:
        run = steady(root, work, cores=cores, workers=workers)
        log = log_of(root)
    row = row_of(f"chatproof, {workers} worker{'s' * (workers > 1)}", work, run.told, log)
    health = run.load["health"]["workers"]
    busy_s = sum(sum(worker["cpu_per_s"]) for worker in health)
    return Held(workers, work.users, row, _why_not(run, row), busy_s / log.events * 1e6)


def _why_not(run: Run, row: Row) -> str:
    if not row.on_time:
        return f"the server was {row.lag_p99_ms:.1f} ms late"
    if run.verdict == "invalid":
        return "the run is INVALID"
    if row.error_p99_ms is None or row.error_p99_ms > ERROR_MS:
        return f"TTFT error p99 {row.error_p99_ms} ms"
    complete, streams = map(int, row.complete.split("/"))
    if complete < streams:
        return f"{streams - complete} streams not complete"
    return ""


def most_held(binaries: Binaries, workers: int, cores: str, first: int = FIRST) -> Held | None:
    """The last of growing loads that was held; each is tried up to three times. None where not even the first was."""
    best: Held | None = None
    users = first
    while users <= LAST:
        work = replace(WORKS[-1], name=f"paced {users}", users=users)
        tries = (look(binaries, work, workers, cores) for _ in range(work.tries))
        held = next((found for found in tries if not found.why_not), None)
        if held is None:
            break
        print(f"{workers} workers hold {users}", file=sys.stderr)
        best, users = held, round(users * STEP)
    return best


def compared(binaries: Binaries) -> str:
    """What two workers do against one on this machine, as text for the report."""
    if CORES < ENOUGH_CORES:
        return f"{_not_measured()}\n\n{_cost(binaries)}"
    one = most_held(binaries, 1, CLIENT_CORE)
    two = most_held(binaries, 2, f"{CLIENT_CORE},2", first=one.users if one else FIRST)
    if one is None or two is None:
        return f"One worker against two: not measured: not even {FIRST} paced streams were held."
    ratio = two.users / one.users
    return (
        f"Paced streams held: {one.users} by one worker on core {CLIENT_CORE}, {two.users} by two on cores"
        f" {CLIENT_CORE} and 2: {ratio:.2f} x (design floor {FLOOR} x; steps of {STEP} x)."
    )


def _not_measured() -> str:
    return (
        f"One worker against two, paced streams held: not measured: {CORES} cores; the server has core {SERVER_CORE}"
        f" to itself and leaves none for a second worker. It takes {ENOUGH_CORES}."
    )


def _cost(binaries: Binaries) -> str:
    """What a second worker costs where both share a core; the least of three runs each, taken in turns."""
    work = replace(WORKS[-2], seconds=10)
    runs: dict[int, list[Held]] = {1: [], 2: []}
    for _ in range(work.tries):
        for workers, found in runs.items():
            found.append(look(binaries, work, workers, CLIENT_CORE))
    least = {workers: min(found, key=lambda each: each.cpu_us) for workers, found in runs.items()}
    one, two = least[1].cpu_us, least[2].cpu_us
    return (
        f"At {work.name}, all workers on core {CLIENT_CORE}: one worker takes {one:.1f} us of processor an event, two"
        f" together {two:.1f} us ({two / one:.2f} x; {_errors(least[1], least[2])})."
    )


def _errors(*found: Held) -> str:
    shown: Sequence[str] = [f"{each.row.error_p99_ms or 0:.3f} ms" for each in found]
    return f"TTFT error p99 {' and '.join(shown)}"
