"""One exchange read as the contract reads it: what is found, and `None` where there is nothing."""

from __future__ import annotations

import gzip
import json
import zlib
from decimal import Decimal
from typing import Any

import pytest

from chatproof.answer import Answer, Number, decode_json
from chatproof.record import Ending, Tag, Transfer
from tests.exchanges import (
    ABSENT,
    ASKED,
    CHUNKS,
    COMPLETION,
    MODEL,
    answer,
    error_answer,
    frames,
    stream_answer,
    sync_answer,
)

NONCE = "nx0123456789abc"
FAILED = {"error": {"code": "billing_failed", "message": "no", "retryable": True}}
TWO = [
    {
        "id": "c",
        "choices": [{"index": 1, "delta": {"content": "B"}}, {"index": 0, "delta": {"content": "A"}}],
    },
    {"id": "c", "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]},
    {"id": "c", "choices": [{"index": 1, "delta": {"content": "b"}, "finish_reason": "length"}]},
]


def choice(**members: Any) -> dict[str, Any]:
    """A chunk with one choice."""
    return {"choices": [{"index": 0, **members}]}


# JSON ---------------------------------------------------------------------------------------------------------


def test_fractions_keep_their_digits() -> None:
    """A JSON fraction is a decimal that knows how it was printed; integers stay integers."""
    value = decode_json(b'{"a": 0.10, "b": 1e-3, "c": 7}')

    assert (value["a"], value["a"].text, value["b"].text, value["c"]) == (Decimal("0.1"), "0.10", "1e-3", 7)
    assert isinstance(value["a"], Number)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"NaN", b"-Infinity", b"'a'", b"\xff", b'{"a": 1} x', b"[" * 100_000]
)
def test_what_is_no_json(text: bytes) -> None:
    """What RFC 8259 does not allow is a ValueError, and so is depth that no reader stands."""
    with pytest.raises(ValueError):
        decode_json(text)


# What was asked -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/chat/completions", "/chat/completions"),
        ("/models?limit=1", "/models"),
        ("", "/"),
        ("/v1/models", "/models"),
    ],
)
def test_route_is_what_follows_the_base(path: str, route: str) -> None:
    """The route is the path below `/v1`, without its query."""
    assert sync_answer(route=path).route == route


def test_chat_is_a_post_to_its_route() -> None:
    """Other methods and other routes are no chat."""
    answers = [sync_answer(), sync_answer(method="GET"), sync_answer(route="/models")]

    assert [one.is_chat for one in answers] == [True, False, False]


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"{", b"null"])
def test_request_without_an_object_asks_nothing(body: bytes) -> None:
    """A body that is no JSON object has no members."""
    asked = answer(b"{}", asked=body)

    assert (dict(asked.asked), asked.asked_stream, asked.asked_usage) == ({}, False, False)


@pytest.mark.parametrize(
    ("said", "asked"), [(True, True), (False, False), ("true", False), (1, False), (None, False)]
)
def test_stream_is_asked_for_by_true(said: object, asked: bool) -> None:
    """Only `true` asks for a stream."""
    assert sync_answer(asked={"stream": said}).asked_stream is asked


@pytest.mark.parametrize(
    ("said", "sync"), [(False, True), (None, True), (True, False), ("true", False), (1, False)]
)
def test_sync_is_what_asked_for_nothing_like_a_stream(said: object, sync: bool) -> None:
    """An answer to half a wish for a stream is neither one nor the other."""
    assert sync_answer(asked={"stream": said}).is_sync is sync


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({"include_usage": True}, True),
        ({"include_usage": "yes"}, False),
        ({}, False),
        (True, False),
        (None, False),
    ],
)
def test_usage_is_asked_for_by_true(options: object, asked: bool) -> None:
    """Only `stream_options.include_usage: true` asks for usage."""
    assert stream_answer(asked={"stream_options": options}).asked_usage is asked


@pytest.mark.parametrize(("n", "choices"), [(3, 3), (None, 1), ("3", 1), (True, 1)])
def test_choices_asked_for(n: object, choices: int) -> None:
    """`n` where it is a whole number, else one."""
    assert sync_answer(asked={"n": n}).asked_choices == choices


