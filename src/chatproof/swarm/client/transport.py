"""A TCP or TLS connection whose reads carry the kernel's receive time. Knows nothing of HTTP.

One watcher on gevent's loop lives as long as the socket and reads in the hub's callback: a greenlet that waits for
each read would cost a failed read, two `epoll_ctl` and two switches. TLS goes through memory BIOs, since only the
raw socket can say when a packet came.
"""

from __future__ import annotations

import socket
import ssl
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

import gevent

from chatproof.swarm.client.dial import READ_SIZE, Resolver, Tls, connected, send_all
from chatproof.swarm.client.endpoint import Endpoint

SO_TIMESTAMPNS = 35  # not named by the socket module; the value on Linux, also that of SCM_TIMESTAMPNS
KERNEL_CLOCK = sys.platform == "linux"
_TIMESPEC = struct.Struct("qq")
_ANCILLARY_SIZE = socket.CMSG_SPACE(_TIMESPEC.size) if KERNEL_CLOCK else 0
_SECOND = 1_000_000_000
_BUFFER = bytearray(READ_SIZE)  # only the hub reads; who is handed a view copies
_VIEW = memoryview(_BUFFER)
_INTO = (_BUFFER,)

OnData = Callable[[int, bytes | memoryview], None]  # (instant, what arrived: good for this call only)
OnEnd = Callable[[Exception | None], None]  # None: an orderly end


def wall_offset() -> int:
    """Nanoseconds to take from CLOCK_REALTIME to get the monotonic clock; the tightest of three readings."""
    readings = []
    for _ in range(3):
        before = time.monotonic_ns()
        wall = time.time_ns()
        after = time.monotonic_ns()
        readings.append((after - before, wall - (before + after) // 2))
    return min(readings)[1]


class Connection:
    """An open connection; `receive` sets who gets what arrives, until then it waits in the kernel or is kept."""

    __slots__ = (
        "_fd",
        "_offset",
        "_on_data",
        "_on_end",
        "_sock",
        "_tls",
        "_watcher",
        "alive",
        "connected_ns",
        "kernel_clock",
        "secured_ns",
    )

    def __init__(self, sock: Any, tls: Tls | None) -> None:
        self._sock = sock
        self._fd = sock.fileno()
        self._tls = tls
        self._on_data: OnData = _ignore_data
        self._on_end: OnEnd = _ignore_end
        self.alive = True
        self.kernel_clock = KERNEL_CLOCK and _asks_for_timestamps(sock)
        self._offset = wall_offset()
        self.connected_ns = 0
        self.secured_ns: int | None = None
        self._watcher = gevent.get_hub().loop.io(self._fd, 1)

    @classmethod
    def open(cls, endpoint: Endpoint, resolver: Resolver, timeout_s: float) -> Connection:
        """Connects, with TLS where the endpoint has it; ConnectError (or ConnectTimeoutError) where that fails."""
        deadline = time.monotonic() + timeout_s
        sock = connected(endpoint, resolver.resolve(endpoint.host, endpoint.port), deadline)
        connected_ns = time.monotonic_ns()
        tls = None
        try:
            if endpoint.tls is not None:
                tls = Tls(endpoint.tls, endpoint.host)
                tls.shake_hands(sock, deadline)
            connection = cls(sock, tls)
        except BaseException:
            sock.close()
            raise
        connection.connected_ns = connected_ns
        connection.secured_ns = time.monotonic_ns() if tls else None
        connection._watcher.start(connection._readable if tls is None else connection._readable_tls)
        return connection

    def receive(self, on_data: OnData, on_end: OnEnd) -> None:
        """Hands over what arrives from here on, in the hub's callback: neither function may block."""
        self._offset = wall_offset()  # taken again: a step of the calendar clock must not move a stream
        self._on_data, self._on_end = on_data, on_end

    def idle(self) -> None:
        """Nobody waits for data: what arrives now, an end included, makes the connection unfit for another use."""
        self._on_data, self._on_end = self._unexpected, _ignore_end

    def send(self, data: bytes, timeout_s: float) -> None:
        """Hands all of `data` to the kernel, blocking only this greenlet; OSError where the peer is gone."""
        if self._tls is not None:
            data = self._tls.sealed(data)
        send_all(self._sock, data, time.monotonic() + timeout_s)

    def poll(self) -> None:
        """Reads what has arrived already, for one who is about to give up waiting."""
        if self.alive:
            (self._readable if self._tls is None else self._readable_tls)()

    def close(self, *, abruptly: bool = False) -> None:
        """Closes once; `abruptly` resets, so that the peer knows at once that nobody listens."""
        # else its exchange, with all that it read, would stay until a collector comes
        self._on_data, self._on_end = _ignore_data, _ignore_end
        if self._fd < 0:
            return
        self._fd, self.alive = -1, False
        self._watcher.stop()  # before the descriptor can be given to another socket
        self._watcher.close()
        if abruptly:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    def _unexpected(self, at_ns: int, data: bytes | memoryview) -> None:
        self.alive = False

    def _readable(self) -> None:
        try:
            size, ancillary, _, _ = self._sock.recvmsg_into(_INTO, _ANCILLARY_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._ended(error)
            return
        if not size:
            self._ended(None)
            return
        if ancillary and self.kernel_clock:
            seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])
            at_ns = seconds * _SECOND + nanoseconds - self._offset
        else:
            at_ns = time.monotonic_ns()
        self._on_data(at_ns, _VIEW[:size])

    def _readable_tls(self) -> None:
        tls = self._tls
        assert tls is not None
        try:
            size, ancillary, _, _ = self._sock.recvmsg_into(_INTO, _ANCILLARY_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._ended(error)
            return
        if size:
            tls.incoming.write(_VIEW[:size])
        else:
            tls.incoming.write_eof()
        at_ns = time.monotonic_ns()
        if ancillary and self.kernel_clock:
            seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])
            at_ns = seconds * _SECOND + nanoseconds - self._offset
        parts = []
        ending: Exception | None = None
        ended = False
        try:
            while part := tls.session.read(READ_SIZE):
                parts.append(part)
            ended = True  # a close_notify
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            ended = True
        except ssl.SSLError as error:
            ended, ending = True, error
        if tls.outgoing.pending:  # a key update or a close_notify; losing it harms nobody
            _send_now(self._sock, tls.outgoing.read())
        if parts:
            self._on_data(at_ns, b"".join(parts))
        if ended or not size:
            self._ended(ending)

    def _ended(self, error: Exception | None) -> None:
        self.alive = False
        if self._fd >= 0:
            self._watcher.stop()
        self._on_end(error)


def _ignore_data(at_ns: int, data: bytes | memoryview) -> None: ...


def _ignore_end(error: Exception | None) -> None: ...


def _asks_for_timestamps(sock: Any) -> bool:
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        return False
    return True


def _send_now(sock: Any, data: bytes) -> None:
    try:
        sock.send(data)
    except OSError:
        return
