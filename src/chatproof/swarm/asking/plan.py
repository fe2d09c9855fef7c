"""What one load run is to do: the options as a person gives them, and the plan that the master hands to its workers.

Knows no locust: the same table makes the options of `locust -f load/X.py` and of `chatproof load X`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from chatproof.swarm.asking.ask import Workload
from chatproof.swarm.asking.trace import Sizes, Trace, TraceError, read_trace


def positive(text: str) -> float:
    """A number above 0."""
    value = float(text)
    if not value > 0:
        raise ValueError(f"{text} is not above 0")
    return value


def at_least_one(text: str) -> int:
    """A whole number above 0."""
    value = int(text)
    if value < 1:
        raise ValueError(f"{text} is not at least 1")
    return value


def whole_seconds(text: str) -> int:
    """Whole seconds above 0 of a text such as 90, 30s, 5m, 8h or 1h30m."""
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", text.strip())
    hours, minutes, rest = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    if not hours * 3600 + minutes * 60 + rest:
        raise ValueError(f"{text!r} is no time of a second or more: write it like 90s, 5m or 1h30m")
    return hours * 3600 + minutes * 60 + rest


def fraction(text: str) -> float:
    """A number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError(f"{text} is not from 0 to 1")
    return value


@dataclass(frozen=True, slots=True)
class Option:
    """One option of every scenario; `parse` None makes it a flag."""

    name: str
    parse: Callable[[str], Any] | None
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    repeats: bool = False
    shown: str = ""  # what stands for its value in help
    only: tuple[str, ...] = ()  # the scenarios of ours that it is for; else all

    @property
    def dest(self) -> str:
        """Its name as an attribute."""
        return self.name.replace("-", "_")

    @property
    def help_everywhere(self) -> str:
        """Its help where all scenarios' options stand together."""
        return f"{self.help} ({', '.join(self.only)})" if self.only else self.help

    def of(self, scenario: str) -> bool:
        """Whether a scenario uses it; one that is not ours may use any."""
        return not self.only or scenario in self.only or scenario not in (*CLOSED, *OPEN)


INTERRUPTED_DRAIN_S = 0.3  # how long streams may end in where somebody waits for the end
RAMP_S = 2.0
STARTS_PER_S = 100
CLOSED = ("steady", "soak", "mixed", "hangup")  # users who wait for their answers
OPEN = ("arrivals", "spike", "capacity")  # requests that come when they are due
SIZED = ("steady", "soak", "hangup", *OPEN)
_TRACE, _SEARCH = ("arrivals",), ("capacity",)

OPTIONS: tuple[Option, ...] = (
    Option("target", str, None, "target file; with none, and no URL, the embedded reference", shown="FILE"),
    Option("model", str, None, "model to ask for; else the target's first, else auto", shown="NAME"),
    Option(
        "ramp",
        whole_seconds,
        None,
        "how long the users take to start; else 2s, and longer where that is over 100 a second",
        shown="TIME",
        only=CLOSED,
    ),
    Option("rate", positive, 10.0, "requests a second, of all workers together", only=OPEN),
    Option(
        "arrival",
        str,
        "poisson",
        "how they are spread: at random, or evenly",
        choices=("poisson", "constant"),
        only=OPEN,
    ),
    Option(
        "trace",
        str,
        None,
        "recorded starts and sizes to play, to their end or for --duration",
        shown="FILE",
        only=_TRACE,
    ),
    Option("speed", positive, 1.0, "how many times as fast as recorded a --trace is played", only=_TRACE),
    Option("prompt-cap", at_least_one, 4096, "longest prompt taken from a --trace, in tokens", only=_TRACE),
    Option("answer-cap", at_least_one, 1024, "longest answer taken from a --trace, in tokens", only=_TRACE),
    Option("prompt-tokens", at_least_one, 64, "length of each prompt, about", only=SIZED),
    Option("max-tokens", at_least_one, 128, "length of each answer, at most", only=SIZED),
    Option("stream-share", fraction, 1.0, "share of requests that ask for a stream", only=SIZED),
    Option("leave-share", fraction, 0.2, "share of streams that the client hangs up on", only=("hangup",)),
    Option("spike-factor", positive, 5.0, "how many times --rate the burst brings", only=("spike",)),
    Option(
        "step-s", positive, 10.0, "seconds that a step lasts, if that is enough to judge it", only=_SEARCH
    ),
    Option("max-rate", positive, 1000.0, "highest rate that the search tries", only=_SEARCH),
    Option(
        "slo",
        str,
        (),
        "objective such as 'ttft_p95<800ms', may be repeated; wins over the target's [slo]",
        repeats=True,
        shown="TERM",
    ),
    Option("seed", int, 1, "same seed, same prompts and arrivals"),
    Option("sample-share", fraction, 0.05, "share of streams whose raw bytes are judged in full"),
    Option(
        "drain-s", positive, 10.0, "seconds that streams have left at the end, before they are still_running"
    ),
    Option("report", str, None, "folder to write the report to", shown="DIR"),
    Option("stop-file", str, None, "end the run when this file appears", shown="FILE"),
    Option("yes", None, False, "do not ask before load goes to another machine"),
)


