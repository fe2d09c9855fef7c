"""What this process uses and waits for: CPU, a core, the collector, memory. Judges nothing."""

from __future__ import annotations

import gc
import resource
import sys
import time


class CpuMeter:
    """This process's share of one core since the last look."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.monotonic_ns(), time.process_time_ns()

    def look(self) -> float:
        """The share since the last look."""
        wall, cpu = time.monotonic_ns(), time.process_time_ns()
        share = (cpu - self._cpu) / max(1, wall - self._wall)
        self._wall, self._cpu = wall, cpu
        return round(share, 3)


class WaitMeter:
    """The share of time that this process could have run and was not let, since the last look."""

    def __init__(self) -> None:
        self._wall, self._waited = time.monotonic_ns(), _run_delay_ns()

    def look(self) -> float | None:
        """The share since the last look; None where the system does not tell."""
        wall, waited = time.monotonic_ns(), _run_delay_ns()
        if waited is None or self._waited is None:
            return None
        share = (waited - self._waited) / max(1, wall - self._wall)
        self._wall, self._waited = wall, waited
        return round(share, 3)


def _run_delay_ns() -> int | None:
    """How long the main thread has waited for a core so far; the second field of Linux's `schedstat`."""
    try:
        with open("/proc/self/schedstat", encoding="ascii") as file:
            return int(file.read().split()[1])
    except (OSError, IndexError, ValueError):
        return None


class GcMeter:
    """How long the collector held everything up."""

    def __init__(self) -> None:
        self.pauses = self.total_ns = self.max_ns = 0
        self._started = 0
        gc.callbacks.append(self._called)

    def close(self) -> None:
        """Stops looking."""
        gc.callbacks.remove(self._called)

    def _called(self, phase: str, info: dict[str, int]) -> None:
        now = time.monotonic_ns()
        if phase == "start":
            self._started = now
        else:
            took = now - self._started
            self.pauses += 1
            self.total_ns += took
            self.max_ns = max(self.max_ns, took)


def settle_collector() -> None:
    """Takes what is there out of the collector's sight: a full collection would stop all streams for 20 ms."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def rss_mb() -> float:
    """The memory this process holds now, in MB; on other systems than Linux the most it ever held."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize() / 1e6
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 1e6 if sys.platform == "darwin" else peak / 1e3
