"""Is B slower than A: two recorded runs, or two live targets measured in turns. Judges with `metrics.compare`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatproof.metrics.compare import LEAST_PAIRS, Change, Comparison, compare_pairs, compare_runs
from chatproof.swarm.asking.aim import UsageError
from chatproof.swarm.compare.recorded import read_run
from chatproof.swarm.compare.side_by_side import Measure, Say, in_turns
from chatproof.verdict import Exit

FIGURES: tuple[tuple[str, str], ...] = (("ttft", "p50"), ("ttft", "p90"), ("itl", "p50"), ("e2e", "p50"))


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison found: each figure's answer, and the exit code of them all."""

    figures: Mapping[str, Comparison]
    exit: Exit
    why: str = ""  # nothing was compared

    @property
    def lines(self) -> tuple[str, ...]:
        """The answers for a person."""
        said = (f"nothing was compared: {self.why}",) if self.why else ()
        return (*said, *(_line(name, found) for name, found in self.figures.items()))


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
    say: Say = lambda text: None,
    again: int = 0,
) -> Compared:
    """Two live targets, given as the options of a run each, measured in turns by `measure`.

    A pair with an INVALID run is measured again, `again` times in all; then the whole comparison is invalid. A run
    without an answer makes it inconclusive.
    """
    turns = in_turns(a, b, measure, pairs=pairs, say=say, again=again)
    if turns.exit is not Exit.CONFORMS:
        return Compared({}, turns.exit, turns.why)
    return _together(
        {f"{metric} {label}": compare_pairs(turns.pairs, metric, label) for metric, label in FIGURES}
    )


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
