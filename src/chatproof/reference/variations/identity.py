"""Oddities of ids and of idempotency: how ids look, and what a duplicate gets while the first is under way."""

from __future__ import annotations

import secrets
import string
import uuid
from collections.abc import Callable
from dataclasses import replace

from ..call import Call
from ..changes import header, limit, refuse
from ..conditions import CLIENT_ID, REPLAY, STREAM, header_sent
from ..problem import Problem, invalid
from ..seams import IDENTITY, KEEPS, REQUEST_ID, WAITS, Change, Identity, When
from ..vocabulary import Variation

_OWN = "X-Request-Id"
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LONGEST = 128


def _word(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


def _generated(make: Callable[[], str]) -> Change[str]:
    """Ids that the client did not send look so."""
    return Change(REQUEST_ID, lambda call, id: id if id == call.header(_OWN) else make())


def _completion(make: Callable[[], str]) -> Change[Identity]:
    return Change(IDENTITY, lambda call, made: replace(made, id=make()))


def _cut(call: Call, id: str) -> str:
    """A hostile id less its odd characters, and no longer than allowed."""
    sent = call.header(_OWN)
    kept = "".join(one for one in sent or "" if one.isascii() and (one.isalnum() or one in "._-"))[:_LONGEST]
    return kept or id


_IDS = (
    Variation("request-id-uuid", "Request ids are UUIDs.", (_generated(lambda: str(uuid.uuid4())),)),
    Variation(
        "request-id-ulid", "Request ids are ULIDs.", (_generated(lambda: f"01J{_word(_CROCKFORD, 23)}"),)
    ),
    Variation(
        "request-id-longest",
        "Request ids have 128 characters.",
        (_generated(lambda: _word(string.ascii_letters + string.digits + "._-", _LONGEST)),),
    ),
    Variation(
        "request-id-digest",
        "Request ids look like digests: 64 hexadecimal digits.",
        (_generated(lambda: secrets.token_hex(32)),),
    ),
    Variation(
        "request-id-foreign",
        "Request ids have a colon, slashes and a sign of equality, as some meshes make them.",
        (_generated(lambda: f"Root=1-67/{uuid.uuid4().hex}:edge"),),
    ),
    Variation(
        "hostile-id-cut", "An odd id of the client's is cut to what is allowed.", (Change(REQUEST_ID, _cut),)
    ),
    Variation(
        "hostile-id-refused",
        "An odd id of the client's is refused as an invalid request.",
        (refuse(invalid("X-Request-Id is not valid."), header_sent(_OWN) & ~CLIENT_ID),),
    ),
    Variation("completion-id-uuid", "Completion ids are UUIDs.", (_completion(lambda: str(uuid.uuid4())),)),
    Variation(
        "completion-id-signed",
        "Completion ids are long, with slashes and padding.",
        (_completion(lambda: f"{secrets.token_hex(48)}/+=="),),
    ),
)


_IN_FLIGHT = "twins that do not wait"


def _does_not_wait(call: Call, waits: bool) -> bool:
    call.world.memory.setdefault(_IN_FLIGHT, set()).add(call.nonce)
    return False


def _told_to_wait(problem: Problem) -> tuple[Change[bool], Change[Problem | None]]:
    """A duplicate of a request that is under way is told this."""
    twin = When("a twin is under way", lambda call: call.nonce in call.world.memory.get(_IN_FLIGHT, ()))
    return Change(WAITS, _does_not_wait), limit(problem, twin)


_MESSAGE = "A request with this Idempotency-Key is under way."

_IDEMPOTENCY = (
    Variation(
        "twin-409",
        "A duplicate in flight is a conflict, and may be tried again.",
        _told_to_wait(
            Problem(409, "idempotency_in_progress", _MESSAGE, True, headers=(("Retry-After", "1"),))
        ),
    ),
    Variation(
        "twin-409-final",
        "A duplicate in flight is a conflict, and may not be tried again.",
        _told_to_wait(Problem(409, "idempotency_in_progress", _MESSAGE)),
    ),
    Variation(
        "twin-429",
        "A duplicate in flight is rate-limited.",
        _told_to_wait(Problem(429, "rate_limited", _MESSAGE, True)),
    ),
    Variation(
        "replay-told",
        "A replay says that it is one, and how old.",
        (header("Idempotency-Replayed", "true", REPLAY), header("Age", "3", REPLAY)),
    ),
    Variation(
        "streams-not-kept",
        "The outcome of a stream is not kept under its key.",
        (Change(KEEPS, lambda call, keeps: False, STREAM),),
    ),
)

VARIATIONS = (*_IDS, *_IDEMPOTENCY)
