"""What one worker may still do: its share of the budget, and how often a second. Knows no request."""

from __future__ import annotations

import time
from dataclasses import dataclass
from decimal import Decimal

from chatproof.swarm.asking.plan import Plan


@dataclass(slots=True)
class Purse:
    """One worker's share of the run's budget: a hard stop, whatever comes back."""

    budget_requests: int  # of all workers, for people
    requests: int
    budget_credits: str | None
    credits: Decimal | None
    dearest: Decimal  # the most that one request is known to cost
    spent: Decimal = Decimal(0)

    @classmethod
    def of(cls, plan: Plan, index: int) -> Purse:
        """The share of the worker of that index."""
        workers = len(plan.workers)
        requests = plan.requests // workers + (index < plan.requests % workers)
        share = None if plan.credits is None else Decimal(plan.credits) / workers
        return cls(plan.requests, requests, plan.credits, share, Decimal(plan.credits_each or 0))

    def refusal(self, made: int, running: int) -> str | None:
        """Why no further request may be made, after so many and with so many on their way; None where one may."""
        if made >= self.requests:
            return f"the budget of {self.budget_requests} requests is used up"
        if self.credits is not None and self.spent + self.dearest * (running + 1) > self.credits:
            return f"the budget of {self.budget_credits} credits is used up"
        return None

    def pay(self, charge: Decimal) -> None:
        """A charge that came."""
        self.spent += charge
        self.dearest = max(self.dearest, charge)


class PerSecond:
    """So many a second and no more."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._second = self._used = 0

    def allows(self) -> bool:
        """Takes one where there is one left."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._used = second, 0
        self._used += 1
        return self._used <= self._most
