"""The contract as values: clauses, error codes, open questions, parsed from text. Knows no file, no check."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Final, Literal

import msgspec

_ID: Final = re.compile(r"[A-Z]{2,3}-\d{2}")
_SERVER_ERRORS: Final = range(500, 600)


class Level(StrEnum):
    """What a deviation from a clause does to a run."""

    MUST = "MUST"  # it fails
    SHOULD = "SHOULD"  # it warns
    OBSERVE = "OBSERVE"  # it is recorded, never judged


class ContractError(ValueError):
    """The contract's text is not well formed, or a clause was asked for that it does not have."""


class Clause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One promise of the deployment; its id is public and never changes its meaning."""

    id: str
    level: Level
    section: str
    sentence: str
    source: str
    every: bool = False  # judged on every exchange of its kind, load traffic and recordings included
    unchecked: str | None = None  # why no run can judge it from outside


class ErrorCode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of the error-code table: the statuses a code comes with, and what `retryable` then says."""

    statuses: tuple[int, ...]
    retryable: bool
    code: str | None = None  # None: any code with one of these statuses
    setting: str | None = None  # the key of the target file's [settings] that changes this row
    note: str = ""


class Ambiguity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question that the sources leave open, and what is taken until a setting says otherwise."""

    id: str
    question: str
    default: str
    why: str
    clauses: tuple[str, ...]
    setting: str | None = None


class Contract(msgspec.Struct, frozen=True):
    """Every clause in the contract's own order, with its error codes and open questions."""

    clauses: tuple[Clause, ...]
    error_codes: tuple[ErrorCode, ...]
    ambiguities: tuple[Ambiguity, ...]

    @classmethod
    def parse(cls, text: str) -> Contract:
        """Read a contract from TOML text; a `ContractError` names what is missing, unknown or said twice."""
        try:
            rows = msgspec.convert(tomllib.loads(text), _Rows)
        except (tomllib.TOMLDecodeError, msgspec.ValidationError) as problem:
            raise ContractError(f"the contract cannot be read: {problem}") from problem
        _check_ids(row.id for row in rows.clause)
        _check_ids((row.id for row in rows.ambiguity), pattern=None)
        named = {row.id for row in rows.clause}
        for ambiguity in rows.ambiguity:
            if unknown := [id for id in ambiguity.clauses if id not in named]:
                raise ContractError(
                    f"ambiguity {ambiguity.id} names clauses that do not exist: {', '.join(unknown)}"
                )
        return cls(rows.clause, _spelled_out(rows.error_code), rows.ambiguity)

    def __getitem__(self, id: str) -> Clause:
        for clause in self.clauses:
            if clause.id == id:
                return clause
        raise ContractError(f"the contract has no clause {id!r}")

    def __contains__(self, id: object) -> bool:
        return any(clause.id == id for clause in self.clauses)

    def __iter__(self) -> Iterator[Clause]:
        return iter(self.clauses)

    def __len__(self) -> int:
        return len(self.clauses)

    @property
    def ids(self) -> tuple[str, ...]:
        """Every clause's id, in order."""
        return tuple(clause.id for clause in self.clauses)

    @property
    def sections(self) -> tuple[str, ...]:
        """The names of the sections, each once, in order."""
        return tuple(dict.fromkeys(clause.section for clause in self.clauses))

    def section(self, name: str) -> tuple[Clause, ...]:
        """The clauses of one section, in order."""
        return tuple(clause for clause in self.clauses if clause.section == name)

    def ambiguities_of(self, id: str) -> tuple[Ambiguity, ...]:
        """The open questions that touch a clause."""
        return tuple(ambiguity for ambiguity in self.ambiguities if id in ambiguity.clauses)


class _CodeRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    statuses: tuple[int, ...] | Literal["5xx"]
    retryable: bool
    code: str | None = None
    setting: str | None = None
    note: str = ""


class _Rows(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    clause: tuple[Clause, ...]
    error_code: tuple[_CodeRow, ...] = ()
    ambiguity: tuple[Ambiguity, ...] = ()


def _check_ids(ids: Iterable[str], pattern: re.Pattern[str] | None = _ID) -> None:
    for id, count in Counter(ids).items():
        if count > 1:
            raise ContractError(f"the contract has {id} {count} times")
        if pattern and not pattern.fullmatch(id):
            raise ContractError(f"{id!r} is not a clause id: two or three capitals, a dash, two digits")


def _spelled_out(rows: tuple[_CodeRow, ...]) -> tuple[ErrorCode, ...]:
    for code, count in Counter(row.code for row in rows if row.code).items():
        if count > 1:
            raise ContractError(f"the contract has the error code {code} {count} times")
    return tuple(
        ErrorCode(
            statuses=tuple(_SERVER_ERRORS) if row.statuses == "5xx" else row.statuses,
            retryable=row.retryable,
            code=row.code,
            setting=row.setting,
            note=row.note,
        )
        for row in rows
    )
