"""What a gateway adds to its upstream, for people and for machines. Pure: the same pairs, the same lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chatproof.metrics import Judgement, Term
from chatproof.metrics.compare import Pair
from chatproof.metrics.overhead import ADDED, LABELS, Added, added, judge_added, shown
from chatproof.metrics.percentiles import shown_label
from chatproof.verdict import EXIT_MEANING, Exit, Verdict

NAMES: Mapping[str, str] = {"ttft": "TTFT", "itl": "gaps", "e2e": "end to end"}


@dataclass(frozen=True, slots=True)
class Overhead:
    """What was measured, and what was asked of it."""

    figures: tuple[Added, ...]
    terms: tuple[tuple[Term, Judgement, str], ...]

    @property
    def verdict(self) -> Verdict:
        """Nothing is judged without an objective: what was measured is exit 0, and nothing measured is exit 3."""
        by = {
            judgement: [term.text for term, found, _ in self.terms if found is judgement]
            for judgement in Judgement
        }
        if by[Judgement.FAIL]:
            return Verdict(Exit.VIOLATES, f"SLO missed: {', '.join(by[Judgement.FAIL])}")
        if by[Judgement.INCONCLUSIVE]:
            return Verdict(Exit.INCONCLUSIVE, f"not decided: {', '.join(by[Judgement.INCONCLUSIVE])}")
        if all(figure.mean is None for figure in self.figures):
            return Verdict(Exit.INCONCLUSIVE, "nothing was measured")
        return Verdict(Exit.CONFORMS, "every SLO met" if self.terms else "without --slo nothing is judged")

    @property
    def word(self) -> str:
        """The verdict in a word; `measured` where nothing was to be judged."""
        return self.verdict.name if self.terms or self.verdict.exit else "measured"

    @property
    def lines(self) -> tuple[str, ...]:
        """The figures and the verdict for a person."""
        a, b = self.figures[0].streams if self.figures else (0, 0)
        head = (
            f"what the gateway adds to its upstream: {self.figures[0].pairs} pairs of runs, "
            f"{a} requests to the gateway, {b} to the upstream"
        )
        verdict = self.verdict
        meaning = EXIT_MEANING[verdict.exit].partition(":")[0]
        return (
            head,
            *(f"  {_line(figure)}" for figure in self.figures),
            *(f"  SLO {term.text}: {judgement.value} ({reason})" for term, judgement, reason in self.terms),
            f"{self.word.upper()} (exit {int(verdict.exit)}{f', {meaning}' if self.terms else ''}): {verdict.why}",
        )

    @property
    def document(self) -> dict[str, Any]:
        """The same in JSON's types; durations in seconds."""
        return {
            "figures": [shown(figure) for figure in self.figures],
            "slo": [
                {"term": term.text, "verdict": found.value, "reason": why} for term, found, why in self.terms
            ],
            "verdict": self.word,
            "why": self.verdict.why,
            "exit_code": int(self.verdict.exit),
        }


def overhead_of(pairs: Sequence[Pair], terms: Sequence[Term]) -> Overhead:
    """What the pairs (gateway's rows, upstream's rows) show."""
    figures = tuple(added(pairs, metric, label) for metric, _ in ADDED for label in LABELS)
    return Overhead(figures, tuple((term, *judge_added(term, pairs)) for term in terms))


def _line(figure: Added) -> str:
    name = f"{NAMES[figure.metric]} {shown_label(figure.label)}"
    if figure.mean is None or figure.low is None or figure.high is None:
        return f"{name:<15} not measured: {figure.reason}"
    said = "" if figure.from_zero else ": not distinguishable from zero"
    interval = f"({_ms(figure.low, '+')} to {_ms(figure.high, '+')}, n {figure.pairs} pairs)"
    sides = f"gateway {_ms(figure.gateway)}, upstream {_ms(figure.upstream)}"
    return f"{name:<15} {_ms(figure.mean, '+'):>9} ms {interval}{said}; {sides} ms"


def _ms(ns: float | None, sign: str = "") -> str:
    return "-" if ns is None else f"{ns / 1e6:{sign}.2f}"
