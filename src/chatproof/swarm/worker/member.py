"""One load process: makes the requests, keeps the rows, and reports to the master. Knows no locust.

What it needs of its surroundings is handed in: how to send a message, and who wants to hear of each finished row.
"""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

import gevent
from gevent.event import Event

from chatproof.metrics import StreamRow
from chatproof.record import Ending
from chatproof.swarm.asking.arrivals import Leg, share
from chatproof.swarm.asking.ask import Ask, Asker, Workload, choose, chooser
from chatproof.swarm.asking.plan import Plan
from chatproof.swarm.asking.purse import PerSecond, Purse
from chatproof.swarm.asking.trace import Arrival
from chatproof.swarm.client.endpoint import Endpoint
from chatproof.swarm.client.engine import Channel, Engine
from chatproof.swarm.client.transport import wall_offset
from chatproof.swarm.client.trip import Limits, Trip
from chatproof.swarm.streams.kept import Watch
from chatproof.swarm.streams.row import Collector, Origin, row_of, still_running
from chatproof.swarm.streams.stream import StreamFold
from chatproof.swarm.worker.backlog import Backlog
from chatproof.swarm.worker.journal import Begun
from chatproof.swarm.worker.probes import Probes
from chatproof.swarm.worker.reporter import Reporter, Send
from chatproof.target import Target

KEEP_BYTES = 512 * 1024  # of a sampled stream
REFUSED_PAUSE_S = 0.5  # an unreachable target must not make a user spin
SAMPLES_PER_S = 10  # a sampled stream takes about 2 ms to judge in full
ERRORS_JUDGED_PER_S = 50  # a storm of 429s must not cost the client its time
IN_FLIGHT_CAP = 4000  # of the open loop, a worker: beyond it arrivals are dropped and counted
CUT_WITHIN_S = 0.2  # what is still connecting has nothing to hang up on
LATE_NS = 5_000_000_000  # ... as are those that could not be started for so long

OnRow = Callable[[StreamRow, int], None]
Unjudged = tuple[Ask, Trip, Collector, int, bool]


class Exhausted(Exception):
    """The budget allows no further request."""


