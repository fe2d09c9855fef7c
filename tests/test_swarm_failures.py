"""What fails in chatproof itself, in whatever greenlet: the run ends INVALID, says so, and never hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chatproof.reference import embedded
from tests.load_run import KEY, Run, ended, environment

# what is planted, as the last line of a locustfile; every one of these runs in a greenlet or a callback of its own
PLANTED = {
    "the judge of what came": "member.Member._judge_one = broken",
    "the reporter": "reporter.Reporter._report = broken",
    "the dispatcher of an open loop": "member.Member._dispatch = broken",
    "one arrival of an open loop": "member.Member._arrive = broken",
    "a request of a user": "member.row_of = broken",
    "the timer of the deadlines": "exchange.Exchange.expire = broken",
    "the data of a stream": "stream.StreamFold.feed = broken",
    "the end of a worker's run": "member.Member._drain = broken",
    "a probe": "probes.Probes._watch_lag = broken",
    "the plan": "worker_side.Watch = broken",
    "the master's books": "ledger.Ledger.take = broken",
    "the run's loop": "conductor.Conductor.stop_reason = broken",
    "the end of a run": "conductor.Conductor.collect = broken",
    "the verdict": "conductor.load_section = broken",
    "the report": "conductor.write_run = broken",
    "the start of a run": "conductor.Conductor.start = broken",
    "the way out": "master_side.MasterSide.quitting = broken",
}
FILE = """
from chatproof.swarm.client import exchange
from chatproof.swarm.master import conductor, ledger, master_side
from chatproof.swarm.streams import stream
from chatproof.swarm.worker import member, probes, reporter, worker_side
from chatproof.swarm.users import Leg, OpenLoop, StreamUser

class Steady({base}):
    @classmethod
    def legs(cls, options, seconds):
        return {legs}

# as if it were a line of chatproof's
exec(compile("def broken(*args, **kwargs): raise RuntimeError('planted')", member.__file__, "exec"))

{planted}
"""


def broken_run(planted: str, folder: Path, *options: str) -> Run:
    """A run of two seconds in which something fails; it must be over in 15."""
    opens = planted.endswith(("_dispatch = broken", "_arrive = broken"))
    file = folder / "planted.py"
    legs = "(Leg(20.0, seconds),)" if opens else "()"
    file.write_text(FILE.format(base="OpenLoop" if opens else "StreamUser", legs=legs, planted=planted))
    with embedded() as reference:
        words = [sys.executable, "-m", "locust", "-f", str(file), "--headless", "--skip-log-setup"]
        given = ["-u", "3", "-t", "2s", "--host", reference.base_url, "--max-tokens", "20", "--drain-s", "2"]
        process = subprocess.Popen(
            [*words, *given, "--report", str(folder / "report"), *options],
            env=environment(KEY),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            return ended(process, folder / "report", timeout=15)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.mark.parametrize("name", PLANTED)
def test_a_failure_of_ours_ends_the_run_invalid(name: str, tmp_path: Path) -> None:
    """Wherever it strikes: exit 4, our own message with the trace, and no hanging."""
    found = broken_run(PLANTED[name], tmp_path)

    assert found.exit_code == 4, found.said
    assert "chatproof itself failed" in found.said
    assert "RuntimeError: planted" in found.said


@pytest.mark.alone  # locust's own port for workers
@pytest.mark.parametrize(
    "name", ["the judge of what came", "the reporter", "the end of a worker's run", "the plan"]
)
def test_a_failure_in_a_worker_is_the_master_s_to_tell(name: str, tmp_path: Path) -> None:
    """The worker's trace reaches the master's terminal, and the run ends as it would have in one process."""
    found = broken_run(PLANTED[name], tmp_path, "--processes", "2")

    assert found.exit_code == 4, found.said
    assert "chatproof itself failed in worker" in found.said
    assert "RuntimeError: planted" in found.said


def test_what_was_measured_until_a_failure_is_reported(tmp_path: Path) -> None:
    """The report is written all the same: INVALID, with the failure as its reason, and every row there is."""
    found = broken_run(PLANTED["the judge of what came"], tmp_path)

    assert found.exit_code == 4, found.said
    assert found.report["verdict"] == "invalid"
    assert found.load["reason"] == "chatproof itself failed: RuntimeError: planted"
    assert not found.load["health"]["valid"]
    assert len(found.rows) == found.load["streams"]["total"] >= 1
