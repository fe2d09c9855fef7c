"""The facts of JSON bodies and unstreamed completions on answers made by hand."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from chatproof.answer import Answer
from chatproof.contract import Level
from chatproof.facts import Tally, judge
from chatproof.record import Tag, Transfer
from tests.exchanges import (
    ABSENT,
    COMPLETION,
    CREATED,
    answer,
    error_answer,
    stream_answer,
    sync_answer,
    terms,
)

TOOL_CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CHOICE = COMPLETION["choices"][0]
COMPLETION_CLAUSES = ["RSP-02", "RSP-03", "RSP-05", "RSP-06", "RSP-07", "RSP-08"]


def tally(clause: str, *answers: Answer) -> Tally:
    """What one clause's facts say of some answers."""
    return judge(answers, terms())[clause]


def actual(clause: str, *answers: Answer) -> list[str]:
    """What they found wrong, in the words of the findings."""
    return [problem.actual for _, problem in tally(clause, *answers).problems]


def judged(clause: str, **changes: Any) -> list[str]:
    """What is wrong with a completion with these changes; `__` stands for the dots of a path."""
    return actual(clause, sync_answer({path.replace("__", "."): value for path, value in changes.items()}))


def test_right_completion_breaks_nothing() -> None:
    """The completion that the documentation shows is in order by every clause that needs no price."""
    tallies = judge([sync_answer()], terms())
    wrong = [clause for clause, found in tallies.items() if found.problems]

    assert wrong == []


def test_completion_of_the_document_breaks_no_must() -> None:
    """The sample without `object` and `created` is warned of, and no more."""
    sample = sync_answer({"object": ABSENT, "created": ABSENT})
    problems = [problem for found in judge([sample], terms()).values() for _, problem in found.problems]

    assert [(p.level, p.actual) for p in problems] == [
        (Level.SHOULD, "no object"),
        (Level.SHOULD, "no created"),
    ]


# EP-02 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", "Application/JSON", "application/problem+json"],
)
def test_json_by_its_name(content_type: str) -> None:
    """EP-02: parameters and capitals are allowed, and types that end in +json."""
    found = tally("EP-02", sync_answer(content_type=content_type))

    assert (found.subjects, found.problems) == (1, ())


@pytest.mark.parametrize(
    ("content_type", "shows"),
    [("text/plain", "text/plain"), ("text/event-stream", "text/event-stream"), ("", "none")],
)
def test_json_by_another_name(content_type: str, shows: str) -> None:
    """EP-02: JSON under another name is a violation, on errors too."""
    wrong = [sync_answer(content_type=content_type), error_answer(content_type=content_type)]

    assert actual("EP-02", *wrong) == [shows, shows]


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": 1',
        b'{"a": 1}data: [DONE]',
        b'{"a": "\xff"}',
        b'\xef\xbb\xbf{"a": 1}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b"{'a': 1}",
        '{"a": "你"}'.encode("gb18030"),
        b"[" * 200_000,
    ],
)
def test_what_is_labelled_json_is_json(body: bytes) -> None:
    """EP-02: a body under application/json that is no JSON in UTF-8 is a violation."""
    assert [
        shows.startswith("a body that is not: ") for shows in actual("EP-02", sync_answer(body=body))
    ] == [True]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html>", "text/html"),
        (b"no such route", "text/plain"),
        (b"ok", "text/plain"),
        (b'"ok"', "text/plain"),
    ],
)
def test_what_is_no_json_may_say_so(body: bytes, content_type: str) -> None:
    """EP-02: pages and texts under their own names are other clauses' affair."""
    assert actual("EP-02", error_answer(body=body, content_type=content_type)) == []


@pytest.mark.parametrize(
    "unjudged",
    [
        stream_answer(),
        error_answer(body=b"", status=502),
        sync_answer(body=b'{"a"', transfer=Transfer.CUT),
        answer(b"", status=None, transfer=Transfer.REFUSED),
    ],
)
def test_no_json_body_to_judge(unjudged: Answer) -> None:
    """EP-02: streams, empty bodies and bodies cut on the way are no subjects."""
    assert tally("EP-02", unjudged).subjects == 0


