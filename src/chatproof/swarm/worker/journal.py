"""How nothing is lost between workers and the master: numbered batches, acknowledged, sent again until they are.

Pure state: whoever has a wire carries the payloads. A worker announces each stream before it sends the request, so
that the master can name what a dead worker had on its way.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from chatproof.metrics import StreamRow
from chatproof.swarm.streams.kept import Tally
from chatproof.swarm.worker.health import Health


class Begun(msgspec.Struct, array_like=True, frozen=True):
    """A stream that is about to be asked for."""

    stream_id: str
    scenario: str
    intended_ns: int
    started_ns: int


class Batch(msgspec.Struct, kw_only=True):
    """One report of a worker; what it carries is new since the one before, but for the health's totals."""

    run: str
    worker: str
    number: int
    begun: list[Begun] = []
    rows: list[StreamRow] = []
    tallies: dict[str, Tally] = {}
    tokens: list[tuple[str, int, str]] = []
    suspects: list[tuple[str, str]] = []
    judged: dict[str, int] = {}  # streams by how they were judged
    troubles: list[str] = []  # one line each, said once
    health: Health | None = None
    final: bool = False


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Batch).decode


@dataclass(slots=True)
class Outbox:
    """A worker's side."""

    run: str
    worker: str
    _number: int = 0
    _unacknowledged: dict[int, bytes] = field(default_factory=dict)

    def seal(self, batch: Batch) -> bytes:
        """Numbers a batch and keeps it until it is acknowledged; the payload to send."""
        self._number += 1
        batch.run, batch.worker, batch.number = self.run, self.worker, self._number
        payload = encode(batch)
        self._unacknowledged[self._number] = payload
        return payload

    def acknowledged(self, number: int) -> None:
        """The master has it."""
        self._unacknowledged.pop(number, None)

    @property
    def waiting(self) -> tuple[bytes, ...]:
        """Payloads that were not acknowledged, oldest first."""
        return tuple(self._unacknowledged.values())


@dataclass(slots=True)
class Inbox:
    """The master's side of one worker."""

    worker: str
    seen: set[int] = field(default_factory=set)
    running: dict[str, Begun] = field(default_factory=dict)
    early: set[str] = field(default_factory=set)  # rows that came before the word that their stream began
    health: Health | None = None
    last: int | None = None  # the number of the final batch

    def take(self, batch: Batch) -> bool:
        """Whether the batch is new; then its streams are noted."""
        if batch.number in self.seen:
            return False
        self.seen.add(batch.number)
        for begun in batch.begun:
            if begun.stream_id in self.early:
                self.early.discard(begun.stream_id)
            else:
                self.running[begun.stream_id] = begun
        for row in batch.rows:
            if self.running.pop(row.stream_id, None) is None:
                self.early.add(row.stream_id)
        if batch.health is not None and (self.health is None or batch.final or self.last is None):
            self.health = batch.health
        if batch.final:
            self.last = batch.number
        return True

    @property
    def complete(self) -> bool:
        """Whether the final batch and all before it are here."""
        return self.last is not None and len(self.seen) >= self.last
