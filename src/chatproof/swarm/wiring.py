"""Locust's events, told to a Conductor on the master and to a worker's side. Judges and measures nothing."""

from __future__ import annotations

import functools
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import gevent
import psutil  # type: ignore[import-untyped]
from locust import argument_parser
from locust.runners import STATE_MISSING, LocalRunner, MasterRunner, WorkerRunner

from chatproof.swarm import aim, progress
from chatproof.swarm.arrivals import expected
from chatproof.swarm.conductor import INTERRUPTED_DRAIN_S, STOP_FILE, Conductor
from chatproof.swarm.endpoint import Endpoint
from chatproof.swarm.member import Member
from chatproof.swarm.plan import OPTIONS, trace_of
from chatproof.swarm.search import search
from chatproof.swarm.trace import Trace
from chatproof.swarm.web import add_page
from chatproof.swarm.worker_side import LOCAL, WorkerSide
from chatproof.target import TargetError, read_contract
from chatproof.verdict import Exit

DEFAULT_SECONDS = 30.0  # of an open loop without --run-time
_HIDDEN = frozenset({"yes", "report", "target", "stop_file", "trace"})  # not for the web form


class Wiring:
    """What one locust process has of ours."""

    def __init__(self, environment: Any, user_class: Any) -> None:
        self.environment = environment
        self.user_class = user_class
        self.runner = environment.runner
        self.worker = WorkerSide(environment, lambda: self.options)
        self.conductor: Conductor | None = None
        self.reference: aim.Embedded | None = None
        self.trace: Trace | None = None  # as it was read and confirmed
        self.seconds: float | None = None
        self._conducting: gevent.Greenlet | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Our options as they stand now."""
        parsed = vars(self.environment.parsed_options)
        return {option.dest: parsed.get(option.dest, option.default) for option in OPTIONS}

    # --- the master's part ----------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Finds out what the load is aimed at, and asks; ends the process with one line where that fails."""
        options = self.environment.parsed_options
        self.seconds, options.run_time = (
            options.run_time,
            None,
        )  # we end the run: locust would lose its last streams
        options.only_summary = True
        if options.spawn_rate is None and options.num_users:
            options.spawn_rate = max(1.0, options.num_users / 2)
        try:
            self._aim()
        except (TargetError, aim.UsageError, ValueError) as problem:
            progress.say(f"usage: {problem}")
            for (
                child
            ) in psutil.Process().children():  # workers would wait minutes for a master that never comes
                child.kill()
            sys.exit(2)

    def _aim(self) -> None:
        given = self.options
        seconds = self.seconds
        target = aim.target_of(given["target"], self.environment.host, os.environ)
        is_reference = target is None
        if target is None:
            self.reference = self.reference or aim.start_reference()
            target = aim.reference_target(self.reference.base_url)
            progress.say("no target given: EMBEDDED REFERENCE")
        self.environment.host = None if is_reference else target.base_url
        model = aim.model_of(target, given["model"])
        workloads = tuple(self.user_class.workloads(given))
        if given["trace"] and not self.user_class.plays_traces:
            raise aim.UsageError("--trace is for the scenario arrivals: leave it out, or run that one")
        self.trace = trace_of(given, seconds)
        legs = () if self.trace else self.user_class.legs(given, seconds or DEFAULT_SECONDS)
        terms = aim.slo_of(target, tuple(given["slo"] or ()))
        if self.user_class.search and not terms:
            if not is_reference:
                raise aim.UsageError(
                    "capacity needs an objective: --slo 'ttft_p95<800ms', or [slo] in the target file"
                )
            terms = aim.slo_of(target, ("ttft_p95<100ms",))
        aim.measurable(terms, workloads)
        if self.trace:
            progress.say(self.trace.said)
            cost = aim.estimate_of_trace(target, model, self.trace)
        else:
            cost = aim.estimate(target, model, workloads, round(expected(legs)) if legs else None)
        users = self.environment.parsed_options.num_users or 1
        aim.confirm(cost.lines(target, model, users, seconds), loopback=target.is_loopback, yes=given["yes"])
        Endpoint.of(target.base_url, ca_file=str(target.ca_file) if target.ca_file else None)
        self.conductor = Conductor(
            scenario=self.user_class.scenario or self.user_class.__name__.lower(),
            target=target,
            embedded=is_reference,
            model=model,
            terms=terms,
            workloads=workloads,
            options={**given, "users": users, "run_time": seconds},
            leave_share=self.user_class.leave_share(given),
            credits_each=cost.credits_each,
            soak=self.user_class.soak,
            contract=read_contract(),
            send=lambda kind, data, to: self.runner.send_message(kind, data, to),
            dead=self._dead,
        )

    def _dead(self) -> set[str]:
        if not isinstance(self.runner, MasterRunner) or self.conductor is None or self.conductor.plan is None:
            return set()
        clients = self.runner.clients
        alive = {client_id for client_id in clients if clients[client_id].state != STATE_MISSING}
        return set(self.conductor.plan.workers) - alive

    def begun(self, environment: Any, **_: Any) -> None:
        """Locust starts a test."""
        conductor = self.conductor
        if conductor is None:
            return
        if conductor.running:
            return  # more users join a run that goes on
        if self.environment.host and self.environment.host.rstrip("/") != conductor.target.base_url:
            try:
                self._aim()  # the web form named another target
            except (TargetError, ValueError) as problem:
                progress.say(f"usage: {problem}")
                gevent.spawn(self.runner.stop)
                return
        clients = (
            [client.id for client in self.runner.clients.ready]
            if isinstance(self.runner, MasterRunner)
            else [LOCAL]
        )
        assert self.conductor is not None
        self.conductor.start(clients)
        self._conducting = gevent.spawn(self._conduct_safely)

    def received(self, environment: Any, msg: Any, **_: Any) -> None:
        """A worker's report came."""
        if self.conductor is not None:
            self.conductor.received(msg.data, msg.node_id)

    def _conduct_safely(self) -> None:
        """The run from start to end; where we break ourselves it ends INVALID, for it must not hang."""
        try:
            self._conduct()
        except Exception:
            self.environment.process_exit_code = int(Exit.INVALID)
            progress.say(f"INVALID (exit 4): chatproof itself failed\n{traceback.format_exc()}")
            if self.environment.parsed_options.headless:
                self.runner.quit()

    def _conduct(self) -> None:
        conductor = self.conductor
        assert conductor is not None
        line = progress.Line()
        seconds = self.seconds
        trace = self.trace
        legs = () if trace else self.user_class.legs(conductor.options, seconds or DEFAULT_SECONDS)

        def pause(until_ns: int | None) -> str | None:
            """Waits a little and shows the figures; the reason to end the run, where there is one."""
            gevent.sleep(0.1)
            if conductor.finishing:
                return "stopped"
            ledger, now_ns = conductor.ledger, time.monotonic_ns() - conductor.epoch_ns
            if ledger is not None:
                line.show(progress.line(conductor.live, ledger.running, ledger.health, now_ns), now_ns)
            return conductor.stop_reason(until_ns)

        lasted = None
        if self.user_class.search:
            reason = search(conductor, pause)
        else:
            if legs:
                conductor.fly(legs)
                seconds = sum(leg.seconds for leg in legs) + 0.1
                lasted = seconds - 0.1
            elif trace:
                lasted = trace.seconds
                begun_s = (time.monotonic_ns() - conductor.epoch_ns) / 1e9
                seconds = (
                    begun_s + conductor.play(trace) + lasted + 0.1
                )  # the last one is due at the very end
            until_ns = None if seconds is None else conductor.epoch_ns + int(seconds * 1e9)
            reason = _wait(pause, until_ns)
            lasted = lasted if reason == "the run's time was over" else None
        if conductor.finishing:
            line.close()
            return
        hasty = reason == STOP_FILE
        drain_s = INTERRUPTED_DRAIN_S if hasty else conductor.options["drain_s"]
        conductor.finish(reason, drain_s=drain_s, interrupted=hasty, seconds=lasted)
        line.close()
        self.close_run()
        if self.environment.parsed_options.headless:
            self.runner.quit()
        else:
            self.runner.stop()

    def close_run(self) -> None:
        """Says how the run ended, and sets the exit code before locust asks for it."""
        conductor = self.conductor
        if conductor is None or conductor.verdict is None:
            return
        self.environment.process_exit_code = int(conductor.verdict.exit)
        if conductor.section is not None:
            name = "EMBEDDED REFERENCE" if conductor.embedded else conductor.target.base_url
            for text in progress.closing(conductor.section, conductor.verdict, name):
                progress.say(text)

    def stopping(self, environment: Any, **_: Any) -> None:
        """Locust stops a test: by its web page, or because no worker is left."""
        conductor = self.conductor
        if conductor is not None and conductor.running and not conductor.finishing:
            gevent.spawn(self._finish, "locust stopped the test", conductor.options["drain_s"], False)
        elif conductor is None and self.worker.member is not None:
            self.worker.member.stop(self.environment.stop_timeout or INTERRUPTED_DRAIN_S)

    def quitting(self, environment: Any, **_: Any) -> None:
        """Locust ends: on Ctrl-C what was measured is still reported."""
        conductor = self.conductor
        if conductor is not None and conductor.running:
            self._finish("interrupted", INTERRUPTED_DRAIN_S, True)
        elif conductor is None and self.worker.member is not None and not self.worker.member.done.is_set():
            self.worker.member.stop(INTERRUPTED_DRAIN_S)
            self.worker.member.done.wait(INTERRUPTED_DRAIN_S + 1.5)
        if self.worker.member is not None:
            self.worker.member.close()
        if self.reference is not None:
            self.reference.close()
            self.reference = None

    def _finish(self, reason: str, drain_s: float, interrupted: bool) -> None:
        conductor = self.conductor
        assert conductor is not None
        if conductor.finishing:
            deadline = time.monotonic() + INTERRUPTED_DRAIN_S + 1
            while conductor.running and time.monotonic() < deadline:
                gevent.sleep(0.02)
            return
        conductor.finish(reason, drain_s=drain_s, interrupted=interrupted)
        self.close_run()


