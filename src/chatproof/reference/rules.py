"""Every reason to refuse a request before it costs anything: a named rule per limb, in order of precedence.

Each looks only at its own limb, so that one can be left out without the others changing their mind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from .access import AUTHENTICATION
from .problem import Problem, invalid
from .rule import Asked, Rule
from .wallet import AUTO, DOWN, MODELS

ROLES = ("system", "developer", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class NotJson:
    """Stands for a body that could not be parsed: `empty`, `truncated`, `not_utf8` or `malformed`."""

    how: str


def parsed(raw: bytes) -> Any:
    """The JSON value of a body, or a :class:`NotJson`."""
    if not raw.strip():
        return NotJson("empty")
    try:
        return msgspec.json.decode(raw)
    except UnicodeDecodeError:
        return NotJson("not_utf8")
    except RecursionError:
        return NotJson("malformed")
    except msgspec.DecodeError as error:
        return NotJson("truncated" if "truncated" in str(error) else "malformed")


# The body as a whole -----------------------------------------------------------------------------


def _not_json(how: str, message: str) -> Rule:
    def check(asked: Asked) -> Problem | None:
        return invalid(message) if asked.body == NotJson(how) else None

    return Rule(f"body_{how}", check)


def _not_object(asked: Asked) -> Problem | None:
    return None if isinstance(asked.body, dict) else invalid("The body must be a JSON object.")


BODY = (
    _not_json("empty", "The body is empty; send a JSON object."),
    _not_json("truncated", "The body ends in the middle of its JSON."),
    _not_json("not_utf8", "The body is not UTF-8."),
    _not_json("malformed", "The body is not valid JSON."),
    Rule("body_not_object", _not_object),
)

# Fields ------------------------------------------------------------------------------------------

_Number = int | float


def _fields(asked: Asked) -> dict[str, Any]:
    return asked.body if isinstance(asked.body, dict) else {}


def _field(name: str, field: str, wrong: Callable[[Any], bool], message: str) -> Rule:
    """A rule about one top-level field; a null counts as absent."""

    def check(asked: Asked) -> Problem | None:
        value = _fields(asked).get(field)
        return invalid(message, f"/{field}") if value is not None and wrong(value) else None

    return Rule(name, check)


def is_number(value: Any) -> bool:
    """A JSON number; true and false are none."""
    return isinstance(value, _Number) and not isinstance(value, bool)


def is_integer(value: Any) -> bool:
    """A JSON number without fraction or exponent; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_strings(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))


def _range(field: str, low: float, high: float) -> tuple[Rule, ...]:
    return (
        _field(f"{field}_type", field, lambda value: not is_number(value), f"{field} must be a number."),
        _field(
            f"{field}_low",
            field,
            lambda value: is_number(value) and value < low,
            f"{field} must be at least {low}.",
        ),
        _field(
            f"{field}_high",
            field,
            lambda value: is_number(value) and value > high,
            f"{field} must be at most {high}.",
        ),
    )


def _cap(field: str) -> tuple[Rule, ...]:
    whole = f"{field} must be an integer."
    positive = f"{field} must be at least 1."
    return (
        _field(f"{field}_string", field, lambda value: isinstance(value, str), whole),
        _field(f"{field}_boolean", field, lambda value: isinstance(value, bool), whole),
        _field(f"{field}_fraction", field, lambda value: isinstance(value, float), whole),
        _field(f"{field}_container", field, lambda value: isinstance(value, (list, dict)), whole),
        _field(f"{field}_zero", field, lambda value: is_integer(value) and value == 0, positive),
        _field(f"{field}_negative", field, lambda value: is_integer(value) and value < 0, positive),
    )


def _sampling_both(asked: Asked) -> Problem | None:
    both = _fields(asked).get("temperature") is not None and _fields(asked).get("top_p") is not None
    return invalid("Send either temperature or top_p, not both.", "/top_p") if both else None


def _model_missing(asked: Asked) -> Problem | None:
    return invalid("model is required.", "/model") if _fields(asked).get("model") is None else None


def _unsupported_model(asked: Asked) -> Problem | None:
    model = _fields(asked).get("model")
    message = f"The model {str(model)[:100]!r} is not enabled for this account."
    return (
        None
        if model is None or model in (*MODELS, "auto", DOWN)
        else Problem(400, "unsupported_model", message, param="/model")
    )


def resolved(model: Any) -> str:
    """The id of the model that answers for a request's `model`: itself, or for auto the default one."""
    return model if isinstance(model, str) and model in MODELS else AUTO


# Messages ----------------------------------------------------------------------------------------


