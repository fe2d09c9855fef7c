"""The report as Allure results, a result a clause, with Allure's own model. Knows only the document and the recording.

A clause's history id hangs on its id alone, so that Allure's history and trends follow a clause from run to run. Every
name and uuid comes from the run's id: the same rows give the same files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import md5
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

import msgspec
from allure_commons.model2 import (
    Attachment,
    Label,
    Link,
    Parameter,
    StatusDetails,
    TestResult,
    TestStepResult,
)

from chatproof.contract import Level
from chatproof.record import Exchange
from chatproof.report.states import SEVERITY, state_of
from chatproof.report.transcript import transcript
from chatproof.report.words import LOAD, about, checks, finding_lines, some
from chatproof.verdict import MEANING, Outcome

FOLDER: Final = "allure-results"
CLAUSE_DOCS: Final = "docs/clauses.md"
LOAD_DOCS: Final = "docs/reading-a-load-report.md"
EPIC: Final = "The contract of text and chat"
BY_US: Final = (("framework", "chatproof"), ("language", "python"))
MOST_AT_THE_TOP: Final = 3  # findings told beside the message; each has a step of its own
MOST_FINDINGS: Final = 20  # of one clause; all are in report.json
_STEP: Final = {
    "kept": "passed",
    "found": "failed",
    "not_observed": "skipped",
    "untestable": "skipped",
    "broken": "broken",
}
CATEGORIES: Final = (
    {"name": "The deployment breaks the contract", "matchedStatuses": ["failed"]},
    {"name": "The suite itself failed", "matchedStatuses": ["broken"]},
    {"name": "Warnings", "matchedStatuses": ["skipped"], "messageRegex": "(?s)warn.*"},
    {"name": "Known deviations", "matchedStatuses": ["skipped"], "messageRegex": "(?s)known.*"},
    {"name": "Not judged", "matchedStatuses": ["skipped"]},
)


def files(document: Mapping[str, Any], exchanges: Sequence[Exchange]) -> dict[str, bytes]:
    """Every file of the Allure results, by its path in the report's folder."""
    run = document["run"]
    environment = {
        "Target": document["target"]["base_url"],
        "Target.hash": document["target"]["hash"],
        "Seed": run["seed"],
        "chatproof": run["tool"]["version"],
        "Python": run["python"],
        "Verdict": f"{document['verdict']}: {document['why']}",
    }
    text = "".join(f"{name}={_property(str(value))}\n" for name, value in environment.items())
    found = {
        **results(document, exchanges),
        "environment.properties": text.encode(),
        "categories.json": msgspec.json.format(msgspec.json.encode(CATEGORIES), indent=1),
    }
    return {f"{FOLDER}/{name}": data for name, data in found.items()}


def results(document: Mapping[str, Any], exchanges: Sequence[Exchange]) -> dict[str, bytes]:
    """A result for each clause of the document, and what it has attached, by file name."""
    recorded = {str(exchange.tag): exchange for exchange in exchanges}
    found: dict[str, bytes] = {}
    for place, row in enumerate(checks(document)):
        found |= _clause_files(row, document["run"], recorded, place)
    return found


def _clause_files(
    row: Mapping[str, Any], run: Mapping[str, Any], recorded: Mapping[str, Exchange], place: int
) -> dict[str, bytes]:
    """One clause's result and its attachments, by file name."""
    found = _clause_result(row, run, recorded, place)
    files = {f"{found.uuid}-result.json": _json(found)}
    for step in found.steps:
        for attachment in step.attachments:
            tag = attachment.name.removeprefix("exchange ")
            files[attachment.source] = transcript(recorded[tag]).encode("utf-8", "backslashreplace")
    return files


