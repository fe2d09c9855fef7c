"""This project's engine by itself, no locust and no facts: every event stamped, decoded and folded.

`--stamps` only stamps every event and tells whether the stream was complete: no JSON is decoded after the first
content. `--user-clock` stamps at the read, as on systems without kernel times.
"""

from __future__ import annotations

import sys

import gevent

from benchmarks.clients.common import Outcome, begin
from benchmarks.clients.stamps import Stamps
from chatproof.swarm.asking.ask import Asker, Workload
from chatproof.swarm.client import transport
from chatproof.swarm.client.endpoint import Endpoint
from chatproof.swarm.client.engine import Channel, Engine
from chatproof.swarm.client.trip import Limits
from chatproof.swarm.streams.stream import StreamFold
from chatproof.swarm.worker.meters import settle_collector


def main() -> None:
    """Runs the load and prints the outcome."""
    load, outcome = begin(), Outcome()
    if "--user-clock" in sys.argv:
        transport.KERNEL_CLOCK = False
    fold_of = Stamps if "--stamps" in sys.argv else StreamFold
    endpoint = Endpoint.of(load.base_url)
    engine = Engine(Limits())
    asker = Asker(endpoint, "bench", (), (), 1)
    workload = Workload("bench", 64, 128)
    settle_collector()

    def user(number: int) -> None:
        gevent.sleep(load.start_of(number))
        channel = Channel(engine, endpoint)
        while load.goes_on():
            ask = asker.ask(outcome.name(number), workload)
            fold = fold_of()
            channel.post(ask.wire, fold)
            fold.close()
            outcome.add(ask.stream_id, fold.first_content_ns, fold.events, fold.dones == 1)
        channel.close()

    gevent.joinall([gevent.spawn(user, number) for number in range(load.users)])
    outcome.print()


main()
