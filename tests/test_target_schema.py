"""The target file's schema and its documentation say what the reader does."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from chatproof.target import TargetError, folder, parse_target, read_contract
from chatproof.target.keys import TABLES, keys_of

ENV = {
    "BEATRA_API_KEY": "sk-main-0000",
    "LIMITED_KEY": "sk-limited-1111",
    "EMPTY_KEY": "sk-empty-2222",
    "REVOKED_KEY": "sk-revoked-3333",
    "FLAKY_KEY": "sk-flaky-4444",
    "GATE_TOKEN": "tok-gate-5555",
    "BLANK": "  ",
    "BROKEN": "sk-new\n",
}
SCHEMA: dict[str, Any] = json.loads((folder("schemas") / "target.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=FormatChecker())


def properties(path: str) -> set[str]:
    """The keys that the schema knows at a table's path."""
    found = {place: set(node["properties"]) for place, node in tables_of(SCHEMA, "") if "properties" in node}
    if path == "billing.balance":
        return set().union(*(set(node["properties"]) for node in SCHEMA["$defs"]["balance"]["oneOf"]))
    return found[path]


def tables_of(node: dict[str, Any], path: str) -> list[tuple[str, dict[str, Any]]]:
    """Every object of the schema with the path that its table has in the file."""
    node = SCHEMA["$defs"][node["$ref"].rsplit("/", 1)[1]] if "$ref" in node else node
    node = (
        tables_of(node["items"], path)[0][1]
        if node.get("type") == "array" and "$ref" in node["items"]
        else node
    )
    inner = node.get("properties", {})
    below = [
        row for key, value in inner.items() for row in tables_of(value, f"{path}.{key}" if path else key)
    ]
    return [(path, node), *below]


@pytest.mark.parametrize("path", list(TABLES))
def test_the_schema_knows_the_same_keys(path: str) -> None:
    """In every table the schema lists exactly the keys that are read."""
    assert properties(path) == set(keys_of(path))


def test_the_schema_lists_the_clauses_that_a_run_judges() -> None:
    """Editors complete exactly the ids that an entry may name."""
    judged = [clause.id for clause in read_contract() if clause.unchecked is None]

    assert SCHEMA["$defs"]["clause"]["enum"] == judged


