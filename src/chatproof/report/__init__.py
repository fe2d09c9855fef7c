"""Reports: finished rows and figures as JSON, JUnit, Markdown, Allure, HAR and a page. Never computes, only shows.

`report_of` makes the document of a run, `faces` all its files from the document and the recording, `write` puts them
on disk. The same rows give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chatproof.record import Exchange
from chatproof.report import allure
from chatproof.report.accept import deviation_entry
from chatproof.report.directory import ReportError, place
from chatproof.report.document import Document, dumps, report_of
from chatproof.report.fingerprint import RunInfo, made_with
from chatproof.report.github import github_lines
from chatproof.report.junit import junit
from chatproof.report.summary import summary

__all__ = [
    "Document",
    "ReportError",
    "RunInfo",
    "deviation_entry",
    "dumps",
    "faces",
    "github_lines",
    "made_with",
    "report_of",
    "write",
]


def faces(document: Mapping[str, Any], exchanges: Sequence[Exchange]) -> dict[str, bytes]:
    """Every file of a report, by its path in the report's folder."""
    return {
        "report.json": dumps(document),
        "junit.xml": junit(document),
        "summary.md": summary(document),
        **allure.files(document, exchanges),
    }


def write(directory: Path, document: Mapping[str, Any], exchanges: Sequence[Exchange]) -> None:
    """Write every file of a report into a folder; raises ReportError, and then leaves what was there."""
    place(directory, faces(document, exchanges))
