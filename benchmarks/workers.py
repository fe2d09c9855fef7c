"""One load worker against two: how many paced streams each holds, where there are cores for it; else what can be shown.

`held` needs a core for the server, two for the workers and one for the rest of the machine. On fewer cores two workers
share the client's one, and what is measured is whether a second worker costs more per event than it carries.
"""

from __future__ import annotations

import sys
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
    """One run of all of `chatproof` with so many workers on these cores, judged; one has the priority of two."""
    with serving(binaries) as root:
        run = steady(root, work, cores=cores, workers=workers, processes=2)
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


@dataclass(frozen=True, slots=True)
class Most:
    """The highest load that some workers held, and what was wrong with the next."""

    workers: int
    users: int
    then: str

    def __str__(self) -> str:
        several = "s" if self.workers > 1 else ""
        return f"{self.users} by {self.workers} worker{several} (at the next step: {self.then})"


def most_held(binaries: Binaries, workers: int, cores: str, first: int = FIRST) -> Most:
    """The last of growing loads that was held, each tried up to three times; 0 where not even the first was."""
    held, users = 0, first
    while users <= LAST:
        work = replace(WORKS[-1], name=f"paced {users}", users=users)
        why_not = ""
        for _ in range(work.tries):
            why_not = look(binaries, work, workers, cores).why_not
            if not why_not:
                break
        print(f"{workers} workers, {users} streams: {why_not or 'held'}", file=sys.stderr)
        if why_not:
            return Most(workers, held, why_not)
        held, users = users, round(users * STEP)
    return Most(workers, held, "not tried")


def compared(binaries: Binaries) -> str:
    """What two workers do against one on this machine, as text for the report."""
    if CORES < ENOUGH_CORES:
        return f"{_not_measured()}\n\n{_cost(binaries)}"
    one = most_held(binaries, 1, CLIENT_CORE)
    two = most_held(binaries, 2, f"{CLIENT_CORE},2", first=one.users or FIRST)
    ratio = f"{two.users / one.users:.2f} x" if one.users else "no ratio"
    return (
        f"Paced streams held: {one}, {two}, the workers on cores {CLIENT_CORE} and 2: {ratio} (design floor"
        f" {FLOOR} x; steps of {STEP} x)."
    )


def _not_measured() -> str:
    return (
        f"One worker against two, paced streams held: not measured: {CORES} cores; the server has core {SERVER_CORE}"
        f" to itself and leaves none for a second worker. It takes {ENOUGH_CORES}."
    )


def _cost(binaries: Binaries) -> str:
    """What a second worker costs where both share a core: of the runs that were held, taken in turns, the least."""
    work = replace(WORKS[-2], seconds=10)
    runs: dict[int, list[Held]] = {1: [], 2: []}
    for _ in range(work.tries):
        for workers, found in runs.items():
            found.append(look(binaries, work, workers, CLIENT_CORE))
    held = {workers: [run for run in found if not run.why_not] for workers, found in runs.items()}
    for workers, found in runs.items():
        if not held[workers]:
            return f"What a second worker costs: not measured: {workers} on one core: {found[-1].why_not}."
    one, two = (min(run.cpu_us for run in found) for found in held.values())
    return (
        f"At {work.name}, all workers on core {CLIENT_CORE}: one worker takes {one:.1f} us of processor an event, two"
        f" together {two:.1f} us ({two / one:.2f} x)."
    )
