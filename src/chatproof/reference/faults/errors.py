"""Faults of the error envelope: its shape, `retryable`, `code`, and how they go with the status."""

from __future__ import annotations

from ..access import LIMITED_KEY
from ..changes import body, document, drop, header, put, remap
from ..conditions import (
    STREAM,
    code,
    key_sent,
    rule,
    status,
)
from ..seams import ENVELOPE
from ..vocabulary import Fault, fails, warns
from .endpoint import HTML

_LIMITED = rule("rate_limited") & key_sent(LIMITED_KEY)  # not the flaky key: its retries are IDM-05's
_EMPTY = status(402)
_DOWN = rule("model_down")
_CONFLICT = rule("idempotency_conflict")
_METHOD = rule("method")
_ROUTE = rule("route")

# The shape of the whole -------------------------------------------------------------------------------------

_BAD_GATEWAY = b"<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n</html>\r\n"

_SHAPE = (
    Fault(
        "rate-limit-html",
        "The CDN's page tells of the rate limit.",
        fails("ERR-01", "ERR-09"),
        (body(HTML, "text/html", _LIMITED),),
    ),
    Fault(
        "empty-wallet-text",
        "An empty wallet is told in plain text.",
        fails("ERR-01", "ERR-11"),
        (body(b"Payment Required", "text/plain", _EMPTY),),
    ),
    Fault(
        "unavailable-html",
        "The proxy's page tells of an unavailable model.",
        fails("ERR-01", "ERR-10"),
        (body(_BAD_GATEWAY, "text/html", _DOWN),),
    ),
    Fault(
        "conflict-empty",
        "An idempotency conflict has an empty body.",
        fails("ERR-01", "IDM-03"),
        (body(b"", None, _CONFLICT), header("Content-Type", None, _CONFLICT)),
    ),
    Fault(
        "role-missing-detail",
        "A missing role is told as the validator's detail list.",
        fails("ERR-01"),
        (
            document(
                ENVELOPE,
                lambda call, told: {
                    "detail": [{"loc": ["body", "messages", 0, "role"], "msg": "Field required"}]
                },
                rule("role_missing"),
            ),
        ),
    ),
    Fault(
        "wrong-method-flat",
        "A wrong method is told without the envelope's outer object.",
        fails("ERR-01") | warns("EP-04"),
        (document(ENVELOPE, lambda call, told: told["error"], _METHOD),),
    ),
    Fault(
        "unknown-route-string",
        "An unknown route's error is a string instead of an object.",
        fails("ERR-01") | warns("EP-03"),
        (put(ENVELOPE, "/error", "There is no such route.", _ROUTE),),
    ),
    Fault(
        "unavailable-code-absent",
        "An unavailable model's envelope has no code.",
        fails("ERR-01", "ERR-10"),
        (drop(ENVELOPE, "/error/code", _DOWN),),
    ),
    Fault(
        "empty-wallet-message-absent",
        "An empty wallet's envelope has no message.",
        fails("ERR-01"),
        (drop(ENVELOPE, "/error/message", _EMPTY),),
    ),
)

# retryable --------------------------------------------------------------------------------------------------