WRONG: tuple[Any, ...] = ("", 0, -1, True, 1.5, [], {}, "x y\n", ["x"], "422")
GOOD: dict[str, tuple[Any, ...]] = {
    "base_url": ("https://a.example/v1", "http://127.0.0.1:9/deep/v1/"),
    "api_key": ("${BEATRA_API_KEY}",),
    "headers": ({}, {"X-Env": "staging", "X-Token": "${GATE_TOKEN}"}),
    "timeout_s": (1, 0.5, 86400),
    "stall_s": (20, 7.5),
    "model.id": ("m", "vendor/m-2"),
    "model.credits_per_litellm_usd": ("1500", "0"),
    "model.litellm_model": ("a/b",),
    "model.input_usd_per_token": ("3e-7", "0.1"),
    "model.output_usd_per_token": ("1.2E-6", "0.1"),
    "model.cached_input_usd_per_token": ("0",),
    "billing.credits_per_usd_rate": ("1000",),
    "billing.balance.url": ("https://a.example/b?c=d",),
    "billing.balance.pointer": ("", "/a/0/b~1c"),
    "billing.balance.headers": ({}, {"Authorization": "Bearer ${GATE_TOKEN}"}),
    "billing.balance.command": (["a"], ["a", "b"]),
    "provoke.rate_limited_key": ("${LIMITED_KEY}",),
    "provoke.empty_wallet_key": ("${EMPTY_KEY}",),
    "provoke.revoked_key": ("${REVOKED_KEY}",),
    "provoke.flaky_key": ("${FLAKY_KEY}",),
    "provoke.unavailable_model": ("down",),
    "settings.invalid_request_status": ([400], [400, 422], [422]),
    "settings.unknown_model": (["404"], ["400 unsupported_model", "503 model_unavailable"]),
    "settings.sampling_exclusivity": ("reject", "accept"),
    "settings.model_unavailable_retryable": (True, False),
    "settings.chunk_envelope": ("openai", "bare"),
    "settings.incremental.moments": (2, 10),
    "settings.incremental.apart_ms": (2, 0.5),
    "settings.incremental.largest_share": (0.7, 1),
    "settings.extra_error_codes": ([], ["a_b", "QuotaExceeded"]),
    "deviation.clause": ("ERR-07",),
    "deviation.match.route": ("/chat/completions",),
    "deviation.match.status": (400, 599),
    "deviation.match.contains": ("x",),
    "deviation.reason": ("r",),
    "deviation.ticket": ("T-1",),
    "deviation.until": (date(2027, 1, 31),),
    "waive.clause": ("ERR-11",),
    "waive.reason": ("r",),
    "waive.until": (date(2027, 6, 30),),
    "budget.credits": ("50", "0.5"),
    "budget.check_requests": (1, 2000),
    "budget.load_requests": (1,),
    "slo.ttft_p95_ms": (800, 0.5),
    "slo.itl_p99_ms": (120,),
    "slo.e2e_p95_s": (12,),
    "slo.complete_fraction": (0.999, 1),
}
# A value of a free text that is only odd, or a key that the schema cannot tell from a variable's name.
BEYOND_THE_SCHEMA = {
    "api_key", "headers", "provoke.rate_limited_key", "provoke.empty_wallet_key", "provoke.revoked_key",
    "provoke.flaky_key", "billing.balance.headers",
}  # fmt: skip


ALWAYS = {"model.id", "billing.balance.url", "billing.balance.command", "deviation.match.status"} | {
    f"{table}.{key}" for table in ("deviation", "waive") for key in ("clause", "reason", "until")
}
UNSET_TOGETHER = {
    "model.input_usd_per_token",
    "model.output_usd_per_token",
    "model.cached_input_usd_per_token",
}


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Target files as data: some tables, some of their keys, and in half one key wrong, gone or unknown."""
    kind = draw(st.sampled_from(["url", "command"]))
    left_out = {
        f"billing.balance.{key}" for key in ({"command"} if kind == "url" else {"url", "pointer", "headers"})
    }
    left_out |= draw(st.sampled_from([set(), UNSET_TOGETHER]))
    tables = {table: draw(st.booleans()) for table in TABLES if table} | {"": True}
    document: dict[str, Any] = {}
    for path, values in GOOD.items():
        wanted = tables[path.rpartition(".")[0].removesuffix(".match")] and path not in left_out
        optional = path not in ALWAYS | UNSET_TOGETHER | {"base_url"}
        if wanted and not (optional and draw(st.integers(0, 3)) == 0):
            place(document, path, draw(st.sampled_from(values)))
    judged = [path for path in GOOD if path not in BEYOND_THE_SCHEMA]
    match draw(st.sampled_from(["right", "right", "right", "wrong", "gone", "unknown"])):
        case "wrong":
            place(document, draw(st.sampled_from(judged)), draw(st.sampled_from(WRONG)))
        case "gone":
            unset(document, draw(st.sampled_from(judged)))
        case "unknown":
            place(
                document, draw(st.sampled_from([*(f"{path}.extra" for path in TABLES if path), "extra"])), 1
            )
    return entries_listed(document)


def entries_listed(document: dict[str, Any]) -> dict[str, Any]:
    """The document with the tables that are written `[[...]]` as lists of one."""
    listed = ("model", "deviation", "waive")
    return {
        key: [value] if key in listed and isinstance(value, dict) else value
        for key, value in document.items()
    }


def unset(document: dict[str, Any], path: str) -> None:
    """Take away what stands at a dotted path, if anything does."""
    *tables, key = path.split(".")
    for table in tables:
        document = document.get(table, {})
    document.pop(key, None)


def place(document: dict[str, Any], path: str, value: object) -> None:
    """Put a value at a dotted path, making the tables on the way."""
    *tables, key = path.split(".")
    for table in tables:
        document = document.setdefault(table, {})
    document[key] = value


def toml(value: object) -> str:
    """A value as TOML writes it inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return value.isoformat() if isinstance(value, date) else json.dumps(value)