class Member:
    """The part of one run that this process does."""

    def __init__(
        self,
        plan: Plan,
        client_id: str,
        target: Target,
        watch: Watch,
        send: Send,
        on_row: OnRow,
        broke: Callable[[str], None],
    ) -> None:
        self.plan = plan
        self.index = plan.workers[client_id]
        self.name = f"w{self.index}"
        self.epoch_ns = plan.epoch_wall_ns - wall_offset()
        self.stopping = False
        self.endpoint = Endpoint.of(target.base_url, ca_file=str(target.ca_file) if target.ca_file else None)
        limits = Limits(
            first_byte_s=target.timeout_s, silence_s=target.stall_s, whole_s=max(600, target.timeout_s)
        )
        self.engine = Engine(limits)
        self.probes = Probes(self.name, self.engine)
        self._asker = _asker(self.endpoint, plan, target)
        self._workloads = tuple(Workload(**fields) for fields in plan.workloads)
        self._choices = chooser(self._workloads, plan.seed + 7919 * self.index)
        self._draw = random.Random(f"draw/{plan.seed}/{self.index}")
        self._watch = watch
        self._on_row = on_row
        self._broke = broke
        self._reporter = Reporter(
            plan.run, self.name, send, watch.take, self.probes.snapshot, lambda: self.stop(0)
        )
        self._flights: dict[str, Channel] = {}
        self._cut: set[str] = set()
        self._number = 0
        self._purse = Purse.of(plan, self.index)
        self._errors = PerSecond(ERRORS_JUDGED_PER_S)
        self._until = 0.0
        self._idle: list[Channel] = []
        self._tasks: list[gevent.Greenlet] = []
        self._unjudged: Backlog[Unjudged] = Backlog()
        self._to_judge = Event()
        self._samples = PerSecond(SAMPLES_PER_S)
        self._tasks.append(gevent.spawn(self._judge_all_the_while))
        self.done = Event()
        self._closed = False

    # --- requests -------------------------------------------------------------------------------------------

    def channel(self) -> Channel:
        """A way to the target for one user."""
        return Channel(self.engine, self.endpoint)

    def turn(
        self,
        channel: Channel,
        intended_ns: int | None = None,
        scenario: str = "",
        sizes: tuple[int, int] | None = None,
    ) -> StreamRow:
        """One request from its start to its row; Exhausted where the budget allows none."""
        # a saturated client slows its load rather than judge less of it
        while self._unjudged.full and not self.stopping:
            gevent.sleep(0.002)
        if self.stopping:
            raise Exhausted
        refusal = self._purse.refusal(self._number, len(self._flights))
        if refusal is not None:
            self._reporter.trouble(refusal)
            raise Exhausted
        self.probes.arm()
        workload = choose(self._workloads, self._choices)
        if sizes is not None:
            workload = replace(workload, prompt_tokens=sizes[0], max_tokens=sizes[1])
        self._number += 1
        ask = self._asker.ask(f"{self.plan.run}-{self.name}-{self._number:07d}", workload)
        in_full = self._draw.random() < self.plan.sample_share and self._samples.allows()
        leaves = workload.stream and self.plan.leave_share > 0 and self._draw.random() < self.plan.leave_share
        leave_after = self._draw.randint(1, max(1, workload.max_tokens // 2)) if leaves else None
        fold = (
            StreamFold(keep_bytes=KEEP_BYTES if in_full else 0, leave_after=leave_after)
            if workload.stream
            else None
        )
        sink = Collector(fold)
        wall_ns, started_ns = time.time_ns(), time.monotonic_ns()
        origin = Origin(scenario, self.name, self.plan.model, self.epoch_ns, intended_ns or started_ns)
        since = self.epoch_ns
        self._reporter.begins(
            Begun(ask.stream_id, workload.name, origin.intended_ns - since, started_ns - since)
        )
        self._flights[ask.stream_id] = channel
        try:
            trip = channel.post(ask.wire, sink)
            if fold is not None:
                fold.close()
            if ask.stream_id in self._cut:
                row = still_running(ask, origin, started_ns, sink, Ending.STILL_RUNNING)
            else:
                row = row_of(ask, origin, trip, sink)
        except BaseException:  # killed, or a failure of ours: what was on its way is still a row
            self._finished(still_running(ask, origin, started_ns, sink, Ending.STILL_RUNNING), 0)
            raise
        finally:
            self._flights.pop(ask.stream_id, None)
        status = None if ask.stream_id in self._cut else trip.status
        if status is not None and (status < 400 or self._errors.allows()):
            self._unjudged.put((ask, trip, sink, wall_ns, in_full), trip.body_bytes)
            self._to_judge.set()
        self._finished(row, trip.body_bytes)
        if row.ending is Ending.REFUSED:
            self._reporter.trouble(row.detail)
        return row

    def fly(self, legs: Sequence[Leg], seed: int, start_ns: int) -> None:
        """Starts this worker's share of an open loop at its instants, each in a greenlet of its own."""
        mine = share(legs, seed, self.index, len(self.plan.workers))
        due = ((offset_ns, None) for _, offset_ns in mine)
        self._tasks.append(gevent.spawn(self._dispatch, due, start_ns))

    def play(self, arrivals: Sequence[Arrival], start_ns: int) -> None:
        """Starts this worker's share of a trace, each request with its own sizes."""
        due = ((at_ns, (prompt, answer)) for at_ns, prompt, answer in arrivals)
        self._tasks.append(gevent.spawn(self._dispatch, due, start_ns))

    def stop(self, drain_s: float) -> None:
        """Starts nothing new, lets streams end for a while, cuts the others off, sends the last report.

        Where it is ending already, the shorter while holds.
        """
        until = time.monotonic() + drain_s
        if self.stopping:
            self._until = min(self._until, until)
            return
        self.stopping, self._until = True, until
        gevent.spawn(self._finish)

    def acknowledged(self, number: int) -> None:
        """The master has that report."""
        self._reporter.acknowledged(number)

    def close(self) -> None:
        """Gives everything back; once."""
        if self._closed:
            return
        self._closed = True
        gevent.killall(self._tasks, block=False)
        self._reporter.close()
        for channel in self._idle:
            channel.close()
        self.probes.close()
        self.engine.close()

    # --- the open loop --------------------------------------------------------------------------------------

    def _dispatch(self, due: Iterable[tuple[int, tuple[int, int] | None]], start_ns: int) -> None:
        for offset_ns, sizes in due:
            due_ns = start_ns + offset_ns
            while (left := due_ns - time.monotonic_ns()) > 0:
                gevent.sleep(left / 1e9)
            if self.stopping:
                return
            self.probes.arrivals += 1
            if len(self._flights) >= IN_FLIGHT_CAP or time.monotonic_ns() - due_ns > LATE_NS:
                self.probes.dropped += 1
                continue
            gevent.spawn(self._arrive, due_ns, sizes)

    def _arrive(self, due_ns: int, sizes: tuple[int, int] | None) -> None:
        self.probes.late_start(time.monotonic_ns() - due_ns)
        channel = self._idle.pop() if self._idle else self.channel()
        try:
            self.turn(channel, due_ns, sizes=sizes)
        except Exhausted:
            self.probes.arrivals -= 1
        finally:
            self._idle.append(channel)

    # --- conformance ----------------------------------------------------------------------------------------

    def _judge_all_the_while(self) -> None:
        while True:
            self._to_judge.wait()
            self._to_judge.clear()
            while self._unjudged:
                self._judge_one()
                gevent.sleep(0)  # whatever has arrived is read first

    def _judge_one(self) -> None:
        ask, trip, sink, wall_ns, in_full = self._unjudged.take()
        self._watch.look(ask, trip, sink, wall_ns, self.epoch_ns, in_full=in_full)

    # --- the end --------------------------------------------------------------------------------------------

    def _finished(self, row: StreamRow, size: int) -> None:
        self._reporter.ended(row)
        if row.credits is not None:
            self._purse.pay(Decimal(row.credits))
        self._on_row(row, size)

    def _finish(self) -> None:
        try:
            self._drain()
            while self._unjudged:
                self._judge_one()
        except Exception:  # the master must know before it has the last report, and judges
            self._broke(traceback.format_exc())
        finally:  # whatever failed, the master gets the rows
            try:
                self._reporter.last()
            finally:
                self.done.set()

    def _drain(self) -> None:
        while self._flights and time.monotonic() < self._until:
            gevent.sleep(0.01)
        self.probes.hold()
        given_up = time.monotonic() + CUT_WITHIN_S
        while self._flights and time.monotonic() < given_up:
            for stream_id, channel in list(self._flights.items()):  # again: one was still connecting
                self._cut.add(stream_id)
                channel.leave()
            gevent.sleep(0.001)
        gevent.sleep(0)


def _asker(endpoint: Endpoint, plan: Plan, target: Target) -> Asker:
    secret = [("Authorization", f"Bearer {target.api_key}")]
    hidden = {name for name in target.headers if f"header_{name.lower()}" in target.header_secrets}
    secret += [(name, value) for name, value in target.headers.items() if name in hidden]
    extra = tuple((name, value) for name, value in target.headers.items() if name not in hidden)
    return Asker(endpoint, plan.model, tuple(secret), extra, plan.seed)
