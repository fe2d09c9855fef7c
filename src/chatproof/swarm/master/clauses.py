"""What a load run saw of the contract, as the rows that every report has: one for each clause, judged or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chatproof.answer import CHAT_ROUTE
from chatproof.contract import Clause, Contract, Level
from chatproof.run import EVERY
from chatproof.verdict import ClauseRow, Finding, Outcome

NOT_UNDER_LOAD = "a load run does not judge it: `chatproof check` does"


def clause_rows(conformance: Sequence[Mapping[str, Any]], contract: Contract) -> tuple[ClauseRow, ...]:
    """The contract's rows from a load section's `conformance`."""
    seen = {row["id"]: row for row in conformance}
    return tuple(_row(clause, seen.get(clause.id)) for clause in contract.clauses)


def _row(clause: Clause, seen: Mapping[str, Any] | None) -> ClauseRow:
    outcome, reason = _outcome(clause, seen)
    return ClauseRow(
        id=clause.id,
        level=clause.level,
        section=clause.section,
        sentence=clause.sentence,
        outcome=outcome,
        subjects=seen["subjects"] if seen else 0,
        findings=tuple(_finding(clause, found) for found in seen["findings"]) if seen else (),
        reason=reason,
    )


def _outcome(clause: Clause, seen: Mapping[str, Any] | None) -> tuple[Outcome, str]:
    if clause.unchecked:
        return Outcome.OWN, clause.unchecked
    if seen is None or not seen["subjects"]:
        return Outcome.NOT_OBSERVED, "nothing to judge came by" if clause.every else NOT_UNDER_LOAD
    if clause.level is Level.OBSERVE or seen["worst"] == Level.OBSERVE:
        return Outcome.OBSERVE, ""
    if seen["violations"]:
        outcome = Outcome.FAIL if seen["worst"] == Level.MUST else Outcome.WARN
        first = "" if seen["first_at_s"] is None else f"; the first at {seen['first_at_s']} s"
        return outcome, f"{seen['kept']} of {seen['subjects']} kept it{first}"
    if seen["known"]:
        return Outcome.KNOWN, f"{seen['known']} of {seen['subjects']} as a listed deviation says"
    return Outcome.PASS, ""


def _finding(clause: Clause, found: Mapping[str, Any]) -> Finding:
    return Finding(
        clause=clause.id,
        level=Level(found["level"]),
        expected=found["expected"],
        actual=found["actual"],
        source=EVERY,
        exchange=found["exchange"],
        route=CHAT_ROUTE,
        status=found["status"],
        request_id=found["request_id"],
        model=found["model"],
        excerpt=(f"at {found['at_s']} s of the run", *found["excerpt"]),
        curl=found["curl"],
    )