def _wait(pause: Callable[[int | None], str | None], until_ns: int | None) -> str:
    while (reason := pause(until_ns)) is None:
        pass
    return reason


_WIRED: dict[int, Wiring] = {}


def member_of(environment: Any) -> Member | None:
    """The member of the run that goes on in this process; None before the plan has come."""
    wiring = _WIRED.get(id(environment))
    return wiring.worker.member if wiring is not None else None


def listen(events: Any) -> None:
    """Subscribes to locust's events; once, however often scenarios are loaded."""
    if _listening:
        return
    _listening.append(True)
    # a worker makes locust's whole parser anew at each step of a ramp: 70 ms in which it would read nothing
    argument_parser.default_args_dict = functools.cache(argument_parser.default_args_dict)
    events.init_command_line_parser.add_listener(_add_options)
    events.init.add_listener(_on_init)


_listening: list[bool] = []


def _add_options(parser: Any) -> None:
    for option in OPTIONS:
        extra: dict[str, Any] = {"help": option.help, "include_in_web_ui": option.dest not in _HIDDEN}
        if option.parse is None:
            extra |= {"action": "store_true"}
        elif option.repeats:
            extra |= {"action": "append", "default": None, "include_in_web_ui": False}
        else:
            extra |= {"type": option.parse, "default": option.default}
        if option.choices:
            extra |= {"choices": list(option.choices)}
        parser.add_argument(f"--{option.name}", **extra)


