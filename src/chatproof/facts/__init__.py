"""Pure judgements of exchanges: every fact of the contract, and how a set of answers is judged by them all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from chatproof.answer import Answer
from chatproof.facts import billing, errors, request_id, response, streaming
from chatproof.facts.fact import Distinct, Fact, Schema, Tariff, Terms
from chatproof.verdict import Problem

__all__ = ["DISTINCT", "FACTS", "Distinct", "Fact", "Schema", "Tally", "Tariff", "Terms", "judge", "oddities"]

MIXING = "STR-17"
_MODULES = (response, streaming, request_id, errors, billing)
FACTS: tuple[Fact, ...] = tuple(f for m in _MODULES for f in vars(m).values() if isinstance(f, Fact))
DISTINCT: tuple[Distinct, ...] = tuple(
    f for m in _MODULES for f in vars(m).values() if isinstance(f, Distinct)
)


@dataclass(frozen=True, slots=True)
class Tally:
    """What the facts of one clause saw: subjects, violations with the answer that shows each, what was missing."""

    subjects: int
    problems: tuple[tuple[Answer, Problem], ...]
    untestable: tuple[str, ...] = ()


def judge(answers: Sequence[Answer], terms: Terms) -> Mapping[str, Tally]:
    """Judge all answers of a run, in order, by every fact; one tally per clause that is judged on every exchange."""
    tallies: dict[str, Tally] = {}
    for fact in FACTS:
        _add(tallies, fact.clause, _by_fact(fact, answers, terms))
    for distinct in DISTINCT:
        subjects = [answer for answer in answers if distinct.of(answer)]
        counted = distinct.clause == MIXING or any(f.clause == distinct.clause for f in FACTS)
        shared = () if counted else subjects
        _add(tallies, distinct.clause, Tally(len(shared), tuple(distinct.clashes(subjects))))
    # A stream without an id is looked at for the nonces of others all the same.
    streams = sum(answer.is_stream and bool(answer.chunks) for answer in answers)
    _add(tallies, MIXING, Tally(streams, tuple(_foreign_nonces(answers))))
    return tallies


def _by_fact(fact: Fact, answers: Sequence[Answer], terms: Terms) -> Tally:
    subjects = [answer for answer in answers if fact.of(answer)]
    missing = {id(a): line for a in subjects if fact.needs and (line := fact.needs(a, terms)) is not None}
    judged = [answer for answer in subjects if id(answer) not in missing]
    problems = tuple((answer, found) for answer in judged for found in fact.judge(answer, terms))
    lines = tuple(dict.fromkeys(missing.values())) if not judged else ()
    return Tally(len(judged), problems, lines)


def _add(tallies: dict[str, Tally], clause: str, new: Tally) -> None:
    old = tallies.get(clause, Tally(0, ()))
    tallies[clause] = Tally(
        old.subjects + new.subjects, old.problems + new.problems, old.untestable + new.untestable
    )


def _foreign_nonces(answers: Sequence[Answer]) -> Iterator[tuple[Answer, Problem]]:
    """STR-17: a nonce of one prompt seen in the answer to another; what shares an idempotency key may share a text."""
    sent: dict[str, set[str]] = {}
    for answer in answers:
        sent.setdefault(answer.operation, set()).update(answer.nonces_sent)
    known = {nonce for nonces in sent.values() for nonce in nonces}
    for answer in answers:
        foreign = sorted((streaming.nonces_in(answer) & known) - sent[answer.operation])
        if foreign:
            expected = "only what this prompt brought in the answer to it"
            yield answer, Problem(expected=expected, actual=f"{foreign[0]}, the nonce of another prompt")


def oddities(answers: Sequence[Answer]) -> Mapping[str, int]:
    """STR-19: in how many streams each legal oddity was seen."""
    counts: dict[str, int] = {}
    for answer in answers:
        if answer.is_stream:
            for name in answer.stream.oddities:
                counts[str(name)] = counts.get(str(name), 0) + 1
    return counts
