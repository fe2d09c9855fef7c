"""The published schemas: valid, right about the documented samples and about what real servers send."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from chatproof.contract import Level
from chatproof.metrics import StreamRow
from chatproof.metrics.figures import figures
from chatproof.metrics.measures import endings
from chatproof.record import Ending
from chatproof.target import folder
from chatproof.verdict import VERDICT_NAME, Outcome

FILES = sorted(folder("schemas").glob("*.json"))
NAMES = [file.name.removesuffix(".schema.json") for file in FILES]
BARE_MAY_LACK = {"id", "object", "created", "model", "index"}


def schema(name: str) -> dict[str, Any]:
    """One published schema."""
    loaded: dict[str, Any] = json.loads(
        (folder("schemas") / f"{name}.schema.json").read_text(encoding="utf-8")
    )
    return loaded


def problems(name: str, value: object) -> list[str]:
    """What one schema says against a value, as `place: message`."""
    found = Draft202012Validator(schema(name)).iter_errors(value)
    return sorted(f"{error.json_path}: {error.message}" for error in found)


def without(value: dict[str, Any], path: str) -> dict[str, Any]:
    """A copy of a value without the member at a dotted path; numbers are places in a list."""
    changed = copy.deepcopy(value)
    *steps, last = path.split(".")
    inner: Any = changed
    for step in steps:
        inner = inner[int(step)] if step.isdigit() else inner[step]
    del inner[last]
    return changed


def with_(value: dict[str, Any], path: str, new: object) -> dict[str, Any]:
    """A copy of a value with another member at a dotted path; numbers are places in a list."""
    changed = copy.deepcopy(value)
    *steps, last = path.split(".")
    inner: Any = changed
    for step in steps:
        inner = inner[int(step)] if step.isdigit() else inner[step]
    inner[int(last) if last.isdigit() else last] = new
    return changed


# As the linked pages show them, with the charge that the document adds.
SYNC: dict[str, Any] = {
    "id": "chatcmpl_01J5...",
    "model": "<resolved>",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "..."}, "finish_reason": "stop"},
    ],
    "usage": {"prompt_tokens": 24, "completion_tokens": 38, "total_tokens": 62},
}
CHARGED = with_(with_(SYNC, "usage.credits", "3.0000"), "usage.credits_usd_reference", "0.0030")
BARE_CHUNKS: list[dict[str, Any]] = [
    {"choices": [{"delta": {"role": "assistant"}}]},
    {"choices": [{"delta": {"content": "Hi"}}]},
    {"choices": [{"delta": {}, "finish_reason": "stop"}]},
]
CHUNK: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1795376751,
    "model": "m",
    "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}],
}
ERROR: dict[str, Any] = {
    "error": {"code": "rate_limited", "message": "...", "retryable": True, "request_id": "req_01J5..."},
}
MODELS: dict[str, Any] = {"object": "list", "data": [{"id": "...", "object": "model", "owned_by": "beatra"}]}
HEALTH = {"status": "ok"}


@pytest.mark.parametrize("name", NAMES)
def test_each_schema_is_valid_and_says_what_it_is_of(name: str) -> None:
    """Each file is a draft 2020-12 schema with an id, a title, a description and examples."""
    loaded = schema(name)

    Draft202012Validator.check_schema(loaded)
    assert loaded["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert loaded["$id"] == f"urn:chatproof:schema:{name}"
    assert loaded["title"].startswith(f"{name}: ")
    assert loaded["description"]
    assert loaded["examples"]


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_of_a_schema_validate_against_it(name: str) -> None:
    """No example contradicts the schema it stands in."""
    found = [problems(name, example) for example in schema(name)["examples"]]

    assert found == [[] for _ in found]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("chat.completion", SYNC),
        ("chat.completion", CHARGED),
        ("usage", CHARGED["usage"]),
        ("error", ERROR),
        ("error", without(ERROR, "error.request_id")),
        ("models", MODELS),
        ("health", HEALTH),
    ],
)
def test_the_documented_samples_validate(name: str, value: dict[str, Any]) -> None:
    """Every shape that the documentation shows is accepted as it stands."""
    assert problems(name, value) == []


@pytest.mark.parametrize("chunk", BARE_CHUNKS)
def test_the_documented_chunks_lack_only_the_envelope(chunk: dict[str, Any]) -> None:
    """The chat page's chunks miss id, object, created, model and index, and break no other rule."""
    found = {problem.split("'")[1] for problem in problems("chat.completion.chunk", chunk)}

    assert found == BARE_MAY_LACK
    assert all("is a required property" in problem for problem in problems("chat.completion.chunk", chunk))


