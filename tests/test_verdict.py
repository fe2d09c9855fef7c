"""From what was seen to outcomes, and from outcomes to one exit code."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import combinations

import pytest

from chatproof.contract import Clause, Level
from chatproof.target import Deviation, Match, Waive, read_contract
from chatproof.verdict import (
    EXIT_MEANING,
    MEANING,
    VERDICT_NAME,
    Accepted,
    ClauseRow,
    Exit,
    Finding,
    Outcome,
    Seen,
    decide,
    row_of,
)

MUST = Clause(id="ERR-07", level=Level.MUST, section="Errors", sentence="kept", source="S")
SHOULD = Clause(id="ERR-07", level=Level.SHOULD, section="Errors", sentence="kept", source="S")
OBSERVE = Clause(id="ERR-07", level=Level.OBSERVE, section="Errors", sentence="kept", source="S")
OWN = Clause(
    id="ERR-07", level=Level.MUST, section="Errors", sentence="kept", source="S", unchecked="own tests"
)
TODAY = date(2027, 1, 15)
LATER, EARLIER = date(2027, 1, 16), date(2027, 1, 14)


def finding(level: Level = Level.MUST, **changes: object) -> Finding:
    """A finding about ERR-07 on the chat route."""
    fields: dict[str, object] = {
        "clause": "ERR-07",
        "level": level,
        "expected": "error.param",
        "actual": "no word of messages",
        "route": "/chat/completions",
        "status": 400,
    }
    return Finding(**{**fields, **changes})  # type: ignore[arg-type]


def deviation(match: Match | None = None, until: date = LATER, **changes: object) -> Deviation:
    """An entry that lists what :func:`finding` shows, in line 7."""
    fields: dict[str, object] = {"clause": "ERR-07", "reason": "a new validator comes", "line": 7}
    return Deviation(match=match or Match(status=400), until=until, **{**fields, **changes})  # type: ignore[arg-type]


def waiver(until: date = LATER, clause: str = "ERR-07") -> Waive:
    """An entry in line 9."""
    return Waive(clause=clause, reason="no such key here", until=until, line=9)


def row(
    seen: Seen,
    *,
    clause: Clause = MUST,
    deviations: Sequence[Deviation] = (),
    waivers: Sequence[Waive] = (),
) -> ClauseRow:
    """The clause's row on TODAY."""
    return row_of(clause, seen, Accepted(deviations=deviations, waivers=waivers, today=TODAY))


def found(*findings: Finding) -> Seen:
    """One subject, and what was found on it."""
    return Seen(subjects=1, findings=findings)


OUTCOMES = {
    "kept": (MUST, Seen(subjects=3), Outcome.PASS, ""),
    "a MUST finding": (MUST, found(finding()), Outcome.FAIL, ""),
    "a SHOULD finding": (SHOULD, found(finding(Level.SHOULD)), Outcome.WARN, ""),
    "the SHOULD limb of a MUST": (MUST, found(finding(Level.SHOULD)), Outcome.WARN, ""),
    "the MUST limb of a SHOULD": (SHOULD, found(finding(Level.MUST)), Outcome.FAIL, ""),
    "both limbs": (MUST, found(finding(Level.SHOULD), finding()), Outcome.FAIL, ""),
    "an observation": (OBSERVE, Seen(notes=("a BOM", "a BOM")), Outcome.OBSERVE, "a BOM"),
    "a finding that only observes": (MUST, found(finding(Level.OBSERVE)), Outcome.OBSERVE, ""),
    "no subject": (MUST, Seen(), Outcome.NOT_OBSERVED, "nothing to judge came by"),
    "only noise": (MUST, Seen(unjudged=("429", "429", "503")), Outcome.NOT_OBSERVED, "429; 503"),
    "some noise": (MUST, Seen(subjects=2, unjudged=("429",)), Outcome.NOT_OBSERVED, "429"),
    "noise and a finding": (MUST, found(finding()) + Seen(unjudged=("429",)), Outcome.FAIL, ""),
    "a prerequisite missing": (MUST, Seen(untestable=("a line",)), Outcome.UNTESTABLE, "a line"),
    "one missing and noise": (MUST, Seen(untestable=("a line",), unjudged=("429",)), Outcome.UNTESTABLE, "a line"),
    "one missing and a finding": (MUST, found(finding()) + Seen(untestable=("a line",)), Outcome.FAIL, ""),
    "our own fault": (MUST, Seen(broken=("KeyError", "TypeError")), Outcome.BROKEN, "KeyError"),
    "our own fault and a finding": (MUST, found(finding()) + Seen(broken=("KeyError",)), Outcome.BROKEN, "KeyError"),
    "our own fault in an own duty": (OWN, Seen(broken=("KeyError",)), Outcome.BROKEN, "KeyError"),
    "an own duty": (OWN, Seen(), Outcome.OWN, "own tests"),
}  # fmt: skip


