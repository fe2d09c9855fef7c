"""One run as the value that `report.json` holds; every other face of a report is made from it alone.

Only shows: rows, verdict and load figures come in finished. The same values give the same document.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from chatproof.record import Exchange
from chatproof.report.fingerprint import RunInfo, says_of_itself
from chatproof.report.observed import observed
from chatproof.run import Judged, ProbeReport
from chatproof.target import Target
from chatproof.verdict import ClauseRow, Finding, Outcome, Verdict

SCHEMA_VERSION: Final = 1
RECORDING: Final = "exchanges.har"

Document = dict[str, Any]


def report_of(
    judged: Judged,
    target: Target,
    run: RunInfo,
    verdict: Verdict,
    load: Mapping[str, Any] | None = None,
    *,
    proved_by: Mapping[str, Sequence[str]] | None = None,
    baseline: Mapping[str, Any] | None = None,
    parts: Sequence[tuple[str, Verdict]] = (),
) -> Document:
    """The whole run in JSON's types, as `schemas/report.schema.json` describes it.

    `proved_by` names the faults that turn a clause red; `baseline` is what `difference.difference` gave,
    `parts` what each part of a gate said.
    """
    entries = {str(exchange.tag): index for index, exchange in enumerate(judged.exchanges)}
    proofs = proved_by or {}
    document = {
        "schema_version": SCHEMA_VERSION,
        "run": _run(run, judged.exchanges),
        "target": {**target.described(), "hash": target.hash, "says": says_of_itself(judged.exchanges)},
        "clauses": [_clause(row, judged.reports, entries, proofs.get(row.id, ())) for row in judged.rows],
        "totals": {outcome.value: sum(row.outcome is outcome for row in judged.rows) for outcome in Outcome},
        "observed": observed(judged.exchanges),
        "load": dict(load) if load is not None else None,
        "baseline": dict(baseline) if baseline is not None else None,
        "parts": [{"name": name, "verdict": said.name, "why": said.why} for name, said in parts],
        "verdict": verdict.name,
        "why": verdict.why,
        "exit_code": int(verdict.exit),
    }
    return encodable(document)  # type: ignore[no-any-return]


def dumps(document: Mapping[str, Any]) -> bytes:
    """The document as the bytes of `report.json`; ValueError where a number is not finite."""
    return (json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()


def encodable(value: Any) -> Any:
    """The value with each lone surrogate, which no UTF-8 file can hold, spelled out as its escape."""
    match value:
        case str():
            return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
        case Mapping():
            return {encodable(key): encodable(item) for key, item in value.items()}
        case list() | tuple():
            return [encodable(item) for item in value]
        case _:
            return value


def instant(moment: datetime) -> str:
    """A calendar instant as reports print it: UTC, milliseconds."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _run(run: RunInfo, exchanges: Sequence[Exchange]) -> dict[str, Any]:
    return {
        "id": run.id,
        "command": run.command,
        "started": instant(run.started),
        "ended": instant(run.ended),
        "seed": run.seed,
        "jobs": run.jobs,
        "strict": run.strict,
        "interrupted": run.interrupted,
        "reference": run.reference,
        "exchanges": len(exchanges),
        **run.made_with,
    }


def _clause(
    row: ClauseRow, reports: Sequence[ProbeReport], entries: Mapping[str, int], proofs: Sequence[str]
) -> dict[str, Any]:
    return {
        "id": row.id,
        "level": row.level.value,
        "section": row.section,
        "sentence": row.sentence,
        "outcome": row.outcome.value,
        "subjects": row.subjects,
        "violations": row.violations,
        "reason": row.reason,
        "findings": [_finding(finding, entries) for finding in row.findings],
        "probes": [_probe(report) for report in reports if report.clause == row.id],
        "proved_by": list(proofs),
    }


def _probe(report: ProbeReport) -> dict[str, Any]:
    seen = report.seen
    said = (
        "broken"
        if seen.broken
        else "found"
        if seen.findings
        else "untestable"
        if seen.untestable
        else "not_observed"
        if seen.unjudged
        else "kept"
    )
    return {
        "probe": report.probe,
        "model": report.model,
        "duration_s": round(report.duration_s, 3),
        "said": said,
    }


def _finding(finding: Finding, entries: Mapping[str, int]) -> dict[str, Any]:
    entry = entries.get(finding.exchange) if finding.exchange else None
    return {
        "level": finding.level.value,
        "expected": finding.expected,
        "actual": finding.actual,
        "source": finding.source,
        "exchange": finding.exchange,
        "recording": f"{RECORDING}#{entry}" if entry is not None else None,
        "route": finding.route,
        "status": finding.status,
        "request_id": finding.request_id,
        "model": finding.model,
        "excerpt": list(finding.excerpt),
        "curl": finding.curl,
        "known": finding.known,
    }
