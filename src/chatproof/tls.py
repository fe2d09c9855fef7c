"""The TLS that both clients speak: certificates are verified, and no cut passes for an end. Opens no connection."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path


class _Context(ssl.SSLContext):
    def wrap_socket(
        self,
        sock: socket.socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        """As the base class, but an end without TLS's own farewell is always an error of the read."""
        return super().wrap_socket(
            sock, server_side, do_handshake_on_connect, False, server_hostname, session
        )


def client_context(ca_file: Path | str | None = None) -> ssl.SSLContext:
    """A client's context that trusts the system's authorities, or those of a PEM file.

    A body that only the end of the connection delimits is complete only with a closure alert (RFC 9112, 9.8). Python's
    sockets hide its absence by default, and so does OpenSSL under some Pythons (3.11.2 of Debian 12).
    """
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    if ca_file is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(ca_file)
    return context
