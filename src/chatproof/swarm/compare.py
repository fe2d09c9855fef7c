"""Is B slower than A: two recorded runs, or two live targets measured in turns. Judges with `metrics.compare`.

Live targets are measured A B B A A B B A ...: whatever changes on the machine meanwhile touches both alike.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from chatproof.metrics import StreamRow
from chatproof.metrics.compare import LEAST_PAIRS, Change, Comparison, compare_pairs, compare_runs
from chatproof.swarm.aim import UsageError
from chatproof.verdict import Exit

FIGURES: tuple[tuple[str, str], ...] = (("ttft", "p50"), ("ttft", "p90"), ("itl", "p50"), ("e2e", "p50"))
Measure = Callable[[Mapping[str, Any], Path], int]  # options and folder of one run -> exit code


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run as its folder holds it."""

    fingerprint: Mapping[str, str]
    verdict: str
    rows: tuple[StreamRow, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison found: each figure's answer, and the exit code of them all."""

    figures: Mapping[str, Comparison]
    exit: Exit

    @property
    def lines(self) -> tuple[str, ...]:
        """The answers for a person."""
        return tuple(_line(name, found) for name, found in self.figures.items())


def read_run(folder: Path) -> Recorded:
    """The run that a folder holds; UsageError where it holds none."""
    try:
        report = json.loads((folder / "report.json").read_bytes())
        lines = (folder / "samples.jsonl").read_bytes().splitlines()
    except (OSError, ValueError):
        raise UsageError(
            f"{folder}: no load run is recorded here: give the folder that --report named"
        ) from None
    if not report.get("load"):
        raise UsageError(f"{folder}: its report has no load section")
    rows = tuple(msgspec.json.decode(line, type=StreamRow) for line in lines)
    return Recorded(report["run"].get("fingerprint", {}), report["verdict"], rows)


def compare_recorded(a: Path, b: Path) -> Compared:
    """Two recorded runs, figure by figure; `cannot compare` where their fingerprints differ."""
    runs = read_run(a), read_run(b)
    for folder, run in zip((a, b), runs, strict=True):
        if run.verdict == "invalid":
            raise UsageError(f"{folder}: that run is INVALID: its figures are the client's, not the target's")
    first, second = runs
    return _together(
        {
            f"{metric} {label}": compare_runs(
                first.rows, second.rows, first.fingerprint, second.fingerprint, metric, label
            )
            for metric, label in FIGURES
        }
    )


def compare_live(
    a: Mapping[str, Any],
    b: Mapping[str, Any],
    measure: Measure,
    *,
    pairs: int = LEAST_PAIRS,
    say: Callable[[str], object] = lambda text: None,
) -> Compared:
    """Two live targets, given as the options of a run each, measured in turns by `measure`.

    A run that ends INVALID makes the whole comparison invalid; one without an answer makes it inconclusive.
    """
    if pairs < LEAST_PAIRS:
        raise UsageError(f"{pairs} pairs tell nothing: {LEAST_PAIRS} are the least")
    found: list[tuple[Sequence[StreamRow], Sequence[StreamRow]]] = []
    for number in range(pairs):
        rows: dict[str, Sequence[StreamRow]] = {}
        for side in "AB" if number % 2 == 0 else "BA":
            with tempfile.TemporaryDirectory(prefix="chatproof-") as folder:
                code = measure(a if side == "A" else b, Path(folder))
                if code == Exit.INVALID:
                    return Compared({}, Exit.INVALID)
                if code == Exit.USAGE:
                    return Compared({}, Exit.USAGE)
                rows[side] = read_run(Path(folder)).rows
            say(f"pair {number + 1} of {pairs}, {side}: {len(rows[side])} requests")
        found.append((rows["A"], rows["B"]))
    return _together({f"{metric} {label}": compare_pairs(found, metric, label) for metric, label in FIGURES})


def _together(figures: Mapping[str, Comparison]) -> Compared:
    changes = {comparison.change for comparison in figures.values()}
    if Change.SLOWER in changes:
        return Compared(figures, Exit.VIOLATES)
    decided = changes & {Change.SAME, Change.FASTER}
    return Compared(figures, Exit.CONFORMS if decided else Exit.INCONCLUSIVE)


def _line(name: str, found: Comparison) -> str:
    if found.ratio is None or found.low is None or found.high is None:
        return f"{name}: {found.change.value}: {'; '.join(found.reasons[:2])}"
    interval = f"{found.low:.3f} to {found.high:.3f}"
    return f"{name}: {found.change.value}: B / A = {found.ratio:.3f} ({interval}, {found.pairs} pairs, p {found.p:.3f})"
