"""What the running chunks of one stream share, so that only the text between is read. Knows no stream and no clock.

Within a stream most events are the same bytes but for one JSON string. Once such an event has been decoded, a later
event that begins and ends with the same bytes, and has a JSON string between them, decodes to the same chunk with
that string for content: it need not be decoded to know so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from chatproof import sse
from chatproof.swarm.streams.chunk import UNFIT, Chunk, decode

_CONTENT = re.compile(rb'"content"\s*:\s*("(?:[^"\\]|\\.)*")')
_PROBE = "\x01 some other text"
_PROBE_JSON = msgspec.json.encode(_PROBE)
_ODD = re.compile(rb'["\\\x00-\x1f\x80-\xff]').search  # needs a decoder to know that it is a string
_string = msgspec.json.Decoder(str).decode


@dataclass(frozen=True, slots=True)
class Template:
    """The bytes before and after the text, from `data:` and the string's quote to its quote and the empty line."""

    before: bytes
    after: bytes

    @classmethod
    def of(cls, event: sse.Event, chunk: Chunk) -> Template | None:
        """The template of a decoded event, shown by decoding it with another text; None where it has none."""
        data = event.data
        if event.end - event.start != len(data) + len("data: \n\n") or b"\n" in data or not event.terminated:
            return None  # written in another way than nearly everybody's
        found = _CONTENT.search(data)
        if found is None:
            return None
        head, tail = data[: found.start(1)], data[found.end(1) :]
        try:
            other = decode(head + _PROBE_JSON + tail)
            delta, other_delta = chunk.choices[0].delta, other.choices[0].delta
        except (*UNFIT, IndexError):
            return None
        if delta is None or other_delta is None or other_delta.content != _PROBE:
            return None
        other_delta.content = delta.content
        return cls(b"data: " + head + b'"', b'"' + tail + b"\n\n") if other == chunk else None

    def fits(self, data: bytes) -> bool:
        """Whether an event's data begins and ends as this says."""
        return data.startswith(self.before[len("data: ") :]) and data.endswith(self.after[:-2])

    def each(self, blocks: Sequence[bytes]) -> str | None:
        """The text of blocks that are one such event each; None where one of them is, or may be, anything else."""
        before, after = self.before, self.after
        start, stop = len(before), -len(after)
        texts = [b[start:stop] for b in blocks if b.startswith(before) and b.endswith(after)]
        if len(texts) < len(blocks) or not all(texts):
            return None
        joined = b"".join(texts)
        if not _ODD(joined):
            return joined.decode("ascii")
        try:
            return "".join([_string(b'"%b"' % text) for text in texts])
        except UNFIT:
            return None

    def run(self, block: bytes, start: int) -> tuple[int, str, int]:
        """Of the events of this kind that follow each other from `start` on: how many, their text, where they end."""
        before, after = self.before, self.after
        if not block.startswith(before, start):
            return 0, "", start
        parts = block[start:].split(after) if start else block.split(after)
        end = len(block) - len(parts.pop())
        size = len(before)
        texts = [part[size:] for part in parts]
        joined = b"".join(texts)
        # Where no text has a quote, `before`, which ends with one, is found at the start of a part or nowhere.
        if not _ODD(joined) and all(texts) and block.count(before, start, end) == len(parts):
            return len(parts), joined.decode("ascii"), end
        return self._one_by_one(parts, start)

    def _one_by_one(self, parts: list[bytes], end: int) -> tuple[int, str, int]:
        texts: list[str] = []
        for part in parts:
            if not part.startswith(self.before):
                break
            try:
                text = _string(b'"%b"' % part[len(self.before) :])
            except UNFIT:
                break
            if not text:
                break
            texts.append(text)
            end += len(part) + len(self.after)
        return len(texts), "".join(texts), end
