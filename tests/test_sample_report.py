"""The sample report: its files follow from its rows, and its rows from the faults that it names."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from chatproof.reference import embedded, target_text
from chatproof.schemas import load_schemas
from chatproof.target import folder
from chatproof.verdict import Outcome

SAMPLE = Path(__file__).parents[1] / "docs" / "sample-report"


@pytest.fixture(scope="module")
def make() -> ModuleType:
    """The script that makes the sample."""
    spec = importlib.util.spec_from_file_location("make_sample_report", SAMPLE / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_sample_files_are_those_of_its_rows(make: ModuleType) -> None:
    """The checked-in rows, rendered again, give the checked-in files byte for byte."""
    document = json.loads((SAMPLE / "report.json").read_bytes())
    rendered = make.render(document, (SAMPLE / "exchanges.har").read_bytes())

    assert sorted(rendered) == ["exchanges.har", "index.html", "junit.xml", "report.json", "summary.md"]
    for name, data in rendered.items():
        assert data == (SAMPLE / name).read_bytes(), f"{name}: run docs/sample-report/make.py --render"


def test_sample_keeps_the_published_schema() -> None:
    """What readers take as the example is valid."""
    document = json.loads((SAMPLE / "report.json").read_bytes())

    assert list(load_schemas(folder("schemas"))["report"].problems(document)) == []


def test_the_faults_again_give_the_same_verdicts(make: ModuleType) -> None:
    """A new run against the same two faults has every clause's outcome as the sample shows it."""
    stored = json.loads((SAMPLE / "report.json").read_bytes())
    with embedded() as reference:
        text = target_text(reference.base_url_of("+".join(make.FAULTS))) + make.ENTRIES
        _, run = make.judged(make.target_of(text))
    again = {row.id: row.outcome.value for row in run.rows}

    assert again == {row["id"]: row["outcome"] for row in stored["clauses"]}
    assert [id for id, outcome in again.items() if outcome == Outcome.FAIL] == ["STR-02", "BIL-04", "BIL-09"]
