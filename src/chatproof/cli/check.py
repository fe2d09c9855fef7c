"""`chatproof check`: the conformance run, its table and its exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from chatproof.answer import Answer
from chatproof.check import CheckFailed, Conductor, check
from chatproof.cli import dry_run as dry
from chatproof.cli.deployment import EXIT_CODES, Deployment, Stop, named_target, opened, target_options
from chatproof.cli.reporting import check_folder, publish
from chatproof.cli.screen import closing_line, show_rows
from chatproof.preflight import hint
from chatproof.run import Judged, ProbeReport
from chatproof.target import Target
from chatproof.verdict import MEANING, Exit, Seen, decide

JOBS_ON_LOOPBACK = 2
JOBS = 8

OUTCOMES = "\b\nOutcomes:\n" + "\n".join(f"  {name:<13} {said}" for name, said in MEANING.items())


@click.command("check", epilog=f"{EXIT_CODES}\n\n{OUTCOMES}")
@target_options
@click.option("--jobs", type=click.IntRange(1, 32), help="Probes at a time; fewer for a small rate limit.")
@click.option("--seed", type=int, help="Seed of nonces and keys; new for each run unless given.")
@click.option("--strict", is_flag=True, help="Warnings fail the run too.")
@click.option("--dry-run", is_flag=True, help="Send nothing; say what would be sent and what it costs.")
@click.option(
    "--report", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Write reports there."
)
def command(
    target_file: Path | None,
    base_url: str | None,
    jobs: int | None,
    seed: int | None,
    strict: bool,
    dry_run: bool,
    report: Path | None,
) -> None:
    """Prove that a deployment keeps the contract.

    The deployment is --target FILE, else --base-url URL, else BEATRA_BASE_URL with BEATRA_API_KEY; with none of
    them, the embedded reference gateway. Keys come from the environment, never from the command line.
    """
    console = Console()
    target = named_target(target_file, base_url)
    if dry_run:
        dry.show(console, target, jobs or default_jobs(target), seed)
        return
    check_folder(report)
    started = datetime.now(UTC)
    with opened(target, seed) as deployment:
        judged = judged_run(console, deployment, jobs or default_jobs(target))
        show_rows(console, judged.rows, hint([Answer(exchange) for exchange in judged.exchanges]))
        verdict = decide(judged.rows, strict=strict, interrupted=judged.interrupted)
        publish(
            report,
            judged,
            deployment,
            verdict,
            command="check",
            started=started,
            jobs=jobs or default_jobs(target),
            strict=strict,
        )
        if report is not None:
            console.print(f"report in {report}/", soft_wrap=True)
        closing_line(console, verdict, deployment.target.base_url, embedded=deployment.embedded)
    sys.exit(int(verdict.exit))


def default_jobs(target: Target | None) -> int:
    """How many probes run at a time unless it is said."""
    return JOBS_ON_LOOPBACK if target is None or target.is_loopback else JOBS


def judged_run(console: Console, deployment: Deployment, jobs: int) -> Judged:
    """Run the probes under a progress bar; a run that came to no judgement is our own fault (exit 4)."""
    conductor = Conductor(deployment.target, deployment.seed, deployment.exchanges)
    with progress(console, conductor):
        try:
            return check(conductor, jobs=jobs)
        except CheckFailed as wrong:
            raise Stop(str(wrong), Exit.INVALID) from None


@contextmanager
def progress(console: Console, conductor: Conductor) -> Iterator[None]:
    """One line that moves while probes run; nothing where the output is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("probes", total=None)

        def heard(report: ProbeReport) -> None:
            bar.update(task, advance=1, description=f"{report.clause} {_mark(report.seen)}")

        conductor.on_count = lambda count: bar.update(task, total=count)
        conductor.on_report = heard
        yield


def _mark(seen: Seen) -> str:
    return "broken" if seen.broken else "violated" if seen.findings else "ok"
