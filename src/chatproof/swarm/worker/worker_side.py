"""What a locust process does for the load it makes itself: joins runs, makes requests, reports. Plans nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from locust.runners import WorkerRunner

from chatproof.metrics import StreamRow
from chatproof.record import Ending
from chatproof.run import terms_of
from chatproof.swarm.asking import aim
from chatproof.swarm.asking.arrivals import Leg
from chatproof.swarm.asking.plan import INTERRUPTED_DRAIN_S, Plan
from chatproof.swarm.asking.trace import Arrival
from chatproof.swarm.streams.kept import Watch
from chatproof.swarm.worker.journal import Batch, Outbox
from chatproof.swarm.worker.member import Member
from chatproof.target import Target, TargetError, read_contract

LAST_WORDS_S = 1.5  # how long a process that quits waits for the master to have its last report
USERS_LEAVE_S = 0.2  # how long locust waits for users of a run that is over
LOCAL = "local"  # the client id of a process that is master and worker in one


class WorkerSide:
    """The listeners of a worker, or of the worker's half of a local runner."""

    def __init__(self, environment: Any, options: Callable[[], Mapping[str, Any]]) -> None:
        self.environment = environment
        self.runner = environment.runner
        self.member: Member | None = None
        self._options = options

    def planned(self, environment: Any, msg: Any, **_: Any) -> None:
        """The master's plan came: this process joins the run."""
        plan = msgspec.convert(msg.data, Plan)
        client_id = self.runner.client_id if isinstance(self.runner, WorkerRunner) else LOCAL
        if client_id not in plan.workers:
            return
        if self.member is not None:
            self.member.close()
        try:
            target = self._target_of(plan)
        except (
            TargetError
        ) as problem:  # the run will be INVALID without this worker: the master shall know why
            trouble = Batch(run="", worker="", number=0, troubles=[str(problem)])
            self._report(Outbox(plan.run, f"w{plan.workers[client_id]}").seal(trouble))
            return
        contract = read_contract()
        url = f"{target.base_url}/chat/completions"
        watch = Watch(contract, terms_of(target, contract), target.deviations, url)
        self.member = Member(plan, client_id, target, watch, self._report, self._fire, self.broke)

    def flown(self, environment: Any, msg: Any, **_: Any) -> None:
        """Legs of an open loop came."""
        if self.member is not None:
            legs = [Leg(rate, seconds, process) for rate, seconds, process in msg.data["legs"]]
            ahead_ns = msg.data["start_wall_ns"] - time.time_ns()
            seed = self.member.plan.seed * 1009 + msg.data["part"]
            self.member.fly(legs, seed, time.monotonic_ns() + ahead_ns)

    def played(self, environment: Any, msg: Any, **_: Any) -> None:
        """This worker's share of a trace came."""
        if self.member is not None:
            arrivals = [Arrival(*each) for each in msg.data["arrivals"]]
            self.member.play(arrivals, time.monotonic_ns() + msg.data["start_wall_ns"] - time.time_ns())

    def stopped(self, environment: Any, msg: Any, **_: Any) -> None:
        """The master ends the run."""
        if self.member is not None:
            self.member.stop(msg.data["drain_s"])

    def acknowledged(self, environment: Any, msg: Any, **_: Any) -> None:
        """The master has a report."""
        if self.member is not None and msg.data["run"] == self.member.plan.run:
            self.member.acknowledged(msg.data["number"])

    def stopping(self, environment: Any, **_: Any) -> None:
        """Locust stops the load of this process."""
        if self.member is None:
            return
        if self.member.done.is_set():
            self.environment.stop_timeout = USERS_LEAVE_S
        else:
            self.member.stop(self.environment.stop_timeout or INTERRUPTED_DRAIN_S)

    def quitting(self, environment: Any, **_: Any) -> None:
        """Locust ends: what this process knows goes to the master first."""
        member = self.member
        if member is None:
            return
        if not member.done.is_set():
            member.stop(INTERRUPTED_DRAIN_S)
            member.done.wait(INTERRUPTED_DRAIN_S + LAST_WORDS_S)
        member.close()

    def broke(self, trace: str) -> None:
        """Something of ours failed and nobody caught it: the master ends the run."""
        self.runner.send_message("chatproof-broke", trace)

    def _report(self, payload: bytes) -> None:
        self.runner.send_message("chatproof-batch", payload)

    def _fire(self, row: StreamRow, size: int) -> None:
        """One locust event a request: its own table then shows rates and failures."""
        ended_ns = row.ended_ns if row.ended_ns is not None else row.started_ns
        fine = row.ending in (Ending.COMPLETE, Ending.LEFT)
        self.environment.events.request.fire(
            request_type="stream" if row.stream else "sync",
            name=row.scenario,
            response_time=(ended_ns - row.intended_ns) / 1e6,
            response_length=size,
            exception=None if fine else NotComplete(row.ending.value),
            context={},
        )

    def _target_of(self, plan: Plan) -> Target:
        if plan.embedded:
            return aim.reference_target(plan.base_url)
        target = aim.target_of(
            self._options()["target"], None if self._options()["target"] else plan.base_url, os.environ
        )
        if target is None:
            raise TargetError("this worker knows no target: give it --target FILE, or BEATRA_API_KEY")
        return target


class NotComplete(Exception):
    """A request that did not end complete."""