def read(document: dict[str, Any]) -> str | None:
    """Why the reader refuses a document; None where it takes it."""
    try:
        text = "".join(f"{json.dumps(key)} = {toml(value)}\n" for key, value in document.items())
        parse_target(text, name="t.toml", beside=Path("nowhere"), env=ENV)
    except TargetError as refused:
        return str(refused)
    return None


def validated(document: dict[str, Any]) -> str | None:
    """Why the schema refuses a document; None where it takes it."""
    as_json = json.loads(json.dumps(document, default=date.isoformat))
    return next((error.message for error in VALIDATOR.iter_errors(as_json)), None)


@given(documents())
def test_the_schema_and_the_reader_agree(document: dict[str, Any]) -> None:
    """What an editor accepts by the schema is read, and what it marks is refused."""
    reader, editor = read(document), validated(document)

    assert (reader is None) == (editor is None), f"reader: {reader}; schema: {editor}"


@pytest.mark.parametrize("path", [path for path in GOOD if path not in BEYOND_THE_SCHEMA])
def test_both_refuse_a_wrong_value_of_every_key(path: str) -> None:
    """For every key some value is wrong, and schema and reader agree on each."""
    judged = []
    for value in WRONG:
        document: dict[str, Any] = {"base_url": "https://a.example/v1"}
        for other in ALWAYS | UNSET_TOGETHER:
            beside = other.partition(".")[0] == path.partition(".")[0]
            if beside and other.endswith(".command") == path.endswith(".command"):
                place(document, other, GOOD[other][0])
        place(document, path, value)
        judged.append((read(entries_listed(document)) is None, validated(entries_listed(document)) is None))

    assert all(reader == editor for reader, editor in judged)
    assert (False, False) in judged


TEXT_OF_THE_PAGE = (Path(__file__).parents[1] / "docs" / "target-file.md").read_text(encoding="utf-8")
ROWS = {
    key.strip("` "): default.strip("` ")
    for line in TEXT_OF_THE_PAGE.splitlines()
    if line.startswith("| `")
    for _, key, *_, default, _ in [line.split("|")]
}


def test_the_documentation_names_every_key() -> None:
    """docs/target-file.md has one row for each key, and none for anything else."""
    keys = {f"{path}.{key}" if path else key for path in TABLES for key in keys_of(path)}

    assert set(ROWS) == keys - set(TABLES)


def test_the_documented_defaults_are_the_readers() -> None:
    """Where a default is a value, the page, the schema and the reader say the same."""
    target = parse_target('base_url = "https://a.example/v1"', name="t.toml", beside=Path("nowhere"), env=ENV)
    tables: dict[str, object] = {
        "": target,
        "settings": target.settings,
        "settings.incremental": target.settings.incremental,
        "budget": target.budget,
    }
    documented: dict[str, object] = {}
    read: dict[str, object] = {}
    for place, node in tables_of(SCHEMA, ""):
        for key, row in node.get("properties", {}).items():
            if place in tables and "default" in row and key != "api_key":
                path = f"{place}.{key}" if place else key
                documented[path] = json.loads(ROWS[path])
                read[path] = msgspec.to_builtins(getattr(tables[place], key), enc_hook=float)
                assert row["default"] == documented[path]

    assert len(documented) == 13
    assert {path: list(v) if isinstance(v, tuple) else v for path, v in read.items()} == documented
