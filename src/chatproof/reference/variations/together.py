"""Several oddities in one deployment: each is legal, and so are all of them."""

from __future__ import annotations

from collections.abc import Iterable

from ..vocabulary import Variation
from . import answers, billing, bodies, chunks, errors, framing, identity, text, timing

_MODULES = (answers, billing, bodies, chunks, errors, framing, identity, text, timing)
_KNOWN = {variation.name: variation for module in _MODULES for variation in module.VARIATIONS}


def _together(name: str, sentence: str, names: Iterable[str]) -> Variation:
    """The changes of several variations, in the order in which those are named."""
    return Variation(name, sentence, tuple(change for one in names for change in _KNOWN[one].changes))


VARIATIONS = (
    _together(
        "old-proxy",
        "An old proxy: CRLF, comments, closed connections, header names in small letters, bodies in pieces.",
        (
            "comments-first",
            "comments-after-done",
            "crlf",
            "odd-writes",
            "stream-until-close",
            "chunked-bodies",
            "close-after-each-answer",
            "lower-case-headers",
            "wrong-method-404",
        ),
    ),
    _together(
        "strange-upstream",
        "A strange upstream: preamble, reasoning, two tokens a chunk, null members, usage that nobody asked for.",
        (
            "preamble",
            "role-with-null",
            "two-tokens-a-chunk",
            "reasoning-first",
            "content-with-finish",
            "null-members",
            "empty-delta-after-finish",
            "usage-unasked",
            "usage-details",
            "figures-as-numbers",
            "completion-id-signed",
        ),
    ),
    _together(
        "bad-day",
        "A bad day: slow first tokens, uneven ones, a queue, and failures that pass.",
        (
            "slow-first-token",
            "uneven-tokens",
            "queue",
            "rate-limit-before-validation",
            "bad-gateway-passing",
            "twin-409",
            "retry-after-nothing",
        ),
    ),
)
