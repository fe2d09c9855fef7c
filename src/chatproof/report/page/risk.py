"""What a violated clause puts at risk, by the letters of its id, and which findings a reader should see first.

The order of the table is the order of weight: who may call and what it costs before what is said and how.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from chatproof.report.words import LOAD, checks, loud
from chatproof.verdict import Outcome

FOREMOST: Final = 3
RISKS: Final[Mapping[str, str]] = {
    "AUT": "who may call is not what was promised",
    "BIL": "callers may be charged wrongly, or cannot check what they are charged",
    "IDM": "a retried request may be answered, or charged, twice",
    "STR": "streaming clients may hang, lose text or take a broken answer for a whole one",
    "RSP": "clients that read the documented fields may fail or read wrong values",
    "ERR": "clients cannot tell what went wrong, or whether to try again",
    "REQ": "valid requests may be refused, or wrong ones answered",
    "SMP": "sampling settings may be ignored or wrongly refused",
    "EP": "the route itself may not be usable as documented",
    "RID": "a single request may not be found again in support and logs",
    "MOD": "clients cannot see which models there are",
    "HLT": "monitoring cannot tell whether it is up",
    LOAD: "answers are slower, or fewer come whole, than was agreed",
}
_RED: Final = (Outcome.FAIL, Outcome.STALE)


def at_risk(document: Mapping[str, Any]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """What violations put at risk, weightiest first, each with the rows that are violated."""
    violated = [row for row in checks(document) if row["outcome"] == Outcome.FAIL]
    found = [(text, [row for row in violated if _letters(row) == letters]) for letters, text in RISKS.items()]
    return [(text, rows) for text, rows in found if rows]


def foremost(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The clauses whose findings matter most: our own faults, then violations, then warnings, by weight."""
    rows = [row for row in loud(document) if row["findings"] or row["outcome"] in (Outcome.BROKEN, *_RED)]
    worst = [row for row in rows if row["outcome"] in (Outcome.BROKEN, *_RED, Outcome.WARN)]
    return sorted(worst, key=_weight)[:FOREMOST]


def _weight(row: Mapping[str, Any]) -> tuple[int, int, int]:
    order = (Outcome.BROKEN, Outcome.FAIL, Outcome.STALE, Outcome.WARN)
    letters = list(RISKS)
    known = _letters(row)
    return (
        order.index(Outcome(row["outcome"])),
        letters.index(known) if known in letters else len(letters),
        -row["violations"],
    )


def _letters(row: Mapping[str, Any]) -> str:
    return LOAD if row["section"] == LOAD else str(row["id"]).partition("-")[0]
