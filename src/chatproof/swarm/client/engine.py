"""HTTP exchanges on kept connections: what all users of a process share, and each user's way to the target."""

from __future__ import annotations

import time
from dataclasses import replace

import gevent

from chatproof.record import Transfer
from chatproof.swarm.client.dial import ConnectError, ConnectTimeoutError, Resolver
from chatproof.swarm.client.endpoint import Endpoint
from chatproof.swarm.client.exchange import Exchange
from chatproof.swarm.client.transport import Connection
from chatproof.swarm.client.trip import Limits, Sink, Trip

CLOSED = (Transfer.CUT, Transfer.RESET)
_TICK_S = 0.1  # how often deadlines are looked at; the finest of them is seconds


class Engine:
    """What all channels of a process share: resolved names, and one timer for every deadline."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.resolver = Resolver()
        self.running: set[Exchange] = set()
        self._timer = gevent.get_hub().loop.timer(_TICK_S, repeat=_TICK_S)
        self._timer.start(self._tick)

    def close(self) -> None:
        """Stops the timer; exchanges still running keep no deadline."""
        self._timer.stop()
        self._timer.close()

    def _tick(self) -> None:
        now = time.monotonic_ns()
        for exchange in list(self.running):
            exchange.expire(now)


class Channel:
    """One user's way to the endpoint: a connection that is kept while both sides allow."""

    def __init__(self, engine: Engine, endpoint: Endpoint) -> None:
        self._engine = engine
        self._endpoint = endpoint
        self._connection: Connection | None = None
        self._exchange: Exchange | None = None

    def post(self, request: bytes, sink: Sink) -> Trip:
        """Sends a whole request and waits for the end of its answer, whatever that is.

        A server may close a kept connection at any time, and so just when the next request is on its way. Where
        that brought nothing, the request goes out once more, on a new connection, as clients do; its times go on.
        """
        started_ns = time.monotonic_ns()
        trip = self._attempt(request, sink, started_ns)
        if trip.reused and trip.first_byte_ns is None and trip.transfer in CLOSED:
            trip = replace(self._attempt(request, sink, started_ns), reconnected=True)
        return trip

    def _attempt(self, request: bytes, sink: Sink, started_ns: int) -> Trip:
        limits = self._engine.limits
        connection, self._connection = self._connection, None
        reused = connection is not None and connection.alive
        if connection is not None and not connection.alive:
            connection.close()
            connection = None
        try:
            if connection is None:
                connection = Connection.open(self._endpoint, self._engine.resolver, limits.connect_s)
        except ConnectError as error:
            late = isinstance(error, ConnectTimeoutError)
            transfer = Transfer.TIMED_OUT if late else Transfer.REFUSED
            return Trip(
                started_ns=started_ns, ended_ns=time.monotonic_ns(), transfer=transfer, detail=str(error)
            )
        exchange = Exchange(connection, sink, limits, started_ns, reused)
        self._exchange = exchange
        keep = False
        try:
            self._engine.running.add(exchange)
            trip = exchange.run(request)
            keep = trip.transfer is Transfer.WHOLE and exchange.reusable and connection.alive
        finally:  # also where the greenlet is killed: the socket must not outlive it
            self._engine.running.discard(exchange)
            self._exchange = None
            exchange.release()
            if keep:
                connection.idle()
                self._connection = connection
            else:
                connection.close(abruptly=exchange.left)
        return trip

    def leave(self) -> None:
        """Hangs up on the exchange that runs, if one does."""
        if self._exchange is not None:
            self._exchange.hang_up(Transfer.LEFT, "")

    def close(self) -> None:
        """Closes the kept connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
