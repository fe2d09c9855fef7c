"""All that conformance knows of pytest: which target, a conversation per probe, and what becomes of its outcome.

The controller settles the target and the seed; workers (xdist) get both, and hand back their exchanges. Facts are
judged once, by the controller, on the exchanges of all workers, and become rows of their own.
"""

from __future__ import annotations

import os
import pickle
import random
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chatproof import evidence, run
from chatproof.check import Conductor
from chatproof.preflight import settle
from chatproof.probe import Shared, Talk, unknown_key
from chatproof.pytest_rows import adds, in_a_line, seen_by, show, told
from chatproof.record import Exchange
from chatproof.reference import embedded, target_text
from chatproof.report import RunInfo, allure, report_of
from chatproof.report.states import STATES
from chatproof.target import Target, TargetError, load_target, parse_target, read_contract
from chatproof.turns import turn
from chatproof.verdict import (
    Accepted,
    ClauseRow,
    Seen,
    decide,
    lists,
    row_of,
)
from chatproof.wire import Gateway, Unreachable

PROPERTY = "chatproof"
Hook = Generator[None, Any, Any]


@dataclass
class State:
    """What this process knows of the run under way."""

    target: Target
    seed: int
    share: int = 1
    turns: Path | None = None  # the file by which workers take turns; None where there is one process only
    shared: Shared = field(default_factory=Shared)
    reports: list[run.ProbeReport] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    rows: tuple[ClauseRow, ...] = ()
    conductor: Conductor | None = None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    closing: ExitStack = field(default_factory=ExitStack)
    _gateway: Gateway | None = None

    @property
    def gateway(self) -> Gateway:
        """The gateway of this process, opened when it is first asked for."""
        if self._gateway is None and self.conductor and self.conductor.gateway:
            self._gateway = self.conductor.gateway
        if self._gateway is None:
            keys = {"unknown_key": unknown_key(self.seed)}
            self._gateway = Gateway(self.target, seed=self.seed, share=self.share, secrets=keys)
            self.closing.callback(self._gateway.close)
        return self._gateway

    @property
    def today(self) -> date:
        """The day on which the target file's entries are read."""
        return (self.conductor.today if self.conductor else None) or date.today()

    def made(self) -> tuple[Exchange, ...]:
        """The exchanges that this process itself made."""
        return self._gateway.exchanges if self._gateway else ()


STATE = pytest.StashKey[State]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of a plain run."""
    group = parser.getgroup("chatproof", "chatproof: which deployment is judged")
    group.addoption("--target", metavar="FILE|URL", help="a target file, or a base URL that ends in /v1")
    group.addoption("--seed", type=int, help="seed of nonces and keys; a new one for each run unless given")


def pytest_configure(config: pytest.Config) -> None:
    """Settle the target: from the controller, from whoever runs us, or from options and environment."""
    config.addinivalue_line("markers", "alone: while the probe runs, no other probe speaks to the target")
    handed = getattr(config, "workerinput", {})
    if PROPERTY in handed:
        config.stash[STATE] = pickle.loads(handed[PROPERTY])
        config.stash[STATE].shared.worker = handed["workerid"]
        return
    conductor = next((p for p in config.pluginmanager.get_plugins() if isinstance(p, Conductor)), None)
    if conductor is not None:
        config.stash[STATE] = State(
            conductor.target, conductor.seed, exchanges=list(conductor.exchanges), conductor=conductor
        )
        return
    try:
        config.stash[STATE] = _settled(config)
    except (TargetError, Unreachable) as wrong:
        pytest.exit(f"chatproof: {wrong}", returncode=2 if isinstance(wrong, TargetError) else 3)


def _settled(config: pytest.Config) -> State:
    named = config.getoption("--target")
    url = named if named and "://" in named else None
    target = load_target(Path(named) if named and not url else None, url, os.environ)
    seed = config.getoption("--seed")
    seed = random.SystemRandom().getrandbits(48) if seed is None else seed
    closing = ExitStack()
    if target is None:
        base_url = closing.enter_context(embedded()).base_url
        text = target_text(base_url)
        target = parse_target(text, name="EMBEDDED REFERENCE", beside=Path.cwd(), env={})
    state = State(target, seed, closing=closing)
    settled = settle(state.gateway, seed)
    return State(settled, seed, exchanges=list(state.made()), closing=closing)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the target and the seed to a worker."""
    state = node.config.stash[STATE]
    workers = len(node.config.getoption("tx", None) or [1])
    if state.turns is None:
        state.turns = Path(state.closing.enter_context(tempfile.TemporaryDirectory())) / "turns"
        state.turns.touch()
    node.workerinput[PROPERTY] = pickle.dumps(State(state.target, state.seed, workers, state.turns))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Take a worker's exchanges."""
    state = node.config.stash[STATE]
    handed = getattr(node, "workeroutput", {}).get(PROPERTY)
    if handed is None:
        state.broken.append(f"worker {node.gateway.id} ended without its exchanges: {error}")
    else:
        state.exchanges += evidence.unpack(handed)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A probe that asks for `model` runs once for each model of the target."""
    if "model" in metafunc.fixturenames:
        ids = [model.id for model in metafunc.config.stash[STATE].target.models]
        metafunc.parametrize("model", ids)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Probes that need the target alone come last, so that they keep no other waiting; Allure gets their clauses."""
    conductor = config.stash[STATE].conductor
    if conductor is not None and conductor.only:
        items[:] = [item for item in items if _clause_of(item) in conductor.only]
    items.sort(key=lambda item: item.get_closest_marker("alone") is not None)
    for item in items:
        if mark := item.get_closest_marker("clause"):
            item.user_properties.append(("clause", mark.args[0]))  # a property of its test case in JUnit
    for item in items if _allure_folder(config) else ():
        if mark := item.get_closest_marker("clause"):
            clause = read_contract()[mark.args[0]]
            for name, value in allure.labels(clause.id, clause.level, clause.section):
                item.add_marker(pytest.mark.allure_label(value, label_type=name))
            docs = allure.link(clause.id)
            item.add_marker(pytest.mark.allure_link(docs, link_type="link", name=docs))


