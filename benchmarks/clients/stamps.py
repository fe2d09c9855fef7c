"""A stream's sink that stamps every event and tells whether the stream was complete, and decodes nothing else.

The engine has no such mode: this is what its transport and framing leave room for. It finds the end of an event by
its blank line, which is right for lines that end in a line feed, as those of the benchmark's server do.
"""

from __future__ import annotations

from chatproof.record import Transfer
from chatproof.swarm.streams.chunk import UNFIT, decode

_DONE = b"data: [DONE]\n\n"


class Stamps:
    """The least that a load tool could do with a stream and still know its first token, its pace and its ending."""

    def __init__(self) -> None:
        self._head = b""  # before the first content: the event that has begun
        self._end = b""
        self.first_content_ns: int | None = None
        self.stamps: list[tuple[int, int]] = []
        """The instant of a read, and how many events it completed."""
        self.events = 0
        self.dones = 0

    def coded(self, coding: str) -> None:
        """A body in a content coding cannot be read here."""
        raise ValueError(f"the benchmark's server sends no {coding}")

    def feed(self, at_ns: int, block: bytes) -> Transfer | None:
        """Takes what one read brought."""
        if self.first_content_ns is None:
            self._look(at_ns, block)
        ended = block.count(b"\n\n")
        if self._end[-1:] == b"\n" == block[:1] and self._end[-2:] != b"\n\n":
            ended += 1
        self.stamps.append((at_ns, ended))
        self._end = (self._end + block)[-len(_DONE) :] if len(block) < len(_DONE) else block[-len(_DONE) :]
        return None

    def close(self) -> None:
        """The body is over."""
        self.events = sum(ended for _, ended in self.stamps)
        self.dones = int(self._end == _DONE)

    def _look(self, at_ns: int, block: bytes) -> None:
        """Decodes events up to the first that has content."""
        rest = self._head + block
        while (end := rest.find(b"\n\n")) >= 0:
            if _has_content(rest[:end].removeprefix(b"data: ")):
                self.first_content_ns = at_ns
                return
            rest = rest[end + 2 :]
        self._head = rest


def _has_content(data: bytes) -> bool:
    try:
        return any(choice.delta and choice.delta.content for choice in decode(data).choices)
    except UNFIT:
        return False
