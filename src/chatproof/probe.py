"""How a probe says what it saw of a target. Knows no clause, and nothing of pytest.

A :class:`Talk` is one probe's conversation, and the judgements that many probes share. A probe says that the target
is wrong by raising :class:`Violation`, that it cannot judge by raising `Untestable` or `NotObserved`; whatever else it
raises is our fault.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from chatproof.answer import Answer
from chatproof.contract import Level
from chatproof.conversation import ABSENT, FRESH, SHORT, Conversation, Shared, kept_line, unknown_key, user
from chatproof.facts.fact import shown
from chatproof.record import Transfer
from chatproof.verdict import NotObserved

__all__ = [
    "ABSENT",
    "FRESH",
    "PUBLIC_CODES",
    "SHORT",
    "Shared",
    "Talk",
    "Violation",
    "arrived",
    "kept_line",
    "noise",
    "told",
    "unknown_key",
    "user",
]


PUBLIC_CODES = frozenset(
    {
        "invalid_request",
        "unauthorized",
        "invalid_api_key",
        "insufficient_balance",
        "forbidden",
        "tenant_disabled",
        "unsupported_capability",
        "unsupported_model",
        "api_key_region_mismatch",
        "unsupported_option",
        "rate_limited",
        "billing_failed",
        "model_unavailable",
    }
)


class Violation(AssertionError):
    """The target is wrong; complete with what the clause expects and what was seen instead."""

    def __init__(
        self,
        expected: str,
        actual: object,
        answer: Answer | None = None,
        *,
        level: Level | None = None,
        at: tuple[int, int] | None = None,
    ) -> None:
        self.expected = expected
        self.actual = shown(actual)
        self.answer = answer
        self.level = level
        self.at = at
        super().__init__(f"expected {expected}; got {self.actual}")


class Talk(Conversation):
    """One probe's conversation with the target, and what it says of the answers."""

    def shared(self, name: str, ask: Callable[[Talk], Answer]) -> Answer:
        """An answer that other probes of this worker use too: asked for once, in a conversation of its own.

        Which probe asks first must not show: a recorded run is answered by tags.
        """
        probe = f"shared-{name}-{self.model}{'@' if self._shared.worker else ''}{self._shared.worker}"
        if probe not in self._shared.answers:
            talk = Talk(self.gateway, probe, self._seed, self._shared, self.model)
            self._shared.answers[probe] = ask(talk)
        answer = self._shared.answers[probe]
        self.asked.append(answer)
        return answer

    def minimal(self, *, stream: bool = False) -> Answer:
        """The answer to the minimal request, shared by all probes; asked for twice at most, until it is 200."""
        body: dict[str, Any] = {"stream": True} if stream else {}

        def ask(talk: Talk) -> Answer:
            answer = talk.chat(**body)
            return answer if answer.status == 200 else talk.chat(**body)

        return self.shared("stream" if stream else "sync", ask)

    def control(self, *, stream: bool = False) -> Answer:
        """The positive control: the minimal request answered 200; NotObserved where even that fails."""
        answer = self.minimal(stream=stream)
        if answer.status != 200:
            raise NotObserved(f"the positive control was not answered 200: {told(answer)}")
        return answer

    def accepted(
        self, ask: Callable[[], Answer], what: str, *, beside: Callable[[], Answer] | None = None
    ) -> Answer:
        """The answer to a request that must be accepted: 200, else a violation; noise is tried once more.

        `beside` asks the same without the point in question: where that is refused too, the point is not why, the
        refusal is another clause's to judge, and is given back as it is.
        """
        answer = ask()
        if answer.status == 200:
            return answer
        if noise(answer) or (answer.status or 0) >= 500:
            answer = ask()
            if answer.status == 200:
                return answer
            self.control(stream=answer.asked_stream)
        if noise(answer):
            raise NotObserved(told(answer))
        if beside is not None and beside().status != 200:
            return answer
        raise Violation(f"200: {what}", told(answer), answer)

    def refused(
        self,
        ask: Callable[[], Answer],
        what: str,
        *,
        statuses: Sequence[int] | None = None,
        codes: Sequence[str] = ("invalid_request",),
        level: Level | None = None,
        coded: bool = False,
        retryable: bool | None = None,
    ) -> Answer:
        """The answer to a request that must be refused, beside its positive control.

        `statuses` default to those of `invalid_request`. A code that the public table does not know is ERR-03's
        to judge, and a body without envelope ERR-01's: the status alone then decides here, unless the clause's own
        sentence names the very code (`coded`), or also what `retryable` says.
        """
        wanted = tuple(statuses or self.settings.invalid_request_status)
        answer = ask()
        if noise(answer) or (answer.status or 0) >= 500:
            answer = ask()
        self.control()
        if noise(answer):
            raise NotObserved(told(answer))
        named = f"{' or '.join(map(str, wanted))} {' or '.join(codes)}"
        if answer.status not in wanted or (answer.asked_stream and answer.is_stream):
            raise Violation(f"{named}: {what}", told(answer), answer, level=level)
        if (coded or answer.code in PUBLIC_CODES) and answer.code not in codes:
            raise Violation(f"{named}: {what}", told(answer), answer, level=level)
        said = answer.error.get("retryable") if answer.error else None
        if retryable is not None and said is not retryable:
            expected = f"{named}, retryable {json.dumps(retryable)}: {what}"
            raise Violation(expected, f"{told(answer)}, retryable {said!r}", answer, level=level)
        return answer


def noise(answer: Answer) -> bool:
    """Whether an answer says nothing of the request: rate limit, passing unavailability, no answer in time."""
    quiet = (Transfer.TIMED_OUT, Transfer.REFUSED, Transfer.STALLED)
    return answer.status in (429, 503) or (answer.status is None and answer.exchange.transfer in quiet)


def arrived(answer: Answer) -> bool:
    """Whether a success came to its end: the transfer's, or `[DONE]` before that broke; how it ended is not asked."""
    return answer.status == 200 and answer.error is None and (answer.whole or bool(answer.dones))


def told(answer: Answer) -> str:
    """An answer in a few words: status, code and message, or how the transfer ended."""
    if answer.status is None:
        return f"no response ({answer.exchange.transfer}: {answer.exchange.detail})"
    words = [str(answer.status), answer.code or ""]
    if answer.error:
        words.append(f"({shown(str(answer.error.get('message', '')), 80)})")
    elif answer.is_error:
        words.append(
            shown(answer.body[:80].decode("utf-8", "backslashreplace").strip()) or "with an empty body"
        )
    elif not answer.whole:
        words.append(f"({answer.exchange.transfer}: {answer.exchange.detail})")
    return " ".join(word for word in words if word)
