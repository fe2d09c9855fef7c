"""Faults of the endpoint: routes, methods, content types and codings."""

from __future__ import annotations

import gzip
from typing import Any

from ..call import Call
from ..changes import answer_status, body, frames, header, refuse, remap
from ..conditions import (
    NON_ASCII,
    SECOND_MODEL,
    STREAM,
    SUCCEEDED,
    SYNC,
    When,
    asks_for,
    header_sent,
    route,
    rule,
    status,
)
from ..encodings import deflated
from ..problem import invalid
from ..seams import Change
from ..vocabulary import Fault, fails, unseen, warns

HTML = b"<!doctype html><html><head><title>Error</title></head><body><h1>Error</h1></body></html>"


UNKNOWN_ROUTE = rule("route")


WRONG_METHOD = rule("method")


_MINIMAL = When("nothing but model and messages", lambda call: set(call.fields) == {"model", "messages"})


def _encodings(call: Call) -> set[str]:
    return {part.split(";")[0].strip() for part in (call.header("Accept-Encoding") or "").lower().split(",")}


GZIP_OFFERED = When("gzip was offered", lambda call: bool(_encodings(call) & {"gzip", "*"}))


_NO_GZIP = header_sent("Accept-Encoding") & ~GZIP_OFFERED


_NO_DEFLATE = header_sent("Accept-Encoding") & When(
    "deflate was not offered", lambda call: not _encodings(call) & {"deflate", "*"}
)


def _zipped(when: When) -> tuple[Change[Any], ...]:
    return (body(gzip.compress, when=when), header("Content-Encoding", "gzip", when))


FAULTS = (
    Fault(
        "minimal-body-refused",
        "A body with nothing but model and messages is refused for want of max_tokens.",
        fails("EP-01"),
        (refuse(invalid("max_tokens is required.", "/max_tokens"), _MINIMAL),),
    ),
    Fault(
        "minimal-answers-202",
        "The smallest valid request is answered with 202.",
        fails("EP-01"),
        (answer_status(202, SUCCEEDED & _MINIMAL),),
    ),
    Fault(
        "completion-as-text",
        "Sync completions are served as text/plain.",
        fails("EP-02"),
        (header("Content-Type", "text/plain; charset=utf-8", SYNC & SUCCEEDED),),
    ),
    Fault(
        "errors-as-html-type",
        "Envelopes are served as text/html.",
        fails("EP-02"),
        (header("Content-Type", "text/html", status(400, 402, 404, 405, 409)),),
    ),
    Fault(
        "models-untyped",
        "The list of models comes without a Content-Type.",
        fails("EP-02"),
        (header("Content-Type", None, route("/v1/models")),),
    ),
    Fault(
        "unasked-stream-type",
        "Without a stream field the JSON completion is labelled as an event stream.",
        fails("EP-02", "REQ-06"),
        (header("Content-Type", "text/event-stream", SYNC & SUCCEEDED & ~asks_for(stream=...)),),
    ),
    Fault(
        "done-glued-to-json",
        "The second model's sync completions have data: [DONE] glued to the end.",
        fails("EP-02", "RSP-01"),
        (body(lambda data: data + b"\n\ndata: [DONE]\n\n", when=SYNC & SUCCEEDED & SECOND_MODEL),),
        unseen(
            "REQ-09", "RSP-04", "RSP-09", "BIL-08", "BIL-09", "BIL-10"
        ),  # read in each model's sync bodies
    ),
    Fault(
        "sync-not-utf-8",
        "Sync completions with non-ASCII text are encoded in GB 18030.",
        fails("EP-02", "REQ-14", "RSP-01"),
        (body(lambda data: data.decode().encode("gb18030"), when=SYNC & SUCCEEDED & NON_ASCII),),
        unseen("RSP-09"),  # tokens of any script
    ),
    Fault(
        "unknown-route-html",
        "An unknown route gets an HTML page.",
        warns("EP-03") | fails("ERR-01"),
        (body(HTML, "text/html", UNKNOWN_ROUTE),),
    ),
    Fault(
        "unknown-route-empty",
        "An unknown route gets an empty 404.",
        warns("EP-03") | fails("ERR-01"),
        (body(b"", None, UNKNOWN_ROUTE), header("Content-Type", None, UNKNOWN_ROUTE)),
    ),
    Fault(
        "unknown-route-200",
        "An unknown route gets 200 and a welcome.",
        warns("EP-03"),
        (body(b'{"service":"gateway"}', when=UNKNOWN_ROUTE), answer_status(200, UNKNOWN_ROUTE)),
    ),
    Fault(
        "unknown-route-403",
        "An unknown route is forbidden instead of not found.",
        warns("EP-03"),
        (remap(UNKNOWN_ROUTE, status=403, code="forbidden"),),
    ),
    Fault(
        "wrong-method-200",
        "A wrong method on the chat route is answered with 200.",
        warns("EP-04"),
        (body(b'{"status":"ok"}', when=WRONG_METHOD), answer_status(200, WRONG_METHOD)),
    ),
    Fault(
        "wrong-method-500",
        "A wrong method on the chat route is an internal error.",
        warns("EP-04"),
        (remap(WRONG_METHOD, status=500, code="internal_error", retryable=True),),
    ),
    Fault(
        "wrong-method-text",
        "A wrong method on the chat route gets the framework's text page.",
        warns("EP-04") | fails("ERR-01"),
        (body(b"405: Method Not Allowed", "text/plain", WRONG_METHOD),),
    ),
    Fault(
        "gzip-though-excluded",
        "Sync completions are gzipped although the request's Accept-Encoding excludes it.",
        warns("EP-05"),
        _zipped(SYNC & SUCCEEDED & _NO_GZIP),
    ),
    Fault(
        "errors-gzip-though-excluded",
        "Errors are gzipped although the request's Accept-Encoding excludes it.",
        warns("EP-05"),
        _zipped(status(400, 404) & _NO_GZIP),
    ),
    Fault(
        "stream-deflated-though-excluded",
        "The second model's streams are deflated although the request's Accept-Encoding excludes it.",
        warns("EP-05"),
        (
            frames(deflated, STREAM & SUCCEEDED & SECOND_MODEL & _NO_DEFLATE),
            header("Content-Encoding", "deflate", STREAM & SUCCEEDED & SECOND_MODEL & _NO_DEFLATE),
        ),
    ),
)