def test_refusal_of_a_stream_is_json() -> None:
    """EP-02: what refuses a stream is an ordinary body, and judged as one."""
    refused = stream_answer(body=json.dumps({"error": {}}).encode(), status=400)

    assert actual("EP-02", refused) == ["text/event-stream"]


# EP-05 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("identity", None),
        ("identity", "identity"),
        ("gzip", "gzip"),
        ("GZIP;q=0.5", "gzip"),
        ("*", "br"),
        ("br;q=0.1, *;q=0", "br"),
        ("", None),
        ("gzip, deflate", "deflate"),
    ],
)
def test_coding_that_was_offered(accepted: str, coding: str | None) -> None:
    """EP-05: codings that the request accepts, and none at all."""
    answered = sync_answer(
        request_headers=(("Accept-Encoding", accepted),), headers={"Content-Encoding": coding}
    )
    found = tally("EP-05", answered)

    assert (found.subjects, found.problems) == (1, ())


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("identity", "gzip"),
        ("gzip", "br"),
        ("gzip;q=0", "gzip"),
        ("gzip; q=0.000", "gzip"),
        ("*;q=0", "gzip"),
        ("", "gzip"),
        ("gzip", "gzip, br"),
    ],
)
def test_coding_that_was_not_offered(accepted: str, coding: str) -> None:
    """EP-05: any other coding, one of weight 0 too, is a violation."""
    answered = sync_answer(
        request_headers=(("Accept-Encoding", accepted),), headers={"Content-Encoding": coding}
    )

    assert actual("EP-05", answered) == [coding.split(", ")[-1]]


def test_coding_without_a_wish() -> None:
    """EP-05: a request that says nothing of codings is no subject."""
    assert tally("EP-05", sync_answer(headers={"Content-Encoding": "br"})).subjects == 0


# RSP ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clause", ["RSP-01", *COMPLETION_CLAUSES])
@pytest.mark.parametrize(
    "other",
    [
        stream_answer(),
        error_answer(),
        sync_answer(transfer=Transfer.CUT),
        sync_answer(asked={"stream": "true"}),
        sync_answer(route="/models", method="GET"),
    ],
)
def test_what_is_no_completion(clause: str, other: Answer) -> None:
    """RSP: streams, errors, cut bodies, other routes and answers to half a wish for a stream are no subjects."""
    assert tally(clause, other).subjects == 0


@pytest.mark.parametrize("clause", COMPLETION_CLAUSES)
@pytest.mark.parametrize("body", [b"", b"data: {}\n\n", b"[]", json.dumps({"error": {"code": "x"}}).encode()])
def test_what_cannot_be_read_is_one_finding(clause: str, body: bytes) -> None:
    """RSP: a body that is no completion is RSP-01's to judge, and no other's."""
    unreadable = sync_answer(body=body)

    assert (tally(clause, unreadable).subjects, bool(actual("RSP-01", unreadable))) == (0, True)


@pytest.mark.parametrize(
    ("body", "shows"),
    [
        (b"", "nothing"),
        (b"[]", "[]"),
        (b'{"id": ', '{"id": '),
        (b"null", "null"),
        (b"data: {}\n\n", "data: {}\n\n"),
    ],
)
def test_body_that_is_no_object(body: bytes, shows: str) -> None:
    """RSP-01: what is no JSON object is told as it is."""
    assert actual("RSP-01", sync_answer(body=body)) == [shows]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("id", 7),
        ("id", ABSENT),
        ("model", ABSENT),
        ("choices", {}),
        ("choices", ABSENT),
        ("choices.0.message", ABSENT),
        ("choices.0.index", "0"),
        ("choices.0.message.content", 5),
        ("choices.0.finish_reason", 5),
        ("system_fingerprint", 5),
        ("usage", []),
    ],
)
def test_body_against_the_schema(path: str, value: object) -> None:
    """RSP-01: a field of another type, or one that is missing, is named by its place."""
    parent = "$." + path.rpartition(".")[0].replace(".0", "[0]")
    place = parent.rstrip(".") if value is ABSENT else f"$.{path.replace('.0', '[0]')}"

    assert [shows.partition(": ")[0] for shows in actual("RSP-01", sync_answer({path: value}))] == [place]


