"""The reference's streams over real sockets: order, time, departures, and what the truth log says of them."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from chatproof.reference import Latency, Reference, embedded
from chatproof.reference.access import MAIN_KEY
from chatproof.reference.latency import MILLISECOND

HEADERS = {"Authorization": f"Bearer {MAIN_KEY}"}
WITH_USAGE = {"stream": True, "stream_options": {"include_usage": True}}


@pytest.fixture(scope="module")
def reference() -> Iterator[Reference]:
    """One reference for the module, at its usual pace."""
    with embedded() as running:
        yield running


@pytest.fixture
def client(reference: Reference) -> Iterator[httpx.Client]:
    """A client with the main key and connections of its own."""
    with httpx.Client(base_url=reference.base_url, headers=HEADERS, timeout=10) as made:
        yield made


def body(text: str = "Say hello.", **fields: Any) -> dict[str, Any]:
    """A streaming request."""
    return {
        "model": "MiniMax-M2.7",
        "messages": [{"role": "user", "content": text}],
        "stream": True,
        **fields,
    }


def read(client: httpx.Client, text: str = "Say hello.", **fields: Any) -> list[Any]:
    """The data of each event of one stream, JSON parsed."""
    raw = client.post("/chat/completions", json=body(text, **fields)).text
    data = [event.removeprefix("data: ") for event in raw.split("\n\n") if event]
    return [one if one == "[DONE]" else json.loads(one) for one in data]


def truth(root: str, since: int = 0) -> list[dict[str, Any]]:
    """The truth log's records after a number."""
    lines = httpx.get(f"{root}/truth", params={"since": since}).text.splitlines()
    return [json.loads(line) for line in lines]


def record_of(root: str, request_id: str) -> dict[str, Any]:
    """The truth of one request, waiting a moment for it to be written."""
    for _ in range(100):
        found = [one for one in truth(root) if one["request_id"] == request_id]
        if found:
            return found[0]
        time.sleep(0.02)
    raise AssertionError(f"no record of {request_id}")


def test_chunks_come_in_order(client: httpx.Client) -> None:
    """Role, tokens, finish, usage of its own, [DONE]; one identity from the first to the last."""
    *chunks, usage, done = read(client, "Count from 1 to 3", **WITH_USAGE)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]

    assert done == "[DONE]"
    assert deltas == [
        {"role": "assistant", "content": ""},
        {"content": "1"},
        {"content": " 2"},
        {"content": " 3"},
        {},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, None, None, "stop"]
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 3
    assert usage["usage"]["credits"] == "0.01080000"
    assert len({(one["id"], one["created"], one["object"], one["model"]) for one in [*chunks, usage]}) == 1


def test_no_usage_unasked(client: httpx.Client) -> None:
    """Without include_usage no chunk carries usage."""
    assert not any("usage" in chunk for chunk in read(client) if chunk != "[DONE]")


def test_choices_interleave_and_finish_each(client: httpx.Client) -> None:
    """Four choices take turns, and each gets one finish after its last token."""
    chunks = read(client, "Count from 1 to 2", n=4)[:-1]
    seen = [(chunk["choices"][0]["index"], chunk["choices"][0]["finish_reason"]) for chunk in chunks]

    assert [index for index, _ in seen] == [0, 1, 2, 3] * 4
    assert [finish for _, finish in seen] == [None] * 12 + ["stop"] * 4


def test_sync_and_stream_agree(client: httpx.Client) -> None:
    """The same deterministic request has the same text, counts and price, streamed or not."""
    fields = {"temperature": 0, "seed": 7}
    *chunks, usage, _ = read(client, "Tell me something.", **fields, **WITH_USAGE)
    request = body("Tell me something.", **fields) | {"stream": False}
    sync = client.post("/chat/completions", json=request).json()
    streamed = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)

    assert streamed == sync["choices"][0]["message"]["content"]
    assert usage["usage"] == sync["usage"]


def test_tokens_arrive_as_they_are_made(client: httpx.Client) -> None:
    """Fifty tokens at 4 ms a token arrive spread over their time, the first one long before the last."""
    moments = []
    with client.stream("POST", "/chat/completions", json=body("Count from 1 to 50")) as response:
        moments = [time.monotonic() for part in response.iter_raw() if b"content" in part]

    assert moments[-1] - moments[0] >= 0.19
    assert len(moments) > 25


def test_truth_is_what_was_sent(reference: Reference, client: httpx.Client) -> None:
    """The log has each write with its bytes and what they carried, at a time no later than the client saw them."""
    seen: list[tuple[int, int]] = []
    size = 0
    with client.stream("POST", "/chat/completions", json=body("Count from 1 to 20")) as response:
        headed_ns = time.monotonic_ns()
        for part in response.iter_raw():
            size += len(part)
            seen.append((time.monotonic_ns(), size))
    record = record_of(reference.root, response.headers["x-request-id"])
    writes = record["writes"]

    assert [write[3] for write in writes] == ["role", *["content"] * 20, "finish", "done"]
    assert [write[1] for write in writes] == [0, *(write[2] for write in writes[:-1])]
    assert writes[-1][2] == size
    assert record["arrived_ns"] <= record["head_ns"] <= headed_ns
    assert all(write[0] <= next(at for at, total in seen if total >= write[2]) for write in writes)
    assert (record["ending"], record["tokens_sent"], record["status"]) == ("finished", 20, 200)
    assert record["fired"] == []


