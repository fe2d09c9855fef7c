"""What the events of one stream say, as they come: a ladder of instants, gaps, counts, and the events to judge it by.

Knows nothing of reads, of bytes around the events, or of clauses; it keeps no clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chatproof import sse
from chatproof.answer import DONE, decode_json
from chatproof.metrics import Histogram
from chatproof.metrics.histogram import ZERO
from chatproof.swarm.streams.chunk import UNFIT, Chunk, Delta, decode, lenient

TEXT_CAP = 1 << 16  # of the answer's text, kept to look for foreign nonces
MARKS_CAP = 32  # events that are more than running text; an ordinary stream has four or five


class Ladder:
    """The events of one stream, taken one by one; `complete` ends it, and only then `usage` and `gaps` are whole."""

    __slots__ = (
        "_text_size",
        "_texts",
        "_usage",
        "bad_events",
        "content_events",
        "done_ns",
        "dones",
        "dones_terminated",
        "envelope",
        "error",
        "events",
        "finish_ns",
        "finishes",
        "first_content_ns",
        "first_event_ns",
        "first_reasoning_ns",
        "gaps",
        "last_content_ns",
        "marks",
        "marks_whole",
        "role_only_ns",
        "usage",
        "usage_ns",
        "zero_gaps",
    )

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._text_size = 0
        self._usage = b""  # the newest event that carried it
        self.first_event_ns: int | None = None
        self.role_only_ns: int | None = None
        self.first_reasoning_ns: int | None = None
        self.first_content_ns: int | None = None
        self.last_content_ns: int | None = None
        self.finish_ns: int | None = None
        self.usage_ns: int | None = None
        self.done_ns: int | None = None
        self.events = 0
        self.content_events = 0
        self.zero_gaps = 0  # content events that came in the same read as the one before
        self.bad_events = 0  # data events that are not JSON objects
        self.finishes = 0
        self.dones = 0
        self.dones_terminated = 0
        self.envelope: tuple[str | None, str | None, int | None, str | None] | None = None
        self.usage: Mapping[str, Any] | None = None
        self.error: Mapping[str, Any] | None = None
        self.marks: list[sse.Event] = []  # every event but running text, up to the first [DONE]
        self.marks_whole = True
        self.gaps = Histogram()

    @property
    def text(self) -> str:
        """The answer's visible text, up to a cap."""
        return "".join(self._texts)

    def compact(self) -> None:
        """Keeps the text as one string, a tenth of a list of tokens."""
        if len(self._texts) > 1:
            self._texts = ["".join(self._texts)]

    def complete(self) -> None:
        """No event follows."""
        if self._usage:
            self.usage = decode_json(self._usage)["usage"]
        if self.zero_gaps:
            self.gaps.counts[ZERO] = self.gaps.counts.get(ZERO, 0) + self.zero_gaps

    def take(self, event: sse.Event) -> Chunk | None:
        """Takes one event; its chunk where it is running text: content, and nothing else that is new."""
        at_ns = event.at_ns
        if self.first_event_ns is None:
            self.first_event_ns = at_ns
        self.events += 1
        try:
            chunk = decode(event.data)
        except UNFIT:
            odd = self._odd(event)
            if odd is None:
                return None
            chunk = odd
        envelope = (chunk.id, chunk.object, chunk.created, chunk.model)
        plain = envelope == self.envelope and self.first_content_ns is not None and not self.finishes
        content = ""
        for choice in chunk.choices:
            delta = choice.delta
            if delta is not None and delta.content:
                content += delta.content
                if choice.index or delta.role is not None:
                    plain = False
            elif delta is not None:
                plain = False
                self._quiet(delta, at_ns)
            if choice.finish_reason is not None:
                plain = False
                self._finish(at_ns)
        if content:
            self._content(1, content, (at_ns,))
        if chunk.usage is not None or chunk.error is not None:
            plain = False
            self._account(chunk, event)
        if plain and content:
            return chunk
        if chunk.error is None and envelope != self.envelope:
            self.envelope = envelope
        self._mark(event)
        return None

    def take_text(self, count: int, text: str, instants: Sequence[int]) -> None:
        """Takes events of running text, so many in all, of reads at these instants."""
        self.events += count
        self._content(count, text, instants)

    def _odd(self, event: sse.Event) -> Chunk | None:
        """An event that is no typed chunk: `[DONE]`, a chunk of other types, or no JSON object at all."""
        if event.data.strip() == DONE:
            self.dones += 1
            self.dones_terminated += event.terminated
            if self.done_ns is None:
                self.done_ns = event.at_ns
            self._mark(event)
            return None
        chunk = lenient(event.data)
        if chunk is None:
            self.bad_events += 1
            self._mark(event)
        return chunk

    def _mark(self, event: sse.Event) -> None:
        if self.dones > (event.data.strip() == DONE):
            return  # the tail holds it
        if len(self.marks) < MARKS_CAP:
            self.marks.append(event)
        else:
            self.marks_whole = False

    def _content(self, count: int, text: str, instants: Sequence[int]) -> None:
        """Takes content events, so many in all, of reads at these instants."""
        self.content_events += count
        last = self.last_content_ns
        if last is None:
            self.first_content_ns = last = instants[0]
            count -= 1
            instants = instants[1:]
        self.zero_gaps += count - self.gaps.add_between(last, instants)
        self.last_content_ns = instants[-1] if instants else last
        if self._text_size < TEXT_CAP:
            self._text_size += len(text)
            self._texts.append(text)

    def _quiet(self, delta: Delta, at_ns: int) -> None:
        """A delta without content: a role, reasoning, a refusal, a tool call or nothing."""
        if delta.reasoning_content or delta.reasoning:
            if self.first_reasoning_ns is None:
                self.first_reasoning_ns = at_ns
        elif delta.role is not None and self.role_only_ns is None:
            self.role_only_ns = at_ns

    def _finish(self, at_ns: int) -> None:
        self.finishes += 1
        if self.finish_ns is None:
            self.finish_ns = at_ns

    def _account(self, chunk: Chunk, event: sse.Event) -> None:
        if chunk.error is not None and self.error is None:
            self.error = decode_json(event.data)["error"]
        if chunk.usage is not None:
            self._usage, self.usage_ns = event.data, event.at_ns
