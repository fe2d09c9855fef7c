"""Servers that are not the reference: raw sockets in threads, each doing exactly what a test scripted."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Handler = Callable[[socket.socket], None]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Request-Id: r\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(content: str | None = None, **more: object) -> bytes:
    """One chunk event; without content an empty delta."""
    delta = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": more.pop("finish", None)}
    fields = {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1760000000,
        "model": "m",
        "choices": [choice],
    }
    return b"data: " + json.dumps({**fields, **more}).encode() + b"\n\n"


def whole_stream(*contents: str) -> bytes:
    """A complete stream's body."""
    return b"".join(map(event, contents)) + event(finish="stop") + b"data: [DONE]\n\n"


def request(sock: socket.socket) -> bytes:
    """Reads one request with its body; b"" where the client has left."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = sock.recv(65536)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    size = next(
        (
            int(v)
            for k, _, v in (x.partition(b":") for x in head.split(b"\r\n"))
            if k.lower() == b"content-length"
        ),
        0,
    )
    while len(body) < size:
        body += sock.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def serving(handler: Handler, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server for the time of a block; each connection gets a thread that runs the handler. The port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, 0))
    listener.listen(512)

    def one(sock: socket.socket) -> None:
        try:
            if tls is not None:
                sock = tls.wrap_socket(sock, server_side=True)
            handler(sock)
        except OSError:
            pass  # the client left: a test's affair, not the server's
        finally:
            sock.close()

    def accept() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=one, args=(sock,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(2)


def reset(sock: socket.socket) -> None:
    """Resets the connection."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


def paced(sent: list[int], *, ttft_s: float, gap_s: float, tokens: int) -> Handler:
    """A handler of kept connections that notes when it sent each first content."""

    def handle(sock: socket.socket) -> None:
        while request(sock):
            sock.sendall(CHUNKED + chunk(event(role="assistant")))
            time.sleep(ttft_s)
            for number in range(tokens):
                at = time.monotonic_ns()
                sock.sendall(chunk(event("x")))
                if not number:
                    sent.append(at)
                time.sleep(gap_s)
            sock.sendall(chunk(event(finish="stop") + b"data: [DONE]\n\n") + b"0\r\n\r\n")

    return handle


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context with a certificate for 127.0.0.1 made on the spot, and the file to trust it by."""
    import subprocess

    key, cert = folder / "key.pem", folder / "cert.pem"
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    subject = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*words.split(), *subject], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, cert
