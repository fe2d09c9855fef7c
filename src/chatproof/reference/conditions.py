"""When a change applies: conditions on a call, to be combined with ``&``, ``|`` and ``~``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .access import AUTHENTICATION, bearer
from .call import Call
from .model import text_of
from .rule import first_problem
from .rules import BODY, FIELDS
from .seams import ALWAYS, When

__all__ = [
    "ALWAYS",
    "CLIENT_ID",
    "IDEMPOTENT",
    "INCLUDE_USAGE",
    "LONG",
    "NON_ASCII",
    "REFUSED",
    "REPLAY",
    "SECOND_MODEL",
    "STREAM",
    "SUCCEEDED",
    "SYNC",
    "UNAUTHENTICATED",
    "VALID_BODY",
    "When",
    "asks_for",
    "code",
    "crowded",
    "every_nth",
    "header_sent",
    "key_sent",
    "prompt",
    "prompt_has",
    "roles",
    "route",
    "rule",
    "status",
]


def prompt(call: Call) -> str:
    """The text of all messages."""
    messages = call.fields.get("messages")
    said = messages if isinstance(messages, list) else []
    return "".join(text_of(one.get("content")) for one in said if isinstance(one, dict))


def _long(call: Call) -> bool:
    made = call.rendered
    return made is not None and made.answer.completion_tokens >= 30 * len(made.answer.choices)


STREAM = When("a stream was asked for", lambda call: call.stream)
SYNC = When("no stream was asked for", lambda call: call.path.endswith("/completions") and not call.stream)
INCLUDE_USAGE = When("usage was asked for in the stream", lambda call: call.stream and call.include_usage)
IDEMPOTENT = When("an Idempotency-Key was sent", lambda call: bool(call.idempotency_key))
REPLAY = When("the result of an earlier request is given again", lambda call: call.replay)
SECOND_MODEL = When("the second model", lambda call: call.fields.get("model") == "swift-small-1")
NON_ASCII = When("the prompt has non-ASCII text", lambda call: not prompt(call).isascii())
LONG = When("the answer has 30 tokens or more", _long)
REFUSED = When("the request is refused", lambda call: call.problem is not None)
SUCCEEDED = When("there is a completion", lambda call: call.rendered is not None)
CLIENT_ID = When(
    "the client's own X-Request-Id is used", lambda call: call.header("X-Request-Id") == call.request_id
)
UNAUTHENTICATED = When(
    "the caller is not authenticated", lambda call: first_problem(call, AUTHENTICATION) is not None
)
VALID_BODY = When("the body is valid", lambda call: first_problem(call, (*BODY, *FIELDS)) is None)


def route(path: str) -> When:
    """Requests to one path, such as ``/v1/models``."""
    return When(f"{path} was asked for", lambda call: call.path == path)


def status(*wanted: int) -> When:
    """Refusals with one of these statuses."""
    text = f"refused with {', '.join(map(str, wanted))}"
    return When(text, lambda call: call.problem is not None and call.problem.status in wanted)


def code(*wanted: str) -> When:
    """Refusals with one of these codes."""
    text = f"refused as {', '.join(wanted)}"
    return When(text, lambda call: call.problem is not None and call.problem.code in wanted)


def rule(*wanted: str) -> When:
    """Refusals by one of these rules (names as in `access`, `rules` and `chat`)."""
    text = f"refused by {', '.join(wanted)}"
    return When(text, lambda call: call.problem is not None and call.problem.rule in wanted)


def asks_for(**fields: Any) -> When:
    """Requests with exactly these values in the body; ``...`` stands for any value but null; 1 is not
    true."""

    def holds(call: Call) -> bool:
        sent = call.fields
        return all(
            sent.get(name) is not None if value is ... else _same(sent.get(name), value)
            for name, value in fields.items()
        )

    return When(f"the body has {fields}", holds)


def _same(sent: Any, value: Any) -> bool:
    return bool(sent == value) and isinstance(sent, bool) == isinstance(value, bool)


def prompt_has(what: str, holds: Callable[[str], bool]) -> When:
    """Requests whose text is so."""
    return When(f"the prompt has {what}", lambda call: holds(prompt(call)))


def roles(what: str, holds: Callable[[list[Any]], bool]) -> When:
    """Requests whose messages have such roles, in order."""

    def of(call: Call) -> list[Any]:
        messages = call.fields.get("messages")
        return (
            [one.get("role") for one in messages if isinstance(one, dict)]
            if isinstance(messages, list)
            else []
        )

    return When(f"the messages are {what}", lambda call: holds(of(call)))


def header_sent(name: str) -> When:
    """Requests that carry a header."""
    return When(f"{name} was sent", lambda call: call.header(name) is not None)


def crowded(calls: int) -> When:
    """So many calls of this world are in flight, this one included."""
    return When(f"{calls} calls are in flight", lambda call: len(call.world.calls) >= calls)


def every_nth(n: int) -> When:
    """Each n-th request of this world, whatever it asks."""
    return When(f"each request of {n}", lambda call: call.number % n == 0)


def key_sent(known: str) -> When:
    """Requests with one of the reference's keys."""
    return When("a certain key was sent", lambda call: bearer(call) == known)
