"""What waits to be judged, bounded in number and in bytes. Knows not how it is judged."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

MOST = 256
MOST_BYTES = (
    64 << 20
)  # of bodies, which is more than is kept of them: events of a megabyte must not fill the memory

T = TypeVar("T")


class Backlog(Generic[T]):
    """First in, first out; whoever puts looks whether it is full, since what came is never dropped."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[T, int]] = deque()
        self._bytes = 0

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._waiting)

    @property
    def full(self) -> bool:
        """Whether more waits than should, be it in number or in bytes."""
        return len(self._waiting) > MOST or self._bytes > MOST_BYTES

    def put(self, item: T, size: int) -> None:
        """Adds what came with a body of so many bytes."""
        self._waiting.append((item, size))
        self._bytes += size

    def take(self) -> T:
        """The one that waits longest; IndexError where none does."""
        item, size = self._waiting.popleft()
        self._bytes -= size
        return item
