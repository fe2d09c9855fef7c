"""The engine against servers that behave in every way they should not: named endings, bounded time and memory."""

from __future__ import annotations

import gc
import socket
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest

from chatproof.record import Transfer
from chatproof.swarm.client.endpoint import Endpoint, EndpointError, refuse_proxy
from chatproof.swarm.client.engine import Channel, Engine
from chatproof.swarm.client.trip import Limits, Trip
from chatproof.swarm.streams.row import Collector
from chatproof.swarm.streams.stream import StreamFold
from tests.load_server import (
    CHUNKED,
    HEAD,
    Handler,
    certificate,
    chunk,
    event,
    paced,
    request,
    reset,
    serving,
    whole_stream,
)

pytestmark = pytest.mark.alone  # it measures

ASK = b"POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}"
LIMITS = Limits(connect_s=2, first_byte_s=0.4, silence_s=0.4, whole_s=1.5, body_bytes=2 << 20)


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine with short limits."""
    made = Engine(LIMITS)
    yield made
    made.close()


def once(data: bytes, after: Callable[[socket.socket], None] = lambda sock: None) -> Handler:
    """A handler that answers one request with these bytes and closes."""

    def handle(sock: socket.socket) -> None:
        request(sock)
        sock.sendall(data)
        after(sock)

    return handle


def trip_to(engine: Engine, handler: Handler, *, host: str = "127.0.0.1") -> tuple[Trip, StreamFold]:
    """One exchange with a server of its own."""
    with serving(handler, host=host) as port:
        shown = f"[{host}]" if ":" in host else host
        channel = Channel(engine, Endpoint.of(f"http://{shown}:{port}/v1"))
        fold = StreamFold()
        trip = channel.post(ASK, fold)
        fold.close()
        channel.close()
    return trip, fold


BODY = whole_stream("a", "b")
GOOD = {
    "chunked": CHUNKED + chunk(BODY) + b"0\r\n\r\n",
    "chunked with trailers": CHUNKED + chunk(BODY) + b"0\r\nX-Cost: 1\r\n\r\n",
    "announced length": HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY,
    "until closed": HEAD + b"\r\n" + BODY,
    "connection close": HEAD + b"Connection: close\r\n\r\n" + BODY,
    "HTTP/1.0": HEAD.replace(b"1.1", b"1.0") + b"\r\n" + BODY,
    "100-continue": b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED + chunk(BODY) + b"0\r\n\r\n",
    "103 early hints": b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
    + CHUNKED
    + chunk(BODY)
    + b"0\r\n\r\n",
}


@pytest.mark.parametrize("name", GOOD)
def test_every_legal_framing_ends_whole(engine: Engine, name: str) -> None:
    """Each way HTTP has to end a body is known."""
    trip, fold = trip_to(engine, once(GOOD[name]))

    assert (trip.transfer, trip.status) == (Transfer.WHOLE, 200)
    assert (fold.content_events, fold.dones, fold.events) == (2, 1, 4)


@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_bytes_may_be_split_anywhere(engine: Engine, step: int) -> None:
    """Head, chunk sizes, events and characters may come in pieces of any size."""
    body = whole_stream("ä", "🌍", "b")
    data = CHUNKED + b"".join(chunk(body[i : i + 5]) for i in range(0, len(body), 5)) + b"0\r\n\r\n"

    def dribble(sock: socket.socket) -> None:
        request(sock)
        for i in range(0, len(data), step):
            sock.sendall(data[i : i + step])

    trip, fold = trip_to(engine, dribble)

    assert trip.transfer is Transfer.WHOLE
    assert (fold.text, fold.content_events) == ("ä🌍b", 3)


def hang(sock: socket.socket) -> None:
    """Keeps the connection open and says nothing more."""
    sock.settimeout(5)
    sock.recv(1)


def dribbling(sock: socket.socket) -> None:
    """A byte at a time, forever."""
    for _ in range(100):
        sock.sendall(chunk(b"d"))
        time.sleep(0.1)


def flooding(sock: socket.socket) -> None:
    """Events without end."""
    while True:
        sock.sendall(chunk(event("x") * 200))


def one_huge_event(sock: socket.socket) -> None:
    """An event of 100 MB."""
    sock.sendall(chunk(b'data: {"choices":[{"delta":{"content":"'))
    for _ in range(100):
        sock.sendall(chunk(b"x" * (1 << 20)))


BAD: dict[str, tuple[Handler, Transfer, str]] = {
    "never answers": (once(b"", hang), Transfer.TIMED_OUT, "no answer"),
    "half a head": (once(b"HTTP/1.1 200 OK\r\nContent-", hang), Transfer.TIMED_OUT, "no answer"),
    "closes at once": (once(b""), Transfer.CUT, "before any answer"),
    "silent after the head": (once(CHUNKED, hang), Transfer.STALLED, "silent"),
    "silent in the stream": (once(CHUNKED + chunk(event("a")), hang), Transfer.STALLED, "silent"),
    "one byte at a time": (once(CHUNKED, dribbling), Transfer.TIMED_OUT, "longer than 1.5 s"),
    "without end": (once(CHUNKED, flooding), Transfer.CAPPED, "bytes of body"),
    "an event of 100 MB": (once(CHUNKED, one_huge_event), Transfer.CAPPED, ""),
    "reset": (once(CHUNKED + chunk(event("a")), reset), Transfer.RESET, "reset"),
    "cut": (once(CHUNKED + chunk(event("a"))), Transfer.CUT, "announced end"),
    "shorter than announced": (
        once(HEAD + b"Content-Length: 9999\r\n\r\n" + BODY),
        Transfer.CUT,
        "announced end",
    ),
    "no HTTP": (once(b"SSH-2.0-OpenSSH_9.2\r\n"), Transfer.MALFORMED, ""),
    "bad chunk size": (once(CHUNKED + b"zz\r\n" + BODY), Transfer.MALFORMED, ""),
    "endless headers": (
        once(b"HTTP/1.1 200 OK\r\n" + b"X: yyyyyyyyyy\r\n" * 20000),
        Transfer.MALFORMED,
        "headers",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_every_bad_target_has_a_named_ending_in_time(engine: Engine, name: str) -> None:
    """Whatever a target does, the exchange ends within its limits under the right name, and memory is bounded."""
    handler, transfer, said = BAD[name]
    started = time.monotonic()

    trip, _fold = trip_to(engine, handler)

    assert trip.transfer is transfer
    assert said in trip.detail
    assert time.monotonic() - started < LIMITS.whole_s + 1
    assert trip.body_bytes <= LIMITS.body_bytes + (1 << 20)


def test_longer_than_announced_is_whole_but_ends_the_connection(engine: Engine) -> None:
    """What follows the announced end belongs to no answer, and the connection is not used again."""
    connections = []

    def lying(sock: socket.socket) -> None:
        connections.append(sock)
        while request(sock):
            sock.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY + b"data: more\n\n")

    with serving(lying) as port:
        channel = Channel(engine, Endpoint.of(f"http://127.0.0.1:{port}/v1"))
        transfers = [channel.post(ASK, StreamFold()).transfer for _ in range(2)]
        channel.close()

    assert transfers == [Transfer.WHOLE, Transfer.WHOLE]
    assert len(connections) == 2


def test_a_kept_connection_is_used_again_and_its_trip_says_so(engine: Engine) -> None:
    """Keep-alive: the second trip has no connect time of its own."""

    def keeping(sock: socket.socket) -> None:
        while request(sock):
            sock.sendall(GOOD["chunked"])

    with serving(keeping) as port:
        channel = Channel(engine, Endpoint.of(f"http://127.0.0.1:{port}/v1"))
        trips = [channel.post(ASK, StreamFold()) for _ in range(3)]
        channel.close()

    assert [trip.reused for trip in trips] == [False, True, True]
    assert [trip.connected_ns is None for trip in trips] == [False, True, True]


def test_a_connection_that_the_server_closed_meanwhile_is_not_used(engine: Engine) -> None:
    """An idle connection that was closed is noticed before the next request goes out."""
    with serving(once(GOOD["chunked"])) as port:
        channel = Channel(engine, Endpoint.of(f"http://127.0.0.1:{port}/v1"))
        first = channel.post(ASK, StreamFold())
        gevent.sleep(0.1)
        second = channel.post(ASK, StreamFold())
        channel.close()

    assert [first.transfer, second.transfer] == [Transfer.WHOLE, Transfer.WHOLE]
    assert not second.reused


def test_a_connection_that_is_closed_under_a_request_is_replaced_once(engine: Engine) -> None:
    """A server that closes what it said it keeps costs time, not the answer; the trip says so and goes on counting."""
    requests: list[bytes] = []

    def broken_promise(sock: socket.socket) -> None:
        requests.append(request(sock))
        sock.sendall(GOOD["chunked"])
        requests.append(request(sock))
        time.sleep(0.05)

    with serving(broken_promise) as port:
        channel = Channel(engine, Endpoint.of(f"http://127.0.0.1:{port}/v1"))
        first, second = (channel.post(ASK, StreamFold()) for _ in range(2))
        channel.close()

    assert [first.transfer, second.transfer] == [Transfer.WHOLE, Transfer.WHOLE]
    assert (second.reconnected, second.reused, len([told for told in requests if told])) == (True, False, 3)
    assert second.connected_ns is not None
    assert second.connected_ns - second.started_ns > 40_000_000


def test_a_server_that_answers_nothing_is_asked_once(engine: Engine) -> None:
    """On a new connection a close without an answer is the target's cut; so is one after the answer began."""
    requests: list[bytes] = []

    def silent(sock: socket.socket) -> None:
        requests.append(request(sock))

    def half(sock: socket.socket) -> None:
        requests.append(request(sock))
        sock.sendall(GOOD["chunked"])
        requests.append(request(sock))
        sock.sendall(GOOD["chunked"][:20])

    trips = []
    for handler, posts in ((silent, 1), (half, 2)):
        with serving(handler) as port:
            channel = Channel(engine, Endpoint.of(f"http://127.0.0.1:{port}/v1"))
            trips += [channel.post(ASK, StreamFold()) for _ in range(posts)]
            channel.close()

    assert [trip.transfer for trip in trips] == [Transfer.CUT, Transfer.WHOLE, Transfer.CUT]
    assert not any(trip.reconnected for trip in trips)
    assert len(requests) == 3


