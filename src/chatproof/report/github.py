"""The report as GitHub Actions annotations, lines for the standard output of a job. Knows only the document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from chatproof.report.states import state_of
from chatproof.report.words import about, headline, loud, visible
from chatproof.verdict import MEANING, Outcome

MOST: Final = 10  # GitHub shows ten errors and ten warnings of a step, and drops the rest without a word


def on_github(env: Mapping[str, str]) -> bool:
    """Whether this process runs in a job of GitHub Actions."""
    return env.get("GITHUB_ACTIONS") == "true"


def github_lines(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The verdict and, a line each, the clauses that are not green: errors that fail the run, and warnings."""
    kind = "notice" if document["verdict"] == "pass" else "error"
    errors: list[str] = []
    warnings: list[str] = []
    for row in loud(document):
        outcome = Outcome(row["outcome"])
        state = state_of(outcome, strict=document["run"]["strict"])
        if state.junit in ("failure", "error"):
            errors.append(_line("error", _title(row), _text(row)))
        elif outcome in (Outcome.WARN, Outcome.UNTESTABLE, Outcome.NOT_OBSERVED):
            warnings.append(_line("warning", _title(row), _text(row)))
    first = _line(kind, "chatproof", headline(document))
    return (first, *_most("error", errors, MOST - (kind == "error")), *_most("warning", warnings, MOST))


def _title(row: Mapping[str, Any]) -> str:
    return f"{row['id']} {row['level']} {row['outcome']}"


def _text(row: Mapping[str, Any]) -> str:
    return f"{row['sentence']}\n{about(row) or MEANING[Outcome(row['outcome'])]}"


def _most(kind: str, lines: list[str], most: int) -> list[str]:
    if len(lines) <= most:
        return lines
    left = len(lines) - most + 1
    return [*lines[: most - 1], _line(kind, "chatproof", f"{left} more clauses: see the report")]


def _line(kind: str, title: str, text: str) -> str:
    return f"::{kind} title={_property(title)}::{_data(text)}"


def _data(text: str) -> str:
    """A workflow command's message: the three characters that would end or change it are escaped."""
    return visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