@pytest.mark.parametrize(
    ("caps", "cap"),
    [
        ({"max_tokens": 8}, 8),
        ({"max_tokens": None, "max_completion_tokens": 5}, 5),
        ({"max_tokens": 8, "max_completion_tokens": 5}, 5),
        ({"max_tokens": "8"}, None),
        ({"max_tokens": True}, None),
        ({"max_tokens": None}, None),
    ],
)
def test_cap_asked_for(caps: dict[str, Any], cap: int | None) -> None:
    """The lower of the two caps, where they are whole numbers."""
    assert sync_answer(asked=caps).asked_cap == cap


def test_nonces_of_a_request() -> None:
    """Nonces are found wherever they stand in the body."""
    asked = {"messages": [{"role": "user", "content": f"Say {NONCE}, not nx01 or {NONCE[:-1]}z."}]}

    assert sync_answer(asked=asked).nonces_sent == {NONCE}


def test_operation_is_the_key_under_its_credentials() -> None:
    """Attempts with one idempotency key are one operation; without a key each exchange is its own."""
    keyed = [sync_answer(tag=Tag("p", step), request_headers=(("idempotency-key", "k"),)) for step in "12"]
    free = sync_answer(tag=Tag("p", "3"))

    assert [one.operation for one in keyed] == ["Bearer <redacted:api_key> k"] * 2
    assert free.operation == "p/3"


# What came ----------------------------------------------------------------------------------------------------


def test_answer_shows_itself_in_short() -> None:
    """A failing test prints which exchange it was about."""
    assert repr(error_answer()) == "<Answer probe/1 400 whole>"


def test_nothing_came() -> None:
    """Where no head came everything is absent."""
    silent = answer(b"", status=None, transfer=Transfer.REFUSED)
    found = (silent.status, silent.is_error, silent.is_sync, silent.is_stream, silent.whole)

    assert found == (None, False, False, False, False)
    assert (silent.json, dict(silent.fields), silent.usage, silent.error, silent.code) == (
        None,
        {},
        None,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("header", "media_type"),
    [
        ("Text/Event-Stream; charset=utf-8", "text/event-stream"),
        (None, ""),
        ("", ""),
        (" application/json ", "application/json"),
    ],
)
def test_media_type(header: str | None, media_type: str) -> None:
    """The content type is compared in lower case, without its parameters."""
    assert sync_answer(headers={"Content-Type": header}).media_type == media_type


@pytest.mark.parametrize(
    ("coding", "coded"),
    [
        ("gzip", gzip.compress),
        ("X-GZIP", gzip.compress),
        ("deflate", zlib.compress),
        (None, bytes),
        ("br", bytes),
        ("gzip", bytes),  # a label that is not true
    ],
)
def test_coding_is_taken_off(coding: str | None, coded: Any) -> None:
    """gzip and deflate are taken off; what we cannot undo, or what is none, stays as it came."""
    body = json.dumps(COMPLETION).encode()

    assert sync_answer(body=coded(body), headers={"Content-Encoding": coding}).body == body


def test_compressed_stream_keeps_its_instants() -> None:
    """Each read of a compressed stream stands for the text that it brought, at its own time."""
    deflate = zlib.compressobj(wbits=31)
    pieces = [deflate.compress(piece) + deflate.flush(zlib.Z_SYNC_FLUSH) for piece in frames(CHUNKS)]
    streamed = stream_answer(body=[*pieces, deflate.flush()], headers={"Content-Encoding": "gzip"})

    assert [data for data, _ in streamed.reads if data] == frames(CHUNKS)
    assert [at_ns for _, at_ns in streamed.reads][:2] == [4_000_000, 5_000_000]


@pytest.mark.parametrize(
    ("body", "content_type", "streamed"),
    [
        (b"data: {}\n\n", "application/json", True),
        (b"\xef\xbb\xbfdata: {}\n\n", "text/plain", True),
        (b": ping\n\n", "text/plain", True),
        (b"event: x\n\n", "text/plain", True),
        (b"", "text/event-stream", True),
        (b"{}", "text/event-stream", True),
        (b"{}", "application/json", False),
    ],
)
def test_stream_by_its_label_or_its_looks(body: bytes, content_type: str, streamed: bool) -> None:
    """An answer to `stream: true` is a stream by its label or by the look of its bytes."""
    assert stream_answer(body=body, content_type=content_type).is_stream is streamed


def test_refusal_is_no_stream() -> None:
    """Neither an error status nor an answer that was not asked to be a stream is one."""
    refused = stream_answer(status=400)
    unasked = stream_answer(asked={"stream": False})

    assert (refused.is_stream, unasked.is_stream) == (False, False)


