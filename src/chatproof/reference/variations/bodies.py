"""Oddities of JSON bodies and of the responses that carry them: members, spelling, heads, framing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from ..call import Call
from ..changes import body, document, frames, header, put, reply, splits, usage
from ..conditions import every_nth, route
from ..encodings import at_each
from ..reply import Ending, Framing, Json, Reply
from ..seams import COMPLETION, DOCUMENT
from ..vocabulary import Variation
from .chunks import SEVERAL
from .framing import SPLIT_GAP_NS, STREAMED, reversed_members

MODELS = route("/v1/models")
HEALTH = route("/v1/health")


def _spelled(data: bytes, **how: Any) -> bytes:
    return json.dumps(json.loads(data), **how).encode()


_JSON = (
    Variation(
        "members-reversed",
        "The members of each object in a body come in the opposite order.",
        (body(lambda data: _spelled(reversed_bytes(data), ensure_ascii=False), when=~STREAMED),),
    ),
    Variation(
        "pretty-printed",
        "Bodies are indented, with blank lines around them.",
        (body(lambda data: b"\r\n" + _spelled(data, indent=4) + b"\n\n", when=~STREAMED),),
    ),
    Variation(
        "escaped-bodies",
        "Bodies are ASCII: every other character is escaped, slashes too.",
        (body(lambda data: _spelled(data).replace(b"/", rb"\/"), when=~STREAMED),),
    ),
)


def reversed_bytes(data: bytes) -> bytes:
    """A JSON text with the members of each object in the opposite order."""
    return json.dumps(reversed_members(json.loads(data))).encode()


def _call_of_a_tool(call: Call, made: Json) -> Json:
    called = {"name": "weather", "arguments": '{"in": "Oslo"}'}
    for choice in made["choices"]:
        choice["message"]["tool_calls"] = [{"id": "call_1", "type": "function", "function": called}]
    return made


_MEMBERS = (
    Variation(
        "null-members-of-bodies",
        "A completion has every optional member of OpenAI's, and each is null.",
        (
            put(COMPLETION, "/system_fingerprint", None),
            put(COMPLETION, "/service_tier", None),
            put(COMPLETION, "/choices/*/logprobs", None),
            put(COMPLETION, "/choices/*/message/refusal", None),
            put(COMPLETION, "/choices/*/message/tool_calls", None),
            put(COMPLETION, "/choices/*/message/function_call", None),
            put(COMPLETION, "/choices/*/message/audio", None),
        ),
    ),
    Variation(
        "unknown-members-of-bodies",
        "A completion, its choices, messages and usage have members that OpenAI's do not have.",
        (
            put(COMPLETION, "/provider", "upstream-a"),
            put(COMPLETION, "/error", None),
            put(COMPLETION, "/x_meta", {"took_ms": 3.25}),
            put(COMPLETION, "/choices/*/stop_reason", None),
            put(COMPLETION, "/choices/*/message/annotations", []),
            put(COMPLETION, "/choices/*/message/tool_calls", []),
            put(COMPLETION, "/choices/*/message/reasoning_content", "Let me see."),
            usage("cost_in_usd_ticks", 314),
        ),
    ),
    Variation(
        "tool-called",
        "Answers of every third call also call a tool, and end with stop.",
        (document(COMPLETION, _call_of_a_tool, every_nth(3)),),
    ),
    Variation(
        "usage-details",
        "Usage breaks its counts down by kind; kinds that do not apply are 0 or null.",
        (
            usage("prompt_tokens_details", lambda old: {"cached_tokens": 0, "audio_tokens": None}),
            usage("completion_tokens_details", {"reasoning_tokens": 0, "accepted_prediction_tokens": None}),
        ),
    ),
    Variation(
        "usage-details-null",
        "Usage has null for its details.",
        (usage("prompt_tokens_details", None), usage("completion_tokens_details", None)),
    ),
    Variation(
        "choices-last-first",
        "Several choices stand in a body last one first, each with its index.",
        (put(COMPLETION, "/choices", lambda old: old[::-1], SEVERAL),),
    ),
)

_CATALOGUE = (
    Variation(
        "models-with-more",
        "The catalogue tells prices, and lists auto beside the models.",
        (
            put(DOCUMENT, "/data/*/context_length", 204_800, MODELS),
            put(DOCUMENT, "/data/*/pricing", {"prompt": "0.0000003"}, MODELS),
            put(DOCUMENT, "/has_more", False, MODELS),
            put(
                DOCUMENT,
                "/data",
                lambda old: [{"id": "auto", "object": "model", "owned_by": "beatra"}, *old],
                MODELS,
            ),
        ),
    ),
    Variation(
        "one-model-listed",
        "The catalogue lists the first model only.",
        (put(DOCUMENT, "/data", lambda old: old[:1], MODELS),),
    ),
    Variation(
        "health-with-more",
        "Health tells version and checks beside its status.",
        (
            put(DOCUMENT, "/version", "2026.11.3", HEALTH),
            put(DOCUMENT, "/checks", {"database": "ok"}, HEALTH),
        ),
    ),
)


def _lower(call: Call, plan: Reply) -> Reply:
    return replace(plan, headers=tuple((name.lower(), value) for name, value in plan.headers))


def _upper(call: Call, plan: Reply) -> Reply:
    return replace(plan, headers=tuple((name.upper(), f" {value}\t") for name, value in plan.headers))


_HEADS = (
    Variation("lower-case-headers", "Header names are in small letters.", (reply(_lower),)),
    Variation(
        "upper-case-headers", "Header names are in capitals, their values between blanks.", (reply(_upper),)
    ),
    Variation(
        "json-with-charset",
        "Bodies are application/json with a charset.",
        (header("Content-Type", "application/json; charset=utf-8", ~STREAMED),),
    ),
    Variation(
        "json-in-capitals",
        "The content type of bodies is in capitals, with a parameter in quotes.",
        (header("Content-Type", 'Application/JSON;Charset="UTF-8"', ~STREAMED),),
    ),
    Variation(
        "headers-of-an-edge",
        "An edge adds headers of its own, and one of them twice.",
        (
            header("Server", "edge-7"),
            header("Via", "1.1 edge-7, 1.1 mesh"),
            header("CF-Ray", "8f1c2d3e4f5a6b7c-OSL"),
            header("X-RateLimit-Remaining-Requests", "59"),
            header("X-Correlation-Id", "0b4fd2f2-3a5c-4c8e-9a34-7a90d0c5a001"),
            header("Strict-Transport-Security", "max-age=31536000"),
            header("Content-Encoding", "identity"),
            reply(
                lambda call, plan: replace(
                    plan,
                    headers=(*plan.headers, ("Set-Cookie", "a=1; HttpOnly"), ("Set-Cookie", "b=2; HttpOnly")),
                )
            ),
        ),
    ),
    Variation(
        "keep-alive-promised",
        "The head promises that the connection stays open, and it does.",
        (header("Connection", "keep-alive"), header("Keep-Alive", "timeout=5, max=100")),
    ),
    Variation(
        "close-after-each-answer",
        "Each connection carries one answer, as its head says.",
        (reply(lambda call, plan: replace(plan, ending=Ending.CLOSED)),),
    ),
)

_FRAMING = (
    Variation(
        "chunked-bodies",
        "Bodies come in the chunked encoding, in pieces.",
        (
            splits(at_each((1, 17, 40)), SPLIT_GAP_NS, ~STREAMED),
            frames(lambda written: (one for one in written if one.data), ~STREAMED),
            reply(lambda call, plan: replace(plan, framing=Framing.CHUNKED), ~STREAMED),
        ),
    ),
    Variation(
        "bodies-until-close",
        "Bodies have no length: the end of the connection ends them.",
        (reply(lambda call, plan: replace(plan, framing=Framing.CLOSE), ~STREAMED),),
    ),
    Variation(
        "bodies-in-pieces",
        "Bodies of known length come in pieces.",
        (splits(at_each((1, 17, 40)), SPLIT_GAP_NS, ~STREAMED),),
    ),
)

VARIATIONS = (*_JSON, *_MEMBERS, *_CATALOGUE, *_HEADS, *_FRAMING)
