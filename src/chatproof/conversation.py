"""How a probe speaks to a target: calls that are tagged and carry nonces. Says nothing of the answers.

Tags and nonces come from the run's seed and the probe's name, so that a recorded run can answer the same conversation
again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from chatproof.answer import CHAT_ROUTE, Answer
from chatproof.evidence import json_body
from chatproof.record import Headers, Tag
from chatproof.target import Settings, Target
from chatproof.wire import Call, Gateway

SHORT = 8  # tokens: enough for an answer that is not empty
ABSENT: Any = object()  # as a change of a body: leave the member out
FRESH = "fresh"  # as an idempotency key: one of its own
_NONCE_DIGITS = "0123456789abcdefghijklmnopqrstuv"


@dataclass
class Shared:
    """What the probes of one worker share: answers that many of them need, asked for once."""

    worker: str = ""  # stands in the tags, since each worker asks for its own
    answers: dict[str, Answer] = field(default_factory=dict)


class Conversation:
    """One probe's calls to the target; `model` is the one they pin."""

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


def unknown_key(seed: int) -> str:
    """A key of the suite's own making; the gateway watches for its leaks like for a real one."""
    return f"cp-unknown-{seed:016x}-key"


def user(text: Any) -> dict[str, Any]:
    """A user's message."""
    return {"role": "user", "content": text}


@contextmanager
def kept_line(talk: Conversation) -> Iterator[Any]:
    """A connection that stays open between the exchanges made on it."""
    line = talk.gateway.line()
    try:
        yield line
    finally:
        line.close()
