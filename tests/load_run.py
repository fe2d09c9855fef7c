"""Plain locust in a process of its own, as a user runs it, and what it left on disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from chatproof.metrics import StreamRow
from chatproof.target import folder

Words = Callable[..., list[str]]  # a command line from a scenario and options


@dataclass(frozen=True, slots=True)
class Run:
    """A run that is over."""

    exit_code: int
    said: str
    report: Mapping[str, Any]
    rows: tuple[StreamRow, ...]

    @property
    def load(self) -> Any:
        """The report's load section."""
        return self.report["load"]


def words(scenario: str, *options: str) -> list[str]:
    """The command line of a scenario."""
    file = str(folder("load") / f"{scenario}.py")
    return [sys.executable, "-m", "locust", "-f", file, "--headless", "--skip-log-setup", *options]


def command(scenario: str, *options: str) -> list[str]:
    """The same through `chatproof load`."""
    return [sys.executable, "-m", "chatproof", "load", scenario, *options]


def environment(key: str | None) -> dict[str, str]:
    """The environment of a run: nothing of the surroundings that names a target."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BEATRA_")}
    return {**kept, **({"BEATRA_API_KEY": key} if key else {})}


@contextmanager
def started(
    scenario: str, *options: str, report: Path, key: str | None = None, by: Words = words
) -> Iterator[subprocess.Popen[str]]:
    """A run that goes on; whatever it leaves is ended with the block."""
    process = subprocess.Popen(
        by(scenario, "--report", str(report), *options),
        env=environment(key),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def ended(process: subprocess.Popen[str], report: Path, timeout: float = 40) -> Run:
    """Waits for a run's end."""
    said, _ = process.communicate(timeout=timeout)
    file = report / "report.json"
    rows = report / "samples.jsonl"
    decode = msgspec.json.Decoder(StreamRow).decode
    return Run(
        process.returncode,
        said,
        json.loads(file.read_text()) if file.exists() else {},
        tuple(map(decode, rows.read_bytes().splitlines())) if rows.exists() else (),
    )


def run(
    scenario: str,
    *options: str,
    report: Path,
    key: str | None = None,
    timeout: float = 40,
    by: Words = words,
) -> Run:
    """A whole run."""
    with started(scenario, *options, report=report, key=key, by=by) as process:
        return ended(process, report, timeout)


def truth(file: Path) -> list[dict[str, Any]]:
    """The reference's log of the requests for completions, once all of them are in it."""
    size = -1
    while size != file.stat().st_size:
        size = file.stat().st_size
        time.sleep(0.3)
    lines = (json.loads(line) for line in file.read_text().splitlines())
    return [line for line in lines if line["path"].endswith("/chat/completions")]
