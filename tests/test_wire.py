"""The recording client over real sockets: every way an exchange can end, what is kept of it, and what is never sent."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import trustme

from chatproof.answer import Answer
from chatproof.record import Tag, Transfer
from chatproof.redact import Redactor
from chatproof.target import Target, parse_target
from chatproof.wire import Call, Gateway, OverBudget
from tests.sockets import CLOSE, RESET, Step, peer

KEY = "sk-test-4f1d0c9be7a2"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
LENGTH = OK + b"Content-Length: 5\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
HELLO = LENGTH + b"Hello"
STALL_S, WHOLE_S = 0.3, 0.9


def target(root: str, **tables: str) -> Target:
    """A target at a server's address, with short deadlines."""
    text = f'base_url = "{root}/v1"\napi_key = "{KEY}"\ntimeout_s = {WHOLE_S}\nstall_s = {STALL_S}\n'
    text += "".join(f"[{name}]\n{lines}\n" for name, lines in tables.items())
    return parse_target(text, name="test", beside=Path(), env={})


@contextmanager
def gateway(root: str, **tables: str) -> Iterator[Gateway]:
    """A gateway to a server's address, closed in the end."""
    opened = Gateway(target(root, **tables), seed=1)
    try:
        yield opened
    finally:
        opened.close()


def call(root: str, **fields: Any) -> Call:
    """A request with the key in it."""
    headers = (("Authorization", f"Bearer {KEY}"),)
    whole: Mapping[str, Any] = {"method": "GET", "url": f"{root}/v1/x", "headers": headers, **fields}
    return Call(tag=Tag("probe", "1"), **whole)


def answered(*script: Step, limit: int | None = None, **fields: Any) -> Answer:
    """What the client makes of a script."""
    with peer(script) as server, gateway(server.root) as opened:
        if limit is not None:
            opened.limits = replace(opened.limits, body_bytes=limit)
        return opened.send(call(server.root, **fields))


ENDINGS: Mapping[str, tuple[tuple[Step, ...], Transfer, int | None, bytes]] = {
    "a length": ((HELLO,), Transfer.WHOLE, 200, b"Hello"),
    "no body": ((b"HTTP/1.1 204 No Content\r\n\r\n",), Transfer.WHOLE, 204, b""),
    "chunks": ((CHUNKED, b"5\r\nHello\r\n", b"0\r\n\r\n"), Transfer.WHOLE, 200, b"Hello"),
    "an interim response": ((b"HTTP/1.1 100 Continue\r\n\r\n", HELLO), Transfer.WHOLE, 200, b"Hello"),
    "neither, and closed": ((OK + b"\r\nHello", CLOSE), Transfer.WHOLE, 200, b"Hello"),
    "closed in a length": ((LENGTH + b"Hel", CLOSE), Transfer.CUT, 200, b"Hel"),
    "closed between chunks": ((CHUNKED + b"5\r\nHello\r\n", CLOSE), Transfer.CUT, 200, b"Hello"),
    "closed in a chunk": ((CHUNKED + b"5\r\nHel", CLOSE), Transfer.CUT, 200, b"Hel"),
    "closed before the head": ((CLOSE,), Transfer.CUT, None, b""),
    "closed in the head": ((b"HTTP/1.1 200 OK\r\nCont", CLOSE), Transfer.CUT, None, b""),
    "reset in the body": ((LENGTH + b"Hel", 0.1, RESET), Transfer.RESET, 200, b"Hel"),
    "reset before the head": ((0.05, RESET), Transfer.RESET, None, b""),
    "silence before the head": ((10.0,), Transfer.TIMED_OUT, None, b""),
    "silence in the head": ((b"HTTP/1.1 200 OK\r\n", 10.0), Transfer.TIMED_OUT, None, b""),
    "silence in the body": ((LENGTH + b"Hel", 10.0), Transfer.STALLED, 200, b"Hel"),
    "silence after the last chunk but one": (
        (CHUNKED + b"5\r\nHello\r\n", 10.0),
        Transfer.STALLED,
        200,
        b"Hello",
    ),
    "not HTTP": ((b"SSH-2.0-OpenSSH_9.6\r\n\r\n", CLOSE), Transfer.MALFORMED, None, b""),
    "a broken chunk size": ((CHUNKED + b"5\r\nHello\r\nzz\r\n", 0.5), Transfer.MALFORMED, 200, b"Hello"),
}


