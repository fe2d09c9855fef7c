"""What can be said of a clause, and how a run can end: the words that every command, report and exit code shares."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum


class Outcome(StrEnum):
    """What a run says of one clause."""

    PASS = "pass"
    FAIL = "fail"  # a MUST is violated
    WARN = "warn"  # a SHOULD is violated
    OBSERVE = "observe"  # recorded, not judged
    NOT_OBSERVED = "not_observed"  # no subject, or only noise
    UNTESTABLE = "untestable"  # the target file lacks what the check needs
    WAIVED = "waived"  # untestable, accepted with a reason
    KNOWN = "known"  # every finding is a listed deviation
    STALE = "stale"  # a listed deviation that no longer happens, or has expired
    BROKEN = "broken"  # the suite's own fault
    OWN = "own"  # proved by the project's tests, not by a run


MEANING: Mapping[Outcome, str] = {
    Outcome.PASS: "seen, and kept",
    Outcome.FAIL: "a MUST is violated",
    Outcome.WARN: "a SHOULD is violated; fails the run with --strict",
    Outcome.OBSERVE: "recorded, never judged",
    Outcome.NOT_OBSERVED: "nothing to judge came by, or only noise; the row says why",
    Outcome.UNTESTABLE: "the target file lacks what the check needs; the row says which line",
    Outcome.WAIVED: "untestable, accepted by a [[waive]] entry",
    Outcome.KNOWN: "violated only as a [[deviation]] entry says",
    Outcome.STALE: "a [[deviation]] or [[waive]] entry no longer applies, or has expired",
    Outcome.BROKEN: "the suite itself failed: not the target's fault",
    Outcome.OWN: "a duty of this suite, proved by its own tests",
}

JUDGED = (Outcome.PASS, Outcome.WARN, Outcome.KNOWN)  # beside those that are red


class Exit(IntEnum):
    """Exit codes, the same for every command."""

    CONFORMS = 0
    VIOLATES = 1
    USAGE = 2
    INCONCLUSIVE = 3
    INVALID = 4


EXIT_MEANING: Mapping[Exit, str] = {
    Exit.CONFORMS: "conforms",
    Exit.VIOLATES: "does not conform: fail, stale, an SLO missed, a regression; warn with --strict",
    Exit.USAGE: "usage: a wrong option, target file or environment",
    Exit.INCONCLUSIVE: "inconclusive: no HTTP answer at all, nothing judged, too few samples, interrupted",
    Exit.INVALID: "invalid: the suite broke, the client was saturated, samples were lost",
}
VERDICT_NAME: Mapping[Exit, str] = {
    Exit.CONFORMS: "pass",
    Exit.VIOLATES: "fail",
    Exit.INCONCLUSIVE: "inconclusive",
    Exit.INVALID: "invalid",
}


class Untestable(Exception):
    """A probe cannot judge because the target file lacks something; the text names the line that would provide it."""


class NotObserved(Exception):
    """A probe could not judge: only noise came, or the client was late; the text says which."""
