"""Faults of authentication."""

from __future__ import annotations

from ..access import AUTHENTICATION, KEYS
from ..call import Call
from ..changes import accept, body, remap
from ..conditions import (
    STREAM,
    VALID_BODY,
    When,
    header_sent,
    route,
    rule,
)
from ..problem import Problem
from ..rule import first_problem
from ..rules import BODY, FIELDS
from ..seams import PROBLEM, Change
from ..vocabulary import Fault, fails, warns
from .endpoint import HTML

_ALL = tuple(one.name for one in AUTHENTICATION)


_NO_KEY = ~header_sent("Authorization")


_BASIC = When("another scheme was sent", lambda call: call.authorization is not None and call.key is None)


_EMPTY = When("the bearer token is empty", lambda call: call.key == "")


_JUNK = When(
    "a known key is only the beginning", lambda call: any((call.key or "").startswith(k) for k in KEYS)
)


_CHAT = route("/v1/chat/completions")


def _validated_first(call: Call, problem: Problem | None) -> Problem | None:
    return first_problem(call, (*BODY, *FIELDS)) or problem


def _parsed_first(call: Call, problem: Problem | None) -> Problem | None:
    return first_problem(call, BODY) or problem


FAULTS = (
    Fault(
        "no-key-needed",
        "A request without a key is served.",
        fails("AUT-01"),
        (accept(*_ALL, when=_NO_KEY & VALID_BODY),),
    ),
    Fault(
        "no-key-needed-to-stream",
        "A stream is served without a key.",
        fails("AUT-01"),
        (accept(*_ALL, when=_NO_KEY & VALID_BODY & STREAM),),
    ),
    Fault(
        "no-key-wrong-code",
        "A missing key is called an invalid one.",
        fails("AUT-01"),
        (remap(rule("no_authorization"), code="invalid_api_key"),),
    ),
    Fault(
        "no-key-403",
        "A missing key is forbidden instead of unauthorized.",
        fails("AUT-01"),
        (remap(rule("no_authorization") & VALID_BODY, status=403, code="forbidden"),),
    ),
    Fault(
        "no-key-retryable",
        "A missing key is told as worth a retry.",
        fails("AUT-01", "ERR-04"),
        (remap(rule("no_authorization"), retryable=True),),
    ),
    Fault(
        "any-key-works",
        "An unknown key is served.",
        fails("AUT-02"),
        (accept("unknown_key", when=VALID_BODY),),
    ),
    Fault(
        "any-key-streams",
        "A stream is served to an unknown key.",
        fails("AUT-02"),
        (accept("unknown_key", when=VALID_BODY & STREAM),),
    ),
    Fault(
        "unknown-key-wrong-code",
        "An unknown key is called a missing one.",
        fails("AUT-02"),
        (remap(rule("unknown_key"), code="unauthorized"),),
    ),
    Fault(
        "unknown-key-403",
        "An unknown key is forbidden instead of invalid.",
        fails("AUT-02"),
        (remap(rule("unknown_key") & VALID_BODY, status=403, code="forbidden"),),
    ),
    Fault(
        "unknown-key-html",
        "An unknown key gets the proxy's login page.",
        fails("AUT-02", "ERR-01"),
        (body(HTML, "text/html", rule("unknown_key")),),
    ),
    Fault(
        "basic-works",
        "Basic credentials are served.",
        warns("AUT-03"),
        (accept("other_scheme", "unknown_key", when=VALID_BODY & _BASIC),),
    ),
    Fault(
        "basic-crashes",
        "Basic credentials are an internal error.",
        warns("AUT-03"),
        (remap(rule("other_scheme"), status=500, code="internal_error", retryable=True),),
    ),
    Fault(
        "empty-bearer-works",
        "An empty bearer token is served.",
        warns("AUT-03"),
        (accept("empty_bearer", "unknown_key", when=VALID_BODY & _EMPTY),),
    ),
    Fault(
        "empty-bearer-400",
        "An empty bearer token is an invalid request.",
        warns("AUT-03"),
        (remap(rule("empty_bearer"), status=400, code="invalid_request"),),
    ),
    Fault(
        "key-prefix-works",
        "A key with trailing junk is served.",
        warns("AUT-03"),
        (accept("key_with_junk", "unknown_key", when=VALID_BODY & _JUNK),),
    ),
    Fault(
        "validated-before-auth",
        "The body is validated before the key is looked at.",
        warns("AUT-04"),
        (Change(PROBLEM, _validated_first, _CHAT),),
    ),
    Fault(
        "parsed-before-auth",
        "The body is parsed before the key is looked at, and a body that is no JSON object is refused as such.",
        warns("AUT-04"),
        (Change(PROBLEM, _parsed_first, _CHAT),),
    ),
    Fault(
        "streams-validated-before-auth",
        "The body of a streaming request is validated before the key is looked at.",
        warns("AUT-04"),
        (Change(PROBLEM, _validated_first, STREAM),),
    ),
    Fault("revoked-key-works", "A revoked key is served.", fails("AUT-05"), (accept("revoked_key"),)),
    Fault(
        "revoked-key-streams",
        "A stream is served to a revoked key.",
        fails("AUT-05"),
        (accept("revoked_key", when=STREAM),),
    ),
    Fault(
        "revoked-key-unauthorized",
        "A revoked key is called a missing one.",
        fails("AUT-05"),
        (remap(rule("revoked_key"), code="unauthorized"),),
    ),
    Fault(
        "revoked-key-403",
        "A revoked key is forbidden instead of invalid.",
        fails("AUT-05"),
        (remap(rule("revoked_key"), status=403, code="forbidden"),),
    ),
)
