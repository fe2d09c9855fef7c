"""What one load process tells the master: rows, tallies, troubles, health; numbered, sent until acknowledged.

Judges nothing and measures nothing: whoever does hands over what it has when it is asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent
from gevent.event import Event

from chatproof.metrics import StreamRow
from chatproof.swarm.streams.kept import Looked
from chatproof.swarm.worker.health import Health
from chatproof.swarm.worker.journal import Batch, Begun, Outbox

REPORT_S = 0.25
RESEND_S = 2.0
LAST_PATIENCE_S = 10.0
IN_VAIN = 4  # repetitions; then the master was killed, and locust's worker would go on for a minute
TROUBLES_TOLD = 20

Send = Callable[[bytes], None]


class Reporter:
    """Collects what is new, and sends it four times a second; that a stream begins, or what it follows, at once."""

    def __init__(
        self,
        run: str,
        worker: str,
        send: Send,
        seen: Callable[[], Looked],
        health: Callable[[], Health],
        unheard: Callable[[], None],
    ) -> None:
        self._send = send
        self._seen = seen
        self._health = health
        self._unheard = unheard  # told when the master has acknowledged nothing for long
        self._in_vain = 0
        self._outbox = Outbox(run, worker)
        self._begun: list[Begun] = []
        self._rows: list[StreamRow] = []
        self._troubles: list[str] = []
        self._told: set[str] = set()
        self._wake = Event()
        self._over = False
        self._task = gevent.spawn(self._all_the_while)

    def begins(self, begun: Begun) -> None:
        """A stream is about to be asked for."""
        self._begun.append(begun)
        self._wake.set()

    def ended(self, row: StreamRow) -> None:
        """A stream is over."""
        self._rows.append(row)

    def trouble(self, text: str) -> None:
        """One line for the person at the terminal; said once."""
        if text not in self._told and len(self._told) < TROUBLES_TOLD:
            self._told.add(text)
            self._troubles.append(text)

    def acknowledged(self, number: int) -> None:
        """The master has that report."""
        self._in_vain = 0
        self._outbox.acknowledged(number)

    def last(self) -> None:
        """Sends the last report, and waits until the master has every one."""
        self._over = True
        self._report(final=True)
        patience = time.monotonic() + LAST_PATIENCE_S
        while self._outbox.waiting and time.monotonic() < patience:
            gevent.sleep(0.02)

    def close(self) -> None:
        """Sends nothing more."""
        self._task.kill(block=False)

    def _all_the_while(self) -> None:
        last_ns = resent_ns = time.monotonic_ns()
        while True:
            self._wake.wait(REPORT_S)
            self._wake.clear()
            now = time.monotonic_ns()
            if self._over:
                pass  # what is not acknowledged is still sent again
            elif now - last_ns >= REPORT_S * 1e9:
                last_ns = now
                self._report(final=False)
            elif self._begun:  # the master must know it if this process dies
                batch = Batch(run="", worker="", number=0, begun=self._begun, rows=self._rows)
                self._begun, self._rows = [], []
                self._send(self._outbox.seal(batch))
            if now - resent_ns >= RESEND_S * 1e9:
                resent_ns = now
                self._in_vain += bool(self._outbox.waiting)
                if self._in_vain > IN_VAIN and not self._over:
                    self._unheard()
                for payload in self._outbox.waiting[:20]:
                    self._send(payload)

    def _report(self, *, final: bool) -> None:
        seen = self._seen()
        batch = Batch(
            run="",
            worker="",
            number=0,
            begun=self._begun,
            rows=self._rows,
            tallies=seen.tallies,
            tokens=seen.tokens,
            suspects=seen.suspects,
            judged=dict(seen.judged),
            troubles=self._troubles,
            health=self._health(),
            final=final,
        )
        self._begun, self._rows, self._troubles = [], [], []
        self._send(self._outbox.seal(batch))