_RETRYABLE = (
    Fault(
        "retryable-string",
        "The envelope of a temperature out of range says retryable in quotes.",
        fails("ERR-02"),
        (put(ENVELOPE, "/error/retryable", "false", rule("temperature_high")),),
    ),
    Fault(
        "retryable-number",
        "The envelope of an unavailable model says retryable 1.",
        fails("ERR-02", "ERR-10"),
        (put(ENVELOPE, "/error/retryable", 1, _DOWN),),
    ),
    Fault(
        "retryable-null",
        "The envelope of the rate limit says retryable null.",
        fails("ERR-02", "ERR-09"),
        (put(ENVELOPE, "/error/retryable", None, _LIMITED),),
    ),
    Fault(
        "retryable-absent",
        "The envelope of a top_p out of range does not say whether to retry.",
        fails("ERR-01"),
        (drop(ENVELOPE, "/error/retryable", rule("top_p_high")),),
    ),
    Fault(
        "not-found-retryable",
        "An unknown route is told as worth a retry.",
        fails("ERR-04"),
        (remap(_ROUTE, retryable=True),),
    ),
    Fault(
        "wrong-method-retryable",
        "A wrong method is told as worth a retry.",
        fails("ERR-04"),
        (remap(_METHOD, retryable=True),),
    ),
    Fault(
        "invalid-retryable",
        "A temperature below its range is told as worth a retry.",
        fails("ERR-04"),
        (remap(rule("temperature_low"), retryable=True),),
    ),
    Fault(
        "invalid-stream-retryable",
        "Invalid streaming requests are told as worth a retry.",
        fails("ERR-04"),
        (remap(code("invalid_request") & STREAM, retryable=True),),
    ),
    Fault(
        "empty-wallet-retryable",
        "An empty wallet is told as worth a retry.",
        fails("ERR-04", "ERR-11"),
        (remap(_EMPTY, retryable=True),),
    ),
    Fault(
        "conflict-retryable",
        "An idempotency conflict is told as worth a retry.",
        fails("ERR-04", "IDM-03"),
        (remap(_CONFLICT, retryable=True),),
    ),
    Fault(
        "rate-limit-final",
        "The rate limit is told as not worth a retry.",
        fails("ERR-04", "ERR-09"),
        (remap(_LIMITED, retryable=False),),
    ),
    Fault(
        "unavailable-final",
        "An unavailable model is told as not worth a retry.",
        fails("ERR-04", "ERR-10"),
        (remap(_DOWN, retryable=False),),
    ),
)

# code, and how it goes with the status ----------------------------------------------------------------------

_CODES = (
    Fault(
        "code-is-status",
        "The code of a body that is not an object is its status as a string, and the type is null.",
        fails("ERR-03"),
        (put(ENVELOPE, "/error/code", "400", rule("body_not_object")),),
    ),
    Fault(
        "code-of-openai",
        "A temperature below its range is an invalid_request_error, as OpenAI says.",
        fails("ERR-03"),
        (remap(rule("temperature_low"), code="invalid_request_error"),),
    ),
    Fault(
        "not-found-in-camel-case",
        "An unknown route's code is NotFound.",
        fails("ERR-03"),
        (remap(_ROUTE, code="NotFound"),),
    ),
    Fault(
        "wrong-method-in-capitals",
        "A wrong method's code is written in capitals.",
        fails("ERR-03"),
        (remap(_METHOD, code="METHOD_NOT_ALLOWED"),),
    ),
    Fault(
        "conflict-with-hyphens",
        "An idempotency conflict's code has hyphens.",
        fails("ERR-03"),
        (remap(_CONFLICT, code="idempotency-conflict"),),
    ),
    Fault(
        "empty-wallet-quota",
        "An empty wallet is an insufficient_quota, as OpenAI says.",
        fails("ERR-03", "ERR-11"),
        (remap(_EMPTY, code="insufficient_quota"),),
    ),
    Fault(
        "rate-limit-too-many",
        "The rate limit's code is too_many_requests.",
        fails("ERR-03", "ERR-09"),
        (remap(_LIMITED, code="too_many_requests"),),
    ),
    Fault(
        "empty-wallet-403",
        "An empty wallet is told with status 403.",
        fails("ERR-04", "ERR-11"),
        (remap(_EMPTY, status=403),),
    ),
    Fault(
        "rate-limit-503",
        "The rate limit is told with status 503.",
        fails("ERR-04", "ERR-09"),
        (remap(_LIMITED, status=503),),
    ),
    Fault(
        "unavailable-404",
        "An unavailable model is told with status 404.",
        fails("ERR-10"),
        (remap(_DOWN, status=404, retryable=False),),
    ),
    Fault(
        "unknown-model-422",
        "An unknown model is told with status 422.",
        fails("ERR-04", "REQ-08"),
        (remap(code("unsupported_model"), status=422),),
    ),
)

FAULTS = (*_SHAPE, *_RETRYABLE, *_CODES)
