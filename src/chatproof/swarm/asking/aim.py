"""What a load run is aimed at, and what it may cost: target, model, budget, and the question before it starts."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Protocol

import msgspec

from chatproof.metrics.measures import MEASURES
from chatproof.metrics.terms import GAPS, Term, parse_terms, terms_of
from chatproof.run import tariff_of
from chatproof.swarm.asking.ask import Workload
from chatproof.swarm.asking.trace import Trace, lasting
from chatproof.target import Target, load_target, parse_target


class UsageError(ValueError):
    """The options cannot be used as they are; the message is one line that says what to do."""


def target_of(file: str | None, host: str | None, env: Mapping[str, str]) -> Target | None:
    """The target that the options name; None: the embedded reference. TargetError where it cannot be used."""
    return load_target(Path(file) if file else None, host or None, env)


class Embedded(Protocol):
    """A running reference."""

    @property
    def base_url(self) -> str:
        """Of the clean deployment."""

    def close(self) -> None:
        """Ends it."""


def start_reference() -> Embedded:
    """Starts an embedded reference in a process of its own."""
    from chatproof.reference.embedded import start  # only where it is needed: it brings aiohttp, 12 MB

    return start()


def reference_target(base_url: str) -> Target:
    """The embedded reference as a target."""
    from chatproof.reference.embedded import target_text

    target = parse_target(target_text(base_url), name="EMBEDDED REFERENCE", beside=Path(), env={})
    return msgspec.structs.replace(target, timeout_s=60, stall_s=20)  # under load it may queue for longer


def model_of(target: Target, asked: str | None) -> str:
    """The model to ask for: the option's, the target's first, else auto."""
    if asked:
        return asked
    return target.models[0].id if target.models else "auto"


def slo_of(target: Target, texts: tuple[str, ...]) -> tuple[Term, ...]:
    """The objectives: the options', else the target file's. ValueError where one is not understood."""
    if texts:
        return parse_terms(texts)
    slo = target.slo
    given = {key: value for key in slo.__struct_fields__ if (value := getattr(slo, key)) is not None}
    return terms_of(given)


def measurable(terms: Sequence[Term], workloads: Sequence[Workload]) -> None:
    """Refuses an objective on what only streams have, where none is asked for; UsageError."""
    if any(workload.stream for workload in workloads):
        return
    for term in terms:
        if term.metric == GAPS or (term.metric in MEASURES and MEASURES[term.metric].streams_only):
            raise UsageError(
                f"SLO {term.text!r}: no stream is asked for, so {term.metric} is not measured: drop it"
            )


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will ask of a target."""

    requests: int | None  # None: unknown, a closed loop asks as fast as it is answered
    tokens_each: int  # prompt and answer, the mean
    credits_each: Decimal | None  # at most, of the dearest request; None: no price is known
    seconds: float | None = None  # a trace's own time
    tokens: int | None = None  # of all requests, where each one's size is known
    credits: Decimal | None = None
    kind: str = ""  # what is sent, where neither a number of requests nor of users tells

    def lines(self, target: Target, model: str, users: int, seconds: float | None) -> str:
        """The estimate for a person."""
        budget = target.budget
        lasts = self.seconds or seconds
        if self.requests is None:
            asked = f"{users} users without pause {f'for {lasting(lasts)}' if lasts else 'until stopped'}"
        else:
            asked = f"{self.requests:,} requests in {lasting(lasts or 0)}"
        limit = f"at most {budget.load_requests:,} requests"
        if budget.credits is not None:
            limit += f" and {budget.credits} credits"
        most = min(self.requests, budget.load_requests) if self.requests is not None else budget.load_requests
        tokens = f"up to {self.tokens or most * self.tokens_each:,} tokens"
        cost = "cost unknown: no target file says what a token costs"
        if self.credits_each is not None:
            credits = most * self.credits_each if self.credits is None else self.credits
            cost = f"up to {credits:f} credits"
        return f"load on {target.base_url}, model {model}: {self.kind or asked}; {tokens}; {cost}; budget: {limit}"


def estimate(target: Target, model: str, workloads: tuple[Workload, ...], requests: int | None) -> Estimate:
    """What the workloads ask, and what one request costs at most."""
    weights = sum(workload.weight for workload in workloads) or 1
    tokens = sum(w.weight * (w.prompt_tokens + w.max_tokens) for w in workloads) / weights
    costs = [
        cost
        for w in workloads
        if (cost := _dearest(target, model, w.prompt_tokens, w.max_tokens)) is not None
    ]
    return Estimate(requests, round(tokens), max(costs) if costs else None)


def estimate_of_trace(target: Target, model: str, trace: Trace) -> Estimate:
    """What a trace asks: every request's own size counts."""
    counts = Counter((arrival.prompt_tokens, arrival.max_tokens) for arrival in trace.arrivals)
    requests = len(trace.arrivals)
    tokens = sum(times * (prompt + answer) for (prompt, answer), times in counts.items())
    costs = {size: _dearest(target, model, *size) for size in counts}
    known = {size: cost for size, cost in costs.items() if cost is not None}
    credits = sum((counts[size] * cost for size, cost in known.items()), Decimal(0)) if known else None
    dearest = max(known.values()) if known else None
    return Estimate(requests, round(tokens / requests), dearest, trace.seconds, tokens, credits)


def _dearest(target: Target, model: str, prompt_tokens: int, max_tokens: int) -> Decimal | None:
    entry = next((entry for entry in target.models if entry.id == model), None)
    tariff = tariff_of(entry) if entry else None
    if tariff is None or tariff.prices is None or tariff.markup is None:
        return None
    prompt = prompt_tokens * 2 + 50  # words are a token each only about
    usd = tariff.prices.input * prompt + tariff.prices.output * max_tokens
    return Decimal(usd * tariff.markup)


def confirm(text: str, *, loopback: bool, yes: bool) -> None:
    """Says what is about to be sent, and asks; UsageError where nobody says yes."""
    if loopback:
        return
    sys.stderr.write(text + "\n")
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("this sends load to another machine: add --yes to confirm what is printed above")
    sys.stderr.write("send it? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("not confirmed: nothing was sent")
