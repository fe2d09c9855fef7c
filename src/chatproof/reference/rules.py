"""Every reason to refuse a request before it costs anything: a named rule per limb, in order of precedence.

A rule looks at the request and gives a :class:`Problem` or nothing; the first problem wins. Rules further
down may rely on what those above have checked.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import msgspec

from .problem import Problem, invalid
from .wallet import AUTO, DOWN, MODELS

MAIN_KEY = "cp-reference-key-main-5d81c0a7"
LIMITED_KEY = "cp-reference-key-limited-93be21f4"
EMPTY_KEY = "cp-reference-key-empty-c27a60d8"
REVOKED_KEY = "cp-reference-key-revoked-18f4e2b9"
FLAKY_KEY = "cp-reference-key-flaky-7ac05d36"
KEYS = (MAIN_KEY, LIMITED_KEY, EMPTY_KEY, REVOKED_KEY, FLAKY_KEY)
ROLES = ("system", "developer", "user", "assistant", "tool")


class Asked(Protocol):
    """What a rule may look at; `body` is the parsed JSON, or the reason why it could not be parsed."""

    @property
    def authorization(self) -> str | None:
        """The Authorization header."""

    @property
    def raw(self) -> bytes:
        """The body as it came."""

    @property
    def body(self) -> Any:
        """The parsed body."""


@dataclass(frozen=True, slots=True)
class NotJson:
    """Stands for a body that could not be parsed: `empty`, `truncated`, `not_utf8` or `malformed`."""

    how: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A named reason to refuse."""

    name: str
    check: Callable[[Asked], Problem | None]


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


def first_problem(asked: Asked, rules: Iterable[Rule], without: Container[str] = ()) -> Problem | None:
    """What the first rule that objects says, with the rule's name; rules in `without` are passed over."""
    for rule in rules:
        if rule.name not in without and (problem := rule.check(asked)) is not None:
            return replace(problem, rule=rule.name)
    return None


# Authentication ----------------------------------------------------------------------------------

_CHALLENGE = (("WWW-Authenticate", "Bearer"),)


def bearer(asked: Asked) -> str | None:
    """The key of a bearer header, empty where there is none after the scheme; None for any other header."""
    scheme, _, key = (asked.authorization or "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None


def _unauthorized(message: str) -> Problem:
    return Problem(401, "unauthorized", message, headers=_CHALLENGE)


def _invalid_key(message: str) -> Problem:
    return Problem(401, "invalid_api_key", message, headers=_CHALLENGE)


def _no_authorization(asked: Asked) -> Problem | None:
    return _unauthorized("Send your API key as a bearer token.") if asked.authorization is None else None


def _other_scheme(asked: Asked) -> Problem | None:
    return _unauthorized("Only bearer tokens are accepted.") if bearer(asked) is None else None


def _empty_bearer(asked: Asked) -> Problem | None:
    return _unauthorized("The bearer token is empty.") if bearer(asked) == "" else None


def _key_with_junk(asked: Asked) -> Problem | None:
    key = bearer(asked) or ""
    junk = any(key.startswith(known) and key != known for known in KEYS)
    return _invalid_key("The API key is not valid.") if junk else None


def _unknown_key(asked: Asked) -> Problem | None:
    return _invalid_key("The API key is not valid.") if bearer(asked) not in KEYS else None


def _revoked_key(asked: Asked) -> Problem | None:
    return _invalid_key("The API key was revoked.") if bearer(asked) == REVOKED_KEY else None


AUTHENTICATION = (
    Rule("no_authorization", _no_authorization),
    Rule("other_scheme", _other_scheme),
    Rule("empty_bearer", _empty_bearer),
    Rule("key_with_junk", _key_with_junk),
    Rule("unknown_key", _unknown_key),
    Rule("revoked_key", _revoked_key),
)

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


def _field(name: str, field: str, wrong: Callable[[Any], bool], message: str) -> Rule:
    """A rule about one top-level field; a null counts as absent."""

    def check(asked: Asked) -> Problem | None:
        value = asked.body.get(field)
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
    both = asked.body.get("temperature") is not None and asked.body.get("top_p") is not None
    return invalid("Send either temperature or top_p, not both.", "/top_p") if both else None


def _model_missing(asked: Asked) -> Problem | None:
    return invalid("model is required.", "/model") if asked.body.get("model") is None else None


def _unsupported_model(asked: Asked) -> Problem | None:
    known = asked.body["model"] in (*MODELS, "auto", DOWN)
    message = f"The model {asked.body['model'][:100]!r} is not enabled for this account."
    return None if known else Problem(400, "unsupported_model", message, param="/model")


def resolved(model: str) -> str:
    """The id of the model that a request's `model` stands for."""
    return AUTO if model == "auto" else model


# Messages ----------------------------------------------------------------------------------------


def _messages_missing(asked: Asked) -> Problem | None:
    return invalid("messages is required.", "/messages") if "messages" not in asked.body else None


def _messages_are(name: str, wrong: Callable[[Any], bool]) -> Rule:
    def check(asked: Asked) -> Problem | None:
        message = "messages must be a non-empty array of objects."
        return invalid(message, "/messages") if wrong(asked.body["messages"]) else None

    return Rule(name, check)


def _each(name: str, wrong: Callable[[Any], bool], where: str, message: str) -> Rule:
    """A rule about every message; the pointer names the first one at fault."""

    def check(asked: Asked) -> Problem | None:
        for index, one in enumerate(asked.body["messages"]):
            if wrong(one):
                return invalid(message, f"/messages/{index}{where}")
        return None

    return Rule(name, check)


def _content(name: str, wrong: Callable[[Any], bool]) -> Rule:
    """A rule about a content that is there and is neither a string nor an array."""
    message = "content must be a string or an array of content parts."
    return _each(f"content_{name}", lambda one: wrong(one.get("content")), "/content", message)


def _lacks_content(message: dict[str, Any]) -> bool:
    optional = message["role"] == "assistant" and bool(message.get("tool_calls"))
    return not optional and "content" not in message


def _null_content(message: dict[str, Any]) -> bool:
    optional = message["role"] == "assistant" and bool(message.get("tool_calls"))
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
    _each("message_not_object", lambda one: not isinstance(one, dict), "", "A message must be an object."),
    _each("role_missing", lambda one: one.get("role") is None, "/role", "role is required."),
    _each(
        "role_unknown",
        lambda one: one["role"] not in ROLES,
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
