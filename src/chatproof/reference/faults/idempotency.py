"""Faults of Idempotency-Key: required, not told apart, kept too well, raced."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from ..access import FLAKY_KEY
from ..call import Call
from ..changes import limit, refuse, remap
from ..conditions import (
    IDEMPOTENT,
    REPLAY,
    SUCCEEDED,
    SYNC,
    When,
    key_sent,
    route,
    rule,
)
from ..problem import Problem, invalid
from ..seams import KEEPS, SAME, SCOPE, WAITS, Change
from ..vocabulary import Fault, fails, unseen, warns

_REPLAYED = REPLAY & SUCCEEDED & SYNC
_CONFLICT = rule("idempotency_conflict")

_CRASHED = Problem(500, "internal_error", "The gateway failed.", retryable=True)
_KEYLESS = route("/v1/chat/completions") & ~IDEMPOTENT
_ONLY_KEYED = unseen("RSP-02")  # no request without a key is answered: none that equals another one

_OPTIONAL = (
    Fault(
        "key-required",
        "A request without an idempotency key is refused.",
        fails("IDM-01", "EP-01"),
        (refuse(invalid("Idempotency-Key is required."), _KEYLESS),),
        _ONLY_KEYED,
    ),
    Fault(
        "key-needed-by-middleware",
        "A request without an idempotency key is an internal error.",
        fails("IDM-01", "EP-01"),
        (limit(_CRASHED, _KEYLESS),),
        _ONLY_KEYED,
    ),
)


def _without_store(call: Call, scope: Hashable | None) -> Hashable | None:
    return None


def _under_its_body(call: Call, scope: Hashable | None) -> Hashable | None:
    """A request whose key is new is filed under the key that brought the same body before."""
    if scope is None or scope in call.world.kept:
        return scope
    bodies: dict[Any, Hashable] = call.world.memory.setdefault("scope by body", {})
    return bodies.setdefault((call.key, call.raw), scope)


def _apart_from_conflicts(call: Call, scope: Hashable | None) -> Hashable | None:
    """A key that brings another body than before runs without the store."""
    bodies: dict[Any, bytes] = call.world.memory.setdefault("body by scope", {})
    return scope if scope is None or bodies.setdefault(scope, call.raw) == call.raw else None


_CONFLICTS = (
    Fault(
        "keys-ignored",
        "Idempotency keys are ignored.",
        fails("IDM-02", "IDM-03", "IDM-08", "BIL-09") | warns("IDM-06"),
        (Change(SCOPE, _without_store),),
    ),
    Fault(
        "conflict-gives-first-result",
        "The same key with another body gets the first body's result.",
        fails("IDM-03"),
        (Change(SAME, lambda call, same: True),),
    ),
    Fault(
        "conflict-served-anew",
        "The same key with another body is served as if it had no key.",
        fails("IDM-03"),
        (Change(SCOPE, _apart_from_conflicts),),
    ),
    Fault(
        "conflict-as-400",
        "The same key with another body is an invalid request.",
        fails("IDM-03"),
        (remap(_CONFLICT, status=400, code="invalid_request"),),
    ),
    Fault(
        "conflict-as-500",
        "The same key with another body is an internal error.",
        fails("IDM-03"),
        (remap(_CONFLICT, status=500, code="internal_error", retryable=True),),
    ),
)


def _never_the_same(call: Call, same: bool) -> bool:
    """What was found under another key's scope is no duplicate."""
    return same and call.world.memory.get("filed elsewhere") != call.nonce


def _under_its_body_noted(call: Call, scope: Hashable | None) -> Hashable | None:
    found = _under_its_body(call, scope)
    if found != scope:
        call.world.memory["filed elsewhere"] = call.nonce
    return found


def _without_case(call: Call, scope: Hashable | None) -> Hashable | None:
    return scope and (call.key, (call.idempotency_key or "").lower())


_APART = (
    Fault(
        "key-not-looked-at",
        "A body that was sent before under another key gets that key's result.",
        fails("IDM-04", "RSP-02"),
        (Change(SCOPE, _under_its_body),),
    ),
    Fault(
        "keys-compared-without-case",
        "Keys that differ only in the case of their letters are one key.",
        fails("IDM-04", "RSP-02"),
        (Change(SCOPE, _without_case),),
    ),
    Fault(
        "body-sent-under-other-key-conflicts",
        "A body that was sent before under another key is a conflict.",
        fails("IDM-04"),
        (Change(SCOPE, _under_its_body_noted), Change(SAME, _never_the_same)),
    ),
)

_LIMITED_BEFORE = key_sent(FLAKY_KEY) & REPLAY & rule("rate_limited")

_KEPT = (
    Fault(
        "rate-limit-kept",
        "A 429 is stored under the key, and the retry gets it again.",
        fails("IDM-05"),
        (Change(KEEPS, lambda call, keeps: True, rule("rate_limited")),),
    ),
    Fault(
        "retry-conflicts",
        "After a 429 the retry with the same key is a conflict.",
        fails("IDM-05"),
        (
            Change(KEEPS, lambda call, keeps: True, rule("rate_limited")),
            remap(_LIMITED_BEFORE, status=409, code="idempotency_conflict", retryable=False, headers=()),
        ),
    ),
    Fault(
        "retry-crashes",
        "After a 429 the retry with the same key is an internal error.",
        fails("IDM-05"),
        (
            Change(KEEPS, lambda call, keeps: True, rule("rate_limited")),
            remap(_LIMITED_BEFORE, status=500, code="internal_error", headers=()),
        ),
    ),
)


def _unfinished(call: Call) -> bool:
    kept = call.world.kept.get((call.key, call.idempotency_key))
    return kept is not None and not kept.result.done()


def _same_when_done(call: Call, same: bool) -> bool:
    """A duplicate of a request in flight is refused; its refusal is told by `_RACED`."""
    if not _unfinished(call):
        return same
    call.skipped.add("raced")
    return False


_RACED = _CONFLICT & When("its first request is in flight", lambda call: "raced" in call.skipped)


_RACES = (
    Fault(
        "duplicates-race",
        "A duplicate of a request in flight is worked on, too.",
        warns("IDM-06"),
        (Change(WAITS, lambda call, waits: False),),
    ),
    Fault(
        "duplicate-in-flight-crashes",
        "A duplicate of a request in flight is an internal error.",
        warns("IDM-06"),
        (
            Change(SAME, _same_when_done),
            remap(_RACED, status=500, code="internal_error", retryable=True),
        ),
    ),
    Fault(
        "duplicate-in-flight-invalid",
        "A duplicate of a request in flight is an invalid request.",
        warns("IDM-06"),
        (Change(SAME, _same_when_done), remap(_RACED, status=400, code="invalid_request")),
    ),
)


FAULTS = (*_OPTIONAL, *_CONFLICTS, *_APART, *_KEPT, *_RACES)
