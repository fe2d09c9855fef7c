"""Other load tools for chat APIs, each in an environment of its own, on the same work, server and core as ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.ours import measured
from benchmarks.peers import aiperf, guidellm, inference_perf
from benchmarks.row import Row, Told, Work
from benchmarks.source import Binaries, Log, log_of


@dataclass(frozen=True, slots=True)
class Peer:
    """A load tool: its name in the table, and one run of it."""

    name: str
    once: Callable[[str, Work], Told | None]


PEERS = {
    "inference-perf": Peer(inference_perf.NAME, inference_perf.once),
    "aiperf": Peer(aiperf.NAME, aiperf.once),
    "guidellm": Peer(guidellm.NAME, guidellm.once),
}
STRONGEST = "inference-perf"
MOST_USERS = 400  # more would only show the collapse again


def peer(name: str, work: Work, binaries: Binaries) -> Row | None:
    """One of `PEERS` on one kind of load."""
    found = PEERS[name]

    def once(root: str) -> tuple[Told, Log] | None:
        told = found.once(root, work)
        return None if told is None else (told, log_of(root))

    return measured(found.name, work, binaries, once)
