"""The workers of a run: those it began with. Waits for them, says who is missing. Knows no figures."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

import gevent
from locust.dispatch import UsersDispatcher
from locust.runners import STATE_MISSING, MasterRunner

from chatproof.swarm.worker.worker_side import LOCAL

SAY_EVERY_S = 5.0
CHILDREN_WITHIN_S = 60.0  # `--processes` starts them itself: they are there in 2 s, or have died


def await_workers(runner: Any, wanted: int, limit_s: float, say: Callable[[str], None]) -> bool:
    """Whether that many workers come within the time (0: without end); who waits is told what for."""
    begun = said = time.monotonic()
    while (here := len(runner.clients.ready)) < wanted:
        now = time.monotonic()
        if limit_s and now - begun > limit_s:
            return False
        if now - said > SAY_EVERY_S:
            said = now
            say(f"waiting for workers: {here} of {wanted} are here")
        gevent.sleep(0.1)
    return True


def keeping(is_stranger: Callable[[str], bool]) -> type[UsersDispatcher]:
    """A dispatcher of locust's users that gives none to a stranger: a worker that came after the run had begun.

    It knows no plan, so that its users would ask for nothing while those that locust took from the others are missing.
    """

    class Kept(UsersDispatcher):  # type: ignore[misc]
        """Locust's own but for strangers."""

        def add_worker(self, worker_node: Any) -> None:
            """Takes a worker in, unless it is a stranger."""
            if not is_stranger(worker_node.id):
                super().add_worker(worker_node)

    return Kept


def present(runner: Any) -> list[str]:
    """The client ids of the workers that are ready; a process that is master and worker in one is its own."""
    if isinstance(runner, MasterRunner):
        return [client.id for client in runner.clients.ready]
    return [LOCAL]


def gone(runner: Any, workers: Collection[str]) -> set[str]:
    """Those of these workers that have ended, or that locust has not heard of for seconds."""
    if not isinstance(runner, MasterRunner):
        return set()
    clients = runner.clients
    alive = {client_id for client_id in clients if clients[client_id].state != STATE_MISSING}
    return set(workers) - alive
