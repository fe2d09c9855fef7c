"""What a command leaves behind: the report's folder, and annotations where a CI reads them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from chatproof.cli.clauses import proofs
from chatproof.cli.deployment import Deployment, Stop
from chatproof.probe import unknown_key
from chatproof.redact import Redactor
from chatproof.report import (
    Leak,
    ReportError,
    RunInfo,
    difference,
    github_lines,
    made_with,
    report_of,
    scan,
    usable,
    write,
)
from chatproof.report.fingerprint import Command
from chatproof.report.github import on_github
from chatproof.run import Judged
from chatproof.verdict import Exit, Verdict


def check_folder(directory: Path | None) -> None:
    """Stop before anything is sent where no report could be written."""
    try:
        if directory is not None:
            usable(directory)
    except ReportError as wrong:
        raise Stop(str(wrong), Exit.USAGE) from None


def publish(
    directory: Path | None,
    judged: Judged,
    deployment: Deployment,
    verdict: Verdict,
    *,
    command: Command,
    started: datetime,
    jobs: int,
    strict: bool,
    load: Mapping[str, Any] | None = None,
    against: Mapping[str, Any] | None = None,
    parts: Sequence[tuple[str, Verdict]] = (),
    beside: Mapping[str, bytes] | None = None,
) -> dict[str, Any]:
    """The run's document; written with its other faces into `directory`, and told to GitHub where it runs there.

    `against` is an older document to show the difference from, `parts` what each part of a gate said, `beside` files
    that lie with the report. A secret in what would be written, or in what lies there, is our own fault (exit 4).
    """
    run = RunInfo(
        command=command,
        seed=deployment.seed,
        started=started,
        ended=datetime.now(UTC),
        jobs=jobs,
        strict=strict,
        interrupted=judged.interrupted,
        reference=deployment.embedded,
        made_with=made_with(),
    )
    made = (judged, deployment.target, run, verdict, load)
    document = report_of(*made, proved_by=proofs(), parts=parts)
    if against is not None:
        changes = difference(against, document)
        document = report_of(*made, proved_by=proofs(), parts=parts, baseline=changes)
    if directory is not None:
        _write(directory, document, judged, deployment, beside or {})
    if on_github(os.environ):
        for line in github_lines(document):
            click.echo(line)
    return document


def _write(
    directory: Path,
    document: Mapping[str, Any],
    judged: Judged,
    deployment: Deployment,
    beside: Mapping[str, bytes],
) -> None:
    redactor = Redactor({**deployment.target.secrets, "unknown_key": unknown_key(deployment.seed)})
    try:
        write(directory, document, judged.exchanges, redactor, beside)
    except ReportError as wrong:
        raise Stop(str(wrong), Exit.USAGE) from None
    except Leak as leak:
        raise Stop(
            f"no report was written: {leak}; please report this fault of chatproof's", Exit.INVALID
        ) from None
    if hits := scan(directory, redactor):
        said = "; ".join(hit.text for hit in hits)
        raise Stop(f"a secret stands in {directory}: {said}; delete it, and change the key", Exit.INVALID)
