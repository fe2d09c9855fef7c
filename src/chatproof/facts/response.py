"""JSON bodies and unstreamed completions (EP-02, EP-05, RSP-01..08)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from chatproof.answer import Answer, decode_json
from chatproof.facts.fact import Distinct, Terms, fact, must, problem, should
from chatproof.verdict import Problem

FINISH_REASONS = ("stop", "length", "tool_calls", "content_filter", "function_call")
EARLIEST_CREATED = 1_420_070_400  # 2015-01-01: no such API is older
A_DAY_S = 86_400
NO_WEIGHT = re.compile(r"\s*q\s*=\s*0(\.0*)?\s*")


def has_body(a: Answer) -> bool:
    """Whether a whole body came that was not asked to be a stream."""
    return a.whole and bool(a.body) and not (a.asked_stream and a.status == 200)


def said_encoding(a: Answer) -> bool:
    """Whether the request named the content codings it accepts, and was answered."""
    return a.status is not None and a.exchange.request.header("Accept-Encoding") is not None


def sync(a: Answer) -> bool:
    """Whether this is a whole 200 answer to an unstreamed chat request."""
    return a.is_sync and a.whole


def completion(a: Answer) -> bool:
    """Whether it is one that can be read: a JSON object, and not an error in disguise."""
    return sync(a) and bool(a.fields) and a.error is None


def with_choices(a: Answer) -> bool:
    """Whether it also has choices to look at."""
    return completion(a) and bool(a.choices)


def labelled_json(media_type: str) -> bool:
    """Whether a media type says JSON."""
    return media_type == "application/json" or media_type.endswith("+json")


@fact("EP-02", of=has_body)
def json_is_labelled_and_valid(a: Answer, terms: Terms) -> Iterator[Problem]:
    """What is labelled JSON is JSON, and what is JSON is labelled so."""
    try:
        value = decode_json(a.body)
    except ValueError as wrong:
        if labelled_json(a.media_type):
            yield problem("valid UTF-8 JSON under application/json", f"a body that is not: {wrong}")
    else:
        if isinstance(value, dict | list) and not labelled_json(a.media_type):
            yield problem("Content-Type: application/json", a.media_type or "none")


@fact("EP-05", of=said_encoding, cheap=True)
def coding_was_offered(a: Answer, terms: Terms) -> Iterator[Problem]:
    """The body's content coding is one that the request accepts (RFC 9110, 12.5.3)."""
    accepted = _codings(a.exchange.request.header("Accept-Encoding") or "")
    for coding in _codings(a.exchange.header("Content-Encoding") or ""):
        if not accepted.get(coding, accepted.get("*", coding == "identity")):
            yield problem(f"a content coding among {', '.join(accepted)}", coding)


def _codings(header: str) -> dict[str, bool]:
    """Each coding a header names, and whether its weight is above zero."""
    parts = (part.partition(";") for part in header.lower().split(",") if part.strip())
    return {name.strip(): not NO_WEIGHT.fullmatch(weight) for name, _, weight in parts}


@fact("RSP-01", of=sync)
def body_follows_the_schema(a: Answer, terms: Terms) -> Iterator[Problem]:
    """The body is a JSON object that validates against `chat.completion`."""
    if not isinstance(a.json, dict):
        yield problem(
            "one chat.completion object", a.body[:120].decode("utf-8", "backslashreplace") or "nothing"
        )
        return
    for where, wrong in terms.schemas["chat.completion"].problems(a.json):
        yield problem("a body that validates against chat.completion", f"{where}: {wrong}")


@fact("RSP-02", of=completion)
def id_is_a_string(a: Answer, terms: Terms) -> Iterator[Problem]:
    """`id` is a non-empty string."""
    if a.completion_id is None:
        yield problem("a non-empty string as id", repr(a.fields["id"]) if "id" in a.fields else "no id")


COMPLETION_IDS_ARE_DISTINCT = Distinct(
    clause="RSP-02",
    of=completion,
    token=lambda a: a.completion_id,
    owner=lambda a: a.operation,
    expected="an id of its own for every completion",
)


@fact("RSP-03", of=completion)
def model_is_resolved(a: Answer, terms: Terms) -> Iterator[Problem]:
    """`model` names what answered, never the alias."""
    named = repr(a.fields["model"]) if "model" in a.fields else "no model"
    if a.model is None or a.model.lower() == "auto" or "model" not in a.fields:
        yield problem("the id of the model that handled the call", named)


@fact("RSP-05", of=completion)
def choices_are_well_formed(a: Answer, terms: Terms) -> Iterator[Problem]:
    """Choices are there, numbered from 0, and each is an assistant's message."""
    found = a.fields.get("choices")
    if not isinstance(found, list) or not found:
        yield problem("a non-empty list of choices", found if "choices" in a.fields else "no choices")
        return
    indices = [choice.get("index") for choice in a.choices]
    if sorted(map(repr, indices)) != sorted(map(repr, range(len(found)))):
        yield problem(f"choices numbered 0 to {len(found) - 1}", indices)
    for choice in a.choices:
        yield from _message(choice.get("message"))


def _message(message: object) -> Iterator[Problem]:
    if not isinstance(message, dict):
        yield problem("a message object in each choice", message)
        return
    if message.get("role") != "assistant":
        yield problem('message.role "assistant"', message.get("role", "no role"))
    content = message.get("content")
    called = message.get("tool_calls") or message.get("function_call")
    if not isinstance(content, str) and not (content is None and called):
        yield problem("message.content as a string (null only with tool calls)", repr(content))


@fact("RSP-06", of=with_choices)
def finish_reason_is_known(a: Answer, terms: Terms) -> Iterator[Problem]:
    """Each choice says why it ended."""
    for choice in a.choices:
        if choice.get("finish_reason") not in FINISH_REASONS:
            yield problem(
                f"finish_reason among {', '.join(FINISH_REASONS)}", repr(choice.get("finish_reason"))
            )


@fact("RSP-07", of=completion)
def usage_adds_up(a: Answer, terms: Terms) -> Iterator[Problem]:
    """The three counts are whole, not negative, and add up."""
    yield from usage_problems(a)


def usage_problems(a: Answer) -> Iterator[Problem]:
    """What is wrong with an answer's token counts, streamed or not."""
    if a.usage is None:
        yield problem("a usage object with token counts", "no usage")
        return
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    counts = {name: a.count(name) for name in names}
    wrong = {name: a.usage.get(name, "absent") for name, n in counts.items() if n is None or n < 0}
    if wrong:
        yield problem("token counts that are non-negative integers", repr(wrong))
    elif counts["total_tokens"] != (counts["prompt_tokens"] or 0) + (counts["completion_tokens"] or 0):
        yield problem("total_tokens = prompt_tokens + completion_tokens", repr(counts))


@fact("RSP-08", of=completion)
def object_and_created(a: Answer, terms: Terms) -> Iterator[Problem]:
    """`object` and `created` are there, and right where they are."""
    if "object" not in a.fields:
        yield should('object "chat.completion"', "no object")
    elif a.fields["object"] != "chat.completion":
        yield must('object "chat.completion"', repr(a.fields["object"]))
    if "created" not in a.fields:
        yield should("created in Unix seconds", "no created")
    elif not plausible_created(a, a.fields["created"]):
        yield must("created as a plausible Unix time in seconds", repr(a.fields["created"]))


def plausible_created(a: Answer, created: object) -> bool:
    """Whether a value is a whole number of Unix seconds between 2015 and a day from the exchange."""
    latest = a.exchange.wall_ns // 1_000_000_000 + A_DAY_S
    return type(created) is int and EARLIEST_CREATED <= created <= latest
