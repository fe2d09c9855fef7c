"""The reference's language model: text and tokens computed from the prompt. Knows nothing of HTTP or money.

The text follows from messages, seed and temperature, so that a test can know what must come back:

* a last user message with ``from 1 to N`` is answered ``1 2 3 ... N``, one token a number;
* ``repeat exactly: "..."`` and ``Repeat this code: X`` are answered with just that text;
* anything else gets a sentence of about a dozen words.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_PIECE = re.compile(r"\s?[A-Za-z0-9]{1,6}|\s?[^\sA-Za-z0-9]{1,2}|\s")
_COUNT = re.compile(r"from 1 to (\d{1,5})", re.IGNORECASE)
_QUOTED = re.compile(r'repeat exactly:\s*["“](.*)["”]', re.IGNORECASE | re.DOTALL)
_CODE = re.compile(r"repeat this code:\s*(\S+)", re.IGNORECASE)
_WORDS = re.findall(
    r"\w+",
    "a bridge carries light over calm water and every early morning finds some quiet new road through "
    "green open hills where small boats wait near old stone walls until warm wind moves them along",
)
_MESSAGE_OVERHEAD = 4  # tokens that frame each message; any positive number keeps prompts growing
_PROMPT_OVERHEAD = 3


@dataclass(frozen=True, slots=True)
class Choice:
    """One alternative of an answer: its tokens in order, and why it ended."""

    pieces: tuple[str, ...]
    finish: str

    @property
    def text(self) -> str:
        """The tokens joined."""
        return "".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model made of one prompt; counts are tokens."""

    prompt_tokens: int
    choices: tuple[Choice, ...]
    cached_tokens: int = 0

    @property
    def completion_tokens(self) -> int:
        """Tokens of all choices together."""
        return sum(len(choice.pieces) for choice in self.choices)


def pieces(text: str) -> tuple[str, ...]:
    """The tokens of a text: up to six letters with their leading space; joined they are the text."""
    return tuple(_PIECE.findall(text))


def text_of(content: Any) -> str:
    """The text of a message's content, be it a string, an array of content parts or nothing."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(part.get("text", "") for part in parts if isinstance(part, dict))


def prompt_tokens(messages: Iterable[dict[str, Any]]) -> int:
    """Tokens of a prompt: those of each message's text and a constant for each message."""
    framed = (_MESSAGE_OVERHEAD + len(pieces(text_of(message.get("content")))) for message in messages)
    return _PROMPT_OVERHEAD + sum(framed)


@dataclass(frozen=True, slots=True)
class Prompt:
    """The parts of a request that the model looks at; what is ill-typed counts as absent."""

    messages: tuple[dict[str, Any], ...]
    settled: bool  # the same prompt gives the same answer: temperature 0, or a seed
    seed: int | None
    cap: int | None
    stops: tuple[str, ...]
    n: int

    @classmethod
    def of(cls, body: dict[str, Any]) -> Prompt:
        """The prompt in a request's fields."""
        messages, seed, stop, n = (body.get(name) for name in ("messages", "seed", "stop", "n"))
        caps = [body.get(name) for name in ("max_completion_tokens", "max_tokens")]
        stops = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
        return cls(
            messages=tuple(one for one in messages if isinstance(one, dict))
            if isinstance(messages, list)
            else (),
            settled=body.get("temperature") == 0 or seed is not None,
            seed=seed if isinstance(seed, int) else None,
            cap=next((cap for cap in caps if isinstance(cap, int) and cap >= 1), None),
            stops=tuple(one for one in stops if isinstance(one, str) and one),
            n=n if isinstance(n, int) and 1 <= n <= 4 else 1,
        )


def answer(prompt: Prompt, salt: str) -> Answer:
    """Answers a prompt; `salt` sets unsettled answers apart."""
    source = repr((prompt.messages, prompt.seed, None if prompt.settled else salt))
    texts = (_text(prompt.messages, f"{source}{index}") for index in range(prompt.n))
    return Answer(
        prompt_tokens(prompt.messages), tuple(_choice(text, prompt.stops, prompt.cap) for text in texts)
    )


def _choice(text: str, stops: Iterable[str], cap: int | None) -> Choice:
    ends = [at for stop in stops if (at := text.find(stop)) >= 0]
    made = pieces(text[: min(ends)] if ends else text)
    return Choice(made[:cap], "length") if cap is not None and len(made) > cap else Choice(made, "stop")


def _text(messages: Iterable[dict[str, Any]], source: str) -> str:
    said = [text_of(message.get("content")) for message in messages if message.get("role") == "user"]
    last = said[-1] if said else ""
    if counted := _COUNT.search(last):
        return " ".join(str(number) for number in range(1, int(counted[1]) + 1))
    if quoted := _QUOTED.search(last):
        return quoted[1]
    if coded := _CODE.search(last):
        return coded[1].rstrip(".,;")
    chosen = random.Random(hashlib.sha256(source.encode("utf-8", "surrogatepass")).digest()).choices(
        _WORDS, k=11
    )
    return " ".join(chosen).capitalize() + "."
