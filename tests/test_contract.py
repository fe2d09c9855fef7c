"""The contract's text and its registry: complete, ordered, and clear about what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from chatproof.contract import Contract, ContractError, Level

TEXT = (Path(__file__).parents[1] / "conformance" / "contract.toml").read_text(encoding="utf-8")
CONTRACT = Contract.parse(TEXT)

# Written by hand from the published contract: M must, S should, O observe; * on every exchange.
PUBLISHED = """
EP-01 M, EP-02 M*, EP-03 S, EP-04 S, EP-05 S*, AUT-01 M, AUT-02 M, AUT-03 S, AUT-04 S, AUT-05 M,
REQ-01 M, REQ-02 M, REQ-03 M, REQ-04 M, REQ-05 M, REQ-06 M, REQ-07 M, REQ-08 M, REQ-09 M, REQ-10 M, REQ-11 S,
REQ-12 M, REQ-13 S, REQ-14 M,
SMP-01 M, SMP-02 M, SMP-03 M, SMP-04 M, SMP-05 M, SMP-06 M, SMP-07 M, SMP-08 M,
RSP-01 M*, RSP-02 M*, RSP-03 M*, RSP-04 S, RSP-05 M*, RSP-06 M*, RSP-07 M*, RSP-08 S*, RSP-09 M,
STR-01 M*, STR-02 M*, STR-03 M*, STR-04 M*, STR-05 M*, STR-06 M*, STR-07 M*, STR-08 S*, STR-09 M, STR-10 M,
STR-11 M*, STR-12 M*, STR-13 S*, STR-14 M*, STR-15 M*, STR-16 S, STR-17 M*, STR-18 M, STR-19 O*,
RID-01 M*, RID-02 M*, RID-03 M*, RID-04 M*, RID-05 S,
IDM-01 M, IDM-02 M, IDM-03 M, IDM-04 M, IDM-05 M, IDM-06 S, IDM-07 O, IDM-08 M,
ERR-01 M*, ERR-02 M*, ERR-03 M*, ERR-04 M*, ERR-05 M*, ERR-06 S*, ERR-07 S, ERR-08 M*, ERR-09 M, ERR-10 M,
ERR-11 M, ERR-12 M*, ERR-13 M,
BIL-01 M*, BIL-02 M*, BIL-03 M*, BIL-04 M*, BIL-05 M*, BIL-06 M*, BIL-07 S*, BIL-08 M, BIL-09 M, BIL-10 M,
BIL-11 M,
MOD-01 S, MOD-02 S, HLT-01 S,
OWN-01 M, OWN-02 M, OWN-03 M, OWN-04 M, OWN-05 M
"""


def published() -> list[tuple[str, Level, bool]]:
    """The rows of the list above as (id, level, every)."""
    letters = {level.value[0]: level for level in Level}
    words = [row.split() for row in PUBLISHED.replace("\n", " ").split(",")]
    return [(id, letters[mark[0]], mark.endswith("*")) for id, mark in words]


def one(id: str = "EP-01", **fields: str) -> str:
    """A contract of one clause, as text."""
    values = {"level": "MUST", "section": "s", "sentence": "x", "source": "S"} | fields
    return (
        "\n".join(["[[clause]]", f'id = "{id}"', *(f'{key} = "{value}"' for key, value in values.items())])
        + "\n"
    )


def test_every_published_id_is_there_with_its_level_and_no_other() -> None:
    """The registry has exactly the published clauses, in their order, with their levels and *every* marks."""
    registered = [(clause.id, clause.level, clause.every) for clause in CONTRACT]

    assert published() == registered
    assert len(CONTRACT) == 105


def test_only_the_suites_own_duties_go_unchecked_and_each_says_why() -> None:
    """OWN-* and BIL-11 alone carry a reason, and the reason says what proves them instead."""
    reasons = {clause.id: clause.unchecked for clause in CONTRACT if clause.unchecked is not None}

    assert {"BIL-11", "OWN-01", "OWN-02", "OWN-03", "OWN-04", "OWN-05"} == set(reasons)
    assert all(reason.startswith("proved by the project's own tests: ") for reason in reasons.values())


def test_every_clause_says_something_and_names_its_source() -> None:
    """No sentence, section or source is empty, and none carries markup that a terminal would show."""
    for clause in CONTRACT:
        assert clause.sentence.strip()
        assert clause.section.strip()
        assert clause.source.strip()
        assert "**" not in clause.sentence


def test_sections_come_in_order_and_hold_their_own_clauses() -> None:
    """Each prefix lies in one section; sections partition the contract in its order."""
    regrouped = [clause.id for name in CONTRACT.sections for clause in CONTRACT.section(name)]

    assert list(CONTRACT.ids) == regrouped
    assert CONTRACT.sections == (
        "Endpoint and authentication",
        "Request fields",
        "Sampling",
        "Sync response",
        "Streaming",
        "X-Request-Id",
        "Idempotency",
        "Error envelope",
        "Billing",
        "Models and health",
        "The suite's own duties",
    )


def test_a_clause_is_found_by_its_id() -> None:
    """Lookup gives the clause itself; `in` tells a known id from an unknown one."""
    clause = CONTRACT["STR-02"]

    assert clause.sentence == "a stream that reported no error ends with `data: [DONE]`, exactly once"
    assert "STR-02" in CONTRACT
    assert "STR-99" not in CONTRACT


def test_an_unknown_id_is_an_error_that_names_it() -> None:
    """Asking for a clause that does not exist says which one was asked for."""
    with pytest.raises(ContractError, match="no clause 'STR-99'"):
        CONTRACT["STR-99"]


# Written by hand from the published table.
CODES = [
    ("invalid_request", {400}, False),
    ("unauthorized", {401}, False),
    ("invalid_api_key", {401}, False),
    ("insufficient_balance", {402}, False),
    ("forbidden", {403}, False),
    ("tenant_disabled", {403}, False),
    ("unsupported_capability", {400}, False),
    ("unsupported_model", {400}, False),
    ("api_key_region_mismatch", {400}, False),
    ("unsupported_option", {422, 400}, False),
    (None, {404, 405}, False),
    (None, {409}, False),
    ("rate_limited", {429}, True),
    ("billing_failed", {500}, True),
    ("model_unavailable", {503}, True),
    (None, set(range(500, 600)), True),
]


def test_the_error_code_table_is_the_published_one() -> None:
    """Every code has its statuses and its `retryable`; the last row takes every 5xx."""
    table = [(row.code, set(row.statuses), row.retryable) for row in CONTRACT.error_codes]

    assert table == CODES
    assert {"invalid_request_status", "model_unavailable_retryable"} == {
        row.setting for row in CONTRACT.error_codes if row.setting
    }


def test_the_ambiguities_name_their_settings_and_the_clauses_they_touch() -> None:
    """A1 to A10 are there; each clause can say which open question it stands on."""
    settings = {row.id: row.setting for row in CONTRACT.ambiguities if row.setting}

    assert [f"A{n}" for n in range(1, 11)] == [row.id for row in CONTRACT.ambiguities]
    assert settings == {
        "A1": "invalid_request_status",
        "A3": "sampling_exclusivity",
        "A6": "unknown_model",
        "A9": "chunk_envelope",
    }
    assert [row.id for row in CONTRACT.ambiguities_of("SMP-06")] == ["A1", "A3"]
    assert CONTRACT.ambiguities_of("HLT-01") == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (one() + one(), "EP-01 2 times"),
        (one(id="EP-1"), "'EP-1' is not a clause id"),
        (one(level="PERHAPS"), "PERHAPS"),
        (one(leval="MUST"), "unknown field `leval`"),
        ('[[clause]]\nid = "EP-01"\n', "missing required field `level`"),
        ("[[clause]\n", "cannot be read"),
        ("", "missing required field `clause`"),
        (
            one() + '[[error_code]]\ncode = "a"\nstatuses = [400]\nretryable = false\n' * 2,
            "error code a 2 times",
        ),
        (one() + '[[error_code]]\ncode = "a"\nstatuses = "4xx"\nretryable = false\n', "statuses"),
        (
            one()
            + '[[ambiguity]]\nid = "A1"\nquestion = "?"\ndefault = "d"\nwhy = "w"\nclauses = ["EP-02"]\n',
            "ambiguity A1 names clauses that do not exist: EP-02",
        ),
    ],
)
def test_a_broken_contract_says_what_is_wrong(text: str, message: str) -> None:
    """Duplicates, unknown ids, unknown fields and bad TOML are each one clear error."""
    with pytest.raises(ContractError, match=message):
        Contract.parse(text)


def test_clauses_are_frozen() -> None:
    """A clause that was handed out cannot be changed."""
    with pytest.raises(AttributeError):
        CONTRACT["EP-01"].level = Level.SHOULD  # type: ignore[misc]


def test_a_clause_can_be_written_as_json() -> None:
    """Reports and `clauses --json` encode a clause as it is."""
    row = msgspec.json.decode(msgspec.json.encode(CONTRACT["RSP-04"]))

    assert row == {
        "id": "RSP-04",
        "level": "SHOULD",
        "section": "Sync response",
        "sentence": "with a pinned model, `model` is that id",
        "source": "S",
        "every": False,
        "unchecked": None,
    }
