"""JUnit, Markdown, annotations and Allure: other faces of the same rows."""

from __future__ import annotations

import json
import re
import tomllib
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chatproof.contract import Level
from chatproof.report import deviation_entry, faces, github_lines, report_of
from chatproof.report.allure import files as allure
from chatproof.report.allure import history_id
from chatproof.report.document import Document
from chatproof.report.github import MOST, on_github
from chatproof.report.junit import junit
from chatproof.report.states import STATES, state_of
from chatproof.report.summary import MOST_BYTES, summary
from chatproof.report.words import some, visible
from chatproof.run import Judged
from chatproof.target import Deviation, Match, parse_target
from chatproof.verdict import ClauseRow, Exit, Outcome, Verdict, decide, lists
from tests.judged import FILE, FINDING, RUN, judged, row, target


def document(*rows: ClauseRow, strict: bool = False) -> Document:
    """The hand-made run's document, or that of these rows."""
    made = Judged(rows, judged().exchanges, ()) if rows else judged()
    return report_of(made, target(), replace(RUN, strict=strict), decide(made.rows, strict=strict))


def cases(data: bytes) -> dict[str, ET.Element]:
    """The test cases of a JUnit file by name."""
    return {case.get("name", ""): case for case in ET.fromstring(data).iter("testcase")}


def results(files: dict[str, bytes]) -> dict[str, dict[str, Any]]:
    """Allure's results by clause."""
    found = [json.loads(data) for name, data in files.items() if name.endswith("-result.json")]
    return {result["fullName"].removeprefix("chatproof."): result for result in found}


def test_every_outcome_has_a_state() -> None:
    """The table of states knows every outcome."""

    assert set(STATES) == set(Outcome)


def test_junit_names_each_clause_and_says_its_state() -> None:
    """Findings are failures, our own faults errors, what was not judged or is accepted skipped, all else passes."""
    found = {
        name: next((tag for tag in ("failure", "error", "skipped") if case.find(tag) is not None), "passed")
        for name, case in cases(junit(document())).items()
    }

    assert found == {
        "EP-01": "passed",
        "STR-02": "failure",
        "RID-03": "skipped",
        "STR-19": "passed",
        "MOD-01": "skipped",
        "AUT-05": "skipped",
        "ERR-11": "skipped",
        "ERR-07": "skipped",
        "ERR-03": "failure",
        "BIL-01": "error",
        "OWN-01": "passed",
    }


def test_junit_counts_are_those_of_its_cases() -> None:
    """The attributes that CI servers add up are right, for the whole and for each suite."""
    root = ET.fromstring(junit(document()))

    for element in [root, *root.iter("testsuite")]:
        inside = list(element.iter("testcase"))
        assert int(element.get("tests", "")) == len(inside)
        assert int(element.get("failures", "")) == sum(case.find("failure") is not None for case in inside)
        assert int(element.get("errors", "")) == sum(case.find("error") is not None for case in inside)
        assert int(element.get("skipped", "")) == sum(case.find("skipped") is not None for case in inside)


def test_junit_carries_reason_level_and_section() -> None:
    """A skipped case says why; each case has its level and section as properties."""
    found = cases(junit(document()))
    skipped = found["AUT-05"].find("skipped")
    properties = {p.get("name"): p.get("value") for p in found["RID-03"].iter("property")}

    assert skipped is not None
    assert skipped.get("message") == 'untestable: revoked_key = "${REVOKED_KEY}"'
    assert (properties["level"], properties["section"]) == ("SHOULD", "Section RID")


def test_junit_survives_what_xml_cannot_hold() -> None:
    """An escape character and a lone surrogate in a finding are spelled out, and the file still parses."""
    failure = cases(junit(document()))["STR-02"].find("failure")

    assert failure is not None
    assert r"the last event was <b>\x1b[31m&\ud800]]>" in (failure.text or "")


def test_a_warning_fails_everywhere_with_strict() -> None:
    """With --strict the warning is a JUnit failure, a failed Allure result and an error annotation."""
    strict = document(
        row("RID-03", Outcome.WARN, replace(FINDING, clause="RID-03"), level=Level.SHOULD), strict=True
    )

    assert cases(junit(strict))["RID-03"].find("failure") is not None
    assert results(allure(strict, ()))["RID-03"]["status"] == "failed"
    assert github_lines(strict)[1].startswith("::error title=RID-03 SHOULD warn::")
    assert state_of(Outcome.WARN).junit == "skipped"


def test_summary_names_what_is_not_green_worst_first() -> None:
    """The table has a line for each clause that is not simply kept, our own faults and violations first."""
    found = re.findall(r"^\| ([A-Z]+-\d+) \|", summary(document()).decode(), re.M)

    assert found == ["BIL-01", "STR-02", "ERR-03", "RID-03", "AUT-05", "MOD-01", "ERR-07", "ERR-11"]


