"""The state of one HTTP exchange on a connection: framing, deadlines, and how it ended. Knows nothing of chat.

It runs in the hub's callbacks; the user's greenlet only waits for the end. Whatever is raised in a callback is raised
again in that greenlet.
"""

from __future__ import annotations

import time

import httptools
from gevent.event import AsyncResult

from chatproof.record import Transfer
from chatproof.swarm.client.transport import Connection
from chatproof.swarm.client.trip import Limits, Sink, Trip

_SECOND = 1_000_000_000
HEADERS_CAP = 65536


class Exchange:
    """The state of one exchange; also the protocol object of its HTTP parser."""

    __slots__ = (
        "_complete",
        "_connection",
        "_feed",
        "_first_byte_ns",
        "_framed",
        "_head_done",
        "_head_size",
        "_headers",
        "_headers_ns",
        "_last_ns",
        "_limits",
        "_over",
        "_parser",
        "_parts",
        "_reads",
        "_reused",
        "_sent_ns",
        "_sink",
        "_size",
        "_started_ns",
        "_status",
        "_whole_deadline",
        "left",
        "on_body",
        "reusable",
    )

    def __init__(
        self, connection: Connection, sink: Sink, limits: Limits, started_ns: int, reused: bool
    ) -> None:
        self._connection = connection
        self._sink = sink
        self._feed = sink.feed
        self._limits = limits
        self._started_ns = started_ns
        self._reused = reused
        self._parts: list[bytes] = []
        self.on_body = (
            self._parts.append
        )  # a builtin: a Python function here would cost more than the parsing
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[str, str]] = []
        self._head_done = False
        self._framed = False
        self._complete = False
        self._status: int | None = None
        self._sent_ns: int | None = None
        self._first_byte_ns: int | None = None
        self._headers_ns: int | None = None
        self._last_ns = started_ns
        self._size = 0
        self._head_size = 0
        self._reads = 0
        self._over: AsyncResult = AsyncResult()
        self._whole_deadline = started_ns + int(limits.whole_s * _SECOND)
        self.reusable = False
        self.left = False

    def run(self, request: bytes) -> Trip:
        """Sends the request and waits for the end."""
        self._connection.receive(self._data, self._end)
        try:
            self._connection.send(request, self._limits.first_byte_s)
            self._sent_ns = self._last_ns = time.monotonic_ns()
        except TimeoutError:
            self._finish(Transfer.TIMED_OUT, "the request could not be sent in time")
        except OSError as error:
            self._connection.poll()  # an early answer may explain why the peer stopped reading
            self._finish(Transfer.RESET, f"while sending: {error.strerror or error}")
        trip: Trip = self._over.get()
        return trip

    def expire(self, now_ns: int) -> None:
        """Ends the exchange if a deadline has passed and nothing that came is waiting to be read."""
        if self._over.ready() or self._overdue(now_ns) is None:
            return
        self._connection.poll()
        overdue = self._overdue(now_ns)
        if overdue is not None:
            self._finish(*overdue)

    def release(self) -> None:
        """Breaks the cycle with the parser, so that no collector has to look for it."""
        del self._parser

    def hang_up(self, transfer: Transfer, detail: str) -> None:
        """Ends it from our side."""
        self.left = transfer is Transfer.LEFT
        self._finish(transfer, detail)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, of the head or of the trailers."""
        self._head_size += len(name) + len(value)
        if self._head_size > HEADERS_CAP:
            raise ValueError("more than 64 kB of headers")
        if not self._head_done:
            self._headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """The head is complete, of the answer or of one that precedes it."""
        status = self._parser.get_status_code()
        if status < 200 and status != 101:  # 100 and 103 precede the answer
            self._headers.clear()
            return
        self._status = status
        self._head_done = True
        names = {name.lower(): value for name, value in self._headers}
        self._framed = "content-length" in names or "chunked" in names.get("transfer-encoding", "").lower()
        self._framed = self._framed or status in (204, 304)
        coding = names.get("content-encoding", "identity").strip().lower()
        if coding not in ("", "identity"):
            self._sink.coded(coding)

    def on_message_complete(self) -> None:
        """The body is complete."""
        if self._head_done:
            self.reusable = not self._complete and self._parser.should_keep_alive()
            self._complete = True

    def on_message_begin(self) -> None:
        """A head begins."""
        if self._complete:
            self.reusable = False  # bytes after the end: whose they are is not known

    def _data(self, at_ns: int, data: bytes | memoryview) -> None:
        try:
            self._take(at_ns, data)
        except Exception as error:
            if not self._over.ready():
                self._over.set_exception(error)

    def _take(self, at_ns: int, data: bytes | memoryview) -> None:
        if self._over.ready():
            return
        self._reads += 1
        self._last_ns = at_ns
        if self._first_byte_ns is None:
            self._first_byte_ns = at_ns
        broken = ""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            broken = str(error.__context__ or error) or "not HTTP"
        if self._headers_ns is None and self._head_done:
            self._headers_ns = at_ns
        parts = self._parts
        if parts:
            block = parts[0] if len(parts) == 1 else b"".join(parts)
            parts.clear()
            self._size += len(block)
            stop = self._feed(at_ns, block)
            if stop is not None:
                self.hang_up(stop, "")
                return
            if self._size > self._limits.body_bytes:
                self._finish(Transfer.CAPPED, f"more than {self._limits.body_bytes} bytes of body")
                return
        if self._complete:
            self._finish(Transfer.WHOLE, "bytes followed the end of the answer" if broken else "")
        elif broken:
            self._finish(Transfer.MALFORMED, broken)

    def _end(self, error: Exception | None) -> None:
        if isinstance(error, ConnectionResetError):
            self._finish(Transfer.RESET, "reset by the peer")
        elif error is not None:
            self._finish(Transfer.CUT, str(error))
        elif self._head_done and not self._framed:
            self._finish(Transfer.WHOLE, "")
        elif self._first_byte_ns is None:
            kept = "the kept connection was closed" if self._reused else "closed"
            self._finish(Transfer.CUT, f"{kept} before any answer")
        else:
            self._finish(Transfer.CUT, "closed before the announced end")

    def _overdue(self, now_ns: int) -> tuple[Transfer, str] | None:
        limits = self._limits
        if now_ns > self._whole_deadline:
            return Transfer.TIMED_OUT, f"longer than {limits.whole_s:g} s"
        if self._sent_ns is None:
            return None
        if self._head_done and now_ns - self._last_ns > limits.silence_s * _SECOND:
            return Transfer.STALLED, f"silent for {limits.silence_s:g} s"
        if not self._head_done and now_ns - self._sent_ns > limits.first_byte_s * _SECOND:
            return Transfer.TIMED_OUT, f"no answer within {limits.first_byte_s:g} s"
        return None

    def _finish(self, transfer: Transfer, detail: str) -> None:
        if self._over.ready():
            return
        self._over.set(
            Trip(
                started_ns=self._started_ns,
                connected_ns=None if self._reused else self._connection.connected_ns,
                secured_ns=None if self._reused else self._connection.secured_ns,
                sent_ns=self._sent_ns,
                first_byte_ns=self._first_byte_ns,
                headers_ns=self._headers_ns,
                ended_ns=self._last_ns if transfer is Transfer.WHOLE else time.monotonic_ns(),
                reused=self._reused,
                http_version=self._parser.get_http_version() if self._head_done else "",
                status=self._status,
                headers=tuple(self._headers),
                body_bytes=self._size,
                reads=self._reads,
                transfer=transfer,
                detail=detail,
                kernel_clock=self._connection.kernel_clock,
            )
        )
