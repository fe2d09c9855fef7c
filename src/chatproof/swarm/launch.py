"""A load run as a command: plain locust in a process of its own, since importing locust changes a process for good."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from chatproof.metrics.compare import LEAST_PAIRS
from chatproof.swarm.asking.aim import UsageError
from chatproof.swarm.asking.plan import CLOSED, OPTIONS, Option, at_least_one, whole_seconds
from chatproof.swarm.compare.compare import Compared, compare_live
from chatproof.swarm.compare.recorded import read_run
from chatproof.swarm.compare.side_by_side import Measure, Side, Turns, Unmeasured, confirm, in_turns, named_by
from chatproof.target import folder
from chatproof.verdict import Exit

DURATION = "30s"
TIMED = (*CLOSED, "arrivals", "spike")  # a search ends by itself
RUN_OPTIONS: tuple[Option, ...] = (
    Option("base-url", str, None, "base URL ending in /v1, where there is no target file", shown="URL"),
    Option("users", at_least_one, 10, "how many wait for answers at a time, of all workers", only=CLOSED),
    Option("duration", whole_seconds, None, "how long, such as 90s, 5m or 8h; else 30s", only=TIMED),
    Option("processes", at_least_one, None, "worker processes on this machine; else one"),
    Option("web", None, False, "locust's web UI on port 8089 instead of a headless run"),
)
COMMAND_OPTIONS: tuple[Option, ...] = (OPTIONS[0], *RUN_OPTIONS, *OPTIONS[1:])  # what names the target first
_LOCUST = {"base_url": "--host", "users": "--users", "duration": "--run-time", "processes": "--processes"}


@dataclass(frozen=True, slots=True)
class Scenario:
    """A file of `load/`: its name, and the question it answers."""

    name: str
    question: str


def scenarios() -> tuple[Scenario, ...]:
    """Every scenario, by name."""
    found = []
    for path in sorted(folder("load").glob("*.py")):
        first = path.read_text(encoding="utf-8").partition("\n")[0]
        found.append(Scenario(path.stem, first.strip('"')))
    return tuple(found)


def run_load(name: str, options: Mapping[str, Any]) -> int:
    """Runs the scenario of that name with options by their `dest`; the exit code. UsageError where there is none."""
    return _ended(subprocess.Popen(command(name, options)))


def _ended(process: subprocess.Popen[bytes]) -> int:
    """The exit code of a load that ends in order whatever ends this process: a terminal, a scheduler, an alarm."""
    struck: list[int] = []

    def pass_on(number: int, _: object) -> None:
        struck.append(number)
        process.send_signal(signal.SIGINT)  # twice is as once: at a terminal it has had its own

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = process.wait()
    except KeyboardInterrupt:  # of an alarm, not of a signal that was passed on
        process.send_signal(signal.SIGINT)
        process.wait()
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if code >= 0:
        return code
    return int(
        Exit.INCONCLUSIVE if struck else Exit.INVALID
    )  # it was killed, or struck before it could listen


def named(target: str) -> Mapping[str, str]:
    """The option that names a target: a file's, or a base URL's."""
    return {"base_url" if "://" in target else "target": target}


def compare_targets(a: str, b: str, options: Mapping[str, Any], say: Callable[[str], object]) -> Compared:
    """Two live targets, each a target file or a base URL, measured in turns with the same options."""
    first, second = ({**options, **named(name)} for name in (a, b))
    sides = [Side.of(each, os.environ) for each in (first, second)]
    confirm(sides, "steady", LEAST_PAIRS, yes=options.get("yes", False))
    return compare_live(first, second, _measure("steady", sides), say=say, again=LEAST_PAIRS // 2)


def measure_overhead(
    gateway: Mapping[str, Any],
    upstream: Mapping[str, Any],
    *,
    pairs: int,
    yes: bool,
    say: Callable[[str], object],
) -> Turns:
    """A gateway and its upstream, measured in turns: the same words at the same constant rate on both."""
    sides = [Side.of(each, os.environ) for each in (gateway, upstream)]
    confirm(sides, "arrivals", pairs, yes=yes)
    names = "gateway", "upstream"
    run = _measure("arrivals", sides)
    return in_turns(gateway, upstream, run, pairs=pairs, names=names, say=say, again=pairs // 2)


def _measure(scenario: str, sides: Sequence[Side]) -> Measure:
    """Makes one run of the side that its options name, without a word unless it cannot be used."""
    by_target = {side.named: side for side in sides}

    def measure(options: Mapping[str, Any], into: Path) -> int:
        side = by_target[named_by(options)]
        refusal = side.refusal()
        if refusal is not None:
            raise Unmeasured(Exit.INCONCLUSIVE, refusal)
        code, said = run_quietly(scenario, {**options, "yes": True, "report": str(into)})
        try:
            run = read_run(into)
        except UsageError:
            told = Exit(code) if code in (Exit.INVALID, Exit.USAGE) else Exit.INCONCLUSIVE
            raise Unmeasured(told, said or "the run left no report") from None
        side.book(run.rows)
        if code == Exit.INVALID and not run.interrupted:  # whoever interrupts wants no other run
            raise Unmeasured(Exit.INVALID, said)
        return Exit.INCONCLUSIVE if run.interrupted else code

    return measure


def run_quietly(name: str, options: Mapping[str, Any]) -> tuple[int, str]:
    """Runs the scenario; its exit code and the last line that it said."""
    with TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        code = _ended(subprocess.Popen(command(name, options), stdout=said, stderr=said))
        said.seek(0)
        lines = [line.strip() for line in said if line.strip()]
    return code, lines[-1] if lines else ""


def command(name: str, options: Mapping[str, Any]) -> list[str]:
    """The locust command line of a scenario."""
    known = [scenario.name for scenario in scenarios()]
    if name not in known:
        raise UsageError(f"there is no scenario {name!r}: choose one of {', '.join(known)}")
    words = [sys.executable, "-m", "locust", "-f", str(folder("load") / f"{name}.py"), "--skip-log-setup"]
    if not options.get("web"):
        words.append("--headless")
    given = {**options, "duration": _run_time(options)}
    for dest, flag in _LOCUST.items():
        if given.get(dest) is not None:
            words += [flag, str(given[dest])]
    for option in OPTIONS:
        words += _words(option, options.get(option.dest))
    return [*words, *(_meeting_point() if options.get("processes") else ())]


def _meeting_point() -> Sequence[str]:
    """A port of this run's own: on locust's, which is one for all, workers of another run beside it would join in."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    return ("--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port)


def _run_time(options: Mapping[str, Any]) -> str | None:
    """Locust's --run-time; None where a trace ends the run."""
    if not options.get("duration"):
        return None if options.get("trace") else DURATION
    return f"{whole_seconds(str(options['duration']))}s"


def _words(option: Option, value: Any) -> Sequence[str]:
    if value is None or value is False or value == option.default:
        return ()
    if option.parse is None:
        return (f"--{option.name}",)
    values = value if option.repeats else (value,)
    return [word for each in values for word in (f"--{option.name}", str(each))]
