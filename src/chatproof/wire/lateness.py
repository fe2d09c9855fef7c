"""How late this process was: a thread that sleeps in short steps and notes when it was woken too late."""

from __future__ import annotations

import threading
import time
from collections import deque

STEP_NS = 5_000_000
KEPT = 4096


class Lateness:
    """Notes each time the process was kept from running for longer than a step."""

    def __init__(self) -> None:
        self._late: deque[tuple[int, int]] = deque(maxlen=KEPT)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lateness", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        before = time.monotonic_ns()
        while not self._stop.wait(STEP_NS / 1e9):
            now = time.monotonic_ns()
            over = now - before - STEP_NS
            if over > STEP_NS:
                self._late.append((now, over))
            before = now

    def between(self, start_ns: int, end_ns: int) -> int:
        """The longest delay noted in a span, in nanoseconds; 0 where none was above one step."""
        return max(
            (over for at, over in list(self._late) if start_ns <= at and at - over <= end_ns), default=0
        )

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()
