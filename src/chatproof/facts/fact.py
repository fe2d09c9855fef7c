"""What a fact is: a pure judgement of one exchange, or of all exchanges of a run, declared with its clause.

The way of a fact: `of` says which answers are its subjects; the judgement then yields a :class:`Problem` for each
violation it sees, and nothing where the answer is right. A fact never asks what other facts asked of the same
answer: it selects only answers on which its own clause can be decided.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from chatproof.answer import Answer
from chatproof.contract import ErrorCode, Level
from chatproof.money import Prices
from chatproof.target import Settings
from chatproof.verdict import Problem


class Schema(Protocol):
    """A validator of one JSON Schema."""

    def problems(self, value: object) -> Iterable[tuple[str, str]]:
        """Each violation as (where in the value, what is wrong)."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """What one model costs: prices in USD per token and the markup in credits per USD; `None` where unknown."""

    prices: Prices | None = None
    markup: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On what exchanges are judged: the open questions as the target file settles them, schemas and tariffs."""

    settings: Settings
    error_codes: tuple[ErrorCode, ...]
    schemas: Mapping[str, Schema]
    tariffs: Mapping[str, Tariff] = field(default_factory=dict)  # by model id
    rate: Decimal | None = None  # credits per USD for the displayed reference


Subject = Callable[[Answer], bool]
Judgement = Callable[[Answer, Terms], Iterable[Problem]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A judgement of one exchange.

    `cheap` facts read only what a load engine keeps of every stream (head, ending, marks); the others need the body.
    `needs` names the line of the target file without which the fact cannot judge an answer, or `None`.
    """

    clause: str
    of: Subject
    judge: Judgement
    cheap: bool = False
    needs: Callable[[Answer, Terms], str | None] | None = None

    @property
    def name(self) -> str:
        """The judgement's own name, for reports."""
        return getattr(self.judge, "__name__", self.clause).replace("_", " ")


def fact(
    clause: str,
    *,
    of: Subject,
    cheap: bool = False,
    needs: Callable[[Answer, Terms], str | None] | None = None,
) -> Callable[[Judgement], Fact]:
    """Declare a judgement of one exchange under its clause."""
    return lambda judge: Fact(clause=clause, of=of, judge=judge, cheap=cheap, needs=needs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Distinct:
    """A judgement of a whole run: no two owners may show the same token. Merges over workers as pairs."""

    clause: str
    of: Subject
    token: Callable[[Answer], Hashable | None]
    owner: Callable[[Answer], str]
    expected: str

    def clashes(self, answers: Iterable[Answer]) -> Iterator[tuple[Answer, Problem]]:
        """Each answer whose token an earlier owner has shown already."""
        seen: dict[Hashable, str] = {}
        for answer in answers:
            token = self.token(answer)
            if token is None:
                continue
            first = seen.setdefault(token, self.owner(answer))
            if first != self.owner(answer):
                yield answer, Problem(expected=self.expected, actual=f"{token!r} came before, in {first}")


def should(expected: str, actual: object) -> Problem:
    """A violation of a SHOULD limb, whatever the clause's own level."""
    return Problem(expected=expected, actual=shown(actual), level=Level.SHOULD)


def must(expected: str, actual: object) -> Problem:
    """A violation of a MUST limb, whatever the clause's own level."""
    return Problem(expected=expected, actual=shown(actual), level=Level.MUST)


def problem(expected: str, actual: object, at: tuple[int, int] | None = None) -> Problem:
    """A violation at the clause's own level; `at` are the bytes of the body that show it."""
    return Problem(expected=expected, actual=shown(actual), at=at)


def shown(value: object, most: int = 200) -> str:
    """A value as a finding prints it: text as it is, all else as Python writes it, cut at `most` characters."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"
