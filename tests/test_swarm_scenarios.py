"""Every scenario as a whole run, by its command and as a plain locust file, and what each of them is for."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from chatproof.metrics import StreamRow
from chatproof.record import Ending
from chatproof.reference import Latency, embedded
from chatproof.swarm.asking.arrivals import Leg
from chatproof.swarm.master.burst import burst
from tests.load_run import (
    KEY,
    assert_passed,
    command,
    ended,
    run,
    seconds_to_the_end,
    started,
    until_connected,
    words,
)
from tests.load_server import CHUNKED, chunk, event, request, serving

NS = 1_000_000_000
MS = 1_000_000

EVERY = {  # as short as it tells anything
    "arrivals": ("--rate", "20"),
    "capacity": ("--rate", "10", "--max-rate", "20", "--step-s", "1", "--slo", "ttft_p50<500ms"),
    "hangup": (),
    "mixed": (),
    "soak": (),
    "spike": ("--rate", "20"),
    "steady": (),
}
OPEN = ("arrivals", "capacity", "spike")
MIXED = ("assistant", "drafting", "classification", "extraction", "summarisation")


@pytest.mark.parametrize("name", EVERY)
def test_every_scenario_runs_by_its_command_with_nothing_given(name: str, tmp_path: Path) -> None:
    """`chatproof load X` measures the embedded reference, says so, and its report names scenario and figures."""
    length = () if name == "capacity" else ("--duration", "2s")
    users = () if name in OPEN else ("--users", "3")
    found = run(name, *length, *users, *EVERY[name], report=tmp_path, by=command)

    assert_passed(found)
    assert f"{name} on EMBEDDED REFERENCE" in found.said
    assert found.load["scenario"] == name
    assert (
        found.load["metrics"]["ttft"]["n"]
        == len([row for row in found.rows if row.ending is Ending.COMPLETE and row.stream])
        > 0
    )


@pytest.mark.parametrize("name", EVERY)
def test_every_scenario_is_a_plain_locust_file(name: str, tmp_path: Path) -> None:
    """`locust -f load/X.py` with a host makes the same run."""
    users = () if name in OPEN else ("-u", "3")
    with embedded() as reference:
        host = ("--host", reference.base_url)
        found = run(name, *host, "-t", "2s", *users, *EVERY[name], report=tmp_path, key=KEY, by=words)

    assert_passed(found)
    assert found.load["scenario"] == name
    assert found.load["streams"]["total"] == len(found.rows) > 0


def test_two_runs_with_workers_side_by_side_do_not_meet(tmp_path: Path) -> None:
    """Each has its own workers and its own requests, and neither is told of a stranger."""
    options = ("--users", "4", "--duration", "3s", "--max-tokens", "20", "--processes", "2")
    reports = (tmp_path / "a", tmp_path / "b")
    with ExitStack() as both:
        for report in reports:
            report.mkdir()
        processes = [
            both.enter_context(started("steady", *options, report=report, by=command)) for report in reports
        ]
        first, second = (ended(*each) for each in zip(processes, reports, strict=True))

    for found in (first, second):
        assert {row.worker for row in found.rows} == {"w0", "w1"}
        assert {row.ending for row in found.rows} == {Ending.COMPLETE}
        assert "came after the run had begun" not in found.said
        assert_passed(found)


@pytest.mark.alone
def test_a_burst_is_seen_for_what_it_did(tmp_path: Path) -> None:
    """Eight answers at once carry 105/s: 150/s for two seconds make a queue, which is gone within some seconds."""
    latency = Latency(ttft_ns=40 * MS, jitter=0.3, capacity=8, seed=5)
    schedule = ("--rate", "25", "--spike-factor", "6", "--duration", "10s", "--arrival", "constant")
    with embedded(latency) as reference:
        host = ("--base-url", reference.base_url, "--max-tokens", "10")
        found = run("spike", *schedule, *host, report=tmp_path, key=KEY, by=command)
    before, during, after = found.load["burst"]["legs"]
    a_second = [
        sum(at * NS <= row.intended_ns < (at + 1) * NS for row in found.rows) for at in (1, 2, 3, 5, 7, 8)
    ]

    assert [leg["asked_per_s"] for leg in (before, during, after)] == [25, 150, 25]
    assert [leg["achieved_per_s"] for leg in (before, during, after)] == pytest.approx(
        [25, 150, 25], rel=0.05
    )
    assert a_second == pytest.approx([25, 25, 25, 150, 25, 25], rel=0.1)
    assert f"asked 150/s, achieved {during['achieved_per_s']:.4g}/s, " in found.said
    assert "after the burst: " in found.said
    assert_passed(found)
    if not found.load["health"]["complaints"]:  # a machine that others use too has bursts of its own
        assert during["ttft_p50_s"] > 2 * before["ttft_p50_s"]
        assert 1 <= found.load["burst"]["recovery_s"] <= 4


@pytest.mark.alone
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_what_strikes_the_command_ends_its_load_in_order(kind: signal.Signals, tmp_path: Path) -> None:
    """Whoever stops `chatproof load` and not its locust gets its report within two seconds, and leaves none behind."""
    with embedded() as reference:
        options = (
            "--base-url",
            reference.base_url,
            "--users",
            "5",
            "--duration",
            "60s",
            "--max-tokens",
            "2000",
        )
        with started("steady", *options, report=tmp_path, key=KEY, by=command) as process:
            until_connected(reference.base_url, process, 5)
            (load,) = psutil.Process(process.pid).children()
            process.send_signal(kind)
            took = seconds_to_the_end(process)
            found = ended(process, tmp_path)

    assert took < 2
    assert not load.is_running()
    assert found.load["interrupted"]
    assert found.load["streams"]["still_running"] == len(found.rows) == 5
    assert found.exit_code == 3 or found.load["health"]["complaints"]
    assert "Traceback" not in found.said


def test_a_load_that_was_killed_says_nothing_of_the_target(tmp_path: Path) -> None:
    """Exit 4, not a code that Python makes of a signal's number."""
    with embedded() as reference:
        options = ("--base-url", reference.base_url, "--users", "2", "--duration", "60s")
        with started("steady", *options, report=tmp_path, key=KEY, by=command) as process:
            until_connected(reference.base_url, process, 2)
            (load,) = psutil.Process(process.pid).children()
            load.kill()
            found = ended(process, tmp_path)

    assert found.exit_code == 4
    assert not found.report


