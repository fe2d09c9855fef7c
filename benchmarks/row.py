"""What is measured, and the row that comes of it. Pure: knows no process and no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.source import Log

LAG_LIMIT_MS = 2.0
RAMP_S = 1.0  # over which a client that can spreads the starts of its users
SATURATING_ROUNDS = 16


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of load: closed loops of `users` for `seconds`."""

    name: str
    path: str
    users: int
    seconds: float
    stream_s: float = 0.0
    tries: int = 3
    every_try: bool = False
    """Not the first try with a punctual server counts but the best: for a client that stamps as late as it runs."""

    @property
    def saturating(self) -> bool:
        """Whether the server goes as fast as the client takes it."""
        return not self.stream_s

    @property
    def requests(self) -> int:
        """How many requests a client makes that takes a number where ours take a time."""
        rounds = SATURATING_ROUNDS if self.saturating else max(1, round(self.seconds / self.stream_s))
        return self.users * rounds


_PACED = "/paced/200/20000/128"
_PACED_S = 0.2 + 127 * 0.02
WORKS = (
    Work("fast", "/fast/256", 64, 3),
    Work("coalesced", "/coalesced/256", 64, 3),
    Work("paced 50", _PACED, 50, 6, _PACED_S),
    Work("paced 400", _PACED, 400, 6, _PACED_S),
    Work("paced 1000", _PACED, 1000, 8, _PACED_S),
)


@dataclass(frozen=True, slots=True)
class Told:
    """What a client says of its own run."""

    ended_ns: int
    """It had read the last stream's end."""
    firsts: Mapping[str, int]
    """When it saw the first content of each stream that it counts, by the stream's name in the server's log."""
    streams: int
    complete: int
    rss_mb: float
    launched_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """What one client did with one kind of load."""

    client: str
    work: Work
    events_per_s: float
    complete: str
    error_p50_ms: float | None
    error_p99_ms: float | None
    rss_mb: float
    ready_s: float | None
    lag_p99_ms: float
    server_busy: float
    """The server's share of its core: near 1 under a saturating load, the server was the limit and not the client."""

    @property
    def on_time(self) -> bool:
        """Whether the server kept its own timetable."""
        return self.lag_p99_ms <= LAG_LIMIT_MS

    @property
    def decided(self) -> bool:
        """Whether no further try is needed."""
        return not (self.work.saturating or self.work.every_try) and self.on_time

    @property
    def cells(self) -> list[str]:
        """The row of the table."""
        return [
            self.client,
            self.work.name,
            f"{self.events_per_s:,.0f}",
            self.complete,
            _ms(self.error_p50_ms),
            _ms(self.error_p99_ms),
            f"{self.rss_mb:.0f}",
            "-" if self.ready_s is None else f"{self.ready_s:.1f}",
            f"{self.lag_p99_ms:.2f}{'' if self.on_time else ' (!)'}",
            f"{self.server_busy:.0%}",
        ]


HEAD = (
    "client",
    "load",
    "events/s",
    "complete",
    "TTFT error p50 ms",
    "p99 ms",
    "RSS MB",
    "ready s",
    "server lag p99 ms",
    "server busy",
)


def row_of(client: str, work: Work, told: Told, log: Log) -> Row:
    """The row of what a client told, beside the server's log: the same formulas for every client.

    Only streams that the client counts are looked at: some send one ahead, to see whether anybody answers. events/s
    is what the server sent in them, over the time from its receipt of the first request to the last end that the
    client read; starting the client is not in it. A TTFT error is the client's instant less the server's.
    """
    counted = [stream for stream in log.streams if stream.name in told.firsts]
    if not counted:
        raise ValueError(f"{client} and the server's log have no stream in common")
    errors = sorted((told.firsts[stream.name] - stream.first_ns) / 1e6 for stream in counted)
    begun_ns = min(stream.received_ns for stream in counted)
    took_ns = max(told.ended_ns, *(stream.last_ns for stream in counted)) - begun_ns
    return Row(
        client=client,
        work=work,
        events_per_s=sum(stream.events for stream in counted) / (took_ns / 1e9),
        complete=f"{told.complete}/{told.streams}",
        error_p50_ms=quantile(errors, 0.5),
        error_p99_ms=quantile(errors, 0.99),
        rss_mb=told.rss_mb,
        ready_s=None if told.launched_ns is None else (begun_ns - told.launched_ns) / 1e9,
        lag_p99_ms=log.lag_p99_ms,
        server_busy=log.busy_ns / took_ns,
    )


def quantile(ordered: Sequence[float], q: float) -> float | None:
    """The value at that share of an ordered sample; None of none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * q))] if ordered else None


def better(old: Row | None, new: Row) -> Row:
    """Of two tries the one that tells more of the client and less of the machine."""
    if old is None:
        return new
    if new.work.saturating:
        return max(old, new, key=lambda row: row.events_per_s)
    return min(old, new, key=lambda row: (not row.on_time, row.error_p99_ms or 0.0))


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if value < 10 else f"{value:.0f}"
