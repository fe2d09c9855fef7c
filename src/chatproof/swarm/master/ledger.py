"""All that a run's workers told: rows, tallies, health, and what nobody will tell any more. Pure state, no wire."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from chatproof.contract import Level
from chatproof.metrics import StreamRow
from chatproof.record import Ending
from chatproof.swarm.asking.ask import nonce_of
from chatproof.swarm.streams.kept import FINDINGS_KEPT, Tally, merge
from chatproof.swarm.worker.health import Health
from chatproof.swarm.worker.journal import Batch, Inbox

NEVER_TOLD = {  # what became of a stream without a row, by whether its worker's last report is here
    True: (Ending.STILL_RUNNING, "it was still connecting"),
    False: (Ending.LOST, "its worker ended without a last report"),
}


@dataclass(slots=True)
class Ledger:
    """One run's book, kept by the master."""

    run: str
    seed: int
    workers: tuple[str, ...]
    rows: list[StreamRow] = field(default_factory=list)
    tallies: dict[str, Tally] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    inboxes: dict[str, Inbox] = field(default_factory=dict)
    judged: Counter[str] = field(default_factory=Counter)  # streams: by digest, in full, not at all
    _tokens: dict[tuple[str, int], str] = field(default_factory=dict)
    _suspects: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.inboxes = {name: Inbox(name) for name in self.workers}

    def take(self, batch: Batch) -> bool:
        """Books a batch; whether it was a new one of this run."""
        box = self.inboxes.get(batch.worker)
        if batch.run != self.run or box is None or not box.take(batch):
            return False
        self.rows += batch.rows
        merge(self.tallies, batch.tallies)
        self._suspects += batch.suspects
        self.judged.update(batch.judged)
        self.troubles += [text for text in batch.troubles if text not in self.troubles]
        for clause, token, stream_id in batch.tokens:
            self._distinct(clause, token, stream_id)
        return True

    def settle(self) -> tuple[str, ...]:
        """Closes the book: streams of which nobody will report get a row; the workers that never came to an end."""
        for box in self.inboxes.values():
            ending, detail = NEVER_TOLD[box.complete]
            self.rows += [
                StreamRow(
                    stream_id=begun.stream_id,
                    scenario=begun.scenario,
                    worker=box.worker,
                    intended_ns=begun.intended_ns,
                    started_ns=begun.started_ns,
                    ending=ending,
                    detail=detail,
                )
                for begun in box.running.values()
            ]
        self._cross_talk()
        return tuple(box.worker for box in self.inboxes.values() if not box.complete)

    @property
    def running(self) -> int:
        """Streams on their way."""
        return sum(len(box.running) for box in self.inboxes.values())

    @property
    def health(self) -> tuple[Health, ...]:
        """The newest health of each worker."""
        return tuple(box.health for box in self.inboxes.values() if box.health is not None)

    def _distinct(self, clause: str, token: int, stream_id: str) -> None:
        tally = self.tallies.setdefault(clause, Tally())
        tally.subjects += 1
        first = self._tokens.setdefault((clause, token), stream_id)
        if first != stream_id:
            tally.merge(self._strange(stream_id, "an id of its own for each stream", f"the id of {first}"))

    def _cross_talk(self) -> None:
        """STR-17: a nonce that some other stream of the run was given, seen in an answer."""
        if not self._suspects:
            return
        given = {nonce_of(f"{self.seed}/{row.stream_id}"): row.stream_id for row in self.rows}
        for stream_id, nonce in self._suspects:
            owner = given.get(nonce)
            if owner is not None and owner != stream_id:
                actual = f"{nonce}, the nonce of {owner}"
                found = self._strange(stream_id, "only its own nonce in an answer", actual)
                self.tallies.setdefault("STR-17", Tally()).merge(found)

    def _strange(self, stream_id: str, expected: str, actual: str) -> Tally:
        """One violation of STR-17; with its evidence while few have been shown."""
        seen = self.tallies.get("STR-17")
        if seen is not None and len(seen.findings) >= FINDINGS_KEPT:
            return Tally(0, 1, 0, Level.MUST.value)
        row = next((row for row in reversed(self.rows) if row.stream_id == stream_id), None)
        at_ns = row.started_ns if row is not None else None
        finding: dict[str, Any] = {
            "at_s": None if at_ns is None else round(at_ns / 1e9, 3),
            "level": Level.MUST.value,
            "expected": expected,
            "actual": actual,
            "exchange": f"load/{stream_id}",
            "status": row.status if row is not None else None,
            "request_id": row.request_id if row is not None else None,
            "model": row.model if row is not None else None,
            "curl": None,
            "excerpt": [],
        }
        return Tally(0, 1, 0, Level.MUST.value, at_ns, [finding])


def ready(ledger: Ledger, dead: Iterable[str]) -> bool:
    """Whether every worker that still lives has sent its last report."""
    gone = set(dead)
    return all(box.complete or box.worker in gone for box in ledger.inboxes.values())
