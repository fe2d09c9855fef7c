"""What a rule is: a named reason to refuse a request, and the first that applies wins."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from .problem import Problem


class Asked(Protocol):
    """What a rule may look at; `body` is the parsed JSON, or the reason why it could not be parsed."""

    @property
    def authorization(self) -> str | None:
        """The Authorization header."""

    @property
    def raw(self) -> bytes:
        """The body as it came."""

    @property
    def body(self) -> Any:
        """The parsed body."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A named reason to refuse."""

    name: str
    check: Callable[[Asked], Problem | None]


def first_problem(asked: Asked, rules: Iterable[Rule], without: Container[str] = ()) -> Problem | None:
    """What the first rule that objects says, with the rule's name; rules in `without` are passed over."""
    for rule in rules:
        if rule.name not in without and (problem := rule.check(asked)) is not None:
            return replace(problem, rule=rule.name)
    return None
