"""Faults are named values: known clauses, told apart, and each mechanism shows on a real socket."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from types import CodeType, FunctionType
from typing import Any

import httpx
import pytest

from chatproof.contract import Level
from chatproof.reference import Reference, embedded
from chatproof.reference.access import MAIN_KEY
from chatproof.reference.faults import FAULTS
from chatproof.reference.seams import When
from chatproof.reference.variations import VARIATIONS
from chatproof.reference.vocabulary import Fault, Variation
from chatproof.target import read_contract

CONTRACT = (Path(__file__).parents[1] / "conformance" / "contract.toml").read_text(encoding="utf-8")
CLAUSES = dict(re.findall(r'^id = "([A-Z]{2,3}-\d\d)"\nlevel = "([A-Z]+)"', CONTRACT, re.MULTILINE))
HEADERS = {"Authorization": f"Bearer {MAIN_KEY}"}
CLIENT = httpx.Client(timeout=5, limits=httpx.Limits(max_keepalive_connections=0))  # a new one takes 70 ms
COUNT = [{"role": "user", "content": "Count from 1 to 40"}]


@pytest.fixture(scope="module")
def reference() -> Iterator[Reference]:
    """One reference that serves every fault."""
    with embedded() as running:
        yield running


def ask(
    reference: Reference, fault: str, headers: dict[str, str] | None = None, **fields: Any
) -> httpx.Response:
    """One chat request to the deployment with a fault."""
    body = {"model": "MiniMax-M2.7", "messages": [{"role": "user", "content": "Hello."}], **fields}
    url = f"{reference.base_url_of(fault)}/chat/completions"
    return CLIENT.post(url, json=body, headers=HEADERS | (headers or {}))


def fired(reference: Reference, fault: str) -> dict[str, int]:
    """How often which faults fired in a world."""
    root = reference.base_url_of(fault).removesuffix("/v1")
    counts: dict[str, int] = httpx.get(f"{root}/fired").json()["fired"]
    return counts


def test_faults_name_known_clauses_and_outcomes() -> None:
    """A fault breaks at least one clause of the contract, MUST with fail or (a SHOULD limb) warn, SHOULD never
    unseen."""
    unknown = {
        (fault.name, clause)
        for fault in FAULTS.values()
        for clause in [*fault.breaks, *fault.blinds]
        if clause not in CLAUSES
    }

    assert unknown == set()
    assert [fault.name for fault in FAULTS.values() if not fault.breaks] == []
    assert {outcome for fault in FAULTS.values() for outcome in fault.breaks.values()} == {"fail", "warn"}
    assert {outcome for fault in FAULTS.values() for outcome in fault.blinds.values()} <= {
        "not_observed",
        "untestable",
    }


MUST_LIMBS = {"ERR-07", "RSP-08", "STR-13"}  # SHOULD clauses that say what, if present, must be right
SHOULD_LIMBS = {"REQ-10", "STR-12"}  # MUST clauses that ask for more than they demand


def test_outcomes_fit_levels() -> None:
    """What a clause must be fails, what it should be warns; only clauses with a limb of each level do both."""
    unfitting = {
        (fault.name, clause, outcome)
        for fault in FAULTS.values()
        for clause, outcome in fault.breaks.items()
        if (outcome == "fail") != (CLAUSES[clause] == "MUST")
        if clause not in (MUST_LIMBS if outcome == "fail" else SHOULD_LIMBS)
    }

    assert unfitting == set()


def test_there_are_enough_deployments() -> None:
    """At least 150 broken deployments and 50 odd ones."""
    assert len(FAULTS) >= 150
    assert len(VARIATIONS) >= 50


def test_every_clause_that_a_run_judges_is_broken_by_a_fault() -> None:
    """No check goes unproved."""
    broken = {clause for fault in FAULTS.values() for clause in fault.breaks}
    judged = {
        clause.id for clause in read_contract() if not clause.unchecked and clause.level is not Level.OBSERVE
    }

    assert judged - broken == set()


def shape(value: Any) -> Any:
    """A value by what it does: functions by their code and what they hold, conditions by their name."""
    if isinstance(value, When):
        return value.name
    if isinstance(value, CodeType):
        return value.co_code, value.co_names, tuple(shape(constant) for constant in value.co_consts)
    if isinstance(value, FunctionType):
        held = tuple(shape(cell.cell_contents) for cell in value.__closure__ or ())
        return shape(value.__code__), held, shape(value.__defaults__)
    return tuple(shape(one) for one in value) if isinstance(value, tuple) else repr(value)


def test_no_two_faults_are_the_same() -> None:
    """Faults that break the same clauses differ in what they change or in when they do."""
    shapes = Counter(
        (
            tuple((change.seam.name, shape(change.edit), change.when.name) for change in fault.changes),
            *sorted(fault.breaks.items()),
        )
        for fault in FAULTS.values()
    )

    assert [found for found, count in shapes.items() if count > 1] == []


def test_observed_clauses_are_never_broken() -> None:
    """What is only recorded, or proved elsewhere, no fault can break."""
    broken = {clause for fault in FAULTS.values() for clause in fault.breaks}
    beyond = {clause for clause, level in CLAUSES.items() if level == "OBSERVE" or clause.startswith("OWN")}

    assert broken & (beyond | {"BIL-11"}) == set()


def test_names_and_sentences_tell_faults_apart() -> None:
    """Names are URL words, of faults and variations alike, and no two say the same sentence."""
    everything: list[Fault | Variation] = [*FAULTS.values(), *VARIATIONS.values()]

    assert [one.name for one in everything if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", one.name)] == []
    assert FAULTS.keys() & VARIATIONS.keys() == set()
    assert len({one.sentence for one in everything}) == len(everything)
    assert [one.name for one in everything if not one.sentence.endswith(".")] == []


def test_left_out_rule(reference: Reference) -> None:
    """`accept`: what only that rule objects to gets through, and only that has fired."""
    assert ask(reference, "messages-empty", messages=[]).status_code == 200
    assert ask(reference, "messages-empty", messages="x").status_code == 400
    assert fired(reference, "messages-empty") == {"messages-empty": 1}


def test_added_rule_and_exact_bound(reference: Reference) -> None:
    """`refuse`: one more reason, at exactly one value."""
    statuses = [ask(reference, "temperature-two-refused", temperature=t).status_code for t in (1.9, 2, 2.0)]

    assert statuses == [200, 400, 400]


def test_remapped_refusal(reference: Reference) -> None:
    """`remap`: another status for one kind of refusal."""
    refused = ask(reference, "revoked-key-403", {"Authorization": "Bearer cp-reference-key-revoked-18f4e2b9"})

    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")


def test_edited_document(reference: Reference) -> None:
    """`put`: one place of the JSON body."""
    assert ask(reference, "index-from-one", n=2).json()["choices"][1]["index"] == 2


def test_edited_events(reference: Reference) -> None:
    """`without`, `insert` and `put_in`: the events of a stream."""
    assert "[DONE]" not in ask(reference, "no-done", stream=True).text
    assert ask(reference, "done-twice", stream=True).text.count("[DONE]") == 2
    assert '"finish_reason":"stop"' not in ask(reference, "finish-null", stream=True).text


def test_second_model_only(reference: Reference) -> None:
    """A condition on the model leaves the other one alone."""
    charged = [
        "credits" in ask(reference, "credits-absent", model=model).json()["usage"]
        for model in ("MiniMax-M2.7", "swift-small-1")
    ]

    assert charged == [True, False]


def test_held_back_stream(reference: Reference) -> None:
    """`held_back`: all bytes of a long stream come within a moment, after the time they would have taken."""
    started = time.monotonic()
    url = f"{reference.base_url_of('buffered')}/chat/completions"
    body = {"model": "auto", "messages": COUNT, "stream": True}
    with httpx.stream("POST", url, json=body, headers=HEADERS) as response:
        moments = [time.monotonic() - started for _ in response.iter_raw()]

    assert moments[0] > 0.16
    assert moments[-1] - moments[0] < 0.1


@pytest.mark.parametrize(
    ("fault", "error"),
    [("reset-after-done", httpx.ReadError), ("closed-after-done", httpx.RemoteProtocolError)],
)
def test_broken_transfer(reference: Reference, fault: str, error: type[Exception]) -> None:
    """`ends`: the transfer is reset or cut."""
    with pytest.raises(error):
        ask(reference, fault, model="swift-small-1", stream=True, stream_options={"include_usage": True})
    assert fired(reference, fault) == {fault: 1}


def test_faults_add_up(reference: Reference) -> None:
    """A sum of faults has the changes of both."""
    answer = ask(reference, "object-absent+created-absent").json()

    assert "object" not in answer
    assert "created" not in answer
    assert fired(reference, "object-absent+created-absent") == {"object-absent": 1, "created-absent": 1}


def test_truth_tells_which_fault_fired_where(reference: Reference) -> None:
    """The truth log of a world names the fault on the requests that it changed, and on no others."""
    ask(reference, "no-done-with-usage", stream=True)
    ask(reference, "no-done-with-usage", stream=True, stream_options={"include_usage": True})
    root = reference.base_url_of("no-done-with-usage").removesuffix("/v1")
    records = [json.loads(line) for line in httpx.get(f"{root}/truth").text.splitlines()]

    assert [record["fired"] for record in records] == [[], ["no-done-with-usage"]]


def test_departure_cuts_neighbours(reference: Reference) -> None:
    """A change whose effect comes later fires when it comes."""
    url = f"{reference.base_url_of('departure-cuts-neighbours')}/chat/completions"
    body = {"model": "auto", "messages": [{"role": "user", "content": "Count from 1 to 300"}], "stream": True}
    with (
        httpx.Client(headers=HEADERS) as client,
        client.stream("POST", url, json=body) as stays,
    ):
        before = fired(reference, "departure-cuts-neighbours")
        with httpx.Client(headers=HEADERS) as leaver, leaver.stream("POST", url, json=body) as leaves:
            next(leaves.iter_raw())
        with pytest.raises(httpx.RemoteProtocolError):
            stays.read()

    assert before == {}
    assert fired(reference, "departure-cuts-neighbours") == {"departure-cuts-neighbours": 1}


@pytest.mark.parametrize("fault", ["streams-overhear", "answers-swapped", "ids-shared-in-crowd"])
def test_streams_mix_in_a_crowd(reference: Reference, fault: str) -> None:
    """Sixteen streams at once, each with a code to repeat: some get a neighbour's id or code."""

    together = Barrier(16)

    def repeat(number: int) -> tuple[str, str]:
        together.wait(10)
        said = ask(
            reference,
            fault,
            stream=True,
            messages=[{"role": "user", "content": f"Repeat this code: nonce{number}"}],
        )
        chunks = [json.loads(line[6:]) for line in said.text.splitlines() if line.startswith("data: {")]
        return chunks[0]["id"], "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(repeat, range(100, 116)))
    own_id = len({id for id, _ in answers}) == 16
    own_text = all(
        text == f"nonce{number}" for number, (_, text) in zip(range(100, 116), answers, strict=True)
    )

    assert (own_id, own_text) == ((False, True) if fault == "ids-shared-in-crowd" else (True, False))
    assert fired(reference, fault)[fault] > 0


def test_departure_cripples_next(reference: Reference) -> None:
    """A change that remembers: only the first stream after a hang-up is broken."""
    fault = "departure-cripples-next"
    url = f"{reference.base_url_of(fault)}/chat/completions"
    body = {"model": "auto", "messages": COUNT, "stream": True}
    whole = [ask(reference, fault, stream=True).text.endswith("data: [DONE]\n\n")]
    with httpx.Client(headers=HEADERS) as leaver, leaver.stream("POST", url, json=body) as leaves:
        next(leaves.iter_raw())
    time.sleep(0.05)
    whole += [ask(reference, fault, stream=True).text.endswith("data: [DONE]\n\n") for _ in range(2)]

    assert whole == [True, False, True]
