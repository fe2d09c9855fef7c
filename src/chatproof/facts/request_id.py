"""X-Request-Id on every response (RID-01..04)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from chatproof.answer import Answer
from chatproof.facts.fact import Distinct, Terms, fact, problem
from chatproof.verdict import Problem

_CLIENT_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def answered(a: Answer) -> bool:
    """Whether a response head came."""
    return a.status is not None


def sent_valid_id(a: Answer) -> bool:
    """Whether the client sent an id that the contract promises to echo, and some id came back: none is RID-01's."""
    sent = a.exchange.request.header("X-Request-Id")
    return a.request_id is not None and sent is not None and _CLIENT_ID.fullmatch(sent) is not None


def generated(a: Answer) -> bool:
    """Whether the id of the response must be the server's own making."""
    return answered(a) and bool(a.request_id) and a.exchange.request.header("X-Request-Id") is None


def named_in_error(a: Answer) -> bool:
    """Whether the error envelope names a request id and the header is there to compare."""
    return a.error is not None and a.error.get("request_id") is not None and bool(a.request_id)


@fact("RID-01", of=answered, cheap=True)
def every_response_has_a_request_id(a: Answer, terms: Terms) -> Iterator[Problem]:
    """The header is there and not blank."""
    if not (a.request_id or "").strip():
        yield problem("a non-empty X-Request-Id header", "none" if a.request_id is None else "an empty one")


REQUEST_IDS_ARE_UNIQUE = Distinct(
    clause="RID-02",
    of=generated,
    token=lambda a: a.request_id,
    owner=lambda a: str(a.exchange.tag),
    expected="a generated X-Request-Id of its own for each request",
)


@fact("RID-03", of=sent_valid_id, cheap=True)
def client_ids_are_echoed(a: Answer, terms: Terms) -> Iterator[Problem]:
    """What the client sent comes back unchanged."""
    sent = a.exchange.request.header("X-Request-Id")
    if a.request_id != sent:
        yield problem(f"X-Request-Id: {sent}", a.request_id)


@fact("RID-04", of=named_in_error)
def error_names_the_same_id(a: Answer, terms: Terms) -> Iterator[Problem]:
    """`error.request_id` is the header's value."""
    named = a.error.get("request_id") if a.error else None
    if named != a.request_id:
        yield problem(f"error.request_id equal to the header, {a.request_id}", named)
