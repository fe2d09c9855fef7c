"""Proof itself can fail: on silence, over-firing, a crash, a fault that never fired; its matrix is in the docs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chatproof import proof
from chatproof.reference import embedded
from chatproof.reference.faults import FAULTS
from chatproof.target import read_contract

MATRIX = Path(__file__).parents[1] / "docs" / "fault-matrix.md"
EXPECTED = {**proof.green(read_contract()), "STR-02": "fail"}
SHOWN = proof.Shown("no-done", "fault", EXPECTED, {}, fired=3, seconds=1.0, requests=9)


def test_what_was_expected_holds() -> None:
    """A run that shows exactly the expected map is right."""
    assert SHOWN.wrong(EXPECTED) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"outcomes": {**EXPECTED, "STR-02": "pass"}}, ["STR-02: expected fail, got pass"]),
        ({"outcomes": {**EXPECTED, "STR-03": "fail"}}, ["STR-03: expected pass, got fail"]),
        ({"outcomes": {**EXPECTED, "STR-07": "not_observed"}}, ["STR-07: expected pass, got not_observed"]),
        ({"outcomes": {**EXPECTED, "STR-02": "broken"}}, ["STR-02: expected fail, got broken"]),
        ({"fired": 0}, ["it never fired"]),
        ({"failed": "not every probe was run"}, ["not every probe was run"]),
    ],
)
def test_what_differs_is_told(changes: dict[str, object], says: list[str]) -> None:
    """Silence, over-firing, lost sight, a crash taken for red, a fault that slept, a run without judgement."""
    assert replace(SHOWN, **changes).wrong(EXPECTED) == says  # type: ignore[arg-type]


def test_every_clause_that_a_run_judges_is_proved() -> None:
    """No clause is without a fault that breaks it."""
    assert proof.unproved(read_contract()) == []


def test_one_fault_over_real_sockets() -> None:
    """A fault turns exactly its clause red, in a whole run, and the server says that it fired."""
    with embedded() as reference:
        clean, broken = proof.cases(reference, fault="no-done")

        assert proof.run_case(clean).wrong(clean.expected) == []
        assert proof.run_case(broken).wrong(broken.expected) == []


def test_few_are_few() -> None:
    """A wrong result is looked at once more only where hardly any is wrong."""
    case = proof.Case("no-done", "fault", "http://127.0.0.1:9/v1", EXPECTED)

    assert [proof.few([case] * n) for n in (1, 99, 250, 600)] == [1, 1, 2, 6]


def test_what_stays_wrong_alone_stands() -> None:
    """A case that is wrong among others and alone is handed over twice, and counts as wrong."""
    told: list[list[str]] = []
    with embedded() as reference:
        _, broken = proof.cases(reference, fault="no-done")
        declared = replace(broken, expected={**proof.green(read_contract()), "STR-03": "not_observed"})
        results = proof.prove([declared], 1, lambda case, result: told.append(result.wrong(case.expected)))

    assert [len(lines) for lines in told] == [1, 1]
    assert results[0].wrong(declared.expected) == told[1]


def test_a_wrong_declaration_is_caught() -> None:
    """Were a fault declared to break another clause, proof would say so."""
    with embedded() as reference:
        _, broken = proof.cases(reference, fault="no-done")
        declared = {**proof.green(read_contract()), "STR-07": "fail"}
        wrong = proof.run_case(broken).wrong(declared)

    assert [line.partition(" (")[0] for line in wrong] == [
        "STR-02: expected pass, got fail",
        "STR-03: expected pass, got not_observed",
        "STR-07: expected fail, got pass",
    ]


def test_the_matrix_in_the_docs_is_the_declared_one() -> None:
    """`chatproof prove --matrix > docs/fault-matrix.md` changes nothing."""
    assert MATRIX.read_text(encoding="utf-8") == proof.matrix(read_contract())


def test_faults_are_many_and_different() -> None:
    """There are at least 150 faults, and each breaks something."""
    assert len(FAULTS) >= 150
    assert [name for name, fault in FAULTS.items() if not fault.breaks] == []
