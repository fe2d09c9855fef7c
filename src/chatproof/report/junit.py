"""The report as JUnit XML: a test case a clause, named by its id. Knows only the document."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any, Final

from chatproof.report.states import state_of
from chatproof.report.words import about, checks, finding_lines, some
from chatproof.verdict import MEANING, Outcome

MOST_FINDINGS: Final = 20  # of one clause; all are in report.json
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(document: Mapping[str, Any]) -> bytes:
    """`junit.xml`: a suite a section; findings are failures, our own faults errors, what was not judged skipped."""
    run = document["run"]
    root = ET.Element("testsuites", name="chatproof")
    properties = {
        "verdict": document["verdict"],
        "target": document["target"]["base_url"],
        "run": run["id"],
    }
    every = checks(document)
    for section in dict.fromkeys(row["section"] for row in every):
        rows = [row for row in every if row["section"] == section]
        suite = ET.SubElement(root, "testsuite", name=section, timestamp=run["started"].removesuffix("Z"))
        _properties(suite, properties)
        for row in rows:
            _case(suite, row, strict=run["strict"])
        _count(suite)
    _count(root)
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _case(suite: ET.Element, row: Mapping[str, Any], *, strict: bool) -> None:
    took = sum(probe["duration_s"] for probe in row["probes"])
    case = ET.SubElement(suite, "testcase", classname=row["section"], name=row["id"], time=f"{took:.3f}")
    _properties(
        case,
        {
            "level": row["level"],
            "section": row["section"],
            "sentence": row["sentence"],
            "outcome": row["outcome"],
            "subjects": str(row["subjects"]),
        },
    )
    outcome = Outcome(row["outcome"])
    state = state_of(outcome, strict=strict).junit
    if state == "passed":
        return
    said = ET.SubElement(case, state, message=_xml(f"{outcome}: {about(row) or MEANING[outcome]}"))
    if state != "skipped":
        said.set("type", row["level"] if outcome is Outcome.FAIL else outcome.value)
    shown, left = some(row["findings"], MOST_FINDINGS)
    blocks = ["\n".join(finding_lines(finding)) for finding in shown]
    blocks += [f"{left} more in report.json"] if left else []
    if blocks:
        text = _xml("\n\n".join([row["sentence"], *blocks]))
        (said if state != "skipped" else ET.SubElement(case, "system-out")).text = text


def _properties(parent: ET.Element, values: Mapping[str, str]) -> None:
    box = ET.SubElement(parent, "properties")
    for name, value in values.items():
        ET.SubElement(box, "property", name=name, value=_xml(value))


def _count(element: ET.Element) -> None:
    cases = list(element.iter("testcase"))
    element.set("tests", str(len(cases)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(attribute, str(sum(case.find(tag) is not None for case in cases)))
    element.set("time", f"{sum(float(case.get('time', '0')) for case in cases):.3f}")


def _xml(text: str) -> str:
    """Text without the characters that XML 1.0 cannot hold; each is spelled as its escape."""
    return _NOT_XML.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
