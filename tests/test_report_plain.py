"""Plain pytest says what `chatproof check` says: in its rows, in JUnit and in Allure, alone and with workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from chatproof.reference import embedded, target_text
from chatproof.report.allure import history_id
from chatproof.target import folder

PROBES = folder("conformance") / "test_endpoint.py"
DEVIATION = """
[[deviation]]
clause = "AUT-01"
match = { route = "/chat/completions" }
reason = "keys come next month"
until = 2999-01-01
"""


def plain(at: Path, fault: str, workers: int) -> dict[str, dict[str, Any]]:
    """Run the endpoint's probes against a broken reference by plain pytest; Allure's results by clause or probe."""
    with embedded() as reference:
        (at / "t.toml").write_text(target_text(reference.base_url_of(fault)) + DEVIATION)
        words = [sys.executable, "-m", "pytest", str(PROBES), f"--target={at / 't.toml'}", "-n", str(workers)]
        words += [f"--alluredir={at / 'allure'}", f"--junitxml={at / 'junit.xml'}", "-p", "no:cacheprovider"]
        env = {name: value for name, value in os.environ.items() if not name.startswith("BEATRA_")}
        ended = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, env=env)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    found = [json.loads(file.read_text()) for file in (at / "allure").glob("*-result.json")]
    return {
        result["name"].split()[0] if result["fullName"].startswith("chatproof.") else result["name"]: result
        for result in found
    }


@pytest.mark.parametrize("workers", [0, 3])
def test_plain_pytest_shows_the_same_verdicts_everywhere(tmp_path: Path, workers: int) -> None:
    """A clause of a fact, a probe's clause, a warning and a listed deviation: each in its state, in both formats."""
    found = plain(tmp_path, "errors-as-html-type+no-key-needed+basic-works+any-key-works", workers)
    cases = ET.parse(tmp_path / "junit.xml").getroot().iter("testcase")
    tags = {case.get("name", ""): {child.tag for child in case} & {"failure", "skipped"} for case in cases}
    expected = {
        "EP-02": ("failed", {"failure"}),
        "RID-01": ("passed", set[str]()),
        "STR-02": ("skipped", {"skipped"}),
        "test_unknown_key_is_invalid": ("failed", {"failure"}),
        "test_no_key_is_unauthorized": ("skipped", {"skipped"}),
        "test_other_credentials_are_refused[Basic dXNlcjpwYXNzd29yZA==]": ("skipped", {"skipped"}),
        "test_minimal_request_is_answered": ("passed", set[str]()),
    }

    assert {name: (found[name]["status"], tags[name]) for name in expected} == expected
    assert "keys come next month" in found["test_no_key_is_unauthorized"]["statusDetails"]["message"]


def test_allure_knows_the_clause_of_every_row(tmp_path: Path) -> None:
    """Probes and clauses carry the clause's labels; a violated fact has its exchange attached and a lasting history."""
    found = plain(tmp_path, "errors-as-html-type", 0)
    labels = {
        name: {label["name"]: label["value"] for label in result["labels"]} for name, result in found.items()
    }
    violated = found["EP-02"]
    attached = tmp_path / "allure" / violated["steps"][0]["attachments"][0]["source"]

    assert labels["test_unknown_route_is_404"]["clause"] == "EP-03"
    assert labels["test_unknown_route_is_404"]["severity"] == "normal"
    assert labels["EP-02"]["suite"] == labels["test_unknown_route_is_404"]["suite"]
    assert all("clause" in named for named in labels.values())
    assert violated["historyId"] == history_id("EP-02")
    assert "< Content-Type: text/html" in attached.read_text()