# What LiteLLM's proxy and llama.cpp were seen to send; long texts shortened.
REAL_COMPLETIONS: list[dict[str, Any]] = [
    {
        "id": "chatcmpl-905d8a98-3753-4d35-9773-6a7f13d02643",
        "created": 1795376751,
        "model": "minimax-m2.7",
        "object": "chat.completion",
        "choices": [
            {"finish_reason": "stop", "index": 0, "message": {"content": "Hello", "role": "assistant"}},
            {"finish_reason": "stop", "index": 1, "message": {"content": "Hello", "role": "assistant"}},
        ],
        "usage": {"completion_tokens": 20, "prompt_tokens": 10, "total_tokens": 30},
    },
    {
        "choices": [
            {
                "finish_reason": "length",
                "index": 0,
                "message": {"role": "assistant", "content": "\x0b"},
                "logprobs": {
                    "content": [
                        {"id": 205, "token": "\x0b", "bytes": [11], "logprob": -0.68, "top_logprobs": []},
                    ]
                },
            }
        ],
        "created": 1795379300,
        "model": "tiny-llama",
        "system_fingerprint": "b0-unknown",
        "object": "chat.completion",
        "usage": {
            "completion_tokens": 16,
            "prompt_tokens": 6,
            "total_tokens": 22,
            "prompt_tokens_details": {"cached_tokens": 0},
        },
        "id": "chatcmpl-DqqVLWwEgdj2XC4nw0i7XmCjpGSyb0K3",
        "timings": {
            "cache_n": 0,
            "prompt_n": 6,
            "prompt_ms": 0.8,
            "predicted_per_second": 3322.2591362126245,
        },
    },
]
REAL_CHUNKS: list[dict[str, Any]] = [
    {
        "id": "chatcmpl-ca6fcaf8",
        "object": "chat.completion.chunk",
        "created": 1795376751,
        "model": "minimax-m2.7",
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hel"}}],
    },
    {
        "choices": [{"finish_reason": None, "index": 0, "delta": {"role": "assistant", "content": None}}],
        "created": 1795379300,
        "id": "chatcmpl-6ZEsH6J4",
        "model": "tiny-llama",
        "system_fingerprint": "b0-unknown",
        "object": "chat.completion.chunk",
    },
    {
        "id": "chatcmpl-up1",
        "created": 1795376862,
        "model": "up",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": {}}],
        "usage": {
            "completion_tokens": 4,
            "prompt_tokens": 11,
            "total_tokens": 15,
            "completion_tokens_details": {"reasoning_tokens": 0},
            "prompt_tokens_details": {"cached_tokens": 0},
            "cost": 8.1e-6,
        },
    },
    {
        "choices": [],
        "created": 1795379300,
        "id": "chatcmpl-6ZEsH6J4",
        "model": "tiny-llama",
        "system_fingerprint": "b0-unknown",
        "object": "chat.completion.chunk",
        "usage": {"completion_tokens": 16, "prompt_tokens": 6, "total_tokens": 22},
        "timings": {"cache_n": 5},
    },
]
REAL_MODELS: list[dict[str, Any]] = [
    {
        "data": [
            {
                "id": "minimax-m2.7",
                "object": "model",
                "created": 1677610602,
                "owned_by": "openai",
                "mode": "chat",
                "max_input_tokens": 204800,
            },
        ],
        "object": "list",
    },
    {
        "models": [{"name": "tiny-llama", "capabilities": ["completion"]}],
        "object": "list",
        "data": [
            {
                "id": "tiny-llama",
                "aliases": ["tiny-llama"],
                "object": "model",
                "owned_by": "llamacpp",
                "tags": [],
            },
        ],
    },
]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("chat.completion", value) for value in REAL_COMPLETIONS),
        *(("chat.completion.chunk", value) for value in REAL_CHUNKS),
        *(("models", value) for value in REAL_MODELS),
    ],
)
def test_what_real_servers_send_validates(name: str, value: dict[str, Any]) -> None:
    """Fields of their own, missing optional fields and explicit nulls are no violation."""
    assert problems(name, value) == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            {"error": {"message": "Invalid API Key", "type": "authentication_error", "code": 401}},
            ["$.error: 'retryable' is a required property"],
        ),
        ({"detail": "Not Found"}, ["$: 'error' is a required property"]),
        ({"detail": [{"loc": ["body"], "msg": "x"}]}, ["$: 'error' is a required property"]),
        ({"error": "boom"}, ["$.error: 'boom' is not of type 'object'"]),
        (
            {"error": {}},
            [
                "$.error: 'code' is a required property",
                "$.error: 'message' is a required property",
                "$.error: 'retryable' is a required property",
            ],
        ),
    ],
)
def test_errors_that_are_no_envelope_are_told_by_what_they_lack(
    value: dict[str, Any], expected: list[str]
) -> None:
    """What LiteLLM, llama.cpp and FastAPI answer is refused for exactly the missing members."""
    assert problems("error", value) == expected


