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
from urllib.parse import urlsplit

import msgspec
import psutil

from chatproof.metrics import StreamRow
from chatproof.reference import target_text
from chatproof.target import folder, parse_target

KEY = parse_target(target_text("http://127.0.0.1:1/v1"), name="t", beside=Path(), env={}).api_key
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


def assert_passed(found: Run) -> None:
    """The target is found right. On a machine that others use too the client may rightly call itself unfit."""
    assert found.exit_code == 0 or found.load["health"]["complaints"], found.said


def ids(rows: tuple[StreamRow, ...] | list[dict[str, Any]]) -> list[str]:
    """The request ids of rows or of the log, sorted."""
    return sorted(row.stream_id if isinstance(row, StreamRow) else row["request_id"] for row in rows)


def until_connected(url: str, process: subprocess.Popen[str], count: int) -> None:
    """Waits until a process and its children have so many connections to a URL's port, or have asked for them."""
    port = urlsplit(url).port or 80
    for _ in range(600):
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        ends = [end.raddr.port for each in family for end in each.net_connections("tcp4") if end.raddr]
        if ends.count(port) >= count:
            return
        time.sleep(0.05)
    raise AssertionError(f"never {count} connections")


def seconds_to_the_end(process: subprocess.Popen[str]) -> float:
    """How long a process still takes to end."""
    begun = time.monotonic()
    process.wait(20)
    return time.monotonic() - begun
