"""Oddities of refusals: what the envelope says besides, and which of the allowed codes and statuses it names."""

from __future__ import annotations

import time
from dataclasses import replace
from email.utils import formatdate
from typing import Any

from ..call import Call
from ..changes import document, drop, put, refuse, remap, with_header
from ..conditions import asks_for, code, rule, status
from ..problem import Problem
from ..reply import Json
from ..seams import ENVELOPE, REFUSAL, Change, When
from ..vocabulary import Variation, unseen
from .chunks import SEVERAL

WRONG_METHOD = rule("method")
LIMITED = status(429, 503)


def _details(call: Call, envelope: Json) -> Json:
    param = envelope["error"].pop("param", None)
    if param is not None:
        field = param.rpartition("/")[2] if param.startswith("/messages") else param[1:]
        envelope["error"]["details"] = [{"loc": ["body", field], "field": field, "issue": "invalid"}]
        envelope["error"]["param"] = None
    return envelope


_ADVICE = (
    "Use Bearer authentication and client 10.2.3 or later. Select a model from /v1/models where your plan has a limit "
    "left, update your settings, or see https://docs.beatra.com/errors#invalid_request (1 < 2)."
)
_ENVELOPE = (
    Variation(
        "envelope-with-more",
        "The envelope has members that the contract does not name, inside and outside.",
        (
            put(ENVELOPE, "/error/type", "invalid_request_error"),
            put(ENVELOPE, "/error/status", lambda old: 400),
            put(ENVELOPE, "/error/doc_url", "https://docs.example.com/errors"),
            put(ENVELOPE, "/error/details", lambda old: []),
            put(ENVELOPE, "/object", "error"),
            put(ENVELOPE, "/usage", {"credits": "0.0000", "credits_usd_reference": "0"}),
        ),
    ),
    Variation(
        "details-instead-of-param",
        "A refusal names the field in details, and its param is null.",
        (document(ENVELOPE, _details),),
    ),
    Variation(
        "messages-in-chinese",
        "Messages are in Chinese.",
        (put(ENVELOPE, "/error/message", "请求无效：请检查参数。"),),
    ),
    Variation(
        "helpful-messages",
        "Messages give advice, with addresses, versions and words that leaks have too.",
        (put(ENVELOPE, "/error/message", _ADVICE),),
    ),
    Variation(
        "param-of-the-message",
        "The pointer for a wrong role leads to its message.",
        (
            put(
                ENVELOPE,
                "/error/param",
                lambda old: old.removesuffix("/role"),
                rule("role_missing", "role_unknown"),
            ),
        ),
    ),
)


def _dated(call: Call, problem: Problem) -> Problem:
    when = formatdate(int(time.time()) + 1, usegmt=True)
    return replace(problem, headers=with_header(problem.headers, "Retry-After", when))


def _told_when(seconds: str | None, when: When) -> Change[Problem]:
    def edit(call: Call, problem: Problem) -> Problem:
        return replace(problem, headers=with_header(problem.headers, "Retry-After", seconds))

    return Change(REFUSAL, edit, when)


_RETRY = (
    Variation("retry-after-a-date", "Retry-After is a date.", (Change(REFUSAL, _dated, LIMITED),)),
    Variation("retry-after-nothing", "Retry-After is 0.", (_told_when("0", LIMITED),)),
    Variation(
        "no-retry-after",
        "Nothing says when to come back.",
        (_told_when(None, LIMITED),),
        outcomes=unseen("ERR-08"),
    ),
    Variation(
        "retry-after-an-hour",
        "The account's own failures say to come back in an hour, be they retryable or not.",
        (_told_when("3600", status(402, 429)),),
    ),
)

_CODES = (
    Variation(
        "wrong-method-404",
        "A wrong method is not found, as if there were no route.",
        (remap(WRONG_METHOD, status=404, code="not_found", headers=()),),
    ),
    Variation(
        "route-codes",
        "Unknown routes, wrong methods and conflicts have codes of this deployment's own.",
        (
            remap(rule("route"), code="unknown_url"),
            remap(WRONG_METHOD, code="http_405"),
            remap(rule("idempotency_conflict"), code="idempotency_key_reused_with_another_body"),
        ),
    ),
    Variation(
        "key-codes-swapped",
        "Another scheme and an empty bearer are invalid_api_key, a key with junk is unauthorized.",
        (
            remap(rule("other_scheme", "empty_bearer"), code="invalid_api_key"),
            remap(rule("key_with_junk"), code="unauthorized"),
        ),
    ),
    Variation("no-challenge", "A 401 names no scheme.", (remap(status(401), headers=()),)),
)


def _unsupported(field: str, value: Any = ..., number: int = 422, **more: Any) -> Change[Problem | None]:
    message = f"{field} is not supported."
    problem = Problem(number, "unsupported_option", message, param=f"/{field}", **more)
    return refuse(problem, asks_for(**{field: value}))


_OPTIONS = (
    Variation(
        "seed-unsupported",
        "seed, stop and user are refused as unsupported options.",
        (_unsupported("seed"), _unsupported("stop"), _unsupported("user")),
    ),
    Variation(
        "penalties-unsupported",
        "Penalties and metadata are unsupported options, and told so with 400 and no more than a message.",
        (
            _unsupported("presence_penalty", number=400),
            _unsupported("frequency_penalty", number=400),
            _unsupported("metadata", number=400),
            drop(ENVELOPE, "/error/param", code("unsupported_option")),
        ),
    ),
    Variation(
        "one-choice-only",
        "Several choices are an unsupported option.",
        (refuse(Problem(422, "unsupported_option", "n must be 1.", param="/n"), SEVERAL),),
    ),
)

VARIATIONS = (*_ENVELOPE, *_RETRY, *_CODES, *_OPTIONS)
