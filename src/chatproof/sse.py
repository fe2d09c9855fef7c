"""An incremental event-stream parser over (bytes, instant), per the WHATWG text; knows nothing of chat.

The rules are those of "Interpreting an event stream" (HTML standard, 9.2.6), with two additions for a
judge: what the end of the input leaves of an event is shown, told apart by `terminated`, where a browser
would discard it; and bytes that are not UTF-8 are reported where a browser would replace them.

One line machine decides everything. Beside it stands a short cut for what nearly every server sends: blocks
of one data line, ended by two line feeds. It applies only where the machine stands at the start of a
block and the read holds no carriage return, and it is tested to give what the machine gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

_BOM = b"\xef\xbb\xbf"

NOT_UTF8 = "bytes that are not UTF-8"
CUT_BY_LINE_END = "a UTF-8 character cut by the end of a line"
CUT_BY_END_OF_INPUT = "a UTF-8 character cut by the end of the input"


# Legal, but not what every server sends: counted, never a finding (STR-19).
ODDITIES: Mapping[str, str] = {
    "bom": "a byte order mark opens the body",
    "comment": "comment lines",
    "cr": "lines that end in CR",
    "crlf": "lines that end in CRLF",
    "event_field": "`event` fields",
    "id_field": "`id` fields",
    "id_with_nul": "`id` fields with a NUL, ignored as the text says",
    "multi_line": "events of more than one data line",
    "no_colon": "lines that are nothing but `data`",
    "no_space": "data with no space after the colon",
    "retry_field": "`retry` fields",
    "unknown_field": "lines of any other name, ignored as the text says",
}


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event; a Struct because this one is made a million times a second.

    `data` holds the raw bytes of the data lines, joined by line feeds. `type` is empty where no `event`
    field was given. `id` is the last event id in force. `at_ns` is the instant of the read that brought byte
    `end - 1`. `start` and `end` are offsets in the body, from the first line of the event's block to the
    line end that completed it; where that is CRLF, the CR completes it and the LF belongs to no event.
    `terminated` is False where the input ended before the blank line.
    """

    data: bytes
    type: str
    id: str
    at_ns: int
    start: int
    end: int
    terminated: bool

    @property
    def text(self) -> str:
        """The data as text; where it is not UTF-8, U+FFFD stands in and the parser's `problems` say so."""
        return self.data.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Problem:
    """A breach of the format: the offset in the body and what is wrong there; the first one of each line."""

    offset: int
    what: str


@dataclass(frozen=True, slots=True)
class Stream:
    """All that a body holds as an event stream."""

    events: tuple[Event, ...]
    oddities: Mapping[str, int]
    problems: tuple[Problem, ...]


