"""A recorded run answers its own probes again: same verdicts, nothing sent, and clear words where it cannot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from chatproof import replay
from chatproof.cli import main
from chatproof.cli.deployment import reference_target
from chatproof.record import Tag
from chatproof.reference import Reference, embedded, target_text
from chatproof.verdict import NotObserved
from chatproof.wire import Call


@pytest.fixture(scope="module")
def reference() -> Iterator[Reference]:
    """A reference for all tests here."""
    with embedded() as running:
        yield running


@pytest.fixture(scope="module")
def report(reference: Reference, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run against a deployment with a fault, made with two workers."""
    folder = tmp_path_factory.mktemp("replay")
    target = folder / "target.toml"
    target.write_text(target_text(reference.base_url_of("no-done")))
    done = CliRunner().invoke(
        main, ["check", "--target", str(target), "--jobs", "2", "--report", str(folder / "report")]
    )
    assert done.exit_code == 1, done.output
    return folder / "report"


def test_same_verdicts(report: Path) -> None:
    """Every clause of a recording gets the outcome that it got live, from another number of workers too."""
    recorded = replay.read(report)

    judged = replay.judge_again(recorded)

    assert {row.id: row.outcome.value for row in judged.rows} == recorded.outcomes


def test_command_says_the_same(report: Path) -> None:
    """`chatproof replay` ends with the recorded run's exit code and names the clause in its last line."""
    done = CliRunner().invoke(main, ["replay", str(report)])

    assert done.exit_code == 1
    assert "STR-02" in done.output.strip().splitlines()[-1]
    assert "judged otherwise" not in done.output


def test_one_clause(report: Path) -> None:
    """--clause shows that clause alone, and decides by it."""
    done = CliRunner().invoke(main, ["replay", str(report), "--clause", "REQ-01"])

    assert done.exit_code == 0
    assert "STR-02" not in done.output


def test_nothing_is_sent(report: Path) -> None:
    """A step that the recording lacks is not observed: no request leaves."""
    recorded = replay.read(report)
    gateway = replay.Recording(recorded.target, recorded.exchanges, recorded.seed)

    with pytest.raises(NotObserved, match="no exchange nobody/1"):
        gateway.send(Call(tag=Tag("nobody", "1"), method="POST", url=recorded.target.base_url))


def test_sent_again_to_a_mended_deployment(report: Path, reference: Reference, tmp_path: Path) -> None:
    """--send asks the deployment again: what was red and is kept now is fixed."""
    target = tmp_path / "target.toml"
    target.write_text(target_text(reference.base_url))

    done = CliRunner().invoke(main, ["replay", str(report), "--send", "--target", str(target)])

    assert "STR-02: fixed" in done.output
    assert done.exit_code == 0


def test_sent_again_to_the_broken_deployment(report: Path, reference: Reference, tmp_path: Path) -> None:
    """--send to a deployment that is still broken says so, and ends 1."""
    target = tmp_path / "target.toml"
    target.write_text(target_text(reference.base_url_of("no-done")))

    done = CliRunner().invoke(main, ["replay", str(report), "--send", "--target", str(target)])

    assert "STR-02: still failing" in done.output
    assert done.exit_code == 1


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "report.json cannot be read: give the folder that --report named"),
        ({"report.json": "{}", "exchanges.har": "{}"}, "exchanges.har"),
        ({"report.json": "not JSON", "exchanges.har": "{}"}, "is no report of a conformance run"),
    ],
)
def test_no_recording(files: dict[str, str], says: str, tmp_path: Path) -> None:
    """A folder without a recording is a usage error of one line."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    done = CliRunner().invoke(main, ["replay", str(tmp_path)])

    assert done.exit_code == 2
    assert says in done.output
    assert "Traceback" not in done.output


def test_key_is_not_in_the_recording(report: Path, reference: Reference) -> None:
    """What a replay reads holds no key: the recorded target's keys are words."""
    target = reference_target(reference.base_url)
    written = b"".join(path.read_bytes() for path in report.rglob("*") if path.is_file())

    assert target.api_key.encode() not in written
    assert json.loads((report / "report.json").read_bytes())["target"]["provoke"] != []
