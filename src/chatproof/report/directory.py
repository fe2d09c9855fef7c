"""Puts the files of a report on disk: all of them or none, readable by their owner only. Knows no content."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

LATEST: Final = "latest"
REPORTS: Final = "reports"
_LAST: Final = "report.json"  # its presence says that everything beside it is complete


class ReportError(Exception):
    """The report cannot be written; the text says where and why."""


def usable(directory: Path) -> None:
    """Whether a report could be written there, as far as can be told without writing; else ReportError."""
    existing = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise ReportError(_said(directory, NotADirectoryError(20, f"{existing} is a file")))
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ReportError(_said(directory, PermissionError(13, f"{existing} is not writable")))


def place(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write files, by their path within `directory`, and take the place of what a report left there before.

    Everything is written beside the directory first and renamed into it, `report.json` last: a run that fails leaves
    what was there. Files of other names stay. Raises ReportError.
    """
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))  # mode 0700
    except OSError as problem:
        raise ReportError(_said(directory, problem)) from None
    try:
        for name, data in files.items():
            _write(stage / PurePosixPath(name), data)
        _rename(stage, directory)
        _point(directory)
    except OSError as problem:
        raise ReportError(_said(directory, problem)) from None
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _rename(stage: Path, directory: Path) -> None:
    if not directory.exists():
        stage.rename(directory)
        return
    directory.chmod(0o700)
    for entry in sorted(stage.iterdir(), key=lambda entry: (entry.name == _LAST, entry.name)):
        goal = directory / entry.name
        if goal.is_dir() and not goal.is_symlink():
            shutil.rmtree(goal)
        entry.replace(goal)


def _point(directory: Path) -> None:
    """`reports/latest` names the newest report that lies in a folder of that name."""
    if directory.resolve().parent.name != REPORTS or directory.name == LATEST:
        return
    link = directory.parent / LATEST
    if link.exists() and not link.is_symlink():
        return  # somebody's own
    fresh = directory.parent / f".{LATEST}-{os.getpid()}"
    fresh.symlink_to(directory.resolve().name, target_is_directory=True)
    fresh.replace(link)


def _said(directory: Path, problem: OSError) -> str:
    reason = (problem.strerror or str(problem)).lower()
    return f"the report cannot be written to {directory}: {reason}: name another folder with --report"
