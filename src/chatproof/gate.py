"""The release gate's judgement: parts that were run, each with its own verdict, weighed into one. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chatproof.verdict import Exit, Verdict

ORDER = (Exit.INVALID, Exit.VIOLATES, Exit.INCONCLUSIVE, Exit.CONFORMS)  # the first that applies wins


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a gate: conformance, load or comparison."""

    name: str
    verdict: Verdict


def weigh(parts: Sequence[Part], cut_short: bool = False) -> Verdict:
    """One verdict of all parts: 4 before 1 before 3 before 0; a gate that time cut short is at best inconclusive."""
    weighed = [*parts, Part("time", Verdict(Exit.INCONCLUSIVE, "--max-time is over"))] if cut_short else parts
    if not weighed:
        return Verdict(Exit.INCONCLUSIVE, "nothing was run")
    worst = next(code for code in ORDER if any(part.verdict.exit is code for part in weighed))
    why = "; ".join(f"{part.name}: {part.verdict.why}" for part in weighed if part.verdict.exit is worst)
    return Verdict(worst, why)
