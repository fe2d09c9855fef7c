"""One stream, folded into its ladder as its reads come. Keeps no clock and judges no clause.

Until the first content each read is looked at once it is there, for that instant must be right. After it, reads are
only noted with their instants and folded some kilobytes at a time. Every event is decoded into a typed chunk, except
that of running chunks alike but for their text only the text is (`template`).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

from chatproof import sse
from chatproof.answer import DONE
from chatproof.record import Read, Transfer
from chatproof.swarm.streams.chunk import Chunk
from chatproof.swarm.streams.ladder import Ladder
from chatproof.swarm.streams.template import Template

FOLD_AT = 2048
EVENT_CAP = 1 << 20  # a body that goes on for longer without completing an event is not read any further
TAIL_CAP = 4096  # of what follows [DONE], which should be nothing
INFLATED = frozenset({"gzip", "x-gzip", "deflate"})
TEMPLATES = 8  # tried on a stream whose running chunks are not alike; each costs as much as two events


class StreamFold(Ladder):
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
        "_unfinished",
        "first_byte_ns",
        "kept",
        "kept_whole",
        "problems",
    )

    def __init__(self, *, keep_bytes: int = 0, leave_after: int | None = None) -> None:
        super().__init__()
        self._parser = sse.Parser()
        self._pending: list[tuple[int, bytes]] = []
        self._pending_size = 0
        self._size = 0  # bytes before the block that is folded
        self._unfinished = 0  # bytes since the last completed event
        self._keep_bytes = keep_bytes
        self._leave_after = leave_after
        self._template: Template | None = None
        self._templates = 0  # how many were tried
        self._tail: list[Read] = []  # the bytes after the first [DONE]
        self._done_end: int | None = None
        self._coding = ""
        self._inflate: Callable[[bytes], bytes] | None = None
        self.first_byte_ns: int | None = None
        self.kept: list[Read] = []  # the raw reads, up to `keep_bytes`
        self.kept_whole = keep_bytes > 0
        self.problems = 0  # breaches of the event-stream format

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
        self.complete()

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

    def _keep(self, at_ns: int, block: bytes) -> None:
        if len(block) > self._keep_bytes:
            self.kept_whole, self._keep_bytes = False, 0
            return
        self._keep_bytes -= len(block)
        self.kept.append(Read(at_ns, block))

    def _fold_pending(self) -> Transfer | None:
        pending, self._pending = self._pending, []
        size, self._pending_size = self._pending_size, 0
        self.compact()
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
        self.take_text(count, text, instants)

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
        envelope = self.envelope
        for event in events:
            chunk = self.take(event)
            if self.finishes or self.dones or self.envelope is not envelope:
                self._template, envelope = None, self.envelope
            elif chunk is not None and (self._template is None or not self._template.fits(event.data)):
                self._learn(event, chunk)

    def _learn(self, event: sse.Event, chunk: Chunk) -> None:
        self._templates += 1
        self._template = Template.of(event, chunk) if self._templates <= TEMPLATES else None

    def _after_done(self, at_ns: int, data: bytes) -> None:
        if sum(len(read.data) for read in self._tail) + len(data) > TAIL_CAP:
            self.marks_whole = False
        elif data:
            self._tail.append(Read(at_ns, data))


def _as_event(data: bytes) -> bytes:
    return b"data: " + data.replace(b"\n", b"\ndata: ")