@pytest.mark.parametrize("name", OUTCOMES)
def test_outcome(name: str) -> None:
    """Each clause's outcome is the worst that was seen, and its row says why it was not judged."""
    clause, seen, outcome, reason = OUTCOMES[name]

    judged = row(seen, clause=clause)

    assert (judged.outcome, judged.reason) == (outcome, reason)


def test_counts() -> None:
    """A row counts subjects and violations, and what was seen in two places adds up."""
    judged = row(found(finding()) + found(finding(), finding()) + Seen(subjects=4))

    assert (judged.subjects, judged.violations) == (6, 3)


@pytest.mark.parametrize(
    ("match", "listed"),
    [
        (Match(status=400), True),
        (Match(status=422), False),
        (Match(route="/chat/completions"), True),
        (Match(route="/models"), False),
        (Match(contains="messages"), True),  # in the actual
        (Match(contains="error.param"), True),  # in the expected
        (Match(contains="temperature"), False),
        (Match(route="/chat/completions", status=400, contains="messages"), True),
        (Match(route="/chat/completions", status=400, contains="temperature"), False),
        (Match(route="/chat/completions", status=401, contains="messages"), False),
    ],
)
def test_a_deviation_lists_what_every_key_of_its_match_agrees_with(match: Match, listed: bool) -> None:
    """A listed finding is known, any other still fails."""
    judged = row(found(finding()), deviations=[deviation(match)])

    assert judged.outcome is (Outcome.KNOWN if listed else Outcome.FAIL)


def test_a_known_row_names_reason_ticket_and_date() -> None:
    """Who reads `known` learns who promised what until when."""
    without = row(found(finding()), deviations=[deviation()])
    with_ticket = row(found(finding()), deviations=[deviation(ticket="GW-1432")])

    assert without.reason == "a new validator comes, until 2027-01-16"
    assert with_ticket.reason == "a new validator comes (GW-1432), until 2027-01-16"
    assert with_ticket.findings[0].known == with_ticket.reason


def test_a_deviation_excuses_only_what_it_lists() -> None:
    """Another finding of the same clause still fails, and the listed one stays marked."""
    judged = row(found(finding(), finding(status=422)), deviations=[deviation()])

    assert judged.outcome is Outcome.FAIL
    assert [f.known is None for f in judged.findings] == [False, True]


def test_a_deviation_of_another_clause_excuses_nothing() -> None:
    """An entry binds its own clause."""
    judged = row(found(finding()), deviations=[deviation(clause="ERR-06")])

    assert judged.outcome is Outcome.FAIL


def test_a_deviation_holds_through_its_last_day() -> None:
    """`until` is the last day that the entry is good for."""
    last_day = row(found(finding()), deviations=[deviation(until=TODAY)])

    assert last_day.outcome is Outcome.KNOWN


def test_an_expired_deviation_excuses_nothing_and_names_its_line() -> None:
    """What it listed fails again, and the row says which entry is to be mended."""
    judged = row(found(finding()), deviations=[deviation(until=EARLIER)])

    assert judged.outcome is Outcome.FAIL
    assert judged.reason == "line 7: the deviation expired on 2027-01-14"


@pytest.mark.parametrize(
    ("seen", "entries", "reason"),
    [
        (
            Seen(subjects=1),
            {"deviations": [deviation()]},
            "line 7: the deviation no longer happens: remove it",
        ),
        (
            found(finding()),
            {"deviations": [deviation(), deviation(Match(status=422), line=8)]},
            "line 8: the deviation no longer happens: remove it",
        ),
        (
            Seen(),
            {"deviations": [deviation(until=EARLIER)]},
            "line 7: the deviation expired on 2027-01-14",
        ),
        (
            Seen(untestable=("a line",)),
            {"waivers": [waiver(until=EARLIER)]},
            "line 9: the waiver expired on 2027-01-14",
        ),
        (
            Seen(subjects=1),
            {"waivers": [waiver()]},
            "line 9: the waiver is not needed: the clause can be judged now",
        ),
        (
            Seen(subjects=1),
            {"deviations": [deviation()], "waivers": [waiver(until=EARLIER)]},
            "line 7: the deviation no longer happens: remove it; line 9: the waiver expired on 2027-01-14",
        ),
    ],
)
def test_an_entry_that_no_longer_applies_is_red(
    seen: Seen, entries: dict[str, list[Deviation]], reason: str
) -> None:
    """The row is stale and names the line to remove or to mend."""
    judged = row(seen, **entries)  # type: ignore[arg-type]

    assert (judged.outcome, judged.reason) == (Outcome.STALE, reason)


