"""Checks addresses of a target before anything is sent to them. Knows no file and opens no connection."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit

from chatproof.target.keys import TargetError


def checked_base_url(written: str, at: str) -> str:
    """The base URL without a final slash; a `TargetError` begins with `at` and repeats nothing secret."""
    if not written.strip():
        raise TargetError(
            f"{at} is empty: give the address of the deployment, such as https://staging.example/v1"
        )
    parts = _split(written, at)
    path = parts.path.rstrip("/")
    if not path.endswith("/v1"):
        above, version, _ = f"{path}/".partition("/v1/")
        meant = f"{above}/v1" if version else f"{path}/v1"
        raise TargetError(f"{at} must end in /v1: try {parts.scheme}://{parts.netloc}{meant}")
    return f"{parts.scheme}://{parts.netloc}{path}"


def checked_url(written: str, at: str) -> str:
    """Any other address that is read, as written; it may have a query, but neither user nor fragment."""
    _split(written, at, query=True)
    return written


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine by its very name or number; no name is looked up."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(url: str, at: str, *, query: bool = False) -> SplitResult:
    """Take a URL apart; no message repeats it whole, since a secret may be in it."""
    if "${" in url:
        raise TargetError(f"{at}: ${{NAME}} is read in keys and header values only; write the address itself")
    if any(character.isspace() or not character.isprintable() for character in url):
        raise TargetError(f"{at} has white space or control characters in it: remove them")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as problem:
        raise TargetError(f"{at} is not a URL: {_reason(problem)}") from None
    if parts.scheme not in ("http", "https"):
        raise TargetError(f"{at} must begin with https:// or http://")
    if not parts.hostname or port == 0:
        raise TargetError(f"{at} names no host that can be reached: write https://host/v1")
    if "@" in parts.netloc:
        raise TargetError(f"{at} has a user or password in it: remove that; the key goes into BEATRA_API_KEY")
    if not query and ("?" in url or parts.query):
        raise TargetError(f"{at} has a query in it: remove everything from the question mark on")
    if "#" in url:
        raise TargetError(f"{at} has a fragment in it: remove everything from the # on")
    return parts


def _reason(problem: ValueError) -> str:
    return "its port is not a number from 1 to 65535" if "ort" in str(problem) else "its host cannot be read"
