"""Subscribes both sides of a run to locust: its options, its events, its messages, its signals. Decides nothing."""

from __future__ import annotations

import functools
import signal
import time
import traceback
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event
from locust import argument_parser
from locust.runners import LocalRunner, WorkerRunner

from chatproof.swarm.asking.plan import FIXED, OPTIONS, fixed_options, options_of
from chatproof.swarm.master.master_side import MasterSide
from chatproof.swarm.master.web import add_page
from chatproof.swarm.unhandled import Tell, tell_of_greenlets, telling
from chatproof.swarm.worker.member import Member
from chatproof.swarm.worker.worker_side import WorkerSide
from chatproof.verdict import Exit

QUIT_WITHIN_S = 5.0
AGAIN_S = 3.0  # a second Ctrl-C within that time is the first one, told by somebody else too

_WORKERS: dict[int, WorkerSide] = {}


def member_of(environment: Any) -> Member | None:
    """The member of the run that goes on in this process; None before the plan has come."""
    worker = _WORKERS.get(id(environment))
    return worker.member if worker is not None else None


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
        extra: dict[str, Any] = {
            "help": option.help_everywhere,
            "include_in_web_ui": option.dest not in FIXED,
        }
        if option.parse is None:
            extra |= {"action": "store_true"}
        elif option.repeats:
            extra |= {"action": "append", "default": None, "include_in_web_ui": False}
        else:
            extra |= {"type": option.parse, "default": option.default}
        if option.choices:
            extra |= {"choices": list(option.choices)}
        parser.add_argument(f"--{option.name}", **extra)


def _on_init(environment: Any, runner: Any, web_ui: Any = None, **_: Any) -> None:
    classes = [each for each in environment.user_classes if hasattr(each, "leave_share")]
    if not classes:
        return

    runner.quit = _once(runner.quit)
    if isinstance(runner, WorkerRunner):
        worker = WorkerSide(environment, lambda: options_of(environment.parsed_options))
        _listen_to_ctrl_c(lambda: False)
        _hear_as_worker(worker, worker.broke)
        environment.events.test_stopping.add_listener(telling(worker.broke, worker.stopping))
        return
    options = fixed_options(environment)
    master = MasterSide(environment, classes[0], options)
    if isinstance(runner, LocalRunner):
        _hear_as_worker(WorkerSide(environment, options), master.broke)
    _listen_to_ctrl_c(master.interrupted)
    _hear_as_master(master)
    master.prepare()
    if web_ui is not None:
        add_page(web_ui, lambda: master.conductor, environment.parsed_options.web_base_path)


def _hear_as_worker(worker: WorkerSide, broke: Tell) -> None:
    argument_parser.default_args_dict()
    environment, runner = worker.environment, worker.runner
    _WORKERS[id(environment)] = worker
    tell_of_greenlets(broke)
    messages = {
        "chatproof-plan": worker.planned,
        "chatproof-legs": worker.flown,
        "chatproof-trace": worker.played,
        "chatproof-stop": worker.stopped,
        "chatproof-ack": worker.acknowledged,
    }
    for name, listener in messages.items():
        runner.register_message(name, telling(broke, listener))
    environment.events.user_error.add_listener(telling(broke, functools.partial(_user_failed, broke)))
    environment.events.quitting.add_listener(telling(broke, worker.quitting))


def _hear_as_master(master: MasterSide) -> None:
    environment, runner = master.environment, master.runner
    if not isinstance(runner, LocalRunner):
        tell_of_greenlets(master.broke)
    for name, listener in {
        "chatproof-batch": master.received,
        "chatproof-broke": master.worker_broke,
    }.items():
        runner.register_message(name, telling(master.broke, listener))
    events = environment.events
    heard: tuple[tuple[Any, Callable[..., None]], ...] = (
        (events.test_start, master.begun),
        (events.test_stopping, master.stopping),
        (events.worker_connect, master.connected),
        (events.quitting, master.quitting),  # the last to be added is the first to be told
    )
    for event, listener in heard:
        event.add_listener(telling(master.broke, listener))


def _user_failed(broke: Tell, exception: BaseException, **_: Any) -> None:
    """Locust has caught what a user raised, and would go on."""
    broke("".join(traceback.format_exception(exception)))


def _listen_to_ctrl_c(seen_to: Callable[[], bool]) -> None:
    """Ctrl-C as a greenlet of its own: raised wherever the signal happens to strike it would cost a stream."""
    struck: list[float] = []

    def interrupt() -> None:
        struck.append(time.monotonic())
        if len(struck) == 1:
            if not seen_to():
                gevent.get_hub().handle_system_error(KeyboardInterrupt, KeyboardInterrupt())
        elif struck[-1] - struck[0] > AGAIN_S:
            code = int(Exit.INCONCLUSIVE)
            gevent.get_hub().handle_system_error(SystemExit, SystemExit(code))

    gevent.signal_handler(signal.SIGINT, interrupt)


def _once(quit_runner: Callable[[], None]) -> Callable[[], None]:
    """Locust quits a master twice in a row, and waits half a second each time: who comes later waits for the first."""
    begun: list[bool] = []
    over = Event()

    def leave() -> None:
        if begun:
            over.wait(QUIT_WITHIN_S)
            return
        begun.append(True)
        try:
            quit_runner()
        finally:
            over.set()

    return leave
