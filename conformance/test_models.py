"""The catalogue of models and the health of the service (MOD-01, MOD-02, HLT-01)."""

from __future__ import annotations

import pytest

from chatproof.answer import Answer
from chatproof.probe import Talk, Violation, noise, told
from chatproof.schemas import load_schemas
from chatproof.target import folder
from chatproof.verdict import NotObserved

TRIED = 2  # listed models beside the pinned one
NOT_FOR_CHAT = "unsupported_capability"  # a catalogue may list models that make images or embeddings


def document(talk: Talk, route: str) -> Answer:
    """What a route answers; asked again where noise came, NotObserved where it stays."""
    answer = talk.shared(route, lambda own: own.request("GET", route))
    if noise(answer):
        answer = talk.request("GET", route)
    if noise(answer):
        raise NotObserved(told(answer))
    return answer


def validates(answer: Answer, schema: str) -> None:
    """Judge a 200 whose body follows a published schema."""
    if answer.status != 200:
        raise Violation(f"200 to GET {answer.route}", told(answer), answer)
    problem = next(load_schemas(folder("schemas"))[schema].problems(answer.json), None)
    if problem is not None:
        raise Violation(f"a body that validates against the schema of {schema}", ": ".join(problem), answer)


@pytest.mark.clause("MOD-01")
def test_models_are_listed(talk: Talk) -> None:
    """`/models` lists models, each with its id and its owner."""
    validates(document(talk, "/models"), "models")


@pytest.mark.clause("MOD-02")
def test_listed_models_are_accepted(talk: Talk) -> None:
    """What the catalogue lists can be pinned; models that are listed but not made for chat are passed over."""
    listed = listed_models(document(talk, "/models"))
    judged = 0
    if talk.model in listed:
        talk.control()
        judged = 1
    for model in [name for name in listed if name != talk.model][:TRIED]:
        answer = talk.chat(model=model)
        if answer.status == 200:
            judged += 1
        elif not noise(answer) and answer.code != NOT_FOR_CHAT and (answer.status or 0) < 500:
            talk.control()
            raise Violation(f"200: the listed model {model}", told(answer), answer)
    if not judged:
        raise NotObserved("no listed model could be tried" if listed else "no model is listed")


def listed_models(answer: Answer) -> list[str]:
    """The ids of a catalogue, in its order, less the alias `auto`."""
    data = answer.fields.get("data") if answer.status == 200 else None
    ids = [row.get("id") for row in data if isinstance(row, dict)] if isinstance(data, list) else []
    return [name for name in ids if isinstance(name, str) and name and name != "auto"]


@pytest.mark.clause("HLT-01")
def test_service_is_healthy(talk: Talk) -> None:
    """`/health` says that all is well while requests are answered."""
    validates(document(talk, "/health"), "health")
