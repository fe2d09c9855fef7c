"""Getting a connection: names, addresses, the TCP connect and the TLS handshake, each within its time.

Blocks the calling greenlet only. Knows nothing of what goes over the connection.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
import time
from typing import Any

from gevent import monkey
from gevent import socket as waiting

from chatproof.swarm.client.endpoint import Address, Endpoint, addresses

RawSocket: Any = monkey.get_original("socket", "socket")
READ_SIZE = 65536
_RESOLVED_FOR_NS = 10_000_000_000


class ConnectError(OSError):
    """No connection: name, address, TLS; the message names which."""


class ConnectTimeoutError(ConnectError):
    """No connection in time."""


class Resolver:
    """Names to addresses, remembered for ten seconds, so that a thousand users do not ask a thousand times."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[int, list[Address]]] = {}

    def resolve(self, host: str, port: int) -> list[Address]:
        """The addresses of a host, families in turn; ConnectError where there are none."""
        now = time.monotonic_ns()
        until, found = self._known.get((host, port), (0, []))
        if now < until:
            return found
        try:
            found = addresses(waiting.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            raise ConnectError(f"the name {host} does not resolve: {error.strerror}") from None
        self._known[host, port] = (now + _RESOLVED_FOR_NS, found)
        return found


class Tls:
    """A TLS session over memory BIOs: the socket is read by whoever wants to know when."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.session = context.wrap_bio(self.incoming, self.outgoing, server_hostname=host)

    def sealed(self, data: bytes) -> bytes:
        """The bytes to send for this data."""
        self.session.write(data)
        return self.outgoing.read()

    def shake_hands(self, sock: Any, deadline: float) -> None:
        """The handshake, blocking only this greenlet; ConnectError where it fails."""
        try:
            while not self._advanced(sock, deadline):
                waiting.wait_read(sock.fileno(), timeout=max(deadline - time.monotonic(), 0.001))
                data = sock.recv(READ_SIZE)
                if data:
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()
        except TimeoutError:
            raise ConnectTimeoutError("the TLS handshake did not end in time") from None
        except ssl.SSLCertVerificationError as error:
            raise ConnectError(
                f"the certificate is not trusted: {error.verify_message}; see ca_file"
            ) from None
        except OSError as error:
            raise ConnectError(f"the TLS handshake failed: {error.strerror or error}") from None

    def _advanced(self, sock: Any, deadline: float) -> bool:
        try:
            self.session.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            done = False
        if self.outgoing.pending:
            send_all(sock, self.outgoing.read(), deadline)
        return done


def connected(endpoint: Endpoint, found: list[Address], deadline: float) -> Any:
    """A connected socket that does not block, by the first address that answers; ConnectError where none does."""
    problem = "no address"
    timed_out = False
    for position, (family, address) in enumerate(found):
        left = (deadline - time.monotonic()) / (len(found) - position)
        try:
            sock = RawSocket(family, socket.SOCK_STREAM)
        except OSError as error:  # this machine has no such family
            problem = error.strerror or str(error)
            continue
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = sock.connect_ex(address)
        try:
            if code in (errno.EINPROGRESS, errno.EWOULDBLOCK):
                waiting.wait_write(sock.fileno(), timeout=max(left, 0.001))
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        except TimeoutError:
            sock.close()
            problem, timed_out = "no answer", True
            continue
        except BaseException:
            sock.close()
            raise
        if code == 0:
            return sock
        sock.close()
        problem, timed_out = os.strerror(code), False
    kind = ConnectTimeoutError if timed_out else ConnectError
    raise kind(f"cannot connect to {endpoint.authority}: {problem}")


def send_all(sock: Any, data: bytes, deadline: float) -> None:
    """Hands all of `data` to the kernel by the deadline; TimeoutError where it does not take it."""
    left = memoryview(data)
    while left:
        try:
            left = left[sock.send(left) :]
        except (BlockingIOError, InterruptedError):
            waiting.wait_write(sock.fileno(), timeout=max(deadline - time.monotonic(), 0.001))
