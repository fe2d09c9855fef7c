"""Oddities of time and weather: slow, uneven and queued answers, and failures that pass."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

from ..call import Call
from ..changes import frames, later, reply
from ..conditions import LONG, crowded, every_nth, prompt_has
from ..latency import MILLISECOND
from ..problem import Problem
from ..reply import Frame, Reply
from ..seams import LIMIT, PROBLEM, Change, Seam
from ..vocabulary import Variation
from .framing import STREAMED

COUNTED = prompt_has("a count", lambda text: "Count from" in text)


def _uneven(call: Call, plan: Reply) -> Reply:
    drawn = random.Random(call.number)
    return replace(
        plan,
        frames=tuple(replace(one, after_ns=round(one.after_ns * drawn.uniform(0, 2))) for one in plan.frames),
    )


def _faster(written: tuple[Frame, ...]) -> Iterator[Frame]:
    return (replace(one, after_ns=min(one.after_ns, MILLISECOND)) for one in written)


def in_runs(length: int) -> Callable[[tuple[Frame, ...]], Iterator[Frame]]:
    """So many events come one right after the other, when the last of them is due."""

    def edit(written: tuple[Frame, ...]) -> Iterator[Frame]:
        for start in range(0, len(written), length):
            some = written[start : start + length]
            yield replace(some[0], after_ns=sum(one.after_ns for one in some))
            yield from (replace(one, after_ns=0) for one in some[1:])

    return edit


def _stalled(written: tuple[Frame, ...]) -> Iterator[Frame]:
    middle = len(written) // 2
    for n, frame in enumerate(written):
        yield replace(frame, after_ns=frame.after_ns + (500 * MILLISECOND if n == middle else 0))


_TIME = (
    Variation(
        "slow-first-token",
        "The first token of what is counted takes 0.3 seconds more.",
        (later(300 * MILLISECOND, STREAMED & COUNTED),),
    ),
    Variation("uneven-tokens", "Tokens come at uneven times.", (reply(_uneven, STREAMED),)),
    Variation("fast-tokens", "Tokens come a millisecond apart.", (frames(_faster, STREAMED),)),
    Variation(
        "tokens-in-runs",
        "Tokens come five at a time, each in a chunk of its own.",
        (frames(in_runs(5), STREAMED),),
    ),
    Variation("stall", "A long stream stands still for half a second.", (frames(_stalled, STREAMED & LONG),)),
    Variation(
        "queue",
        "Where six calls are in flight, the next ones are answered 0.2 seconds later.",
        (later(200 * MILLISECOND, crowded(6)),),
    ),
)


def _passing(seam: Seam[Problem | None], n: int, problem: Problem) -> tuple[Change[Problem | None]]:
    """Each n-th request fails so, whatever was said of it before."""
    return (Change(seam, lambda call, found: problem, every_nth(n)),)


def _limited(seconds: str) -> Problem:
    return Problem(
        429, "rate_limited", "Slow down.", True, headers=(("Retry-After", seconds),), rule="passing"
    )


_UNAVAILABLE = Problem(503, "model_unavailable", "The model is restarting.", True, rule="passing")
_BAD_GATEWAY = Problem(502, "upstream_failed", "The upstream broke off.", True, rule="passing")

_WEATHER = (
    Variation(
        "rate-limit-passing",
        "Every seventh valid request is over a rate limit for a moment.",
        _passing(LIMIT, 7, _limited("0")),
    ),
    Variation(
        "rate-limit-before-validation",
        "Every eleventh chat request is over a rate limit for a moment, valid or not.",
        _passing(PROBLEM, 11, _limited("0")),
    ),
    Variation(
        "rate-limit-for-a-second",
        "Every fortieth valid request is over a rate limit for a second.",
        _passing(LIMIT, 40, _limited("1")),
    ),
    Variation(
        "model-restarting",
        "Every ninth valid request meets a model that restarts.",
        _passing(LIMIT, 9, _UNAVAILABLE),
    ),
    Variation(
        "bad-gateway-passing",
        "Every thirteenth valid request meets an upstream that broke off.",
        _passing(LIMIT, 13, _BAD_GATEWAY),
    ),
)

VARIATIONS = (*_TIME, *_WEATHER)
