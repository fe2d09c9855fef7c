"""The request of one exchange read as the contract reads it: route, members, caps, nonces. Judges nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from chatproof.decode import decoded
from chatproof.record import Exchange

CHAT_ROUTE = "/chat/completions"
NONCE = re.compile(r"nx[0-9a-v]{13}")


class Asked:
    """A view of what one exchange asked for; what cannot be read is `None` or empty, never a guess."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    @cached_property
    def route(self) -> str:
        """The path below the base URL's `/v1`, without query."""
        path = urlsplit(self.exchange.request.url).path
        return path.rpartition("/v1")[2] or "/"

    @cached_property
    def is_chat(self) -> bool:
        """Whether this is a `POST` to the chat route."""
        return self.exchange.request.method == "POST" and self.route == CHAT_ROUTE

    @cached_property
    def asked(self) -> Mapping[str, Any]:
        """The members of the request's JSON object; empty where the body is none."""
        found = decoded(self.exchange.request.body) if self.exchange.request.body else None
        return found if isinstance(found, dict) else {}

    @cached_property
    def asked_stream(self) -> bool:
        """Whether the request said `stream: true`."""
        return self.is_chat and self.asked.get("stream") is True

    @property
    def asked_usage(self) -> bool:
        """Whether the request said `stream_options.include_usage: true`."""
        options = self.asked.get("stream_options")
        return isinstance(options, dict) and options.get("include_usage") is True

    @property
    def asked_choices(self) -> int:
        """How many choices the request asked for."""
        n = self.asked.get("n")
        return n if type(n) is int else 1

    @property
    def asked_cap(self) -> int | None:
        """The token cap the request named, if it is a whole number."""
        caps = (self.asked.get("max_tokens"), self.asked.get("max_completion_tokens"))
        return min((cap for cap in caps if type(cap) is int), default=None)

    @cached_property
    def nonces_sent(self) -> frozenset[str]:
        """Nonces in the request's body."""
        return frozenset(NONCE.findall(self.exchange.request.body.decode("utf-8", "replace")))

    @property
    def operation(self) -> str:
        """What this exchange is an attempt of: the idempotency key under its credentials, else itself."""
        key = self.exchange.request.header("Idempotency-Key")
        if key is None:
            return str(self.exchange.tag)
        return f"{self.exchange.request.header('Authorization')} {key}"
