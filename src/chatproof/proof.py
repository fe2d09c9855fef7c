"""Proof that every check bites: the suite against the reference, its variations and its faults, verdict by verdict.

For each deployment the whole verdict map is compared with what was written by hand: the reference and every
variation are green, but for clauses that a variation's own settings leave open; a fault turns its declared clauses
red, makes the declared ones unjudgeable, and changes nothing else. A check that crashed has caught nothing, and a
fault that never fired proves nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from urllib.request import urlopen

from chatproof.check import CheckFailed, Conductor, check
from chatproof.contract import Contract, Level
from chatproof.preflight import settle
from chatproof.reference import Reference, target_text
from chatproof.reference.faults import FAULTS
from chatproof.reference.variations import VARIATIONS
from chatproof.target import parse_target, read_contract
from chatproof.verdict import Outcome
from chatproof.wire import Gateway, Unreachable

CLEAN = "reference"
FIRED_WITHIN_S = 10


@dataclass(frozen=True, slots=True)
class Case:
    """One deployment to run against, and what must be said of it."""

    name: str
    kind: str  # reference, variation or fault
    base_url: str
    expected: Mapping[str, str]
    settings: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """What one run showed: each clause's outcome, what was found where, and how often the fault fired."""

    name: str
    kind: str
    outcomes: Mapping[str, str]
    details: Mapping[str, str]
    fired: int
    seconds: float
    requests: int
    failed: str = ""  # the run came to no judgement

    def wrong(self, expected: Mapping[str, str]) -> list[str]:
        """Each way in which the run differs from what was expected; empty where it holds."""
        if self.failed:
            return [self.failed]
        lines = [
            f"{clause}: expected {expected[clause]}, got {got}" + self._why(clause)
            for clause, got in self.outcomes.items()
            if got != expected[clause]
        ]
        if self.kind != CLEAN and not self.fired:
            lines.append("it never fired")
        return lines

    def _why(self, clause: str) -> str:
        return f" ({self.details[clause]})" if self.details.get(clause) else ""


def green(contract: Contract) -> dict[str, str]:
    """What is expected where nothing is wrong: pass, or `observe` and `own` where the contract says so."""
    return {clause.id: _kept(clause.level, clause.unchecked) for clause in contract}


def _kept(level: Level, unchecked: str | None) -> str:
    if unchecked:
        return Outcome.OWN.value
    return Outcome.OBSERVE.value if level is Level.OBSERVE else Outcome.PASS.value


def cases(reference: Reference, fault: str | None = None, clause: str | None = None) -> list[Case]:
    """The deployments to prove: all, or one by its name, or those that touch a clause; the clean one always."""
    kept = green(read_contract())
    all_cases = [Case(CLEAN, CLEAN, reference.base_url, kept)]
    for variation in VARIATIONS.values():
        url = reference.base_url_of(variation.name)
        expected = {**kept, **variation.outcomes}
        all_cases.append(Case(variation.name, "variation", url, expected, variation.settings))
    for broken in FAULTS.values():
        expected = {**kept, **broken.blinds, **broken.breaks}
        all_cases.append(Case(broken.name, "fault", reference.base_url_of(broken.name), expected))
    if fault is not None:
        return [case for case in all_cases if case.name in (CLEAN, fault)]
    if clause is not None:
        return [c for c in all_cases if c.kind == CLEAN or c.expected[clause] != kept[clause]]
    return all_cases


def unproved(contract: Contract) -> list[str]:
    """Clauses that a run judges and no fault breaks."""
    broken = {clause for fault in FAULTS.values() for clause in fault.breaks}
    kept = green(contract)
    return [id for id in contract.ids if kept[id] == Outcome.PASS and id not in broken]