def _clause_result(
    row: Mapping[str, Any], run: Mapping[str, Any], recorded: Mapping[str, Exchange], place: int
) -> TestResult:
    """One clause as Allure's test result; `recorded` holds the exchanges that its findings name.

    Allure lists results by when they began: each begins a millisecond after the one before it in the contract.
    """
    outcome = Outcome(row["outcome"])
    of = (row["id"], Level(row["level"]), row["section"])
    start, stop = _ms(run["started"]) + place, _ms(run["ended"])
    shown, left = some(row["findings"], MOST_FINDINGS)
    took = round(1000 * sum(probe["duration_s"] for probe in row["probes"]))
    docs = LOAD_DOCS if row["section"] == LOAD else link(row["id"])
    more = f"\n\n{left} more findings are in report.json." if left else ""
    return TestResult(
        uuid=_uuid(run["id"], row["id"]),
        historyId=history_id(row["id"]),
        testCaseId=history_id(row["id"]),
        fullName=f"chatproof.{row['id']}",
        name=f"{row['id']} {row['sentence'].replace('`', '')}",
        description=f"{row['sentence']}\n\n{row['level']}, {row['subjects']} judged: {MEANING[outcome]}.{more}",
        status=state_of(outcome, strict=run["strict"]).allure,
        statusDetails=_details(row, outcome),
        stage="finished",
        labels=[Label(name, value) for name, value in (*labels(*of), *BY_US)],
        links=[Link(type="link", url=docs, name=docs)],
        steps=[
            *(_probe_step(probe, start) for probe in row["probes"]),
            *(_finding_step(finding, run, start, recorded) for finding in shown),
        ],
        titlePath=["chatproof", row["section"]],
        start=start,
        stop=max(start, min(start + took, stop)) if row["probes"] else start,
    )


def labels(clause: str, level: Level, section: str) -> list[tuple[str, str]]:
    """A clause's labels: what Allure groups, filters and ranks by."""
    return [
        ("clause", clause),
        ("epic", EPIC),
        ("feature", section),
        ("story", clause),
        ("parentSuite", "chatproof"),
        ("suite", section),
        ("layer", "api"),
        ("severity", SEVERITY[level]),
        ("tag", level.value),
    ]


def link(clause: str) -> str:
    """Where a clause is explained."""
    return f"{CLAUSE_DOCS}#{clause.lower()}"


def history_id(clause: str) -> str:
    """What Allure knows a clause by in every run."""
    return md5(f"chatproof:{clause}".encode(), usedforsecurity=False).hexdigest()


def _details(row: Mapping[str, Any], outcome: Outcome) -> StatusDetails | None:
    if outcome in (Outcome.PASS, Outcome.OWN):
        return None
    shown, left = some(row["findings"], MOST_AT_THE_TOP)
    told = ["\n".join(finding_lines(finding)) for finding in shown]
    trace = "\n\n".join([*told, *([f"{left} more: see the steps."] if left else [])])
    message = f"{outcome}: {about(row) or MEANING[outcome]}"
    return StatusDetails(known=outcome is Outcome.KNOWN or None, message=message, trace=trace or None)


def _probe_step(probe: Mapping[str, Any], start: int) -> TestStepResult:
    return TestStepResult(
        name=f"probe {probe['probe']}",
        status=_STEP[probe["said"]],
        stage="finished",
        parameters=[Parameter(name="model", value=probe["model"])] if probe["model"] else [],
        start=start,
        stop=start + round(1000 * probe["duration_s"]),
    )


def _finding_step(
    finding: Mapping[str, Any], run: Mapping[str, Any], start: int, recorded: Mapping[str, Exchange]
) -> TestStepResult:
    tag = finding["exchange"]
    details = StatusDetails(message=f"got {finding['actual']}", trace="\n".join(finding_lines(finding)))
    attached = [_attachment(run["id"], tag)] if tag in recorded else []
    return TestStepResult(
        name=f"{finding['level']} violated: expected {finding['expected']}",
        status="skipped" if finding["known"] else "failed",
        statusDetails=details,
        stage="finished",
        attachments=attached,
        start=start,
        stop=start,
    )


def _attachment(run_id: str, tag: str) -> Attachment:
    return Attachment(
        name=f"exchange {tag}", source=f"{_uuid(run_id, tag)}-attachment.txt", type="text/plain"
    )


def _uuid(*names: str) -> str:
    return str(uuid5(NAMESPACE_URL, "/".join(("chatproof:", *names))))


def _ms(instant: str) -> int:
    return round(datetime.fromisoformat(instant).timestamp() * 1000)


def _json(result: TestResult) -> bytes:
    return msgspec.json.format(msgspec.json.encode(_members(result)), indent=1)


def _members(value: Any) -> Any:
    """Allure's model as JSON's types, without the members that say nothing, as Allure's own writer has it."""
    if isinstance(value, list):
        return [_members(item) for item in value]
    if hasattr(value, "__attrs_attrs__"):
        return {name: _members(item) for name, item in vars(value).items() if item or item is False}
    return value


def _property(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", " ")
