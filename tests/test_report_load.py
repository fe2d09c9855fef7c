"""A load run's report: every clause in it, valid, with its objectives in each face, and without secrets."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from chatproof.redact import Redactor
from chatproof.report import github_lines, report_of, scan
from chatproof.report.allure import files as allure
from chatproof.report.junit import junit
from chatproof.report.page.risk import at_risk, foremost
from chatproof.report.summary import summary
from chatproof.run import Judged
from chatproof.schemas import load_schemas
from chatproof.swarm.master.clauses import NOT_UNDER_LOAD, clause_rows
from chatproof.swarm.master.ledger import Ledger
from chatproof.swarm.master.output import plain, write_run
from chatproof.target import folder, read_contract
from chatproof.verdict import Exit, Outcome, Verdict
from tests.judged import RUN, target
from tests.loaded import load, rows

KEY = target().api_key


def seen(id: str, **more: Any) -> dict[str, Any]:
    """What a load run saw of one clause."""
    found = {
        "id": id,
        "level": "MUST",
        "scope": "every",
        "rate_at_first_per_s": 20.0,
        "subjects": 400,
        "kept": 400,
        "violations": 0,
        "known": 0,
        "worst": "",
        "first_at_s": None,
        "findings": [],
    }
    return {**found, **more}


VIOLATED = seen(
    "STR-02",
    kept=398,
    violations=2,
    worst="MUST",
    first_at_s=3.2,
    findings=[
        {
            "at_s": 3.2,
            "level": "MUST",
            "expected": "data: [DONE] at the end",
            "actual": f"it ended with {KEY}",
            "exchange": "load/s17",
            "status": 200,
            "request_id": "req_1",
            "model": "small",
            "curl": "curl ...",
            "excerpt": ["x"],
        }
    ],
)


def outcome(id: str, *conformance: dict[str, Any]) -> tuple[Outcome, str]:
    """What the rows of a load run say of a clause."""
    found = next(row for row in clause_rows(conformance, read_contract()) if row.id == id)
    return found.outcome, found.reason


def test_every_clause_has_a_row_after_load() -> None:
    """The rows are the contract's, in its order, whatever the load run judged."""
    found = clause_rows([VIOLATED], read_contract())

    assert [row.id for row in found] == list(read_contract().ids)


@pytest.mark.parametrize(
    ("id", "conformance", "expected"),
    [
        ("STR-02", VIOLATED, (Outcome.FAIL, "398 of 400 kept it; the first at 3.2 s")),
        ("STR-02", seen("STR-02"), (Outcome.PASS, "")),
        ("STR-02", seen("STR-02", subjects=0), (Outcome.NOT_OBSERVED, "nothing to judge came by")),
        (
            "BIL-07",
            seen("BIL-07", kept=399, violations=1, worst="SHOULD"),
            (Outcome.WARN, "399 of 400 kept it"),
        ),
        (
            "STR-02",
            seen("STR-02", kept=390, known=10),
            (Outcome.KNOWN, "10 of 400 as a listed deviation says"),
        ),
        ("STR-19", seen("STR-19"), (Outcome.OBSERVE, "")),
        ("EP-01", seen("EP-02"), (Outcome.NOT_OBSERVED, NOT_UNDER_LOAD)),
    ],
)
def test_outcome_of_a_clause_under_load(
    id: str, conformance: dict[str, Any], expected: tuple[Outcome, str]
) -> None:
    """A clause has the outcome of its worst violation; what load cannot judge says so."""
    assert outcome(id, conformance) == expected


def test_own_duties_stay_own() -> None:
    """A clause that no run judges is the suite's own, also here."""
    assert outcome("OWN-01")[0] is Outcome.OWN


