"""The locust side: the user classes that scenarios are made of, and what locust's events mean for a run.

A scenario is one class in a file of its own. Importing this module gives `locust -f` its options, its start, its end
and its verdict; everything it is told goes on to a Conductor (master), a Member (worker), or both (neither).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import gevent
from locust import User, constant, events, task
from locust.exception import StopUser

from chatproof.record import Ending
from chatproof.swarm import wiring
from chatproof.swarm.asking.arrivals import Leg
from chatproof.swarm.asking.ask import Workload
from chatproof.swarm.asking.plan import workloads_of
from chatproof.swarm.client.engine import Channel
from chatproof.swarm.worker.member import REFUSED_PAUSE_S, Exhausted, Member

NO_ANSWER = frozenset({Ending.REFUSED, Ending.CUT, Ending.RESET, Ending.MALFORMED})

__all__ = ["Leg", "OpenLoop", "StreamUser", "Workload"]


class StreamUser(User):  # type: ignore[misc]
    """A closed-loop user: the next request starts when the last one has ended."""

    abstract = True
    wait_time = constant(0)
    scenario: ClassVar[str] = ""  # the name in reports; else the class's
    soak: ClassVar[bool] = False  # figures are looked at for drift
    search: ClassVar[bool] = False  # the highest rate that meets the SLO is searched for
    plays_traces: ClassVar[bool] = False  # `--trace` stands for the rates of an open loop
    _channel: Channel | None = None

    @classmethod
    def workloads(cls, options: dict[str, Any]) -> Sequence[Workload]:
        """What is asked for."""
        return workloads_of(options)

    @classmethod
    def leave_share(cls, options: dict[str, Any]) -> float:
        """The share of streams that the client hangs up on."""
        return 0.0

    @classmethod
    def legs(cls, options: dict[str, Any], seconds: float) -> Sequence[Leg]:
        """The open loop's rates over time; none in a closed loop."""
        return ()

    @task  # type: ignore[untyped-decorator]
    def one_request(self) -> None:
        """One request from start to end, while the run lasts."""
        member = wiring.member_of(self.environment)
        if member is None or member.stopping:
            gevent.sleep(0.05)  # this run's plan has not come, or its end has: locust stops its users itself
        else:
            self.turn(member)

    def turn(self, member: Member) -> None:
        """One request; where nobody answers at all, a pause before the next."""
        if self._channel is None:
            self._channel = member.channel()
        try:
            row = member.turn(self._channel)
        except Exhausted:
            if member.stopping:
                return
            raise StopUser from None
        if row.status is None and row.ending in NO_ANSWER:
            gevent.sleep(REFUSED_PAUSE_S)

    def on_stop(self) -> None:
        """Closes the user's connection."""
        if self._channel is not None:
            self._channel.close()


class OpenLoop(StreamUser):
    """Arrivals by a schedule, whatever the answers do; locust's users then only keep the run alive."""

    abstract = True

    def turn(self, member: Member) -> None:
        """Waits: the schedule starts the requests."""
        gevent.sleep(0.1)


wiring.listen(events)
