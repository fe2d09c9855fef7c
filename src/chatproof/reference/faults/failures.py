"""Faults of provoked failures, and of refusals that are asked for again."""

from __future__ import annotations

from typing import Any

from ..access import EMPTY_KEY, LIMITED_KEY
from ..call import Call
from ..changes import limit, remap
from ..conditions import (
    When,
    asks_for,
    key_sent,
    prompt,
    rule,
    status,
)
from ..problem import Problem
from ..seams import LIMIT, PROBLEM, Change
from ..vocabulary import Fault, fails, warns
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
        "unavailable-served-by-other",
        "An unavailable model's requests are served by another model without a word.",
        fails("ERR-10") | warns("RSP-04"),
        (limit(None, _DOWN_ASKED),),
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


def _again(call: Call) -> bool:
    """Whether this very request was refused before."""
    asked = (call.method, call.path, call.authorization, call.raw)
    refused: set[Any] = call.world.memory.setdefault("refused", set())
    seen = asked in refused
    refused.add(asked)
    return seen


_AGAIN = When("this very request was refused before", _again)

_REPEATED = (
    Fault(
        "refusal-forgotten",
        "An invalid request is served when it is sent again.",
        fails("ERR-13"),
        (
            Change(
                PROBLEM,
                lambda call, problem: None if problem and problem.status == 400 and _again(call) else problem,
            ),
        ),
    ),
    Fault(
        "refusal-hardens",
        "A request that was refused before is forbidden when it is sent again.",
        fails("ERR-13"),
        (remap(status(400) & _AGAIN, status=403, code="forbidden"),),
    ),
    Fault(
        "refusal-crashes-when-cached",
        "An invalid request that is sent again is an internal error.",
        fails("ERR-13"),
        (remap(status(400) & _AGAIN, status=500, code="internal_error", retryable=True),),
    ),
)

FAULTS = (*_PROVOKED, *_REPEATED)
