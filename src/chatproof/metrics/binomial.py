"""Exact binomial tails and the bounds that follow from them. Knows only counts.

Tails are summed term by term from the nearer side in double precision (relative error below 1e-8 up to a
million trials); nothing is approximated by a normal.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from math import ceil, exp, lgamma, log, log1p
from typing import Final

ALPHA: Final = 0.05
"""Error allowed on each side of a one-sided bound, and on both sides together of an interval."""


def at_most(k: int, n: int, p: float) -> float:
    """P(X <= k) for X ~ Binomial(n, p)."""
    if k < 0:
        return 0.0
    if k >= n or p <= 0:
        return 1.0
    if p >= 1:
        return 0.0
    return _sum_down(k, n, p) if k <= n * p else 1 - _sum_down(n - k - 1, n, 1 - p)


def at_least(k: int, n: int, p: float) -> float:
    """P(X >= k) for X ~ Binomial(n, p)."""
    return at_most(n - k, n, 1 - p)


def share_below(over: int, n: int, alpha: float = ALPHA) -> float:
    """One-sided upper Clopper-Pearson bound: with error `alpha` the true share is below it."""
    return 1.0 if over >= n else _root(lambda p: at_most(over, n, p) <= alpha, over / n, 1.0)


def share_above(over: int, n: int, alpha: float = ALPHA) -> float:
    """One-sided lower Clopper-Pearson bound: with error `alpha` the true share is above it."""
    return 0.0 if over <= 0 else 1 - share_below(n - over, n, alpha)


def carries(q: Fraction) -> int:
    """The fewest observations on which quantile `q` has a two-sided 95 % interval.

    The interval is between two order statistics, so it closes only when P(all n on one side) <= 2.5 %:
    6 for p50, 36 for p90, 72 for p95, 368 for p99, 3688 for p99.9.
    """
    return ceil(log(ALPHA / 2) / log(max(q, 1 - q)))


@lru_cache(maxsize=4096)
def interval_ranks(n: int, q: Fraction) -> tuple[int, int] | None:
    """Ranks, from 1, of the order statistics that enclose quantile `q` with 95 % coverage, whatever the law.

    Below: the highest rank l with P(B < l) <= 2.5 %, above: the lowest u with P(B >= u) <= 2.5 %, for
    B ~ Binomial(n, q). None when n cannot carry the quantile.
    """
    if n < carries(q):
        return None
    p, tail = float(q), ALPHA / 2
    low = _last(lambda rank: at_most(rank - 1, n, p) <= tail, 1, n)
    high = n + 1 - _last(lambda back: at_least(n + 1 - back, n, p) <= tail, 1, n)
    return low, high


def _last(holds: Callable[[int], bool], first: int, end: int) -> int:
    """The last integer of first..end that holds, where `first` does and nothing does after one that fails."""
    while first < end:
        middle = (first + end + 1) // 2
        if holds(middle):
            first = middle
        else:
            end = middle - 1
    return first


def _root(holds: Callable[[float], bool], low: float, high: float) -> float:
    while (middle := (low + high) / 2) not in (low, high):
        if holds(middle):
            high = middle
        else:
            low = middle
    return high


def _sum_down(k: int, n: int, p: float) -> float:
    """P(X <= k) for k at or below the mean, where the terms only shrink on the way to 0."""
    term = exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(p) + (n - k) * log1p(-p))
    total, odds = 0.0, (1 - p) / p
    while term > total * 1e-17:
        total += term
        term *= k / (n - k + 1) * odds
        k -= 1
    return min(1.0, total)
