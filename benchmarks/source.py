"""The C server as a process: built, started for a block, asked for its log. Knows no client."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import SERVER_CORE, pin

C = Path(__file__).resolve().parent / "server"


@dataclass(frozen=True, slots=True)
class Sent:
    """What the server really did for one request; instants in nanoseconds of the monotonic clock."""

    name: str
    received_ns: int
    first_ns: int
    last_ns: int
    events: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Log:
    """What the server did in one run, how late its paced writes were, and how long it used its core."""

    streams: tuple[Sent, ...]
    lag_p99_ms: float
    busy_ns: int

    @property
    def events(self) -> int:
        """Of all streams together."""
        return sum(stream.events for stream in self.streams)


@dataclass(frozen=True, slots=True)
class Binaries:
    """What is compiled."""

    server: Path
    reader: Path


def build(folder: Path) -> Binaries:
    """The server and its reader, compiled; exits with one line where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        sys.exit("the benchmark's server needs a C compiler: install cc")
    for name in ("server", "reader"):
        subprocess.run([compiler, "-O2", "-o", str(folder / name), str(C / f"{name}.c")], check=True)
    return Binaries(folder / "server", folder / "reader")


@contextmanager
def serving(binaries: Binaries, core: str = SERVER_CORE) -> Iterator[str]:
    """The server for the time of a block; its root URL."""
    process = subprocess.Popen([*pin(core), str(binaries.server)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


def log_of(root: str) -> Log:
    """The server's log of this run."""
    lines = (line.split() for line in _told(root, "truth").splitlines())
    streams = tuple(
        Sent(name, int(received), int(first), int(last), int(events), whole == "1")
        for name, received, first, last, events, whole in lines
    )
    stats = json.loads(_told(root, "stats"))
    return Log(streams, stats["lag_p99"] / 1e6, stats["busy"])


def _told(root: str, what: str) -> str:
    with urllib.request.urlopen(f"{root}/{what}", timeout=10) as answer:
        return str(answer.read().decode())
