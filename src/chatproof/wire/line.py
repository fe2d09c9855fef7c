"""One connection to a target, and one exchange after another on it; records everything, judges nothing.

httpx's models above, httpcore's connection below, and between the two a network stream of our own that stamps each
socket read and keeps every deadline: connect, first byte, silence, whole exchange and bytes. Redirects are not
followed and nothing is retried here; a header that the caller does not give is not sent (but `Host` and lengths).
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import httpcore
import httpx

from chatproof.record import Exchange, Headers, Read, Request, Tag, Transfer
from chatproof.wire.lateness import Lateness

SOCKET_OPTION = httpcore.SOCKET_OPTION
NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much one exchange may take; seconds and bytes."""

    connect_s: float = 10
    whole_s: float = 60  # also the longest wait for the first byte
    silence_s: float = 20  # between two reads, once the response has begun
    body_bytes: int = 8_000_000


@dataclass(frozen=True, slots=True)
class Route:
    """How a target is reached: its origin, TLS context, and the proxy that the environment names, if any."""

    url: str
    tls: ssl.SSLContext | None = None
    proxy: str | None = None


class _Late(Exception):
    """A deadline passed; which, and after how long."""

    def __init__(self, transfer: Transfer, detail: str) -> None:
        super().__init__(detail)
        self.transfer = transfer


class _Watch:
    """The instants of the exchange under way, and the deadlines that its reads must keep."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.started_ns = time.monotonic_ns()
        self.connected_ns: int | None = None
        self.wrote_ns: int | None = None
        self.read_ns = 0
        self.begun = False

    def timeout(self) -> float:
        """Seconds that the next read may take; raises where the whole is over already."""
        left = self.limits.whole_s - (time.monotonic_ns() - self.started_ns) / NS
        if left <= 0:
            raise self.late()
        return min(left, self.limits.silence_s) if self.begun else left

    def late(self) -> _Late:
        """What to say of a read that did not come back in time."""
        spent = (time.monotonic_ns() - self.started_ns) / NS
        if not self.begun:
            return _Late(Transfer.TIMED_OUT, f"no response within {spent:.1f} s")
        if spent >= self.limits.whole_s:
            return _Late(Transfer.TIMED_OUT, f"not at its end after {spent:.1f} s")
        return _Late(Transfer.STALLED, f"silent for {self.limits.silence_s:g} s")


class _Stream(httpcore.NetworkStream):
    """A network stream that keeps the deadlines and stamps the reads of whatever exchange is under way on it."""

    def __init__(self, inner: httpcore.NetworkStream, line: Line) -> None:
        self._inner = inner
        self._line = line

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        watch = self._line.watch
        try:
            data = self._inner.read(max_bytes, watch.timeout())
        except httpcore.ReadTimeout:
            raise watch.late() from None
        watch.read_ns = time.monotonic_ns()
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._line.watch.limits.whole_s)
        self._line.watch.wrote_ns = time.monotonic_ns()

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, self._line.watch.limits.connect_s)
        self._line.watch.connected_ns = time.monotonic_ns()
        return _Stream(inner, self._line)

    def get_extra_info(self, info: str) -> object:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    """Connects with the kernel's own calls and wraps what comes."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        limit = self._line.watch.limits.connect_s
        stream = self._inner.connect_tcp(host, port, limit, local_address, socket_options)
        self._line.watch.connected_ns = time.monotonic_ns()
        return _Stream(stream, self._line)

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


_BY_ERROR: tuple[tuple[type[Exception], Transfer], ...] = (
    (httpcore.ConnectError, Transfer.REFUSED),
    (httpcore.ConnectTimeout, Transfer.REFUSED),
    (httpcore.ProxyError, Transfer.REFUSED),
    (httpcore.ReadError, Transfer.RESET),
    (httpcore.WriteError, Transfer.RESET),
    (httpcore.WriteTimeout, Transfer.TIMED_OUT),
    (httpcore.RemoteProtocolError, Transfer.MALFORMED),
)


