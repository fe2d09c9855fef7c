"""The release gate: one verdict of its parts, one exit code, and the last screen says which clause and why."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from chatproof.cli import gate as command
from chatproof.cli import main
from chatproof.gate import Part, weigh
from chatproof.reference import Reference, embedded, target_text
from chatproof.verdict import Exit, Verdict

LAST_SCREEN = 50  # lines


@pytest.fixture(scope="module")
def reference() -> Iterator[Reference]:
    """A reference for all tests here."""
    with embedded() as running:
        yield running


def target(folder: Path, base_url: str) -> list[str]:
    """The option that names a deployment of the reference."""
    file = folder / "target.toml"
    file.write_text(target_text(base_url))
    return ["--target", str(file)]


def gate(*words: str) -> Result:
    """Run a gate in this process."""
    return CliRunner().invoke(main, ["gate", *words])


def said(code: Exit, why: str) -> Callable[[str, Mapping[str, Any]], int]:
    """A load half that ends so."""

    def run(name: str, options: Mapping[str, Any]) -> int:
        folder = Path(options["report"])
        folder.mkdir()
        document = {"exit_code": int(code), "why": why, "load": None}
        (folder / "report.json").write_text(json.dumps(document))
        (folder / "samples.jsonl").write_bytes(b"{}\n")
        return int(code)

    return run


CONFORMS, VIOLATES = Verdict(Exit.CONFORMS, "kept"), Verdict(Exit.VIOLATES, "STR-02")
OPEN, INVALID = Verdict(Exit.INCONCLUSIVE, "too few"), Verdict(Exit.INVALID, "saturated")


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([CONFORMS, CONFORMS], Exit.CONFORMS),
        ([CONFORMS, OPEN], Exit.INCONCLUSIVE),
        ([VIOLATES, OPEN], Exit.VIOLATES),
        ([VIOLATES, INVALID], Exit.INVALID),
        ([], Exit.INCONCLUSIVE),
    ],
)
def test_worst_part_decides(parts: list[Verdict], expected: Exit) -> None:
    """4 before 1 before 3 before 0; a gate of nothing is inconclusive."""
    assert weigh([Part(f"part {n}", verdict) for n, verdict in enumerate(parts)]).exit is expected


def test_cut_short_is_at_best_inconclusive() -> None:
    """What time cut off is not taken for green, and does not hide red."""
    assert weigh([Part("conformance", CONFORMS)], cut_short=True).exit is Exit.INCONCLUSIVE
    assert weigh([Part("conformance", VIOLATES)], cut_short=True).exit is Exit.VIOLATES


def test_fault_ends_one_and_is_named_last(reference: Reference, tmp_path: Path) -> None:
    """A gate on a broken deployment ends 1 and names the clause on the last screen; --fail-fast runs no load."""
    done = gate(*target(tmp_path, reference.base_url_of("no-done")), "--fail-fast")

    assert done.exit_code == 1
    assert "STR-02" in done.output.strip().splitlines()[-1]
    assert "load " not in "\n".join(done.output.splitlines()[-LAST_SCREEN:])


def test_clean_ends_zero(reference: Reference, tmp_path: Path) -> None:
    """A gate on a deployment that keeps all ends 0, and leaves a whole report."""
    words = [*target(tmp_path, reference.base_url), "--only", "conformance", "--report", str(tmp_path / "r")]

    done = gate(*words)

    assert (done.exit_code, done.output.strip().splitlines()[-1][:4]) == (0, "PASS")
    assert json.loads((tmp_path / "r" / "report.json").read_bytes())["run"]["command"] == "gate"


@pytest.mark.parametrize(
    ("code", "why"),
    [(Exit.INVALID, "the client was saturated"), (Exit.VIOLATES, "ttft_p95 missed"), (Exit.CONFORMS, "met")],
)
def test_load_half_counts(
    code: Exit, why: str, reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The load half's verdict is the gate's where it is worse: a saturated client is 4, a missed objective 1."""
    monkeypatch.setattr(command, "run_load", said(code, why))

    done = gate(*target(tmp_path, reference.base_url))

    assert done.exit_code == int(code)
    assert why in done.output.strip().splitlines()[-1]


def test_untestable_must_is_inconclusive(reference: Reference, tmp_path: Path) -> None:
    """A MUST without its provocation and without a waiver keeps a gate from ending 0."""
    words = target(tmp_path, reference.base_url)
    file = Path(words[1])
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if not line.startswith("revoked_key")))

    done = gate(*words, "--only", "conformance")

    assert done.exit_code == 3
    assert "AUT-05" in done.output.strip().splitlines()[-1]


def test_time_is_up(reference: Reference, tmp_path: Path) -> None:
    """--max-time ends the run early and says so."""
    done = gate(*target(tmp_path, reference.base_url), "--max-time", "1s")

    assert done.exit_code == 3
    assert "--max-time is over" in done.output.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ([], 2, "a gate needs a deployment"),
        (["--reference", "--base-url", "http://127.0.0.1:9/v1"], 2, "leave out one"),
        (["--base-url", "http://127.0.0.1:9/v1"], 3, "is it running, and is the port right?"),
        (["--reference", "--baseline", "/nowhere"], 2, "no report.json of a check or gate is there"),
        (["--reference", "--max-time", "soon"], 2, "is no time"),
    ],
)
def test_clear_words(words: list[str], code: int, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever cannot be gated ends with one clear line and the right exit code."""
    monkeypatch.delenv("BEATRA_BASE_URL", raising=False)
    monkeypatch.setenv("BEATRA_API_KEY", "some-key-of-nobody")
    if not any("base-url" in word for word in words):
        monkeypatch.delenv("BEATRA_API_KEY")

    done = gate(*words)

    assert done.exit_code == code
    assert says in done.output
    assert "Traceback" not in done.output
