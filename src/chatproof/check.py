"""Runs the probes against a target, alone or in parallel, and gives back what they and the facts saw.

Calls pytest in this process; the table, the report and the exit code are others' business.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from types import FrameType

import pytest

from chatproof.record import Exchange
from chatproof.run import Judged, ProbeReport
from chatproof.target import Target, folder
from chatproof.wire import Gateway


@dataclass(eq=False)
class Conductor:
    """A pytest plugin that carries a settled target in and the judged run out, and sees that no probe is lost."""

    target: Target
    seed: int
    exchanges: Sequence[Exchange] = ()
    gateway: Gateway | None = None  # a recording that answers in the target's place
    today: date | None = None  # the day on which the target file's entries are read; None: this one
    only: frozenset[str] = frozenset()  # clauses whose probes are run; none: all
    on_count: Callable[[int], None] = lambda n: None
    on_report: Callable[[ProbeReport], None] = lambda report: None
    judged: Judged | None = field(default=None, init=False)
    interrupted: bool = field(default=False, init=False)
    struck: bool = field(default=False, init=False)  # by Ctrl-C, whatever became of its exception
    due: set[str] = field(default_factory=set, init=False)  # probes that have not come to their end
    lost: list[str] = field(default_factory=list, init=False)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Tell Ctrl-C from pytest's own ways to stop, which it reports by the same hook."""
        self.interrupted = type(excinfo.value) is KeyboardInterrupt

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note the probes to come; a controller of workers has none of its own."""
        self._collected(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Note the probes to come; each worker has them all."""
        if not self.due:
            self._collected(ids)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what could not be collected: with workers pytest runs the rest."""
        if report.failed:
            self.lost.append(f"{report.nodeid} cannot be collected: {report.longreprtext}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take a probe off the list; that of a worker which crashed has no last phase."""
        if report.when == "teardown":
            self.due.discard(report.nodeid)
        if self.struck:
            raise KeyboardInterrupt  # the one that Python raised was lost: in a finaliser or a callback it is

    def _collected(self, ids: Iterable[str]) -> None:
        self.due |= set(ids)
        self.on_count(len(self.due))

    def heard(self, report: ProbeReport) -> None:
        """Called with each probe's report."""
        self.on_report(report)


# Plugins of pytest that a run of probes has no use for; the last two collect garbage at each end, for half a second.
LEFT_OUT = ("locust", "cacheprovider", "allure_pytest", "logging", "unraisableexception", "threadexception")


class CheckFailed(RuntimeError):
    """The run did not come to a judgement: our own fault; the text holds what pytest said."""


def check(conductor: Conductor, *, jobs: int = 1, select: Sequence[str] = ()) -> Judged:
    """Run every probe (or those that `select` names, as pytest arguments) with `jobs` workers.

    Raises CheckFailed where pytest itself came to no good end, KeyboardInterrupt where Ctrl-C left nothing to judge.
    """
    where = str(folder("conformance"))
    arguments = [*(select or [where]), "-c", "/dev/null", "--rootdir", where, "--import-mode=importlib", "-q"]
    arguments += [word for name in LEFT_OUT for word in ("-p", f"no:{name}")] + ["-o", "addopts="]
    arguments += ["-n", str(jobs), "--dist", "worksteal"] if jobs > 1 else ["-p", "no:xdist"]
    said = io.StringIO()
    with (
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
        _no_options_of_others(),
        _noting(conductor),
    ):
        code = pytest.main(arguments, plugins=[conductor])
    if conductor.interrupted:
        if conductor.judged is None:
            raise KeyboardInterrupt
        return replace(conductor.judged, interrupted=True)
    judged = conductor.judged
    lost = [*conductor.lost, *(judged.broken if judged else ())]
    lost += [f"{probe} did not come to its end" for probe in sorted(conductor.due)]
    if judged is None or lost or code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        reasons = lost or [f"pytest ended with {code!r}:", said.getvalue()]
        raise CheckFailed("\n".join(["not every probe was run", *reasons]))
    return judged


@contextlib.contextmanager
def _noting(conductor: Conductor) -> Iterator[None]:
    """Remember a Ctrl-C beside raising it; only the main thread hears of one."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is not signal.default_int_handler:
        yield
        return

    def strike(number: int, frame: FrameType | None) -> None:
        conductor.struck = True
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, strike)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _no_options_of_others() -> Iterator[None]:
    """Options that the environment holds for someone's own tests must not reach the probes."""
    kept = os.environ.pop("PYTEST_ADDOPTS", None)
    try:
        yield
    finally:
        if kept is not None:
            os.environ["PYTEST_ADDOPTS"] = kept
