"""Plain pytest and the command say the same of the same deployment, clause by clause."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatproof.check import Conductor, check
from chatproof.preflight import settle
from chatproof.reference import Reference, embedded, target_text
from chatproof.report.states import STATES
from chatproof.target import parse_target
from chatproof.verdict import Exit, Outcome
from chatproof.wire import Gateway

ROOT = Path(__file__).parents[1]
WORST = ("failed", "skipped", "passed")
ENTRIES = """
[[waive]]
clause = "ERR-11"
reason = "no such account here"
until = 2999-01-01

[[deviation]]
clause = "AUT-01"
match = { route = "/chat/completions" }
reason = "keys come next month"
until = 2999-01-01

[[deviation]]
clause = "SMP-02"
match = { status = 200 }
reason = "it was so once"
until = 2999-01-01
"""


@pytest.fixture(scope="module")
def reference() -> Iterator[Reference]:
    """One reference for the module."""
    with embedded() as running:
        yield running


def plain(at: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`pytest conformance` in the checkout, as one types it."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("BEATRA_", "PYTEST_"))}
    junit = f"--junitxml={at / 'junit.xml'}"
    return subprocess.run(
        [sys.executable, "-m", "pytest", "conformance", "-p", "no:cacheprovider", junit, *words],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def states(junit: Path) -> dict[str, str]:
    """Each clause's state in a JUnit file: the worst of its rows."""
    found: dict[str, str] = {}
    for case in ET.parse(junit).getroot().iter("testcase"):
        said = [p.get("value", "") for p in case.iter("property") if p.get("name") == "clause"]
        clause = said[0] if said else case.get("name", "")
        tags = {child.tag for child in case}
        state = "failed" if tags & {"failure", "error"} else "skipped" if "skipped" in tags else "passed"
        found[clause] = min(state, found.get(clause, state), key=WORST.index)
    return found


@pytest.fixture(scope="module")
def broken(reference: Reference, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A target file of a deployment broken by facts, a probe and a SHOULD, with entries and a prerequisite missing."""
    faults = "errors-as-html-type+no-key-needed+id-constant+unknown-route-200"
    text = target_text(reference.base_url_of(faults))
    kept = [line for line in text.splitlines() if not line.startswith(("revoked_key", "empty_wallet_key"))]
    file = tmp_path_factory.mktemp("broken") / "target.toml"
    file.write_text("\n".join(kept) + ENTRIES, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def by_command(broken: Path) -> dict[str, str]:
    """Each clause's state in a run as `chatproof check` makes it; a suite's own duties are no rows of pytest's."""
    target = parse_target(broken.read_text(encoding="utf-8"), name="t", beside=broken.parent, env={})
    gateway = Gateway(target, seed=7)
    settled = settle(gateway, 7)
    gateway.close()
    rows = check(Conductor(settled, 7, gateway.exchanges), jobs=2).rows
    return {row.id: STATES[row.outcome].pytest for row in rows if row.outcome is not Outcome.OWN}


@pytest.mark.parametrize("workers", ["0", "4"])
def test_the_same_verdicts(broken: Path, by_command: dict[str, str], tmp_path: Path, workers: str) -> None:
    """With workers and without, every clause is in the state that the command gives it."""
    said = plain(tmp_path, f"--target={broken}", "-n", workers)

    assert said.returncode == 1, said.stdout + said.stderr
    assert states(tmp_path / "junit.xml") == by_command


@pytest.mark.parametrize(
    ("clause", "state"),
    [
        ("EP-02", "failed"),  # by a fact
        ("RSP-02", "failed"),  # by a fact of the whole run
        ("AUT-02", "passed"),
        ("SMP-02", "failed"),  # a stale entry
        ("EP-03", "skipped"),  # warned of
        ("AUT-01", "skipped"),  # known
        ("AUT-05", "skipped"),  # untestable
        ("ERR-11", "skipped"),  # waived
    ],
)
def test_the_deployment_is_broken_as_meant(by_command: dict[str, str], clause: str, state: str) -> None:
    """The comparison above compares something of each kind."""
    assert by_command[clause] == state


def test_with_nothing_given_the_reference_is_judged(tmp_path: Path) -> None:
    """Plain pytest too ends well on the embedded reference, and names it."""
    said = plain(tmp_path, "-n", "2")

    assert said.returncode == 0, said.stdout
    assert "EMBEDDED REFERENCE" in said.stdout
    assert "failed" not in states(tmp_path / "junit.xml").values()


@pytest.mark.parametrize(
    ("target", "code", "line"),
    [
        ("nosuch.toml", Exit.USAGE, "nosuch.toml: cannot be read: no such file or directory"),
        (
            "http://127.0.0.1:1/v1",
            Exit.USAGE,
            "names a deployment but there is no key: export BEATRA_API_KEY",
        ),
        ("{unreachable}", Exit.INCONCLUSIVE, "gives no HTTP answer: "),
    ],
)
def test_a_target_that_cannot_be_judged(tmp_path: Path, target: str, code: Exit, line: str) -> None:
    """One line without a traceback, and the exit code that the command would end with."""
    unreachable = tmp_path / "t.toml"
    unreachable.write_text('base_url = "http://127.0.0.1:1/v1"\napi_key = "sk-123456"\n', encoding="utf-8")
    said = plain(tmp_path, f"--target={target.format(unreachable=unreachable)}", "-n", "2")
    words = (said.stdout + said.stderr).strip()

    assert said.returncode == code, words
    assert "chatproof: " in words
    assert line in words
    assert len(words.splitlines()) == 1
