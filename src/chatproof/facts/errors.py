"""The error envelope (ERR-01..06, 08, 12)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from chatproof.answer import Answer
from chatproof.contract import ErrorCode
from chatproof.facts.fact import Terms, fact, problem
from chatproof.verdict import Problem

ANY_CODE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
IN_FLIGHT = "twin-"  # steps of concurrent duplicates: their 409 may be retryable (IDM-06)


def failed(a: Answer) -> bool:
    """Whether an error answer came that may have a body."""
    return a.is_error and a.exchange.request.method != "HEAD"


def enveloped(a: Answer) -> bool:
    """Whether it has an error object."""
    return failed(a) and a.error is not None


def says(name: str) -> Any:
    """A selector: the envelope has that member."""
    return lambda a: enveloped(a) and name in a.error


def coded(a: Answer) -> bool:
    """Whether code and `retryable` can be compared with the table; twins in flight are exempt (IDM-06)."""
    exempt = a.status == 409 and a.exchange.tag.step.startswith(IN_FLIGHT)
    return enveloped(a) and a.code is not None and not exempt


def says_when(a: Answer) -> bool:
    """Whether the answer names a time to come back."""
    return a.status is not None and a.exchange.header("Retry-After") is not None


@fact("ERR-01", of=failed)
def error_is_an_envelope(a: Answer, terms: Terms) -> Iterator[Problem]:
    """Every error body is the envelope."""
    if not isinstance(a.json, dict) or a.error is None:
        shows = a.body[:120].decode("utf-8", "backslashreplace").strip()
        yield problem('{"error": {"code", "message", "retryable"}}', shows or "an empty body")
        return
    for where, wrong in terms.schemas["error"].problems(a.json):
        yield problem("a body that validates against the error schema", f"{where}: {wrong}")


@fact("ERR-02", of=says("retryable"))
def retryable_is_boolean(a: Answer, terms: Terms) -> Iterator[Problem]:
    """`retryable` is true or false, not a word for it."""
    said = _error(a).get("retryable")
    if type(said) is not bool:
        yield problem("retryable as a JSON boolean", repr(said))


@fact("ERR-03", of=says("code"))
def code_is_public(a: Answer, terms: Terms) -> Iterator[Problem]:
    """The code is one of the table, or one that the target file lists."""
    code = _error(a).get("code")
    if not isinstance(code, str):
        yield problem("code as a string", repr(code))
    elif _open(a, terms):
        if not ANY_CODE.fullmatch(code):
            yield problem("a lower-case snake_case code", code)
    elif code not in _public(terms) and code not in terms.settings.extra_error_codes:
        yield problem(f"one of {', '.join(sorted(_public(terms)))}", code)


@fact("ERR-04", of=coded)
def code_status_and_retryable_agree(a: Answer, terms: Terms) -> Iterator[Problem]:
    """Code, status and `retryable` are one row of the table."""
    own = next((row for row in terms.error_codes if row.code == a.code), None)
    row = own if own is None or a.status in _statuses(own, terms) else None
    if row is None and (own is None or not _taken(a, terms)):
        row = next((r for r in terms.error_codes if r.code is None and a.status in r.statuses), None)
    if row is None:
        if own is not None:  # else the code is unknown here: ERR-03's
            expected = " or ".join(map(str, _statuses(own, terms)))
            yield problem(f"{a.code} with status {expected}", f"status {a.status}")
        return
    said = _error(a).get("retryable")
    if type(said) is bool and said is not _retryable(row, terms):
        yield problem(f"retryable {_json(_retryable(row, terms))} with {a.status} {a.code}", _json(said))


@fact("ERR-05", of=says("message"))
def message_says_something(a: Answer, terms: Terms) -> Iterator[Problem]:
    """`message` is text."""
    said = _error(a).get("message")
    if not isinstance(said, str) or not said.strip():
        yield problem("message as a non-empty string", repr(said))


@fact("ERR-06", of=enveloped)
def error_names_its_request(a: Answer, terms: Terms) -> Iterator[Problem]:
    """`request_id` is in the envelope."""
    if not _error(a).get("request_id"):
        yield problem("error.request_id", "absent" if "request_id" not in _error(a) else "empty")


@fact("ERR-08", of=says_when, cheap=True)
def retry_after_is_readable(a: Answer, terms: Terms) -> Iterator[Problem]:
    """`Retry-After` is whole seconds or an HTTP date (RFC 9110, 10.2.3)."""
    said = (a.exchange.header("Retry-After") or "").strip()
    if not re.fullmatch(r"[0-9]+", said) and not _http_date(said):
        yield problem("Retry-After as whole seconds or an HTTP date", repr(said))


_CLOCK = r"\d\d:\d\d:\d\d"
HTTP_DATES = (  # RFC 9110, 5.6.7: the form to send, and two that are still to be understood
    re.compile(rf"[A-Z][a-z]{{2}}, \d\d [A-Z][a-z]{{2}} \d{{4}} {_CLOCK} GMT"),
    re.compile(rf"[A-Z][a-z]+day, \d\d-[A-Z][a-z]{{2}}-\d\d {_CLOCK} GMT"),
    re.compile(rf"[A-Z][a-z]{{2}} [A-Z][a-z]{{2}} [ \d]\d {_CLOCK} \d{{4}}"),
)
LEAKS: Mapping[str, re.Pattern[str]] = {
    "a key": re.compile(
        r"<redacted:[^>]+>|\bsk-[A-Za-z0-9_-]{12,}|\bBearer +(?=\S*\d)[A-Za-z0-9._~+/-]{12,}"
    ),
    "a digest": re.compile(r"\b(?:[0-9a-f]{64}|[0-9A-F]{64})\b"),
    "a stack trace": re.compile(
        r"Traceback \(most recent call last\)|File \\?\"[^\"]+\\?\", line \d+|\bgoroutine \d+ \[|"
        r"\bat [\w$.<>]+ ?\([\w.$/:-]+:\d+(:\d+)?\)|\bpanic: "
    ),
    "a file path": re.compile(
        r"(?<![\w/:.])/(?:app|etc|home|opt|proc|root|srv|tmp|usr|var|workspace)/[\w./-]+|\b[A-Z]:\\\\?[\w\\.-]+"
    ),
    "SQL": re.compile(
        r"\bSELECT\b.{1,200}\bFROM\b|\bINSERT INTO\b|(?i:\bselect\s+(\*|[\w.]+(\s*,\s*[\w.]+)*)\s+from\s+\S+\s+"
        r"(where|limit|join|order)\b|\binsert into [\w.]+ *\(|\bdelete from [\w.]+ where\b|"
        r"\bupdate [\w.]+ set [\w.]+ *=|sqlstate|psycopg2?\.|sqlalchemy|"
        r"relation \\?\"\w+\\?\" does not exist)"
    ),
    "an upstream's host": re.compile(
        r"https?://(?:api\.|[\w.-]+:\d+|\d+\.\d+\.\d+\.\d+)[\w./:-]*|"
        r"\b[\w-]+(?:\.[\w-]+)*\.(?:internal|local|svc|lan)\b|host='[^']+'|"
        r"\b(?:(?:10|127)(?:\.\d{1,3}){3}|(?:192\.168|172\.(?:1[6-9]|2\d|3[01]))(?:\.\d{1,3}){2})(?::\d+)?\b"
    ),
    "an upstream's error page": re.compile(r"(?i)<html|<!doctype html|<h1>|<center>nginx"),
}


@fact("ERR-12", of=failed)
def nothing_leaks(a: Answer, terms: Terms) -> Iterator[Problem]:
    """No key, trace, path, SQL, upstream host or upstream page is in the body."""
    text = a.body.decode("utf-8", "replace")
    for what, pattern in LEAKS.items():
        if what == "an upstream's error page" and a.error is None:
            continue  # the page is the body itself: ERR-01's
        found = next((m for m in pattern.finditer(text) if not _known_outside(m[0], a)), None)
        if found:
            yield problem(
                "nothing internal in an error body", f"{what}: {found[0][:80]}", at=_bytes(text, found)
            )


def _known_outside(text: str, a: Answer) -> bool:
    """Whether a piece of a body only repeats the request's id, or the address that was asked."""
    address = urlsplit(a.exchange.request.url).netloc
    return text in (a.request_id or "") or (bool(address) and address in text)


