"""Where a load goes: scheme, host, path, TLS, addresses. Opens no connection and knows nothing of chat."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from chatproof.tls import client_context

Address = tuple[int, tuple[str | int, ...]]  # family, sockaddr


class EndpointError(ValueError):
    """The base URL, its proxy or its certificates cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One base URL, ready to be connected to."""

    host: str
    port: int
    path: str  # of the base URL, without a final slash
    tls: ssl.SSLContext | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, base_url: str, *, ca_file: str | None = None, verify: bool = True) -> Endpoint:
        """The endpoint of a base URL; EndpointError where it is none, or where a proxy stands before it."""
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise EndpointError(
                f"not an http(s) URL: {base_url!r}; give the base URL, such as https://host/v1"
            )
        if parts.username is not None:
            raise EndpointError("a key does not belong in the URL; set BEATRA_API_KEY or use a target file")
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            raise EndpointError(f"the port of {base_url!r} is not a number from 1 to 65535") from None
        if not is_loopback(parts.hostname):
            refuse_proxy(parts.scheme, parts.hostname, getproxies())
        context = None
        if parts.scheme == "https":
            try:
                context = client_context(ca_file)
            except OSError as error:
                raise EndpointError(f"cannot read the certificates of {ca_file}: {error.strerror}") from None
            # Some builds of Python set it: a connection that is cut would look like one that is closed.
            context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
            if not verify:
                if not is_loopback(parts.hostname):
                    raise EndpointError("TLS verification can be switched off for loopback only")
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
        return cls(parts.hostname, port, parts.path.rstrip("/"), context)

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


def refuse_proxy(scheme: str, host: str, proxies: Mapping[str, str]) -> None:
    """Refuses a proxy named by the environment: through one, the times would be the proxy's as much as the target's."""
    proxy = proxies.get(scheme) or proxies.get("all")
    if proxy and not proxy_bypass(host):
        raise EndpointError(
            f"the environment sends {scheme} through a proxy; load goes straight to the target: "
            f"add {host} to NO_PROXY, or run from where no proxy is needed"
        )


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: `localhost` or a loopback address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def addresses(found: Sequence[tuple[int, int, int, str, tuple[str | int, ...]]]) -> list[Address]:
    """What `getaddrinfo` found, families taken in turn, so that a dead one costs one attempt (RFC 8305, 4)."""
    first = found[0][0] if found else socket.AF_INET
    mine = [(family, address) for family, _, _, _, address in found if family == first]
    others = [(family, address) for family, _, _, _, address in found if family != first]
    mixed = [pair for both in zip(mine, others, strict=False) for pair in both]
    return mixed + mine[len(others) :] + others[len(mine) :]
