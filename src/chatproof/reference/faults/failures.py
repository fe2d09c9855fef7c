"""Faults of provoked failures, and of refusals that are asked for again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..access import EMPTY_KEY, LIMITED_KEY
from ..call import Call
from ..changes import limit, remap
from ..conditions import (
    IDEMPOTENT,
    STREAM,
    When,
    asks_for,
    code,
    key_sent,
    prompt,
    rule,
    status,
)
from ..problem import Problem
from ..seams import IDENTITY, LIMIT, PROBLEM, Change
from ..vocabulary import Fault, fails
from ..wallet import DOWN

_LIMITED = rule("rate_limited") & key_sent(LIMITED_KEY)  # not the flaky key: its retries are IDM-05's
_EMPTY = status(402)
_DOWN = rule("model_down")

# Provoked failures ------------------------------------------------------------------------------------------


def _key(key: str) -> When:
    return key_sent(key) & When("no rule objects", lambda call: call.problem is None)


_DOWN_ASKED = asks_for(model=DOWN)
_OVERLOADED = Problem(503, "model_unavailable", "The model is not available.", True)


def _breaker(call: Call, found: Problem | None) -> Problem | None:
    """After an unavailable model the same prompt finds auto unavailable, too."""
    memory: set[str] = call.world.memory.setdefault("found the model down", set())
    if call.fields.get("model") == DOWN:
        memory.add(prompt(call))
    return _OVERLOADED if call.fields.get("model") == "auto" and prompt(call) in memory else found


_PROVOKED = (
    Fault(
        "rate-limit-unenforced",
        "A limited key is served.",
        fails("ERR-09"),
        (limit(None, _key(LIMITED_KEY)),),
    ),
    Fault(
        "rate-limit-unenforced-on-streams",
        "A limited key is served where it streams.",
        fails("ERR-09"),
        (limit(None, _key(LIMITED_KEY) & STREAM),),
    ),
    Fault(
        "rate-limit-as-500",
        "The upstream's 429 becomes an internal error.",
        fails("ERR-09"),
        (remap(_LIMITED, status=500, code="internal_error"),),
    ),
    Fault(
        "rate-limit-as-unavailable",
        "The rate limit is told as an unavailable model.",
        fails("ERR-09"),
        (remap(_LIMITED, status=503, code="model_unavailable"),),
    ),
    Fault(
        "unavailable-served",
        "Requests for an unavailable model are served under its name.",
        fails("ERR-10"),
        (
            limit(None, _DOWN_ASKED),
            Change(IDENTITY, lambda call, identity: replace(identity, model=DOWN), _DOWN_ASKED),
        ),
    ),
    Fault(
        "unavailable-as-502",
        "An unavailable model is a bad gateway.",
        fails("ERR-10"),
        (remap(_DOWN, status=502, code="bad_gateway"),),
    ),
    Fault(
        "unavailable-as-unsupported",
        "An unavailable model is called unsupported.",
        fails("ERR-10"),
        (remap(_DOWN, status=400, code="unsupported_model", retryable=False),),
    ),
    Fault(
        "breaker-catches-auto",
        "Where a model was unavailable, the same request with auto is refused, too.",
        fails("ERR-10"),
        (Change(LIMIT, _breaker),),
    ),
    Fault(
        "empty-wallet-served",
        "A request with an empty wallet is served.",
        fails("ERR-11"),
        (limit(None, _key(EMPTY_KEY)),),
    ),
    Fault(
        "empty-wallet-streams",
        "A stream is served with an empty wallet.",
        fails("ERR-11"),
        (limit(None, _key(EMPTY_KEY) & STREAM),),
    ),
    Fault(
        "empty-wallet-forbidden",
        "An empty wallet is forbidden.",
        fails("ERR-11"),
        (remap(_EMPTY, status=403, code="forbidden"),),
    ),
    Fault(
        "empty-wallet-as-rate-limit",
        "An empty wallet is told as a rate limit.",
        fails("ERR-11"),
        (remap(_EMPTY, status=429, code="rate_limited", retryable=True),),
    ),
)

# The same refusal again -------------------------------------------------------------------------------------


def _seen(call: Call) -> bool:
    """Whether this very request, with the same idempotency key or without one, was made before."""
    asked = (call.method, call.path, call.authorization, call.idempotency_key, call.raw)
    refused: set[Any] = call.world.memory.setdefault("refused", set())
    seen = asked in refused
    refused.add(asked)
    return seen


_AGAIN = When("this very request was refused before", _seen)


def _forgotten(call: Call, problem: Problem | None) -> Problem | None:
    return None if problem and problem.rule == "temperature_high" and _seen(call) else problem


_REPEATED = (
    Fault(
        "refusal-forgotten",
        "A temperature out of range is refused, and served when it is asked for again.",
        fails("ERR-13"),
        (Change(PROBLEM, _forgotten),),
    ),
    Fault(
        "refusal-hardens",
        "An unknown model is forbidden when it is asked for again.",
        fails("ERR-13"),
        (remap(code("unsupported_model") & _AGAIN, status=403, code="forbidden"),),
    ),
    Fault(
        "refusal-crashes-when-kept",
        "An invalid request under the same idempotency key again is an internal error.",
        fails("ERR-13"),
        (
            remap(
                code("invalid_request") & IDEMPOTENT & _AGAIN,
                status=500,
                code="internal_error",
                retryable=True,
            ),
        ),
    ),
    Fault(
        "unknown-key-banned",
        "The same request with the same unknown key again is forbidden.",
        fails("ERR-13"),
        (remap(rule("unknown_key") & _AGAIN, status=403, code="forbidden"),),
    ),
)

FAULTS = (*_PROVOKED, *_REPEATED)