def _messages_missing(asked: Asked) -> Problem | None:
    return invalid("messages is required.", "/messages") if "messages" not in _fields(asked) else None


def _messages_are(name: str, wrong: Callable[[Any], bool]) -> Rule:
    def check(asked: Asked) -> Problem | None:
        message = "messages must be a non-empty array of objects."
        return invalid(message, "/messages") if wrong(_fields(asked).get("messages", ...)) else None

    return Rule(name, check)


def _each(name: str, wrong: Callable[[dict[str, Any]], bool], where: str, message: str) -> Rule:
    """A rule about every message that is an object; the pointer names the first one at fault."""
    return _each_item(name, lambda one: isinstance(one, dict) and wrong(one), where, message)


def _each_item(name: str, wrong: Callable[[Any], bool], where: str, message: str) -> Rule:

    def check(asked: Asked) -> Problem | None:
        messages = _fields(asked).get("messages")
        for index, one in enumerate(messages if isinstance(messages, list) else ()):
            if wrong(one):
                return invalid(message, f"/messages/{index}{where}")
        return None

    return Rule(name, check)


def _content(name: str, wrong: Callable[[Any], bool]) -> Rule:
    """A rule about a content that is there and is neither a string nor an array."""
    message = "content must be a string or an array of content parts."
    return _each(f"content_{name}", lambda one: wrong(one.get("content")), "/content", message)


def _lacks_content(message: dict[str, Any]) -> bool:
    optional = message.get("role") == "assistant" and bool(message.get("tool_calls"))
    return not optional and "content" not in message


def _null_content(message: dict[str, Any]) -> bool:
    optional = message.get("role") == "assistant" and bool(message.get("tool_calls"))
    return not optional and "content" in message and message["content"] is None


def _bad_part(part: Any) -> bool:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        return True
    return part["type"] == "text" and not isinstance(part.get("text"), str)


def _bad_parts(content: Any) -> bool:
    return isinstance(content, list) and (not content or any(_bad_part(part) for part in content))


MESSAGES = (
    Rule("messages_missing", _messages_missing),
    _messages_are("messages_null", lambda value: value is None),
    _messages_are("messages_string", lambda value: isinstance(value, str)),
    _messages_are("messages_object", lambda value: isinstance(value, dict)),
    _messages_are("messages_number", lambda value: isinstance(value, _Number)),
    _messages_are("messages_empty", lambda value: value == []),
    _each_item(
        "message_not_object", lambda one: not isinstance(one, dict), "", "A message must be an object."
    ),
    _each("role_missing", lambda one: one.get("role") is None, "/role", "role is required."),
    _each(
        "role_unknown",
        lambda one: one.get("role") is not None and one["role"] not in ROLES,
        "/role",
        f"role must be one of {', '.join(ROLES)}.",
    ),
    _each("content_missing", _lacks_content, "/content", "content is required."),
    _each("content_null", _null_content, "/content", "content is required."),
    _content("number", is_number),
    _content("boolean", lambda value: isinstance(value, bool)),
    _content("object", lambda value: isinstance(value, dict)),
    _content("parts", _bad_parts),
)

FIELDS = (
    Rule("model_missing", _model_missing),
    _field("model_type", "model", lambda value: not isinstance(value, str), "model must be a string."),
    *MESSAGES,
    _field("stream_type", "stream", lambda value: not isinstance(value, bool), "stream must be a boolean."),
    _field(
        "stream_options_type",
        "stream_options",
        lambda value: not isinstance(value, dict),
        "stream_options must be an object.",
    ),
    *_range("temperature", 0, 2),
    *_range("top_p", 0, 1),
    Rule("sampling_both", _sampling_both),
    *_cap("max_tokens"),
    *_cap("max_completion_tokens"),
    _field("n_type", "n", lambda value: not is_integer(value), "n must be an integer."),
    _field("n_range", "n", lambda value: not 1 <= value <= 4, "n must be between 1 and 4."),
    _field("stop_type", "stop", lambda value: not _is_strings(value), "stop must be one string or several."),
    _field(
        "stop_many",
        "stop",
        lambda value: isinstance(value, list) and len(value) > 4,
        "stop takes at most 4 strings.",
    ),
    _field("seed_type", "seed", lambda value: not is_integer(value), "seed must be an integer."),
    _field("user_type", "user", lambda value: not isinstance(value, str), "user must be a string."),
    _field(
        "metadata_type", "metadata", lambda value: not isinstance(value, dict), "metadata must be an object."
    ),
    *_range("presence_penalty", -2, 2),
    *_range("frequency_penalty", -2, 2),
    Rule("unsupported_model", _unsupported_model),
)

CHAT = (*AUTHENTICATION, *BODY, *FIELDS)
