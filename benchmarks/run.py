"""How much can one core measure, and how well: this engine beside what else a user could pick, in one session.

`python -m benchmarks.run` builds the C server, pins it to the second core and each client to the first, and prints a
table. `--peers` adds inference-perf from an environment of its own. The validity test is the server's own lag: a row
is marked where its p99 was above 2 ms, for then the machine, not the client, is in the figures. A saturating load is
measured three times for every client and the best of them counts: on a shared machine the others are somebody else's.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SERVER_CORE, CLIENT_CORE = "1", "0"
LAG_LIMIT_NS = 2_000_000
TRIES = 3  # paced: until the server's lag was fine; saturating: the best of them, for every client


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of load."""

    name: str
    path: str
    users: int
    seconds: float
    tries: int = TRIES

    @property
    def saturating(self) -> bool:
        """Whether the server goes as fast as the client takes it."""
        return not self.name.startswith("paced")


WORKS = (
    Work("fast", "/fast/256", 64, 3),
    Work("coalesced", "/coalesced/256", 64, 3),
    Work("paced 50", "/paced/200/20000/128", 50, 6),
    Work("paced 400", "/paced/200/20000/128", 400, 6),
    Work("paced 1000", "/paced/200/20000/128", 1000, 8),
)
HEAVY = {
    "httpx_sse_client": 400,
    "fast_http_user": 400,
    "openai_sdk": 50,
}  # more would only show the collapse again


@dataclass(frozen=True, slots=True)
class Row:
    """What one client did with one kind of load."""

    client: str
    work: Work
    events_per_s: float
    complete: str
    error_p50_ms: float | None
    error_p99_ms: float | None
    rss_mb: float
    ready_s: float | None
    lag_p99_ms: float

    @property
    def decided(self) -> bool:
        """Whether no further try is needed."""
        return not self.work.saturating and self.lag_p99_ms * 1e6 <= LAG_LIMIT_NS

    @property
    def cells(self) -> list[str]:
        """The row of the table."""
        mark = "" if self.lag_p99_ms * 1e6 <= LAG_LIMIT_NS else " (!)"
        return [
            self.client,
            self.work.name,
            f"{self.events_per_s:,.0f}",
            self.complete,
            _ms(self.error_p50_ms),
            _ms(self.error_p99_ms),
            f"{self.rss_mb:.0f}",
            "-" if self.ready_s is None else f"{self.ready_s:.1f}",
            f"{self.lag_p99_ms:.2f}{mark}",
        ]


HEAD = (
    "client",
    "load",
    "events/s",
    "complete",
    "TTFT error p50 ms",
    "p99 ms",
    "RSS MB",
    "ready s",
    "server lag p99 ms",
)


