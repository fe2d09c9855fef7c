"""Faults of X-Request-Id: absent, repeated, not echoed, told otherwise in the envelope, raw where it is hostile."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

from ..access import LIMITED_KEY
from ..call import Call
from ..changes import document, drop, header, limit, refuse, reply, with_header
from ..conditions import (
    CLIENT_ID,
    NON_ASCII,
    REFUSED,
    SECOND_MODEL,
    STREAM,
    SUCCEEDED,
    When,
    header_sent,
    key_sent,
    route,
    rule,
    status,
)
from ..problem import Problem
from ..reply import Json, Reply
from ..seams import ENVELOPE, REQUEST_ID, Change
from ..vocabulary import Fault, fails, warns

_HEADER = "X-Request-Id"
_SENT = header_sent(_HEADER)
_GENERATED = ~_SENT


def _sent(call: Call) -> str:
    return call.header(_HEADER) or ""


def _removed(when: When) -> Change[Reply]:
    return header(_HEADER, None, when & ~CLIENT_ID)


_ABSENT = (
    Fault(
        "request-id-absent-in-streams",
        "The second model's streams come without X-Request-Id.",
        fails("RID-01"),
        (_removed(STREAM & SUCCEEDED & SECOND_MODEL),),
    ),
    Fault(
        "request-id-absent-on-401",
        "The edge's 401 has no request id, neither in the header nor in the envelope.",
        fails("RID-01") | warns("ERR-06"),
        (
            header(_HEADER, None, status(401) & ~CLIENT_ID),
            drop(ENVELOPE, "/error/request_id", status(401) & ~CLIENT_ID),
        ),
    ),
    Fault(
        "request-id-absent-on-404",
        "The edge's 404 for an unknown route has no request id, neither in the header nor in the envelope.",
        fails("RID-01") | warns("ERR-06"),
        (_removed(rule("route")), drop(ENVELOPE, "/error/request_id", rule("route") & ~CLIENT_ID)),
    ),
    Fault(
        "request-id-absent-on-429",
        "The rate limiter answers without X-Request-Id.",
        fails("RID-01"),
        (_removed(status(429) & key_sent(LIMITED_KEY)),),
    ),
    Fault(
        "request-id-absent-in-catalogue",
        "The list of models comes without X-Request-Id.",
        fails("RID-01"),
        (_removed(route("/v1/models") & ~REFUSED),),
    ),
    Fault(
        "request-id-empty",
        "X-Request-Id is empty where the prompt has non-ASCII text.",
        fails("RID-01"),
        (header(_HEADER, "", NON_ASCII & SUCCEEDED & ~CLIENT_ID),),
    ),
)


def _of_body(call: Call, made: str) -> str:
    return f"req_{hashlib.sha256(call.path.encode() + call.raw).hexdigest()[:32]}"


def _of_few(call: Call, made: str) -> str:
    return f"req_{call.number % 151}"


def _of_neighbour(call: Call, made: str) -> str:
    """The id of the newest call in flight; the call itself is not among them yet."""
    return call.world.calls[-1].request_id


def _constant_refusal(call: Call, plan: Reply) -> Reply:
    return replace(plan, headers=with_header(plan.headers, _HEADER, "req_refused"))


_NOT_AT_400 = status(400) & ~CLIENT_ID

_REPEATED = (
    Fault(
        "request-id-of-body",
        "Request ids are made from path and body, so that equal requests have equal ids.",
        fails("RID-02", "IDM-08"),
        (Change(REQUEST_ID, _of_body, _GENERATED),),
    ),
    Fault(
        "request-id-wraps",
        "Request ids count up to 150 and start again.",
        fails("RID-02"),
        (Change(REQUEST_ID, _of_few, _GENERATED),),
    ),
    Fault(
        "request-id-shared-in-crowd",
        "With eight calls in flight the next one gets its neighbour's request id.",
        fails("RID-02"),
        (
            Change(
                REQUEST_ID,
                _of_neighbour,
                _GENERATED & When("eight others are in flight", lambda call: len(call.world.calls) >= 8),
            ),
        ),
    ),
    Fault(
        "request-id-of-refusals",
        "All invalid requests share one request id.",
        fails("RID-02"),
        (
            reply(_constant_refusal, _NOT_AT_400),
            document(ENVELOPE, lambda call, told: _identified(told, "req_refused"), _NOT_AT_400),
        ),
    ),
)


def _identified(told: Json, request_id: str) -> Json:
    return {**told, "error": {**told["error"], "request_id": request_id}}


def _echo(name: str, sentence: str, what: When, echoed: object) -> Fault:
    """A client's id of the allowed form is not echoed as it came."""

    def edit(call: Call, made: str) -> str:
        return str(echoed(made)) if callable(echoed) and made == _sent(call) else made

    return Fault(name, sentence, fails("RID-03"), (Change(REQUEST_ID, edit, what),))


