"""The facts of the error envelope on answers made by hand: each way to be wrong, and what is legal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatproof.answer import Answer
from chatproof.contract import Level
from chatproof.facts import Tally, judge
from chatproof.record import Tag, Transfer
from chatproof.target import Settings
from tests.exchanges import ABSENT, BASE, ERROR, answer, error_answer, stream_answer, sync_answer, terms

CODES = {  # code, status and retryable as the table of error codes has them
    "invalid_request": (400, False),
    "unauthorized": (401, False),
    "invalid_api_key": (401, False),
    "insufficient_balance": (402, False),
    "forbidden": (403, False),
    "tenant_disabled": (403, False),
    "unsupported_capability": (400, False),
    "unsupported_model": (400, False),
    "api_key_region_mismatch": (400, False),
    "unsupported_option": (422, False),
    "rate_limited": (429, True),
    "billing_failed": (500, True),
    "model_unavailable": (503, True),
}


def tally(clause: str, *answers: Answer, settings: Settings | None = None) -> Tally:
    """What one clause's facts say of some answers."""
    return judge(answers, terms(settings))[clause]


def actual(clause: str, *answers: Answer, settings: Settings | None = None) -> list[str]:
    """What they found wrong, in the words of the findings."""
    return [problem.actual for _, problem in tally(clause, *answers, settings=settings).problems]


def refusal(status: int, code: str, retryable: object, **http: Any) -> Answer:
    """An envelope with that code and word on retries."""
    return error_answer({"code": code, "retryable": retryable}, status=status, **http)


def saying(message: str, **http: Any) -> Answer:
    """An envelope with that message."""
    return error_answer({"message": message}, **http)


def test_right_envelope_breaks_nothing() -> None:
    """The envelope that the documentation shows is in order by every clause."""
    wrong = [clause for clause, found in judge([error_answer()], terms()).items() if found.problems]

    assert wrong == []


@pytest.mark.parametrize("clause", ["ERR-01", "ERR-02", "ERR-03", "ERR-04", "ERR-05", "ERR-06", "ERR-12"])
def test_success_is_no_subject(clause: str) -> None:
    """What did not fail is not judged as an error."""
    assert tally(clause, sync_answer(), stream_answer()).subjects == 0


@pytest.mark.parametrize(
    ("body", "shows"),
    [
        (b"", "an empty body"),
        (b"<html>502</html>", "<html>502</html>"),
        (b"[1]", "[1]"),
        (b'{"detail": "no"}', '{"detail": "no"}'),
        (b'{"error": "no"}', '{"error": "no"}'),
        (b"\xff", "\\xff"),
    ],
)
def test_error_without_envelope(body: bytes, shows: str) -> None:
    """ERR-01: a body without an error object is told as it is."""
    assert actual("ERR-01", error_answer(body=body)) == [shows]


@pytest.mark.parametrize("member", ["code", "message", "retryable"])
def test_envelope_without_a_member(member: str) -> None:
    """ERR-01: each of the three members is required."""
    assert actual("ERR-01", error_answer({member: ABSENT})) == [f"$.error: '{member}' is a required property"]


def test_envelope_may_say_more() -> None:
    """ERR-01: other members, inside and beside the error object, are welcome."""
    body = json.dumps({**ERROR, "trace": 1, "error": {**ERROR["error"], "type": None}}).encode()

    assert actual("ERR-01", error_answer(body=body)) == []


def test_head_has_no_body() -> None:
    """ERR-01: the answer to HEAD is exempt."""
    assert tally("ERR-01", error_answer(body=b"", method="HEAD", status=405)).subjects == 0


@pytest.mark.parametrize("status", [400, 404, 429, 500, 599])
def test_every_error_status_is_a_subject(status: int) -> None:
    """ERR-01: 4xx and 5xx of any route."""
    assert tally("ERR-01", error_answer(status=status, route="/nowhere", method="GET")).subjects == 1


