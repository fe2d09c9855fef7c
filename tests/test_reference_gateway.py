"""The reference keeps the contract over real sockets: refusals, answers, idempotency, charges."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from chatproof.reference import Latency, Reference, embedded, target_text
from chatproof.reference.access import EMPTY_KEY, FLAKY_KEY, LIMITED_KEY, MAIN_KEY, REVOKED_KEY
from chatproof.reference.latency import MILLISECOND

HELLO = {"role": "user", "content": "Say hello."}


@pytest.fixture(scope="module")
def reference() -> Iterator[Reference]:
    """One reference for the module, quick enough for many requests."""
    with embedded(Latency(2 * MILLISECOND, MILLISECOND // 2)) as running:
        yield running


@pytest.fixture(scope="module")
def client(reference: Reference) -> Iterator[httpx.Client]:
    """A client with the main key."""
    with httpx.Client(base_url=reference.base_url, headers={"Authorization": f"Bearer {MAIN_KEY}"}) as made:
        yield made


def ask(client: httpx.Client, /, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
    """One chat request; without fields the smallest valid one."""
    body = {"model": "auto", "messages": [HELLO], **fields}
    return client.post("/chat/completions", json=body, headers=headers)


def problem(response: httpx.Response) -> tuple[int, str, bool]:
    """Status, code and retryable of a refusal."""
    error = response.json()["error"]
    return response.status_code, error["code"], error["retryable"]


def balance(reference: Reference) -> Decimal:
    """The main key's balance."""
    return Decimal(httpx.get(f"{reference.root}/admin/balance").json()["balance"])


def test_smallest_request_is_answered(client: httpx.Client) -> None:
    """A model and one message are enough; auto stands for a real model."""
    response = ask(client)
    answer = response.json()

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert answer["model"] == "MiniMax-M2.7"
    assert answer["object"] == "chat.completion"
    assert [choice["index"] for choice in answer["choices"]] == [0]
    assert answer["choices"][0]["message"]["role"] == "assistant"
    assert answer["choices"][0]["finish_reason"] == "stop"


def test_worked_example_of_the_document(client: httpx.Client) -> None:
    """0.002 USD at 1500 credits a USD are 3 credits: 1600 answer tokens and 80/0.3 prompt tokens would cost
    it."""
    usage = ask(client, messages=[{"role": "user", "content": "Count from 1 to 50"}]).json()["usage"]
    cost = Decimal("0.0000003") * usage["prompt_tokens"] + Decimal("0.0000012") * usage["completion_tokens"]

    assert usage["completion_tokens"] == 50
    assert Decimal(usage["credits"]) == cost * 1500
    assert Decimal(usage["credits_usd_reference"]) == cost * 1500 / 1000
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Authorization": ""}, (401, "unauthorized", False)),
        ({"Authorization": "Basic eDp5"}, (401, "unauthorized", False)),
        ({"Authorization": "Bearer"}, (401, "unauthorized", False)),
        ({"Authorization": "Bearer sk-unknown"}, (401, "invalid_api_key", False)),
        ({"Authorization": f"Bearer {MAIN_KEY}x"}, (401, "invalid_api_key", False)),
        ({"Authorization": f"Bearer {REVOKED_KEY}"}, (401, "invalid_api_key", False)),
        ({"Authorization": f"Bearer {EMPTY_KEY}"}, (402, "insufficient_balance", False)),
        ({"Authorization": f"Bearer {LIMITED_KEY}"}, (429, "rate_limited", True)),
    ],
)
def test_keys(client: httpx.Client, headers: dict[str, str], expected: tuple[int, str, bool]) -> None:
    """Each kind of key gets the refusal of the table, before the stream too."""
    both = [ask(client, headers), ask(client, headers, stream=True)]

    assert [problem(response) for response in both] == [expected, expected]


