"""Two live targets measured in turns: A B B A A B B A ..., so that what changes meanwhile touches both alike.

What all the runs will ask is confirmed once, before the first of them, and no run starts that a budget has no room
for. Knows nothing of how a run is made: `Measure` makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from chatproof.metrics import StreamRow
from chatproof.metrics.compare import LEAST_PAIRS, Pair
from chatproof.metrics.measures import spent
from chatproof.record import Ending
from chatproof.swarm.asking import aim
from chatproof.swarm.asking.aim import UsageError
from chatproof.swarm.asking.plan import OPTIONS, whole_seconds, workloads_of
from chatproof.swarm.compare.recorded import Recorded, read_run
from chatproof.target import Target, TargetError
from chatproof.verdict import Exit

Measure = Callable[[Mapping[str, Any], Path], int]  # options and folder of one run -> exit code
Say = Callable[[str], object]


class Unmeasured(Exception):
    """A run that was not made or cannot be used; the message says why."""

    def __init__(self, exit: Exit, why: str) -> None:
        super().__init__(why)
        self.exit = exit


@dataclass(frozen=True, slots=True)
class Turns:
    """The pairs that were measured; where it ended before the last, the exit code of that and why."""

    pairs: tuple[Pair, ...]
    exit: Exit = Exit.CONFORMS
    why: str = ""


def in_turns(
    a: Mapping[str, Any],
    b: Mapping[str, Any],
    measure: Measure,
    *,
    pairs: int,
    names: tuple[str, str] = ("A", "B"),
    say: Say = lambda text: None,
    again: int = 0,
) -> Turns:
    """Runs with the options of A and of B, in turns. Both of a pair ask the same words, under other nonces.

    A pair in which a run ends INVALID is measured again, `again` times in all; then, or where a run has no answer at
    all, nothing is measured any further.
    """
    if pairs < LEAST_PAIRS:
        raise UsageError(f"{pairs} pairs tell nothing: {LEAST_PAIRS} are the least")
    found: list[Pair] = []
    while len(found) < pairs:
        number = len(found) + 1
        rows: dict[str, Sequence[StreamRow]] = {}
        for side in "AB" if number % 2 else "BA":
            options = a if side == "A" else b
            name = names["AB".index(side)]
            try:
                run = _one({**options, "seed": options.get("seed", 1) + number - 1}, measure)
            except Unmeasured as problem:
                why = f"pair {number}, {name}: {problem}"
                if problem.exit is Exit.INVALID and again:
                    again -= 1
                    say(f"{why}; the pair is measured again")
                    break
                return Turns(tuple(found), problem.exit, why)
            rows[side] = run.rows
            complete = sum(row.ending is Ending.COMPLETE for row in run.rows)
            say(f"pair {number} of {pairs}, {name}: {complete} of {len(run.rows)} requests complete")
        else:
            found.append((rows["A"], rows["B"]))
    return Turns(tuple(found))


def _one(options: Mapping[str, Any], measure: Measure) -> Recorded:
    """One run; Unmeasured where it cannot be used."""
    with TemporaryDirectory(prefix="chatproof-") as folder:
        code = measure(options, Path(folder))
        if code == Exit.INVALID:
            raise Unmeasured(Exit.INVALID, "the run was INVALID")
        if code == Exit.USAGE:
            raise Unmeasured(Exit.USAGE, "the run could not be made")
        run = read_run(Path(folder))
    if run.interrupted:
        raise Unmeasured(Exit.INCONCLUSIVE, "it was interrupted")
    if not any(row.ending is Ending.COMPLETE for row in run.rows):
        details = sorted({row.detail for row in run.rows if row.detail})
        raise Unmeasured(Exit.INCONCLUSIVE, f"no answer was complete{': ' + details[0] if details else ''}")
    return run


@dataclass
class Side:
    """One of the two targets, as its options name it, and what it was asked so far."""

    options: Mapping[str, Any]
    target: Target
    model: str
    requests: int = 0
    credits: Decimal = Decimal(0)
    _largest: tuple[int, Decimal] = field(default=(0, Decimal(0)))

    @classmethod
    def of(cls, options: Mapping[str, Any], env: Mapping[str, str]) -> Side:
        """The side that `target`, `base_url` and `model` of the options name; UsageError where they name none."""
        try:
            target = aim.target_of(options.get("target"), options.get("base_url"), env)
        except TargetError as problem:
            raise UsageError(str(problem)) from None
        if target is None:
            raise UsageError("no target is named: give --target FILE, --base-url URL or BEATRA_BASE_URL")
        return cls(options, target, aim.model_of(target, options.get("model")))

    @property
    def named(self) -> tuple[Any, Any]:
        """What names it: runs of one target count together, on whichever side they are."""
        return named_by(self.options)

    def book(self, rows: Sequence[StreamRow]) -> None:
        """A run of it is over."""
        credits = spent(rows)[0]
        self.requests += len(rows)
        self.credits += credits
        self._largest = max(self._largest[0], len(rows)), max(self._largest[1], credits)

    def refusal(self) -> str | None:
        """Why its budget has no room for one more run like the largest so far; None where it has."""
        budget = self.target.budget
        requests, credits = self._largest
        if self.requests + requests > budget.load_requests:
            return f"the budget of {budget.load_requests:,} requests has no room for another run"
        if budget.credits is not None and self.credits + credits > budget.credits:
            return f"the budget of {budget.credits} credits has no room for another run"
        return None


def named_by(options: Mapping[str, Any]) -> tuple[Any, Any]:
    """What names the target of some options."""
    return options.get("target"), options.get("base_url")


def confirm(sides: Sequence[Side], scenario: str, pairs: int, *, yes: bool) -> None:
    """Says what all runs together will ask of each side, and asks; UsageError where nobody says yes."""
    texts = []
    for side in sides:
        given = {**{option.dest: option.default for option in OPTIONS}, **side.options}
        lasts = whole_seconds(str(given["duration"])) * pairs
        requests = round(given["rate"] * lasts) if scenario == "arrivals" else None
        cost = aim.estimate(side.target, side.model, workloads_of(given), requests)
        limit = side.target.budget.load_requests
        if requests is not None and requests > limit:
            raise UsageError(
                f"{requests:,} requests go to {side.target.base_url}, more than its budget of {limit:,}: "
                "ask for fewer --pairs, a lower --rate or a shorter --duration"
            )
        texts.append(cost.lines(side.target, side.model, given.get("users") or 1, lasts))
    aim.confirm("\n".join(texts), loopback=all(side.target.is_loopback for side in sides), yes=yes)