@pytest.mark.parametrize(("said", "shows"), [("false", "'false'"), (0, "0"), (None, "None")])
def test_retryable_of_another_type(said: object, shows: str) -> None:
    """ERR-02: only true and false will do."""
    assert actual("ERR-02", error_answer({"retryable": said})) == [shows]


def test_retryable_absent_is_another_clause() -> None:
    """ERR-02: what is absent is ERR-01's to judge."""
    assert tally("ERR-02", error_answer({"retryable": ABSENT})).subjects == 0


@pytest.mark.parametrize("code", CODES)
def test_code_of_the_table(code: str) -> None:
    """ERR-03 and ERR-04: each row of the table is in order."""
    status, retryable = CODES[code]
    right = refusal(status, code, retryable)

    assert [*actual("ERR-03", right), *actual("ERR-04", right)] == []


@pytest.mark.parametrize(("code", "shows"), [("bad_request", "bad_request"), (400, "400"), (None, "None")])
def test_code_that_is_not_public(code: object, shows: str) -> None:
    """ERR-03: a code that nobody published, or that is no string."""
    assert actual("ERR-03", error_answer({"code": code})) == [shows]


def test_code_that_the_target_file_lists() -> None:
    """ERR-03: a code of the target file is as good as a public one."""
    settings = Settings(extra_error_codes=("quota_paused",))

    assert actual("ERR-03", refusal(400, "quota_paused", False), settings=settings) == []


@pytest.mark.parametrize("status", [404, 405, 409, 500, 502, 504])
def test_any_code_where_the_table_says_so(status: int) -> None:
    """ERR-03: not found, wrong method, conflict and 5xx take any code in snake case, and no other."""
    right = actual("ERR-03", refusal(status, "no_such_thing_2", False))
    wrong = actual("ERR-03", refusal(status, "NotFound", False), refusal(status, "not found", False))

    assert (right, wrong) == ([], ["NotFound", "not found"])


@pytest.mark.parametrize("code", CODES)
def test_retryable_against_the_table(code: str) -> None:
    """ERR-04: each code has one word on retries."""
    status, retryable = CODES[code]
    wrong = json.dumps(not retryable)

    assert actual("ERR-04", refusal(status, code, not retryable)) == [wrong]


@pytest.mark.parametrize("code", CODES)
def test_code_with_another_status(code: str) -> None:
    """ERR-04: a code of the table comes with its own status where the status has codes of its own."""
    status, retryable = CODES[code]
    other = 402 if status != 402 else 403

    assert actual("ERR-04", refusal(other, code, retryable)) == [f"status {other}"]


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [(404, "invalid_request", False), (409, "invalid_request", False), (502, "model_unavailable", True)],
)
def test_table_code_where_any_code_will_do(status: int, code: str, retryable: bool) -> None:
    """ERR-04: where any code will do a public one will, under that status's word on retries."""
    right, wrong = refusal(status, code, retryable), refusal(status, code, not retryable)

    assert (actual("ERR-04", right), actual("ERR-04", wrong)) == ([], [json.dumps(not retryable)])


@pytest.mark.parametrize(("status", "code"), [(503, "billing_failed"), (500, "model_unavailable")])
def test_table_code_with_another_code_s_status(status: int, code: str) -> None:
    """ERR-04: 500 and 503 have codes of their own; another public code there disagrees."""
    assert actual("ERR-04", refusal(status, code, True)) == [f"status {status}"]


@pytest.mark.parametrize(
    ("status", "retryable"), [(404, False), (405, False), (409, False), (500, True), (504, True)]
)
def test_retryable_of_any_code(status: int, retryable: bool) -> None:
    """ERR-04: where any code will do the status says whether to retry."""
    right, wrong = refusal(status, "some_code", retryable), refusal(status, "some_code", not retryable)

    assert (actual("ERR-04", right), actual("ERR-04", wrong)) == ([], [json.dumps(not retryable)])


