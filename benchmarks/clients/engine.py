"""This project's engine by itself: every event stamped, decoded and folded; no locust, no facts."""

from __future__ import annotations

import gevent

from benchmarks.clients.common import Outcome, begin
from chatproof.swarm.ask import Asker, Workload
from chatproof.swarm.endpoint import Endpoint
from chatproof.swarm.engine import Channel, Engine
from chatproof.swarm.health import settle_collector
from chatproof.swarm.stream import StreamFold
from chatproof.swarm.trip import Limits


def main() -> None:
    """Runs the load and prints the outcome."""
    load, outcome = begin(), Outcome()
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
            fold = StreamFold()
            channel.post(ask.wire, fold)
            fold.close()
            outcome.add(ask.stream_id, fold.first_content_ns, fold.events, fold.dones == 1)
        channel.close()

    outcome.started()
    gevent.joinall([gevent.spawn(user, number) for number in range(load.users)])
    outcome.print()


main()
