"""Places in a JSON document: RFC 6901 pointers with ``*`` for every item of an array. Knows nothing of
chat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

GONE = object()  # what an edit returns to remove the place


def edit(document: Any, pointer: str, change: Callable[[Any], Any]) -> None:
    """Replaces what is at each place by ``change(what is there)``, in place.

    A missing last member of an object is passed as None and made; any other missing step means no place.
    """
    head, *rest = pointer.lstrip("/").split("/")
    for key in _keys(document, head, last=not rest):
        if rest:
            edit(document[key], "/".join(rest), change)
            continue
        old = document.get(key) if isinstance(document, dict) else document[key]
        new = change(old)
        if new is not GONE:
            document[key] = new
        elif isinstance(document, dict):
            document.pop(key, None)
        else:
            del document[key]


def _keys(document: Any, head: str, *, last: bool) -> list[Any]:
    if isinstance(document, list):
        wanted = range(len(document)) if head == "*" else [int(head)] if head.isdecimal() else []
        return [index for index in reversed(wanted) if index < len(document)]
    if isinstance(document, dict) and (last or head in document):
        return [head]
    return []