REQUIRED = [
    ("chat.completion", SYNC, ["id", "model", "choices", "choices.0.index", "choices.0.message"]),
    (
        "chat.completion.chunk",
        CHUNK,
        ["id", "object", "created", "model", "choices", "choices.0.index", "choices.0.delta"],
    ),
    ("error", ERROR, ["error", "error.code", "error.message", "error.retryable"]),
    (
        "usage",
        CHARGED["usage"],
        ["prompt_tokens", "completion_tokens", "total_tokens", "credits", "credits_usd_reference"],
    ),
    ("models", MODELS, ["object", "data", "data.0.id", "data.0.object", "data.0.owned_by"]),
    ("health", HEALTH, ["status"]),
]


@pytest.mark.parametrize(
    ("name", "value", "path"), [(name, value, path) for name, value, paths in REQUIRED for path in paths]
)
def test_each_required_member_is_missed(name: str, value: dict[str, Any], path: str) -> None:
    """Taking one required member away gives one problem, which names it."""
    found = problems(name, without(value, path))

    assert [problem.split(": ", 1)[1] for problem in found] == [
        f"'{path.split('.')[-1]}' is a required property"
    ]


WRONG_TYPES = [
    ("chat.completion", SYNC, "id", 7),
    ("chat.completion", SYNC, "model", None),
    ("chat.completion", SYNC, "choices", {}),
    ("chat.completion", SYNC, "choices.0", "text"),
    ("chat.completion", SYNC, "choices.0.index", "0"),
    ("chat.completion", SYNC, "choices.0.index", -1),
    ("chat.completion", SYNC, "choices.0.message", "text"),
    ("chat.completion", SYNC, "choices.0.message.content", 5),
    ("chat.completion", SYNC, "choices.0.message.tool_calls", {}),
    ("chat.completion", SYNC, "choices.0.message.refusal", False),
    ("chat.completion", SYNC, "choices.0.logprobs", []),
    ("chat.completion", SYNC, "usage", []),
    ("chat.completion", SYNC, "usage.prompt_tokens_details", {"cached_tokens": "8"}),
    ("chat.completion", SYNC, "system_fingerprint", 1),
    ("chat.completion.chunk", CHUNK, "id", None),
    ("chat.completion.chunk", CHUNK, "choices", None),
    ("chat.completion.chunk", CHUNK, "choices.0.index", "0"),
    ("chat.completion.chunk", CHUNK, "choices.0.delta", None),
    ("chat.completion.chunk", CHUNK, "choices.0.delta.content", ["Hi"]),
    ("chat.completion.chunk", CHUNK, "choices.0.delta.tool_calls", [{"index": "0"}]),
    ("chat.completion.chunk", CHUNK, "choices.0.finish_reason", False),
    ("chat.completion.chunk", CHUNK, "usage", "none"),
    ("usage", CHARGED["usage"], "prompt_tokens", -1),
    ("usage", CHARGED["usage"], "total_tokens", "62"),
    ("usage", CHARGED["usage"], "completion_tokens", 1.5),
    ("usage", CHARGED["usage"], "credits", -1),
    ("usage", CHARGED["usage"], "credits", "3e0"),
    ("usage", CHARGED["usage"], "credits", None),
    ("models", MODELS, "object", "models"),
    ("models", MODELS, "data.0.id", ""),
    ("health", HEALTH, "status", "up"),
]


