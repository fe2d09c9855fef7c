"""`chatproof gate`: conformance, a short load under the SLO, and a comparison; one verdict, one exit code."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import click
from rich.console import Console

from chatproof.answer import Answer
from chatproof.cli.check import default_jobs, judged_run
from chatproof.cli.deployment import EXIT_CODES, Deployment, Stop, named_target, opened, target_options
from chatproof.cli.duration import Duration
from chatproof.cli.reporting import check_folder, publish
from chatproof.cli.screen import closing_line, show_rows
from chatproof.gate import Part, weigh
from chatproof.preflight import hint
from chatproof.run import Judged, judge
from chatproof.swarm.asking.aim import UsageError
from chatproof.swarm.launch import compare_targets, run_load
from chatproof.target import read_contract
from chatproof.verdict import Exit, Verdict, decide

LOAD = {"users": 10, "duration": "30s"}
QUICK_LOAD = {"users": 5, "duration": "10s"}


@dataclass
class Gate:
    """What one gate was asked, and what its parts said so far."""

    console: Console
    deployment: Deployment
    aim: Mapping[str, Any]  # how the load half names the same target
    load: Mapping[str, Any]
    jobs: int
    strict: bool
    deadline: float | None
    parts: list[Part] = field(default_factory=list)
    samples: dict[str, bytes] = field(default_factory=dict)  # the load's rows, to lie with the report
    cut_short: bool = False

    def left_s(self) -> float | None:
        """Seconds until --max-time is over."""
        return None if self.deadline is None else max(0.0, self.deadline - monotonic())

    @property
    def red(self) -> bool:
        """Whether a part has failed already."""
        return any(part.verdict.exit is not Exit.CONFORMS for part in self.parts)


@click.command("gate", epilog=EXIT_CODES)
@target_options
@click.option(
    "--reference", is_flag=True, help="Gate the embedded reference: shows that the gate itself works."
)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="An earlier report: its difference is shown, and its load figures for information.",
)
@click.option(
    "--baseline-target",
    metavar="FILE|URL",
    help="A live deployment to be no slower than: measured in turns with the target.",
)
@click.option("--only", type=click.Choice(["conformance", "load"]), help="Run one half.")
@click.option("--quick", is_flag=True, help="A shorter load.")
@click.option(
    "--slo", multiple=True, metavar="TERM", help="Such as 'ttft_p95<800ms'; wins over the target's [slo]."
)
@click.option("--strict", is_flag=True, help="Warnings fail the gate too.")
@click.option("--fail-fast", is_flag=True, help="End at the first part that is not green.")
@click.option("--max-time", type=Duration(), metavar="TIME", help="Stop after this long, such as 10m.")
@click.option("--jobs", type=click.IntRange(1, 32), help="Probes at a time.")
@click.option(
    "--report", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Write reports there."
)
@click.option("--yes", is_flag=True, help="Do not ask before load goes to another machine.")
def command(
    target_file: Path | None,
    base_url: str | None,
    reference: bool,
    baseline: Path | None,
    baseline_target: str | None,
    only: str | None,
    quick: bool,
    slo: tuple[str, ...],
    strict: bool,
    fail_fast: bool,
    max_time: float | None,
    jobs: int | None,
    report: Path | None,
    yes: bool,
) -> None:
    """Decide whether a deployment may be released: contract, speed under the SLO, and no regression.

    A MUST that stays untestable without a [[waive]] entry, or was not observed, makes the gate inconclusive.
    """
    console = Console()
    target = named_target(target_file, base_url)
    if (target is None) == (not reference):
        raise Stop(_which(reference), Exit.USAGE)
    old = _baseline(baseline)
    check_folder(report)
    started = datetime.now(UTC)
    aim = {"target": str(target_file)} if target_file else {"base_url": target.base_url} if target else {}
    load = {**(QUICK_LOAD if quick else LOAD), "slo": slo, "yes": yes}
    deadline = monotonic() + max_time if max_time is not None else None
    with opened(target, None) as deployment:
        gate = Gate(console, deployment, aim, load, jobs or default_jobs(target), strict, deadline)
        judged = _conformance(gate, only)
        section = None
        if only != "conformance" and not (fail_fast and gate.red) and not gate.cut_short:
            section = _load(gate)
        if baseline_target is not None and not (fail_fast and gate.red) and not gate.cut_short:
            _compare(gate, baseline_target)
        verdict = weigh(gate.parts, gate.cut_short)
        document = publish(
            report,
            judged,
            deployment,
            verdict,
            command="gate",
            started=started,
            jobs=gate.jobs,
            strict=strict,
            load=section,
            against=old,
            parts=[(part.name, part.verdict) for part in gate.parts],
            beside=gate.samples,
        )
        _close(gate, verdict, document["baseline"], report)
    sys.exit(int(verdict.exit))


def _which(reference: bool) -> str:
    if reference:
        return "--reference and a target were named: leave out one of them"
    return "a gate needs a deployment: --target FILE, --base-url URL, BEATRA_BASE_URL, or --reference"


def _baseline(folder: Path | None) -> Mapping[str, Any] | None:
    if folder is None:
        return None
    try:
        found = json.loads((folder / "report.json").read_bytes())
        found["clauses"], found["target"]["hash"], found["run"]["started"]
    except (OSError, ValueError, KeyError, TypeError):
        raise Stop(f"--baseline {folder}: no report.json of a check or gate is there", Exit.USAGE) from None
    return found  # type: ignore[no-any-return]


def _conformance(gate: Gate, only: str | None) -> Judged:
    """Run the probes and show their rows; with --only load nothing is judged, and every clause says so."""
    deployment = gate.deployment
    if only == "load":
        return judge(read_contract(), deployment.target, (), (), datetime.now(UTC).date())
    with _alarm(gate):
        judged = judged_run(gate.console, deployment, gate.jobs)
    show_rows(gate.console, judged.rows, hint([Answer(exchange) for exchange in judged.exchanges]))
    gate.cut_short = gate.cut_short or judged.interrupted
    verdict = decide(judged.rows, strict=gate.strict, gate=True, interrupted=judged.interrupted)
    gate.parts.append(Part("conformance", verdict))
    return judged


@contextmanager
def _alarm(gate: Gate) -> Iterator[None]:
    """Interrupt the block when --max-time is over."""
    left = gate.left_s()
    if left is None:
        yield
        return

    def ring(number: int, frame: object) -> None:
        gate.cut_short = True
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(left, 0.001))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _load(gate: Gate) -> Mapping[str, Any] | None:
    """A short load in a process of its own; its section of the report."""
    with tempfile.TemporaryDirectory(prefix="chatproof-") as folder:
        stop = Path(folder) / "stop"
        options = {**gate.aim, **gate.load, "report": str(Path(folder) / "load"), "stop_file": str(stop)}
        timer = threading.Timer(gate.left_s() or 0, lambda: _touch(gate, stop))
        if gate.deadline is not None:
            timer.start()
        try:
            code = run_load("steady", options)
            said = json.loads((Path(folder) / "load" / "report.json").read_bytes())
            gate.samples["samples.jsonl"] = (Path(folder) / "load" / "samples.jsonl").read_bytes()
        except UsageError as wrong:
            raise Stop(str(wrong), Exit.USAGE) from None
        except OSError:
            if code == Exit.USAGE:
                raise Stop(
                    "the load half could not use its options: see the line above", Exit.USAGE
                ) from None
            gate.parts.append(Part("load", Verdict(Exit(code or Exit.INVALID), "it left no report")))
            return None
        finally:
            timer.cancel()
    gate.parts.append(Part("load", Verdict(Exit(said["exit_code"]), said["why"])))
    return said["load"]  # type: ignore[no-any-return]


def _touch(gate: Gate, stop: Path) -> None:
    gate.cut_short = True
    stop.touch()


def _compare(gate: Gate, baseline_target: str) -> None:
    """Measure baseline and target in turns; only a target that is shown to be slower fails."""
    here = gate.aim.get("target") or gate.aim.get("base_url") or gate.deployment.target.base_url
    try:
        with _alarm(gate):
            found = compare_targets(
                baseline_target,
                here,
                {**gate.load, "duration": "10s"},
                lambda line: click.echo(line, err=True),
            )
    except UsageError as wrong:
        raise Stop(str(wrong), Exit.USAGE) from None
    except KeyboardInterrupt:
        gate.parts.append(Part("comparison", Verdict(Exit.INCONCLUSIVE, "it was interrupted")))
        return
    for line in found.lines:
        gate.console.print(line, highlight=False, soft_wrap=True)
    gate.parts.append(Part("comparison", Verdict(found.exit, "; ".join(found.lines))))


def _close(gate: Gate, verdict: Verdict, changes: Mapping[str, Any] | None, report: Path | None) -> None:
    say = gate.console.print
    say()
    if changes:
        fresh, fixed = len(changes["new_findings"]), len(changes["fixed_findings"])
        say(f"since {changes['against']['id']}: {fresh} new findings, {fixed} fixed", highlight=False)
        for found in changes["new_findings"]:
            say(f"  new {found['clause']}: {found['actual']}", highlight=False, markup=False, soft_wrap=True)
    for part in gate.parts:
        say(
            f"{part.name:<12} {part.verdict.name:<13} {part.verdict.why}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    if report is not None:
        say(f"report in {report}/, the page is {report}/index.html", highlight=False, soft_wrap=True)
    closing_line(gate.console, verdict, gate.deployment.target.base_url, embedded=gate.deployment.embedded)
