"""The probes of one load process while it runs: event loop lag, CPU, collector, memory, and the canary."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import gevent

from chatproof import sse
from chatproof.answer import DONE
from chatproof.metrics import Histogram
from chatproof.record import Transfer
from chatproof.swarm.client.endpoint import Endpoint
from chatproof.swarm.client.engine import Channel, Engine
from chatproof.swarm.worker.health import Health
from chatproof.swarm.worker.meters import CpuMeter, GcMeter, WaitMeter, rss_mb, settle_collector

_LAG_EVERY_S = 0.01
_MEMORY_EVERY_S = 5


class Probes:
    """Looks at its own process all the while; `snapshot` tells what was seen so far."""

    def __init__(self, worker: str, engine: Engine) -> None:
        settle_collector()
        self._worker = worker
        self._engine = engine
        self._lag = Histogram()
        self._canary = Histogram()
        self._late_starts = Histogram()
        self._gc = GcMeter()
        self._cpu: list[float] = []
        self._waited: list[float] = []
        self._rss: list[float] = [round(rss_mb(), 1)]
        self._child: subprocess.Popen[bytes] | None = None
        self._held: Health | None = None
        self._armed = False
        self.arrivals = 0
        self.dropped = 0
        self._tasks = [
            gevent.spawn(task) for task in (self._watch_lag, self._watch_process, self._watch_canary)
        ]

    def arm(self) -> None:
        """The load begins: what was late before was the start-up."""
        self._armed = True

    def late_start(self, ns: int) -> None:
        """An arrival of the open loop started so much after its instant."""
        self._late_starts.add(ns)

    def hold(self) -> None:
        """The load is over: what comes after is no measurement."""
        self._held = self.snapshot()

    def snapshot(self) -> Health:
        """What was seen since the start."""
        return self._held or Health(
            worker=self._worker,
            hub_lag=self._lag.pack(),
            canary=self._canary.pack(),
            schedule_lag=self._late_starts.pack(),
            cpu=list(self._cpu),
            waited=list(self._waited),
            gc_pauses=self._gc.pauses,
            gc_total_ns=self._gc.total_ns,
            gc_max_ns=self._gc.max_ns,
            rss_mb=list(self._rss),
            arrivals=self.arrivals,
            dropped=self.dropped,
        )

    def close(self) -> None:
        """Stops looking, and ends the canary."""
        gevent.killall(self._tasks, block=False)
        self._gc.close()
        if self._child is not None:
            if self._child.stdin is not None:
                self._child.stdin.close()
            self._child.kill()
            self._child.wait()
            self._child = None

    def _watch_lag(self) -> None:
        due = time.monotonic_ns()
        while True:
            due += int(_LAG_EVERY_S * 1e9)
            now = time.monotonic_ns()
            if due > now:
                gevent.sleep((due - now) / 1e9)
                now = time.monotonic_ns()
            while due <= now:  # a long stop is late for each of the looks it swallowed
                if self._armed:
                    self._lag.add(now - due)
                due += int(_LAG_EVERY_S * 1e9)
            due -= int(_LAG_EVERY_S * 1e9)

    def _watch_process(self) -> None:
        meter, waits, seconds = CpuMeter(), WaitMeter(), 0
        while True:
            gevent.sleep(1)
            seconds += 1
            self._cpu.append(meter.look())
            waited = waits.look()
            if waited is not None:
                self._waited.append(waited)
            if seconds % _MEMORY_EVERY_S == 0:
                self._rss.append(round(rss_mb(), 1))

    def _watch_canary(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "chatproof.swarm.worker.canary"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._child.stdout is not None
        port = int(self._child.stdout.readline())
        channel = Channel(self._engine, Endpoint.of(f"http://127.0.0.1:{port}"))
        while True:
            channel.post(b"GET / HTTP/1.1\r\nHost: canary\r\n\r\n", CanarySink(self._note))

    def _note(self, error_ns: int) -> None:
        if self._armed:
            self._canary.add(error_ns)


class CanarySink:
    """Compares when each token of the canary was read with when the token says that it was sent."""

    def __init__(self, note: Callable[[int], None]) -> None:
        self._note = note
        self._parser = sse.Parser()

    def coded(self, coding: str) -> None:
        """The canary codes nothing."""

    def feed(self, at_ns: int, block: bytes) -> Transfer | None:
        """Takes what one read brought."""
        for event in self._parser.feed(block, at_ns):
            if event.data != DONE:
                sent_ns = int(event.data.partition(b'"content":"')[2].partition(b" ")[0])
                self._note(at_ns - sent_ns)
        return None