def prove(todo: Sequence[Case], jobs: int, shown: Callable[[Case, Shown], None]) -> list[Shown]:
    """Run every case, several at a time, and hand each result over as it comes.

    Many runs at once starve each other of time, and then what depends on time may be judged otherwise. A few cases
    that came out wrong are therefore run once more, alone: the second result is handed over too, and counts. More
    than a few are no accident, and stand.
    """
    results: dict[str, Shown] = {}
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(run_case, case): case for case in todo}
        for future in as_completed(running):
            results[running[future].name] = future.result()
            shown(running[future], future.result())
        wrong = [case for case in todo if results[case.name].wrong(case.expected)]
        for case in wrong if len(wrong) <= few(todo) else ():
            results[case.name] = pool.submit(run_case, case).result()
            shown(case, results[case.name])
    return list(results.values())


def few(todo: Sequence[Case]) -> int:
    """How many wrong results of a whole proof are few enough to be looked at again: one in a hundred, at least one."""
    return max(1, len(todo) // 100)


def run_case(case: Case) -> Shown:
    """One whole check of one deployment, in this process."""
    started = time.monotonic()
    text = target_text(case.base_url) + case.settings
    target = parse_target(text, name=case.name, beside=Path.cwd(), env={})
    seed = time.time_ns() & 0xFFFFFFFFFFFF
    try:
        gateway = Gateway(target, seed=seed)
        try:
            settled = settle(gateway, seed)
        finally:
            gateway.close()
        judged = check(Conductor(settled, seed, gateway.exchanges))
    except (CheckFailed, Unreachable) as wrong:
        return Shown(case.name, case.kind, {}, {}, 0, time.monotonic() - started, 0, failed=str(wrong))
    details = {
        row.id: "; ".join([*(f"{f.source}: {f.actual}" for f in row.findings[:2]), row.reason][:3]).strip(
            "; "
        )
        for row in judged.rows
    }
    return Shown(
        case.name,
        case.kind,
        {row.id: row.outcome.value for row in judged.rows},
        details,
        fired(case),
        time.monotonic() - started,
        len(judged.exchanges),
    )


def fired(case: Case) -> int:
    """How often the server's own log says that the case's fault or variation changed something."""
    if case.kind == CLEAN:
        return 0
    with urlopen(case.base_url.removesuffix("/v1") + "/fired", timeout=FIRED_WITHIN_S) as answer:
        return sum(json.load(answer)["fired"].values())


def matrix(contract: Contract) -> str:
    """The declared clause x fault matrix as a Markdown page: by clause, by fault, and the legal variations."""
    proved = [[id, ", ".join(_breaking(id)) or _unbroken(contract, id)] for id in contract.ids]
    faults = [
        [f"`{name}`", fault.sentence, _verdicts(fault.breaks), _verdicts(fault.blinds)]
        for name, fault in FAULTS.items()
    ]
    variations = [[f"`{name}`", variation.sentence] for name, variation in VARIATIONS.items()]
    parts = [
        MATRIX_HEAD.format(faults=len(faults), variations=len(variations)),
        _table(["clause", "faults that turn it red"], proved),
        "## The faults\n",
        _table(["fault", "what the deployment does", "turns red", "can no longer be judged"], faults),
        "## The variations\n",
        _table(["variation", "what is odd, and legal"], variations),
    ]
    return "\n".join(parts)


MATRIX_HEAD = """\
# What proves each check

`chatproof prove` runs the whole suite against the reference, {variations} legal variations of it and {faults} faults,
and compares every clause's outcome with this page: a fault turns exactly its clauses red, makes exactly the named ones
unjudgeable, and changes nothing else; a variation changes nothing. The page is printed by `chatproof prove --matrix`.
"""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines)


def _verdicts(outcomes: Mapping[str, str]) -> str:
    return ", ".join(f"{id} {outcome}" for id, outcome in outcomes.items())


def _breaking(clause: str) -> Iterable[str]:
    return (f"`{fault.name}`" for fault in FAULTS.values() if clause in fault.breaks)


def _unbroken(contract: Contract, clause: str) -> str:
    return contract[clause].unchecked or "observed, never judged"
