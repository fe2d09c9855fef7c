"""One exchange on a bare socket: for requests that an HTTP client would repair or refuse to send."""

from __future__ import annotations

import socket
import ssl
import time
from urllib.parse import urlsplit

import h11

from chatproof.record import Exchange, Read, Request, Tag, Transfer
from chatproof.wire.lateness import Lateness
from chatproof.wire.line import NS, Limits, Route

RECEIVE = 65536


def head_of(request: Request) -> bytes:
    """The request's head, each value as its UTF-8 bytes, unchecked; `Host`, length and `Connection: close` added."""
    address = urlsplit(request.url)
    lines = [f"{request.method} {address.path or '/'} HTTP/1.1", f"Host: {address.netloc}"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    lines += [f"Content-Length: {len(request.body)}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def exchange(route: Route, tag: Tag, request: Request, limits: Limits, lateness: Lateness) -> Exchange:
    """Send the request as it stands and take the response by h11's rules."""
    wall_ns, started_ns = time.time_ns(), time.monotonic_ns()
    deadline_ns = started_ns + int(limits.whole_s * NS)
    reads: list[Read] = []
    head: h11.Response | None = None
    connected_ns = sent_ns = headers_ns = None
    transfer, detail = Transfer.CUT, "closed before the response ended"
    closed = False
    parser = h11.Connection(our_role=h11.CLIENT)
    parser.send(
        h11.Request(method=request.method, target="/", headers=[("Host", "-"), ("Connection", "close")])
    )
    parser.send(h11.EndOfMessage())
    try:
        with _connect(route, limits) as connection:
            connected_ns = time.monotonic_ns()
            connection.sendall(head_of(request) + request.body)
            sent_ns = time.monotonic_ns()
            while True:
                event = parser.next_event()
                if event is h11.NEED_DATA:
                    left = (deadline_ns - time.monotonic_ns()) / NS
                    if left <= 0:
                        raise TimeoutError
                    connection.settimeout(left)
                    data = connection.recv(RECEIVE)
                    closed = not data
                    parser.receive_data(data)
                elif isinstance(event, h11.Response):
                    head, headers_ns = event, time.monotonic_ns()
                elif isinstance(event, h11.Data):
                    reads.append(Read(time.monotonic_ns(), bytes(event.data)))
                elif isinstance(event, h11.InformationalResponse):
                    continue
                else:
                    transfer = Transfer.WHOLE if isinstance(event, h11.EndOfMessage) else transfer
                    detail = "" if transfer is Transfer.WHOLE else detail
                    break
    except TimeoutError:
        transfer = Transfer.TIMED_OUT if connected_ns else Transfer.REFUSED
        detail = "no end of the response in time" if connected_ns else "no connection in time"
    except h11.RemoteProtocolError as error:
        if not closed:
            transfer, detail = Transfer.MALFORMED, str(error)
    except ssl.SSLError as error:
        transfer, detail = (Transfer.CUT if connected_ns else Transfer.REFUSED), str(error)
    except OSError as error:
        transfer, detail = (Transfer.RESET if connected_ns else Transfer.REFUSED), str(error)
    ended_ns = time.monotonic_ns()
    raw = head.headers.raw_items() if head else []
    return Exchange(
        tag=tag,
        request=request,
        wall_ns=wall_ns,
        started_ns=started_ns,
        connected_ns=connected_ns,
        sent_ns=sent_ns,
        headers_ns=headers_ns,
        ended_ns=ended_ns,
        http_version="HTTP/1.1" if head else "",
        status=head.status_code if head else None,
        headers=tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in raw),
        reads=tuple(reads),
        transfer=transfer,
        detail=detail,
        lateness_ns=lateness.between(started_ns, ended_ns),
    )


def _connect(route: Route, limits: Limits) -> socket.socket:
    address = urlsplit(route.url)
    port = address.port or (443 if address.scheme == "https" else 80)
    host = address.hostname or ""
    plain = socket.create_connection((host, port), limits.connect_s)
    if route.tls is None:
        return plain
    return route.tls.wrap_socket(plain, server_hostname=host)
