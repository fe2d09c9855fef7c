"""Whose turn it is to speak to the target: most probes share it, some need it alone. Knows no probe.

A lock on a file holds over all workers of a run and ends with the process that holds it.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def turn(file: Path, *, alone: bool) -> Iterator[None]:
    """Hold a turn for the time of a block: beside others who share, or with nobody else; waits for it."""
    with file.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
