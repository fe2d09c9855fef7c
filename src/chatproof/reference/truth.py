"""The truth log: what was really sent for each request, and when. Bounded in memory; optionally also a file.

Instants are `time.monotonic_ns` of this machine, taken just before the bytes are handed to the kernel: a
client on the same machine can never have seen them earlier. Byte ranges count the body without HTTP framing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import msgspec

_MEMORY_BYTES = 64 * 1024 * 1024


class Write(msgspec.Struct, frozen=True, array_like=True):
    """One write: its instant, the range [start, end) of the body it brought, and what that carried."""

    at_ns: int
    start: int
    end: int
    carried: str


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """All of one request. `ending`: finished, closed, cut, reset, hang, deaf (see Ending), or client_left."""

    n: int
    world: str
    method: str
    path: str
    request_id: str
    status: int
    completion_id: str | None
    arrived_ns: int
    head_ns: int | None
    writes: tuple[Write, ...]
    ended_ns: int
    ending: str
    prompt_tokens: int
    completion_tokens: int
    tokens_sent: int
    credits: str  # taken off the wallet
    replay: bool
    fired: tuple[str, ...]


@dataclass(slots=True)
class TruthLog:
    """Keeps the newest records up to 64 MB; older ones are in the file, if there is one."""

    file: BinaryIO | None = None
    count: int = 0
    _kept: deque[tuple[int, str, bytes]] = field(default_factory=deque)
    _bytes: int = 0

    def next_number(self) -> int:
        """The number of the next record; numbers start at 1 and have no gaps."""
        self.count += 1
        return self.count

    def add(self, record: Record) -> None:
        """Appends one record."""
        line = msgspec.json.encode(record) + b"\n"
        self._kept.append((record.n, record.world, line))
        self._bytes += len(line)
        while self._bytes > _MEMORY_BYTES:
            self._bytes -= len(self._kept.popleft()[2])
        if self.file is not None:
            self.file.write(line)
            self.file.flush()

    def lines(self, world: str | None, since: int) -> Iterator[bytes]:
        """JSON lines of the records numbered above `since`, of one world or (None) of all."""
        return (line for n, where, line in self._kept if n > since and world in (None, where))
