"""What an outcome is called by pytest, JUnit and Allure: one table. Knows no file format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from chatproof.contract import Level
from chatproof.verdict import Outcome

PytestOutcome = Literal["passed", "failed", "skipped"]
JUnitState = Literal["passed", "failure", "error", "skipped"]
AllureStatus = Literal["passed", "failed", "broken", "skipped"]


@dataclass(frozen=True, slots=True)
class State:
    """One outcome in the words of others; `xfail` shows it in pytest as an expected failure."""

    pytest: PytestOutcome
    junit: JUnitState
    allure: AllureStatus
    xfail: bool = False


STATES: Mapping[Outcome, State] = {
    Outcome.PASS: State("passed", "passed", "passed"),
    Outcome.FAIL: State("failed", "failure", "failed"),
    Outcome.WARN: State("skipped", "skipped", "skipped", xfail=True),
    Outcome.OBSERVE: State("passed", "passed", "passed"),
    Outcome.NOT_OBSERVED: State("skipped", "skipped", "skipped"),
    Outcome.UNTESTABLE: State("skipped", "skipped", "skipped"),
    Outcome.WAIVED: State("skipped", "skipped", "skipped"),
    Outcome.KNOWN: State("skipped", "skipped", "skipped", xfail=True),
    Outcome.STALE: State("failed", "failure", "failed"),
    Outcome.BROKEN: State("failed", "error", "broken"),
    Outcome.OWN: State("passed", "passed", "passed"),
}

# Allure's severity of a clause, by its level.
SEVERITY: Mapping[Level, str] = {
    Level.MUST: "critical",
    Level.SHOULD: "normal",
    Level.OBSERVE: "trivial",
}


def state_of(outcome: Outcome, *, strict: bool = False) -> State:
    """The outcome's state; with `strict`, a warning is a failure everywhere."""
    return replace(STATES[Outcome.FAIL]) if strict and outcome is Outcome.WARN else STATES[outcome]
