"""The canary: a tiny paced stream in a process of its own, whose tokens say when they were sent.

It knows nothing of any target. A load worker reads it with the same engine as its load, all the while: what the
engine then reads too late is the client's lateness, whatever the target does. `python -m chatproof.swarm.worker.canary`
prints its port and ends when its standard input closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time

GAP_S = 0.02  # as fast as a common model's tokens
TOKENS = 250  # then the stream ends and the next request starts another
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(content: str) -> bytes:
    """One event with this content, as a chunk of the transfer."""
    event = b'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n' % content.encode()
    return b"%x\r\n%s\r\n" % (len(event), event)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, EOFError, asyncio.LimitOverrunError, asyncio.CancelledError):
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(_HEAD)
            for _ in range(TOKENS):
                await asyncio.sleep(GAP_S)
                writer.write(chunk(f"{time.monotonic_ns()} "))
                await writer.drain()
            writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
    writer.close()


async def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the load; its end closes our standard input
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    stdin = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    await stdin.read()
    server.close()


if __name__ == "__main__":
    asyncio.run(_main())
