"""Over TLS a cut is told from an end, whatever this Python's own defaults are."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest
import trustme

from chatproof.record import Tag, Transfer
from chatproof.target import parse_target
from chatproof.tls import client_context
from chatproof.wire import Call, Gateway
from tests.load_server import request, serving

UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{}"


def test_an_unexpected_end_is_not_ignored() -> None:
    """Neither is a certificate."""
    context = client_context()

    assert not context.options & ssl.OP_IGNORE_UNEXPECTED_EOF
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize("bare", [False, True], ids=["client", "bare socket"])
@pytest.mark.parametrize(("farewell", "transfer"), [(True, Transfer.WHOLE), (False, Transfer.CUT)])
def test_an_end_without_farewell_is_a_cut(
    tmp_path: Path, farewell: bool, transfer: Transfer, bare: bool
) -> None:
    """A body that the connection's end delimits is whole only where TLS said goodbye."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def handle(sock: socket.socket) -> None:
        request(sock)
        sock.sendall(UNTIL_CLOSED)
        if farewell:
            sock.unwrap()  # type: ignore[attr-defined]

    with serving(handle, tls=context) as port:
        base_url = f"https://127.0.0.1:{port}/v1"
        text = f'base_url = "{base_url}"\napi_key = "sk-tls-test"\nca_file = "ca.pem"\n'
        gateway = Gateway(parse_target(text, name="t", beside=tmp_path, env={}), seed=1)
        call = Call(tag=Tag("probe", "1"), method="GET", url=f"{base_url}/models", bare=bare)
        answer = gateway.send(call)
        gateway.close()

    assert answer.body == b"{}"
    assert answer.exchange.transfer is transfer