# Streams ------------------------------------------------------------------------------------------------------


def test_chunks_are_all_events_but_done() -> None:
    """`[DONE]` is told apart, wherever and however often it comes."""
    streamed = stream_answer([*CHUNKS[:2], "data: [DONE]\n\n", "data:nonsense\n\n"])

    assert [chunk.value for chunk in streamed.chunks] == [CHUNKS[0], CHUNKS[1], None]
    assert len(streamed.dones) == 2


@pytest.mark.parametrize("data", ["5", "[]", "null", "{"])
def test_chunk_that_is_no_object_is_empty(data: str) -> None:
    """An event that is no JSON object has no members, no choices and no error."""
    (chunk,) = stream_answer([f"data: {data}\n\n"]).chunks

    assert (dict(chunk.fields), chunk.choices, chunk.error) == ({}, (), None)


@pytest.mark.parametrize("choices", [None, {}, "x", [5, None]])
def test_chunk_without_choices(choices: object) -> None:
    """Choices that are no list of objects are none."""
    (chunk,) = stream_answer([{"choices": choices}]).chunks

    assert chunk.choices == ()


def test_pieces_say_what_each_chunk_adds() -> None:
    """A piece is one choice of one chunk: its place, its text, and why it ended."""
    pieces = stream_answer([*CHUNKS, choice(delta="x"), choice()]).pieces

    assert [(piece.index, piece.content, piece.finish) for piece in pieces] == [
        (0, "", None),
        (0, "Hello", None),
        (0, " there.", None),
        (0, "", "stop"),
        (0, "", None),
        (0, "", None),
    ]


@pytest.mark.parametrize(
    ("delta", "adds"),
    [
        ({"content": "x"}, True),
        ({"reasoning_content": "x"}, True),
        ({"reasoning": "x"}, True),
        ({"refusal": "x"}, True),
        ({"tool_calls": [{"index": 0}]}, True),
        ({"function_call": {"name": "f"}}, True),
        ({"content": ""}, False),
        ({"content": None, "tool_calls": []}, False),
        ({"role": "assistant"}, False),
        ({}, False),
    ],
)
def test_substance(delta: dict[str, Any], adds: bool) -> None:
    """Text, reasoning, a refusal or a call adds to the answer; a role or nothing does not."""
    (piece,) = stream_answer([choice(delta=delta)]).pieces

    assert piece.substance is adds


def test_content_that_is_no_text() -> None:
    """Content of another type is no visible text."""
    (piece,) = stream_answer([choice(delta={"content": ["x"]})]).pieces

    assert piece.content == ""


def test_error_inside_a_stream() -> None:
    """The first error event is the stream's error."""
    streamed = stream_answer([CHUNKS[0], FAILED], done=False)

    assert (streamed.error, streamed.code) == (FAILED["error"], "billing_failed")
    assert streamed.stream_error is streamed.chunks[1]


# Either form --------------------------------------------------------------------------------------------------


def test_text_goes_choice_by_choice() -> None:
    """Text is put together per choice, in the order of their places, streamed or not."""
    message = {"role": "assistant", "content": "B"}
    sync = sync_answer({"choices": [{"message": {"content": "A"}}, {"message": message}, {"message": 5}, {}]})

    assert (stream_answer(TWO).text, sync.text) == ("AaBb", "AB")


def test_reasons_in_order_of_arrival() -> None:
    """Reasons that are null or absent are none."""
    sync = sync_answer({"choices": [{"finish_reason": "stop"}, {"finish_reason": None}, {}]})

    assert (stream_answer(TWO).finishes, sync.finishes) == (("stop", "length"), ("stop",))


@pytest.mark.parametrize("choices", [None, {}, "x", 5])
def test_body_without_choices(choices: object) -> None:
    """Choices that are no list are none."""
    found = sync_answer({"choices": choices})

    assert (found.choices, found.text, found.finishes) == ((), "", ())


def test_usage_of_either_form() -> None:
    """The body's usage, or the last that a stream's chunks carry."""
    usages = [{"usage": {"total_tokens": n}} for n in (1, 2)]
    streamed = stream_answer([*usages, {"usage": None}])

    assert (streamed.usage, sync_answer().count("total_tokens")) == ({"total_tokens": 2}, 62)


@pytest.mark.parametrize("value", ["24", 24.0, True, None, ABSENT])
def test_count_is_a_whole_number(value: object) -> None:
    """A count of another type is none."""
    assert sync_answer({"usage.prompt_tokens": value}).count("prompt_tokens") is None


