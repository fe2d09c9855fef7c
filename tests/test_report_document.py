"""`report.json`: complete, valid by its schema, the same bytes for the same rows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from chatproof.redact import Redactor
from chatproof.report import dumps, faces, made_with, report_of, write
from chatproof.report.directory import ReportError, place, usable
from chatproof.schemas import load_schemas
from chatproof.target import folder, read_contract
from chatproof.verdict import Exit, Outcome, Verdict, decide
from tests.judged import MADE_WITH, RUN, judged, target

VERDICT = Verdict(Exit.VIOLATES, "1 clause violated: STR-02")


def document() -> dict[str, object]:
    """The hand-made run's document."""
    return report_of(judged(), target(), RUN, VERDICT, proved_by={"STR-02": ("no-done",)})


def test_document_is_valid_by_its_published_schema() -> None:
    """A run with every outcome in it keeps the schema, before and after a round trip through JSON."""
    schema = load_schemas(folder("schemas"))["report"]
    made = document()

    assert list(schema.problems(made)) == []
    assert list(schema.problems(json.loads(dumps(made)))) == []


def test_schema_refuses_a_document_that_lacks_a_member() -> None:
    """The schema is no formality: without a finding's `actual`, or with an outcome of its own, it complains."""
    schema = load_schemas(folder("schemas"))["report"]
    lacking = json.loads(dumps(document()))
    del lacking["clauses"][1]["findings"][0]["actual"]
    lacking["clauses"][0]["outcome"] = "fine"

    assert [place for place, _ in schema.problems(lacking)] == [
        "$.clauses[0].outcome",
        "$.clauses[1].findings[0]",
    ]


def test_every_row_is_in_the_document() -> None:
    """A clause is in it whatever its outcome, with its figures, and the totals sum to the rows."""
    made = json.loads(dumps(document()))
    rows = judged().rows

    assert [
        (c["id"], c["outcome"], c["subjects"], c["violations"], c["reason"]) for c in made["clauses"]
    ] == [(row.id, row.outcome.value, row.subjects, row.violations, row.reason) for row in rows]
    assert made["totals"] == {outcome.value: 1 for outcome in Outcome}
    assert (made["verdict"], made["exit_code"]) == ("fail", 1)


def test_rows_of_the_whole_contract_sum_to_its_size() -> None:
    """Totals of a run in which nothing was seen sum to the registry's size."""
    from datetime import date

    from chatproof.run import judge

    contract = read_contract()
    nothing = judge(contract, target(), (), (), date(2026, 3, 1))
    made = report_of(nothing, target(), RUN, decide(nothing.rows))

    assert sum(made["totals"].values()) == len(contract)
    assert (made["verdict"], made["exit_code"]) == ("inconclusive", 3)


def test_finding_points_into_the_recording() -> None:
    """A finding names the entry of `exchanges.har` that shows it."""
    made = document()

    assert made["clauses"][1]["findings"][0]["recording"] == "exchanges.har#0"  # type: ignore[index]
    assert made["clauses"][2]["findings"][0]["recording"] is None  # type: ignore[index]


def test_same_rows_give_the_same_bytes() -> None:
    """Two renderings of one run are identical, also through a document that was read back from its bytes."""
    run = judged()
    first = faces(document(), run.exchanges)

    assert faces(document(), judged().exchanges) == first
    assert faces(json.loads(first["report.json"]), run.exchanges) == first


def test_no_secret_of_the_target_is_in_the_document() -> None:
    """The key that the target file holds is in no member."""
    assert target().api_key.encode() not in dumps(document())


def test_a_number_that_json_lacks_is_our_own_fault() -> None:
    """An infinite figure is refused rather than written as a word that no parser reads."""
    made = report_of(judged(), target(), RUN, VERDICT, {"rate": float("inf")})

    with pytest.raises(ValueError, match="JSON compliant"):
        dumps(made)


def test_run_id_is_time_and_seed() -> None:
    """Two runs of one second differ in their seeds."""
    assert RUN.id == "20260301T120000Z-00000000002a"
    assert replace(RUN, seed=43).id != RUN.id


def test_made_with_names_tool_and_every_declared_dependency() -> None:
    """The fingerprint of this process has the shape that the hand-made one has, with what is installed."""
    made = made_with()

    assert made.keys() == MADE_WITH.keys()
    assert {"httpx", "pytest", "locust", "jinja2"} <= made["dependencies"].keys()


def test_report_replaces_the_one_before_and_leaves_other_files(tmp_path: Path) -> None:
    """A second report into one folder takes away every file of the first one's folders, and nothing else."""
    place(tmp_path / "r", {"report.json": b"1", "allure-results/old.json": b"1"})
    (tmp_path / "r" / "samples.jsonl").write_bytes(b"kept")

    place(tmp_path / "r", {"report.json": b"2", "allure-results/new.json": b"2"})

    found = {str(p.relative_to(tmp_path)): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert found == {
        "r/report.json": b"2",
        "r/allure-results/new.json": b"2",
        "r/samples.jsonl": b"kept",
    }


def test_report_is_for_its_owner_only(tmp_path: Path) -> None:
    """Files are 0600 and folders 0700: a recording holds prompts and answers."""
    write(tmp_path / "r", document(), judged().exchanges, Redactor(target().secrets))

    modes = {p.is_dir(): p.stat().st_mode & 0o777 for p in (tmp_path / "r").rglob("*")}
    assert (tmp_path / "r").stat().st_mode & 0o777 == 0o700
    assert set(modes.values()) <= {0o600, 0o700}
    assert modes[False] == 0o600


def test_failed_write_leaves_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up in the middle leaves the old report whole and no half of a new one."""
    place(tmp_path / "r", {"a.txt": b"old", "report.json": b"old"})

    def full(descriptor: int, mode: str) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("chatproof.report.directory.os.fdopen", full)
    with pytest.raises(ReportError, match=r"cannot be written to .*no space left on device"):
        place(tmp_path / "r", {"a.txt": b"new", "report.json": b"new"})

    assert {p.name: p.read_bytes() for p in (tmp_path / "r").iterdir()} == {
        "a.txt": b"old",
        "report.json": b"old",
    }
    assert [p.name for p in tmp_path.iterdir()] == ["r"]


def test_a_file_in_the_way_is_one_clear_line(tmp_path: Path) -> None:
    """A report folder under a plain file is refused in one line that says what to do."""
    (tmp_path / "file").write_text("")

    with pytest.raises(ReportError, match=r"cannot be written to .* name another folder with --report"):
        place(tmp_path / "file" / "r", {"report.json": b""})


def test_a_folder_that_cannot_be_used_is_known_before_the_run(tmp_path: Path) -> None:
    """Nothing is sent for a report that has no place; asking leaves nothing behind."""
    (tmp_path / "file").write_text("")

    usable(tmp_path / "new" / "folder")
    with pytest.raises(ReportError, match="is a file: name another folder"):
        usable(tmp_path / "file" / "r")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_latest_points_to_the_newest_report(tmp_path: Path) -> None:
    """In a folder called `reports`, `latest` follows; elsewhere there is none."""
    place(tmp_path / "reports" / "one", {"report.json": b"1"})
    place(tmp_path / "reports" / "two", {"report.json": b"2"})
    place(tmp_path / "other" / "one", {"report.json": b"3"})

    assert (tmp_path / "reports" / "latest" / "report.json").read_bytes() == b"2"
    assert (tmp_path / "reports" / "latest").is_symlink()
    assert [p.name for p in (tmp_path / "other").iterdir()] == ["one"]