@pytest.mark.parametrize(
    "seen", [Seen(), Seen(subjects=1, unjudged=("429",)), Seen(untestable=("a line",))], ids=repr
)
def test_a_deviation_that_nothing_could_show_is_not_stale(seen: Seen) -> None:
    """Silence does not prove that a known defect is gone."""
    judged = row(seen, deviations=[deviation()])

    assert judged.outcome in (Outcome.NOT_OBSERVED, Outcome.UNTESTABLE)


def test_a_waiver_accepts_untestable_and_nothing_else() -> None:
    """A waived clause that fails fails, and noise stays noise."""
    waived = row(Seen(untestable=("a line",)), waivers=[waiver()])
    failed = row(found(finding()) + Seen(untestable=("a line",)), waivers=[waiver()])
    noise = row(Seen(unjudged=("429",)), waivers=[waiver()])
    other = row(Seen(untestable=("a line",)), waivers=[waiver(clause="ERR-06")])

    assert (waived.outcome, waived.reason) == (Outcome.WAIVED, "no such key here")
    assert [r.outcome for r in (failed, noise, other)] == [
        Outcome.FAIL,
        Outcome.NOT_OBSERVED,
        Outcome.UNTESTABLE,
    ]


def test_our_own_fault_stands_before_stale_entries() -> None:
    """A broken probe says nothing of what the target file lists."""
    judged = row(Seen(subjects=1, broken=("KeyError",)), deviations=[deviation()])

    assert (judged.outcome, judged.reason) == (Outcome.BROKEN, "KeyError")


# --- one verdict ----------------------------------------------------------------------------------------------


def rows(*outcomes: Outcome, level: Level = Level.MUST) -> list[ClauseRow]:
    """A row for each outcome, EP-01 first."""
    return [
        ClauseRow(id=f"EP-{n:02}", level=level, section="-", sentence="-", outcome=outcome)
        for n, outcome in enumerate(outcomes, start=1)
    ]


ALONE = {
    Outcome.PASS: Exit.CONFORMS,
    Outcome.WARN: Exit.CONFORMS,
    Outcome.KNOWN: Exit.CONFORMS,
    Outcome.FAIL: Exit.VIOLATES,
    Outcome.STALE: Exit.VIOLATES,
    Outcome.BROKEN: Exit.INVALID,
    Outcome.OBSERVE: Exit.INCONCLUSIVE,
    Outcome.NOT_OBSERVED: Exit.INCONCLUSIVE,
    Outcome.UNTESTABLE: Exit.INCONCLUSIVE,
    Outcome.WAIVED: Exit.INCONCLUSIVE,
    Outcome.OWN: Exit.INCONCLUSIVE,
}


def test_every_outcome_and_exit_code_is_explained() -> None:
    """No word of a report is without its meaning."""
    assert set(MEANING) == set(Outcome) == set(ALONE)
    assert set(EXIT_MEANING) == set(Exit)
    assert set(VERDICT_NAME) == set(Exit) - {Exit.USAGE}


@pytest.mark.parametrize("outcome", Outcome)
def test_a_run_of_one_outcome(outcome: Outcome) -> None:
    """A run in which nothing was judged is inconclusive, never a pass."""
    assert decide(rows(outcome)).exit is ALONE[outcome]


def test_a_run_of_no_clause_is_inconclusive() -> None:
    """An empty run proves nothing."""
    assert decide([]).exit is Exit.INCONCLUSIVE


@pytest.mark.parametrize(("one", "other"), list(combinations(Outcome, 2)))
def test_precedence(one: Outcome, other: Outcome) -> None:
    """Invalid stands before violated, and violated before all else; what is not judged takes nothing from a pass."""
    order = [Exit.INVALID, Exit.VIOLATES, Exit.CONFORMS, Exit.INCONCLUSIVE]
    expected = min(ALONE[one], ALONE[other], key=order.index)

    assert decide(rows(one, other)).exit is expected
    assert decide(rows(other, one)).exit is expected


def test_strict_turns_warnings_red() -> None:
    """A warning passes without --strict and fails with it, whatever else passed."""
    warned = rows(Outcome.PASS, Outcome.WARN)

    assert decide(warned).exit is Exit.CONFORMS
    assert decide(warned, strict=True).exit is Exit.VIOLATES
    assert decide(rows(Outcome.PASS), strict=True).exit is Exit.CONFORMS


