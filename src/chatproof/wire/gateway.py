"""The deployment as the conformance run speaks to it: one call in, one recorded answer out."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

from chatproof.answer import Answer
from chatproof.record import Exchange, Headers, Request, Tag
from chatproof.redact import Redactor
from chatproof.target import Target
from chatproof.tls import client_context
from chatproof.wire import bare
from chatproof.wire.lateness import Lateness
from chatproof.wire.line import Limits, Line, Route
from chatproof.wire.retry import Backoff


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that a probe wants sent, with real secrets: it goes to the socket and is not kept.

    `url` is whole. `expected` are statuses the probe provokes: they are not retried. `leave` hangs up when it says so
    of the body so far. `bare` sends the head as it stands, on a socket of its own.
    """

    tag: Tag
    method: str
    url: str
    headers: Headers = ()
    body: bytes = b""
    expected: tuple[int, ...] = ()
    leave: Callable[[bytes], bool] | None = None
    bare: bool = False


class OverBudget(Exception):
    """The run's budget is spent: nothing more is sent."""


class Unreachable(Exception):
    """The deployment gave no HTTP answer at all; the text says why."""


@dataclass
class _Spent:
    requests: int = 0
    credits: Decimal = field(default_factory=Decimal)


class Gateway:
    """Sends calls and keeps every exchange, secrets replaced; safe for use by several threads at once.

    A connection serves one exchange, but for :meth:`line`: what one exchange leaves behind on a connection can
    not disturb the next.
    """

    def __init__(
        self,
        target: Target,
        *,
        seed: int,
        backoff: Backoff | None = None,
        share: int = 1,
        secrets: Mapping[str, str] | None = None,
    ) -> None:
        """`share`: over how many workers the budget is divided. `secrets`: keys of the suite's own making."""
        self.target = target
        self.redactor = Redactor({**target.secrets, **(secrets or {})})
        self.limits = Limits(
            connect_s=min(10.0, target.timeout_s), whole_s=target.timeout_s, silence_s=target.stall_s
        )
        self._routes: dict[str, Route] = {}
        self._backoff = backoff or (Backoff(base_s=0.05) if target.is_loopback else Backoff())
        self._share = share
        self._chance = random.Random(seed)
        self._lateness = Lateness()
        self._lock = threading.Lock()
        self._kept: list[Exchange] = []
        self._spent = _Spent()

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """All exchanges so far, in the order in which they ended."""
        with self._lock:
            return tuple(self._kept)

    def send(self, call: Call, line: Line | None = None) -> Answer:
        """Send a call, and again where the answer says that it may be tried again and the call did not provoke it."""
        attempt = 1
        while True:
            answer = self._once(replace(call, tag=replace(call.tag, attempt=attempt)), line)
            wait_s = self._backoff.wait_s(attempt, answer, self._chance)
            if wait_s is None or answer.status in call.expected:
                return answer
            time.sleep(wait_s)
            attempt += 1

    def line(self) -> Line:
        """A connection to the target that stays open between exchanges; close it."""
        return Line(self._route(self.target.base_url), self._lateness)

    def lateness_ns(self, start_ns: int, end_ns: int) -> int:
        """How late this client was, at worst, in a span of monotonic time."""
        return self._lateness.between(start_ns, end_ns)

    def close(self) -> None:
        """End what the gateway runs."""
        self._lateness.close()

    def _once(self, call: Call, line: Line | None) -> Answer:
        self._count()
        request = Request(method=call.method, url=call.url, headers=call.headers, body=call.body)
        if call.bare:
            exchange = bare.exchange(self._route(call.url), call.tag, request, self.limits, self._lateness)
        else:
            own = line or Line(self._route(call.url), self._lateness)
            try:
                exchange = own.exchange(call.tag, request, self.limits, call.leave)
            finally:
                if line is None:
                    own.close()
        kept = self._redacted(exchange)
        answer = Answer(kept)
        with self._lock:
            self._kept.append(kept)
            self._spent.credits += _credits(answer)
        return answer

    def _route(self, url: str) -> Route:
        address = urlsplit(url)
        origin = f"{address.scheme}://{address.netloc}"
        with self._lock:
            if origin not in self._routes:
                self._routes[origin] = _route(origin, self.target)
            return self._routes[origin]

    def _count(self) -> None:
        budget = self.target.budget
        with self._lock:
            if self._spent.requests * self._share >= budget.check_requests:
                raise OverBudget(f"budget.check_requests = {budget.check_requests} is spent")
            if budget.credits is not None and self._spent.credits * self._share >= budget.credits:
                raise OverBudget(f"budget.credits = {budget.credits} is spent")
            self._spent.requests += 1

    def _redacted(self, exchange: Exchange) -> Exchange:
        sent = exchange.request
        return replace(
            exchange,
            request=replace(
                sent,
                url=self.redactor.text(sent.url),
                headers=self.redactor.headers(sent.headers),
                body=self.redactor.data(sent.body),
            ),
            headers=self.redactor.headers(exchange.headers),
            reads=self.redactor.reads(exchange.reads),
            detail=self.redactor.text(exchange.detail),
        )


def _credits(answer: Answer) -> Decimal:
    shown = answer.usage.get("credits") if answer.is_chat and answer.usage else None
    try:
        return Decimal(str(shown)) if shown is not None else Decimal()
    except InvalidOperation:
        return Decimal()


def _route(origin: str, target: Target) -> Route:
    address = urlsplit(origin)
    tls = client_context(target.ca_file) if address.scheme == "https" else None
    host = address.hostname or ""
    direct = target.is_loopback or proxy_bypass_environment(host)
    proxies = {} if direct else getproxies_environment()
    return Route(origin, tls, proxies.get(address.scheme) or proxies.get("all"))
