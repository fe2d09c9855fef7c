"""Puts `${NAME}` from the environment into keys and header values; says what is secret, repeats no value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from chatproof.target.keys import TargetError

_NAME: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, token
_CREDENTIAL_NAME: Final = re.compile(
    r"auth|key|token|secret|cookie|passw|signature|credential|session", re.IGNORECASE
)
_SCHEME: Final = re.compile(r"(?:Bearer|Basic|Token|ApiKey)\s+", re.IGNORECASE)
_LONG_ENOUGH: Final = (
    16  # a value from the environment of this length, without a space, is taken for a secret
)

# The suite sets these itself, or judges what comes back for them.
OWN_HEADERS: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "expect",
        "host",
        "idempotency-key",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-request-id",
    }
)


def key_from(written: str, at: str, env: Mapping[str, str], *, literal: bool) -> str:
    """The key that `${NAME}` stands for; one written out is taken only where `literal` allows it."""
    if not written.strip():
        raise TargetError(f"{at} is empty: set it to a key of the account")
    if found := _NAME.fullmatch(written.strip()):
        return checked_key(_variable(found.group(1), at, env), f"{at}: the variable {found.group(1)}")
    if "$" in written:
        raise TargetError(f'{at}: write the variable as "${{NAME}}" and nothing beside it')
    if not literal:
        raise TargetError(
            f'{at} is written out: put it into a variable of the environment and write "${{NAME}}" here'
        )
    return checked_key(written, at)


def checked_key(key: str, at: str) -> str:
    """A key as it can stand in a header: not empty, visible ASCII only."""
    if not key.strip():
        raise TargetError(f"{at} is empty: set it to a key of the account")
    if key != key.strip():
        raise TargetError(f"{at} begins or ends with white space (a line break?): remove it")
    if not all("!" <= character <= "~" for character in key):
        raise TargetError(f"{at} has a character in it that cannot stand in a header: copy the key again")
    return key


def headers_from(
    written: Mapping[str, str],
    at: str,
    env: Mapping[str, str],
    *,
    literal: bool,
    own: frozenset[str] = OWN_HEADERS,
) -> tuple[dict[str, str], dict[str, str]]:
    """The headers with their variables put in, and the secret part of each that has one, by header name."""
    headers: dict[str, str] = {}
    secrets: dict[str, str] = {}
    for name, text in written.items():
        here = f"{at}: {name!r}"
        if not _HEADER_NAME.fullmatch(name):
            raise TargetError(f"{here} is not a header name: letters, digits and dashes only")
        if name.lower() in own:
            advice = "; the key goes into api_key" if name.lower() == "authorization" else ""
            raise TargetError(f"{here} is set by chatproof itself: remove it{advice}")
        if name.lower() in (known.lower() for known in headers):
            raise TargetError(f"{here} stands there twice: remove one")
        variables = [_variable(found.group(1), here, env) for found in _NAME.finditer(text)]
        if "${" in _NAME.sub("", text):
            raise TargetError(f'{here}: write a variable as "${{NAME}}"')
        names_credential = _CREDENTIAL_NAME.search(name) is not None
        if names_credential and not variables and not literal:
            raise TargetError(
                f'{here} looks like a credential: put it into a variable and write "${{NAME}}" here'
            )
        value = _NAME.sub(lambda found: env[found.group(1)], text)
        if not all(" " <= character <= "~" for character in value) or value != value.strip():
            raise TargetError(
                f"{here} has a character in it that cannot stand in a header, or white space around it"
            )
        headers[name] = value
        if names_credential:
            secrets[name] = variables[0] if len(variables) == 1 else _SCHEME.sub("", value, count=1)
        elif taken := [text for text in variables if len(text) >= _LONG_ENOUGH and " " not in text]:
            secrets[name] = max(taken, key=len)
    return headers, secrets


def _variable(name: str, at: str, env: Mapping[str, str]) -> str:
    if name not in env:
        raise TargetError(f"{at}: the variable {name} is not set: export it, or remove the line")
    if not env[name].strip():
        raise TargetError(f"{at}: the variable {name} is set but empty: give it its value")
    return env[name]