def _interrupt() -> None:
    """Ctrl-C as a greenlet of its own: raised wherever the signal happens to strike it would cost a stream."""
    gevent.get_hub().handle_system_error(KeyboardInterrupt, KeyboardInterrupt())


def _on_init(environment: Any, runner: Any, web_ui: Any = None, **_: Any) -> None:
    classes = [each for each in environment.user_classes if hasattr(each, "leave_share")]
    if not classes:
        return
    gevent.signal_handler(signal.SIGINT, _interrupt)
    wiring = Wiring(environment, classes[0])
    _WIRED[id(environment)] = wiring
    if not isinstance(runner, WorkerRunner):
        wiring.prepare()
        runner.register_message("chatproof-batch", wiring.received)
        environment.events.test_start.add_listener(wiring.begun)
        if environment.stop_timeout is None or not environment.stop_timeout:
            environment.stop_timeout = wiring.options["drain_s"]
        if web_ui is not None:
            add_page(web_ui, lambda: wiring.conductor)
    if isinstance(runner, WorkerRunner | LocalRunner):
        argument_parser.default_args_dict()
        runner.register_message("chatproof-plan", wiring.worker.planned)
        runner.register_message("chatproof-legs", wiring.worker.flown)
        runner.register_message("chatproof-trace", wiring.worker.played)
        runner.register_message("chatproof-stop", wiring.worker.stopped)
        runner.register_message("chatproof-ack", wiring.worker.acknowledged)
    environment.events.test_stopping.add_listener(wiring.stopping)
    environment.events.quitting.add_listener(wiring.quitting)
