"""Faults of the request fields."""

from __future__ import annotations

from dataclasses import replace

from ..access import AUTHENTICATION
from ..call import Call
from ..changes import accept, body, let_through, put, refuse, remap
from ..conditions import (
    IDEMPOTENT,
    SECOND_MODEL,
    STREAM,
    When,
    asks_for,
    code,
    prompt_has,
    roles,
    rule,
)
from ..model import Answer, Choice, Prompt, answer
from ..problem import Problem, invalid
from ..seams import ANSWER, ASKED, Change
from ..vocabulary import Fault, fails, warns
from ..wallet import DOWN, MODELS
from .endpoint import HTML

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
_SURROGATES = (b"\\ud8", b"\\ud9", b"\\uda", b"\\udb")
_DETAIL = b'{"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]}'


def _lenient(name: str, sentence: str, clauses: dict[str, str], *rules: str) -> Fault:
    """A fault that leaves out some rules."""
    return Fault(name, sentence, clauses, (accept(*rules),))


def _in_parts(call: Call) -> bool:
    messages = call.fields.get("messages")
    said = messages if isinstance(messages, list) else []
    return any(isinstance(one, dict) and isinstance(one.get("content"), list) for one in said)


_SHAPES = (
    _lenient("model-optional", "Without a model the default answers.", fails("REQ-01"), "model_missing"),
    _lenient(
        "messages-optional",
        "Without messages the model talks to itself.",
        fails("REQ-01"),
        "messages_missing",
    ),
    Fault(
        "missing-messages-detail",
        "Missing messages get the framework's own validation error.",
        fails("REQ-01", "ERR-01"),
        (body(_DETAIL, when=rule("messages_missing")),),
    ),
    Fault(
        "missing-model-unsupported",
        "A missing model is called an unsupported one.",
        fails("REQ-01"),
        (remap(rule("model_missing"), code="unsupported_model"),),
    ),
    _lenient("messages-string", "A string is taken for messages.", fails("REQ-02"), "messages_string"),
    _lenient("messages-object", "A single object is taken for messages.", fails("REQ-02"), "messages_object"),
    _lenient("messages-number", "A number is taken for messages.", fails("REQ-02"), "messages_number"),
    _lenient("messages-empty", "An empty array of messages is answered.", fails("REQ-02"), "messages_empty"),
    Fault(
        "messages-empty-option",
        "An empty array of messages is refused as an unsupported option.",
        fails("REQ-02"),
        (remap(rule("messages_empty"), status=422, code="unsupported_option"),),
    ),
    _lenient("role-optional", "A message without a role is the user's.", fails("REQ-03"), "role_missing"),
    _lenient("role-any", "A message may have any role.", fails("REQ-03"), "role_unknown"),
    Fault(
        "role-any-after-first",
        "Only the first message's role is looked at.",
        fails("REQ-03"),
        (
            accept(
                "role_missing",
                "role_unknown",
                when=roles("well begun", lambda some: some[:1] in (["system"], ["user"])),
            ),
        ),
    ),
    _lenient("content-optional", "A message without content is empty.", fails("REQ-04"), "content_missing"),
    _lenient("content-number", "A number is taken for content.", fails("REQ-04"), "content_number"),
    _lenient("content-object", "An object is taken for content.", fails("REQ-04"), "content_object"),
    Fault(
        "system-content-any",
        "The content of a system message is not looked at.",
        fails("REQ-04"),
        (
            accept(
                "content_missing",
                "content_number",
                "content_object",
                when=roles("led by the system", lambda some: some[:1] == ["system"]),
            ),
        ),
    ),
    Fault(
        "parts-refused",
        "Arrays of content parts are refused.",
        fails("REQ-04"),
        (
            refuse(
                invalid("content must be a string.", "/messages/0/content"),
                When("content comes in parts", _in_parts),
            ),
        ),
    ),
    Fault(
        "system-refused",
        "A system message is refused.",
        fails("REQ-05"),
        (
            refuse(
                invalid("system is not supported.", "/messages/0/role"),
                roles("led by the system", lambda some: some[:1] == ["system"]),
            ),
        ),
    ),
    Fault(
        "assistant-turns-refused",
        "A conversation with the assistant's own turns is refused.",
        fails("REQ-05"),
        (
            refuse(
                invalid("Only one turn is supported.", "/messages"),
                roles("a dialogue", lambda some: "assistant" in some),
            ),
        ),
    ),
)

