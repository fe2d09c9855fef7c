"""What a locust master, or a process that is master and worker in one, does for a run: from its start to its end.

One greenlet alone takes a run through. Whoever else wants it to end (locust, Ctrl-C, a failure of ours) leaves a word
for it: a run is ended once, in one place, and nothing that fails can leave it without an end.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gevent
import psutil
from locust.runners import MasterRunner

from chatproof.swarm.asking import aim
from chatproof.swarm.asking.arrivals import total_seconds
from chatproof.swarm.asking.plan import INTERRUPTED_DRAIN_S, users_a_second
from chatproof.swarm.master import progress
from chatproof.swarm.master.briefing import Briefing, brief
from chatproof.swarm.master.conductor import STOP_FILE, TIME_OVER, Conductor
from chatproof.swarm.master.muster import CHILDREN_WITHIN_S, await_workers, gone, keeping, present
from chatproof.swarm.master.search import search
from chatproof.swarm.worker.worker_side import USERS_LEAVE_S
from chatproof.target import TargetError, read_contract
from chatproof.verdict import Exit

AFTER_LAST_S = 0.1  # the last arrival of a schedule is due at its very end
WRITTEN_WITHIN_S = 120.0  # what a report takes: a million rows are a minute


@dataclass(frozen=True, slots=True)
class End:
    """The word that a run shall end: why, and whether somebody waits for it at a terminal."""

    reason: str
    hasty: bool


class MasterSide:
    """The listeners of a master, or of the master's half of a local runner."""

    def __init__(self, environment: Any, user_class: Any, options: Callable[[], Mapping[str, Any]]) -> None:
        self.environment = environment
        self.runner = environment.runner
        self.conductor: Conductor | None = None
        self._user_class = user_class
        self._options = options
        self._briefing: Briefing | None = None
        self._reference: aim.Embedded | None = None
        self._seconds: float | None = None
        self._stop_timeout = 0.0
        self._conducting: gevent.Greenlet | None = None
        self._end: End | None = None
        self._leaving = self._broke = self._over = False
        self._said: set[str] = set()

    # --- before a run ---------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Finds out what the load is aimed at, and asks; ends the process with one line where that fails."""
        options = self.environment.parsed_options
        # we end the run ourselves: locust would lose its last streams
        self._seconds, options.run_time = options.run_time, None
        options.only_summary = True
        self._stop_timeout = self.environment.stop_timeout or self._options()["drain_s"]
        self.environment.stop_timeout = self._stop_timeout
        try:
            options.spawn_rate = self._spawn_rate(options.spawn_rate, options.num_users)
            self._brief()
        except (TargetError, ValueError) as problem:
            progress.say(f"usage: {problem}")
            self._end_before_a_run(Exit.USAGE)
        except Exception:  # locust would end with 1: the code of a target at fault
            progress.say(f"chatproof itself failed: please report this\n{traceback.format_exc()}")
            self._end_before_a_run(Exit.INVALID)
        if isinstance(self.runner, MasterRunner):
            self.environment.dispatcher_class = keeping(self._is_stranger)
            if options.headless:
                limit_s = options.expect_workers_max_wait or (CHILDREN_WITHIN_S if options.processes else 0)
                options.expect_workers_max_wait = 0  # here too
                gevent.spawn(self._await_workers, options.expect_workers, limit_s)

    def _spawn_rate(self, given: float | None, users: int | None) -> float | None:
        ramp_s = self._options()["ramp"]
        if ramp_s and given is not None:
            raise ValueError("--ramp and --spawn-rate say how fast users start: give one of them")
        if ramp_s and self._seconds and ramp_s >= self._seconds:
            raise ValueError(f"--ramp {ramp_s}s takes the whole run, which lasts {self._seconds}s: give less")
        return given if given is not None or not users else users_a_second(users, ramp_s)

    def _brief(self) -> None:
        self._briefing = found = brief(
            self._user_class,
            self._options(),
            host=self.environment.host,
            users=self.environment.parsed_options.num_users or 1,
            seconds=self._seconds,
            reference=self._start_reference,
        )
        self.environment.host = None if found.embedded else found.target.base_url
        self.conductor = Conductor(
            found,
            contract=read_contract(),
            send=lambda kind, data, to: self.runner.send_message(kind, data, to),
            dead=self._gone,
        )

    def _start_reference(self) -> str:
        self._reference = self._reference or aim.start_reference()
        return self._reference.base_url

    def _await_workers(self, wanted: int, limit_s: float) -> None:
        if await_workers(self.runner, wanted, limit_s, progress.say):
            return
        here = len(self.runner.clients.ready)
        progress.say(
            f"INVALID (exit 4): {here} of {wanted} workers came within {limit_s:g} s, no load was made: "
            "start the others (--worker --master-host), or ask for fewer (--expect-workers)"
        )
        self._end_before_a_run(Exit.INVALID)

    def _end_before_a_run(self, code: Exit) -> None:
        """Ends this process, and the workers that wait for it, where no run has begun."""
        if isinstance(self.runner, MasterRunner):
            self.runner.quit()
        for child in psutil.Process().children():  # that has not connected, and would wait for minutes
            child.kill()
        raise SystemExit(int(code))

    def interrupted(self) -> bool:
        """Ctrl-C; whether that was all: locust cannot be interrupted while it waits for workers."""
        begun = self.conductor is not None and self.conductor.ledger is not None
        if begun or not self.environment.parsed_options.headless:
            return False
        progress.say(f"INCONCLUSIVE (exit {int(Exit.INCONCLUSIVE)}): interrupted before any load")
        self._end_before_a_run(Exit.INCONCLUSIVE)
        return True

    # --- what locust tells ----------------------------------------------------------------------------------

    def begun(self, environment: Any, **_: Any) -> None:
        """Locust starts a test."""
        conductor = self.conductor
        if conductor is None or self._leaving:
            return
        if self._conducting is not None and not self._conducting.ready():
            if self._end is None and not conductor.finishing:
                return  # more users join a run that goes on
            self._conducting.join()  # the report of the run before is being written
        self._end, self._conducting, self._broke, self._over = None, None, False, False
        self.environment.stop_timeout = self._stop_timeout
        if self.environment.host and self.environment.host.rstrip("/") != conductor.target.base_url:
            try:
                self._brief()  # the web form named another target
            except (TargetError, ValueError) as problem:
                progress.say(f"usage: {problem}")
                self._over = True
                gevent.spawn(self.runner.stop)
                return
        assert self.conductor is not None
        assert self._briefing is not None
        self._conducting = gevent.spawn(
            self._conduct_safely, self.conductor, self._briefing, present(self.runner)
        )

    def connected(self, client_id: str, **_: Any) -> None:
        """A worker connects; one that comes after the start takes no part in this run."""
        if self._is_stranger(client_id) and client_id not in self._said:
            self._said.add(client_id)
            progress.say(f"worker {client_id} came after the run had begun: it takes no part in it")

    def received(self, environment: Any, msg: Any, **_: Any) -> None:
        """A worker's report came."""
        if self.conductor is not None:
            self.conductor.received(msg.data, msg.node_id)

    def stopping(self, environment: Any, **_: Any) -> None:
        """Locust stops a test: by its web page, or because no worker is left."""
        self._ask("locust stopped the test", hasty=False)

    def quitting(self, environment: Any, **_: Any) -> None:
        """Locust ends: on Ctrl-C what was measured is still reported."""
        self._leaving = True
        self._ask("interrupted", hasty=True)
        if self._conducting is not None:
            self._conducting.join(WRITTEN_WITHIN_S)
            if not self._conducting.ready():
                self._give_up("the run did not come to an end")
        if self._reference is not None:
            self._reference.close()
            self._reference = None

    # --- what failed ----------------------------------------------------------------------------------------

    def worker_broke(self, environment: Any, msg: Any, **_: Any) -> None:
        """A worker tells that something of ours failed in it."""
        conductor = self.conductor
        known = conductor.plan.workers if conductor is not None and conductor.plan is not None else {}
        self.broke(msg.data, f" in worker {known.get(msg.node_id, msg.node_id)}")

    def broke(self, trace: str, where: str = "") -> None:
        """Something of ours failed and nobody caught it: the run ends INVALID, and says so."""
        if self._broke:
            return  # what follows from the first failure is not told
        self._broke = True
        cause = f"chatproof itself failed{where}: {trace.strip().splitlines()[-1]}"
        progress.say(f"{cause}: please report this\n{trace.rstrip()}")
        self.environment.process_exit_code = int(Exit.INVALID)
        if self.conductor is not None:
            self.conductor.broke(cause)
        if not self._over and (self._conducting is None or self._conducting.ready()):
            self._give_up(cause)

    def _give_up(self, cause: str) -> None:
        """The greenlet that should end the run is no more."""
        self._over = True
        self.environment.process_exit_code = int(Exit.INVALID)
        if self.conductor is not None:
            self.conductor.abandon(cause)
        progress.say(f"INVALID (exit {int(Exit.INVALID)}): {cause}")
        self._leave()

    # --- the run --------------------------------------------------------------------------------------------

    def _conduct_safely(self, conductor: Conductor, briefing: Briefing, workers: Sequence[str]) -> None:
        try:
            conductor.start(workers)
            self._conduct(conductor, briefing)
        except Exception:
            trace = traceback.format_exc()
            self.broke(trace)
            self._give_up(f"chatproof itself failed: {trace.strip().splitlines()[-1]}")
        finally:
            conductor.finishing = False

    def _conduct(self, conductor: Conductor, briefing: Briefing) -> None:
        line = progress.Line()
        try:
            reason, lasted = self._go_on(conductor, briefing, line)
            end = self._end or End(reason, hasty=reason == STOP_FILE)
            drain_s = INTERRUPTED_DRAIN_S if end.hasty else conductor.options["drain_s"]
            ended = conductor.collect(end.reason, drain_s=drain_s, interrupted=end.hasty, seconds=lasted)
        finally:
            line.close()
        self._over = True
        self.environment.stop_timeout = USERS_LEAVE_S  # what users still do is in no report
        if self.environment.parsed_options.headless or self._leaving:
            gevent.spawn(self.runner.quit)  # locust and its workers leave while the report is made
            gevent.sleep(0)
        conductor.judge(ended)
        self._say_how_it_ended(conductor)
        if self._end is None:
            self._leave()

    def _go_on(
        self, conductor: Conductor, briefing: Briefing, line: progress.Line
    ) -> tuple[str, float | None]:
        """The run until it shall end: why, and how long its schedule was where it came to its end."""

        def pause(until_ns: int | None) -> str | None:
            """Waits a little and shows the figures; the reason to end the run, where there is one."""
            gevent.sleep(0.1)
            if self._end is not None:
                return self._end.reason
            ledger, now_ns = conductor.ledger, time.monotonic_ns() - conductor.epoch_ns
            if ledger is not None:
                line.show(progress.line(conductor.live, ledger.running, ledger.health, now_ns), now_ns)
            return conductor.stop_reason(until_ns)

        if briefing.search:
            return search(conductor, pause), None
        lasted = after_s = None
        if briefing.legs:
            conductor.fly(briefing.legs)
            lasted = total_seconds(briefing.legs)
        elif briefing.trace is not None:
            conductor.play(briefing.trace)
            lasted = briefing.trace.seconds
        else:
            after_s = briefing.seconds
        if lasted is not None:
            after_s = lasted + AFTER_LAST_S
        until_ns = None if after_s is None else conductor.from_ns + int(after_s * 1e9)
        while (reason := pause(until_ns)) is None:
            pass
        return reason, lasted if reason == TIME_OVER else None

    def _say_how_it_ended(self, conductor: Conductor) -> None:
        """Says it, and sets the exit code before locust asks for it."""
        if conductor.verdict is None:
            return
        self.environment.process_exit_code = int(conductor.verdict.exit)
        if conductor.section is not None:
            name = "EMBEDDED REFERENCE" if conductor.embedded else conductor.target.base_url
            for text in progress.closing(conductor.section, conductor.verdict, name):
                progress.say(text)

    def _ask(self, reason: str, *, hasty: bool) -> None:
        """Leaves the word that the run shall end; the first reason stays, haste may be added."""
        conductor = self.conductor
        if conductor is None or self._conducting is None or self._over:
            return
        self._end = End(self._end.reason if self._end else reason, hasty)
        if hasty and conductor.finishing:
            conductor.hurry(reason)

    def _leave(self) -> None:
        """Has locust end, or wait for the next run where there is a web page."""
        if self._leaving:
            return
        if self.environment.parsed_options.headless:
            gevent.spawn(self.runner.quit)  # whoever calls it may be ended by it
            return
        stopping = gevent.spawn(self.runner.stop)
        if gevent.getcurrent() is self._conducting:
            stopping.join()  # the next run must not meet the users of this one

    # --- workers --------------------------------------------------------------------------------------------

    def _is_stranger(self, client_id: str) -> bool:
        conductor = self.conductor
        if conductor is None or not conductor.running or conductor.plan is None:
            return False
        return client_id not in conductor.plan.workers

    def _gone(self) -> set[str]:
        plan = self.conductor.plan if self.conductor is not None else None
        return set() if plan is None else gone(self.runner, plan.workers)