def test_nobody_listening_is_refused_with_the_reason(engine: Engine) -> None:
    """A refused connection is an ending, not an exception."""
    with serving(lambda sock: None) as port:
        pass
    trip = Channel(engine, Endpoint.of(f"http://127.0.0.1:{port}/v1")).post(ASK, StreamFold())

    assert trip.transfer is Transfer.REFUSED
    assert "refused" in trip.detail.lower()


def test_a_name_that_does_not_resolve_is_refused_with_the_reason(engine: Engine) -> None:
    """So is a name without an address."""
    trip = Channel(engine, Endpoint.of("http://nowhere.invalid/v1")).post(ASK, StreamFold())

    assert trip.transfer is Transfer.REFUSED
    assert "nowhere.invalid does not resolve" in trip.detail


def test_ipv6(engine: Engine) -> None:
    """A bracketed address goes over IPv6."""
    trip, fold = trip_to(engine, once(GOOD["chunked"]), host="::1")

    assert (trip.transfer, fold.dones) == (Transfer.WHOLE, 1)


def test_tls_is_timed_apart_and_ends_are_told_apart(engine: Engine, tmp_path: Path) -> None:
    """Over TLS the handshake has its own instant, and an end without close_notify is a cut, not an end."""
    context, cert = certificate(tmp_path)
    endings = {"orderly": True, "truncated": False}
    seen = {}
    for name, orderly in endings.items():

        def handle(sock: socket.socket, orderly: bool = orderly) -> None:
            request(sock)
            sock.sendall(GOOD["until closed"])
            if orderly:
                sock.unwrap()  # type: ignore[attr-defined]

        with serving(handle, tls=context) as port:
            channel = Channel(engine, Endpoint.of(f"https://127.0.0.1:{port}/v1", ca_file=str(cert)))
            fold = StreamFold()
            seen[name] = channel.post(ASK, fold)
            fold.close()
            assert fold.dones == 1

    assert [seen[name].transfer for name in endings] == [Transfer.WHOLE, Transfer.CUT]
    trip = seen["orderly"]
    assert trip.secured_ns is not None
    assert trip.connected_ns is not None
    assert trip.started_ns < trip.connected_ns < trip.secured_ns
    assert trip.sent_ns is not None
    assert trip.secured_ns < trip.sent_ns


