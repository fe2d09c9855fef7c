"""Faults of the request's shape: required fields, roles, content, stream and model."""

from __future__ import annotations

from ..call import Call
from ..changes import accept, body, put, refuse, remap
from ..conditions import (
    IDEMPOTENT,
    STREAM,
    When,
    asks_for,
    code,
    roles,
    rule,
)
from ..problem import Problem, invalid
from ..seams import ASKED
from ..vocabulary import Fault, fails
from ..wallet import DOWN, MODELS
from .endpoint import HTML

_DETAIL = b'{"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]}'


def lenient(name: str, sentence: str, clauses: dict[str, str], *rules: str) -> Fault:
    """A fault that leaves out some rules."""
    return Fault(name, sentence, clauses, (accept(*rules),))


def _in_parts(call: Call) -> bool:
    messages = call.fields.get("messages")
    said = messages if isinstance(messages, list) else []
    return any(isinstance(one, dict) and isinstance(one.get("content"), list) for one in said)


_SHAPES = (
    lenient("model-optional", "Without a model the default answers.", fails("REQ-01"), "model_missing"),
    lenient(
        "messages-optional",
        "Without messages the model talks to itself.",
        fails("REQ-01"),
        "messages_missing",
    ),
    Fault(
        "missing-messages-detail",
        "Missing messages get the framework's own validation error.",
        fails("ERR-01"),
        (body(_DETAIL, when=rule("messages_missing")),),
    ),
    Fault(
        "missing-model-unsupported",
        "A missing model is called an unsupported one.",
        fails("REQ-01"),
        (remap(rule("model_missing"), code="unsupported_model"),),
    ),
    lenient("messages-string", "A string is taken for messages.", fails("REQ-02"), "messages_string"),
    lenient("messages-object", "A single object is taken for messages.", fails("REQ-02"), "messages_object"),
    lenient("messages-number", "A number is taken for messages.", fails("REQ-02"), "messages_number"),
    lenient("messages-empty", "An empty array of messages is answered.", fails("REQ-02"), "messages_empty"),
    Fault(
        "messages-empty-option",
        "An empty array of messages is refused as an unsupported option.",
        fails("REQ-02"),
        (remap(rule("messages_empty"), status=422, code="unsupported_option"),),
    ),
    lenient("role-optional", "A message without a role is the user's.", fails("REQ-03"), "role_missing"),
    lenient("role-any", "A message may have any role.", fails("REQ-03"), "role_unknown"),
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
    lenient("content-optional", "A message without content is empty.", fails("REQ-04"), "content_missing"),
    lenient("content-number", "A number is taken for content.", fails("REQ-04"), "content_number"),
    lenient("content-object", "An object is taken for content.", fails("REQ-04"), "content_object"),
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
        fails("REQ-06", "RSP-01"),
        (put(ASKED, "/stream", True, asks_for(stream=False)),),
    ),
    lenient("stream-any-type", "A stream that is no boolean is ignored.", fails("REQ-06"), "stream_type"),
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
        fails("REQ-07", "ERR-10"),
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
        fails("REQ-07", "ERR-10"),
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
        "An unknown model gets 404 model_not_found.",
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

FAULTS = (*_SHAPES, _SECOND_TURN, *_SWITCHES, *_MODEL)
