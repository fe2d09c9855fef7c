"""From what was seen of a clause to its outcome, and from outcomes to one verdict. No I/O, no clock.

The way of a judgement: facts and probes state :class:`Problem` values (or that they cannot judge); everything seen of
one clause is a :class:`Seen`; :func:`row_of` weighs it against the listed deviations and waivers and gives the
clause's row; :func:`decide` weighs the rows and gives the exit code.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from chatproof.contract import Clause, Level
from chatproof.outcome import (
    EXIT_MEANING,
    JUDGED,
    MEANING,
    VERDICT_NAME,
    Exit,
    NotObserved,
    Outcome,
    Untestable,
)
from chatproof.target.keys import Deviation, Waive

__all__ = [
    "EXIT_MEANING",
    "JUDGED",
    "MEANING",
    "VERDICT_NAME",
    "Accepted",
    "ClauseRow",
    "Exit",
    "Finding",
    "NotObserved",
    "Outcome",
    "Problem",
    "Seen",
    "Untestable",
    "Verdict",
    "decide",
    "lists",
    "row_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One violation as a judge states it: what the clause expects and what was there instead."""

    expected: str
    actual: str
    level: Level | None = None  # None: the clause's own
    at: tuple[int, int] | None = None  # bytes of the body that show it


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One violation with its evidence, complete for a reader who was not there."""

    clause: str
    level: Level
    expected: str
    actual: str
    source: str = ""  # the probe or "every exchange"
    exchange: str | None = None  # its tag
    route: str | None = None
    status: int | None = None
    request_id: str | None = None
    model: str | None = None
    excerpt: tuple[str, ...] = ()
    curl: str | None = None
    known: str | None = None  # the reason of the deviation that lists it

    @property
    def text(self) -> str:
        """What a deviation's `contains` is looked for in."""
        return f"{self.expected}\n{self.actual}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that one run saw of one clause."""

    subjects: int = 0
    findings: tuple[Finding, ...] = ()
    unjudged: tuple[str, ...] = ()  # noise, with its reason
    untestable: tuple[str, ...] = ()  # which line of the target file would provide what is missing
    broken: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # what was seen and is not judged: of OBSERVE, or as a setting says
    remarks: tuple[str, ...] = ()  # on what a pass rests, where that is less than was asked for

    def __add__(self, other: Seen) -> Seen:
        return Seen(
            subjects=self.subjects + other.subjects,
            findings=self.findings + other.findings,
            unjudged=self.unjudged + other.unjudged,
            untestable=self.untestable + other.untestable,
            broken=self.broken + other.broken,
            notes=self.notes + other.notes,
            remarks=self.remarks + other.remarks,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClauseRow:
    """What a report says of one clause."""

    id: str
    level: Level
    section: str
    sentence: str
    outcome: Outcome
    subjects: int = 0
    findings: tuple[Finding, ...] = ()
    reason: str = ""  # why not judged, waived, known, stale or broken

    @property
    def violations(self) -> int:
        """How many findings there are, known ones included."""
        return len(self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What the target file accepts, and the day it is read on."""

    deviations: Sequence[Deviation] = ()
    waivers: Sequence[Waive] = ()
    today: date = field(default=date.max)


def row_of(clause: Clause, seen: Seen, accepted: Accepted) -> ClauseRow:
    """The clause's row: the worst that can be said, known deviations and waivers weighed in."""
    deviations = [d for d in accepted.deviations if d.clause == clause.id]
    waivers = [w for w in accepted.waivers if w.clause == clause.id]
    live = [d for d in deviations if d.until >= accepted.today]
    findings = tuple(_listed(finding, live) for finding in seen.findings)
    fresh = [finding for finding in findings if finding.known is None]
    outcome, reason = _outcome(clause, seen, findings, fresh, waivers, accepted)
    stale = _stale(seen, findings, deviations, waivers, accepted)
    if stale and outcome is not Outcome.BROKEN:
        outcome = outcome if outcome is Outcome.FAIL else Outcome.STALE
        reason = "; ".join(stale)
    return ClauseRow(
        id=clause.id,
        level=clause.level,
        section=clause.section,
        sentence=clause.sentence,
        outcome=outcome,
        subjects=seen.subjects,
        findings=findings,
        reason=reason,
    )


def lists(entry: Deviation, finding: Finding) -> bool:
    """Whether a `[[deviation]]` entry names that finding: every key of its `match` agrees."""
    match = entry.match
    return (
        finding.clause == entry.clause
        and match.route in (None, finding.route)
        and match.status in (None, finding.status)
        and (match.contains is None or match.contains in finding.text)
    )


def _listed(finding: Finding, deviations: Sequence[Deviation]) -> Finding:
    entry = next((d for d in deviations if lists(d, finding)), None)
    if entry is None:
        return finding
    ticket = f" ({entry.ticket})" if entry.ticket else ""
    return replace(finding, known=f"{entry.reason}{ticket}, until {entry.until}")


def _outcome(
    clause: Clause,
    seen: Seen,
    findings: Sequence[Finding],
    fresh: Sequence[Finding],
    waivers: Sequence[Waive],
    accepted: Accepted,
) -> tuple[Outcome, str]:
    if seen.broken:
        return Outcome.BROKEN, seen.broken[0]
    if any(finding.level is Level.MUST for finding in fresh):
        return Outcome.FAIL, ""
    if any(finding.level is Level.SHOULD for finding in fresh):
        return Outcome.WARN, ""
    if clause.unchecked:
        return Outcome.OWN, clause.unchecked
    if clause.level is Level.OBSERVE or seen.notes or any(f.level is Level.OBSERVE for f in fresh):
        return Outcome.OBSERVE, "; ".join(dict.fromkeys(seen.notes))
    if any(finding.known for finding in findings):
        return Outcome.KNOWN, "; ".join(dict.fromkeys(f.known for f in findings if f.known))
    if seen.untestable:
        waiver = next((w for w in waivers if w.until >= accepted.today), None)
        missing = "; ".join(dict.fromkeys(seen.untestable))
        return (Outcome.WAIVED, waiver.reason) if waiver else (Outcome.UNTESTABLE, missing)
    if seen.unjudged or not seen.subjects:
        return Outcome.NOT_OBSERVED, "; ".join(dict.fromkeys(seen.unjudged)) or "nothing to judge came by"
    return Outcome.PASS, "; ".join(dict.fromkeys(seen.remarks))


def _stale(
    seen: Seen,
    findings: Sequence[Finding],
    deviations: Sequence[Deviation],
    waivers: Sequence[Waive],
    accepted: Accepted,
) -> list[str]:
    """What the target file still lists although it does not apply; what this run could not show either way stays."""
    judged = seen.subjects > 0 and not seen.unjudged
    lines = [
        f"line {d.line}: the deviation expired on {d.until}" for d in deviations if d.until < accepted.today
    ]
    lines += [
        f"line {d.line}: the deviation no longer happens: remove it"
        for d in deviations
        if d.until >= accepted.today and judged and not any(lists(d, f) for f in findings)
    ]
    lines += [f"line {w.line}: the waiver expired on {w.until}" for w in waivers if w.until < accepted.today]
    lines += [
        f"line {w.line}: the waiver is not needed: the clause can be judged now"
        for w in waivers
        if w.until >= accepted.today and seen.subjects and not seen.untestable
    ]
    return lines


@dataclass(frozen=True, slots=True)
class Verdict:
    """The run's one verdict: its exit code and the sentence that says why."""

    exit: Exit
    why: str

    @property
    def name(self) -> str:
        """`pass`, `fail`, `inconclusive` or `invalid`."""
        return VERDICT_NAME[self.exit]


def decide(
    rows: Iterable[ClauseRow], *, strict: bool = False, gate: bool = False, interrupted: bool = False
) -> Verdict:
    """Weigh all rows: 4 before 1 before 3 before 0 (exit codes in :class:`Exit`)."""
    rows = list(rows)
    ids = {outcome: [row.id for row in rows if row.outcome is outcome] for outcome in Outcome}
    if ids[Outcome.BROKEN]:
        return Verdict(Exit.INVALID, f"the suite itself failed on {_some(ids[Outcome.BROKEN])}")
    red = {
        "violated": ids[Outcome.FAIL],
        "stale in the target file": [] if interrupted else ids[Outcome.STALE],
        "warned of, which counts with --strict": ids[Outcome.WARN] if strict else [],
    }
    if any(red.values()):
        said = [f"{_count(found)} {what}: {_some(found)}" for what, found in red.items() if found]
        return Verdict(Exit.VIOLATES, "; ".join(said))
    if interrupted:
        return Verdict(Exit.INCONCLUSIVE, "interrupted before every probe had run")
    open_musts = [
        row.id
        for row in rows
        if row.level is Level.MUST and row.outcome in (Outcome.UNTESTABLE, Outcome.NOT_OBSERVED)
    ]
    if gate and open_musts:
        return Verdict(Exit.INCONCLUSIVE, f"a gate needs every MUST judged or waived: {_some(open_musts)}")
    if not any(ids[outcome] for outcome in JUDGED):
        return Verdict(Exit.INCONCLUSIVE, "nothing could be judged")
    left = [*ids[Outcome.UNTESTABLE], *ids[Outcome.NOT_OBSERVED]]
    notes = {
        "warned of": ids[Outcome.WARN],
        "known to be violated": ids[Outcome.KNOWN],
        "waived": ids[Outcome.WAIVED],
        "not judged": left,
    }
    said = [f"{len(found)} {what}: {_some(found)}" for what, found in notes.items() if found]
    return Verdict(Exit.CONFORMS, "; ".join([f"{_count(ids[Outcome.PASS])} kept", *said]))


def _some(ids: Sequence[str], most: int = 8) -> str:
    return ", ".join(ids[:most]) + (f" and {len(ids) - most} more" if len(ids) > most else "")


def _count(ids: Sequence[str]) -> str:
    return f"{len(ids)} clause{'s' if len(ids) != 1 else ''}"
