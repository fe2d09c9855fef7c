"""One request on its way through the stages, and the world it happens in: wallets, kept results, changes."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Generic, TypeVar

from .access import KEYS, bearer
from .model import Answer
from .problem import Problem
from .seams import Change, Identity, Seam, differs
from .wallet import Charge, Usage, Wallet

T = TypeVar("T")
_START_BALANCE = Decimal("100000.00000000")


@dataclass(frozen=True, slots=True)
class Marked(Generic[T]):
    """A change with the name of the fault or variation it belongs to."""

    name: str
    change: Change[T]


@dataclass(frozen=True, slots=True)
class Made:
    """What the model said and what it costs, ready to be rendered any number of times."""

    identity: Identity
    answer: Answer
    usage: Usage
    charge: Charge


@dataclass(slots=True)
class Kept:
    """What the idempotency store holds under one key: a request's fingerprint, later its result.

    The result is None when the first request ended without anything to keep.
    """

    fingerprint: bytes
    result: asyncio.Future[Made | Problem | None]


class World:
    """One deployment, clean or with faults or variations; worlds share nothing but the process."""

    def __init__(self, path: str, changes: Iterable[Marked[Any]], capacity: int) -> None:
        self.path = path
        self.wallets = {key: Wallet(_START_BALANCE) for key in KEYS}
        self.kept: dict[Hashable, Kept] = {}
        self.flaked: set[str] = set()
        self.fired: Counter[str] = Counter()
        self.places = asyncio.Semaphore(capacity)
        self.calls: list[Call] = []  # in flight, oldest first
        self.arrivals = 0
        self.departures = 0  # clients that left before their answer was complete
        self.memory: dict[str, Any] = {}  # for changes that need to remember something between calls
        self._changes: dict[Seam[Any], list[Marked[Any]]] = defaultdict(list)
        for marked in changes:
            self._changes[marked.change.seam].append(marked)

    def changes(self, seam: Seam[T]) -> list[Marked[T]]:
        """The changes at one seam, in the order they were composed."""
        return self._changes.get(seam, [])


@dataclass(slots=True, eq=False, kw_only=True)
class Call:
    """What is known of one request so far; each stage adds to it."""

    world: World
    method: str
    path: str  # below the world's root, such as /v1/chat/completions
    headers: tuple[tuple[bytes, bytes], ...]
    raw: bytes
    arrived_ns: int
    number: int  # how many requests this world had seen, this one included
    nonce: str  # different for every call
    body: Any = None
    request_id: str = ""
    problem: Problem | None = None
    replay: bool = False
    rendered: Made | None = None
    fired: list[str] = field(default_factory=list)
    skipped: set[str] = field(default_factory=set)
    applying: str = ""  # whose change is being applied
    placed: bool = False
    posted: Decimal = Decimal(0)  # credits taken off the wallet

    def header(self, name: str) -> str | None:
        """The first value of a request header; bytes that are not UTF-8 are kept as surrogates."""
        wanted = name.lower().encode()
        for key, value in self.headers:
            if key.lower() == wanted:
                return value.decode("utf-8", "surrogateescape")
        return None

    async def take_place(self) -> None:
        """Waits until the model can take one more; the place is kept until the call ends."""
        await self.world.places.acquire()
        self.placed = True

    def leave_place(self) -> None:
        """Gives the place back, if one was taken."""
        if self.placed:
            self.placed = False
            self.world.places.release()

    @property
    def authorization(self) -> str | None:
        """The Authorization header."""
        return self.header("Authorization")

    @property
    def key(self) -> str | None:
        """The API key, where a bearer token was sent."""
        return bearer(self)

    @property
    def fields(self) -> dict[str, Any]:
        """The body's fields; none where the body is no JSON object."""
        return self.body if isinstance(self.body, dict) else {}

    @property
    def stream(self) -> bool:
        """Whether a stream was asked for."""
        return self.fields.get("stream") is True

    @property
    def include_usage(self) -> bool:
        """Whether usage was asked for in the stream."""
        options = self.fields.get("stream_options")
        return isinstance(options, dict) and options.get("include_usage") is True

    @property
    def idempotency_key(self) -> str | None:
        """The Idempotency-Key header."""
        return self.header("Idempotency-Key")

    def through(self, seam: Seam[T], value: T) -> T:
        """The value as this world passes it on; notes the changes that changed it."""
        for marked in self.world.changes(seam):
            self.applying = marked.name
            edited = marked.change.applied(self, value)
            if differs(value, edited):
                self.note(marked.name)
            value = edited
        return value

    def note(self, name: str) -> None:
        """Notes that a fault or variation changed something; a change whose effect comes later calls it then."""
        self.fired.append(name)
        self.world.fired[name] += 1