def _bytes(text: str, found: re.Match[str]) -> tuple[int, int]:
    start = len(text[: found.start()].encode())
    return start, start + len(found[0].encode())


def _error(a: Answer) -> Mapping[str, Any]:
    return a.error or {}


def _open(a: Answer, terms: Terms) -> bool:
    """Whether the table says *any code* for this status."""
    return any(row.code is None and a.status in row.statuses for row in terms.error_codes)


def _taken(a: Answer, terms: Terms) -> bool:
    """Whether the table names codes for this status: then it is not one where any code will do."""
    return any(row.code is not None and a.status in _statuses(row, terms) for row in terms.error_codes)


def _public(terms: Terms) -> set[str]:
    return {row.code for row in terms.error_codes if row.code is not None}


def _statuses(row: ErrorCode, terms: Terms) -> tuple[int, ...]:
    return tuple(terms.settings.invalid_request_status) if row.code == "invalid_request" else row.statuses


def _retryable(row: ErrorCode, terms: Terms) -> bool:
    return terms.settings.model_unavailable_retryable if row.code == "model_unavailable" else row.retryable


def _http_date(text: str) -> bool:
    try:
        parsedate_to_datetime(text)
    except ValueError:
        return False
    return any(form.fullmatch(text) for form in HTTP_DATES)


def _json(value: bool) -> str:
    return "true" if value else "false"
