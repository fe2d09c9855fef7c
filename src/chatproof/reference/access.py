"""Who may ask: the reference's keys, and the rules that authenticate a request before anything else is looked
at."""

from __future__ import annotations

from .problem import Problem
from .rule import Asked, Rule

MAIN_KEY = "cp-reference-key-main-5d81c0a7"
LIMITED_KEY = "cp-reference-key-limited-93be21f4"
EMPTY_KEY = "cp-reference-key-empty-c27a60d8"
REVOKED_KEY = "cp-reference-key-revoked-18f4e2b9"
FLAKY_KEY = "cp-reference-key-flaky-7ac05d36"
KEYS = (MAIN_KEY, LIMITED_KEY, EMPTY_KEY, REVOKED_KEY, FLAKY_KEY)

_CHALLENGE = (("WWW-Authenticate", "Bearer"),)


def bearer(asked: Asked) -> str | None:
    """The key of a bearer header, empty where there is none after the scheme; None for any other header."""
    scheme, _, key = (asked.authorization or "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None


def _unauthorized(message: str) -> Problem:
    return Problem(401, "unauthorized", message, headers=_CHALLENGE)


def _invalid_key(message: str) -> Problem:
    return Problem(401, "invalid_api_key", message, headers=_CHALLENGE)


def _no_authorization(asked: Asked) -> Problem | None:
    return _unauthorized("Send your API key as a bearer token.") if asked.authorization is None else None


def _other_scheme(asked: Asked) -> Problem | None:
    return _unauthorized("Only bearer tokens are accepted.") if bearer(asked) is None else None


def _empty_bearer(asked: Asked) -> Problem | None:
    return _unauthorized("The bearer token is empty.") if bearer(asked) == "" else None


def _key_with_junk(asked: Asked) -> Problem | None:
    key = bearer(asked) or ""
    junk = any(key.startswith(known) and key != known for known in KEYS)
    return _invalid_key("The API key is not valid.") if junk else None


def _unknown_key(asked: Asked) -> Problem | None:
    return _invalid_key("The API key is not valid.") if bearer(asked) not in KEYS else None


def _revoked_key(asked: Asked) -> Problem | None:
    return _invalid_key("The API key was revoked.") if bearer(asked) == REVOKED_KEY else None


AUTHENTICATION = (
    Rule("no_authorization", _no_authorization),
    Rule("other_scheme", _other_scheme),
    Rule("empty_bearer", _empty_bearer),
    Rule("key_with_junk", _key_with_junk),
    Rule("unknown_key", _unknown_key),
    Rule("revoked_key", _revoked_key),
)
