"""Reports: finished rows and figures as JSON, JUnit, Markdown, Allure, HAR and a page. Never computes, only shows.

`report_of` makes the document of a run, `faces` all its files from the document and the recording, `write` puts them
on disk. The same rows give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from chatproof import har
from chatproof.record import Exchange
from chatproof.redact import Redactor
from chatproof.report import allure
from chatproof.report.accept import deviation_entry
from chatproof.report.difference import difference
from chatproof.report.directory import ReportError, place, usable
from chatproof.report.document import RECORDING, Document, dumps, report_of
from chatproof.report.fingerprint import RunInfo, made_with
from chatproof.report.github import github_lines
from chatproof.report.junit import junit
from chatproof.report.page import page
from chatproof.report.scan import Hit, scan, scan_files
from chatproof.report.summary import summary

__all__ = [
    "Document",
    "Hit",
    "Leak",
    "ReportError",
    "RunInfo",
    "deviation_entry",
    "difference",
    "dumps",
    "faces",
    "github_lines",
    "made_with",
    "report_of",
    "scan",
    "usable",
    "write",
]


NOTHING: Mapping[str, bytes] = MappingProxyType({})


def faces(document: Mapping[str, Any], exchanges: Sequence[Exchange]) -> dict[str, bytes]:
    """Every file of a report, by its path in the report's folder."""
    files = {
        "report.json": dumps(document),
        "junit.xml": junit(document),
        "summary.md": summary(document),
        "index.html": page(document),
        **allure.files(document, exchanges),
    }
    if exchanges:  # a load run keeps rows, no exchanges
        recording = har.to_har(exchanges, version=document["run"]["tool"]["version"])
        files[RECORDING] = har.dumps(recording)
    return files


def write(
    directory: Path,
    document: Mapping[str, Any],
    exchanges: Sequence[Exchange],
    redactor: Redactor,
    beside: Mapping[str, bytes] = NOTHING,
) -> None:
    """Write every file of a report into a folder, and `beside` with them.

    Raises ReportError or Leak, and then leaves what was there.
    """
    files = {**beside, **faces(document, exchanges)}
    if hits := scan_files(files, redactor):
        raise Leak(hits)
    place(directory, files)


class Leak(Exception):
    """A secret of the run would stand in the report: our own fault, and nothing is written."""

    def __init__(self, hits: Sequence[Hit]) -> None:
        super().__init__("; ".join(hit.text for hit in hits))
        self.hits = tuple(hits)
