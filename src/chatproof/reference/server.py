"""The reference as a process: a listening socket on loopback, one event loop, an orderly end."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from aiohttp import web

from .app import Gateway, refusal_of_bad_http
from .latency import Latency
from .truth import TruthLog

_HEADER_LIMIT = 64 * 1024
_SILENT = logging.getLogger(f"{__name__}.silent")
_SILENT.disabled = True  # a line per request would cost more than the request


class _Connection(web.RequestHandler):
    """A connection whose every answer is the gateway's, those to bad HTTP too."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The envelope instead of aiohttp's page."""
        return refusal_of_bad_http(status, exc)


class _Server(web.Server):
    """aiohttp's low-level server with our connections; a handler ends as soon as its client leaves."""

    def __call__(self) -> web.RequestHandler:
        """The protocol of one new connection."""
        return _Connection(
            self,
            loop=asyncio.get_running_loop(),
            access_log=_SILENT,
            max_line_size=_HEADER_LIMIT,
            max_field_size=_HEADER_LIMIT,
            max_headers=512,
        )


async def run(
    host: str,
    port: int,
    latency: Latency,
    truth_file: Path | None,
    ready: Callable[[str], object],
    stopped: Callable[[asyncio.Event], object],
) -> None:
    """Serves until the event given to `stopped` is set; `ready` gets the root URL."""
    stop = asyncio.Event()
    file = truth_file.open("ab") if truth_file is not None else None
    try:
        handler = Gateway(latency, TruthLog(file))
        loop = asyncio.get_running_loop()
        server = _Server(handler, handler_cancellation=True)
        listening = await loop.create_server(server, host, port, backlog=4096)
        stopped(stop)
        ready(_root(listening.sockets[0]))
        await stop.wait()
        listening.close()
        await server.shutdown(0.2)
    finally:
        if file is not None:
            file.close()


def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    latency: Latency | None = None,
    truth_file: Path | None = None,
    ready: Callable[[str], object] = print,
    until_stdin_closes: bool = False,
) -> None:
    """Serves until interrupted, terminated, or (if asked) standard input ends; `ready` gets the root URL.

    Raises OSError where the address cannot be had.
    """

    def stopped(stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        if until_stdin_closes:
            loop.add_reader(sys.stdin.fileno(), _read_until_end, loop, stop)

    gc.freeze()  # what was imported lives as long as the process: no need to look at it again
    with suppress(KeyboardInterrupt):
        asyncio.run(run(host, port, latency or Latency(), truth_file, ready, stopped))


def _read_until_end(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        loop.remove_reader(sys.stdin.fileno())
        stop.set()


def _root(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
