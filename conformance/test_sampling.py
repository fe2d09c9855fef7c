"""Temperature or top_p: their bounds, their types, and never both (SMP-01..08)."""

from __future__ import annotations

from typing import Any

import pytest

from chatproof.answer import Answer
from chatproof.evidence import json_body
from chatproof.probe import Talk, Violation, told

WRONG_TYPES = {"string": "0.5", "boolean": True, "array": [0.5], "object": {}}
BOTH: dict[str, Any] = {"temperature": 0.7, "top_p": 0.9}
ALONE: dict[str, dict[str, Any]] = {  # null stands for absent
    "top_p null": {"temperature": 0.7, "top_p": None},
    "temperature null": {"temperature": None, "top_p": 0.5},
}
STILL_BOTH: dict[
    str, dict[str, Any]
] = {  # 0 is a value, and so is OpenAI's default, 1: where one is not, both pass
    "temperature 0, top_p 1": {"temperature": 0, "top_p": 1},
    "temperature 1, top_p 0": {"temperature": 1, "top_p": 0},
}


def accepted(talk: Talk, **fields: Any) -> None:
    """Judge that a request with these fields is answered."""
    talk.accepted(lambda: talk.chat(**fields), said(fields))


def refused(talk: Talk, **fields: Any) -> None:
    """Judge that a request with these fields is invalid."""
    talk.refused(lambda: talk.chat(**fields), said(fields))


def said(fields: dict[str, Any]) -> str:
    """Fields as a finding shows them."""
    return json_body(fields).decode()


def exclusive(talk: Talk) -> bool:
    """Whether the deployment promises to refuse both fields together."""
    return talk.settings.sampling_exclusivity == "reject"


def note(talk: Talk, answer: Answer, fields: dict[str, Any]) -> None:
    """Record what a deployment that accepts both makes of them."""
    talk.notes.append(f"{said(fields)}: {told(answer)}")


@pytest.mark.clause("SMP-01")
@pytest.mark.parametrize("temperature", [0, 0.7, 2.0])
def test_temperature_in_range(talk: Talk, temperature: float) -> None:
    """Temperatures from 0 to 2.0, both included, are accepted."""
    accepted(talk, temperature=temperature)


@pytest.mark.clause("SMP-02")
@pytest.mark.parametrize("temperature", [-0.01, 2.01])
def test_temperature_out_of_range(talk: Talk, temperature: float) -> None:
    """Temperatures just beyond either bound are invalid."""
    refused(talk, temperature=temperature)


@pytest.mark.clause("SMP-03")
@pytest.mark.parametrize("kind", WRONG_TYPES)
def test_temperature_is_a_number(talk: Talk, kind: str) -> None:
    """A temperature that is no number is invalid."""
    refused(talk, temperature=WRONG_TYPES[kind])


@pytest.mark.clause("SMP-04")
@pytest.mark.parametrize("top_p", [0, 0.5, 1])
def test_top_p_alone(talk: Talk, top_p: float) -> None:
    """`top_p` from 0 to 1 is accepted where no temperature stands beside it."""
    accepted(talk, top_p=top_p)


@pytest.mark.clause("SMP-05")
@pytest.mark.parametrize("top_p", [-0.01, 1.01])
def test_top_p_out_of_range(talk: Talk, top_p: float) -> None:
    """`top_p` just beyond either bound is invalid."""
    refused(talk, top_p=top_p)


@pytest.mark.clause("SMP-05")
@pytest.mark.parametrize("kind", WRONG_TYPES)
def test_top_p_is_a_number(talk: Talk, kind: str) -> None:
    """A `top_p` that is no number is invalid."""
    refused(talk, top_p=WRONG_TYPES[kind])


@pytest.mark.clause("SMP-06")
def test_both_are_invalid(talk: Talk) -> None:
    """Temperature and `top_p` exclude each other, unless the target file says that both are accepted."""
    if exclusive(talk):
        refused(talk, **BOTH)
    else:
        note(talk, talk.chat(**BOTH), BOTH)


@pytest.mark.clause("SMP-07")
@pytest.mark.parametrize("pair", ALONE)
def test_null_is_absent(talk: Talk, pair: str) -> None:
    """A field that is null does not count beside the other; where that one alone is refused, null is not why."""
    fields = ALONE[pair]
    alone = {name: value for name, value in fields.items() if value is not None}

    talk.accepted(lambda: talk.chat(**fields), said(fields), beside=lambda: talk.chat(**alone))


@pytest.mark.clause("SMP-07")
@pytest.mark.parametrize("pair", STILL_BOTH)
def test_zero_and_one_are_values(talk: Talk, pair: str) -> None:
    """A field that is 0, or has its default, counts beside the other; not judged where both are accepted."""
    if exclusive(talk):
        refused(talk, **STILL_BOTH[pair])


@pytest.mark.clause("SMP-08")
def test_both_are_invalid_in_a_stream(talk: Talk) -> None:
    """A stream does not begin with both fields: the refusal is an envelope, before any event."""
    if not exclusive(talk):
        return note(talk, talk.chat(stream=True, **BOTH), BOTH)
    answer = talk.refused(lambda: talk.chat(stream=True, **BOTH), f"{said(BOTH)} with stream: true")

    if answer.error is None:
        raise Violation("the error envelope before any stream", told(answer), answer)
    return None


@pytest.mark.clause("SMP-08")
@pytest.mark.parametrize("pair", ALONE)
def test_null_is_absent_in_a_stream(talk: Talk, pair: str) -> None:
    """Null is absent in a stream too; where it is not without one, that is SMP-07's to judge."""
    fields = ALONE[pair]

    talk.accepted(
        lambda: talk.chat(stream=True, **fields),
        f"{said(fields)} with stream: true",
        beside=lambda: talk.chat(**fields),
    )


@pytest.mark.clause("SMP-08")
def test_zero_and_one_are_values_in_a_stream(talk: Talk) -> None:
    """0 and 1 are values in a stream too; where they are not without one, that is SMP-07's to judge."""
    fields = STILL_BOTH["temperature 0, top_p 1"]
    if not exclusive(talk):
        return
    try:
        refused(talk, stream=True, **fields)
    except Violation:
        if talk.chat(**fields).status != 200:
            raise
