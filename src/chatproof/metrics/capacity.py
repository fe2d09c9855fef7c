"""The search for the highest rate that meets the SLO: which rate to try next. Sends nothing, knows no clock.

Bracket by doubling from the lowest rate (by halving where that one is already too much), then bisect until
the rates met and not met are within the tolerance. A step that is inconclusive is tried once more and longer;
if it still is, the rate counts as not met, since it was not shown to be. An invalid step ends the search:
from there on the client, not the target, is what is measured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

HALVINGS: Final = 6  # below a 64th of the lowest rate asked for, the rate is not what is wrong


class Outcome(StrEnum):
    """What one step showed."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Ask:
    """The next step to run: a rate in streams per second, and whether it is a longer second try."""

    rate: float
    longer: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A step that was run."""

    rate: float
    outcome: Outcome
    longer: bool = False


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the search found."""

    knee: float | None
    """The highest rate that was shown to meet the SLO; None when none was."""
    not_met: float | None
    """The lowest rate that was not; None when none was."""
    steps: tuple[Step, ...]
    reason: str
    """Why the search stopped."""


@dataclass(frozen=True, slots=True)
class CapacitySearch:
    """A search between the rates `low` and `high`; `after` gives the search with one more step."""

    low: float
    high: float | None = None
    tolerance: float = 0.05
    most_steps: int = 24
    steps: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        if self.low <= 0 or (self.high is not None and self.high < self.low) or self.tolerance <= 0:
            raise ValueError("a capacity search needs 0 < low <= high and a tolerance above 0")

    def after(self, outcome: Outcome) -> CapacitySearch:
        """The search once the step it asked for has this outcome; ValueError when it asked for none."""
        ask = self.next
        if ask is None:
            raise ValueError("the search has ended")
        return replace(self, steps=(*self.steps, Step(ask.rate, outcome, ask.longer)))

    @property
    def next(self) -> Ask | None:
        """The next step, or None when the search has ended."""
        decided = self._decide()
        return decided if isinstance(decided, Ask) else None

    @property
    def result(self) -> Capacity:
        """What is known so far, and why the search ended or that it has not."""
        decided = self._decide()
        reason = "the search has not ended" if isinstance(decided, Ask) else decided
        return Capacity(self._met, self._not_met, self.steps, reason)

    @property
    def _met(self) -> float | None:
        return max((step.rate for step in self.steps if step.outcome is Outcome.PASS), default=None)

    @property
    def _not_met(self) -> float | None:
        return min((step.rate for step in self.steps if _refused(step)), default=None)

    def _decide(self) -> Ask | str:
        met, not_met = self._met, self._not_met
        last = self.steps[-1] if self.steps else None
        if last is None:
            return Ask(self.low)
        if last.outcome is Outcome.INVALID:
            return f"the client could not hold {last.rate:g}/s: add workers"
        if len(self.steps) >= self.most_steps:
            return f"{self.most_steps} steps were not enough"
        if last.outcome is Outcome.INCONCLUSIVE and not last.longer:
            return Ask(last.rate, longer=True)
        if met is None:
            lowest = not_met if not_met is not None else self.low
            if lowest <= self.low / 2**HALVINGS:
                return f"not even {lowest:g}/s was shown to meet the SLO"
            return Ask(lowest / 2)
        if not_met is None:
            if self.high is not None and met >= self.high:
                return f"{met:g}/s, the highest rate asked for, meets the SLO"
            return Ask(met * 2 if self.high is None else min(met * 2, self.high))
        if not_met <= met * (1 + self.tolerance):
            return f"met and not met are within {self.tolerance:.0%}"
        return Ask((met + not_met) / 2)


def _refused(step: Step) -> bool:
    return step.outcome is Outcome.FAIL or (step.outcome is Outcome.INCONCLUSIVE and step.longer)
