"""What a command leaves behind: a report, annotations where GitHub reads them, and an end where it would leak."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chatproof.cli.deployment import Deployment, Stop
from chatproof.cli.reporting import check_folder, publish
from chatproof.record import Read
from chatproof.run import Judged
from chatproof.verdict import Exit, decide
from tests.judged import judged, stream, target


def published(directory: Path | None, run: Judged) -> dict[str, object]:
    """Publish a run."""
    return publish(
        directory,
        run,
        Deployment(target(), 42, (), embedded=False),
        decide(run.rows),
        command="check",
        started=datetime(2026, 3, 1, tzinfo=UTC),
        jobs=2,
        strict=False,
    )


def test_report_names_the_faults_that_prove_each_check(tmp_path: Path) -> None:
    """The written document is the one given back, and says which faults turn STR-02 red."""
    document = published(tmp_path / "r", judged())
    clauses = {row["id"]: row for row in json.loads((tmp_path / "r" / "report.json").read_text())["clauses"]}

    assert json.loads((tmp_path / "r" / "report.json").read_text()) == document
    assert "no-done" in clauses["STR-02"]["proved_by"]


def test_annotations_are_printed_on_github_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines that GitHub reads are no noise anywhere else."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    published(None, judged())
    elsewhere = capsys.readouterr().out
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    published(None, judged())

    assert elsewhere == ""
    assert "::error title=STR-02 MUST fail::" in capsys.readouterr().out


def test_a_leak_ends_the_run_as_invalid_and_writes_nothing(tmp_path: Path) -> None:
    """A recording that would hold the key is our own fault: exit 4, one line, no file."""
    key = target().api_key
    run = replace(judged(), exchanges=(replace(stream(), reads=(Read(1, key.encode()),)),))

    with pytest.raises(Stop, match="no report was written") as stopped:
        published(tmp_path / "r", run)

    assert stopped.value.exit_code == Exit.INVALID
    assert key not in str(stopped.value.message)
    assert list(tmp_path.iterdir()) == []


def test_a_secret_in_what_lay_there_ends_the_run_as_invalid(tmp_path: Path) -> None:
    """Files beside the report are looked at too: whoever uploads the folder uploads them."""
    (tmp_path / "samples.jsonl").write_text(json.dumps({"detail": target().api_key}))

    with pytest.raises(Stop, match=r"samples\.jsonl holds <api_key>") as stopped:
        published(tmp_path, judged())

    assert stopped.value.exit_code == Exit.INVALID


def test_a_report_that_has_no_place_is_a_usage_error_before_the_run(tmp_path: Path) -> None:
    """Nothing is sent when the folder cannot be written."""
    (tmp_path / "file").write_text("")

    with pytest.raises(Stop, match="name another folder with --report") as stopped:
        check_folder(tmp_path / "file" / "r")

    assert stopped.value.exit_code == Exit.USAGE