@pytest.fixture
def my_turn(request: pytest.FixtureRequest) -> Iterator[None]:
    """Holds the target, alone where the probe is marked so, until the probe ends."""
    file = request.config.stash[STATE].turns
    alone = request.node.get_closest_marker("alone") is not None
    with turn(file, alone=alone) if file else nullcontext():
        yield


def _clause_of(item: pytest.Item) -> str | None:
    mark = item.get_closest_marker("clause")
    return mark.args[0] if mark else None


@pytest.fixture
def talk(request: pytest.FixtureRequest, my_turn: None) -> Talk:
    """A conversation of this probe's own; it pins the probe's `model`, else the target's first."""
    state = request.config.stash[STATE]
    params = getattr(getattr(request.node, "callspec", None), "params", {})
    model = params.get("model", state.target.models[0].id)
    spoken = Talk(state.gateway, request.node.name, state.seed, state.shared, model)
    request.node.stash[TALK] = spoken
    return spoken


TALK = pytest.StashKey[Talk]()


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Hook:
    """Turn a probe's end into what it says of its clause, and give pytest the state that goes with it.

    Innermost of all wrappers: Allure's looks at the report that this one has changed.
    """
    report: Any = yield
    mark = item.get_closest_marker("clause")
    if (
        mark is None
        or (call.when == "setup" and call.excinfo is None)
        or (call.when == "teardown" and report.passed)
    ):
        return report
    seen = seen_by(item, mark, call, item.stash.get(TALK, None))
    spoken = item.stash.get(TALK, None)
    said = run.ProbeReport(
        clause=mark.args[0],
        probe=item.name,
        model=spoken.model if spoken else "",
        duration_s=call.duration,
        seen=seen,
    )
    report.user_properties.append((PROPERTY, msgspec.json.encode(said).decode()))
    row = _row(item, seen)
    state = STATES[row.outcome]
    report.outcome = state.pytest
    if report.outcome == "skipped":
        reason = row.reason or in_a_line(seen)
        report.longrepr = (str(item.path), item.location[1] or 0, reason)
        if state.xfail:
            report.wasxfail = reason
    elif report.outcome == "failed" and seen.findings:
        report.longrepr = "\n".join(told(finding) for finding in seen.findings)
    return report


def _row(item: pytest.Item, seen: Seen) -> ClauseRow:
    """What a probe alone says of its clause; only the whole run can tell which entry of the target file is stale."""
    target = item.config.stash[STATE].target
    deviations = [entry for entry in target.deviations if any(lists(entry, f) for f in seen.findings)]
    waivers = target.waives if seen.untestable else ()
    clause = read_contract()[item.get_closest_marker("clause").args[0]]  # type: ignore[union-attr]
    return row_of(clause, seen, Accepted(deviations=deviations, waivers=waivers, today=date.today()))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Take a probe's report, from here or from a worker."""
    state = _CONTROLLER.get("state")
    if state is None:
        return
    for name, value in report.user_properties:
        if name == PROPERTY:
            said = msgspec.json.decode(str(value), type=run.ProbeReport)
            state.reports.append(said)
            if state.conductor:
                state.conductor.heard(said)


_CONTROLLER: dict[str, State] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Hook:
    """Run the probes; then judge every exchange and show each clause that facts decide as a row of its own."""
    config = session.config
    state = config.stash[STATE]
    if hasattr(config, "workerinput"):
        return (yield)
    _CONTROLLER["state"] = state
    try:
        done: Any = yield
    finally:
        _CONTROLLER.pop("state")
        state.exchanges += state.made()
        judged = run.judge(
            read_contract(), state.target, state.exchanges, state.reports, state.today, state.broken
        )
        state.rows = judged.rows
        if state.conductor:
            state.conductor.judged = judged
    if state.conductor is None:
        rows = [row for row in judged.rows if adds(row, judged)]
        for row in rows:
            show(config, row)
        if folder := _allure_folder(config):
            _write_allure(folder, state, replace(judged, rows=tuple(rows)))
    return done


def _allure_folder(config: pytest.Config) -> Path | None:
    named = config.getoption("allure_report_dir", None)
    return Path(named) if named else None


def _write_allure(folder: Path, state: State, judged: run.Judged) -> None:
    """The rows that are no test of their own, beside the results that Allure's plugin writes of the probes."""
    info = RunInfo(command="check", seed=state.seed, started=state.started, ended=datetime.now(UTC))
    document = report_of(judged, state.target, info, decide(judged.rows))
    for name, data in allure.results(document, judged.exchanges).items():
        (folder / name).write_bytes(data)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """One line that says what was judged."""
    state = config.stash.get(STATE, None)
    if state is not None and state.rows:
        terminalreporter.write_line(
            f"chatproof: {state.target.base_url} ({state.target.origin}), seed {state.seed}"
        )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker hands over what it made; everything that was opened is closed."""
    for item in session.items:
        if TALK in item.stash:
            del item.stash[TALK]
    state = session.config.stash.get(STATE, None)
    if state is None:
        return
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[PROPERTY] = evidence.pack(state.made())
    state.closing.close()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Let go of the run: pytest keeps its configuration when several runs follow each other in one process."""
    if STATE in config.stash:
        del config.stash[STATE]
