"""One stream, folded as it comes into a ladder of instants, gaps and counts. Keeps no clock and judges no clause.

Until the first content each read is looked at once it is there, for that instant must be right. After it, reads are
only noted with their instants and folded some kilobytes at a time. Every event is decoded into a typed chunk, except
that of running chunks alike but for their text only the text is (`template`).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chatproof import sse
from chatproof.answer import DONE, decode_json
from chatproof.metrics import Histogram
from chatproof.metrics.histogram import ZERO
from chatproof.record import Read, Transfer
from chatproof.swarm.chunk import UNFIT, Chunk, Delta, decode, lenient
from chatproof.swarm.template import Template

FOLD_AT = 2048
EVENT_CAP = 1 << 20  # a body that goes on for longer without completing an event is not read any further
TEXT_CAP = 1 << 16  # of the answer's text, kept to look for foreign nonces
TAIL_CAP = 4096  # of what follows [DONE], which should be nothing
INFLATED = frozenset({"gzip", "x-gzip", "deflate"})
TEMPLATES = 8  # tried on a stream whose running chunks are not alike; each costs as much as two events
MARKS_CAP = 32  # events that are more than running text; an ordinary stream has four or five


class StreamFold:
    """The sink of one streamed answer; `close` completes it, and only then its fields are final."""

    __slots__ = (
        "_coding",
        "_done_end",
        "_inflate",
        "_keep_bytes",
        "_leave_after",
        "_parser",
        "_pending",
        "_pending_size",
        "_size",
        "_tail",
        "_template",
        "_templates",
        "_text_size",
        "_texts",
        "_unfinished",
        "_usage",
        "_zero_gaps",
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
        "first_byte_ns",
        "first_content_ns",
        "first_event_ns",
        "first_reasoning_ns",
        "gaps",
        "kept",
        "kept_whole",
        "last_content_ns",
        "marks",
        "marks_whole",
        "problems",
        "role_only_ns",
        "usage",
        "usage_ns",
    )

    def __init__(self, *, keep_bytes: int = 0, leave_after: int | None = None) -> None:
        self._parser = sse.Parser()
        self._pending: list[tuple[int, bytes]] = []
        self._pending_size = 0
        self._unfinished = 0  # bytes since the last completed event
        self._keep_bytes = keep_bytes
        self._leave_after = leave_after
        self._template: Template | None = None
        self._templates = 0
        self._zero_gaps = 0
        self._texts: list[str] = []
        self._text_size = 0
        self.kept: list[Read] = []  # the raw reads, up to `keep_bytes`
        self.kept_whole = keep_bytes > 0
        self.first_byte_ns: int | None = None
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
        self.bad_events = 0  # data events that are not JSON objects
        self.dones = 0
        self.dones_terminated = 0
        self.marks: list[sse.Event] = []  # every event but running text: what `digest` is made of
        self._size = 0  # bytes before the block that is folded
        self._tail: list[Read] = []  # the bytes after the first [DONE]
        self._done_end: int | None = None
        self._coding = ""
        self._inflate: Callable[[bytes], bytes] | None = None
        self.marks_whole = True
        self.envelope: tuple[str | None, str | None, int | None, str | None] | None = None
        self.finishes = 0
        self.usage: Mapping[str, Any] | None = None
        self._usage = b""  # the newest event that carried it
        self.error: Mapping[str, Any] | None = None
        self.problems = 0  # breaches of the event-stream format
        self.gaps = Histogram()

    def coded(self, coding: str) -> None:
        """The body comes in this content coding."""
        self._coding = coding
        if coding in INFLATED:
            self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress

    def feed(self, at_ns: int, block: bytes) -> Transfer | None:
        """Takes what one read brought; a reason to hang up, where there is one."""
        if self.first_byte_ns is None:
            self.first_byte_ns = at_ns
        if self._keep_bytes:
            self._keep(at_ns, block)
        if self._inflate is not None:
            try:
                block = self._inflate(block)
            except zlib.error:
                return Transfer.MALFORMED
        if self.first_content_ns is None or self._leave_after is not None:
            return self._fold(at_ns, block)
        self._pending.append((at_ns, block))
        self._pending_size += len(block)
        return self._fold_pending() if self._pending_size > FOLD_AT else None

    def close(self) -> None:
        """The body is over: folds what is left."""
        self._fold_pending()
        self._take(self._parser.close())
        self.problems = len(self._parser.problems)
        if self._usage:
            self.usage = decode_json(self._usage)["usage"]
        if self._zero_gaps:
            self.gaps.counts[ZERO] = self.gaps.counts.get(ZERO, 0) + self._zero_gaps

    @property
    def zero_gaps(self) -> int:
        """Content events that came in the same read as the one before."""
        return self._zero_gaps

    @property
    def digest(self) -> tuple[Read, ...]:
        """The stream without its running text: the first content stands for all that is like it."""
        ends = (b"\n\n" if mark.terminated else b"" for mark in self.marks)
        marks = (Read(m.at_ns, _as_event(m.data) + end) for m, end in zip(self.marks, ends, strict=True))
        if self._inflate is None:
            return (*marks, *self._tail)
        pack = zlib.compressobj(wbits=zlib.MAX_WBITS | (0 if self._coding == "deflate" else 16))
        packed = (
            Read(r.at_ns, pack.compress(r.data) + pack.flush(zlib.Z_SYNC_FLUSH))
            for r in (*marks, *self._tail)
        )
        return (*packed,)

    @property
    def text(self) -> str:
        """The answer's visible text, up to a cap."""
        return "".join(self._texts)

    def _keep(self, at_ns: int, block: bytes) -> None:
        if len(block) > self._keep_bytes:
            self.kept_whole, self._keep_bytes = False, 0
            return
        self._keep_bytes -= len(block)
        self.kept.append(Read(at_ns, block))

    def _fold_pending(self) -> Transfer | None:
        pending, self._pending = self._pending, []
        size, self._pending_size = self._pending_size, 0
        if len(self._texts) > 1:
            self._texts = ["".join(self._texts)]  # one string is a tenth of a list of tokens
        template = self._template
        if (
            pending
            and template is not None
            and self._parser.between
            and self._run_all(template, pending, size)
        ):
            return None
        for at_ns, block in pending:
            stop = self._fold(at_ns, block)
            if stop is not None:
                return stop
        return None

    def _run_all(self, template: Template, pending: list[tuple[int, bytes]], size: int) -> bool:
        """Takes reads of whole running chunks, if they are nothing else."""
        blocks = [block for _, block in pending]
        text, count = template.each(blocks), len(blocks)
        if text is None:
            if not all(block.startswith(template.before) for block in blocks):
                return False
            count, text, end = template.run(b"".join(blocks), 0)
            if end < size:
                return False
        self._running(count, text, size, [at_ns for at_ns, _ in pending])
        return True

    def _running(self, count: int, text: str, size: int, instants: Sequence[int]) -> None:
        """Takes so many running chunks, so many bytes, of reads at these instants."""
        self._parser.skip(size, instants[-1])
        self._size += size
        self._unfinished = 0
        self.events += count
        self._content(count, text, instants)

    def _fold(self, at_ns: int, block: bytes) -> Transfer | None:
        start, size = 0, len(block)
        while start < size:
            if self._template is not None and self._parser.between:
                count, text, end = self._template.run(block, start)
                if count:
                    self._running(count, text, end - start, (at_ns,))
                    start = end
                    continue
            end = size
            if self._template is not None or (self._templates < TEMPLATES and not self.dones):
                found = block.find(b"\n\n", start)
                end = size if found < 0 else found + 2
            stop = self._parse(at_ns, block[start:end])
            if stop is not None:
                return stop
            start = end
        if self._leave_after is not None and self.content_events >= self._leave_after:
            return Transfer.LEFT
        return None

    def _parse(self, at_ns: int, block: bytes) -> Transfer | None:
        events = self._parser.feed(block, at_ns)
        self._size += len(block)
        if self._done_end is not None:
            self._after_done(at_ns, block)
        if events:
            self._unfinished = 0
            self._take(events)
            if self._done_end is None and self.dones:
                self._done_end = next(event.end for event in events if event.data.strip() == DONE)
                self._after_done(at_ns, block[len(block) - (self._size - self._done_end) :])
        else:
            self._unfinished += len(block)
            if self._unfinished > EVENT_CAP:
                return Transfer.CAPPED
        return None

    def _take(self, events: list[sse.Event]) -> None:
        if events and self.first_event_ns is None:
            self.first_event_ns = events[0].at_ns
        self.events += len(events)
        for event in events:
            try:
                chunk = decode(event.data)
            except UNFIT:
                odd = self._odd(event)
                if odd is None:
                    continue
                chunk = odd
            at_ns = event.at_ns
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
            if not (plain and content):
                if chunk.error is None and envelope != self.envelope:
                    self.envelope, self._template = envelope, None
                self._mark(event)
            elif self._template is None or not self._template.fits(event.data):
                self._learn(event, chunk)

    def _learn(self, event: sse.Event, chunk: Chunk) -> None:
        if self._templates < TEMPLATES and not self.dones:
            self._templates += 1
            self._template = Template.of(event, chunk)
        else:
            self._template = None

    def _odd(self, event: sse.Event) -> Chunk | None:
        """An event that is no typed chunk: `[DONE]`, a chunk of other types, or no JSON object at all."""
        if event.data.strip() == DONE:
            self.dones += 1
            self.dones_terminated += event.terminated
            self._template = None
            if self.done_ns is None:
                self.done_ns = event.at_ns
            self._mark(event)
            return None
        chunk = lenient(event.data)
        if chunk is None:
            self.bad_events += 1
            self._mark(event)
        return chunk

    def _after_done(self, at_ns: int, data: bytes) -> None:
        if sum(len(read.data) for read in self._tail) + len(data) > TAIL_CAP:
            self.marks_whole = False
        elif data:
            self._tail.append(Read(at_ns, data))

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
        self._zero_gaps += count - self.gaps.add_between(last, instants)
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
        self._template = None  # no event after the finish is plain
        if self.finish_ns is None:
            self.finish_ns = at_ns

    def _account(self, chunk: Chunk, event: sse.Event) -> None:
        if chunk.error is not None and self.error is None:
            self.error = decode_json(event.data)["error"]
        if chunk.usage is not None:
            self._usage, self.usage_ns = event.data, event.at_ns


def _as_event(data: bytes) -> bytes:
    return b"data: " + data.replace(b"\n", b"\ndata: ")
