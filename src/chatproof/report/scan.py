"""The last look: is a secret of the run in anything that was written? Finds, and changes nothing."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chatproof import har
from chatproof.redact import Redactor


@dataclass(frozen=True, slots=True)
class Hit:
    """A secret that was found in a file: which kind and form it is, never what it says."""

    file: str
    marker: str

    @property
    def text(self) -> str:
        """The hit in one line."""
        return f"{self.file} holds {self.marker.replace('redacted:', '')}, a secret of this run"


def scan(directory: Path, redactor: Redactor) -> tuple[Hit, ...]:
    """Every file below a folder in which a secret stands, in any form that the redactor knows."""
    found = sorted(path for path in directory.rglob("*") if path.is_file())
    return scan_files({str(path.relative_to(directory)): path.read_bytes() for path in found}, redactor)


def scan_files(files: Mapping[str, bytes], redactor: Redactor) -> tuple[Hit, ...]:
    """Every file, by its name, in which a secret stands: as it is, and as a reader of its format would see it."""
    hits: list[Hit] = []
    for name, data in files.items():
        marker = next((found for text in _readings(name, data) if (found := redactor.found(text))), None)
        if marker:
            hits.append(Hit(name, marker))
    return tuple(hits)


def _readings(name: str, data: bytes) -> Iterator[bytes]:
    yield data
    if reading := READINGS.get(name.rpartition(".")[2]):
        yield from reading(data)


def _unescaped(data: bytes) -> Iterator[bytes]:
    yield html.unescape(data.decode("utf-8", "replace")).encode("utf-8", "surrogatepass")


def _without_backslashes(data: bytes) -> Iterator[bytes]:
    yield data.replace(b"\\", b"")


def _strings(data: bytes) -> Iterator[bytes]:
    """Every string of a JSON text: escapes hide nothing."""
    try:
        value = json.loads(data)
    except ValueError:
        return  # no JSON, whatever its name says: it was looked at as it is
    yield "\n".join(_texts(value)).encode("utf-8", "surrogatepass")


def _lines(data: bytes) -> Iterator[bytes]:
    for line in data.splitlines():
        yield from _strings(line)


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for key, item in value.items():
                yield key
                yield from _texts(item)
        case list():
            for item in value:
                yield from _texts(item)


def _recorded(data: bytes) -> Iterator[bytes]:
    """The strings of a recording, and its bodies: one that is no text is in the file as base64."""
    yield from _strings(data)
    try:
        exchanges = har.loads(data)
    except har.HarError:
        return  # somebody else's file
    for exchange in exchanges:
        yield exchange.request.body
        yield exchange.body


READINGS: Final[Mapping[str, Callable[[bytes], Iterator[bytes]]]] = {
    "html": _unescaped,
    "xml": _unescaped,
    "md": _without_backslashes,
    "json": _strings,
    "jsonl": _lines,
    "har": _recorded,
}