def test_an_untrusted_certificate_is_refused_with_the_way_out(engine: Engine, tmp_path: Path) -> None:
    """A certificate nobody vouches for is no connection."""
    context, _ = certificate(tmp_path)
    with serving(once(GOOD["chunked"]), tls=context) as port:
        trip = Channel(engine, Endpoint.of(f"https://127.0.0.1:{port}/v1")).post(ASK, StreamFold())

    assert trip.transfer is Transfer.REFUSED
    assert "not trusted" in trip.detail


def test_what_a_sink_raises_is_raised_where_the_user_waits(engine: Engine) -> None:
    """No exception of a hub callback is lost."""

    class Broken:
        def coded(self, coding: str) -> None: ...

        def feed(self, at_ns: int, block: bytes) -> None:
            raise ZeroDivisionError("in the hub")

    with serving(once(GOOD["chunked"])) as port:
        channel = Channel(engine, Endpoint.of(f"http://127.0.0.1:{port}/v1"))
        with pytest.raises(ZeroDivisionError, match="in the hub"):
            channel.post(ASK, Broken())

    assert not engine.running


@pytest.mark.parametrize("name", ["chunked", "connection close", "until closed"])
def test_what_an_answer_left_is_let_go_without_a_collector(engine: Engine, name: str) -> None:
    """Nothing refers to itself in a circle: under load no collection would come, and each stream would stay."""
    gc.collect()
    gc.disable()
    try:
        with serving(once(GOOD[name])) as port:
            channel = Channel(engine, Endpoint.of(f"http://127.0.0.1:{port}/v1"))
            sink = Collector(StreamFold())
            channel.post(ASK, sink)
            channel.close()
            left = weakref.ref(sink)
            del sink

            assert left() is None
    finally:
        gc.enable()