@pytest.mark.parametrize("bare", [False, True], ids=["line", "bare"])
@pytest.mark.parametrize("how", ENDINGS)
def test_ending_is_told(how: str, bare: bool) -> None:
    """Each way a response can stop has its name, and what came before it is kept; on both kinds of connection."""
    script, transfer, status, body = ENDINGS[how]
    answer = answered(*script, bare=bare)
    if bare and transfer is Transfer.STALLED:
        transfer = Transfer.TIMED_OUT  # a bare exchange knows one deadline, for the whole

    assert (answer.exchange.transfer, answer.status, answer.body) == (transfer, status, body)
    assert bool(answer.exchange.detail) is (transfer is not Transfer.WHOLE)


def test_dripping_head_is_timed_out() -> None:
    """A head that comes byte by byte, each in good time, is not waited for longer than the whole may take."""
    began = time.monotonic()
    answer = answered(*[step for byte in OK * 4 for step in (bytes([byte]), 0.05)])

    assert answer.exchange.transfer is Transfer.TIMED_OUT
    assert answer.status is None
    assert time.monotonic() - began < 3 * WHOLE_S


def test_dripping_body_is_timed_out() -> None:
    """So is a body that never is silent for long enough to be stalled."""
    answer = answered(CHUNKED, *[step for _ in range(200) for step in (b"1\r\nx\r\n", 0.05)])

    assert answer.exchange.transfer is Transfer.TIMED_OUT
    assert answer.body.startswith(b"xxx")


@pytest.mark.parametrize("bare", [False, True], ids=["line", "bare"])
def test_nobody_listens(bare: bool) -> None:
    """A port that nobody listens on is refused: no status, no instants of a connection."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        root = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with gateway(root) as opened:
        exchange = opened.send(call(root, bare=bare)).exchange

    assert (exchange.transfer, exchange.status, exchange.connected_ns) == (Transfer.REFUSED, None, None)


def test_client_stops_at_its_limit() -> None:
    """More bytes than the limit are not read: what came is kept and marked."""
    answer = answered(CHUNKED, *[b"400\r\n" + b"x" * 1024 + b"\r\n"] * 50, 5.0, limit=10_000)

    assert answer.exchange.transfer is Transfer.CAPPED
    assert 10_000 < len(answer.body) < 60_000


def test_client_leaves_when_told_to() -> None:
    """`leave` is asked with the body so far, and ends the exchange."""
    answer = answered(CHUNKED, b"1\r\na\r\n", 0.05, b"1\r\nb\r\n", 5.0, leave=lambda body: body == b"ab")

    assert (answer.exchange.transfer, answer.body) == (Transfer.LEFT, b"ab")


@pytest.mark.parametrize("bare", [False, True], ids=["line", "bare"])
def test_reads_have_their_instants(bare: bool) -> None:
    """Pieces that came apart are reads apart; what one read brought is one read, however many chunks it holds."""
    two = b"1\r\na\r\n1\r\nb\r\n"
    exchange = answered(CHUNKED, 0.05, two, 0.1, b"1\r\nc\r\n", 0.05, b"0\r\n\r\n", bare=bare).exchange
    first, last = exchange.reads[0], exchange.reads[-1]

    assert b"".join(read.data for read in exchange.reads) == b"abc"
    assert 0.08 < (last.at_ns - first.at_ns) / 1e9 < 0.5
    assert exchange.sent_ns is not None
    assert exchange.headers_ns is not None
    assert (
        exchange.started_ns
        <= exchange.sent_ns
        <= exchange.headers_ns
        <= first.at_ns
        <= last.at_ns
        <= exchange.ended_ns
    )
    if not bare:
        assert [read.data for read in exchange.reads] == [b"ab", b"c"]


def test_nothing_is_sent_that_was_not_asked_for() -> None:
    """Only the headers that were given, `Host`, and the length of a body go out."""
    with peer((HELLO,)) as server, gateway(server.root) as opened:
        opened.send(call(server.root, method="POST", body=b"{}", headers=(("X-One", "1"),)))
    head = server.heard[0].partition(b"\r\n\r\n")[0].decode().lower().split("\r\n")

    assert head[0] == "post /v1/x http/1.1"
    assert sorted(line.partition(":")[0] for line in head[1:]) == ["content-length", "host", "x-one"]


def test_bare_head_stands_as_it_is() -> None:
    """A bare exchange sends header values that an HTTP client would refuse, as their UTF-8 bytes."""
    odd = "a\x01\x7fb-идент-🌍"
    with peer((HELLO,)) as server, gateway(server.root) as opened:
        answer = opened.send(
            call(server.root, method="POST", body=b"{}", headers=(("X-Odd", odd),), bare=True)
        )

    assert b"\r\nX-Odd: " + odd.encode() + b"\r\n" in server.heard[0]
    assert server.heard[0].endswith(b"Content-Length: 2\r\nConnection: close\r\n\r\n{}")
    assert answer.exchange.request.header("X-Odd") == odd


def test_redirect_is_not_followed() -> None:
    """A redirect is an answer: the key does not travel to where it points."""
    with peer((HELLO,)) as other, gateway(other.root) as opened:
        moved = f"HTTP/1.1 307 Moved\r\nLocation: {other.root}/v1/x\r\nContent-Length: 0\r\n\r\n".encode()
        with peer((moved,)) as server:
            answer = opened.send(call(server.root))

        assert answer.status == 307
        assert other.heard == []


def test_proxy_of_the_environment_is_not_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target on this machine is reached directly, whatever proxy the environment names."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    assert answered(HELLO).body == b"Hello"


# --- connections --------------------------------------------------------------------------------------------


def test_connection_serves_one_exchange() -> None:
    """Without a line of its own each exchange has a connection of its own."""
    with peer((HELLO,)) as server, gateway(server.root) as opened:
        exchanges = [opened.send(call(server.root)).exchange for _ in range(2)]

    assert [(e.reused, e.connected_ns is not None) for e in exchanges] == [(False, True)] * 2


def test_line_serves_exchange_after_exchange() -> None:
    """A kept line sends the second request on the first one's connection, and says so."""
    with peer((HELLO,)) as server, gateway(server.root) as opened:
        line = opened.line()
        exchanges = [opened.send(call(server.root), line).exchange for _ in range(2)]
        line.close()

    assert [(e.reused, e.connected_ns is not None) for e in exchanges] == [(False, True), (True, False)]
    assert [e.transfer for e in exchanges] == [Transfer.WHOLE] * 2


