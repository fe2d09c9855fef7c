"""`chatproof load overhead`: what a gateway adds to its upstream, as differences in milliseconds."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from typing import Any

import click

from chatproof.cli.deployment import EXIT_CODES, Stop
from chatproof.metrics import parse_terms
from chatproof.metrics.binomial import carries
from chatproof.metrics.compare import LEAST_PAIRS
from chatproof.metrics.overhead import addable
from chatproof.metrics.percentiles import quantile_of
from chatproof.swarm.asking.aim import UsageError
from chatproof.swarm.asking.plan import positive, whole_seconds
from chatproof.swarm.compare.overhead import overhead_of
from chatproof.swarm.launch import measure_overhead, named
from chatproof.target.address import is_loopback
from chatproof.verdict import Exit

STARTS_S = 3  # what a run takes beside its --duration
P95_NEEDS = carries(quantile_of("p95"))


class Parsed(click.ParamType[Any]):
    """A value by a parser that raises ValueError with one clear line."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The parsed value; a usage error says what is wrong."""
        try:
            return self._parse(str(value))
        except ValueError as wrong:
            return self.fail(str(wrong), param, ctx)


@click.command("overhead", short_help="What does a gateway add to its upstream?", epilog=EXIT_CODES)
@click.option(
    "--target", metavar="FILE", help="The gateway's target file; --base-url and BEATRA_BASE_URL do too."
)
@click.option("--base-url", metavar="URL", help="The gateway's base URL, ending in /v1.")
@click.option(
    "--upstream",
    required=True,
    metavar="FILE|URL",
    help="What stands behind it: a target file with a key of its own, or a URL on this machine.",
)
@click.option("--model", help="Model to ask the gateway for; else its target's first, else auto.")
@click.option("--upstream-model", help="Model to ask the upstream for; else its target's first, else auto.")
@click.option(
    "--rate",
    type=Parsed("number", positive),
    default=10,
    show_default=True,
    help="Requests a second, evenly spread, the same on both.",
)
@click.option(
    "--duration",
    type=Parsed("time", whole_seconds),
    default="10s",
    show_default=True,
    help="How long each run lasts; two are made a pair.",
)
@click.option(
    "--pairs",
    type=click.IntRange(LEAST_PAIRS, 100),
    default=LEAST_PAIRS,
    show_default=True,
    help="Pairs of runs: more of them narrow the intervals.",
)
@click.option(
    "--prompt-tokens",
    type=click.IntRange(1),
    default=64,
    show_default=True,
    help="Length of each prompt, about.",
)
@click.option(
    "--max-tokens",
    type=click.IntRange(1),
    default=128,
    show_default=True,
    help="Length of each answer, at most.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same prompts.")
@click.option(
    "--slo", multiple=True, metavar="TERM", help="Objective on what is added, such as 'ttft_p95<5ms'."
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON, in seconds.")
@click.option("--yes", is_flag=True, help="Do not ask before load goes to another machine.")
def command(
    upstream: str,
    upstream_model: str | None,
    pairs: int,
    slo: tuple[str, ...],
    as_json: bool,
    yes: bool,
    target: str | None,
    base_url: str | None,
    model: str | None,
    **load: Any,
) -> None:
    """Measure what a gateway adds to its upstream, in milliseconds.

    Both are asked the same words at the same constant rate, in runs that take turns: gateway, upstream, upstream,
    gateway, ... A figure is the gateway's percentile less the upstream's, with the interval that the pairs of runs
    give. Nothing is judged without --slo.
    """
    common = {**load, "arrival": "constant", "sample_share": 0.0}
    gateway = {**common, "target": target, "base_url": base_url, "model": model}
    behind = {**common, **named(upstream), "model": upstream_model}
    say = functools.partial(click.echo, err=True)
    minutes = max(1, round(2 * pairs * (load["duration"] + STARTS_S) / 60))
    try:
        terms = parse_terms(slo)
        for term in terms:
            addable(term)
        _own_key(upstream)
        say(f"{2 * pairs} runs of {load['duration']} s each, about {minutes} min in all")
        if load["rate"] * load["duration"] < P95_NEEDS:
            say(
                f"p95 will not be measured: it needs {P95_NEEDS} requests a run, which is --rate times --duration"
            )
        turns = measure_overhead(gateway, behind, pairs=pairs, yes=yes, say=say)
    except (UsageError, ValueError) as wrong:
        raise Stop(str(wrong), Exit.USAGE) from None
    if turns.exit is not Exit.CONFORMS:
        raise Stop(f"nothing can be said of what is added: {turns.why}", turns.exit)
    found = overhead_of(turns.pairs, terms)
    click.echo(json.dumps(found.document, indent=2) if as_json else "\n".join(found.lines))
    sys.exit(int(found.verdict.exit))


def _own_key(upstream: str) -> None:
    """Refuses to hand the gateway's key to another machine: a URL alone would be asked with it."""
    if "://" in upstream and not is_loopback(upstream):
        raise UsageError(
            "--upstream on another machine needs a target file with a key of its own: "
            "BEATRA_API_KEY is the gateway's (chatproof init FILE writes one)"
        )