@pytest.mark.parametrize(
    ("outcome", "level", "exit"),
    [
        (Outcome.UNTESTABLE, Level.MUST, Exit.INCONCLUSIVE),
        (Outcome.NOT_OBSERVED, Level.MUST, Exit.INCONCLUSIVE),
        (Outcome.UNTESTABLE, Level.SHOULD, Exit.CONFORMS),
        (Outcome.NOT_OBSERVED, Level.SHOULD, Exit.CONFORMS),
        (Outcome.WAIVED, Level.MUST, Exit.CONFORMS),
        (Outcome.OWN, Level.MUST, Exit.CONFORMS),
    ],
)
def test_a_gate_needs_every_must(outcome: Outcome, level: Level, exit: Exit) -> None:
    """In a gate a MUST that was not judged is inconclusive unless it is waived; a check only names it."""
    mixed = [*rows(Outcome.PASS), *rows(outcome, level=level)]

    assert decide(mixed, gate=True).exit is exit
    assert decide(mixed).exit is Exit.CONFORMS


def test_a_gate_with_a_violation_is_red_before_it_is_inconclusive() -> None:
    """1 before 3."""
    assert decide(rows(Outcome.UNTESTABLE, Outcome.FAIL), gate=True).exit is Exit.VIOLATES


@pytest.mark.parametrize(
    ("outcome", "exit"),
    [
        (Outcome.PASS, Exit.INCONCLUSIVE),
        (Outcome.FAIL, Exit.VIOLATES),
        (Outcome.STALE, Exit.INCONCLUSIVE),
        (Outcome.BROKEN, Exit.INVALID),
    ],
)
def test_an_interrupted_run_never_passes(outcome: Outcome, exit: Exit) -> None:
    """What was found before Ctrl-C counts; what was kept, or did not happen, until then proves nothing."""
    assert decide(rows(outcome), interrupted=True).exit is exit


@pytest.mark.parametrize(
    ("verdict", "why"),
    [
        (decide(rows(Outcome.PASS)), "1 clause kept"),
        (decide(rows(Outcome.PASS, Outcome.PASS)), "2 clauses kept"),
        (
            decide(rows(Outcome.PASS, Outcome.WARN, Outcome.KNOWN, Outcome.WAIVED, Outcome.UNTESTABLE)),
            "1 clause kept; 1 warned of: EP-02; 1 known to be violated: EP-03; 1 waived: EP-04; "
            "1 not judged: EP-05",
        ),
        (
            decide(rows(Outcome.FAIL, Outcome.FAIL, Outcome.STALE)),
            "2 clauses violated: EP-01, EP-02; 1 clause stale in the target file: EP-03",
        ),
        (
            decide(rows(Outcome.WARN), strict=True),
            "1 clause warned of, which counts with --strict: EP-01",
        ),
        (
            decide(rows(*[Outcome.FAIL] * 10)),
            "10 clauses violated: EP-01, EP-02, EP-03, EP-04, EP-05, EP-06, EP-07, EP-08 and 2 more",
        ),
        (decide(rows(Outcome.BROKEN)), "the suite itself failed on EP-01"),
        (decide(rows(Outcome.OBSERVE)), "nothing could be judged"),
        (decide(rows(Outcome.PASS), interrupted=True), "interrupted before every probe had run"),
        (
            decide(rows(Outcome.PASS, Outcome.UNTESTABLE), gate=True),
            "a gate needs every MUST judged or waived: EP-02",
        ),
    ],
)
def test_the_sentence_says_why(verdict: object, why: str) -> None:
    """One sentence names the clauses that decided."""
    assert verdict.why == why  # type: ignore[attr-defined]


def test_verdicts_have_names() -> None:
    """Each exit code of a run is a word in its report."""
    assert [decide(rows(o)).name for o in (Outcome.PASS, Outcome.FAIL, Outcome.OBSERVE, Outcome.BROKEN)] == [
        "pass",
        "fail",
        "inconclusive",
        "invalid",
    ]


def test_a_silent_run_sums_up_to_the_registry() -> None:
    """Every clause of the contract has a row, and a run that saw nothing passes none of them."""
    contract = read_contract()
    silent = [row_of(clause, Seen(), Accepted(today=TODAY)) for clause in contract]

    assert [r.id for r in silent] == list(contract.ids)
    assert {r.outcome for r in silent} == {Outcome.NOT_OBSERVED, Outcome.OWN, Outcome.OBSERVE}
    assert decide(silent).exit is Exit.INCONCLUSIVE