def test_no_key_comes_before_a_bad_body(reference: Reference) -> None:
    """Who asks is looked at before what is asked."""
    response = httpx.post(f"{reference.base_url}/chat/completions", content=b"{")

    assert problem(response) == (401, "unauthorized", False)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"model": None}, "/model"),
        ({"model": 7}, "/model"),
        ({"messages": "hi"}, "/messages"),
        ({"messages": {}}, "/messages"),
        ({"messages": 5}, "/messages"),
        ({"messages": []}, "/messages"),
        ({"messages": None}, "/messages"),
        ({"messages": ["hi"]}, "/messages/0"),
        ({"messages": [HELLO, {"content": "x"}]}, "/messages/1/role"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "/messages/0/role"),
        ({"messages": [{"role": "user"}]}, "/messages/0/content"),
        ({"messages": [{"role": "user", "content": None}]}, "/messages/0/content"),
        ({"messages": [{"role": "user", "content": 5}]}, "/messages/0/content"),
        ({"messages": [{"role": "system", "content": {}}]}, "/messages/0/content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "/messages/0/content"),
        ({"stream": "true"}, "/stream"),
        ({"stream": 1}, "/stream"),
        ({"temperature": -0.1}, "/temperature"),
        ({"temperature": 2.1}, "/temperature"),
        ({"temperature": "1"}, "/temperature"),
        ({"temperature": True}, "/temperature"),
        ({"top_p": -0.1}, "/top_p"),
        ({"top_p": 1.1}, "/top_p"),
        ({"top_p": [1]}, "/top_p"),
        ({"temperature": 0, "top_p": 1}, "/top_p"),
        ({"max_tokens": "5"}, "/max_tokens"),
        ({"max_tokens": 5.0}, "/max_tokens"),
        ({"max_tokens": True}, "/max_tokens"),
        ({"max_tokens": 0}, "/max_tokens"),
        ({"max_tokens": -1}, "/max_tokens"),
        ({"n": 0}, "/n"),
        ({"n": 5}, "/n"),
        ({"stop": 5}, "/stop"),
        ({"stop": ["a"] * 5}, "/stop"),
        ({"seed": "x"}, "/seed"),
        ({"user": 5}, "/user"),
        ({"metadata": []}, "/metadata"),
        ({"presence_penalty": 2.1}, "/presence_penalty"),
        ({"frequency_penalty": -2.1}, "/frequency_penalty"),
    ],
)
def test_wrong_fields(client: httpx.Client, fields: dict[str, Any], pointer: str) -> None:
    """A wrong field is refused as invalid_request with a pointer to it, sync and streamed alike."""
    both = [ask(client, **fields), ask(client, **({"stream": True} | fields))]

    assert [problem(response) for response in both] == [(400, "invalid_request", False)] * 2
    assert [response.json()["error"]["param"] for response in both] == [pointer] * 2


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0},
        {"temperature": 2.0},
        {"temperature": 0.7, "top_p": None},
        {"temperature": None, "top_p": 0.5},
        {"top_p": 0},
        {"top_p": 1},
        {"stream": None},
        {"stream": False},
        {"stop": "x"},
        {"stop": ["x", "y"]},
        {"seed": 3},
        {"n": 1},
        {"user": "u"},
        {"metadata": {"a": "b"}},
        {"max_completion_tokens": 5},
        {"presence_penalty": -2, "frequency_penalty": 2},
        {"x_unknown": {"nested": [1]}},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]},
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                HELLO,
                {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
                {"role": "tool", "content": "42"},
                {"role": "assistant", "content": "Hello."},
                HELLO,
            ]
        },
    ],
)
def test_right_fields(client: httpx.Client, fields: dict[str, Any]) -> None:
    """Bounds themselves, nulls for absent, optional and unknown fields are accepted."""
    response = ask(client, **fields)

    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"nope", b"[1]", b'"x"', b"\xff", b'{"model":"\xff"}', b"[" * 50_000]
)
def test_bodies_that_are_no_json_object(client: httpx.Client, raw: bytes) -> None:
    """Whatever is not a JSON object is invalid_request."""
    response = client.post("/chat/completions", content=raw)

    assert problem(response) == (400, "invalid_request", False)


def test_unknown_and_unavailable_models(client: httpx.Client) -> None:
    """An id that is not enabled is refused for good, one that is down is worth another try."""
    responses = [
        ask(client, model="nope"),
        ask(client, model="down-model"),
        ask(client, model="down-model", stream=True),
    ]

    assert [problem(response) for response in responses] == [
        (400, "unsupported_model", False),
        (503, "model_unavailable", True),
        (503, "model_unavailable", True),
    ]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/chat/completions", 405),
        ("PUT", "/models", 405),
        ("GET", "/nowhere", 404),
        ("POST", "/../x", 404),
    ],
)
def test_routes(client: httpx.Client, method: str, path: str, status: int) -> None:
    """Wrong methods and unknown routes get the envelope with the id of the header."""
    response = client.request(method, path)

    assert response.status_code == status
    assert response.json()["error"]["request_id"] == response.headers["x-request-id"]
    assert response.json()["error"]["retryable"] is False


