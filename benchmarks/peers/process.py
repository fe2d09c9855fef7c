"""A peer as processes: started, waited for, its memory summed. Knows no peer."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.machine import CLIENT_CORE, pin

MOST_S = 420
_LOOK_S = 2.0  # a look at a large process costs milliseconds of the core it runs on


@dataclass(frozen=True, slots=True)
class Ended:
    """How a peer's run went: its memory is the proportional share of all of its processes, at its highest."""

    launched_ns: int
    code: int
    memory_mb: float
    said: str


def run(words: Sequence[str], log: Path, environment: Mapping[str, str]) -> Ended:
    """Runs a peer on the client's core to its end, or to ours: no process of it is left."""
    launched = time.monotonic_ns()
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*pin(CLIENT_CORE, processes=2), *words],
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        most = [0.0]
        over = threading.Event()
        looking = threading.Thread(target=_look, args=(process.pid, most, over))
        looking.start()
        try:
            process.wait(MOST_S)
        except subprocess.TimeoutExpired:
            print(f"{words[0]}: not done after {MOST_S} s", file=sys.stderr)
        finally:
            over.set()
            looking.join()
            _end(process)
    return Ended(launched, process.returncode, most[0], log.read_text(errors="replace")[-2000:])


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends what is left of the peer's own process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _look(root: int, most: list[float], over: threading.Event) -> None:
    while not over.wait(_LOOK_S):
        most[0] = max(most[0], _memory_mb(root))


def _memory_mb(root: int) -> float:
    total = 0
    try:
        processes = [psutil.Process(root), *psutil.Process(root).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    for each in processes:
        try:
            total += each.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total / 1e6