def build(folder: Path) -> Path:
    """The server, compiled; exits with one line where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        sys.exit("the benchmark's server needs a C compiler: install cc")
    binary = folder / "server"
    subprocess.run([compiler, "-O2", "-o", str(binary), str(HERE / "server/server.c")], check=True)
    return binary


@contextmanager
def serving(binary: Path) -> Iterator[str]:
    """The server for the time of a block; its root URL."""
    process = subprocess.Popen([*pin(SERVER_CORE), str(binary)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


def pin(core: str) -> list[str]:
    """The words that pin a command to a core, where the system can."""
    return ["taskset", "-c", core] if shutil.which("taskset") and (os.cpu_count() or 1) > 1 else []


def told(root: str, what: str) -> str:
    """What the server says."""
    with urllib.request.urlopen(f"{root}/{what}", timeout=10) as answer:
        return str(answer.read().decode())


def truth(root: str) -> dict[str, int]:
    """When the first content of each request was really sent."""
    lines = (line.split() for line in told(root, "truth").splitlines())
    return {name: int(first) for name, _, first, *_ in lines}


def client(script: str, binary: Path, work: Work) -> Row:
    """One of our client scripts, tried again while the server itself was late."""
    row: Row | None = None
    for _ in range(work.tries):
        with serving(binary) as root:
            words = [sys.executable, "-m", f"benchmarks.clients.{script}", f"{root}{work.path}/v1"]
            environment = {
                **os.environ,
                "LAUNCHED_NS": str(time.monotonic_ns()),
                "LOCUST_SKIP_MONKEY_PATCH": "1",
            }
            done = subprocess.run(
                [*pin(CLIENT_CORE), *words, str(work.users), str(work.seconds)],
                capture_output=True,
                text=True,
                env=environment,
                cwd=ROOT,
                timeout=180,
            )
            if done.returncode:
                print(f"{script} on {work.name} failed:\n{done.stderr[-500:]}", file=sys.stderr)
                continue
            found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
            row = better(row, row_of(script, work, found, found["firsts"], root))
        if row.decided:
            break
    if row is None:
        sys.exit(f"{script} never got through {work.name}")
    return row


def locust(binary: Path, work: Work) -> Row:
    """The whole product: plain locust with `load/steady.py`, facts judged, report written."""
    row: Row | None = None
    for _ in range(work.tries):
        with serving(binary) as root, tempfile.TemporaryDirectory() as folder:
            words = ["-m", "locust", "-f", str(ROOT / "load/steady.py"), "--headless", "--skip-log-setup"]
            rate = max(1, work.users // 2) if work.users < 200 else work.users // 3
            load = ["-u", str(work.users), "-r", str(rate), "-t", f"{work.seconds:g}s"]
            aim = ["--host", f"{root}{work.path}/v1", "--report", folder]
            environment = {**os.environ, "BEATRA_API_KEY": "none"}
            launched = time.time()
            subprocess.run(
                [*pin(CLIENT_CORE), sys.executable, *words, *load, *aim],
                capture_output=True,
                env=environment,
                timeout=180,
            )
            section = json.loads((Path(folder) / "report.json").read_text())["load"]
            lines = (Path(folder) / "samples.jsonl").read_text().splitlines()
            rows = [json.loads(line) for line in lines]
            epoch = section["epoch_monotonic_ns"]
            started = min(row["started_ns"] for row in rows) + epoch
            found = {
                "seconds": section["seconds"],
                "streams": len(rows),
                "complete": section["streams"]["complete"],
                "events": sum(row.get("events", 0) for row in rows),
                "rss_mb": section["health"]["workers"][0]["rss_mb"]["last"],
                "ready_s": started / 1e9 - (launched - time.time() + time.monotonic()),
            }
            firsts = {
                row["stream_id"]: row["first_content_ns"] + epoch for row in rows if "first_content_ns" in row
            }
            row = better(row, row_of("chatproof (locust, facts, report)", work, found, firsts, root))
        if row.decided:
            break
    assert row is not None
    return row


def better(old: Row | None, new: Row) -> Row:
    """Of two tries the one that tells more of the client and less of the machine."""
    if old is None:
        return new
    if new.work.saturating:
        return max(old, new, key=lambda row: row.events_per_s)
    return min(old, new, key=lambda row: row.lag_p99_ms)


def row_of(name: str, work: Work, found: dict[str, Any], firsts: dict[str, int], root: str) -> Row:
    """The row of what a client told, beside what the server knows."""
    sent = truth(root)
    errors = sorted((at - sent[stream]) / 1e6 for stream, at in firsts.items() if stream in sent)
    return Row(
        client=name,
        work=work,
        events_per_s=found["events"] / found["seconds"],
        complete=f"{found['complete']}/{found['streams']}",
        error_p50_ms=errors[len(errors) // 2] if errors else None,
        error_p99_ms=errors[min(len(errors) - 1, int(len(errors) * 0.99))] if errors else None,
        rss_mb=found["rss_mb"],
        ready_s=found.get("ready_s"),
        lag_p99_ms=json.loads(told(root, "stats"))["lag_p99"] / 1e6,
    )


def markdown(rows: Sequence[Row]) -> str:
    """The table."""
    lines = [HEAD, ["---"] * len(HEAD), *(row.cells for row in rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def machine() -> str:
    """Date, machine and versions: what the figures belong to."""
    packages = ("locust", "gevent", "httptools", "msgspec", "httpx", "httpx-sse", "openai")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    day = datetime.now(UTC).date().isoformat()
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{day}, {model}, {os.cpu_count()} cores, {system}, {versions}"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if value < 10 else f"{value:.0f}"


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--only", help="a kind of load, such as fast")
    parser.add_argument(
        "--peers", action="store_true", help="also inference-perf, in an environment made for it"
    )
    parser.add_argument("--tries", type=int, default=TRIES, help="how often at most each client is measured")
    options = parser.parse_args()
    works = [replace(work, tries=options.tries) for work in WORKS if options.only in (None, work.name)]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        binary = build(Path(folder))
        for work in works:
            rows.append(client("engine", binary, work))
            rows.append(locust(binary, work))
            rows += [
                client(name, binary, work) for name, most in HEAVY.items() if work.users <= max(most, 64)
            ]
            print("\n".join("  ".join(row.cells) for row in rows if row.work is work), file=sys.stderr)
        if options.peers:
            from benchmarks.peers import inference_perf

            rows += [inference_perf(binary, work) for work in works if work.users <= 400]
    print(f"{machine()}\n\n{markdown(rows)}")


if __name__ == "__main__":
    main()
