"""A load run as a command: plain locust in a process of its own, since importing locust changes a process for good."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatproof.swarm.aim import UsageError
from chatproof.swarm.compare import Compared, compare_live
from chatproof.swarm.plan import OPTIONS, Option, at_least_one
from chatproof.target import folder

DURATION = "30s"
RUN_OPTIONS: tuple[Option, ...] = (
    Option("base-url", str, None, "the target's base URL, ending in /v1; --target FILE does too"),
    Option("users", at_least_one, 10, "users of a closed loop, of all workers together"),
    Option("duration", str, None, "how long, such as 5m or 8h; else 30s, and a --trace to its end"),
    Option("processes", at_least_one, None, "worker processes on this machine"),
    Option("web", None, False, "locust's web UI on port 8089 instead of a headless run"),
)
COMMAND_OPTIONS: tuple[Option, ...] = (*RUN_OPTIONS, *OPTIONS)
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
    process = subprocess.Popen(command(name, options))
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the terminal has told locust too: it ends in order and says how
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def compare_targets(a: str, b: str, options: Mapping[str, Any], say: Callable[[str], object]) -> Compared:
    """Two live targets, each a target file or a base URL, measured in turns with the same options."""

    def measure(of: Mapping[str, Any], into: Path) -> int:
        return run_load("steady", {**of, "report": str(into)})

    first, second = ({**options, ("base_url" if "://" in name else "target"): name} for name in (a, b))
    return compare_live(first, second, measure, say=say)


def command(name: str, options: Mapping[str, Any]) -> list[str]:
    """The locust command line of a scenario."""
    known = [scenario.name for scenario in scenarios()]
    if name not in known:
        raise UsageError(f"there is no scenario {name!r}: choose one of {', '.join(known)}")
    words = [sys.executable, "-m", "locust", "-f", str(folder("load") / f"{name}.py"), "--skip-log-setup"]
    if not options.get("web"):
        words.append("--headless")
    given = {**options, "duration": options.get("duration") or (None if options.get("trace") else DURATION)}
    for dest, flag in _LOCUST.items():
        if given.get(dest) is not None:
            words += [flag, str(given[dest])]
    for option in OPTIONS:
        words += _words(option, options.get(option.dest))
    return words


def _words(option: Option, value: Any) -> Sequence[str]:
    if value is None or value is False or value == option.default:
        return ()
    if option.parse is None:
        return (f"--{option.name}",)
    values = value if option.repeats else (value,)
    return [word for each in values for word in (f"--{option.name}", str(each))]