def test_hanging_up_resets_the_connection_at_once(engine: Engine) -> None:
    """A client that leaves is seen to leave by the server."""
    seen = []

    def watching(sock: socket.socket) -> None:
        request(sock)
        sock.sendall(CHUNKED + chunk(event("a")) + chunk(event("b")))
        sock.settimeout(2)
        try:
            seen.append(sock.recv(1))
        except ConnectionResetError:
            seen.append(b"reset")

    with serving(watching) as port:
        fold = StreamFold(leave_after=2)
        trip = Channel(engine, Endpoint.of(f"http://127.0.0.1:{port}/v1")).post(ASK, fold)
        time.sleep(0.1)

    assert trip.transfer is Transfer.LEFT
    assert seen == [b"reset"]


def test_first_content_is_stamped_when_it_came_however_late_the_client_is(engine: Engine) -> None:
    """With kernel times a client that is kept busy for 30 ms after each send still tells the truth within a ms.

    The bound from below is strict: nothing can be read before it was sent. The token gap (40 ms) is longer than
    the delay, since merged segments take the newest time.
    """
    sent: list[int] = []
    with serving(paced(sent, ttft_s=0.02, gap_s=0.04, tokens=2)) as port:
        channel = Channel(engine, Endpoint.of(f"http://127.0.0.1:{port}/v1"))
        busy = gevent.spawn(_keep_busy)
        folds = [StreamFold() for _ in range(12)]
        trips = [channel.post(ASK, fold) for fold in folds]
        busy.kill()
        channel.close()

    errors = [
        fold.first_content_ns - at for fold, at in zip(folds, sent, strict=True) if fold.first_content_ns
    ]
    assert len(errors) == 12
    assert min(errors) >= 0
    if trips[0].kernel_clock:
        assert sorted(errors)[-3] < 2_000_000  # scheduling of the server's own thread may cost two of them


def _keep_busy() -> None:
    while True:
        until = time.monotonic() + 0.03
        while time.monotonic() < until:
            time.sleep(0.001)  # holds the hub, not the interpreter: the server's threads must run
        gevent.sleep(0.001)


@pytest.mark.parametrize(
    "url", ["ftp://h/v1", "h/v1", "http://", "http://h:99999/v1", "http://user:pw@h/v1", "http://h:x/v1"]
)
def test_a_url_that_is_no_base_url_is_refused_in_one_line(url: str) -> None:
    """Mistyped URLs never become connections."""
    with pytest.raises(EndpointError) as problem:
        Endpoint.of(url)

    assert "\n" not in str(problem.value)


def test_the_environments_proxy_is_for_others_than_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS_PROXY refuses a target elsewhere before anything is sent, and says nothing of one on loopback."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:3128")

    with pytest.raises(EndpointError, match=r"through a proxy.*add api\.example to NO_PROXY"):
        Endpoint.of("https://api.example/v1")
    assert Endpoint.of("http://127.0.0.1:9/v1").host == "127.0.0.1"
    assert Endpoint.of("http://[::1]:9/v1").host == "::1"


def test_a_proxy_from_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a proxy the times would not be the target's: the line says what to do."""
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    with pytest.raises(EndpointError, match=r"add api\.example to NO_PROXY"):
        refuse_proxy("https", "api.example", {"https": "http://proxy:3128"})
    monkeypatch.setenv("no_proxy", "api.example")
    refuse_proxy("https", "api.example", {"https": "http://proxy:3128"})