@pytest.mark.parametrize(("name", "value", "path", "new"), WRONG_TYPES)
def test_a_wrong_type_is_told_at_its_place(name: str, value: dict[str, Any], path: str, new: object) -> None:
    """A value of a wrong type is found, at or below the member that holds it."""
    place = "$" + "".join(f"[{step}]" if step.isdigit() else f".{step}" for step in path.split("."))
    found = problems(name, with_(value, path, new))

    assert found
    assert all(problem.startswith(place) for problem in found)


LEFT_TO_OTHERS = [
    ("chat.completion", SYNC, "id", ""),  # RSP-02
    ("chat.completion", SYNC, "model", "auto"),  # RSP-03
    ("chat.completion", SYNC, "choices", []),  # RSP-05
    ("chat.completion", SYNC, "choices.0.index", 3),  # RSP-05
    ("chat.completion", SYNC, "choices.0.message.role", "user"),  # RSP-05
    ("chat.completion", SYNC, "choices.0.finish_reason", "done"),  # RSP-06
    ("chat.completion", SYNC, "choices.0.finish_reason", None),  # RSP-06
    ("chat.completion", SYNC, "usage.total_tokens", "62"),  # RSP-07
    ("chat.completion", SYNC, "object", "completion"),  # RSP-08
    ("chat.completion", SYNC, "created", 1795376751123),  # RSP-08
    ("chat.completion", CHARGED, "usage.credits", 1e-7),  # BIL-02
    ("chat.completion.chunk", CHUNK, "object", "chunk"),  # STR-05
    ("chat.completion.chunk", CHUNK, "created", 0.5),  # STR-05
    ("chat.completion.chunk", CHUNK, "choices.0.finish_reason", ""),  # STR-06
    ("chat.completion.chunk", CHUNK, "choices.0.delta.role", "user"),  # STR-08
    ("chat.completion.chunk", CHUNK, "usage", {"prompt_tokens": -1}),  # STR-13
    ("error", ERROR, "error.retryable", "yes"),  # ERR-02
    ("error", ERROR, "error.code", "429"),  # ERR-03
    ("error", ERROR, "error.message", ""),  # ERR-05
    ("error", ERROR, "error.param", "temperature"),  # ERR-07
    ("error", ERROR, "error.request_id", "another"),  # RID-04
]


@pytest.mark.parametrize(("name", "value", "path", "new"), LEFT_TO_OTHERS)
def test_what_another_clause_judges_is_left_to_it(
    name: str, value: dict[str, Any], path: str, new: object
) -> None:
    """A defect that has a clause of its own does not turn the schema's clause red as well."""
    assert problems(name, with_(value, path, new)) == []


def test_explicit_nulls_of_optional_fields_are_legal() -> None:
    """A null stands for absence wherever OpenAI's own servers send one."""
    nulls = {"service_tier": None, "system_fingerprint": None}
    message = {
        "role": "assistant",
        "content": "Hi",
        "refusal": None,
        "tool_calls": None,
        "function_call": None,
    }
    chunk = CHUNK | nulls | {"usage": None, "choices": [{"index": 0, "delta": message, "logprobs": None}]}
    completion = (
        SYNC | nulls | {"choices": [{"index": 0, "message": message | {"audio": None}, "logprobs": None}]}
    )

    assert problems("chat.completion.chunk", chunk) == []
    assert problems("chat.completion", completion) == []


def test_no_schema_forbids_extra_fields_of_an_answer() -> None:
    """Answers are open at every level: a field that nobody knows is no violation."""
    extra = {"x_vendor": {"deep": [1, None]}}
    choice = SYNC["choices"][0] | extra
    chunk_choice = CHUNK["choices"][0] | extra

    assert problems("chat.completion", SYNC | extra | {"choices": [choice]}) == []
    assert problems("chat.completion.chunk", CHUNK | extra | {"choices": [chunk_choice]}) == []
    assert problems("error", {"error": ERROR["error"] | extra} | extra) == []
    assert problems("models", MODELS | extra) == []
    assert problems("health", HEALTH | extra) == []


