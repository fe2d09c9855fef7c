"""The facts of X-Request-Id on answers made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from chatproof.answer import Answer
from chatproof.facts import Tally, judge
from chatproof.record import Tag, Transfer
from tests.exchanges import ABSENT, answer, error_answer, stream_answer, sync_answer, terms


def tally(clause: str, *answers: Answer) -> Tally:
    """What one clause's facts say of some answers."""
    return judge(answers, terms())[clause]


def actual(clause: str, *answers: Answer) -> list[str]:
    """What they found wrong, in the words of the findings."""
    return [problem.actual for _, problem in tally(clause, *answers).problems]


def sent(name: str, **http: Any) -> Answer:
    """An answer to a request with an id of the client's, that echoes it unless told otherwise."""
    return sync_answer(
        request_headers=(("X-Request-Id", name),), **{"headers": {"X-Request-Id": name}, **http}
    )


def numbered(step: str, request_id: str, **http: Any) -> Answer:
    """An answer to a step of its own, with that id."""
    return sync_answer(tag=Tag("probe", step), headers={"X-Request-Id": request_id}, **http)


@pytest.mark.parametrize("make", [sync_answer, stream_answer, error_answer])
def test_id_is_there(make: Any) -> None:
    """RID-01: sync answers, streams and errors are subjects, and in order with an id."""
    found = tally("RID-01", make())

    assert (found.subjects, found.problems) == (1, ())


@pytest.mark.parametrize("make", [sync_answer, stream_answer, error_answer])
@pytest.mark.parametrize(("value", "shows"), [(None, "none"), ("", "an empty one"), (" ", "an empty one")])
def test_id_is_missing(make: Any, value: str | None, shows: str) -> None:
    """RID-01: no header, or a blank one, is a violation on each of them."""
    assert actual("RID-01", make(headers={"X-Request-Id": value})) == [shows]


def test_no_response_is_no_subject() -> None:
    """RID-01: where no head came there is no header to miss."""
    silent = answer(b"", status=None, transfer=Transfer.TIMED_OUT)

    assert tally("RID-01", silent).subjects == 0


def test_cut_response_has_an_id_too() -> None:
    """RID-01: how the body ended is not asked."""
    cut = stream_answer(transfer=Transfer.RESET, headers={"X-Request-Id": None})

    assert actual("RID-01", cut) == ["none"]


def test_generated_ids_differ() -> None:
    """RID-02: the second request that shows an id is the one at fault."""
    answers = [numbered("1", "a"), numbered("2", "b"), numbered("3", "a")]

    assert actual("RID-02", *answers) == ["'a' came before, in probe/1"]


def test_retries_are_requests_of_their_own() -> None:
    """RID-02: another attempt of a step is another request."""
    first = error_answer(tag=Tag("probe", "1"), headers={"X-Request-Id": "a"})
    again = error_answer(tag=Tag("probe", "1", 2), headers={"X-Request-Id": "a"})

    assert actual("RID-02", first, again) == ["'a' came before, in probe/1"]


def test_client_ids_may_repeat() -> None:
    """RID-02: an id that the client chose is not a generated one."""
    twice = [sent("mine", tag=Tag("probe", step)) for step in ("1", "2")]

    assert (tally("RID-02", *twice).subjects, actual("RID-02", *twice)) == (0, [])


def test_missing_ids_are_another_clause() -> None:
    """RID-02: what has no id is RID-01's to judge."""
    blank = [numbered("1", ""), numbered("2", "")]

    assert tally("RID-02", *blank).subjects == 0


@pytest.mark.parametrize("name", ["a", "0", "A-b_c.9", "x" * 128])
def test_client_id_is_echoed(name: str) -> None:
    """RID-03: any id of 1 to 128 of the characters allowed comes back unchanged."""
    found = tally("RID-03", sent(name))

    assert (found.subjects, found.problems) == (1, ())


@pytest.mark.parametrize("shows", ["req_1", "MINE", "mine-1", ""])
def test_client_id_is_not_echoed(shows: str) -> None:
    """RID-03: another one, in another case, longer or empty, is a violation."""
    assert actual("RID-03", sent("mine", headers={"X-Request-Id": shows})) == [shows]


def test_client_id_is_echoed_on_errors_too() -> None:
    """RID-03: a refusal echoes the id like an answer does."""
    refused = error_answer(request_headers=(("X-Request-Id", "mine"),), headers={"X-Request-Id": "req_9"})

    assert actual("RID-03", refused) == ["req_9"]


@pytest.mark.parametrize("name", ["", "x" * 129, "a b", "ä", "a/b", "a\n"])
def test_hostile_client_id_need_not_be_echoed(name: str) -> None:
    """RID-03: an id beyond the characters allowed is RID-05's."""
    assert tally("RID-03", sent(name, headers={"X-Request-Id": "req_1"})).subjects == 0


def test_absent_echo_is_another_clause() -> None:
    """RID-03: a response without the header is RID-01's to judge."""
    assert actual("RID-03", sent("mine", headers={"X-Request-Id": None})) == []


def test_error_names_its_header() -> None:
    """RID-04: the envelope's id is the header's."""
    found = tally("RID-04", error_answer())

    assert (found.subjects, found.problems) == (1, ())


@pytest.mark.parametrize(("named", "shows"), [("req_2", "req_2"), ("REQ_1", "REQ_1"), (7, "7"), ("", "")])
def test_error_names_another_id(named: object, shows: str) -> None:
    """RID-04: any other value, an empty one too, is a violation."""
    assert actual("RID-04", error_answer({"request_id": named})) == [shows]


@pytest.mark.parametrize(
    "unnamed",
    [
        error_answer({"request_id": ABSENT}),
        error_answer({"request_id": None}),
        error_answer(headers={"X-Request-Id": None}),
        error_answer(body=b"<html>"),
        sync_answer(),
    ],
)
def test_nothing_to_compare(unnamed: Answer) -> None:
    """RID-04: without an id in the envelope or in the header there is nothing to compare."""
    assert tally("RID-04", unnamed).subjects == 0


def test_error_in_a_stream_names_its_header() -> None:
    """RID-04: an error event inside a stream is held to it too."""
    event = {"error": {"code": "billing_failed", "message": "no", "retryable": True, "request_id": "req_2"}}

    assert actual("RID-04", stream_answer([event], done=False)) == ["req_2"]