def test_truth_can_be_read_on(reference: Reference, client: httpx.Client) -> None:
    """Numbers rise without gaps, and `since` gives what is newer."""
    read(client)
    last = truth(reference.root)[-1]["n"]
    read(client)
    read(client)
    newer = truth(reference.root, since=last)

    assert [one["n"] for one in newer] == [last + 1, last + 2]


def test_truth_file(tmp_path: Path) -> None:
    """The same records are appended to a file where one is asked for."""
    path = tmp_path / "truth.jsonl"
    with embedded(Latency(0, 0), path) as running:
        with httpx.Client(base_url=running.base_url, headers=HEADERS) as client:
            read(client)
        logged = truth(running.root)
    written = [json.loads(line) for line in path.read_text("utf-8").splitlines()]

    assert written == logged


def test_a_client_that_leaves_stops_its_stream_only(reference: Reference, client: httpx.Client) -> None:
    """After a hang-up nothing more is made for that client, what was made is billed, and neighbours go on."""
    with ThreadPoolExecutor(1) as pool:
        neighbour = pool.submit(read, client, "Count from 1 to 60", **WITH_USAGE)
        with (
            httpx.Client(base_url=reference.base_url, headers=HEADERS) as leaver,
            leaver.stream("POST", "/chat/completions", json=body("Count from 1 to 2000")) as response,
        ):
            parts = response.iter_raw()
            for _ in range(6):
                next(parts)
        stayed = neighbour.result()
    record = record_of(reference.root, response.headers["x-request-id"])

    assert stayed[-1] == "[DONE]"
    assert record["ending"] == "client_left"
    assert 0 < record["tokens_sent"] < 200
    prompt, token = Decimal("0.00045"), Decimal("0.0018")
    expected = prompt * record["prompt_tokens"] + token * record["tokens_sent"]
    assert Decimal(record["credits"]) == expected


def test_a_client_that_leaves_a_sync_call(reference: Reference) -> None:
    """A sync answer that nobody waits for is dropped, logged, and costs nothing."""
    address = urlsplit(reference.root)
    request = json.dumps(body("Count from 1 to 500") | {"stream": False}).encode()
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=5) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Request-Id: left-early\r\n"
            b"Authorization: Bearer %b\r\nContent-Length: %d\r\n\r\n%b"
            % (MAIN_KEY.encode(), len(request), request)
        )
        time.sleep(0.05)
    record = record_of(reference.root, "left-early")

    assert (record["ending"], record["writes"], record["credits"]) == ("client_left", [], "0")


def test_capacity_makes_a_queue() -> None:
    """With room for one answer at a time the second one begins after the first."""
    with embedded(Latency(20 * MILLISECOND, MILLISECOND, capacity=1)) as running:
        with (
            httpx.Client(base_url=running.base_url, headers=HEADERS) as client,
            ThreadPoolExecutor(2) as pool,
        ):
            for done in [pool.submit(read, client, "Count from 1 to 50") for _ in range(2)]:
                assert done.result()[-1] == "[DONE]"
        first, second = sorted(truth(running.root), key=lambda one: int(one["head_ns"]))

    assert second["arrived_ns"] < first["writes"][-1][0]
    assert second["head_ns"] >= first["writes"][-1][0]


def test_jitter_is_drawn_by_seed() -> None:
    """Jitter stays within its fraction, and the same seed draws the same times."""
    latency = Latency(10 * MILLISECOND, 4 * MILLISECOND, jitter=0.5, seed=3)
    drawn = latency.pauses(200, 1)

    assert drawn == latency.pauses(200, 1)
    assert drawn != latency.pauses(200, 2)
    assert 5 * MILLISECOND <= drawn[0] <= 15 * MILLISECOND
    assert all(2 * MILLISECOND <= pause <= 6 * MILLISECOND for pause in drawn[1:])
    with pytest.raises(ValueError, match="jitter"):
        Latency(jitter=1.5)


def test_old_clients_get_a_stream_that_ends_with_the_connection(reference: Reference) -> None:
    """HTTP/1.0 knows no chunked encoding: the body comes bare, and the connection closes behind it."""
    address = urlsplit(reference.root)
    request = json.dumps(body("Count from 1 to 3")).encode()
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=5) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.0\r\nAuthorization: Bearer %b\r\nContent-Length: %d\r\n\r\n%b"
            % (MAIN_KEY.encode(), len(request), request)
        )
        answer = connection.makefile("rb").read()
    head, _, rest = answer.partition(b"\r\n\r\n")

    assert b"transfer-encoding" not in head.lower()
    assert rest.startswith(b"data: {")
    assert rest.endswith(b"data: [DONE]\n\n")
