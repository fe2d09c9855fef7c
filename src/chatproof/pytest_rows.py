"""What a probe's end says of its clause, and clauses as rows of pytest. Knows no option, no worker and no target."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chatproof import run
from chatproof.contract import Level
from chatproof.probe import Talk, Violation
from chatproof.report.states import STATES
from chatproof.target import read_contract
from chatproof.verdict import ClauseRow, Finding, NotObserved, Outcome, Problem, Seen, Untestable
from chatproof.wire import OverBudget


def seen_by(item: pytest.Item, mark: pytest.Mark, call: pytest.CallInfo[None], spoken: Talk | None) -> Seen:
    """What a probe that ended so says of its clause."""
    level = Level(mark.kwargs["level"]) if "level" in mark.kwargs else None
    clause = read_contract()[mark.args[0]]
    wrong = call.excinfo.value if call.excinfo else None
    if wrong is None:
        said = (tuple(spoken.notes), tuple(spoken.remarks)) if spoken else ((), ())
        return Seen(subjects=1, notes=said[0], remarks=said[1])
    if isinstance(wrong, Untestable):
        return Seen(untestable=(str(wrong),))
    if isinstance(wrong, NotObserved | OverBudget):
        return Seen(unjudged=(str(wrong),))
    if not isinstance(wrong, AssertionError):
        return Seen(broken=(f"{item.name}: {type(wrong).__name__}: {wrong}",))
    if isinstance(wrong, Violation):
        answer = wrong.answer
        problem = Problem(
            expected=wrong.expected, actual=wrong.actual, level=wrong.level or level, at=wrong.at
        )
    else:
        answer = spoken.asked[-1] if spoken and spoken.asked else None
        problem = Problem(
            expected=(getattr(item, "obj", None).__doc__ or clause.sentence).strip(),
            actual=str(wrong),
            level=level,
        )
    return Seen(subjects=1, findings=(run.finding_of(clause, problem, answer, item.name),))


def in_a_line(seen: Seen) -> str:
    """What was found, for a reason of one line."""
    return "; ".join(f"{f.level}: expected {f.expected}; got {f.actual}" for f in seen.findings)


def told(finding: Finding) -> str:
    """A finding with its evidence, as pytest prints a failure."""
    lines = [f"{finding.clause} {finding.level}: expected {finding.expected}", f"  got {finding.actual}"]
    lines += [f"  X-Request-Id {finding.request_id or '-'}, model {finding.model or '-'}, {finding.exchange}"]
    lines += [f"  | {line}" for line in finding.excerpt]
    lines += [f"  {finding.curl}"] if finding.curl else []
    return "\n".join(lines)


def adds(row: ClauseRow, judged: run.Judged) -> bool:
    """Whether the clause's row says more than its probes' rows do: facts, or entries of the target file."""
    probes = [report.seen for report in judged.reports if report.clause == row.id]
    unseen = row.outcome is Outcome.NOT_OBSERVED and not any(seen.unjudged for seen in probes)
    by_facts = any(finding.source == run.EVERY for finding in row.findings)
    if row.outcome is Outcome.OWN:
        return False
    return not probes or by_facts or unseen or row.outcome in (Outcome.STALE, Outcome.BROKEN)


def show(config: pytest.Config, row: ClauseRow) -> None:
    """One clause as a pytest row."""
    by_facts = [finding for finding in row.findings if finding.source == run.EVERY]
    state = replace(row, findings=tuple(by_facts)) if by_facts else row
    called = STATES[row.outcome]
    outcome, failing = called.pytest, "setup" if row.outcome is Outcome.BROKEN else "call"
    nodeid = f"conformance/every_exchange::{row.id}"
    location = ("conformance/every_exchange", 0, f"{row.id} {row.sentence}")
    text: Any = "\n".join(told(finding) for finding in state.findings[:5]) or row.reason
    longrepr = (
        ("conformance/every_exchange", 0, text or "-")
        if outcome == "skipped"
        else text
        if outcome == "failed"
        else None
    )
    for when in ("setup", "teardown") if failing == "setup" else ("setup", "call", "teardown"):
        shown: Any = pytest.TestReport(
            nodeid,
            location,
            {row.id: 1},
            outcome if when == failing else "passed",
            longrepr if when == failing else None,
            when,
        )
        if called.xfail and when == failing:
            shown.wasxfail = text
        config.hook.pytest_runtest_logstart(nodeid=nodeid, location=location) if when == "setup" else None
        config.hook.pytest_runtest_logreport(report=shown)
    config.hook.pytest_runtest_logfinish(nodeid=nodeid, location=location)