FIXED = frozenset({"yes", "ramp", "report", "target", "stop_file", "trace"})  # not for the web form


def options_of(parsed: Any) -> dict[str, Any]:
    """Our options as locust's parser, or its web form, left them."""
    return {option.dest: getattr(parsed, option.dest, option.default) for option in OPTIONS}


def fixed_options(environment: Any) -> Callable[[], dict[str, Any]]:
    """Our options as they stand now; what names files or confirms a load stays as the command line had it.

    Locust takes any option from whoever sends its web form, those too that the form does not show.
    """
    given = options_of(environment.parsed_options)
    fixed = {name: given[name] for name in FIXED}
    return lambda: {**options_of(environment.parsed_options), **fixed}


def users_a_second(users: int, ramp_s: int | None) -> float:
    """How many users start in a second; a target is met by a crowd, not by a wall of handshakes."""
    return users / (ramp_s or max(RAMP_S, users / STARTS_PER_S))


def misplaced(scenario: str, options: Mapping[str, Any]) -> str | None:
    """Which option was given that this scenario has no use for, and what does; None where all are of use."""
    for option in OPTIONS:
        if not option.of(scenario) and options[option.dest] != option.default:
            return f"--{option.name} has no effect in {scenario}: it is for {', '.join(option.only)}"
    return None


_ONLY = "is for a --trace: name one, or leave it out"
BESIDE_A_RATE = {"speed": _ONLY, "prompt-cap": _ONLY, "answer-cap": _ONLY}
BESIDE_A_TRACE = {
    "rate": "does not go with --trace, which has its own: --speed plays it faster or slower",
    "arrival": "does not go with --trace: its requests start as they were recorded",
}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the master tells its workers at the start of a run."""

    run: str
    epoch_wall_ns: int  # the run's zero, on the calendar clock: workers share that one only
    base_url: str
    embedded: bool  # the target is the embedded reference, whose key is no secret
    model: str
    workers: dict[str, int]  # locust's client id -> index
    seed: int
    workloads: list[dict[str, Any]]
    leave_share: float
    sample_share: float
    requests: int  # budget of all workers together
    credits: str | None
    credits_each: str | None  # what one request costs at most, where prices are known


def trace_of(options: Mapping[str, Any], seconds: float | None) -> Trace | None:
    """The trace that the options name, up to `seconds`; None where they name none. TraceError where it is not right."""
    ours = {option.name: option for option in OPTIONS}
    path = options["trace"]
    wrong = (BESIDE_A_RATE if path is None else BESIDE_A_TRACE).items()
    for name, why in wrong:
        if options[ours[name].dest] != ours[name].default:
            raise TraceError(f"--{name} {why}")
    if path is None:
        return None
    sizes = Sizes(*(options[name] for name in ("prompt_tokens", "max_tokens", "prompt_cap", "answer_cap")))
    return read_trace(Path(path), speed=options["speed"], seconds=seconds, sizes=sizes)


def workloads_of(options: Mapping[str, Any]) -> tuple[Workload, ...]:
    """The workloads that the sizes and the share of streams make."""
    prompt, answer, streams = options["prompt_tokens"], options["max_tokens"], options["stream_share"]
    both = (
        Workload("stream", prompt, answer, True, streams),
        Workload("sync", prompt, answer, False, 1 - streams),
    )
    return tuple(workload for workload in both if workload.weight > 0)
