"""Does the target keep its contract under load? Every stream by its digest, a sample in full. Opens nothing.

The digest of a stream is every event but the running text. The facts of EVERY read nothing else, so their verdict on
the digest is their verdict on the stream; all other facts need the raw bytes and are judged on the sample. How a
transfer stopped is counted in `complete_fraction`, not here: under load cuts, resets and 429 are figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import msgspec

from chatproof import facts
from chatproof.answer import NONCE, Answer
from chatproof.contract import Contract, Level
from chatproof.facts import Terms
from chatproof.record import Exchange, Headers, Request, Tag
from chatproof.run import EVERY as SOURCE
from chatproof.run import finding_of
from chatproof.swarm.asking.ask import Ask
from chatproof.swarm.client.trip import Trip
from chatproof.swarm.streams.condense import condensed
from chatproof.swarm.streams.row import Collector
from chatproof.target import Deviation
from chatproof.verdict import Finding, lists

EVERY = frozenset(
    [
        "EP-05",
        "STR-01",
        "STR-02",
        "STR-03",
        "STR-05",
        "STR-06",
        "STR-07",
        "STR-08",
        "STR-11",
        "STR-12",
        "STR-13",
        "RID-01",
        "RID-03",
        "RID-04",
        "ERR-01",
        "ERR-02",
        "ERR-03",
        "ERR-04",
        "ERR-05",
        "ERR-06",
        "ERR-08",
        "ERR-12",
        "BIL-02",
        "BIL-03",
        "BIL-04",
        "BIL-05",
        "BIL-06",
        "BIL-07",
    ]
)
COUNTED_ELSEWHERE = frozenset({"STR-15"})  # how the transfer stopped: `complete_fraction`
IN_EVERY = tuple(f for f in facts.FACTS if f.clause in EVERY)
IN_FULL = tuple(f for f in facts.FACTS if f.clause not in COUNTED_ELSEWHERE)
FINDINGS_KEPT = 3  # of a clause and a worker, with their evidence; the others are counted


class Tally(msgspec.Struct):
    """What was seen of one clause: how many streams were subjects, how many broke it, and the first that did."""

    subjects: int = 0
    violations: int = 0
    known: int = 0  # violations that a listed deviation names
    level: str = ""  # the worst of the violations
    first_ns: int | None = None  # since the start of the run
    findings: list[dict[str, Any]] = []

    def merge(self, other: Tally) -> None:
        """Adds what another worker, or a later report, saw."""
        self.subjects += other.subjects
        self.violations += other.violations
        self.known += other.known
        self.level = max(self.level, other.level, key=SEVERITY.index)
        instants = [at for at in (self.first_ns, other.first_ns) if at is not None]
        self.first_ns = min(instants, default=None)
        self.findings = [*self.findings, *other.findings][:FINDINGS_KEPT]


SEVERITY = ("", *(level.value for level in (Level.OBSERVE, Level.SHOULD, Level.MUST)))


@dataclass(slots=True)
class Looked:
    """What was seen in some time: tallies, tokens that must be distinct, nonces out of place, and how many."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    tokens: list[tuple[str, int, str]] = field(default_factory=list)  # clause, hash, stream
    suspects: list[tuple[str, str]] = field(default_factory=list)  # stream, nonce
    judged: Counter[str] = field(default_factory=Counter)


