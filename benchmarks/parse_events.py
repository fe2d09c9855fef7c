"""Events a second through our parser and through httpx-sse, on one core, side by side; needs no server.

    python benchmarks/parse_events.py [--events 50000] [--repeat 5]

Each row is one way to cut the same body into reads, each figure the best of the repeats: what disturbs a
run only ever slows it. httpx-sse gets its reads through a ready `httpx.Response`: no socket, no HTTP work.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence

import httpx
from httpx_sse import EventSource

from chatproof.sse import Parser

EVENT = (
    b'data: {"id":"chatcmpl-0123456789abcdefghijklmn","object":"chat.completion.chunk","created":1750000000,'
    b'"model":"a-model","choices":[{"index":0,"delta":{"content":" hello"},"finish_reason":null}]}\n\n'
)


def ours(reads: Sequence[bytes]) -> int:
    """How many events our parser makes of the reads."""
    parser = Parser()
    return sum(len(parser.feed(read, 0)) for read in reads) + len(parser.close())


def httpx_sse(reads: Sequence[bytes]) -> int:
    """How many events httpx-sse makes of the reads."""
    response = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=iter(reads))
    return sum(1 for _ in EventSource(response).iter_sse())


def pieces(body: bytes, size: int) -> Iterator[bytes]:
    """The body in reads of a size."""
    return (body[at : at + size] for at in range(0, len(body), size))


def rate(parse: Callable[[Sequence[bytes]], int], reads: Sequence[bytes], events: int, repeat: int) -> float:
    """Events a second, the best of the repeats."""
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        found = parse(reads)
        best = min(best, time.perf_counter() - start)
        if found != events:
            raise SystemExit(f"{parse.__name__} found {found} events of {events}")
    return events / best


def main() -> None:
    """Prints one row for each way to cut the body."""
    options = argparse.ArgumentParser(description="Events a second: our event-stream parser and httpx-sse.")
    options.add_argument("--events", type=int, default=50_000)
    options.add_argument("--repeat", type=int, default=5)
    args = options.parse_args()
    n = args.events
    body = EVENT * n
    cases = {
        "one event a read": [EVENT] * n,
        "64 KiB a read": list(pieces(body, 1 << 16)),
        "4 KiB a read": list(pieces(body, 1 << 12)),
        "CRLF, one event a read": [EVENT.replace(b"\n", b"\r\n")] * n,
        "no space, one event a read": [EVENT.replace(b"data: ", b"data:")] * n,
    }
    print(f"{n} events of {len(EVENT)} bytes, best of {args.repeat}")
    print(f"{'':28}{'ours, events/s':>16}{'us/event':>10}{'httpx-sse, events/s':>21}{'ratio':>8}")
    for name, reads in cases.items():
        mine, other = rate(ours, reads, n, args.repeat), rate(httpx_sse, reads, n, args.repeat)
        print(f"{name:28}{mine:16,.0f}{1e6 / mine:10.2f}{other:21,.0f}{mine / other:7.1f}x")


if __name__ == "__main__":
    main()
