"""A master and workers started one by one, as on several hosts: nothing is lost, and who is missing is said."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from chatproof.record import Ending
from chatproof.reference import Reference
from chatproof.target import folder
from tests.load_run import KEY, assert_passed, ended, environment, ids, started, truth

Process = subprocess.Popen[str]


@pytest.fixture
def port() -> int:
    """A port for the master."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        found: int = free.getsockname()[1]
        return found


@contextmanager
def master(port: int, workers: int, reference: Reference, report: Path, *options: str) -> Iterator[Process]:
    """A master that waits for so many workers."""
    where = ("--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", str(port))
    what = ("--expect-workers", str(workers), "--host", reference.base_url)
    with started("steady", *where, *what, *options, report=report, key=KEY) as process:
        yield process


@contextmanager
def worker(port: int) -> Iterator[Process]:
    """A worker of that master."""
    file = str(folder("load") / "steady.py")
    words = [sys.executable, "-m", "locust", "-f", file, "--skip-log-setup", "--worker"]
    process = subprocess.Popen(
        [*words, "--master-host", "127.0.0.1", "--master-port", str(port)],
        env=environment(KEY),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def begun(log: Path) -> None:
    """Waits until the target has answered somebody."""
    for _ in range(400):
        if log.exists() and log.stat().st_size:
            return
        time.sleep(0.05)
    raise AssertionError("no load came")


def test_nothing_is_lost_between_hosts(reference: Reference, log: Path, port: int, tmp_path: Path) -> None:
    """Two workers of their own: the target's log and the report name the same streams, and all processes end well."""
    options = ("-u", "10", "-t", "3s", "--max-tokens", "60")
    with ExitStack() as all_of_them:
        leader = all_of_them.enter_context(master(port, 2, reference, tmp_path, *options))
        workers = [all_of_them.enter_context(worker(port)) for _ in range(2)]
        found = ended(leader, tmp_path)
        left = [each.wait(10) for each in workers]

    assert ids(found.rows) == ids(truth(log))
    assert len(found.rows) > 20
    assert {row.ending for row in found.rows} == {Ending.COMPLETE}
    assert {row.worker for row in found.rows} == {"w0", "w1"}
    assert left == [0, 0]
    assert_passed(found)


def test_a_worker_that_comes_late_takes_no_part(
    reference: Reference, log: Path, port: int, tmp_path: Path
) -> None:
    """It is told in a line, and all users stay where they are: the load is what was asked for, and nothing is lost."""
    with ExitStack() as all_of_them:
        options = ("-u", "6", "-t", "6s", "--max-tokens", "60")
        leader = all_of_them.enter_context(master(port, 1, reference, tmp_path, *options))
        first = all_of_them.enter_context(worker(port))
        begun(log)
        late = all_of_them.enter_context(worker(port))
        found = ended(leader, tmp_path)
        left = [each.wait(10) for each in (first, late)]

    at = sorted(row.started_ns / 1e9 for row in found.rows)
    early, finally_ = (sum(low <= each < low + 1.5 for each in at) for low in (1.0, 4.0))
    assert found.said.count("came after the run had begun: it takes no part in it") == 1
    assert ids(found.rows) == ids(truth(log))
    assert {row.worker for row in found.rows} == {"w0"}
    assert finally_ > 0.7 * early > 10
    assert left == [0, 0]
    assert_passed(found)


def test_a_worker_that_never_comes_makes_no_run(
    reference: Reference, log: Path, port: int, tmp_path: Path
) -> None:
    """After --expect-workers-max-wait one line says who is missing; exit 4, no load was made, nobody stays behind."""
    options = ("-t", "5s", "--expect-workers-max-wait", "3")
    with master(port, 2, reference, tmp_path, *options) as leader, worker(port) as only:
        found = ended(leader, tmp_path)
        left = only.wait(10)

    assert found.exit_code == 4
    assert "INVALID (exit 4): 1 of 2 workers came within 3 s, no load was made" in found.said
    assert "Traceback" not in found.said
    assert left == 0
    assert not found.report
    assert not log.exists() or not truth(log)


def test_who_waits_for_workers_is_told_and_can_leave(reference: Reference, port: int, tmp_path: Path) -> None:
    """Without a limit a master waits and says so; Ctrl-C ends it and the worker that was there, without a trace."""
    with master(port, 2, reference, tmp_path, "-t", "5s") as leader, worker(port) as only:
        assert leader.stdout is not None
        said = leader.stdout.readline()
        os.kill(leader.pid, signal.SIGINT)
        struck = time.monotonic()
        found = ended(leader, tmp_path)
        took = time.monotonic() - struck
        left = only.wait(10)

    assert said == "waiting for workers: 1 of 2 are here\n"
    assert found.exit_code == 3
    assert found.said == "INCONCLUSIVE (exit 3): interrupted before any load\n"
    assert took < 2
    assert left == 0


def test_without_any_worker_left_the_run_ends(
    reference: Reference, log: Path, port: int, tmp_path: Path
) -> None:
    """All workers killed: the master does not wait for the end of its time, and names what was lost."""
    options = ("-u", "4", "-t", "60s", "--max-tokens", "400")
    with master(port, 1, reference, tmp_path, *options) as leader, worker(port) as only:
        begun(log)
        only.kill()
        found = ended(leader, tmp_path, timeout=20)

    assert found.exit_code == 4
    assert found.load["reason"] in ("no worker is left", "locust stopped the test")
    assert found.load["streams"]["lost"] >= 3
    assert len(set(ids(truth(log))) - set(ids(found.rows))) <= 1  # asked for in the instant of its death


def test_a_load_that_nobody_reads_ends(reference: Reference, log: Path, port: int, tmp_path: Path) -> None:
    """A master that was killed acknowledges nothing: after ten seconds its workers ask the target for no more."""
    options = ("-u", "4", "-t", "60s", "--max-tokens", "20")
    with master(port, 1, reference, tmp_path, *options) as leader, worker(port):
        begun(log)
        leader.kill()
        time.sleep(13)
        before = len(truth(log))
        time.sleep(1)

        assert len(truth(log)) == before > 20