def test_body_may_say_more() -> None:
    """RSP-01: extra fields are welcome at every level."""
    more = sync_answer(
        {
            "provider": "x",
            "choices.0.stop_reason": 5,
            "choices.0.message.reasoning_content": "hm",
            "usage.cost": 1,
        }
    )

    assert actual("RSP-01", more) == []


@pytest.mark.parametrize(("value", "shows"), [("", "''"), (7, "7"), (None, "None"), (ABSENT, "no id")])
def test_id_that_is_none(value: object, shows: str) -> None:
    """RSP-02: an id is a string, and not empty."""
    assert judged("RSP-02", id=value) == [shows]


def test_id_that_came_before() -> None:
    """RSP-02: two completions may not share an id."""
    answers = [sync_answer(tag=Tag("probe", step)) for step in ("1", "2")]

    assert actual("RSP-02", *answers) == ["'chatcmpl-1' came before, in probe/1"]


def test_replay_keeps_its_id() -> None:
    """RSP-02: a second answer under the same idempotency key and credentials is the same completion."""
    key = (("Idempotency-Key", "k"),)
    answers = [sync_answer(tag=Tag("probe", step), request_headers=key) for step in ("1", "2")]

    assert actual("RSP-02", *answers) == []


def test_another_key_is_another_completion() -> None:
    """RSP-02: under another idempotency key the id must be another."""
    answers = [
        sync_answer(tag=Tag("probe", key), request_headers=(("Idempotency-Key", key),)) for key in ("k", "l")
    ]

    assert len(actual("RSP-02", *answers)) == 1


@pytest.mark.parametrize(
    ("value", "shows"),
    [
        ("auto", "'auto'"),
        ("Auto", "'Auto'"),
        ("", "''"),
        (None, "None"),
        (ABSENT, "no model"),
        (["m"], "['m']"),
    ],
)
def test_model_that_is_none(value: object, shows: str) -> None:
    """RSP-03: the alias, an empty name and none at all do not say what answered."""
    assert judged("RSP-03", model=value) == [shows]


@pytest.mark.parametrize("value", ["MiniMax-M2.7-20260115", "auto-1", "some/other:model"])
def test_model_of_another_name(value: str) -> None:
    """RSP-03: any other name will do; whether it is the pinned one is RSP-04's."""
    assert judged("RSP-03", model=value) == []


@pytest.mark.parametrize(
    ("path", "value", "shows"),
    [
        ("choices", [], "[]"),
        ("choices", {}, "{}"),
        ("choices", None, "None"),
        ("choices", ABSENT, "no choices"),
        ("choices", [CHOICE, CHOICE], "[0, 0]"),
        ("choices", [CHOICE, 5], "[0]"),
        ("choices.0.index", 1, "[1]"),
        ("choices.0.index", ABSENT, "[None]"),
        ("choices.0.index", True, "[True]"),
        ("choices.0.message", "Hello", "Hello"),
        ("choices.0.message.role", "user", "user"),
        ("choices.0.message.role", ABSENT, "no role"),
        ("choices.0.message.content", None, "None"),
        ("choices.0.message.content", ABSENT, "None"),
        ("choices.0.message.content", 5, "5"),
        ("choices.0.message.content", ["Hello"], "['Hello']"),
    ],
)
def test_choices_out_of_form(path: str, value: object, shows: str) -> None:
    """RSP-05: each way in which choices and messages can be wrong."""
    assert actual("RSP-05", sync_answer({path: value})) == [shows]


@pytest.mark.parametrize(
    "changes",
    [
        {"choices": [{**CHOICE, "index": 1}, CHOICE]},
        {"choices.0.message.content": ""},
        {"choices.0.message": {"role": "assistant", "content": "", "reasoning_content": "hm"}},
        {"choices.0.message": {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]}},
        {"choices.0.message": {"role": "assistant", "tool_calls": [TOOL_CALL]}},
        {"choices.0.message": {"role": "assistant", "content": None, "function_call": {"name": "f"}}},
    ],
)
def test_choices_of_any_legal_form(changes: dict[str, Any]) -> None:
    """RSP-05: any order, an empty content, reasoning alone, and null beside tool calls are legal."""
    assert actual("RSP-05", sync_answer(changes)) == []


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "content_filter", "function_call"])
def test_reason_to_finish(reason: str) -> None:
    """RSP-06: the five reasons there are."""
    assert judged("RSP-06", choices__0__finish_reason=reason) == []


