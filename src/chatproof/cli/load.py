"""`chatproof load`: a scenario as a command, and the comparison of two runs or two targets."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from chatproof.cli import load_overhead
from chatproof.cli.deployment import EXIT_CODES, Stop
from chatproof.cli.load_overhead import Parsed
from chatproof.swarm.asking.aim import UsageError
from chatproof.swarm.asking.plan import Option, whole_seconds
from chatproof.swarm.compare.compare import compare_recorded
from chatproof.swarm.launch import COMMAND_OPTIONS, compare_targets, run_load, scenarios
from chatproof.verdict import Exit


@click.group("load")
def command() -> None:
    """Measure how fast a deployment streams: one scenario a question.

    \b
    chatproof load steady                      what it looks like, on the embedded reference
    chatproof load steady --target staging.toml --users 50 --duration 2m --yes
    chatproof load capacity --target staging.toml --slo 'ttft_p95<800ms' --yes

    The target is --target FILE, --base-url URL, or BEATRA_BASE_URL with BEATRA_API_KEY. What will be sent is told
    and must be confirmed before load goes to another machine; --yes confirms it. Every scenario is a plain locust
    file too: locust -f load/steady.py. What the figures mean: docs/reading-a-load-report.md.
    """


def _click(option: Option) -> click.Option:
    flag = f"--{option.name}"
    said = f"{option.help[0].upper()}{option.help[1:]}."
    if option.parse is None:
        return click.Option([flag, option.dest], is_flag=True, help=said)
    name = {str: "text", whole_seconds: "time"}.get(option.parse, "number")
    kind: click.ParamType[Any] = (
        click.Choice(option.choices) if option.choices else Parsed(name, option.parse)
    )
    shown = bool(option.default) or option.default == 0
    return click.Option(
        [flag, option.dest],
        type=kind,
        default=list(option.default) if option.repeats else option.default,
        show_default=shown,
        multiple=option.repeats,
        metavar=option.shown or None,
        help=said,
    )


def _scenario(name: str) -> Callable[..., None]:
    def run(**options: Any) -> None:
        try:
            code = run_load(name, options)
        except UsageError as wrong:
            raise Stop(str(wrong), Exit.USAGE) from None
        sys.exit(code)

    return run


for _found in scenarios():
    command.add_command(
        click.Command(
            _found.name,
            params=[_click(option) for option in COMMAND_OPTIONS if option.of(_found.name)],
            callback=_scenario(_found.name),
            short_help=f"{_found.question.partition(':')[0]}?",
            help=_found.question,
            epilog=EXIT_CODES,
        )
    )


command.add_command(load_overhead.command)


@command.command("compare", short_help="Is B slower than A?", epilog=EXIT_CODES)
@click.argument("a")
@click.argument("b")
@click.option("--users", type=click.IntRange(1), default=10, show_default=True, help="Users of each run.")
@click.option(
    "--duration",
    type=Parsed("time", whole_seconds),
    default="10s",
    show_default=True,
    help="How long each run lasts; 12 are made.",
)
@click.option("--yes", is_flag=True, help="Do not ask before load goes to another machine.")
def compare(a: str, b: str, users: int, duration: int, yes: bool) -> None:
    """Is B slower than A? Two report folders, or two live targets (target files or base URLs) measured in turns.

    Recorded runs are compared only where they were made alike; "cannot compare" says what differs. Live targets are
    measured A B B A A B ..., twelve runs of `steady`. Exit 1: B is slower, by at least a tenth and beyond doubt.
    """
    try:
        if Path(a).is_dir() or Path(b).is_dir():
            found = compare_recorded(Path(a), Path(b))
        else:
            options = {"users": users, "duration": duration, "yes": yes}
            found = compare_targets(a, b, options, lambda line: click.echo(line, err=True))
    except UsageError as wrong:
        raise Stop(str(wrong), Exit.USAGE) from None
    for line in found.lines:
        click.echo(line)
    sys.exit(int(found.exit))