AFTER: Mapping[str, tuple[tuple[Step, ...], Transfer]] = {
    "closed": ((HELLO, CLOSE), Transfer.CUT),
    "junk": ((HELLO + b"\r\n<!-- served by edge -->\r\n",), Transfer.MALFORMED),
}


@pytest.mark.parametrize("how", AFTER)
def test_line_that_cannot_be_used_again_is_told(how: str) -> None:
    """What the first exchange left on the connection is the second one's ending, not its silent repair."""
    script, transfer = AFTER[how]
    with peer(script) as server, gateway(server.root) as opened:
        line = opened.line()
        first = opened.send(call(server.root), line).exchange
        time.sleep(0.05)
        second = opened.send(call(server.root), line).exchange
        line.close()

    assert (first.transfer, second.transfer) == (Transfer.WHOLE, transfer)
    assert second.status is None


def test_threads_share_a_gateway() -> None:
    """Exchanges of several threads are all kept, each with its own bytes."""
    with peer((HELLO,)) as server, gateway(server.root) as opened:

        def ask(n: int) -> None:
            opened.send(replace(call(server.root), tag=Tag("probe", str(n))))

        threads = [Thread(target=ask, args=(n,)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert {exchange.tag.step for exchange in opened.exchanges} == {str(n) for n in range(16)}
        assert {exchange.body for exchange in opened.exchanges} == {b"Hello"}


# --- what is kept -------------------------------------------------------------------------------------------


def test_key_is_replaced_at_capture() -> None:
    """No kept value holds the key: not the request, not a header or a body that shows it, not over two reads."""
    cut = KEY.encode()
    script: tuple[Step, ...] = (
        OK + b"X-Seen: " + cut + b"\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"8\r\nkey " + cut[:4] + b"\r\n",
        0.1,
        b"%x\r\n" % len(cut[4:]) + cut[4:] + b"\r\n0\r\n\r\n",
    )
    with peer(script) as server, gateway(server.root) as opened:
        answer = opened.send(call(server.root, method="POST", body=b'{"k":"' + cut + b'"}'))
        kept = repr(opened.exchanges)

    assert KEY not in kept
    assert Redactor({"api_key": KEY}).found(kept.encode()) is None
    assert answer.exchange.request.header("Authorization") == "Bearer <redacted:api_key>"
    assert answer.exchange.header("X-Seen") == "<redacted:api_key>"
    assert answer.body == b"key <redacted:api_key>"
    assert [read.data for read in answer.exchange.reads] == [b"key <redacted:api_key>", b""]
    assert KEY.encode() in server.heard[0]


def test_every_attempt_has_its_tag() -> None:
    """Tags are unique: a second attempt says that it is one."""
    script = b'{"error":{"code":"x","message":"m","retryable":true}}'
    limited = b"HTTP/1.1 429 Slow\r\nContent-Length: %d\r\n\r\n" % len(script) + script
    with peer((limited,), (HELLO,)) as server, gateway(server.root) as opened:
        opened.send(call(server.root))
        tags = [str(exchange.tag) for exchange in opened.exchanges]

    assert tags == ["probe/1", "probe/1#2"]


# --- budget -------------------------------------------------------------------------------------------------


def test_budget_of_requests_stops_the_run() -> None:
    """When as many requests were made as the budget has, none is sent any more."""
    with peer((HELLO,)) as server, gateway(server.root, budget="check_requests = 2") as opened:
        for _ in range(2):
            opened.send(call(server.root))
        with pytest.raises(OverBudget, match=r"budget\.check_requests = 2 is spent"):
            opened.send(call(server.root))

        assert len(server.heard) == 2


def test_budget_is_shared_by_workers() -> None:
    """Each of two workers has half of the requests."""
    with peer((HELLO,)) as server:
        opened = Gateway(target(server.root, budget="check_requests = 2"), seed=1, share=2)
        opened.send(call(server.root))
        with pytest.raises(OverBudget):
            opened.send(call(server.root))
        opened.close()


def test_budget_of_credits_stops_the_run() -> None:
    """The charges that chat answers show are added up, and stop the run when the budget is spent."""
    body = b'{"usage":{"credits":"0.6"}}'
    charged = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with peer((charged,)) as server, gateway(server.root, budget='credits = "1"') as opened:
        chat = call(server.root, method="POST", url=f"{server.root}/v1/chat/completions", body=b"{}")
        for _ in range(2):
            opened.send(chat)
        with pytest.raises(OverBudget, match=r"budget\.credits = 1 is spent"):
            opened.send(chat)


# --- TLS ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority that nobody knows."""
    return trustme.CA()


@pytest.fixture(scope="module")
def certificate(authority: trustme.CA) -> ssl.SSLContext:
    """A server's context with a certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.mark.parametrize("bare", [False, True], ids=["line", "bare"])
def test_unknown_certificate_is_refused(certificate: ssl.SSLContext, bare: bool) -> None:
    """A certificate that is not trusted ends the exchange before the key is sent, and the detail says why."""
    with peer((HELLO,), tls=certificate) as server:
        root = server.root.replace("http:", "https:")
        with gateway(root) as opened:
            exchange = opened.send(call(root, bare=bare)).exchange

        assert (exchange.transfer, exchange.status) == (Transfer.REFUSED, None)
        assert re.search("certificate verify failed", exchange.detail, re.IGNORECASE)
        assert server.heard == []


@pytest.mark.parametrize("bare", [False, True], ids=["line", "bare"])
def test_certificate_of_the_target_file_is_trusted(
    authority: trustme.CA, certificate: ssl.SSLContext, tmp_path: Path, bare: bool
) -> None:
    """With `ca_file` the same server answers, and the exchange is recorded as any other."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with peer((HELLO,), tls=certificate) as server:
        root = server.root.replace("http:", "https:")
        text = f'base_url = "{root}/v1"\napi_key = "{KEY}"\nca_file = "ca.pem"\n'
        opened = Gateway(parse_target(text, name="test", beside=tmp_path, env={}), seed=1)
        answer = opened.send(call(root, bare=bare))
        opened.close()

    assert (answer.exchange.transfer, answer.body) == (Transfer.WHOLE, b"Hello")


@pytest.mark.parametrize("bare", [False, True], ids=["line", "bare"])
def test_http_port_under_https_is_refused(bare: bool) -> None:
    """A server that does not speak TLS at all is refused, not malformed."""
    with peer((b"HTTP/1.1 400 Bad Request\r\n\r\n", CLOSE)) as server:
        root = server.root.replace("http:", "https:")
        with gateway(root) as opened:
            exchange = opened.send(call(root, bare=bare)).exchange

        assert (exchange.transfer, exchange.status) == (Transfer.REFUSED, None)


# --- lateness -----------------------------------------------------------------------------------------------


def test_late_client_knows_it() -> None:
    """A process that was kept from running says so of the exchanges of that time, and of no other span."""
    with peer((HELLO,)) as server, gateway(server.root) as opened:
        before_ns = time.monotonic_ns()
        time.sleep(0.03)
        start_ns = time.monotonic_ns()
        assert 3**3_000_000 > 0  # one operation that lets no other thread run
        end_ns = time.monotonic_ns()
        time.sleep(0.05)

        assert opened.lateness_ns(start_ns, end_ns) > (end_ns - start_ns) // 2
        assert opened.lateness_ns(before_ns - 10_000_000_000, before_ns - 9_000_000_000) == 0
