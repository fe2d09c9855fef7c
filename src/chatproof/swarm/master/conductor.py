"""The master's part of a run: plan, collect, end in order, judge, write. One per locust master or local runner.

The end of a run: workers are told to stop, streams drain, every worker sends its last report and waits until it is
acknowledged, the verdict is made, and only then locust quits: quitting at once would lose the longest streams.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gevent
import msgspec

from chatproof.contract import Contract
from chatproof.metrics import NotMeasured
from chatproof.report import ReportError
from chatproof.swarm.asking.arrivals import Leg, expected, total_seconds
from chatproof.swarm.asking.ask import Workload
from chatproof.swarm.asking.plan import INTERRUPTED_DRAIN_S, Plan
from chatproof.swarm.asking.trace import Trace, share
from chatproof.swarm.client.transport import wall_offset
from chatproof.swarm.master import progress
from chatproof.swarm.master.briefing import Briefing
from chatproof.swarm.master.burst import burst
from chatproof.swarm.master.ledger import Ledger, ready
from chatproof.swarm.master.live import Live
from chatproof.swarm.master.output import write_run
from chatproof.swarm.master.summary import Ended, load_section, verdict
from chatproof.swarm.worker.journal import decode
from chatproof.verdict import Exit, Verdict

LAST_REPORTS_S = 15.0  # how long the last reports may take beyond the drain
HASTY_REPORTS_S = 1.0  # ... where somebody waits, or a failure of ours may keep them from coming at all
STOP_FILE = "the stop file was there"
TIME_OVER = "the run's time was over"
NS = 1_000_000_000
LEAD_NS = NS // 10  # all workers have a schedule before it begins
TOLD_WITHIN_NS = NS // 2  # a worker reports every quarter of a second
SENT_IN_NS = 5_000  # an arrival of a trace is packed, sent and unpacked in less

Send = Callable[[str, Any, str | None], None]  # message type, data, worker's client id or None for all


class Conductor:
    """What one master process knows of its runs: `start` begins one, `collect` ends it, `judge` makes the report."""

    def __init__(
        self, briefing: Briefing, *, contract: Contract, send: Send, dead: Callable[[], set[str]]
    ) -> None:
        self.scenario = briefing.scenario
        self.target = briefing.target
        self.embedded = briefing.embedded
        self.model = briefing.model
        self.terms = briefing.terms
        self.options = briefing.options
        self._briefing = briefing
        self._contract = contract
        self._send = send
        self._dead = dead  # client ids of workers that are gone
        self.plan: Plan | None = None
        self.ledger: Ledger | None = None
        self.live = Live()
        self.epoch_ns = 0
        self.from_ns = 0  # where the run's seconds are counted from
        self.legs: list[Leg] = []
        self._flown: list[tuple[int, Leg]] = []  # when in the run each leg begins
        self.trace: Trace | None = None
        self.extra: dict[str, Any] = {}
        self.verdict: Verdict | None = None
        self.section: dict[str, Any] | None = None
        self.finishing = False  # from the word that it shall end to the moment at which another may begin
        self.broken: str | None = None  # what of ours failed first
        self._reason = ""
        self._interrupted = False
        self._until = 0.0  # how long the last reports are waited for
        self._said: set[str] = set()

    @property
    def running(self) -> bool:
        """Whether a run has begun and has not been judged."""
        return self.ledger is not None and self.verdict is None

    def start(self, client_ids: Sequence[str]) -> None:
        """Begins a run on these workers."""
        now = time.time_ns()
        run = f"{time.strftime('%m%d%H%M%S', time.gmtime(now // NS))}{os.getpid() % 10000:04d}"
        indices = {client_id: index for index, client_id in enumerate(client_ids)}
        budget, credits_each = self.target.budget, self._briefing.credits_each
        self.plan = Plan(
            run=run,
            epoch_wall_ns=now,
            base_url=self.target.base_url,
            embedded=self.embedded,
            model=self.model,
            workers=indices,
            seed=self.options["seed"],
            workloads=[_fields(workload) for workload in self._briefing.workloads],
            leave_share=self._briefing.leave_share,
            sample_share=self.options["sample_share"],
            requests=budget.load_requests,
            credits=None if budget.credits is None else str(budget.credits),
            credits_each=None if credits_each is None else str(credits_each),
        )
        self.ledger = Ledger(run, self.options["seed"], tuple(f"w{index}" for index in indices.values()))
        self.live = Live()
        self.epoch_ns = self.from_ns = now - wall_offset()
        self.legs, self.extra, self.verdict, self.section, self.finishing = [], {}, None, None, False
        self.trace, self.broken, self._flown = None, None, []
        self._send("chatproof-plan", to_wire(self.plan), None)

    def received(self, payload: bytes, client_id: str) -> None:
        """A worker's batch came: books it and acknowledges it."""
        batch = decode(payload)
        if self.ledger is None or batch.run != self.ledger.run:
            return
        if self.ledger.take(batch):
            for row in batch.rows:
                self.live.add(row)
        self._send("chatproof-ack", {"run": batch.run, "number": batch.number}, client_id)
        for text in batch.troubles:
            if text not in self._said:
                self._said.add(text)
                self.say(text)

    def fly(self, legs: Sequence[Leg]) -> None:
        """Has the workers start an open loop now."""
        if not self.legs:
            self._begins(LEAD_NS)
        start_ns = time.monotonic_ns() + LEAD_NS
        self.legs += legs
        at = {"legs": [[leg.rate, leg.seconds, leg.process] for leg in legs], "part": len(self.legs)}
        self._send("chatproof-legs", {**at, "start_wall_ns": time.time_ns() + LEAD_NS}, None)
        for leg in legs:
            self._flown.append((start_ns - self.epoch_ns, leg))
            start_ns += round(leg.seconds * NS)

    def play(self, trace: Trace) -> None:
        """Sends each worker its share of a trace, to start together once all have it."""
        assert self.plan is not None
        self.trace = trace
        self.extra["trace"] = trace.shown
        lead_ns = LEAD_NS + len(trace.arrivals) * SENT_IN_NS
        self._begins(lead_ns)
        start_wall_ns = time.time_ns() + lead_ns
        for client_id, index in self.plan.workers.items():
            mine = [list(arrival) for arrival in share(trace.arrivals, index, len(self.plan.workers))]
            self._send("chatproof-trace", {"arrivals": mine, "start_wall_ns": start_wall_ns}, client_id)

    def _begins(self, lead_ns: int) -> None:
        """The open loop's schedule begins after that long, and the run's seconds with it."""
        self.from_ns = time.monotonic_ns() + lead_ns

    @property
    def whole_seconds(self) -> int | None:
        """How many seconds of a run that goes on are over, and told by all workers; None where it has ended."""
        if not self.running:
            return None
        return (time.monotonic_ns() - self.epoch_ns - TOLD_WITHIN_NS) // NS

    def asked_at(self, second: int) -> float | None:
        """The rate that the schedule asks for in that second of the run; None where there is no schedule."""
        if self.trace is not None:
            at = second - (self.from_ns - self.epoch_ns) / NS
            return self.trace.until(at + 1) - self.trace.until(at)
        if not self._flown:
            return None
        middle_ns = second * NS + NS // 2
        rates = [leg.rate for at, leg in self._flown if at <= middle_ns < at + leg.seconds * NS]
        return rates[0] if rates else 0.0

    def _burst(self, seconds: float) -> dict[str, Any]:
        """What a burst did, where the schedule had one and came to its end."""
        if self.ledger is None or "capacity" in self.extra or seconds < total_seconds(self.legs):
            return {}
        found = burst(self.legs, self.ledger.rows, self.from_ns - self.epoch_ns)
        return {} if found is None else {"burst": found}

    def _asked_per_s(self, seconds: float) -> float | None:
        """The rate that the schedule asked for in the run's first seconds; None in a closed loop."""
        if self.trace is not None:
            return self.trace.until(seconds) / seconds
        if not self.legs:
            return None
        return expected(self.legs, seconds) / min(seconds, total_seconds(self.legs))

    def collect(
        self, reason: str, *, drain_s: float, interrupted: bool = False, seconds: float | None = None
    ) -> Ended:
        """Ends the load: streams drain, and the last reports come. What `judge` is to judge."""
        assert self.ledger is not None
        self.finishing, self._reason, self._interrupted = True, reason, interrupted
        lasted = seconds if seconds is not None else max(0.001, (time.monotonic_ns() - self.from_ns) / NS)
        soon = interrupted or self.broken is not None
        self._until = time.monotonic() + drain_s + (HASTY_REPORTS_S if soon else LAST_REPORTS_S)
        self._send("chatproof-stop", {"drain_s": drain_s}, None)
        while not ready(self.ledger, self._dead_names()) and time.monotonic() < self._until:
            gevent.sleep(0.02)
        incomplete = self.ledger.settle()
        return Ended(
            scenario=self.scenario,
            seconds=lasted,
            reason=self._reason,
            interrupted=self._interrupted,
            incomplete=incomplete,
            broken=self.broken,
            asked_per_s=self._asked_per_s(lasted),
            budget_credits=self.target.budget.credits,
            terms=self.terms,
            options={name: value for name, value in self.options.items() if name not in ("yes", "report")},
            extra={**self.extra, **self._burst(lasted), "epoch_monotonic_ns": self.epoch_ns},
            soak=self._briefing.soak,
        )

    def hurry(self, reason: str) -> None:
        """A run that is ending ends now: somebody waits for it."""
        self._reason, self._interrupted = reason, True
        self._until = min(self._until, time.monotonic() + INTERRUPTED_DRAIN_S + HASTY_REPORTS_S)
        self._send("chatproof-stop", {"drain_s": INTERRUPTED_DRAIN_S}, None)

    def broke(self, cause: str) -> None:
        """Something of ours failed: the run is INVALID, and shall end."""
        self.broken = cause
        self._until = min(self._until, time.monotonic() + HASTY_REPORTS_S)

    def abandon(self, cause: str) -> None:
        """Nobody will end the run: it is over, without a report."""
        self.verdict = Verdict(Exit.INVALID, cause)

    def judge(self, ended: Ended) -> None:
        """Makes the section and the verdict, and writes both."""
        assert self.ledger is not None
        try:
            section = load_section(self.ledger, ended, self._contract)
        except NotMeasured as problem:
            if not ended.cut_short:
                self.verdict = Verdict(Exit.USAGE, str(problem))
                self.say(f"usage: {problem}")
                return
            ended = replace(ended, terms=())  # it came to no stream that has the metric
            section = load_section(self.ledger, ended, self._contract)
        found = verdict(section, ended)
        folder = self.options["report"]
        if folder:
            try:
                write_run(Path(folder), self.ledger, section, found, self.target, self.model)
            except ReportError as problem:
                found = Verdict(Exit.INVALID, str(problem))
        self.section, self.verdict = section, found

    def stop_reason(self, until_ns: int | None) -> str | None:
        """Why the run should end now, where it should."""
        stop_file = self.options["stop_file"]
        if self.broken is not None:
            return self.broken
        if until_ns is not None and time.monotonic_ns() >= until_ns:
            return TIME_OVER
        if stop_file and os.path.exists(stop_file):
            return STOP_FILE
        if (
            self.ledger is not None
            and any("budget" in text for text in self.ledger.troubles)
            and not self.ledger.running
        ):
            return next(text for text in self.ledger.troubles if "budget" in text)
        if self.plan is not None and self._dead() >= set(self.plan.workers):
            return "no worker is left"
        return None

    def say(self, text: str) -> None:
        """One line for the person at the terminal."""
        progress.say(text)

    def _dead_names(self) -> set[str]:
        workers = self.plan.workers if self.plan is not None else {}
        return {f"w{workers[client_id]}" for client_id in self._dead() if client_id in workers}


def _fields(workload: Workload) -> dict[str, Any]:
    return {name: getattr(workload, name) for name in workload.__slots__}


def to_wire(plan: Plan) -> dict[str, Any]:
    """A plan as the data of a message."""
    return msgspec.to_builtins(plan)  # type: ignore[no-any-return]
