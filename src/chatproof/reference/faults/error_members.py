"""Faults of what stands beside a refusal's code: message, request id, param, Retry-After, and what leaks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

from ..access import LIMITED_KEY, MAIN_KEY
from ..call import Call
from ..changes import drop, header, put, remap
from ..conditions import (
    When,
    code,
    key_sent,
    rule,
    status,
)
from ..problem import Problem
from ..seams import ENVELOPE, REFUSAL, Change
from ..vocabulary import Fault, fails, unseen, warns
from .endpoint import HTML

_LIMITED = rule("rate_limited") & key_sent(LIMITED_KEY)  # not the flaky key: its retries are IDM-05's
_EMPTY = status(402)
_DOWN = rule("model_down")
_METHOD = rule("method")
_ROUTE = rule("route")

# message, request_id, param ---------------------------------------------------------------------------------

_MEMBERS = (
    Fault(
        "rate-limit-message-empty",
        "The rate limit's message is empty.",
        fails("ERR-05"),
        (remap(_LIMITED, message=""),),
    ),
    Fault(
        "unauthorized-message-empty",
        "A missing key's message is empty.",
        fails("ERR-05"),
        (remap(rule("no_authorization"), message=""),),
    ),
    Fault(
        "message-is-list",
        "The message about messages that are no array is a list.",
        fails("ERR-05"),
        (put(ENVELOPE, "/error/message", ["messages must be an array."], rule("messages_string")),),
    ),
    Fault(
        "envelope-without-request-id",
        "No envelope has a request id.",
        warns("ERR-06"),
        (drop(ENVELOPE, "/error/request_id"),),
        unseen("RID-04"),
    ),
    Fault(
        "unauthorized-without-request-id",
        "The envelope of a 401 has no request id.",
        warns("ERR-06"),
        (drop(ENVELOPE, "/error/request_id", status(401)),),
    ),
    Fault(
        "rate-limit-without-request-id",
        "The envelope of a 429 has no request id.",
        warns("ERR-06"),
        (drop(ENVELOPE, "/error/request_id", status(429)),),
    ),
    Fault(
        "param-absent",
        "Invalid requests do not say which field is at fault.",
        warns("ERR-07"),
        (remap(code("invalid_request"), param=None),),
    ),
    Fault(
        "param-absent-in-messages",
        "A fault inside messages does not say where.",
        warns("ERR-07"),
        (
            remap(
                code("invalid_request")
                & When("it is about messages", lambda call: _param(call, "/messages")),
                param=None,
            ),
        ),
    ),
    Fault(
        "param-bare-name",
        "The field at fault is named without the pointer's slash.",
        fails("ERR-07"),
        (
            put(
                ENVELOPE,
                "/error/param",
                lambda old: old.lstrip("/"),
                When("a field is named", lambda call: _param(call, "")),
            ),
        ),
    ),
    Fault(
        "param-bad-escape",
        "The pointer to max_tokens has an escape that RFC 6901 does not know.",
        fails("ERR-07"),
        (
            put(
                ENVELOPE,
                "/error/param",
                lambda old: old.replace("_", "~2"),
                code("invalid_request")
                & When("it is about max_tokens", lambda call: _param(call, "/max_tokens")),
            ),
        ),
    ),
)


def _param(call: Call, start: str) -> bool:
    found = call.problem
    return found is not None and found.param is not None and found.param.startswith(start)


# Retry-After ------------------------------------------------------------------------------------------------

_RETRY_AFTER = tuple(
    Fault(name, sentence, fails("ERR-08"), (header("Retry-After", value, when),))
    for name, sentence, value, when in (
        ("retry-after-fraction", "The rate limit says Retry-After: 0.5.", "0.5", status(429)),
        ("retry-after-word", "An unavailable model says Retry-After: soon.", "soon", _DOWN),
        ("retry-after-unit", "A limited key is told Retry-After: 1s.", "1s", _LIMITED),
        ("retry-after-negative", "An empty wallet says Retry-After: -1.", "-1", _EMPTY),
        ("retry-after-iso", "A 405 says when in ISO 8601.", "2030-01-01T00:00:00Z", _METHOD),
    )
)

# Leaks ------------------------------------------------------------------------------------------------------


def _leak(name: str, sentence: str, said: str | Callable[[Call], str], when: When) -> Fault:
    """The message says more than it should."""

    def edit(call: Call, problem: Problem) -> Problem:
        more = said if isinstance(said, str) else said(call)
        return replace(problem, message=f"{problem.message} {more}")

    return Fault(name, sentence, fails("ERR-12"), (Change(REFUSAL, edit, when),))


def _hashed_key(call: Call) -> str:
    digest = hashlib.sha256((call.key or "").encode()).hexdigest()
    return f"Key Hash (Token) ={digest}. Unable to find token in cache or `LiteLLM_VerificationTokenTable`"


_TRACE = """Traceback (most recent call last):
  File "/srv/gateway/app/body.py", line 88, in parse
    return json.loads(raw)
json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)"""

_LEAKS = (
    _leak(
        "leaks-key",
        "The message of an invalid request repeats the API key.",
        lambda call: f"(key {call.key})",
        code("invalid_request") & key_sent(MAIN_KEY),
    ),
    _leak(
        "leaks-key-on-402",
        "The message of an empty wallet repeats the API key.",
        lambda call: f"Top up the account of {call.key}.",
        _EMPTY,
    ),
    _leak(
        "leaks-key-hash",
        "A 401 tells the software's name, its table and the key's SHA-256.",
        _hashed_key,
        rule("unknown_key"),
    ),
    _leak(
        "leaks-trace",
        "A malformed body is answered with the parser's stack trace.",
        _TRACE,
        rule("body_malformed"),
    ),
    _leak(
        "leaks-path",
        "The message of an unknown route names a file of the gateway.",
        "No handler in /srv/gateway/app/routes.py.",
        _ROUTE,
    ),
    _leak(
        "leaks-sql",
        "The message of the rate limit shows the query that counts.",
        "SELECT count(*) FROM calls WHERE tenant_id = 42",
        _LIMITED,
    ),
    _leak(
        "leaks-upstream",
        "The message of an unavailable model names the upstream's host.",
        "POST https://llm-7.prod.internal:8443/v1/chat/completions: connection refused",
        _DOWN,
    ),
    Fault(
        "leaks-upstream-page",
        "The envelope of an unavailable model carries the upstream's error page.",
        fails("ERR-12"),
        (put(ENVELOPE, "/error/upstream", HTML.decode(), _DOWN),),
    ),
)

FAULTS = (*_MEMBERS, *_RETRY_AFTER, *_LEAKS)
