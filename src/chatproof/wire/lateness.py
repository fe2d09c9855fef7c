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
        self._before = time.monotonic_ns()  # when the thread was last awake
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lateness", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        self._before = time.monotonic_ns()
        while not self._stop.wait(STEP_NS / 1e9):
            now = time.monotonic_ns()
            over = now - self._before - STEP_NS
            if over > STEP_NS:
                self._late.append((now, over))
            self._before = now

    def between(self, start_ns: int, end_ns: int) -> int:
        """The longest delay in a span, in nanoseconds; 0 where none was above one step.

        The delay that the thread has not yet woken from counts too: whoever asks may have been let run before it.
        """
        now = time.monotonic_ns()
        lasting = (now, now - self._before - STEP_NS)
        noted = [*self._late, *([lasting] if lasting[1] > STEP_NS else [])]
        return max((over for at, over in noted if start_ns <= at and at - over <= end_ns), default=0)

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()
