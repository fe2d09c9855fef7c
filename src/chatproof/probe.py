"""How a probe speaks to a target, and how it says what it saw. Knows no clause, and nothing of pytest.

A :class:`Talk` is one probe's conversation. Its calls are tagged and carry nonces of the run's seed, so that a
recorded run can answer the same conversation again. A probe says that the target is wrong by raising
:class:`Violation`, that it cannot judge by raising `Untestable` or `NotObserved`; whatever else it raises is our fault.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from chatproof.answer import CHAT_ROUTE, Answer
from chatproof.contract import Level
from chatproof.evidence import json_body
from chatproof.facts.fact import shown
from chatproof.record import Headers, Tag, Transfer
from chatproof.target import Settings, Target
from chatproof.verdict import NotObserved
from chatproof.wire import Call, Gateway

SHORT = 8  # tokens: enough for an answer that is not empty
ABSENT: Any = object()  # as a change of a body: leave the member out
FRESH = "fresh"  # as an idempotency key: one of its own
_NONCE_DIGITS = "0123456789abcdefghijklmnopqrstuv"


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


@dataclass
class Shared:
    """What the probes of one worker share: answers that many of them need, asked for once."""

    worker: str = ""  # stands in the tags, since each worker asks for its own
    answers: dict[str, Answer] = field(default_factory=dict)


class Talk:
    """One probe's conversation with the target; `model` is the one its calls pin."""

    def __init__(self, gateway: Gateway, probe: str, seed: int, shared: Shared, model: str) -> None:
        self.gateway = gateway
        self.probe = probe
        self.model = model
        self.asked: list[Answer] = []
        self.notes: list[str] = []  # what an OBSERVE clause saw
        self.remarks: list[str] = []  # on what a pass rests, where that is less than was asked for
        self._seed = seed
        self._shared = shared
        self._steps = count(1)
        self._nonces = count(1)

    @property
    def target(self) -> Target:
        """The target under test."""
        return self.gateway.target

    @property
    def settings(self) -> Settings:
        """How the target settles the contract's open questions."""
        return self.gateway.target.settings

    def nonce(self) -> str:
        """A word of the run's seed that is nowhere else: `nx` and 13 characters."""
        digest = hashlib.sha256(f"{self._seed}/{self.probe}/{next(self._nonces)}".encode()).digest()
        return "nx" + "".join(_NONCE_DIGITS[byte % 32] for byte in digest[:13])

    @property
    def unknown_key(self) -> str:
        """A bearer key that no deployment has handed out."""
        return unknown_key(self._seed)

    def body(self, **changes: Any) -> dict[str, Any]:
        """A minimal valid body that pins the model, with these members changed; `ABSENT` leaves one out."""
        prompt = f"Repeat this code: {self.nonce()}"
        base = {"model": self.model, "messages": [user(prompt)], "max_tokens": SHORT}
        return {name: value for name, value in {**base, **changes}.items() if value is not ABSENT}

    def chat(
        self,
        body: Mapping[str, Any] | bytes | None = None,
        *,
        step: str | None = None,
        headers: Headers = (),
        authorization: str | None = ABSENT,
        key: str | None = FRESH,
        expected: tuple[int, ...] = (),
        leave: Callable[[bytes], bool] | None = None,
        bare: bool = False,
        line: Any = None,
        **changes: Any,
    ) -> Answer:
        """Send one chat request: a body as given, or the minimal one with changes.

        `key` is the `Idempotency-Key` (`None`: none). `authorization` replaces the header (`None`: none).
        """
        content = (
            body if isinstance(body, bytes) else json_body(body if body is not None else self.body(**changes))
        )
        idempotency = () if key is None else (("Idempotency-Key", self.nonce() if key == FRESH else key),)
        return self.request(
            "POST",
            CHAT_ROUTE,
            content,
            step=step,
            headers=(("Content-Type", "application/json"), *idempotency, *headers),
            authorization=authorization,
            expected=expected,
            leave=leave,
            bare=bare,
            line=line,
        )

    def request(
        self,
        method: str,
        route: str,
        content: bytes = b"",
        *,
        step: str | None = None,
        headers: Headers = (),
        authorization: str | None = ABSENT,
        expected: tuple[int, ...] = (),
        leave: Callable[[bytes], bool] | None = None,
        bare: bool = False,
        line: Any = None,
    ) -> Answer:
        """Send one request to a route below the base URL, or to a whole URL."""
        url = route if "://" in route else self.target.base_url + route
        call = Call(
            tag=Tag(self.probe, step or str(next(self._steps))),
            method=method,
            url=url,
            headers=(*self._standing(authorization, headers), *headers),
            body=content,
            expected=expected,
            leave=leave,
            bare=bare,
        )
        answer = self.gateway.send(call, line)
        self.asked.append(answer)
        return answer

    def _standing(self, authorization: str | None, headers: Headers) -> Headers:
        """Headers of every request: credentials, those of the target file, and the codings we can read."""
        bearer = f"Bearer {self.target.api_key}" if authorization is ABSENT else authorization
        said = {name.lower() for name, _ in headers}
        standing = [("Authorization", bearer)] if bearer is not None else []
        standing += [*self.target.headers.items(), ("Accept-Encoding", "identity")]
        return tuple((name, value) for name, value in standing if name.lower() not in said)

    def together(self, calls: Sequence[Callable[[], Answer]]) -> list[Answer]:
        """Make calls at the same time, a thread each; answers in the calls' order."""
        with ThreadPoolExecutor(len(calls)) as pool:
            return [future.result() for future in [pool.submit(call) for call in calls]]

    # --- what a probe says of an answer ---------------------------------------------------------------------

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


def unknown_key(seed: int) -> str:
    """A key of the suite's own making; the gateway watches for its leaks like for a real one."""
    return f"cp-unknown-{seed:016x}-key"


def user(text: Any) -> dict[str, Any]:
    """A user's message."""
    return {"role": "user", "content": text}


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


@contextmanager
def kept_line(talk: Talk) -> Iterator[Any]:
    """A connection that stays open between the exchanges made on it."""
    line = talk.gateway.line()
    try:
        yield line
    finally:
        line.close()
