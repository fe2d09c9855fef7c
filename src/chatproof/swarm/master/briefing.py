"""What a run is to be: the target, the load, the objectives, and the question before it starts. Starts no load."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from chatproof.metrics.terms import Term
from chatproof.swarm.asking import aim
from chatproof.swarm.asking.arrivals import Leg, expected
from chatproof.swarm.asking.ask import Workload
from chatproof.swarm.asking.plan import misplaced, trace_of
from chatproof.swarm.asking.trace import Trace
from chatproof.swarm.client.endpoint import Endpoint
from chatproof.swarm.master import progress
from chatproof.target import Target

DEFAULT_SECONDS = 30.0  # of an open loop without --run-time
OF_THE_REFERENCE = ("ttft_p95<100ms",)  # an objective for a search that was given nothing at all


@dataclass(frozen=True, slots=True, kw_only=True)
class Briefing:
    """One run before it begins; confirmed, where that was needed."""

    scenario: str
    target: Target
    embedded: bool  # the target is the embedded reference
    model: str
    terms: tuple[Term, ...]
    workloads: tuple[Workload, ...]
    legs: tuple[Leg, ...]  # of an open loop
    trace: Trace | None
    seconds: float | None  # as --run-time gave it
    options: Mapping[str, Any]
    leave_share: float
    credits_each: Decimal | None
    soak: bool
    search: bool


def brief(
    user_class: Any,
    given: Mapping[str, Any],
    *,
    host: str | None,
    users: int,
    seconds: float | None,
    reference: Callable[[], str],
) -> Briefing:
    """The run that these options ask for; `reference` starts the embedded reference and gives its base URL.

    TargetError, UsageError or another ValueError where it cannot be made: one line that says what to do.
    """
    found = aim.target_of(given["target"], host, os.environ)
    target = found or aim.reference_target(reference())
    if found is None:
        progress.say("no target given: EMBEDDED REFERENCE")
    model = aim.model_of(target, given["model"])
    workloads = tuple(user_class.workloads(given))
    scenario = user_class.scenario or user_class.__name__.lower()
    wrong = misplaced(scenario, given)
    if wrong:
        raise aim.UsageError(wrong)
    if given["trace"] and not user_class.plays_traces:
        raise aim.UsageError("--trace is for the scenario arrivals: leave it out, or run that one")
    trace = trace_of(given, seconds)
    legs = () if trace else tuple(user_class.legs(given, seconds or DEFAULT_SECONDS))
    terms = aim.slo_of(target, tuple(given["slo"] or ()))
    if user_class.search and not terms:
        if found is not None:
            raise aim.UsageError(
                "capacity needs an objective: --slo 'ttft_p95<800ms', or [slo] in the target file"
            )
        terms = aim.slo_of(target, OF_THE_REFERENCE)
    aim.measurable(terms, workloads)
    Endpoint.of(target.base_url, ca_file=str(target.ca_file) if target.ca_file else None)
    cost = _cost(target, model, workloads, legs, trace)
    if user_class.search:
        cost = replace(cost, kind=f"a search from {given['rate']:g}/s up to {given['max_rate']:g}/s")
    lasts = seconds or (DEFAULT_SECONDS if legs else None)
    aim.confirm(cost.lines(target, model, users, lasts), loopback=target.is_loopback, yes=given["yes"])
    return Briefing(
        scenario=scenario,
        target=target,
        embedded=found is None,
        model=model,
        terms=terms,
        workloads=workloads,
        legs=legs,
        trace=trace,
        seconds=seconds,
        options={**given, "users": users, "run_time": seconds},
        leave_share=user_class.leave_share(given),
        credits_each=cost.credits_each,
        soak=user_class.soak,
        search=user_class.search,
    )


def _cost(
    target: Target, model: str, workloads: tuple[Workload, ...], legs: Sequence[Leg], trace: Trace | None
) -> aim.Estimate:
    if trace is None:
        return aim.estimate(target, model, workloads, round(expected(legs)) if legs else None)
    progress.say(trace.said)
    return aim.estimate_of_trace(target, model, trace)