def _replaced(call: Call) -> str:
    return f"req_{call.nonce}"


def _header_replaced(call: Call, plan: Reply) -> Reply:
    return replace(plan, headers=with_header(plan.headers, _HEADER, _replaced(call)))


_ECHO = (
    _echo(
        "client-id-cut-at-64",
        "A client's request id is cut after 64 characters.",
        _SENT,
        lambda sent: sent[:64],
    ),
    _echo(
        "client-id-of-128-replaced",
        "A client's request id of exactly 128 characters is taken for too long and cut by one.",
        When("an id of 128 characters was sent", lambda call: len(_sent(call)) == 128),
        lambda sent: sent[:127],
    ),
    _echo(
        "client-id-of-one-padded",
        "A client's request id of one character is padded.",
        When("an id of one character was sent", lambda call: len(_sent(call)) == 1),
        lambda sent: sent.rjust(8, "0"),
    ),
    _echo(
        "client-id-lowered",
        "A client's request id comes back in lower case.",
        _SENT,
        lambda sent: sent.lower(),
    ),
    _echo(
        "client-id-punctuation-replaced",
        "Dots and underscores of a client's request id come back as hyphens.",
        _SENT,
        lambda sent: re.sub("[._]", "-", sent),
    ),
    _echo(
        "client-id-prefixed",
        "A client's request id comes back with the gateway's prefix.",
        _SENT,
        "gw-{}".format,
    ),
    Fault(
        "client-id-replaced-in-streams",
        "A client's request id is replaced on streams.",
        fails("RID-03"),
        (reply(_header_replaced, CLIENT_ID & STREAM & SUCCEEDED),),
    ),
    Fault(
        "client-id-replaced-on-errors",
        "A client's request id is replaced on refusals, in header and envelope alike.",
        fails("RID-03"),
        (
            document(ENVELOPE, lambda call, told: _identified(told, _replaced(call)), CLIENT_ID),
            reply(_header_replaced, CLIENT_ID & REFUSED),
        ),
    ),
)


def _told_otherwise(call: Call, told: Json) -> Json:
    return _identified(told, _replaced(call))


_ENVELOPE = (
    Fault(
        "request-id-made-twice",
        "The log's layer makes an id of its own, and envelopes of invalid requests show that one.",
        fails("RID-04"),
        (document(ENVELOPE, _told_otherwise, status(400)),),
    ),
    Fault(
        "request-id-made-twice-on-429",
        "The rate limiter's envelope shows another id than the header.",
        fails("RID-04"),
        (document(ENVELOPE, _told_otherwise, status(429)),),
    ),
    Fault(
        "request-id-made-twice-for-client",
        "Where the client sent its own id, the envelope still shows a generated one.",
        fails("RID-04"),
        (document(ENVELOPE, _told_otherwise, CLIENT_ID),),
    ),
    Fault(
        "request-id-of-upstream",
        "An unavailable model's envelope shows the upstream's request id.",
        fails("RID-04"),
        (document(ENVELOPE, lambda call, told: _identified(told, f"up-{call.nonce[:8]}"), status(503)),),
    ),
)


_LONG_ID = When("an id over 128 characters was sent", lambda call: len(_sent(call)) > 128)
_NON_ASCII_ID = When("a non-ASCII id was sent", lambda call: not _sent(call).isascii())
_CRASHED = Problem(500, "internal_error", "The gateway failed.", retryable=True)


def _reflected(call: Call, plan: Reply) -> Reply:
    return replace(plan, headers=with_header(plan.headers, _HEADER, _sent(call)))


_HOSTILE = (
    Fault(
        "long-id-reflected",
        "A request id of any length is reflected.",
        warns("RID-05"),
        (reply(_reflected, _LONG_ID & ~REFUSED & ~_NON_ASCII_ID),),
    ),
    Fault(
        "non-ascii-id-reflected",
        "A non-ASCII request id is reflected byte by byte.",
        warns("RID-05"),
        (reply(_reflected, _NON_ASCII_ID & ~REFUSED),),
    ),
    Fault(
        "long-id-crashes",
        "A request id that is too long for the log's column is an internal error.",
        warns("RID-05"),
        (limit(_CRASHED, _LONG_ID),),
    ),
    Fault(
        "non-ascii-id-crashes",
        "A request id that cannot be decoded is an internal error.",
        warns("RID-05"),
        (refuse(_CRASHED, _NON_ASCII_ID),),
    ),
)

FAULTS = (*_ABSENT, *_REPEATED, *_ECHO, *_ENVELOPE, *_HOSTILE)