_SECOND_TURN = Fault(
    "second-turn-refused",
    "A conversation with a second user message is refused.",
    fails("REQ-05"),
    (
        refuse(
            invalid("Only one user message is supported.", "/messages"),
            roles("two turns of the user", lambda some: some.count("user") > 1),
        ),
    ),
)

_SWITCHES = (
    Fault(
        "stream-false-streams",
        "stream:false counts as present, and streams.",
        fails("REQ-06"),
        (put(ASKED, "/stream", True, asks_for(stream=False)),),
    ),
    _lenient("stream-any-type", "A stream that is no boolean is ignored.", fails("REQ-06"), "stream_type"),
    Fault(
        "stream-string-streams",
        "A string in stream is as good as true.",
        fails("REQ-06"),
        (
            put(
                ASKED,
                "/stream",
                True,
                When("stream is a string", lambda call: isinstance(call.fields.get("stream"), str)),
            ),
        ),
    ),
    Fault(
        "auto-refused",
        "auto is not a known model.",
        fails("REQ-07", "ERR-10"),
        (
            refuse(
                Problem(400, "unsupported_model", "auto is not enabled.", param="/model"),
                asks_for(model="auto"),
            ),
        ),
    ),
    Fault(
        "auto-refused-in-streams",
        "auto is not a known model where a stream is asked for.",
        fails("REQ-07"),
        (
            refuse(
                Problem(400, "unsupported_model", "auto does not stream.", param="/model"),
                asks_for(model="auto") & STREAM,
            ),
        ),
    ),
    Fault(
        "auto-refused-with-key",
        "auto is refused together with an Idempotency-Key.",
        fails("ERR-10"),
        (
            refuse(
                Problem(400, "unsupported_model", "Pin a model for idempotent calls.", param="/model"),
                asks_for(model="auto") & IDEMPOTENT,
            ),
        ),
    ),
)

_UNKNOWN_MODEL = When(
    "the model is unknown",
    lambda call: (
        isinstance(call.fields.get("model"), str) and call.fields["model"] not in (*MODELS, "auto", DOWN)
    ),
)

_MODEL = (
    Fault(
        "unknown-model-falls-back",
        "An unknown model is silently replaced by the default.",
        fails("REQ-08"),
        (put(ASKED, "/model", "auto", _UNKNOWN_MODEL),),
    ),
    Fault(
        "unknown-model-falls-back-in-streams",
        "An unknown model is silently replaced by the default where a stream is asked for.",
        fails("REQ-08"),
        (put(ASKED, "/model", "auto", _UNKNOWN_MODEL & STREAM),),
    ),
    Fault(
        "unknown-model-404",
        "An unknown model is not found.",
        fails("REQ-08"),
        (remap(code("unsupported_model"), status=404, code="model_not_found"),),
    ),
    Fault(
        "unknown-model-invalid",
        "An unknown model is an invalid request.",
        fails("REQ-08"),
        (remap(code("unsupported_model"), code="invalid_request"),),
    ),
    Fault(
        "unknown-model-html",
        "An unknown model gets the upstream's page.",
        fails("REQ-08", "ERR-01"),
        (body(HTML, "text/html", code("unsupported_model")),),
    ),
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
    _lenient("cap-string", "A string is taken for max_tokens.", fails("REQ-10"), "max_tokens_string"),
    _lenient("cap-fraction", "A fraction is taken for max_tokens.", fails("REQ-10"), "max_tokens_fraction"),
    _lenient("cap-boolean", "A boolean is taken for max_tokens.", fails("REQ-10"), "max_tokens_boolean"),
    _lenient("cap-zero", "max_tokens may be 0.", warns("REQ-10"), "max_tokens_zero"),
    _lenient("cap-negative", "max_tokens may be negative.", warns("REQ-10"), "max_tokens_negative"),
)

_EXTRA = When("an unknown field was sent", lambda call: bool(set(call.fields) - _KNOWN))


def _crashes(how: str) -> Fault:
    return Fault(
        f"body-{how.replace('_', '-')}-500",
        f"A body that is {how.replace('_', ' ')} is an internal error.",
        fails("REQ-12"),
        (remap(rule(f"body_{how}"), status=500, code="internal_error", retryable=True),),
    )


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


def _known(call: Call) -> bool:
    return all(one.check(call) is None for one in AUTHENTICATION)


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


def _text(name: str, what: str, low: str, high: str) -> Fault:
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
    )


_NON_ASCII = (
    _text("cjk", "CJK characters", "\u4e00", "\u9fff"),
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

FAULTS = (*_SHAPES, _SECOND_TURN, *_SWITCHES, *_MODEL, *_CAP, *_BODY, *_OPTIONS, *_NON_ASCII)
