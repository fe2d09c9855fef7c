"""The machine under the benchmark: its cores, its priorities and its name. Knows no load."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path

SERVER_CORE, CLIENT_CORE = "1", "0"
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
PACKAGES = ("locust", "gevent", "httptools", "msgspec", "httpx", "httpx-sse", "openai")
_REAL_TIME = ("chrt", "--rr", "10")
_FIRST = ("nice", "-n", "-20")


@cache
def permitted(*words: str) -> bool:
    """Whether a command may be started behind these words."""
    if shutil.which(words[0]) is None:
        return False
    done = subprocess.run([*words, "true"], capture_output=True)
    return done.returncode == 0 and not done.stderr  # nice goes on without what it was refused


def pin(cores: str, *, processes: int = 1) -> list[str]:
    """The words that give a command its cores, before whatever else the machine does, where they can.

    One process goes to the real-time queue. Several would wait there for each other, a tenth of a second a turn, so
    they stay in the ordinary one with the highest weight.
    """
    words = ["taskset", "-c", cores] if shutil.which("taskset") and CORES > 1 else []
    for first in (_REAL_TIME, _FIRST) if processes == 1 else (_FIRST,):
        if permitted(*first):
            return [*words, *first]
    return words


def priorities() -> str:
    """What `pin` reached, for the header of a table."""
    pinned = "pinned to a core each" if pin("0")[:1] == ["taskset"] else "not pinned"
    if permitted(*_REAL_TIME):
        return f"server and client {pinned}, SCHED_RR (clients of several processes: nice -20)"
    return f"server and client {pinned}, {'nice -20' if permitted(*_FIRST) else 'no priority: not permitted'}"


def described(packages: Sequence[str] = PACKAGES) -> str:
    """Date, machine and versions: what the figures belong to."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    day = datetime.now(UTC).date().isoformat()
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{day} (UTC), {model}, {CORES} cores, {system}, {versions}; {priorities()}"


def stolen_s() -> float:
    """Seconds that the host took from this machine's cores since it started; 0 where nobody counts them."""
    words = next((line.split() for line in _lines("/proc/stat") if line.startswith("cpu ")), [])
    return int(words[8]) / os.sysconf("SC_CLK_TCK") if len(words) > 8 else 0.0


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
