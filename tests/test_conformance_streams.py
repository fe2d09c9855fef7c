"""What the probes of streams say where this client was late, or not every stream of a crowd came to its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from chatproof.answer import Answer
from chatproof.check import Conductor, check
from chatproof.record import Exchange, Read, Transfer
from chatproof.reference import embedded, target_text
from chatproof.target import Target, folder, parse_target
from chatproof.verdict import ClauseRow, Outcome
from chatproof.wire import Call, Gateway
from chatproof.wire.lateness import Lateness

MS = 1_000_000
SEED = 7


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    """The clean reference."""
    with embedded() as reference:
        text = target_text(reference.base_url)
        yield parse_target(text, name="reference", beside=Path(), env={})


class Seeing(Gateway):
    """A client that sees some exchanges otherwise than they were."""

    def __init__(self, target: Target, see: Callable[[Exchange], Exchange]) -> None:
        super().__init__(target, seed=SEED)
        self._see = see

    def send(self, call: Call, line: object = None) -> Answer:
        """The answer as it is seen."""
        return Answer(self._see(super().send(call).exchange))


def row(target: Target, file: str, probe: str, clause: str, see: Callable[[Exchange], Exchange]) -> ClauseRow:
    """The clause's row after one probe, by a client that sees so."""
    gateway = Seeing(target, see)
    try:
        judged = check(
            Conductor(target, SEED, gateway=gateway),
            select=[f"{folder('conformance') / f'test_{file}.py'}::test_{probe}"],
        )
    finally:
        gateway.close()
    return next(row for row in judged.rows if row.id == clause)


def as_it_was(exchange: Exchange) -> Exchange:
    """What was seen is what was."""
    return exchange


# --- a late client ------------------------------------------------------------------------------------------


@contextmanager
def kept_from_running() -> Iterator[None]:
    """Nearly all the time of a block, one operation lets no other thread of this process run."""
    stop = threading.Event()

    def hog() -> None:
        while not stop.wait(0.012):
            assert 3**4_000_000 > 0

    thread = threading.Thread(target=hog)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.alone
def test_a_client_that_cannot_run_accuses_nobody(target: Target) -> None:
    """STR-09: what comes to it at one moment did not come so for all it knows."""
    with kept_from_running():
        seen = row(target, "streaming_pace", "content_comes_as_it_is_made", "STR-09", as_it_was)

    assert seen.outcome is Outcome.NOT_OBSERVED
    assert "the client was late in" in seen.reason


@pytest.mark.alone
def test_without_its_clock_it_would_accuse(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test before proves something: but for the client's lateness, the streams look held back."""
    monkeypatch.setattr(Lateness, "between", lambda *_: 0)
    with kept_from_running():
        seen = row(target, "streaming_pace", "content_comes_as_it_is_made", "STR-09", as_it_was)

    assert seen.outcome is Outcome.FAIL


def first_seen_late(by_ms: int, *, told: bool) -> Callable[[Exchange], Exchange]:
    """Sees nothing of a long answer for so long after it was asked for; and may know that it was late."""

    def see(exchange: Exchange) -> Exchange:
        if not exchange.tag.step.startswith("long"):
            return exchange
        awake_ns = (exchange.sent_ns or 0) + by_ms * MS
        reads = tuple(Read(max(read.at_ns, awake_ns), read.data) for read in exchange.reads)
        return replace(
            exchange,
            reads=reads,
            ended_ns=max(exchange.ended_ns, awake_ns),
            lateness_ns=by_ms * MS if told else 0,
        )

    return see


@pytest.mark.alone
@pytest.mark.parametrize(("told", "outcome"), [(True, Outcome.NOT_OBSERVED), (False, Outcome.FAIL)])
def test_first_content_that_was_seen_late_is_not_held_back(
    target: Target, told: bool, outcome: Outcome
) -> None:
    """STR-09: a first content that may have been there before the client looked accuses nobody."""
    see = first_seen_late(300, told=told)
    seen = row(target, "streaming_pace", "first_content_is_not_held_back", "STR-09", see)

    assert seen.outcome is outcome


# --- a crowd ------------------------------------------------------------------------------------------------


def breaking(steps: int) -> Callable[[Exchange], Exchange]:
    """Sees the first streams of a crowd break off."""
    broken = {f"stream-{n:02}" for n in range(1, steps + 1)}

    def see(exchange: Exchange) -> Exchange:
        if exchange.tag.step not in broken:
            return exchange
        return replace(exchange, reads=exchange.reads[:2], transfer=Transfer.RESET, detail="reset by peer")

    return see


@pytest.mark.parametrize(
    ("broken", "outcome", "reason"),
    [
        (0, Outcome.PASS, ""),
        (1, Outcome.PASS, "judged on the 15 of 16 streams at once that came to their end"),
        (14, Outcome.PASS, "judged on the 2 of 16 streams at once that came to their end"),
        (15, Outcome.NOT_OBSERVED, "1 of 16 streams at once came to their end: 200 (reset: reset by peer)"),
    ],
)
def test_a_crowd_is_judged_by_those_that_came(
    target: Target, broken: int, outcome: Outcome, reason: str
) -> None:
    """STR-17: two whole streams at once can tell whether they mix, and the row says how many there were."""
    seen = row(target, "streaming_crowd", "concurrent_streams_do_not_mix", "STR-17", breaking(broken))

    assert (seen.outcome, seen.reason) == (outcome, reason)