class Watch:
    """Judges the exchanges of one worker; `take` hands over what is new since the last time."""

    def __init__(self, contract: Contract, terms: Terms, deviations: Iterable[Deviation], url: str) -> None:
        self._clauses = {clause.id: clause for clause in contract.clauses}
        self._terms = terms
        today = date.today()
        self._deviations = [entry for entry in deviations if entry.until >= today]
        self._url = url
        self._seen = Looked()
        self._shown = Counter[str]()

    def look(
        self, ask: Ask, trip: Trip, sink: Collector, wall_ns: int, epoch_ns: int, *, in_full: bool
    ) -> None:
        """Judges one exchange that is over; `in_full` where its raw bytes were kept."""
        if trip.status is None:
            return
        fold = sink.fold
        streamed = fold is not None and trip.status < 400
        full = in_full and (not streamed or (fold is not None and fold.kept_whole))
        if streamed and fold is not None:
            if not full and not fold.marks_whole:
                self._seen.judged["not"] += 1  # more marks than are kept: the digest is not the stream
                return
            reads = fold.digest if not full else tuple(fold.kept) if sink.coding else condensed(fold.kept)
            self._trace(ask, fold.envelope[0] if fold.envelope else None, fold.text)
        else:
            reads = tuple(sink.reads)
        self._seen.judged["in_full" if full else "by_digest"] += 1
        answer = Answer(exchange_of(ask, trip, self._url, wall_ns, reads))
        self._judge(answer, IN_FULL if full else IN_EVERY, trip.ended_ns - epoch_ns)

    def take(self) -> Looked:
        """What was seen since the last time."""
        taken, self._seen = self._seen, Looked()
        return taken

    def _judge(self, answer: Answer, judges: Iterable[facts.Fact], at_ns: int) -> None:
        for fact in judges:
            if not fact.of(answer) or (fact.needs and fact.needs(answer, self._terms) is not None):
                continue
            tally = self._seen.tallies.setdefault(fact.clause, Tally())
            tally.subjects += 1
            problems = [*fact.judge(answer, self._terms)]
            if not problems:
                continue
            clause = self._clauses[fact.clause]
            listed = [entry for entry in self._deviations if entry.clause == fact.clause]
            if self._shown[fact.clause] >= FINDINGS_KEPT and not listed:  # counted: its evidence costs 60 us
                levels = [(problem.level or clause.level).value for problem in problems]
                tally.merge(Tally(0, 1, 0, max(levels, key=SEVERITY.index), at_ns))
                continue
            found = [finding_of(clause, problem, answer, SOURCE) for problem in problems]
            fresh = [finding for finding in found if not any(lists(d, finding) for d in listed)]
            if not fresh:
                tally.known += 1
                continue
            self._shown[fact.clause] += 1
            worst = max((finding.level.value for finding in fresh), key=SEVERITY.index)
            tally.merge(Tally(0, 1, 0, worst, at_ns, [shown(fresh[0], at_ns)]))

    def _trace(self, ask: Ask, completion_id: str | None, text: str) -> None:
        if completion_id:
            self._seen.tokens.append(("STR-17", hash_of(completion_id), ask.stream_id))
        if "nx" in text:
            self._seen.suspects += [
                (ask.stream_id, nonce) for nonce in set(NONCE.findall(text)) - {ask.nonce}
            ]


def exchange_of(ask: Ask, trip: Trip, url: str, wall_ns: int, reads: tuple[Any, ...]) -> Exchange:
    """The exchange as conformance records it; the key is a marker."""
    headers: Headers = (*ask.headers, ("Authorization", "Bearer <redacted:api_key>"))
    return Exchange(
        tag=Tag("load", ask.stream_id),
        request=Request(method="POST", url=url, headers=headers, body=ask.body),
        wall_ns=wall_ns,
        started_ns=trip.started_ns,
        connected_ns=trip.connected_ns,
        sent_ns=trip.sent_ns,
        headers_ns=trip.headers_ns,
        ended_ns=trip.ended_ns,
        reused=trip.reused,
        http_version=trip.http_version,
        status=trip.status,
        headers=trip.headers,
        reads=reads,
        transfer=trip.transfer,
        detail=trip.detail,
    )


def shown(finding: Finding, at_ns: int) -> dict[str, Any]:
    """A finding as the report shows it."""
    kept = ("expected", "actual", "exchange", "status", "request_id", "model", "curl")
    fields = {name: getattr(finding, name) for name in kept}
    return {
        "at_s": round(at_ns / 1e9, 3),
        "level": finding.level.value,
        **fields,
        "excerpt": list(finding.excerpt),
    }


def hash_of(text: str) -> int:
    """Sixty-three bits that stand for a text, the same in every worker."""
    import hashlib

    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def scope_of(clause: str) -> str:
    """On what a clause was judged: `every` stream, or the `sample`."""
    return "every" if clause in EVERY or clause == "STR-17" else "sample"


def merge(into: dict[str, Tally], new: Mapping[str, Tally]) -> None:
    """Adds tallies to tallies."""
    for clause, tally in new.items():
        into.setdefault(clause, Tally()).merge(tally)
