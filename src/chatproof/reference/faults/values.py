"""Faults of the request's values: caps, the body as a whole, optional fields, text beyond ASCII."""

from __future__ import annotations

from dataclasses import replace

from ..access import AUTHENTICATION
from ..call import Call
from ..changes import body, let_through, refuse, remap
from ..conditions import (
    SECOND_MODEL,
    STREAM,
    When,
    asks_for,
    prompt_has,
    rule,
)
from ..model import Answer, Choice, Prompt, answer
from ..problem import Problem, invalid
from ..seams import ANSWER, Change
from ..vocabulary import Fault, fails, unseen, warns
from .request import lenient

_SURROGATES = (b"\\ud8", b"\\ud9", b"\\uda", b"\\udb")


_KNOWN = frozenset(
    [
        "model",
        "messages",
        "stream",
        "stream_options",
        "temperature",
        "top_p",
        "max_tokens",
        "max_completion_tokens",
        "n",
        "stop",
        "seed",
        "user",
        "metadata",
        "presence_penalty",
        "frequency_penalty",
        "tools",
        "tool_choice",
        "response_format",
        "logprobs",
        "top_logprobs",
        "logit_bias",
        "parallel_tool_calls",
        "service_tier",
        "store",
        "reasoning_effort",
    ]
)


def _uncapped(call: Call, found: Answer) -> Answer:
    return answer(replace(Prompt.of(call.fields), cap=None), call.nonce)


def _one_more(call: Call, found: Answer) -> Answer:
    asked = Prompt.of(call.fields)
    return answer(replace(asked, cap=asked.cap + 1), call.nonce) if asked.cap else found


def _says_stop(call: Call, found: Answer) -> Answer:
    return replace(found, choices=tuple(replace(choice, finish="stop") for choice in found.choices))


def _last_says_stop(call: Call, found: Answer) -> Answer:
    first, *others = found.choices
    return replace(found, choices=(first, *(Choice(one.pieces, "stop") for one in others)))


_CAP = (
    Fault("cap-ignored", "max_tokens is ignored.", fails("REQ-09"), (Change(ANSWER, _uncapped),)),
    Fault(
        "cap-off-by-one",
        "One token more than max_tokens is made.",
        fails("REQ-09"),
        (Change(ANSWER, _one_more),),
    ),
    Fault(
        "cap-ignored-in-streams",
        "max_tokens is ignored where a stream is asked for.",
        fails("REQ-09"),
        (Change(ANSWER, _uncapped, STREAM),),
    ),
    Fault(
        "cap-ignored-by-second-model",
        "The second model ignores max_tokens.",
        fails("REQ-09"),
        (Change(ANSWER, _uncapped, SECOND_MODEL),),
    ),
    Fault("cut-says-stop", "A cut answer says stop.", fails("REQ-09"), (Change(ANSWER, _says_stop),)),
    Fault(
        "cut-says-stop-in-streams",
        "A cut stream says stop.",
        fails("REQ-09"),
        (Change(ANSWER, _says_stop, STREAM),),
    ),
    Fault(
        "cut-second-choice-says-stop",
        "Of several cut choices only the first says length.",
        fails("REQ-09"),
        (Change(ANSWER, _last_says_stop),),
    ),
    lenient("cap-string", "A string is taken for max_tokens.", fails("REQ-10"), "max_tokens_string"),
    lenient("cap-fraction", "A fraction is taken for max_tokens.", fails("REQ-10"), "max_tokens_fraction"),
    lenient("cap-boolean", "A boolean is taken for max_tokens.", fails("REQ-10"), "max_tokens_boolean"),
    lenient("cap-zero", "max_tokens may be 0.", warns("REQ-10"), "max_tokens_zero"),
    lenient("cap-negative", "max_tokens may be negative.", warns("REQ-10"), "max_tokens_negative"),
)


_EXTRA = When("an unknown field was sent", lambda call: bool(set(call.fields) - _KNOWN))


def _crashes(how: str) -> Fault:
    return Fault(
        f"body-{how.replace('_', '-')}-500",
        f"A body that is {how.replace('_', ' ')} is an internal error.",
        fails("REQ-12"),
        (remap(rule(f"body_{how}"), status=500, code="internal_error", retryable=True),),
    )


def _known(call: Call) -> bool:
    return all(one.check(call) is None for one in AUTHENTICATION)


_BODY = (
    Fault(
        "unknown-field-refused",
        "An unknown top-level field is refused.",
        warns("REQ-11"),
        (refuse(invalid("There is an unknown field."), _EXTRA),),
    ),
    Fault(
        "unknown-field-refused-in-streams",
        "An unknown top-level field is refused where a stream is asked for.",
        warns("REQ-11"),
        (refuse(invalid("There is an unknown field."), _EXTRA & STREAM),),
    ),
    _crashes("empty"),
    _crashes("truncated"),
    _crashes("malformed"),
    _crashes("not_object"),
    Fault(
        "body-malformed-text",
        "Malformed JSON gets a bare text.",
        fails("REQ-12", "ERR-01"),
        (body(b"Internal Server Error", "text/plain", rule("body_malformed", "body_truncated")),),
    ),
    Fault(
        "body-array-accepted",
        "An array is as good as an object.",
        fails("REQ-12"),
        (
            let_through(
                When("the body is an array", lambda call: isinstance(call.body, list) and _known(call))
            ),
        ),
    ),
)


def _option(field: str, value: object = ...) -> Fault:
    return Fault(
        f"{field.replace('_', '-')}-refused",
        f"The optional field {field} is an invalid request.",
        warns("REQ-13"),
        (refuse(invalid(f"{field} is not supported.", f"/{field}"), asks_for(**{field: value})),),
    )


_OPTIONS = (
    _option("stop"),
    _option("seed"),
    _option("n", 1),
    _option("user"),
    _option("metadata"),
    _option("max_completion_tokens"),
    _option("presence_penalty"),
    _option("frequency_penalty"),
    Fault(
        "metadata-refused-unnamed",
        "metadata is refused as an unsupported option, without saying which.",
        warns("REQ-13"),
        (refuse(Problem(422, "unsupported_option", "An option is not supported."), asks_for(metadata=...)),),
    ),
)


def _text(name: str, what: str, low: str, high: str, *unseen_then: str) -> Fault:
    return Fault(
        f"{name}-refused",
        f"A prompt with {what} is refused.",
        fails("REQ-14"),
        (
            refuse(
                invalid("The text is not supported.", "/messages/0/content"),
                prompt_has(what, lambda text: any(low <= character <= high for character in text)),
            ),
        ),
        unseen(*unseen_then),
    )


_NON_ASCII = (
    _text("cjk", "CJK characters", "\u4e00", "\u9fff", "RSP-09"),  # how such text is counted
    _text("emoji", "characters beyond the basic plane", "\U00010000", "\U0010ffff"),
    _text("combining", "combining marks", "\u0300", "\u036f"),
    _text("line-separator", "U+2028", "\u2028", "\u2028"),
    Fault(
        "escaped-pair-refused",
        "Escaped surrogate pairs are refused.",
        fails("REQ-14"),
        (
            refuse(
                invalid("The text is not supported.", "/messages/0/content"),
                When(
                    "there are escaped surrogates",
                    lambda call: any(pair in call.raw.lower() for pair in _SURROGATES),
                ),
            ),
        ),
    ),
)

FAULTS = (*_CAP, *_BODY, *_OPTIONS, *_NON_ASCII)
