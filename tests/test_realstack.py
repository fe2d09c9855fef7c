"""What is written down of the servers that were not written here can be read, and a difference from it is told."""

from __future__ import annotations

from typing import Any

import pytest

from chatproof.target import read_contract
from chatproof.verdict import Outcome
from tests.realstack.run import EXPECTED, GREEN, Expectation

NAMES = sorted(file.stem for file in EXPECTED.glob("*.toml"))


@pytest.mark.parametrize("name", NAMES)
def test_rows_name_clauses_and_outcomes(name: str) -> None:
    """Every row is of a clause of the contract, may have outcomes that there are, and is needed."""
    rows = Expectation.read(name).outcomes

    assert set(rows) <= set(read_contract().ids)
    assert {outcome for may in rows.values() for outcome in may} <= set(Outcome)
    assert not [clause for clause, may in rows.items() if set(may) <= set(GREEN)]


def clause(id: str, outcome: str, *findings: dict[str, Any], reason: str = "") -> dict[str, Any]:
    """A clause as a report has it."""
    return {"id": id, "outcome": outcome, "findings": list(findings), "reason": reason}


def test_a_difference_shows_what_was_found() -> None:
    """What turned red, and what is no longer red, are both differences; what is as written is none."""
    found = {"expected": "401", "actual": "200", "exchange": "test_x/1"}
    seen = [
        clause("AUT-01", "fail", found),
        clause("AUT-02", "pass"),
        clause("STR-05", "pass"),
        clause("EP-01", "pass"),
        clause("EP-02", "not_observed", reason="noise"),
    ]
    expected = Expectation({"AUT-02": ["fail"], "STR-05": ["fail", "pass"]}, ["complete"])

    assert list(expected.differences(seen)) == [
        "AUT-01: expected pass or observe or own, got fail: 401 / 200 (test_x/1)",
        "AUT-02: expected fail, got pass: ",
        "EP-02: expected pass or observe or own, got not_observed: noise",
    ]