@pytest.mark.parametrize(
    ("reason", "shows"),
    [(None, "None"), (ABSENT, "None"), ("", "''"), ("eos", "'eos'"), ("STOP", "'STOP'"), (0, "0")],
)
def test_no_reason_to_finish(reason: object, shows: str) -> None:
    """RSP-06: null, absent, empty, and any other word."""
    assert judged("RSP-06", choices__0__finish_reason=reason) == [shows]


def test_each_choice_has_its_reason() -> None:
    """RSP-06: the second choice is judged like the first."""
    choices = [CHOICE, {**CHOICE, "index": 1, "finish_reason": None}]

    assert judged("RSP-06", choices=choices) == ["None"]


def test_no_choice_has_no_reason() -> None:
    """RSP-06: without choices there is nothing to judge; RSP-05 says so."""
    assert tally("RSP-06", sync_answer({"choices": []})).subjects == 0


@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens", "total_tokens"])
@pytest.mark.parametrize(
    ("value", "shows"), [(ABSENT, "'absent'"), (None, "None"), ("62", "'62'"), (-1, "-1"), (True, "True")]
)
def test_count_that_is_none(name: str, value: object, shows: str) -> None:
    """RSP-07: each of the three is a whole number, and not negative."""
    assert actual("RSP-07", sync_answer({f"usage.{name}": value})) == [f"{{'{name}': {shows}}}"]


def test_count_with_a_fraction() -> None:
    """RSP-07: 62.0 is no integer."""
    assert len(judged("RSP-07", usage__total_tokens=62.0)) == 1


@pytest.mark.parametrize("usage", [ABSENT, None, "62"])
def test_no_counts(usage: object) -> None:
    """RSP-07: an answer without usage is a violation."""
    assert judged("RSP-07", usage=usage) == ["no usage"]


@pytest.mark.parametrize("total", [61, 63, 38, 0])
def test_counts_that_do_not_add_up(total: int) -> None:
    """RSP-07: the total is the sum of the two."""
    shows = f"{{'prompt_tokens': 24, 'completion_tokens': 38, 'total_tokens': {total}}}"

    assert judged("RSP-07", usage__total_tokens=total) == [shows]


def test_counts_of_nothing() -> None:
    """RSP-07: zero is a count."""
    assert judged("RSP-07", usage__completion_tokens=0, usage__total_tokens=24) == []


@pytest.mark.parametrize("value", [CREATED - 5, CREATED, CREATED + 86_400, 1_420_070_400])
def test_created_that_is_plausible(value: int) -> None:
    """RSP-08: seconds between 2015 and a day from now."""
    assert judged("RSP-08", created=value) == []


@pytest.mark.parametrize(
    "value", [CREATED * 1000, CREATED + 86_401, 1_420_070_399, 0, -1, str(CREATED), True, None]
)
def test_created_that_is_not(value: object) -> None:
    """RSP-08: milliseconds, other times and other types are a MUST where the field is there."""
    problems = [problem for _, problem in tally("RSP-08", sync_answer({"created": value})).problems]

    assert [(problem.level, problem.actual) for problem in problems] == [(Level.MUST, repr(value))]


def test_created_with_a_fraction() -> None:
    """RSP-08: seconds are whole."""
    assert len(judged("RSP-08", created=CREATED + 0.5)) == 1


@pytest.mark.parametrize("value", ["chat.completion.chunk", "text_completion", "", None, 5])
def test_object_of_another_name(value: object) -> None:
    """RSP-08: another name is a MUST where the field is there."""
    problems = [problem for _, problem in tally("RSP-08", sync_answer({"object": value})).problems]

    assert [(problem.level, problem.actual) for problem in problems] == [(Level.MUST, repr(value))]


def test_compressed_completion_is_read() -> None:
    """RSP: a body under gzip is judged like any other."""
    body = gzip.compress(json.dumps({**COMPLETION, "model": "auto"}).encode())

    assert actual("RSP-03", sync_answer(body=body, headers={"Content-Encoding": "gzip"})) == ["'auto'"]
