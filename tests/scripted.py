"""A server on loopback that answers what a function says: for clients that must meet something odd."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Heard:
    """One request as the server saw it."""

    method: str
    path: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    at_ns: int


@dataclass(frozen=True, slots=True)
class Said:
    """One answer; JSON unless it is bytes."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Server:
    """A running server, and all that it has heard."""

    root: str
    heard: list[Heard]


@contextmanager
def scripted(answer: Callable[[Heard], Said], tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Serve `answer` for the time of a block."""
    heard: list[Heard] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(length)
            request = Heard(self.command, self.path, headers, body, time.monotonic_ns())
            heard.append(request)
            said = answer(request)
            content = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
            self.send_response(said.status)
            for name, value in {"Content-Type": "application/json", **said.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def __getattr__(self, name: str) -> Callable[[], None]:
            """Answer every method alike; the base class looks for `do_GET` and so on."""
            if name.startswith("do_"):
                return self.answer
            raise AttributeError(name)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    class Quiet(ThreadingHTTPServer):
        request_queue_size = 64

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing of a client that went away or spoke no TLS."""

    with Quiet(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield Server(f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_port}", heard)
        finally:
            server.shutdown()
            thread.join()
