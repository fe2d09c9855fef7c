"""Which clauses are rows of their own in plain pytest, beside the rows of their probes."""

from __future__ import annotations

import pytest

from chatproof.contract import Level
from chatproof.pytest_rows import adds, in_a_line, told
from chatproof.run import EVERY, Judged, ProbeReport
from chatproof.verdict import ClauseRow, Finding, Outcome, Seen

FOUND = Finding(clause="RID-02", level=Level.MUST, expected="a", actual="b", source=EVERY)


def row(outcome: Outcome, *findings: Finding) -> ClauseRow:
    """A row of RID-02."""
    return ClauseRow(
        id="RID-02", level=Level.MUST, section="s", sentence="s", outcome=outcome, findings=findings
    )


def run(*said: Seen) -> Judged:
    """A run in which probes of RID-02 said this."""
    return Judged((), (), tuple(ProbeReport(clause="RID-02", probe="test_x", seen=seen) for seen in said))


SILENT = Seen(subjects=1)
NOISE = Seen(unjudged=("only noise",))


@pytest.mark.parametrize(
    ("shown", "probes", "own"),
    [
        (row(Outcome.PASS), (), True),  # no probe shows it
        (row(Outcome.PASS), (SILENT,), False),
        (row(Outcome.FAIL, FOUND), (SILENT,), True),  # what facts found
        (row(Outcome.NOT_OBSERVED), (SILENT,), True),  # the probe passed, and facts saw nothing
        (row(Outcome.NOT_OBSERVED), (NOISE,), False),  # the probe said so itself
        (row(Outcome.STALE), (SILENT,), True),
        (row(Outcome.OWN), (), False),
    ],
)
def test_a_clause_has_a_row_where_its_probes_do_not_say_it(
    shown: ClauseRow, probes: tuple[Seen, ...], own: bool
) -> None:
    """What a whole run knows and no probe's row says is a row of its own; nothing is said twice."""
    assert adds(shown, run(*probes)) is own


def test_findings_are_told_with_their_evidence() -> None:
    """In a line for a reason, and with id, model and exchange for a failure."""
    assert in_a_line(Seen(findings=(FOUND,))) == "MUST: expected a; got b"
    assert told(FOUND) == "RID-02 MUST: expected a\n  got b\n  X-Request-Id -, model -, None"