def test_unknown_code_has_no_row() -> None:
    """ERR-04: a code and status that the table does not have are ERR-03's to judge."""
    assert actual("ERR-04", refusal(400, "bad_request", True)) == []


def test_unsupported_option_may_be_400() -> None:
    """ERR-04: 400 is tolerated beside 422."""
    assert actual("ERR-04", refusal(400, "unsupported_option", False)) == []


def test_invalid_request_by_setting() -> None:
    """ERR-04: the target file may list 422; without it 422 is wrong."""
    answered = refusal(422, "invalid_request", False)
    both = Settings(invalid_request_status=(400, 422))

    assert (actual("ERR-04", answered), actual("ERR-04", answered, settings=both)) == (["status 422"], [])


def test_model_unavailable_by_setting() -> None:
    """ERR-04: the target file says whether an unavailable model is worth another try."""
    never = Settings(model_unavailable_retryable=False)
    answered = refusal(503, "model_unavailable", False)

    assert (actual("ERR-04", answered), actual("ERR-04", answered, settings=never)) == (["false"], [])


def test_twins_in_flight_may_be_retryable() -> None:
    """ERR-04: a 409 to a duplicate in flight is exempt (IDM-06), one to any other request is not."""
    twin = refusal(409, "in_flight", True, tag=Tag("probe", "twin-2"))
    other = refusal(409, "in_flight", True, tag=Tag("probe", "2"))

    assert (tally("ERR-04", twin).subjects, actual("ERR-04", other)) == (0, ["true"])


def test_retryable_of_another_type_is_another_clause() -> None:
    """ERR-04: a word that is no boolean is ERR-02's to judge."""
    assert actual("ERR-04", refusal(400, "invalid_request", "true")) == []


@pytest.mark.parametrize(
    ("message", "shows"), [("", "''"), (" \n", "' \\n'"), (None, "None"), (["no"], "['no']")]
)
def test_message_that_says_nothing(message: object, shows: str) -> None:
    """ERR-05: a message is text."""
    assert actual("ERR-05", error_answer({"message": message})) == [shows]


@pytest.mark.parametrize(("request_id", "shows"), [(ABSENT, "absent"), ("", "empty"), (None, "empty")])
def test_request_id_not_in_the_envelope(request_id: object, shows: str) -> None:
    """ERR-06: the envelope names the request."""
    assert actual("ERR-06", error_answer({"request_id": request_id})) == [shows]


@pytest.mark.parametrize(
    "value",
    [
        "0",
        "120",
        " 5 ",
        "Wed, 21 Oct 2026 07:28:00 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ],
)
def test_retry_after_that_can_be_read(value: str) -> None:
    """ERR-08: whole seconds and the three forms of an HTTP date are legal, on any status."""
    waits = error_answer(status=429, headers={"Retry-After": value})

    assert (tally("ERR-08", waits).subjects, actual("ERR-08", waits)) == (1, [])


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1.5",
        "-1",
        "+5",
        "5s",
        "soon",
        "2026-10-21T07:28:00Z",
        "Wed, 21 Oct 2026 07:28:00 +0200",
        "٥",
        "5, 10",
    ],
)
def test_retry_after_that_cannot_be_read(value: str) -> None:
    """ERR-08: anything else is no instant to come back."""
    assert actual("ERR-08", error_answer(status=429, headers={"Retry-After": value})) == [repr(value.strip())]


def test_retry_after_need_not_be_there() -> None:
    """ERR-08: without the header there is nothing to judge."""
    assert tally("ERR-08", error_answer(status=429)).subjects == 0