def written(at: Path) -> dict[str, Any]:
    """The document of a load run that was written to a folder."""
    ledger = Ledger("run-1", 0, ("w0",))
    ledger.rows.extend(rows())
    section = load() | {
        "conformance": [VIOLATED],
        "interrupted": False,
        "troubles": [f"refused: {KEY}", "\ud800"],
    }
    write_run(at, ledger, section, Verdict(Exit.VIOLATES, "clauses violated: STR-02"), target(), "small")
    document: dict[str, Any] = json.loads((at / "report.json").read_bytes())
    return document


def test_written_report_is_valid_and_whole(tmp_path: Path) -> None:
    """A load run leaves every face but the recording it never made, valid by the schema, with its fingerprint."""
    document = written(tmp_path / "r")

    assert list(load_schemas(folder("schemas"))["report"].problems(document)) == []
    assert {path.name for path in (tmp_path / "r").iterdir()} == {
        "report.json",
        "index.html",
        "summary.md",
        "junit.xml",
        "allure-results",
        "samples.jsonl",
    }
    assert (document["run"]["id"], document["run"]["fingerprint"]["scenario"]) == ("run-1", "steady")
    assert sum(document["totals"].values()) == len(read_contract())


def test_what_a_target_said_under_load_is_without_secrets(tmp_path: Path) -> None:
    """A key in an error message is in no file, neither of the report nor among the samples."""
    written(tmp_path / "r")

    assert scan(tmp_path / "r", Redactor(target().secrets)) == ()
    assert KEY not in "".join(p.read_text() for p in (tmp_path / "r").iterdir() if p.is_file())


def test_figures_that_json_lacks_are_null() -> None:
    """An infinite figure is null, and text keeps its surrogates as escapes."""
    assert plain({"a": float("inf"), "b": (1, True), "c": "\ud800"}, Redactor({})) == {
        "a": None,
        "b": [1, True],
        "c": "\\ud800",
    }


def missed(*, busy: bool = False) -> dict[str, Any]:
    """A document with a missed objective."""
    return report_of(Judged((), (), ()), target(), RUN, Verdict(Exit.VIOLATES, "SLO missed"), load(busy=busy))


def test_objectives_are_in_every_face() -> None:
    """A missed objective fails in JUnit and Allure, is an error for GitHub, and stands in the summary."""
    document = missed()
    cases = {case.get("name"): case for case in ET.fromstring(junit(document)).iter("testcase")}
    results = [
        json.loads(data) for name, data in allure(document, ()).items() if name.endswith("-result.json")
    ]
    text = summary(document).decode()

    assert cases["ttft_p95<250ms"].find("failure") is not None
    assert cases["complete_fraction>=0.9"].find("failure") is None
    assert {r["fullName"]: r["status"] for r in results}["chatproof.ttft_p95<250ms"] == "failed"
    assert any(line.startswith("::error title=ttft_p95<250ms MUST fail::") for line in github_lines(document))
    assert r"| ttft\_p95\<250ms | MUST | ✕ fail |" in text
    assert "| ttft | 395 | 230 ms | 276 ms |" in text


def test_unfit_client_is_an_error_not_a_failure() -> None:
    """A saturated client is our own fault in every format, and stands before all else."""
    document = missed(busy=True)
    (case,) = (
        case
        for case in ET.fromstring(junit(document)).iter("testcase")
        if case.get("name") == "client health"
    )

    assert case.find("error") is not None
    assert [row["id"] for row in foremost(document)] == ["client health", "ttft_p95<250ms"]


def test_load_run_does_not_list_what_it_never_was_to_judge(tmp_path: Path) -> None:
    """The summary of a load run names what it saw, not the clauses that only a check can judge."""
    document = written(tmp_path / "r")
    text = (tmp_path / "r" / "summary.md").read_text()

    assert "STR-02" in text
    assert "EP-01" not in text
    assert "does not meet what was asked of it" in text
    assert not any("EP-01" in line for line in github_lines(document))


def test_missed_objective_puts_something_at_risk() -> None:
    """The page's first lines name it too."""
    assert [[row["id"] for row in found] for _, found in at_risk(missed())] == [["ttft_p95<250ms"]]
