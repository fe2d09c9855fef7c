"""Secrets out, typed markers in: pure, and applied before anything is kept. Knows no file and no network.

Each secret is looked for as it is and in the forms in which servers leak it: URL-quoted, base64, JSON-escaped, and
its SHA-256 and MD5 digests. The marker keeps the kind, `<redacted:api_key>`, so that a recording can still be judged.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from chatproof.record import Headers, Read

SHORTEST = 6  # a shorter value would match by chance


class Redactor:
    """Replaces every known secret by its marker; immutable, shared by all that writes."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._markers: dict[bytes, bytes] = {}
        for kind, value in secrets.items():
            if len(value) >= SHORTEST:
                for form, text in forms(value).items():
                    marker = f"<redacted:{kind}{':' + form if form else ''}>"
                    self._markers.setdefault(text, marker.encode())
        longest_first = sorted(self._markers, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, longest_first))) if longest_first else None

    def data(self, data: bytes) -> bytes:
        """The bytes with markers in place of secrets."""
        if self._pattern is None:
            return data
        return self._pattern.sub(lambda match: self._markers[match[0]], data)

    def text(self, text: str) -> str:
        """The text with markers in place of secrets."""
        return self.data(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")

    def headers(self, headers: Headers) -> Headers:
        """The headers with markers in place of secrets."""
        return tuple((name, self.text(value)) for name, value in headers)

    def reads(self, reads: Iterable[Read]) -> tuple[Read, ...]:
        """The reads with markers in place of secrets, also of one cut by a read; instants and order stay.

        The marker stands in the read that brought the secret's first byte.
        """
        reads = tuple(reads)
        body = b"".join(read.data for read in reads)
        if self._pattern is None or self._pattern.search(body) is None:
            return reads
        spans = [(m.start(), m.end(), self._markers[m[0]]) for m in self._pattern.finditer(body)]
        kept: list[Read] = []
        start = 0
        for read in reads:
            end = start + len(read.data)
            kept.append(Read(read.at_ns, _cut(body, start, end, spans)))
            start = end
        return tuple(kept)

    def found(self, data: bytes) -> str | None:
        """The marker of the first secret that is in the bytes, or `None`: for the last look at what was written."""
        match = self._pattern.search(data) if self._pattern else None
        return self._markers[match[0]].decode() if match else None


def _cut(body: bytes, start: int, end: int, spans: Iterable[tuple[int, int, bytes]]) -> bytes:
    out = bytearray()
    at = start
    for first, last, marker in spans:
        if last <= at or first >= end:
            continue
        if first >= start:
            out += body[at:first] + marker
        at = min(last, end)
    return bytes(out + body[at:end])


def forms(value: str) -> dict[str, bytes]:
    """The ways in which a secret may be written, by the name its marker carries; "" is the secret itself."""
    raw = value.encode()
    return {
        "": raw,
        "base64": base64.b64encode(raw).rstrip(b"="),
        "urlsafe": base64.urlsafe_b64encode(raw).rstrip(b"="),
        "url": quote(value, safe="").encode(),
        "json": json.dumps(value)[1:-1].encode(),
        "sha256": hashlib.sha256(raw).hexdigest().encode(),
        "md5": hashlib.md5(raw, usedforsecurity=False).hexdigest().encode(),
    }