def drifting(first_s: float, in_s: float) -> Callable[[Any], None]:
    """A server whose time to first token grows by `first_s` every `in_s`; its gaps stay as they are."""
    begun: list[float] = []

    def handle(sock: Any) -> None:
        while request(sock):
            begun.append(time.monotonic())
            time.sleep(first_s * (1 + (begun[-1] - begun[0]) / in_s))
            sock.sendall(CHUNKED + chunk(event("a")))
            for _ in range(4):
                time.sleep(0.01)
                sock.sendall(chunk(event("b")))
            sock.sendall(chunk(event(finish="stop") + b"data: [DONE]\n\n") + b"0\r\n\r\n")

    return handle


@pytest.mark.alone
def test_a_soak_finds_what_drifts_and_nothing_else(tmp_path: Path) -> None:
    """A time to first token that trebles is found, with its size; gaps that stay are not accused."""
    with serving(drifting(0.04, 3)) as port:
        host = ("--base-url", f"http://127.0.0.1:{port}/v1")
        found = run("soak", *host, "--users", "6", "--duration", "6s", report=tmp_path, key="k", by=command)
    drift = found.load["drift"]

    assert drift["ttft_p50"]["trend"] == "rising"
    assert drift["ttft_p50"]["change"] == pytest.approx(1.0, rel=0.25)
    assert 15 <= drift["ttft_p50"]["points"] <= 20
    assert drift["itl_p50"]["trend"] in ("steady", "inconclusive")
    assert "drift of ttft p50: rising, +" in found.said


@pytest.mark.alone
def test_a_soak_of_a_steady_target_claims_no_drift(tmp_path: Path) -> None:
    """Whatever a flat target's figures do from second to second, no trend is made of it; client memory is told."""
    with embedded(Latency(ttft_ns=60 * MS, gap_ns=10 * MS)) as reference:
        options = ("-u", "6", "-t", "7s", "--max-tokens", "5", "--host", reference.base_url)
        found = run("soak", *options, report=tmp_path, key=KEY)
    drift = found.load["drift"]

    assert set(drift) == {"ttft_p50", "itl_p50", "client_rss_mb_w0"}
    assert {drift[name]["trend"] for name in ("ttft_p50", "itl_p50")} <= {"steady", "inconclusive"}
    assert 15 <= drift["ttft_p50"]["points"] <= 20
    assert all(20 < mb < 300 for _, mb in drift["client_rss_mb_w0"]["series"])
    assert_passed(found)


CALM, BURST = Leg(50.0, 2.0, "constant"), Leg(200.0, 1.0, "constant")


def arrived(second: float, ttft_ms: float | None, number: int) -> StreamRow:
    """A stream that was due then; without a first token it was cut."""
    at = round(second * NS)
    first = None if ttft_ms is None else at + round(ttft_ms * MS)
    ending = Ending.COMPLETE if first else Ending.CUT
    return StreamRow(
        stream_id=f"{number}",
        scenario="spike",
        worker="w0",
        intended_ns=at,
        started_ns=at,
        first_content_ns=first,
        ending=ending,
    )


@pytest.mark.parametrize(
    ("slow_for_s", "recovery_s"),
    [(0.0, 0), (0.9, 1), (1.9, 2)],
)
def test_recovery_is_counted_from_the_end_of_the_burst(slow_for_s: float, recovery_s: int) -> None:
    """Whole seconds until no second's median is above what 95 % kept before; a cut is as slow as can be."""
    rows = [
        arrived(0.1 + i / 50, 10 if i < 100 else None if i < 150 + 50 * slow_for_s and i >= 150 else 10, i)
        for i in range(300)
    ]
    found = burst((CALM, BURST, Leg(50.0, 3.0, "constant")), rows, NS // 10)

    assert found is not None
    assert found["recovery_s"] == recovery_s


def test_a_target_that_stays_slow_has_not_recovered_and_other_schedules_have_no_burst() -> None:
    """Neither a number nor a zero stands where nothing of the kind was seen."""
    rows = [arrived(i / 50, 10 if i < 100 else 90, i) for i in range(250)]
    slow = burst((CALM, BURST, CALM), rows, 0)

    assert slow is not None
    assert slow["recovery_s"] is None
    assert [leg["requests"] for leg in slow["legs"]] == [100, 50, 100]
    assert burst((CALM,), rows, 0) is None
    assert burst((), rows, 0) is None
    assert burst((CALM, BURST), rows, 0) is None