def test_count_without_usage() -> None:
    """Where there is no usage there is no count."""
    assert (sync_answer({"usage": ABSENT}).count("prompt_tokens"), stream_answer().usage) == (None, None)


@pytest.mark.parametrize(
    ("details", "cached"),
    [({"cached_tokens": 7}, 7), ({"cached_tokens": "7"}, 0), ({}, 0), (None, 0), (7, 0)],
)
def test_cached_tokens(details: object, cached: int) -> None:
    """Cached tokens where usage counts them, else none."""
    assert sync_answer({"usage.prompt_tokens_details": details}).cached_tokens == cached


def test_cached_tokens_without_usage() -> None:
    """Without usage nothing was cached."""
    assert sync_answer({"usage": ABSENT}).cached_tokens == 0


def test_names_of_either_form() -> None:
    """Id and model are the body's, or those of the first chunk that has them."""
    late = stream_answer([choice(delta={}), *CHUNKS])

    assert (late.completion_id, late.model) == ("chatcmpl-1", MODEL)
    assert (sync_answer().completion_id, sync_answer().model) == ("chatcmpl-1", MODEL)


@pytest.mark.parametrize("value", [ABSENT, "", None, 5])
def test_names_that_are_none(value: object) -> None:
    """An id or model that is absent, empty or no string is none."""
    nameless = sync_answer({"id": value, "model": value})

    assert (nameless.completion_id, nameless.model) == (None, None)


@pytest.mark.parametrize("error", ["no", None, ["no"]])
def test_error_that_is_no_object(error: object) -> None:
    """An error of another type is no envelope, and has no code."""
    odd = error_answer(body=json.dumps({"error": error}).encode())

    assert (odd.error, odd.code) == (None, None)


def test_code_that_is_no_string() -> None:
    """A code of another type is none."""
    assert error_answer({"code": 400}).code is None


# Endings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transfer", "ending"),
    [
        (Transfer.REFUSED, Ending.REFUSED),
        (Transfer.TIMED_OUT, Ending.TIMED_OUT),
        (Transfer.STALLED, Ending.STALLED),
        (Transfer.RESET, Ending.RESET),
        (Transfer.CUT, Ending.CUT),
        (Transfer.MALFORMED, Ending.MALFORMED),
        (Transfer.CAPPED, Ending.MALFORMED),
        (Transfer.LEFT, Ending.LEFT),
    ],
)
def test_ending_of_a_broken_transfer(transfer: Transfer, ending: Ending) -> None:
    """A stream whose transfer broke before `[DONE]` ended as its transfer did."""
    assert stream_answer(CHUNKS[:2], done=False, transfer=transfer).ending is ending


def test_silence_after_done_is_no_stall() -> None:
    """A stream that said all it had to say is complete, even where the connection was then left hanging."""
    assert stream_answer(transfer=Transfer.STALLED).ending is Ending.COMPLETE


@pytest.mark.parametrize(
    ("ended", "ending"),
    [
        (stream_answer(), Ending.COMPLETE),
        (stream_answer(done=False), Ending.CUT),
        (stream_answer(CHUNKS[:2]), Ending.CUT),
        (stream_answer(body=b"".join(frames(CHUNKS)).rstrip()), Ending.CUT),
        (stream_answer([CHUNKS[0], FAILED]), Ending.ERROR_IN_STREAM),
        (stream_answer([*CHUNKS, "data: {\n\n"]), Ending.MALFORMED),
        (stream_answer(body=b"{}", content_type="application/json"), Ending.MALFORMED),
        (stream_answer(body=b""), Ending.CUT),
        (stream_answer(status=429), Ending.RATE_LIMITED),
        (stream_answer(status=500), Ending.HTTP_ERROR),
        (stream_answer(status=302), Ending.HTTP_ERROR),
        (sync_answer(), Ending.COMPLETE),
        (sync_answer(body=b"<html>"), Ending.MALFORMED),
        (error_answer(), Ending.HTTP_ERROR),
    ],
)
def test_ending_of_a_whole_transfer(ended: Answer, ending: Ending) -> None:
    """Only a stream with a reason to finish and a terminated `[DONE]`, or a body of JSON, is complete."""
    assert ended.ending is ending


def test_asked_members_are_the_request_s() -> None:
    """What was asked is read from the recorded request."""
    assert dict(sync_answer().asked) == dict(ASKED)
