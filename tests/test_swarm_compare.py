"""Comparison of load runs: recorded only where they can be compared, live in turns, and the client's own fault told."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from chatproof.cli import main
from chatproof.metrics import StreamRow
from chatproof.metrics.compare import Change
from chatproof.record import Ending
from chatproof.swarm.asking.aim import UsageError
from chatproof.swarm.compare.compare import compare_live, compare_recorded
from chatproof.verdict import Exit

MS = 1_000_000
PRINT = {"machine": "m", "tool": "t", "scenario": "steady", "seed": "1", "settings": "{}"}


def record(
    folder: Path, ttft_ms: float, *, seed: int = 1, verdict: str = "pass", made: Mapping[str, str] = PRINT
) -> Path:
    """A folder as a run of 600 streams leaves it, with a TTFT that varies by a tenth."""
    draw = random.Random(seed)
    rows = []
    for number in range(600):
        start = number * 10 * MS
        first = start + round(ttft_ms * draw.uniform(0.9, 1.1) * MS)
        rows.append(
            StreamRow(
                stream_id=str(number),
                scenario="s",
                intended_ns=start,
                started_ns=start,
                first_byte_ns=first,
                first_content_ns=first,
                last_content_ns=first,
                ended_ns=first + 10 * MS,
                ending=Ending.COMPLETE,
                gaps="900:20",
                clock="kernel",
            )
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(
        json.dumps({"run": {"fingerprint": made}, "load": {"x": 1}, "verdict": verdict})
    )
    (folder / "samples.jsonl").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    return folder


@pytest.mark.parametrize(
    ("slower", "change", "code"),
    [
        (1.0, Change.SAME, Exit.CONFORMS),
        (1.5, Change.SLOWER, Exit.VIOLATES),
        (0.6, Change.FASTER, Exit.CONFORMS),
    ],
)
def test_recorded_runs_are_told_apart(tmp_path: Path, slower: float, change: Change, code: Exit) -> None:
    """Alike, slower by half, faster: each is called what it is, with the exit code that follows."""
    a, b = record(tmp_path / "a", 100), record(tmp_path / "b", 100 * slower, seed=2)
    found = compare_recorded(a, b)

    assert found.figures["ttft p50"].change is change
    assert found.exit is code
    assert found.lines[0].startswith(f"ttft p50: {change.value}: B / A = ")


def test_runs_that_differ_in_more_than_the_target_cannot_be_compared(tmp_path: Path) -> None:
    """Another machine or other settings make an answer of its own, not a guess."""
    a, b = record(tmp_path / "a", 100), record(tmp_path / "b", 100, made={**PRINT, "machine": "other"})
    found = compare_recorded(a, b)

    assert found.figures["ttft p50"].change is Change.CANNOT_COMPARE
    assert found.exit is Exit.INCONCLUSIVE
    assert "machine: m against other" in found.lines[0]


def test_an_invalid_run_or_none_is_refused(tmp_path: Path) -> None:
    """Figures of an unfit client are compared with nothing, and a folder without a run is a usage error."""
    good, bad = record(tmp_path / "a", 100), record(tmp_path / "b", 100, verdict="invalid")

    with pytest.raises(UsageError, match="INVALID"):
        compare_recorded(good, bad)
    with pytest.raises(UsageError, match="no load run is recorded here"):
        compare_recorded(good, tmp_path / "none")


def live(ttft: Mapping[str, float], code: Exit = Exit.CONFORMS) -> tuple[list[str], Any]:
    """The order in which targets were measured, and a `measure` that records runs of these speeds."""
    order: list[str] = []

    def measure(options: Mapping[str, Any], folder: Path) -> int:
        order.append(options["target"])
        record(folder, ttft[options["target"]], seed=len(order))
        return int(code)

    return order, measure


def test_live_targets_are_measured_in_turns() -> None:
    """A B B A A B ...: what changes meanwhile touches both; a slower B is found."""
    order, measure = live({"a": 100, "b": 130})
    found = compare_live({"target": "a"}, {"target": "b"}, measure)

    assert "".join(order) == "abba" * 3
    assert found.figures["ttft p50"].change is Change.SLOWER
    assert found.exit is Exit.VIOLATES


def test_an_unfit_client_makes_a_live_comparison_invalid_and_few_pairs_are_refused() -> None:
    """INVALID ends it at once; fewer than six pairs are no comparison."""
    order, measure = live({"a": 100, "b": 100}, Exit.INVALID)

    assert compare_live({"target": "a"}, {"target": "b"}, measure).exit is Exit.INVALID
    assert order == ["a"]
    with pytest.raises(UsageError, match="6 are the least"):
        compare_live({"target": "a"}, {"target": "b"}, measure, pairs=5)


def test_a_folder_beside_anything_else_is_told_as_what_it_is_not(tmp_path: Path) -> None:
    """A folder without a run, or a run against a live target, is no file that cannot be read."""
    a = record(tmp_path / "a", 100)
    words = ["load", "compare", str(a), str(tmp_path / "none")]
    found = CliRunner().invoke(main, words)

    assert found.exit_code == 2
    assert "no load run is recorded here: give the folder that --report named" in found.output
