"""Carries out reply plans on a connection, write by write. Knows HTTP/1.1 framing, not what bytes mean."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from http import HTTPStatus

from aiohttp import web

from .reply import Ending, Frame, Framing, Reply
from .truth import Write

_HANG_S = 120.0  # longest silence of a plan that ends in one: no client waits that long
_LINGER_NONE = struct.pack("ii", 1, 0)  # close sends a reset instead of an orderly end


@dataclass(slots=True)
class Sending:
    """How far a reply came; filled while it is sent, so that it is true whenever the client leaves."""

    head_ns: int | None = None
    writes: list[Write] = field(default_factory=list)
    tokens: int = 0
    ending: str = "client_left"


class Sent(web.StreamResponse):
    """Tells aiohttp that the answer is on its way already, and whether the connection goes on."""

    def __init__(self, keep_alive: bool) -> None:
        super().__init__()
        self._goes_on = keep_alive

    async def prepare(self, request: web.BaseRequest) -> None:
        """Nothing is left to write."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to write."""

    @property
    def keep_alive(self) -> bool:
        """Whether the connection may carry another request."""
        return self._goes_on


async def send(
    request: web.BaseRequest, reply: Reply, sending: Sending, before: Callable[[Frame, bool], None]
) -> Sent:
    """Writes a reply; `before` is called with each frame just before it goes out, and whether it is the last.

    Raises ConnectionResetError, or is cancelled, when the client is gone.
    """
    bodiless = request.method == "HEAD"
    chunked = reply.framing is Framing.CHUNKED and request.version >= (1, 1)
    framed = chunked or reply.framing is Framing.LENGTH  # older clients see a stream end with the connection
    keep = request.keep_alive and framed and reply.ending in (Ending.WHOLE, Ending.DEAF)
    frames = () if bodiless else reply.frames
    due = time.monotonic_ns()
    if frames and reply.framing is Framing.LENGTH:  # a body of known length comes at once with its head
        due = await _until(due + frames[0].after_ns)
        frames = (replace(frames[0], after_ns=0), *frames[1:])
    pending = _head(reply, chunked=chunked, keep_alive=keep)
    sending.head_ns = time.monotonic_ns()
    if reply.framing is Framing.CHUNKED:
        _write(request, pending)
        pending = b""
    position = 0
    for index, frame in enumerate(frames, start=1):
        due = await _until(due + frame.after_ns)
        if reply.breaks_off():
            reply = replace(reply, ending=Ending.CUT)
            break
        before(frame, index == len(frames))
        size = len(frame.data)
        if size:
            now = time.monotonic_ns()
            _write(request, pending + (b"%x\r\n%b\r\n" % (size, frame.data) if chunked else frame.data))
            pending = b""
            sending.writes.append(Write(now, position, position + size, frame.carries))
        sending.tokens += frame.tokens
        position += size
    _write(request, pending)
    await _end(_transport(request), reply, chunked and not bodiless)
    sending.ending = "finished" if reply.ending is Ending.WHOLE else reply.ending.value
    if reply.ending is Ending.DEAF:
        await asyncio.sleep(_HANG_S)
    return Sent(keep)


def _write(request: web.BaseRequest, data: bytes) -> None:
    transport = _transport(request)
    if transport.is_closing():
        raise ConnectionResetError("the client is gone")
    transport.write(data)


async def _end(transport: asyncio.Transport, reply: Reply, chunked: bool) -> None:
    match reply.ending:
        case Ending.RESET:
            connection: socket.socket = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
            transport.abort()
        case Ending.CUT:
            transport.close()
        case Ending.HANG:
            await asyncio.sleep(_HANG_S)
            transport.abort()
        case _:
            transport.write((b"0\r\n\r\n" if chunked else b"") + reply.afterwards)


async def _until(due_ns: int) -> int:
    """Sleeps until an instant and gives it back, so that lateness of one write does not move the next."""
    rest = due_ns - time.monotonic_ns()
    if rest > 0:
        await asyncio.sleep(rest / 1e9)
    return due_ns


def _transport(request: web.BaseRequest) -> asyncio.Transport:
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client is gone")
    return transport


def _head(reply: Reply, *, chunked: bool, keep_alive: bool) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} {_reason(reply.status)}", f"Date: {formatdate(usegmt=True)}"]
    lines += [f"{name}: {value}" for name, value in reply.headers]
    if chunked:
        lines.append("Transfer-Encoding: chunked")
    elif reply.framing is Framing.LENGTH:
        announced = len(reply.body) + (1 if reply.ending in (Ending.CUT, Ending.RESET, Ending.HANG) else 0)
        lines.append(f"Content-Length: {announced}")
    if not keep_alive:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
