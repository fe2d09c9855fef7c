"""How a report says things: one wording for every face. Works on the document's members, knows no file format."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from chatproof.verdict import Outcome

# What a reader must look at first, and what is no news at all.
ORDER: Final = (
    Outcome.BROKEN,
    Outcome.FAIL,
    Outcome.STALE,
    Outcome.WARN,
    Outcome.UNTESTABLE,
    Outcome.NOT_OBSERVED,
    Outcome.KNOWN,
    Outcome.WAIVED,
    Outcome.OBSERVE,
    Outcome.PASS,
    Outcome.OWN,
)
QUIET: Final = frozenset({Outcome.PASS, Outcome.OWN, Outcome.OBSERVE})
MARKS: Final[Mapping[str, str]] = {  # shapes that read without colour
    "pass": "✓",
    "fail": "✕",
    "warn": "⚠",
    "observe": "○",
    "not_observed": "–",
    "untestable": "⊘",
    "waived": "≈",
    "known": "◆",
    "stale": "↻",
    "broken": "‼",
    "own": "·",
}
VERDICTS: Final[Mapping[str, str]] = {
    "pass": "{} {}",
    "fail": "{} does not {}",
    "inconclusive": "It cannot be told whether {} {}",
    "invalid": "The run against {} is invalid: the suite or its client is at fault, not the deployment",
}

LOAD: Final = "Load"
_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")

Row = Mapping[str, Any]


def headline(document: Mapping[str, Any]) -> str:
    """The verdict in one line."""
    return f"{document['verdict'].upper()}: {sentence(document)} - {document['why']}"


def sentence(document: Mapping[str, Any]) -> str:
    """The verdict in a sentence that names the target."""
    where = "the EMBEDDED REFERENCE" if document["run"]["reference"] else document["target"]["base_url"]
    verb = "meet what was asked of it" if document["run"]["command"] == "load" else "conform"
    verb = (
        verb
        if document["verdict"] == "fail"
        else verb.replace("meet", "meets").replace("conform", "conforms")
    )
    said = VERDICTS[document["verdict"]].format(where, verb)
    return said[:1].upper() + said[1:] if document["run"]["reference"] else said


def checks(document: Mapping[str, Any]) -> list[Row]:
    """All that was judged, in one shape: every clause, then what a load run was held to."""
    return [*document["clauses"], *_load_checks(document["load"] or {})]


def _load_checks(load: Mapping[str, Any]) -> Iterator[Row]:
    """The objectives of a load run, and whether its client was fit to measure, as rows like those of clauses."""
    health = load.get("health") or {"valid": True}
    if not health["valid"]:
        reason = "; ".join([*health["complaints"], health["advice"]])
        yield _load_check("client health", "the client is fit to measure", Outcome.BROKEN, 0, reason)
    for term in (load.get("slo") or {}).get("terms", ()):
        outcome = _BY_TERM[term["verdict"]]
        yield _load_check(
            term["term"], f"the objective `{term['term']}` is met", outcome, term["n"], term["reason"]
        )


_BY_TERM: Final = {"pass": Outcome.PASS, "fail": Outcome.FAIL, "inconclusive": Outcome.NOT_OBSERVED}


def _load_check(id: str, sentence: str, outcome: Outcome, subjects: int, reason: str) -> Row:
    return {
        "id": id,
        "level": "MUST",
        "section": LOAD,
        "sentence": sentence,
        "outcome": outcome.value,
        "subjects": subjects,
        "violations": 0,
        "reason": reason,
        "findings": [],
        "probes": [],
        "proved_by": [],
        "place": "load",
    }


def loud(document: Mapping[str, Any]) -> list[Row]:
    """What is not simply green, what matters most first; of a load run, not what it never was to judge."""
    quiet = {*QUIET, Outcome.NOT_OBSERVED} if document["run"]["command"] == "load" else QUIET
    rows = [row for row in checks(document) if row["outcome"] not in quiet or _undecided(row)]
    return sorted(rows, key=lambda row: (ORDER.index(Outcome(row["outcome"])), row["level"] != "MUST"))


def _undecided(row: Row) -> bool:
    return bool(row["section"] == LOAD and row["outcome"] == Outcome.NOT_OBSERVED)


def tally(document: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Each outcome that occurred, with its number, in the order of :data:`ORDER`."""
    totals = document["totals"]
    return [(outcome.value, totals[outcome]) for outcome in ORDER if totals[outcome]]


def about(row: Row) -> str:
    """Why a clause's row is what it is, in one line: its reason, else its first finding, else nothing."""
    if row["reason"]:
        return str(row["reason"])
    if not row["findings"]:
        return ""
    first = row["findings"][0]
    more = f" (and {len(row['findings']) - 1} more)" if len(row["findings"]) > 1 else ""
    return f"expected {first['expected']}; got {first['actual']}{more}"


def finding_lines(finding: Row) -> list[str]:
    """A finding as plain text, all its evidence included."""
    known = [f"known:    {finding['known']}"] if finding["known"] else []
    return [
        f"expected: {finding['expected']}",
        f"got:      {finding['actual']}",
        *known,
        *(f"{name + ':':9} {value}" for name, value in traces(finding)),
        *(f"  | {line}" for line in finding["excerpt"]),
        *([f"  {finding['curl']}"] if finding["curl"] else []),
    ]


def traces(finding: Row) -> list[tuple[str, str]]:
    """By what a finding can be looked up, as (name, value): request id, model, exchange, recording, who saw it."""
    named = (
        ("level", finding["level"]),
        ("seen by", finding["source"]),
        ("request", finding["request_id"]),
        ("model", finding["model"]),
        ("exchange", finding["exchange"]),
        ("recorded", finding["recording"]),
    )
    return [(name, str(value)) for name, value in named if value]


def visible(text: str) -> str:
    """Text with control characters but line ends and tabs spelled out: what came must not steer a terminal."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def some(findings: Sequence[Row], most: int) -> tuple[Sequence[Row], int]:
    """At most so many findings, those that say different things first, and how many are left out."""
    told: dict[tuple[str, str, object], None] = {}
    first: list[Row] = []
    again: list[Row] = []
    for finding in findings:
        key = (finding["expected"], finding["actual"], finding["route"])
        (again if key in told else first).append(finding)
        told[key] = None
    return [*first, *again][:most], max(0, len(findings) - most)