LEAKS = {
    "a key": [
        "key <redacted:api_key> is not valid",
        "sk-proj-0123456789abcdef",
        "sent Authorization: Bearer abcdef0123456789",
    ],
    "a digest": ["hash " + "0f" * 32, "HASH " + "0F" * 32],
    "a stack trace": [
        "Traceback (most recent call last): ...",
        'File "handler.py", line 12',
        "goroutine 17 [running]",
        "at Object.handle (server.js:10:5)",
        "panic: nil map",
    ],
    "a file path": [
        "cannot open /srv/gateway/config.yaml",
        "at /usr/lib/python3.11/json",
        r"in C:\gateway\main.py",
    ],
    "SQL": [
        'SELECT "token" FROM "keys" WHERE id = 1',
        "select id, token from keys where id = 1",
        "insert into calls (id) values (1)",
        "update wallets set balance = 1",
        "sqlalchemy.exc.OperationalError",
        'relation "wallets" does not exist',
    ],
    "an upstream's host": [
        "http://vllm-7:8000/v1 refused",
        "see https://api.upstream.example/v1",
        "http://10.3.2.1/v1",
        "no route to llm-7.models.svc",
        "connect to 192.168.7.2 failed",
        "connect to 10.3.2.1:8000 failed",
        "HTTPConnectionPool(host='upstream', port=80)",
    ],
    "an upstream's error page": ["upstream said <html><body>502</body></html>"],
}


@pytest.mark.parametrize(
    ("what", "message"), [(what, text) for what, texts in LEAKS.items() for text in texts]
)
def test_message_that_leaks(what: str, message: str) -> None:
    """ERR-12: what is internal is found, and named by its kind."""
    assert [found.partition(":")[0] for found in actual("ERR-12", saying(message))] == [what]


def test_leak_is_shown_where_it_stands() -> None:
    """ERR-12: the finding points at the bytes, behind characters of more than one byte too."""
    leaking = error_answer(body='{"error": {"message": "né /srv/gate/x"}}'.encode())
    (_, problem), *_ = tally("ERR-12", leaking).problems
    assert problem.at is not None
    start, end = problem.at

    assert leaking.body[start:end] == b"/srv/gate/x"


@pytest.mark.parametrize(
    "message",
    [
        "Use Bearer authentication with your API key.",
        "Send Authorization: Bearer YOUR_API_KEY.",
        "Please select another model from your plan or raise the limit.",
        "Choose where to join from the list.",
        "Update your settings, or set max_tokens lower.",
        "Requires client 10.2.3 or later.",
        "See https://docs.beatra.example/errors#invalid_request for more.",
        "/messages/0/content must be a string.",
        "POST /v1/chat/completions only.",
        "temperature must be < 2 and > 0.",
        f"{BASE}/nowhere does not exist.",
    ],
)
def test_message_that_leaks_nothing(message: str) -> None:
    """ERR-12: ordinary advice is no leak, nor is the address that was asked."""
    assert actual("ERR-12", saying(message)) == []


def test_request_id_is_no_leak() -> None:
    """ERR-12: a request id that looks like a digest is what the header says anyway."""
    digest = "0f" * 32

    assert actual("ERR-12", error_answer({"request_id": digest}, headers={"X-Request-Id": digest})) == []


def test_page_instead_of_an_envelope_is_no_leak() -> None:
    """ERR-12: a body that is a page is ERR-01's to judge; what else it shows is judged."""
    page = error_answer(body=b"<html>502 at /srv/gate/x</html>", status=502)

    assert actual("ERR-12", page) == ["a file path: /srv/gate/x"]


def test_levels_are_the_clauses_own() -> None:
    """No fact of this section has a limb of another level than its clause."""
    answers = [
        error_answer({"code": "Bad", "retryable": 1, "message": "", "request_id": ABSENT}),
        saying("at /srv/gate/x", headers={"Retry-After": "soon"}),
        answer(b"", status=502, transfer=Transfer.WHOLE),
        refusal(403, "invalid_request", True),
    ]
    levels: set[Level | None] = {
        problem.level
        for clause, found in judge(answers, terms()).items()
        if clause.startswith("ERR-")
        for _, problem in found.problems
    }

    assert levels == {None}
