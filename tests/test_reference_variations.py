"""Variations are named values that violate nothing: readable targets, known clauses, and oddities that show."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from chatproof import sse
from chatproof.reference import Reference, embedded, target_text
from chatproof.reference.access import MAIN_KEY
from chatproof.reference.variations import VARIATIONS
from chatproof.target import parse_target, read_contract
from chatproof.verdict import Outcome

HEADERS = {"Authorization": f"Bearer {MAIN_KEY}", "Accept-Encoding": "identity"}
COUNT = [{"role": "user", "content": "Count from 1 to 12"}]
URL = "http://127.0.0.1:1/v1"


@pytest.fixture(scope="module")
def reference() -> Iterator[Reference]:
    """One reference that serves every variation."""
    with embedded() as running:
        yield running


def ask(
    reference: Reference, variation: str, headers: dict[str, str] | None = None, **fields: Any
) -> httpx.Response:
    """One chat request to the deployment with a variation."""
    body = {"model": "MiniMax-M2.7", "messages": COUNT, **fields}
    url = f"{reference.base_url_of(variation)}/chat/completions"
    return httpx.post(url, json=body, headers=HEADERS | (headers or {}), timeout=5)


def said(answer: httpx.Response) -> list[Any]:
    """The JSON of each chunk, read by the event-stream rules."""
    events = sse.parse([(answer.content, 0)]).events
    return [json.loads(event.data) for event in events if event.data != b"[DONE]"]


def text_of(chunks: list[Any]) -> str:
    """What the deltas add up to."""
    deltas = (choice["delta"] for chunk in chunks for choice in chunk["choices"])
    return "".join(delta.get("content") or "" for delta in deltas)


@pytest.mark.parametrize("name", VARIATIONS)
def test_settings_make_a_target_file(name: str) -> None:
    """What a variation adds to the reference's target file leaves it readable."""
    text = target_text(URL) + VARIATIONS[name].settings

    assert parse_target(text, name=name, beside=Path(), env={}).base_url == URL


def test_outcomes_never_accuse() -> None:
    """What a variation declares of a clause is never a violation, but for the one warning that A9 asks for."""
    declared = {(one.name, *pair) for one in VARIATIONS.values() for pair in one.outcomes.items()}

    assert {clause for _, clause, _ in declared} <= set(read_contract().ids)
    assert {outcome for *_, outcome in declared} <= {
        Outcome.OBSERVE,
        Outcome.NOT_OBSERVED,
        Outcome.UNTESTABLE,
        Outcome.WARN,
    }
    assert {name for name, _, outcome in declared if outcome == Outcome.WARN} == {"agreed-bare-chunks"}


@pytest.mark.parametrize(
    "name",
    [
        "crlf",
        "cr",
        "crlf-split",
        "all-line-ends",
        "blank-lines",
        "no-space",
        "comments-first",
        "comments-inside",
        "event-ids-and-pings",
        "keepalive-events",
        "byte-order-mark",
        "many-data-lines",
        "escaped-chunks",
        "odd-writes",
        "stream-until-close",
        "role-with-content",
        "content-with-finish",
        "two-tokens-a-chunk",
        "short-answer-in-one-chunk",
        "empty-content",
        "reasoning-first",
        "preamble",
        "annotations",
        "usage-unasked",
        "strange-upstream",
    ],
)
def test_stream_says_the_same(reference: Reference, name: str) -> None:
    """However a stream is written, it brings the whole text, one finish_reason and [DONE]."""
    answer = ask(reference, name, stream=True)
    chunks = said(answer)
    finishes = [choice.get("finish_reason") for chunk in chunks for choice in chunk["choices"]]

    assert text_of(chunks) == " ".join(map(str, range(1, 13)))
    assert [reason for reason in finishes if reason] == ["stop"]
    assert answer.content.count(b"[DONE]") == 1