def test_models_and_health(client: httpx.Client) -> None:
    """Every listed model can be pinned; health needs no key."""
    listed = client.get("/models").json()
    models = [entry["id"] for entry in listed["data"]]

    assert listed["object"] == "list"
    assert [ask(client, model=model).json()["model"] for model in models] == models
    assert httpx.get(str(client.base_url) + "health").json() == {"status": "ok"}
    assert client.head("/health").content == b""


@pytest.mark.parametrize("text", ["你好，世界", "🌍🚀", "e\u0301", "a\u2028b", "mixed é 你 🌍"])
def test_text_comes_back_as_it_was(client: httpx.Client, text: str) -> None:
    """A text that is to be repeated comes back character by character, sync and streamed, escaped or not."""
    messages = [{"role": "user", "content": f'Please repeat exactly: "{text}"'}]
    sync = ask(client, messages=messages).json()["choices"][0]["message"]["content"]
    stream = ask(client, messages=messages, stream=True).text
    pieces = [json.loads(line[6:]) for line in stream.split("\n") if line.startswith("data: {")]
    streamed = "".join(piece["choices"][0]["delta"].get("content", "") for piece in pieces)

    assert (sync, streamed) == (text, text)


def test_caps_and_stops(client: httpx.Client) -> None:
    """max_tokens cuts with length, a stop string ends before itself with stop, and n choices are counted
    together."""
    count = [{"role": "user", "content": "Count from 1 to 20"}]
    capped = ask(client, messages=count, max_tokens=3, n=2).json()
    stopped = ask(client, messages=count, stop=[" 4"]).json()

    assert [choice["message"]["content"] for choice in capped["choices"]] == ["1 2 3", "1 2 3"]
    assert [choice["finish_reason"] for choice in capped["choices"]] == ["length", "length"]
    assert capped["usage"]["completion_tokens"] == 6
    assert stopped["choices"][0]["message"]["content"] == "1 2 3"
    assert stopped["choices"][0]["finish_reason"] == "stop"


def test_deterministic_only_where_asked(client: httpx.Client) -> None:
    """Temperature 0 answers alike, and the default does not."""

    def said(**fields: Any) -> str:
        return str(ask(client, **fields).json()["choices"][0]["message"]["content"])

    assert said(temperature=0) == said(temperature=0)
    assert said(temperature=0, seed=1) != said(temperature=0, seed=2)
    assert said() != said()


def test_request_ids(client: httpx.Client) -> None:
    """A well-formed client id is echoed; any other is replaced, be it 10 kB long."""
    sent = ["a.b_c-D9", "x" * 128, "x" * 129, "x" * 10_000, "with space"]
    echoed = [ask(client, {"X-Request-Id": one}).headers["x-request-id"] for one in sent]
    raw = client.get("/health", headers=[(b"X-Request-Id", "é".encode())]).headers["x-request-id"]

    assert echoed[:2] == sent[:2]
    assert all(one.startswith("req_") for one in [*echoed[2:], raw])
    assert len({*echoed, raw}) == 6


def test_bad_http_gets_the_envelope(reference: Reference) -> None:
    """A header with a control character is no HTTP; the answer is the gateway's, not the library's."""
    address = urlsplit(reference.root)
    assert address.hostname is not None
    with socket.create_connection((address.hostname, address.port or 0), timeout=5) as connection:
        connection.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\x01b\r\n\r\n")
        answer = connection.makefile("rb").read()
    head, _, body = answer.partition(b"\r\n\r\n")

    assert b" 400 " in head
    assert b"x-request-id" in head.lower()
    assert json.loads(body)["error"]["code"] == "invalid_request"


