"""Runs the probes against a target, alone or in parallel, and gives back what they and the facts saw.

Calls pytest in this process; the table, the report and the exit code are others' business.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from chatproof.record import Exchange
from chatproof.run import Judged, ProbeReport
from chatproof.target import Target, folder


@dataclass(eq=False)
class Conductor:
    """A pytest plugin that carries a settled target in and the judged run out."""

    target: Target
    seed: int
    exchanges: Sequence[Exchange] = ()
    on_count: Callable[[int], None] = lambda n: None
    on_report: Callable[[ProbeReport], None] = lambda report: None
    judged: Judged | None = field(default=None, init=False)

    def collected(self, count: int) -> None:
        """Called once with the number of probes (by each worker's controller)."""
        self.on_count(count)

    def heard(self, report: ProbeReport) -> None:
        """Called with each probe's report."""
        self.on_report(report)


class CheckFailed(RuntimeError):
    """The run did not come to a judgement: our own fault; the text holds what pytest said."""


def check(conductor: Conductor, *, jobs: int = 1, select: Sequence[str] = ()) -> Judged:
    """Run every probe (or those that `select` names, as pytest arguments) with `jobs` workers."""
    where = str(folder("conformance"))
    arguments = [*(select or [where]), "-c", "/dev/null", "--rootdir", where, "--import-mode=importlib", "-q"]
    arguments += ["-p", "no:locust", "-p", "no:cacheprovider", "-p", "no:allure_pytest", "-o", "addopts="]
    arguments += ["-n", str(jobs), "--dist", "worksteal"] if jobs > 1 else ["-p", "no:xdist"]
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = pytest.main(arguments, plugins=[conductor])
    if conductor.judged is None:
        raise CheckFailed(f"pytest ended with {code!r} before the run was judged:\n{said.getvalue()}")
    return conductor.judged
