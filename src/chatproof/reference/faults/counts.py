"""Faults of the token counts in a sync response."""

from __future__ import annotations

from dataclasses import replace

from ..call import Call
from ..changes import drop, put
from ..conditions import NON_ASCII, SECOND_MODEL, When
from ..reply import Json
from ..seams import COMPLETION, USAGE, Change
from ..vocabulary import Fault, fails, unseen
from ..wallet import Usage


def _no_prompt_growth(call: Call, counts: Usage) -> Usage:
    return replace(counts, prompt=8 + 3 * len(call.fields.get("messages") or ()))


def _no_completion(call: Call, counts: Usage) -> Usage:
    return replace(counts, completion=0)


def _total_is_completion(call: Call, document: Json) -> Json:
    document["usage"]["total_tokens"] = document["usage"]["completion_tokens"]
    return document


def _capped_prompt(call: Call, counts: Usage) -> Usage:
    return replace(counts, prompt=min(counts.prompt, 12))


FAULTS = (
    Fault(
        "total-is-completion",
        "total_tokens is the completion's count.",
        fails("RSP-07"),
        (Change(COMPLETION, _total_is_completion),),
    ),
    Fault(
        "total-absent",
        "The second model's total_tokens is absent.",
        fails("RSP-07"),
        (drop(COMPLETION, "/usage/total_tokens", SECOND_MODEL),),
    ),
    Fault(
        "counts-strings",
        "The second model's total_tokens is a string.",
        fails("RSP-07"),
        (put(COMPLETION, "/usage/total_tokens", str, SECOND_MODEL),),
    ),
    Fault(
        "total-off-for-non-ascii",
        "total_tokens is one too high for non-ASCII prompts.",
        fails("RSP-07"),
        (put(COMPLETION, "/usage/total_tokens", lambda old: old + 1, NON_ASCII),),
    ),
    Fault(
        "total-forgets-choices",
        "With several choices total_tokens counts only one.",
        fails("RSP-07"),
        (
            put(
                COMPLETION,
                "/usage/total_tokens",
                lambda old: old - 1,
                When("several choices", lambda call: (call.fields.get("n") or 1) > 1),
            ),
        ),
    ),
    Fault(
        "prompt-count-flat",
        "Prompt tokens are counted by messages, whatever their length.",
        fails("RSP-09"),
        (Change(USAGE, _no_prompt_growth),),
        unseen("BIL-08"),  # equal prompts leave its two prices undetermined
    ),
    Fault(
        "prompt-count-capped",
        "Prompt tokens are counted up to 12.",
        fails("RSP-09"),
        (Change(USAGE, _capped_prompt),),
        unseen("BIL-08"),  # equal prompts leave its two prices undetermined
    ),
    Fault(
        "non-ascii-completion-not-counted",
        "Completion tokens are not counted where the prompt has non-ASCII text.",
        fails("RSP-09"),
        (Change(USAGE, _no_completion, NON_ASCII),),
    ),
    Fault(
        "completion-not-counted",
        "The second model counts no completion tokens.",
        fails("RSP-09"),
        (Change(USAGE, _no_completion, SECOND_MODEL),),
        unseen("BIL-08"),
    ),
)
