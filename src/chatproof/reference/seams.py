"""Where a world may differ from the contract: typed seams between stages, and the changes that act on them.

The application passes each intermediate value through its seam. In the clean world that gives the value back;
in a world with changes, each change of that seam whose condition holds may give another one, and has then
*fired*. A change gets the call and the value, and must return a new value, never edit the one it was given
(JSON documents are handed over as copies and may be edited in place).

===========  =====================  ========================================================================
seam         value                  what it is
===========  =====================  ========================================================================
REQUEST_ID   str                    the id of this request, before it goes into header, envelope and log
ASKED        Any                    the parsed body of a chat request, before the rules look at it
PROBLEM      Problem | None         what the rules said; None is accepted
LIMIT        Problem | None         what account and model said: 429, 402, 503
SCOPE        Hashable | None        the idempotency store's key; None runs without the store
SAME         bool                   a stored request and this one are the same
WAITS        bool                   a duplicate of a request in flight waits for it
KEEPS        bool                   the outcome (`call.problem`, or a completion) is stored under the key
REFUSAL      Problem                any refusal, whoever made it, before it becomes an envelope
ANSWER       Answer                 tokens of each choice and why it ended
USAGE        Usage                  token counts, as shown and as priced
CHARGE       Charge                 credits and reference, as shown and as posted
POSTINGS     tuple[Decimal, ...]    amounts taken off the wallet, () for a replay and for a refusal
IDENTITY     Identity               id, created and model of the completion
SHOWN_USAGE  dict                   the usage object, sync or in a stream
COMPLETION   dict                   the whole body of a sync answer
CHUNKS       tuple[Chunk, ...]      the events of a stream, ``[DONE]`` included, each with the pause before it
ENVELOPE     dict                   the body of an error
DOCUMENT     dict                   the body of /models and /health
REPLY        Reply                  status, headers, frames of bytes, ending: what the transport will do
===========  =====================  ========================================================================
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .model import Answer
from .problem import Problem
from .reply import Chunk, Json, Reply
from .wallet import Charge, Usage

if TYPE_CHECKING:
    from .call import Call

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one completion from another."""

    id: str
    created: int
    model: str


@dataclass(frozen=True, slots=True, eq=False)
class Seam(Generic[T]):
    """A named place between two stages, with the type of the value that passes it."""

    name: str


REQUEST_ID: Seam[str] = Seam("request_id")
ASKED: Seam[Any] = Seam("asked")
PROBLEM: Seam[Problem | None] = Seam("problem")
LIMIT: Seam[Problem | None] = Seam("limit")
SCOPE: Seam[Hashable | None] = Seam("scope")
SAME: Seam[bool] = Seam("same")
WAITS: Seam[bool] = Seam("waits")
KEEPS: Seam[bool] = Seam("keeps")
REFUSAL: Seam[Problem] = Seam("refusal")
ANSWER: Seam[Answer] = Seam("answer")
USAGE: Seam[Usage] = Seam("usage")
CHARGE: Seam[Charge] = Seam("charge")
POSTINGS: Seam[tuple[Decimal, ...]] = Seam("postings")
IDENTITY: Seam[Identity] = Seam("identity")
SHOWN_USAGE: Seam[Json] = Seam("shown_usage")
COMPLETION: Seam[Json] = Seam("completion")
CHUNKS: Seam[tuple[Chunk, ...]] = Seam("chunks")
ENVELOPE: Seam[Json] = Seam("envelope")
DOCUMENT: Seam[Json] = Seam("document")
REPLY: Seam[Reply] = Seam("reply")


@dataclass(frozen=True, slots=True)
class When:
    """A condition on a call; conditions combine with ``&``, ``|`` and ``~``."""

    name: str
    holds: Callable[[Call], bool]

    def __and__(self, other: When) -> When:
        return When(f"{self.name} and {other.name}", lambda call: self.holds(call) and other.holds(call))

    def __or__(self, other: When) -> When:
        return When(f"({self.name} or {other.name})", lambda call: self.holds(call) or other.holds(call))

    def __invert__(self) -> When:
        return When(f"not {self.name}", lambda call: not self.holds(call))


ALWAYS = When("always", lambda call: True)


@dataclass(frozen=True, slots=True, eq=False)
class Change(Generic[T]):
    """An edit of the value at one seam, made where the condition holds."""

    seam: Seam[T]
    edit: Callable[[Call, T], T]
    when: When = ALWAYS

    def applied(self, call: Call, value: T) -> T:
        """The value after the edit; the same value where the condition does not hold."""
        if not self.when.holds(call):
            return value
        return self.edit(call, copy.deepcopy(value) if isinstance(value, dict) else value)


def differs(before: Any, after: Any) -> bool:
    """Whether an edit changed anything that can be seen; 1, 1.0 and true are different values."""
    return before is not after and repr(before) != repr(after)
