"""The words that faults and variations are made of, in one place.

A **fault** is a name, a sentence that says what the deployment does wrong, the clauses of the contract that
this violates, and one or more *changes*. A **variation** is a name, a sentence and changes that violate
nothing.

A **change** is made by a verb of :mod:`.changes` and acts at one seam (the table in :mod:`.seams` lists them
in the order in which a request passes them); ``when=`` takes a condition of :mod:`.conditions`. Verbs, by
what they act on:

=================  ==========================================================================================
refusals           `accept` (leave rules out), `let_through`, `refuse` (one more reason), `limit` (429, 402,
503),
                   `remap` (other status, code, message, retryable, param, headers), `told_in_stream`
JSON documents     `put`, `drop` (at a pointer, ``*`` for each item), `document` (another one), `usage`;
                   at COMPLETION, ENVELOPE, DOCUMENT, SHOWN_USAGE, or ASKED: the request's own body
a stream's events  `put_in`, `drop_in` (in chunks of some kinds), `without`, `insert`, `events` (anything)
a reply's bytes    `header`, `answer_status`, `body`, `rewrite`, `splits`, `coalesced`, `held_back`, `later`,
                   `ends` (cut, reset, hang, deaf, at any frame), `frames` and `reply` (anything)
values in between  `Change(SEAM, edit, when)` with ``edit(call, value) -> value`` at REQUEST_ID, SCOPE, SAME,
                   WAITS, KEEPS, ANSWER, USAGE, CHARGE, POSTINGS, IDENTITY
=================  ==========================================================================================

Conditions combine: ``STREAM & SECOND_MODEL``, ``status(401) & ~CLIENT_ID``, ``crowded(8)``. An edit that
needs to remember something between calls keeps it in ``call.world.memory``. A change has *fired* only where
the value became another one; the truth log and ``GET /faults/NAME/fired`` tell.

`breaks` is written from the contract: every clause that a deployment with this fault violates, with the
outcome that its level asks for, and no other. `blinds` names the clauses that nobody can judge on it any
more. Prefer a fault that breaks one clause, under the narrowest condition under which a real gateway would
have the defect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .seams import Change


@dataclass(frozen=True)
class Fault:
    """A deployment broken in one way; `breaks` and `blinds` give outcomes by clause id."""

    name: str
    sentence: str
    breaks: Mapping[str, str]
    changes: tuple[Change[Any], ...]
    blinds: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Variation:
    """A deployment that is odd and legal; `settings` is TOML that its target file needs beside the usual.

    `outcomes` names the clauses that are not a pass all the same: a setting opens them, or nothing is left to judge.
    """

    name: str
    sentence: str
    changes: tuple[Change[Any], ...]
    settings: str = ""
    outcomes: Mapping[str, str] = field(default_factory=dict)


Named = TypeVar("Named", Fault, Variation)


def fails(*clauses: str) -> dict[str, str]:
    """MUST clauses (or limbs) that are violated."""
    return dict.fromkeys(clauses, "fail")


def warns(*clauses: str) -> dict[str, str]:
    """SHOULD clauses (or limbs) that are violated."""
    return dict.fromkeys(clauses, "warn")


def unseen(*clauses: str) -> dict[str, str]:
    """Clauses of which nothing is left to judge."""
    return dict.fromkeys(clauses, "not_observed")


def by_name(*shelves: tuple[Named, ...]) -> Mapping[str, Named]:
    """Faults, or variations, by their name.

    Raises ValueError where a name is given twice.
    """
    found: dict[str, Named] = {}
    for one in (one for shelf in shelves for one in shelf):
        if one.name in found:
            raise ValueError(f"two are named {one.name}")
        found[one.name] = one
    return found
