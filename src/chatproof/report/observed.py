"""The shape of what came: which members and headers the deployment's answers had. Legal or not is not asked here.

Two reports hold their shapes against each other, so that a reader sees what a new build changed without breaking
anything: a member that is gone, a header that is new.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from chatproof.answer import Answer
from chatproof.record import Exchange

DEEPEST: Final = 6
MOST: Final = 400  # members of one kind; an answer of free keys must not fill the report
Shape = dict[str, list[str]]


def observed(exchanges: Sequence[Exchange]) -> Shape:
    """Member paths by kind of document, and header names by kind of answer; each sorted, each once."""
    found: dict[str, set[str]] = {}
    for exchange in exchanges:
        answer = Answer(exchange)
        kind = _kind(answer)
        if kind is None:
            continue
        found.setdefault(f"headers of {kind}", set()).update(name.lower() for name, _ in exchange.headers)
        if answer.is_stream:
            found.setdefault("chunk", set()).update(
                path for chunk in answer.chunks for path in _paths(chunk.fields)
            )
        else:
            found.setdefault(kind, set()).update(_paths(answer.fields))
    return {kind: sorted(paths)[:MOST] for kind, paths in sorted(found.items())}


def _kind(answer: Answer) -> str | None:
    if answer.status is None:
        return None
    if answer.status >= 400:
        return "error"
    if answer.is_stream:
        return "stream"
    return "completion" if answer.is_chat else f"{answer.exchange.request.method} {answer.route}"


def _paths(value: Any, path: str = "", depth: int = 0) -> Iterator[str]:
    if depth > DEEPEST:
        return
    if isinstance(value, Mapping):
        for name, item in value.items():
            here = f"{path}.{name}" if path else str(name)
            yield here
            yield from _paths(item, here, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _paths(item, f"{path}[]", depth + 1)
