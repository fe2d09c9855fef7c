"""What one load request says: prompt, sizes, nonce, headers, as the bytes that go out. Knows no socket and no answer.

Prompts are made of short words that nearly every tokenizer takes as one token each, so that a length can be asked
for without a tokenizer; the true count is the one that `usage` reports. Each prompt starts with a nonce: no cache can
answer it, and text that strays into another stream is recognised.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chatproof.record import Headers
from chatproof.swarm.client.endpoint import Endpoint

_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_WORDS = [
    "the",
    "a",
    "and",
    "of",
    "to",
    "in",
    "is",
    "that",
    "for",
    "it",
    "as",
    "was",
    "on",
    "with",
    "by",
    "he",
    "at",
    "from",
    "his",
    "an",
    "were",
    "are",
    "which",
    "this",
    "also",
    "be",
    "had",
    "or",
    "has",
    "first",
    "one",
    "their",
    "its",
    "new",
    "after",
    "but",
    "who",
    "not",
    "they",
    "have",
    "her",
    "she",
    "two",
    "been",
    "other",
    "when",
    "there",
    "all",
    "time",
    "more",
    "year",
    "most",
    "people",
    "only",
    "made",
    "over",
    "city",
    "state",
    "between",
    "later",
    "world",
    "name",
    "school",
    "part",
    "under",
    "game",
    "national",
    "area",
    "high",
    "day",
    "company",
]
_OVERHEAD = 24  # tokens of the instruction and the nonce, roughly


@dataclass(frozen=True, slots=True)
class Workload:
    """A kind of request: how long its prompt and its answer are, and how often it comes beside the others."""

    name: str
    prompt_tokens: int
    max_tokens: int
    stream: bool = True
    weight: float = 1.0
    system: str = ""


MIX: tuple[Workload, ...] = (  # the workloads the document names; sizes are what such calls commonly have
    Workload("assistant", 400, 256, True, 0.40, "You are a helpful assistant."),
    Workload("drafting", 200, 512, True, 0.20, "You write clear drafts."),
    Workload("classification", 150, 8, False, 0.20, "Answer with one label."),
    Workload("extraction", 600, 96, False, 0.10, "Answer with the fields found."),
    Workload("summarisation", 1500, 160, True, 0.10, "You summarise."),
)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, complete: its bytes on the wire, and what a judge must know of it."""

    stream_id: str
    workload: Workload
    nonce: str
    headers: Headers  # without the key
    wire: bytes

    @property
    def body(self) -> bytes:
        """The request's body."""
        return self.wire.partition(b"\r\n\r\n")[2]


class Asker:
    """Makes the requests of one process: same seed and number, same words; the nonce before them is the run's own."""

    def __init__(self, endpoint: Endpoint, model: str, secret: Headers, extra: Headers, seed: int) -> None:
        self._endpoint = endpoint
        self._model = model
        self._seed = seed
        self._top = f"POST {endpoint.path}/chat/completions HTTP/1.1\r\nHost: {endpoint.authority}\r\n"
        self._shown: Headers = (
            ("Content-Type", "application/json"),
            ("Accept", "text/event-stream, application/json"),
            ("Accept-Encoding", "identity"),
            *extra,
        )
        lines = "".join(f"{name}: {value}\r\n" for name, value in (*self._shown, *secret))
        self._standing = f"User-Agent: chatproof-load\r\n{lines}"

    def ask(self, stream_id: str, workload: Workload) -> Ask:
        """The request of that id."""
        nonce = nonce_of(f"{self._seed}/{stream_id}")
        own = (
            stream_id.partition("-")[2] or stream_id
        )  # without the run: the same words in each run of a seed
        body = body_of(self._model, workload, nonce, random.Random(f"words/{self._seed}/{own}"))
        head = f"{self._top}{self._standing}X-Request-Id: {stream_id}\r\nContent-Length: {len(body)}\r\n\r\n"
        headers = (*self._shown, ("X-Request-Id", stream_id))
        return Ask(stream_id, workload, nonce, headers, head.encode("latin-1") + body)


def nonce_of(name: str) -> str:
    """A word that follows from a name and is nowhere else: `nx` and 13 characters."""
    digest = hashlib.sha256(name.encode()).digest()
    return "nx" + "".join(_DIGITS[byte % 32] for byte in digest[:13])


def body_of(model: str, workload: Workload, nonce: str, draw: random.Random) -> bytes:
    """The JSON body of a workload's request."""
    filler = " ".join(draw.choices(_WORDS, k=max(0, workload.prompt_tokens - _OVERHEAD)))
    prompt = f"{nonce} {filler} Count from 1 to {workload.max_tokens}, nothing else."
    system = [{"role": "system", "content": workload.system}] if workload.system else []
    fields: Mapping[str, object] = {
        "model": model,
        "messages": [*system, {"role": "user", "content": prompt}],
        "max_tokens": workload.max_tokens,
        "stream": workload.stream,
        **({"stream_options": {"include_usage": True}} if workload.stream else {}),
    }
    return json.dumps(fields, separators=(",", ":")).encode()


def chooser(workloads: Sequence[Workload], seed: int) -> random.Random:
    """The draw that `choose` takes its workloads from."""
    return random.Random(f"workloads/{seed}/{len(workloads)}")


def choose(workloads: Sequence[Workload], draw: random.Random) -> Workload:
    """One workload, by weight."""
    if len(workloads) == 1:
        return workloads[0]
    return draw.choices(workloads, [workload.weight for workload in workloads])[0]
