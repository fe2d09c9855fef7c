"""Faults of the list of models and of the health route."""

from __future__ import annotations

from typing import Any

from ..changes import answer_status, body, document, drop, header, put, remap
from ..conditions import REFUSED, asks_for, route
from ..reply import Json
from ..seams import DOCUMENT
from ..vocabulary import Fault, unseen, warns

_MODELS = route("/v1/models") & ~REFUSED
_HEALTH = route("/v1/health")


def _listed(*more: str) -> Any:
    """The catalogue with more ids at its end."""

    def edit(call: object, catalogue: Json) -> Json:
        added = [{"id": name, "object": "model", "owned_by": "beatra"} for name in more]
        return {**catalogue, "data": [*catalogue["data"], *added]}

    return edit


def _last_without_owner(call: object, catalogue: Json) -> Json:
    *others, last = catalogue["data"]
    return {**catalogue, "data": [*others, {name: last[name] for name in last if name != "owned_by"}]}


_CATALOGUE = (
    Fault(
        "catalogue-under-models",
        "The list of models is a bare object with the member models.",
        warns("MOD-01"),
        (document(DOCUMENT, lambda call, listed: {"models": listed["data"]}, _MODELS),),
        unseen("MOD-02"),
    ),
    Fault(
        "catalogue-object-absent",
        "The list of models does not say that it is a list.",
        warns("MOD-01"),
        (drop(DOCUMENT, "/object", _MODELS),),
    ),
    Fault(
        "catalogue-entries-untyped",
        "The entries of the list say object engine.",
        warns("MOD-01"),
        (put(DOCUMENT, "/data/*/object", "engine", _MODELS),),
    ),
    Fault(
        "catalogue-last-without-owner",
        "The last entry of the list lacks owned_by.",
        warns("MOD-01"),
        (document(DOCUMENT, _last_without_owner, _MODELS),),
    ),
    Fault(
        "catalogue-empty",
        "The list of models is answered with 204 and no body.",
        warns("MOD-01"),
        (body(b"", None, _MODELS), header("Content-Type", None, _MODELS), answer_status(204, _MODELS)),
        unseen("MOD-02"),
    ),
    Fault(
        "catalogue-lists-retired",
        "The list's last model was retired, and requests for it are refused.",
        warns("MOD-02"),
        (document(DOCUMENT, _listed("MiniMax-M1"), _MODELS),),
    ),
    Fault(
        "catalogue-prefixed",
        "The list shows ids with the provider's prefix, which the chat route does not know.",
        warns("MOD-02"),
        (put(DOCUMENT, "/data/*/id", "beatra/{}".format, _MODELS),),
    ),
    Fault(
        "catalogue-lists-fine-tunes",
        "The list shows fine-tuned models, whose ids the chat route takes for malformed.",
        warns("MOD-02"),
        (
            document(DOCUMENT, _listed("ft:swift-small-1"), _MODELS),
            remap(asks_for(model="ft:swift-small-1"), code="invalid_request"),
        ),
    ),
)

_LIVENESS = (
    Fault(
        "health-degraded",
        "Health says that the status is healthy instead of ok.",
        warns("HLT-01"),
        (put(DOCUMENT, "/status", "healthy", _HEALTH),),
    ),
    Fault(
        "health-empty",
        "Health answers 204 without a body.",
        warns("HLT-01"),
        (body(b"", None, _HEALTH), header("Content-Type", None, _HEALTH), answer_status(204, _HEALTH)),
    ),
    Fault(
        "health-boolean",
        "Health says true instead of ok.",
        warns("HLT-01"),
        (put(DOCUMENT, "/status", True, _HEALTH),),
    ),
    Fault(
        "health-202",
        "Health says ok with status 202.",
        warns("HLT-01"),
        (answer_status(202, _HEALTH),),
    ),
)

FAULTS = (*_CATALOGUE, *_LIVENESS)