class Line:
    """One connection, opened by its first exchange; not for use by two threads at once."""

    def __init__(self, route: Route, lateness: Lateness) -> None:
        self.watch = _Watch(Limits())
        self._route = route
        self._lateness = lateness
        self._used = False
        backend = _Backend(self)
        url = httpcore.URL(route.url)
        self._connection: httpcore.HTTPConnection | httpcore.HTTPProxy
        if route.proxy:
            self._connection = httpcore.HTTPProxy(route.proxy, ssl_context=route.tls, network_backend=backend)
        else:
            self._connection = httpcore.HTTPConnection(
                url.origin, ssl_context=route.tls, network_backend=backend
            )

    def exchange(
        self,
        tag: Tag,
        request: Request,
        limits: Limits,
        leave: Callable[[bytes], bool] | None = None,
    ) -> Exchange:
        """Send one request and take what comes until its end, a deadline, or until `leave` (given the body) says so."""
        wall_ns = time.time_ns()
        self.watch = watch = _Watch(limits)
        reused, self._used = self._used, True
        reads: list[Read] = []
        head: httpcore.Response | None = None
        headers_ns = None
        transfer, detail = Transfer.WHOLE, ""
        try:
            head = self._connection.handle_request(_core(request))
            headers_ns, watch.begun = watch.read_ns, True
            transfer, detail = self._take(head, reads, limits, leave)
        except _Late as late:
            transfer, detail = late.transfer, str(late)
        except httpcore.ConnectionNotAvailable:
            transfer, detail = Transfer.CUT, "the connection was closed"
        except tuple(kind for kind, _ in _BY_ERROR) as error:
            detail = str(error) or type(error).__name__
            transfer = _transfer(error, detail)
        finally:
            if head is not None:
                head.close()
        ended_ns = max(
            time.monotonic_ns() if transfer is not Transfer.WHOLE else watch.read_ns, watch.started_ns
        )
        return Exchange(
            tag=tag,
            request=request,
            wall_ns=wall_ns,
            started_ns=watch.started_ns,
            connected_ns=watch.connected_ns,
            sent_ns=watch.wrote_ns,
            headers_ns=headers_ns,
            ended_ns=ended_ns,
            reused=reused and watch.connected_ns is None,
            http_version=str(head.extensions.get("http_version", b""), "ascii") if head else "",
            status=head.status if head else None,
            headers=_decoded(head.headers) if head else (),
            reads=tuple(reads),
            transfer=transfer,
            detail=detail,
            lateness_ns=self._lateness.between(watch.started_ns, ended_ns),
        )

    def _take(
        self,
        head: httpcore.Response,
        reads: list[Read],
        limits: Limits,
        leave: Callable[[bytes], bool] | None,
    ) -> tuple[Transfer, str]:
        size = 0
        for data in head.iter_stream():
            size += len(data)
            at_ns = self.watch.read_ns
            if reads and reads[-1].at_ns == at_ns:
                reads[-1] = replace(reads[-1], data=reads[-1].data + data)
            else:
                reads.append(Read(at_ns, data))
            if leave is not None and leave(b"".join(read.data for read in reads)):
                return Transfer.LEFT, "hung up on purpose"
            if size > limits.body_bytes:
                return Transfer.CAPPED, f"more than {limits.body_bytes} bytes"
        return Transfer.WHOLE, ""

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _core(request: Request) -> httpcore.Request:
    """The request as httpcore sends it; httpx frames it and adds `Host` and the body's length."""
    framed = httpx.Request(
        request.method,
        request.url,
        headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers],
        content=request.body if request.body or request.method == "POST" else None,
    )
    url = framed.url
    target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    return httpcore.Request(framed.method, target, headers=framed.headers.raw, content=request.body)


def _decoded(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)


def _transfer(error: Exception, detail: str) -> Transfer:
    if isinstance(error, httpcore.RemoteProtocolError) and (
        "closed connection" in detail or "disconnected" in detail
    ):
        return Transfer.CUT
    if isinstance(error, httpcore.ReadError) and "reset" not in detail.lower():
        return Transfer.CUT
    return next(transfer for kind, transfer in _BY_ERROR if isinstance(error, kind))