def test_gzip_only_where_it_was_offered(reference: Reference) -> None:
    """A client that does not offer gzip gets none; one that does gets the same stream in it."""
    plain = ask(reference, "gzip-if-offered", stream=True)
    with httpx.stream(
        "POST",
        f"{reference.base_url_of('gzip-if-offered')}/chat/completions",
        json={"model": "MiniMax-M2.7", "messages": COUNT, "stream": True},
        headers=HEADERS | {"Accept-Encoding": "gzip"},
    ) as coded:
        raw = b"".join(coded.iter_raw())

    assert ("content-encoding" in plain.headers, coded.headers["Content-Encoding"]) == (False, "gzip")
    assert gzip.decompress(raw).count(b"data:") == plain.content.count(b"data:")


def test_choices_one_by_one(reference: Reference) -> None:
    """The second choice begins when the first one has finished."""
    chunks = said(ask(reference, "choices-one-by-one", stream=True, n=2))
    order = [choice["index"] for chunk in chunks for choice in chunk["choices"]]

    assert order == sorted(order)
    assert set(order) == {0, 1}


def test_choices_side_by_side(reference: Reference) -> None:
    """One chunk speaks for both choices, and each still says everything."""
    chunks = said(ask(reference, "choices-side-by-side", stream=True, n=2))

    assert {len(chunk["choices"]) for chunk in chunks} == {2}
    assert text_of(chunks).count("12") == 2


def test_body_until_the_connection_ends(reference: Reference) -> None:
    """A body without length and without chunked encoding is whole when the connection ends."""
    answer = ask(reference, "bodies-until-close")

    assert {"content-length", "transfer-encoding"} & set(answer.headers) == set()
    assert answer.headers["Connection"] == "close"
    assert answer.json()["choices"][0]["finish_reason"] == "stop"


def test_figures_as_numbers(reference: Reference) -> None:
    """Both figures stand in the body as JSON numbers with all their places."""
    strings = ask(reference, "many-zeros").json()["usage"]
    numbers = re.findall(r'"credits(?:_usd_reference)?":([0-9.]+)', ask(reference, "figures-as-numbers").text)

    assert [Decimal(number) for number in numbers] == [
        Decimal(strings["credits"]),
        Decimal(strings["credits_usd_reference"]),
    ]


def test_half_a_prompt_from_a_cache(reference: Reference) -> None:
    """Prompts with a common opening report cached tokens, and cost less than others as long."""
    prompts = {"hit": "Repeat this code: abc", "miss": "Please repeat this code: abc"}
    usages = {
        name: ask(reference, "cached-prompts", messages=[{"role": "user", "content": prompt}]).json()["usage"]
        for name, prompt in prompts.items()
    }

    assert usages["hit"]["prompt_tokens_details"]["cached_tokens"] == usages["hit"]["prompt_tokens"] // 2
    assert "prompt_tokens_details" not in usages["miss"]
    assert Decimal(usages["hit"]["credits"]) < Decimal(usages["miss"]["credits"])


def test_short_answers_are_all_thought(reference: Reference) -> None:
    """With a small cap a model that thinks first says nothing, streamed or not."""
    message = ask(reference, "thinks-first", max_tokens=8).json()["choices"][0]["message"]
    streamed = said(ask(reference, "thinks-first", max_tokens=8, stream=True))

    assert (message["content"], message["reasoning_content"]) == ("", "1 2 3 4 5 6 7 8")
    assert text_of(streamed) == ""


def test_agreed_status(reference: Reference) -> None:
    """A deployment whose target file says 422 answers 422."""
    assert ask(reference, "agreed-invalid-request-422", messages=[]).status_code == 422
    assert "invalid_request_status = [422]" in VARIATIONS["agreed-invalid-request-422"].settings


def test_failures_that_pass(reference: Reference) -> None:
    """Every seventh request is over the limit, and may be tried again at once."""
    answers = [ask(reference, "rate-limit-passing") for _ in range(14)]
    limited = [answer for answer in answers if answer.status_code == 429]

    assert len(limited) == 2
    assert {answer.headers["Retry-After"] for answer in limited} == {"0"}
    assert {answer.status_code for answer in answers} == {200, 429}