def test_replay_is_the_first_result_and_costs_nothing(reference: Reference, client: httpx.Client) -> None:
    """The same key and body give the same completion once more, with its own request id; another body is a
    conflict."""
    headers = {"Idempotency-Key": "replay-1"}
    before = balance(reference)
    first, second = ask(client, headers), ask(client, {**headers, "X-Request-Id": "mine"})
    conflict = ask(client, headers, max_tokens=4)

    assert first.json() == second.json()
    assert second.headers["x-request-id"] == "mine"
    assert first.headers["x-request-id"] != "mine"
    assert problem(conflict) == (409, "idempotency_conflict", False)
    assert before - balance(reference) == Decimal(first.json()["usage"]["credits"])


def test_duplicates_in_flight_wait_for_the_first(reference: Reference, client: httpx.Client) -> None:
    """Eight at once with one key are one completion and one charge."""
    before = balance(reference)
    messages = [{"role": "user", "content": "Count from 1 to 100"}]
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(ask, client, {"Idempotency-Key": "at-once"}, messages=messages) for _ in range(8)]
        answers = [one.result().json() for one in sent]

    assert len({answer["id"] for answer in answers}) == 1
    assert before - balance(reference) == Decimal(answers[0]["usage"]["credits"])


def test_a_refusal_for_want_of_capacity_is_not_kept(client: httpx.Client) -> None:
    """The flaky key is refused once per idempotency key, and the retry succeeds."""
    headers = {"Authorization": f"Bearer {FLAKY_KEY}", "Idempotency-Key": "flaky-1"}
    first, second, third = (ask(client, headers) for _ in range(3))

    assert problem(first) == (429, "rate_limited", True)
    assert first.headers["retry-after"].isdecimal()
    assert [second.status_code, third.status_code] == [200, 200]
    assert second.json()["id"] == third.json()["id"]
    assert ask(client, {"Authorization": headers["Authorization"]}).status_code == 200


def test_balance_falls_by_what_is_shown(reference: Reference, client: httpx.Client) -> None:
    """Sync calls, streams with usage and refusals of both models move the balance by the sum of the credits
    shown."""
    before = balance(reference)
    shown = Decimal(0)
    for model in ("MiniMax-M2.7", "swift-small-1"):
        shown += Decimal(ask(client, model=model).json()["usage"]["credits"])
        stream = ask(client, model=model, stream=True, stream_options={"include_usage": True}).text
        shown += Decimal(json.loads(stream.split("data: ")[-2])["usage"]["credits"])
        ask(client, model=model, messages=[])

    assert before - balance(reference) == shown


def test_worlds_have_wallets_of_their_own(reference: Reference, client: httpx.Client) -> None:
    """What is charged in a world with a fault is not charged in the clean one."""
    before = balance(reference)
    broken = reference.base_url_of("no-done")
    httpx.post(
        f"{broken}/chat/completions", json={"model": "auto", "messages": [HELLO]}, headers=client.headers
    ).raise_for_status()
    after = Decimal(httpx.get(f"{broken.removesuffix('/v1')}/admin/balance").json()["balance"])

    assert balance(reference) == before
    assert after < Decimal("100000")


def test_unknown_worlds_do_not_exist(reference: Reference) -> None:
    """A fault that is not known is an unknown route, and no name at all for the client side."""
    response = httpx.get(f"{reference.root}/faults/no-such/v1/health")

    assert problem(response) == (404, "not_found", False)
    with pytest.raises(KeyError):
        reference.base_url_of("no-such")


def test_target_text_is_for_loopback_only() -> None:
    """The reference's keys are never written for another host."""
    with pytest.raises(ValueError, match="loopback"):
        target_text("https://staging.example/v1")


def test_it_ends_with_its_owner() -> None:
    """Closing ends the process at once, even with a stream under way."""
    with embedded() as running:
        started = threading.Event()

        def read() -> None:
            with httpx.Client(headers={"Authorization": f"Bearer {MAIN_KEY}"}) as client:
                body = {"messages": [{"role": "user", "content": "Count from 1 to 5000"}], "stream": True}
                url = f"{running.base_url}/chat/completions"
                with (
                    client.stream("POST", url, json={"model": "auto", **body}) as response,
                    suppress(httpx.RemoteProtocolError),
                ):
                    for _ in response.iter_raw():
                        started.set()

        reader = threading.Thread(target=read)
        reader.start()
        assert started.wait(5)
        running.close()
        reader.join(5)

    assert running.process.returncode == 0
    assert not reader.is_alive()