REPORT: dict[str, Any] = schema("report")["examples"][1]
REPORT_MISTAKES = [
    ("schema_version", 2),
    ("exit_code", 2),
    ("exit_code", 1),  # with the verdict "pass"
    ("verdict", "ok"),
    ("clauses.0.id", "STR-2"),
    ("clauses.0.outcome", "skipped"),
    ("clauses.0.level", "MAY"),
    ("clauses.0.subjects", -1),
    ("clauses.0.findings", None),
    ("totals.pass", "1"),
    ("target.hash", "abc"),
    ("run.started", None),
    ("load.metrics.ttft.p50_s", "0.2"),
    ("load.metrics.ttft.clock", "wall"),
    ("load.metrics.ttft.interval_s", {"p50": [0.1]}),
    ("load.streams.complete", None),
    ("load.rate.achieved", -1),
]


@pytest.mark.parametrize(("path", "new"), REPORT_MISTAKES)
def test_a_report_with_a_wrong_value_is_refused(path: str, new: object) -> None:
    """Outcomes, verdicts, levels, counts and figures are held to the published words and types."""
    assert problems("report", with_(REPORT, path, new)) != []


@pytest.mark.parametrize(
    "path",
    [
        *("schema_version", "run", "target", "clauses", "totals", "load", "verdict", "exit_code"),
        *(f"clauses.0.{key}" for key in ("id", "level", "outcome", "subjects", "violations", "findings")),
        *(f"load.metrics.{key}" for key in ("ttft", "itl", "e2e", "tpot")),
        *(f"load.metrics.ttft.{key}" for key in ("n", "p50_s", "p90_s", "p95_s", "p99_s", "max_s")),
        *(f"load.metrics.ttft.{key}" for key in ("interval_s", "adjusted", "clock")),
        *(f"load.rate.{key}" for key in ("asked", "achieved", "tokens_per_s", "events_per_s")),
        *("load.streams.still_running", "totals.not_observed"),
    ],
)
def test_a_report_without_a_published_member_is_refused(path: str) -> None:
    """Whoever reads a report may count on every published member."""
    assert [problem.split("'")[1] for problem in problems("report", without(REPORT, path))] == [
        path.split(".")[-1]
    ]


def test_a_report_speaks_the_words_of_the_code() -> None:
    """Outcomes, verdicts and endings are the same in the schema and in the code."""
    report = schema("report")
    definitions = report["$defs"]

    assert definitions["outcome"]["enum"] == [outcome.value for outcome in Outcome]
    assert report["properties"]["totals"]["required"] == [outcome.value for outcome in Outcome]
    assert report["properties"]["verdict"]["enum"] == list(VERDICT_NAME.values())
    assert report["properties"]["exit_code"]["enum"] == [int(code) for code in VERDICT_NAME] == [0, 1, 3, 4]
    assert definitions["load"]["properties"]["streams"]["required"] == [ending.value for ending in Ending]
    assert definitions["level"]["enum"] == [level.value for level in Level]


def test_the_figures_of_a_load_run_are_those_of_the_schema() -> None:
    """What the metrics show of no stream and of a few is valid, nulls with their reasons included."""
    complete = StreamRow(
        stream_id="1",
        scenario="steady",
        clock="kernel",
        intended_ns=0,
        started_ns=0,
        first_byte_ns=190_000_000,
        first_content_ns=200_000_000,
        last_content_ns=900_000_000,
        ended_ns=1_000_000_000,
        completion_tokens=8,
        ending=Ending.COMPLETE,
    )
    cut = StreamRow(stream_id="2", scenario="steady", intended_ns=0, started_ns=5, ending=Ending.CUT)
    streams = [complete, cut]
    for rows in (list[StreamRow](), streams):
        load = REPORT["load"] | {"metrics": figures(rows), "streams": endings(rows)}

        assert problems("report", REPORT | {"load": load}) == []


def test_a_report_is_open_for_what_is_added_later() -> None:
    """Members that are not listed are legal at every level: a report only grows."""
    grown = with_(with_(REPORT, "load.new", {}), "clauses.0.new", 1) | {"new": []}

    assert problems("report", with_(grown, "load.metrics.ttft.new", "x")) == []
