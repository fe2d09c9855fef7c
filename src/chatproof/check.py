"""Runs the probes against a target, alone or in parallel, and gives back what they and the facts saw.

Calls pytest in this process; the table, the report and the exit code are others' business.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

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
    interrupted: bool = field(default=False, init=False)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Tell Ctrl-C from pytest's own ways to stop, which it reports by the same hook."""
        self.interrupted = type(excinfo.value) is KeyboardInterrupt

    def collected(self, count: int) -> None:
        """Called once with the number of probes (by each worker's controller)."""
        self.on_count(count)

    def heard(self, report: ProbeReport) -> None:
        """Called with each probe's report."""
        self.on_report(report)


class CheckFailed(RuntimeError):
    """The run did not come to a judgement: our own fault; the text holds what pytest said."""


def check(conductor: Conductor, *, jobs: int = 1, select: Sequence[str] = ()) -> Judged:
    """Run every probe (or those that `select` names, as pytest arguments) with `jobs` workers.

    Raises CheckFailed where pytest itself came to no good end, KeyboardInterrupt where Ctrl-C left nothing to judge.
    """
    where = str(folder("conformance"))
    arguments = [*(select or [where]), "-c", "/dev/null", "--rootdir", where, "--import-mode=importlib", "-q"]
    arguments += ["-p", "no:locust", "-p", "no:cacheprovider", "-p", "no:allure_pytest", "-o", "addopts="]
    arguments += ["-n", str(jobs), "--dist", "worksteal"] if jobs > 1 else ["-p", "no:xdist"]
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), _no_options_of_others():
        code = pytest.main(arguments, plugins=[conductor])
    if conductor.interrupted:
        if conductor.judged is None:
            raise KeyboardInterrupt
        return replace(conductor.judged, interrupted=True)
    if conductor.judged is None or code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise CheckFailed(f"pytest ended with {code!r} instead of a judged run:\n{said.getvalue()}")
    return conductor.judged


@contextlib.contextmanager
def _no_options_of_others() -> Iterator[None]:
    """Options that the environment holds for someone's own tests must not reach the probes."""
    kept = os.environ.pop("PYTEST_ADDOPTS", None)
    try:
        yield
    finally:
        if kept is not None:
            os.environ["PYTEST_ADDOPTS"] = kept