def test_summary_shows_markdown_of_the_target_as_text() -> None:
    """What came from the deployment can neither be markup in the page, nor break its table, nor steer a terminal."""
    evil = replace(FINDING, actual="a | b\n# c <img src=x> `d` [e](f) \x1b[31m")
    text = summary(document(row("STR-02", Outcome.FAIL, evil))).decode()
    line = next(line for line in text.splitlines() if line.startswith("| STR-02"))

    assert r"a \| b \# c \<img src=x\> \`d\` \[e\](f)" in line
    assert "\x1b" not in text


def test_summary_fence_is_longer_than_any_in_the_evidence() -> None:
    """Backticks in an answer do not end the block that shows them."""
    fenced = replace(FINDING, excerpt=("```", "````text"))
    text = summary(document(row("STR-02", Outcome.FAIL, fenced))).decode()

    assert "`````text\n" in text


def test_summary_stays_within_what_ci_shows() -> None:
    """A run with very many findings ends its summary early, and says so."""
    rows = [row(f"STR-{n:02}", Outcome.FAIL, replace(FINDING, excerpt=("x" * 60_000,))) for n in range(1, 31)]
    text = summary(document(*rows))

    assert len(text) < MOST_BYTES + 100_000
    assert b"this summary is full" in text


def test_annotations_escape_what_a_workflow_command_would_read() -> None:
    """Percent signs and line ends cannot end or forge a workflow command."""
    evil = replace(FINDING, expected="100 %", actual="a\n::error::b\r::warning::c")
    lines = github_lines(document(row("STR-02", Outcome.FAIL, evil)))

    assert len(lines) == 2
    assert lines[1] == (
        "::error title=STR-02 MUST fail::`STR-02` holds: an answer ends with `data: [DONE]`"
        "%0Aexpected 100 %25; got a%0A::error::b\\x0d::warning::c"
    )
    assert all("\n" not in line for line in lines)


def test_annotations_stay_within_what_github_shows() -> None:
    """Of 30 violated clauses ten lines of errors are left, and the last one says how many are missing."""
    lines = github_lines(document(*(row(f"STR-{n:02}", Outcome.FAIL, FINDING) for n in range(1, 31))))

    assert len([line for line in lines if line.startswith("::error")]) == MOST
    assert lines[-1] == "::error title=chatproof::22 more clauses: see the report"


def test_a_clean_run_annotates_a_notice_only() -> None:
    """A run that conforms says so in a notice: no red mark on a green job."""

    assert github_lines(document(row("EP-01", Outcome.PASS))) == (
        "::notice title=chatproof::PASS: http://127.0.0.1:9/v1 conforms - 1 clause kept",
    )


def test_github_is_known_by_its_variable() -> None:
    """Annotations are for jobs of GitHub Actions only."""

    assert on_github({"GITHUB_ACTIONS": "true"})
    assert not on_github({})


def test_allure_has_a_result_a_clause_with_its_status() -> None:
    """Each clause is one result; the suite's own fault is broken, an accepted or unjudged clause skipped."""
    found = {id: result["status"] for id, result in results(allure(document(), judged().exchanges)).items()}

    assert found == {
        "EP-01": "passed",
        "STR-02": "failed",
        "RID-03": "skipped",
        "STR-19": "passed",
        "MOD-01": "skipped",
        "AUT-05": "skipped",
        "ERR-11": "skipped",
        "ERR-07": "skipped",
        "ERR-03": "failed",
        "BIL-01": "broken",
        "OWN-01": "passed",
    }


def test_allure_attaches_the_exchange_of_a_finding() -> None:
    """The exchange that shows a violation lies beside the result, with the instant of each read."""
    found = allure(document(), judged().exchanges)
    step = results(found)["STR-02"]["steps"][0]
    attached = found[f"allure-results/{step['attachments'][0]['source']}"].decode()

    assert step["name"] == "MUST violated: expected data: [DONE] at the end"
    assert "> Authorization: Bearer <redacted:api_key>" in attached
    assert '    11.800 ms  data: {"choices":[]}' in attached
    assert attached.endswith("[transfer cut: peer closed connection]\n")


def test_allure_history_follows_a_clause_from_run_to_run() -> None:
    """Two runs give the same history id to a clause, but results of their own."""
    first, second = (
        results(allure(report_of(judged(), target(), run, Verdict(Exit.VIOLATES, "")), ()))["STR-02"]
        for run in (RUN, replace(RUN, seed=43))
    )

    assert first["historyId"] == second["historyId"] == history_id("STR-02")
    assert first["uuid"] != second["uuid"]


