"""A server that is nothing but a socket and a script: what to write, how long to wait, how to end. Knows no HTTP."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

RESET = "reset"
CLOSE = "close"
Step = bytes | float | str  # bytes to write, seconds to wait, or one of the two ends


@dataclass(slots=True)
class Peer:
    """A listening socket, and what each connection has sent to it."""

    port: int
    heard: list[bytes] = field(default_factory=list)

    @property
    def root(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def peer(*scripts: Sequence[Step], tls: ssl.SSLContext | None = None) -> Iterator[Peer]:
    """Play a script to each connection in turn, after its first request; the last one to all that come later.

    After a script without an end the connection stays open until the client leaves; a request that comes before that is
    answered with the script again.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    stopped = threading.Event()
    server = Peer(listening.getsockname()[1])
    threads: list[threading.Thread] = []

    def play(connection: socket.socket, script: Sequence[Step]) -> None:
        with suppress(OSError):
            spoken = tls.wrap_socket(connection, server_side=True) if tls else connection
            while data := spoken.recv(1 << 20):
                server.heard.append(data)
                for step in script:
                    if isinstance(step, bytes):
                        spoken.sendall(step)
                    elif isinstance(step, float):
                        stopped.wait(step)
                    else:
                        if step == RESET:
                            spoken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        spoken.close()
                        return
        connection.close()

    def accept() -> None:
        count = 0
        while not stopped.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            script = scripts[min(count, len(scripts) - 1)]
            count += 1
            threads.append(threading.Thread(target=play, args=(connection, script), daemon=True))
            threads[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield server
    finally:
        stopped.set()
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        accepting.join(5)
        deadline = time.monotonic() + 5
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
