"""The clients that run in this environment: the C reader, the engine, all of `chatproof`, what one writes by hand."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.machine import CLIENT_CORE, pin, stolen_s
from benchmarks.row import WORKS, Row, Told, Work, better, row_of
from benchmarks.source import Binaries, Log, log_of, serving

ROOT = Path(__file__).resolve().parent.parent
MOST_S = 180
WHOLE = "chatproof (locust, facts, report)"


SATURATING = tuple(work.name for work in WORKS if work.saturating)
UP_TO_50, UP_TO_400, ALL = ((*SATURATING, *(work.name for work in WORKS[2:to])) for to in (3, 4, None))


@dataclass(frozen=True, slots=True)
class Client:
    """A client by its name in the table, how to start it, and its loads: a heavier one would show a collapse again."""

    name: str
    words: Callable[[Binaries], Sequence[str]]
    loads: Collection[str] = ALL
    every_try: bool = False


def _script(name: str, *options: str) -> Callable[[Binaries], Sequence[str]]:
    return lambda _: (sys.executable, "-m", f"benchmarks.clients.{name}", *options)


CLIENTS = (
    Client("C reader", lambda binaries: (str(binaries.reader),)),
    Client("C reader, patient", lambda binaries: (str(binaries.reader), "--patient"), SATURATING),
    Client("engine", _script("engine")),
    Client("engine, events only stamped", _script("engine", "--stamps")),
    Client("engine, user clock", _script("engine", "--user-clock"), ("paced 1000",), every_try=True),
    Client("httpx_sse_client", _script("httpx_sse_client"), UP_TO_400),
    Client("fast_http_user", _script("fast_http_user"), UP_TO_400),
    Client("openai_sdk", _script("openai_sdk"), UP_TO_50),
)


Once = Callable[[str], tuple[Told, Log] | None]  # told the server's root; None where the client failed


def measured(name: str, work: Work, binaries: Binaries, once: Once) -> Row | None:
    """The best of a client's tries; None where every one of them failed."""
    row: Row | None = None
    for _ in range(work.tries):
        stolen = stolen_s()
        with serving(binaries) as root:
            found = once(root)
        if found is None:
            continue
        row = better(row, row_of(name, work, *found))
        if stolen_s() - stolen > 0.05:
            print(f"{name}, {work.name}: the host took {stolen_s() - stolen:.2f} s", file=sys.stderr)
        if row.decided:
            break
    if row is None:
        print(f"{name} never got through {work.name}: it has no row", file=sys.stderr)
    return row


def client(client: Client, work: Work, binaries: Binaries) -> Row | None:
    """One client of `CLIENTS` on one kind of load."""

    def once(root: str) -> tuple[Told, Log] | None:
        launched = time.monotonic_ns()
        words = [*pin(CLIENT_CORE), *client.words(binaries), f"{root}{work.path}/v1"]
        try:
            done = subprocess.run(
                [*words, str(work.users), str(work.seconds)],
                capture_output=True,
                check=True,
                text=True,
                env={**os.environ, "LOCUST_SKIP_MONKEY_PATCH": "1"},
                cwd=ROOT,
                timeout=MOST_S,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as problem:
            print(f"{client.name} on {work.name}: {problem}\n{str(problem.stderr)[-500:]}", file=sys.stderr)
            return None
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        told = Told(
            found["ended_ns"], found["firsts"], found["streams"], found["complete"], found["rss_mb"], launched
        )
        return told, log_of(root)

    return measured(client.name, replace(work, every_try=client.every_try), binaries, once)


class NoReport(Exception):
    """A run of `chatproof` ended without a report; says what it printed."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a run of all of `chatproof` left: its report, its rows, when it was launched."""

    load: Mapping[str, Any]
    verdict: str
    rows: Sequence[Mapping[str, Any]]
    launched_ns: int

    @property
    def told(self) -> Told:
        """The run as a client tells it."""
        epoch = self.load["epoch_monotonic_ns"]
        return Told(
            ended_ns=epoch + max(row.get("ended_ns", 0) for row in self.rows),
            firsts={
                row["stream_id"]: epoch + row["first_content_ns"]
                for row in self.rows
                if "first_content_ns" in row
            },
            streams=len(self.rows),
            complete=self.load["streams"]["complete"],
            rss_mb=sum(worker["rss_mb"]["last"] for worker in self.load["health"]["workers"]),
            launched_ns=self.launched_ns,
        )


def steady(root: str, work: Work, *, cores: str = CLIENT_CORE, workers: int = 1, processes: int = 1) -> Run:
    """One run as a user makes it: plain locust with `load/steady.py`, facts judged, report written.

    It has the priority of a client of so many `processes`: `pin` tells why that matters.
    """
    with tempfile.TemporaryDirectory() as folder:
        words = ["-m", "locust", "-f", str(ROOT / "load/steady.py"), "--headless", "--skip-log-setup"]
        rate = max(1, work.users // 2) if work.users < 200 else work.users // 3
        load = ["-u", str(work.users), "-r", str(rate), "-t", f"{work.seconds:g}s"]
        several = _several(workers) if workers > 1 else []
        aim = ["--host", f"{root}{work.path}/v1", "--report", folder]
        launched = time.monotonic_ns()
        command = [*pin(cores, processes=processes), sys.executable, *words, *load, *several, *aim]
        environment = {**os.environ, "BEATRA_API_KEY": "none"}
        try:
            done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=MOST_S)
        except subprocess.TimeoutExpired as problem:
            raise NoReport(str(problem)) from None
        try:
            report = json.loads((Path(folder) / "report.json").read_text(encoding="utf-8"))
        except OSError:
            raise NoReport(done.stderr[-500:]) from None
        lines = (Path(folder) / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    return Run(report["load"], report["verdict"], [json.loads(line) for line in lines], launched)


def _several(workers: int) -> list[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:  # locust's own port may be in use
        port = str(free.getsockname()[1])
    return ["--processes", str(workers), "--master-bind-port", port, "--master-port", port]


def locust(work: Work, binaries: Binaries) -> Row | None:
    """The whole product on one kind of load."""

    def once(root: str) -> tuple[Told, Log] | None:
        try:
            return steady(root, work).told, log_of(root)
        except NoReport as problem:
            print(f"{WHOLE} on {work.name} failed:\n{problem}", file=sys.stderr)
            return None

    return measured(WHOLE, work, binaries, once)