def test_allure_labels_rank_and_group_a_clause() -> None:
    """Clause, section, layer and severity by level stand as labels; the link leads to the clause's docs."""
    found = results(allure(document(), ()))
    labels = {label["name"]: label["value"] for label in found["RID-03"]["labels"]}

    assert labels["clause"] == "RID-03"
    assert labels["suite"] == "Section RID"
    assert labels["layer"] == "api"
    assert labels["severity"] == "normal"
    assert {label["value"] for label in found["STR-02"]["labels"] if label["name"] == "severity"} == {
        "critical"
    }
    assert found["RID-03"]["links"][0]["url"] == "docs/clauses.md#rid-03"


def test_allure_shows_probes_as_steps_and_known_deviations_as_known() -> None:
    """A probe is a step with its model and how long it took; a listed deviation is marked known."""
    found = results(allure(document(), ()))

    assert found["EP-01"]["steps"][0]["name"] == "probe test_minimal"
    assert found["EP-01"]["stop"] - found["EP-01"]["start"] == 250
    assert found["ERR-07"]["statusDetails"]["known"] is True


def test_allure_lists_clauses_in_the_order_of_the_contract() -> None:
    """Allure sorts by when a result began: each began after the one before it, and none ends before it began."""
    shown = document()
    found = results(allure(shown, ()))
    times = [(found[row["id"]]["start"], found[row["id"]]["stop"]) for row in shown["clauses"]]

    assert [start for start, _ in times] == [times[0][0] + place for place in range(len(times))]
    assert all(start <= stop for start, stop in times)


@pytest.mark.parametrize(
    ("route", "expected", "match"),
    [
        (
            "/chat/completions",
            "the first completion's id, chatcmpl-4YlBajP2E29IWPoSDRbkm5hsPhALwIdR",
            {"route": "/chat/completions", "status": 200, "contains": "the first completion's id,"},
        ),
        ("/no-such-route-nxi96vh792f93n1", "404", {"status": 200, "contains": "404"}),
        (
            "/chat/completions",
            "another completion under nxi96vh792f93n1 than under nx0000000000000",
            {"route": "/chat/completions", "status": 200, "contains": "another completion under"},
        ),
    ],
)
def test_an_entry_names_nothing_that_another_run_has_otherwise(
    route: str, expected: str, match: dict[str, Any]
) -> None:
    """Nonces and generated ids differ from run to run: an entry with one in it would be stale at once."""
    odd = replace(FINDING, route=route, expected=expected, status=200)
    entry = deviation_entry("STR-02", document(row("STR-02", Outcome.FAIL, odd))["clauses"][0]["findings"][0])

    assert tomllib.loads(entry)["deviation"][0]["match"] == match


def test_entry_that_accepts_a_finding_lists_it_once_dated() -> None:
    """The entry is TOML that the target file takes once a reason and a date stand in it, and it names the finding."""
    quoted = replace(FINDING, expected='"a" \\ b\nsecond line')
    made = document(row("STR-02", Outcome.FAIL, quoted))["clauses"][0]["findings"][0]
    entry = deviation_entry("STR-02", made)
    filled = entry.replace('reason = ""', 'reason = "known"').replace("2000-01-01", "2099-01-01")
    read = parse_target(FILE + filled, name="t.toml", beside=Path(), env={}).deviations[0]

    assert tomllib.loads(entry)["deviation"][0]["clause"] == "STR-02"
    assert read.match == Match(route="/chat/completions", status=200, contains='"a" \\ b')
    assert lists(Deviation(clause="STR-02", match=read.match, reason="r", until=read.until), quoted)


def test_entry_as_printed_is_refused_by_the_target_file() -> None:
    """An entry pasted without a reason does not pass: nothing is accepted by accident."""
    entry = deviation_entry("STR-02", document()["clauses"][1]["findings"][0])

    with pytest.raises(Exception, match="reason"):
        parse_target(FILE + entry, name="t.toml", beside=Path(), env={})


def test_some_prefers_findings_that_differ() -> None:
    """Of many equal findings one is shown before each other kind has had its turn."""
    same = {"expected": "a", "actual": "b", "route": None}
    other = {**same, "actual": "c"}

    assert some([same, same, same, other], 2) == ([same, other], 2)


def test_visible_spells_control_characters_out() -> None:
    """Line ends and tabs stay, all else that steers a terminal is shown as its escape."""

    assert visible("a\tb\n\x1b[2J\x7f\x9b") == "a\tb\n\\x1b[2J\\x7f\\x9b"


def test_faces_are_all_there() -> None:
    """A report has each of its faces."""
    names = set(faces(document(), judged().exchanges))

    assert {"report.json", "junit.xml", "summary.md", "allure-results/categories.json"} <= names
