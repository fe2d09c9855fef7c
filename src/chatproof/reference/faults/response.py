"""Faults of the sync response."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import msgspec

from ..call import Call
from ..changes import drop, put
from ..conditions import ALWAYS, IDEMPOTENT, NON_ASCII, SECOND_MODEL, SYNC, When, asks_for
from ..seams import COMPLETION, IDENTITY, Change, Identity
from ..vocabulary import Fault, fails, warns


def _body(
    name: str, sentence: str, clauses: dict[str, str], at: str, value: Any, when: When = ALWAYS
) -> Fault:
    """A sync answer with another value at one place."""
    return Fault(name, sentence, clauses, (put(COMPLETION, at, value, when),))


_SCHEMA = (
    _body(
        "fingerprint-number",
        "system_fingerprint is a number.",
        fails("RSP-01"),
        "/system_fingerprint",
        44709,
    ),
    _body(
        "logprobs-string", "A choice's logprobs are a string.", fails("RSP-01"), "/choices/*/logprobs", "none"
    ),
    _body(
        "refusal-boolean",
        "The second model's messages carry a refusal that is a boolean.",
        fails("RSP-01"),
        "/choices/*/message/refusal",
        False,
        SECOND_MODEL,
    ),
    _body(
        "prompt-details-number",
        "prompt_tokens_details is a number.",
        fails("RSP-01"),
        "/usage/prompt_tokens_details",
        0,
    ),
)


def _constant(call: Call, identity: Identity) -> Identity:
    return replace(identity, id="chatcmpl-0")


def _hash_of_prompt(call: Call, identity: Identity) -> Identity:
    digest = hash(msgspec.json.encode(call.fields.get("messages"))) & 0xFFFFFFFF
    return replace(identity, id=f"chatcmpl-{digest:08x}")


def _clock(call: Call, identity: Identity) -> Identity:
    return replace(identity, id=f"chatcmpl-{time.time_ns() // 500_000_000}")


_FRESH = SYNC & ~IDEMPOTENT

_IDENTITY = (
    Fault(
        "id-constant",
        "All sync completions without an Idempotency-Key have one id.",
        fails("RSP-02"),
        (Change(IDENTITY, _constant, _FRESH),),
    ),
    Fault(
        "id-from-prompt",
        "The id of a sync completion is a hash of its prompt.",
        fails("RSP-02"),
        (Change(IDENTITY, _hash_of_prompt, _FRESH),),
    ),
    Fault(
        "id-from-clock",
        "The id of a sync completion is the time in half seconds.",
        fails("RSP-02"),
        (Change(IDENTITY, _clock, _FRESH),),
    ),
    _body("id-empty", "The id is empty.", fails("RSP-02"), "/id", "", _FRESH & SECOND_MODEL),
    _body(
        "model-says-auto",
        "A call to auto says auto.",
        fails("RSP-03"),
        "/model",
        "auto",
        asks_for(model="auto"),
    ),
    _body(
        "model-empty",
        "The second model leaves the model empty.",
        fails("RSP-03") | warns("RSP-04"),
        "/model",
        "",
        SECOND_MODEL,
    ),
    Fault(
        "model-absent",
        "A call to auto does not say which model handled it.",
        fails("RSP-01", "RSP-03"),
        (drop(COMPLETION, "/model", asks_for(model="auto")),),
    ),
    _body(
        "model-dated",
        "A pinned model answers under its dated name.",
        warns("RSP-04"),
        "/model",
        lambda old: f"{old}-20260115",
        ~asks_for(model="auto"),
    ),
    _body(
        "second-model-says-first",
        "The second model answers under the first one's name, at its own price.",
        warns("RSP-04") | fails("BIL-04"),
        "/model",
        "MiniMax-M2.7",
        SECOND_MODEL,
    ),
)

_CHOICES = (
    _body(
        "choices-empty",
        "The second model's choices are empty.",
        fails("RSP-05"),
        "/choices",
        [],
        SECOND_MODEL,
    ),
    _body(
        "index-from-one",
        "Choices are counted from 1.",
        fails("RSP-05"),
        "/choices/*/index",
        lambda old: old + 1,
    ),
    _body(
        "second-choice-index-zero",
        "Of several choices each has index 0.",
        fails("RSP-05"),
        "/choices/*/index",
        0,
    ),
    _body("role-bot", "The answer's role is bot.", fails("RSP-05"), "/choices/*/message/role", "bot"),
    _body(
        "role-user",
        "The second model answers in the user's role.",
        fails("RSP-05"),
        "/choices/*/message/role",
        "user",
        SECOND_MODEL,
    ),
    _body(
        "content-null",
        "The content of a non-ASCII answer is null.",
        fails("RSP-05"),
        "/choices/*/message/content",
        None,
        NON_ASCII,
    ),
    _body(
        "content-parts",
        "The second model's content is an array of parts.",
        fails("RSP-01", "RSP-05"),
        "/choices/*/message/content",
        lambda old: [{"type": "text", "text": old}],
        SECOND_MODEL,
    ),
    _body(
        "finish-null-sync",
        "finish_reason is null.",
        fails("RSP-06"),
        "/choices/*/finish_reason",
        None,
        SECOND_MODEL,
    ),
    Fault(
        "finish-absent-sync",
        "finish_reason is absent where a seed was sent.",
        fails("RSP-06"),
        (drop(COMPLETION, "/choices/*/finish_reason", asks_for(seed=...)),),
    ),
    _body(
        "finish-upstream-word",
        "The upstream's own word stands for stop.",
        fails("RSP-06"),
        "/choices/*/finish_reason",
        lambda old: "end_turn" if old == "stop" else old,
    ),
    _body(
        "finish-upper-case",
        "The second model's finish_reason is in upper case.",
        fails("RSP-06"),
        "/choices/*/finish_reason",
        lambda old: old.upper() if old == "stop" else old,
        SECOND_MODEL,
    ),
)

_ENVELOPE = (
    _body(
        "object-plural",
        "object is misspelt.",
        fails("RSP-08"),
        "/object",
        "chat.completions",
        SECOND_MODEL,
    ),
    _body(
        "object-text-completion",
        "object is the old completion's.",
        fails("RSP-08"),
        "/object",
        "text_completion",
        asks_for(model="auto"),
    ),
    Fault("object-absent", "object is absent.", warns("RSP-08"), (drop(COMPLETION, "/object"),)),
    Fault("created-absent", "created is absent.", warns("RSP-08"), (drop(COMPLETION, "/created"),)),
    _body(
        "created-milliseconds-sync",
        "created counts milliseconds.",
        fails("RSP-08"),
        "/created",
        lambda old: old * 1000,
    ),
    _body("created-zero", "The second model's created is 0.", fails("RSP-08"), "/created", 0, SECOND_MODEL),
    _body(
        "created-in-future",
        "created is two days ahead.",
        fails("RSP-08"),
        "/created",
        lambda old: old + 172_800,
        asks_for(model="auto"),
    ),
)

FAULTS = (*_SCHEMA, *_IDENTITY, *_CHOICES, *_ENVELOPE)