class Parser:
    """Reads in, events out; an event is returned by the `feed` that completes it."""

    def __init__(self) -> None:
        self._size = 0  # bytes fed so far
        self._at_ns = 0  # instant of the last read that brought a byte
        self._partial = bytearray()  # what has come of the current line
        self._after_cr = False  # a line feed that comes next belongs to the line end already taken
        self._fresh = True  # no line has been taken yet, so that a BOM may still come
        self._between = True  # at the start of a block
        self._start = 0  # offset of the current block
        self._data: list[bytes] = []
        self._type = ""
        self._id = ""
        self._seen = dict.fromkeys(ODDITIES, 0)
        self._problems: list[Problem] = []

    @property
    def oddities(self) -> Mapping[str, int]:
        """How often each legal oddity was seen so far; what was not seen is absent."""
        return {name: count for name, count in self._seen.items() if count}

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The breaches of the format so far, in order."""
        return tuple(self._problems)

    def feed(self, data: bytes, at_ns: int) -> list[Event]:
        """Takes what one read brought at one instant; returns the events that it completed."""
        events: list[Event] = []
        if not data:
            return events
        self._at_ns = at_ns
        if b"\r" in data or self._after_cr or (self._fresh and not data.startswith(b"data:")):
            self._lines(data, events)
            return events
        if not self._between:
            block_end = self._block_end(data)
            self._lines(data[:block_end], events)
            data = data[block_end:]
        blocks = data.split(b"\n\n")
        rest = blocks.pop()
        if blocks:
            self._blocks(blocks, events)
        if rest:
            self._lines(rest, events)
        return events

    @property
    def between(self) -> bool:
        """Whether the next byte begins a block."""
        return self._between and not self._after_cr

    def skip(self, size: int, at_ns: int) -> None:
        """Takes bytes that the caller has read as whole events himself, from the start of a block on."""
        self._size += size
        self._start, self._at_ns = self._size, at_ns

    def close(self) -> list[Event]:
        """Takes the end of the input; returns the unterminated last event, if it has data.

        A last line without a line end counts once it has a colon: before that it is a part of a field name.
        """
        events: list[Event] = []
        if self._partial:
            line = bytes(self._partial)
            start = self._size - len(line)
            self._partial.clear()
            if self._fresh:
                line, start = self._without_bom(line)
            self._line(line, start, CUT_BY_END_OF_INPUT, whole=b":" in line)
        if self._data:
            self._dispatch(events, self._size, terminated=False)
        return events

    def _block_end(self, data: bytes) -> int:
        """Where the current block ends in data that holds no CR, or all of data."""
        if data[:1] == b"\n" and not self._partial:
            return 1
        found = data.find(b"\n\n")
        return len(data) if found < 0 else found + 2

    def _blocks(self, blocks: list[bytes], events: list[Event]) -> None:
        """Takes whole blocks without their two final line feeds, from the start of a block on."""
        self._fresh = False
        start, at_ns = self._size, self._at_ns
        append = events.append
        for block in blocks:
            end = start + len(block) + 2
            if block[:5] == b"data:" and b"\n" not in block and (block.isascii() or _is_utf8(block)):
                if block[5:6] == b" ":
                    append(Event(block[6:], "", self._id, at_ns, start, end, True))
                else:
                    self._seen["no_space"] += len(block) > 5
                    append(Event(block[5:], "", self._id, at_ns, start, end, True))
            else:
                self._size = self._start = start
                self._lines(block + b"\n\n", events)
            start = end
        self._size = self._start = start

    def _lines(self, data: bytes, events: list[Event]) -> None:
        """The line machine: splits at LF, CR and CRLF, and dispatches at each empty line."""
        at = self._size
        self._size += len(data)
        if self._after_cr:
            self._after_cr = False
            if data[:1] == b"\n":
                self._seen["cr"] -= 1
                self._seen["crlf"] += 1
                data, at = data[1:], at + 1
                if self._between:
                    self._start = at
        for piece in data.splitlines(keepends=True):  # of bytes: at LF, CR and CRLF, nothing else
            line = piece.rstrip(b"\r\n")
            if len(line) == len(piece):
                self._partial += piece
                self._between = False
                break
            ending = piece[len(line) :]
            if ending != b"\n":
                self._seen["cr" if ending == b"\r" else "crlf"] += 1
            if self._partial:
                start = at - len(self._partial)
                line = bytes(self._partial) + line
                self._partial.clear()
            else:
                start = at
            at += len(piece)
            if self._fresh:
                line, start = self._without_bom(line)
            if line:
                self._between = False
                self._line(line, start, CUT_BY_LINE_END)
            else:
                if self._data:
                    self._dispatch(events, at - len(ending) + 1, terminated=True)
                self._data, self._type = [], ""
                self._between, self._start = True, at
        self._after_cr = data.endswith(b"\r")

    def _without_bom(self, line: bytes) -> tuple[bytes, int]:
        """The first line of the body without the BOM that may open it, and where it then starts."""
        self._fresh = False
        if not line.startswith(_BOM):
            return line, 0
        self._seen["bom"] += 1
        self._start = len(_BOM)
        return line[len(_BOM) :], len(_BOM)

    def _line(self, line: bytes, start: int, cut: str, *, whole: bool = True) -> None:
        """Takes one line that is not empty, without its end."""
        if not line.isascii():
            try:
                line.decode()
            except UnicodeDecodeError as error:
                what = cut if error.reason == "unexpected end of data" else NOT_UTF8
                self._problems.append(Problem(start + error.start, what))
        if not whole:
            return
        name, colon, value = line.partition(b":")
        spaced = value.startswith(b" ")
        if spaced:
            value = value[1:]
        if name == b"data":
            self._data.append(value)
            if not colon:
                self._seen["no_colon"] += 1
            elif value and not spaced:
                self._seen["no_space"] += 1
        elif not name:
            self._seen["comment"] += 1
        elif name == b"event":
            self._type = value.decode("utf-8", "replace")
            self._seen["event_field"] += 1
        elif name == b"id":
            if b"\0" in value:
                self._seen["id_with_nul"] += 1
            else:
                self._id = value.decode("utf-8", "replace")
                self._seen["id_field"] += 1
        else:
            self._seen["retry_field" if name == b"retry" else "unknown_field"] += 1

    def _dispatch(self, events: list[Event], end: int, *, terminated: bool) -> None:
        if len(self._data) > 1:
            self._seen["multi_line"] += 1
        data = b"\n".join(self._data)
        events.append(Event(data, self._type, self._id, self._at_ns, self._start, end, terminated))
        self._data = []


def parse(reads: Iterable[tuple[bytes, int]]) -> Stream:
    """Parses a whole body, given as (bytes, instant) of each read."""
    parser = Parser()
    events = [event for data, at_ns in reads for event in parser.feed(data, at_ns)]
    events += parser.close()
    return Stream(tuple(events), parser.oddities, parser.problems)


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True
