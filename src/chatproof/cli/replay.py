"""`chatproof replay`: judges a recorded run again, offline; or asks the deployment again and says what is fixed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import click
from rich.console import Console

from chatproof import replay
from chatproof.check import CheckFailed, Conductor, check
from chatproof.cli.deployment import EXIT_CODES, Stop, named_target, new_seed, opened, target_options
from chatproof.cli.screen import closing_line, show_rows
from chatproof.run import Judged
from chatproof.target import read_contract
from chatproof.verdict import ClauseRow, Exit, Outcome, Verdict, decide

RED = (Outcome.FAIL.value, Outcome.WARN.value, Outcome.STALE.value)


@click.command("replay", epilog=EXIT_CODES)
@click.argument("report", type=click.Path(path_type=Path, file_okay=False))
@click.option("--clause", "clauses", multiple=True, metavar="ID", help="Only this clause; may be repeated.")
@click.option(
    "--send", is_flag=True, help="Ask again what the red clauses were judged on: fixed or still failing?"
)
@target_options
def command(
    report: Path, clauses: tuple[str, ...], send: bool, target_file: Path | None, base_url: str | None
) -> None:
    """Judge the recording in REPORT, a folder that --report named, again: offline, with the same verdicts.

    With --send the requests go out again, to the deployment that --target, --base-url or the environment name.
    """
    contract = read_contract()
    unknown = [clause for clause in clauses if clause not in contract]
    if unknown:
        raise Stop(f"no clause is named {unknown[0]!r}: chatproof clauses", Exit.USAGE)
    try:
        recorded = replay.read(report)
    except replay.RecordingError as wrong:
        raise Stop(str(wrong), Exit.USAGE) from None
    console = Console()
    if send:
        sys.exit(int(_send(console, recorded, clauses, target_file, base_url).exit))
    try:
        judged = replay.judge_again(recorded, frozenset(clauses))
    except CheckFailed as wrong:
        raise Stop(str(wrong), Exit.INVALID) from None
    rows = _chosen(judged, clauses)
    show_rows(console, rows)
    verdict = decide(rows)
    changed = [
        f"{row.id} {recorded.outcomes.get(row.id)} -> {row.outcome}"
        for row in rows
        if recorded.outcomes.get(row.id) != row.outcome.value
    ]
    if changed:
        console.print(f"judged otherwise than when it was recorded: {', '.join(changed)}", soft_wrap=True)
    of = f"recording {report} of {recorded.target.base_url}"
    closing_line(console, verdict, of, embedded=False)
    sys.exit(int(verdict.exit))


def _send(
    console: Console,
    recorded: replay.Recorded,
    clauses: tuple[str, ...],
    target_file: Path | None,
    base_url: str | None,
) -> Verdict:
    """Hold the red clauses' conversations with the deployment again."""
    red = [id for id, outcome in recorded.outcomes.items() if outcome in RED]
    wanted = [id for id in red if not clauses or id in clauses] or list(clauses)
    if not wanted:
        return Verdict(Exit.CONFORMS, "nothing was red")
    target = named_target(target_file, base_url)
    if target is None:
        raise Stop("--send needs a deployment: --target FILE, --base-url URL or BEATRA_BASE_URL", Exit.USAGE)
    with opened(target, new_seed(None)) as deployment:
        probed = frozenset(wanted) if _have_probes(recorded.document, wanted) else frozenset()
        conductor = Conductor(deployment.target, deployment.seed, deployment.exchanges, only=probed)
        try:
            judged = check(conductor)
        except CheckFailed as wrong:
            raise Stop(str(wrong), Exit.INVALID) from None
        rows = _chosen(judged, tuple(wanted))
        show_rows(console, rows)
        for row in rows:
            console.print(f"{row.id}: {_now(row)}", highlight=False)
        verdict = decide(rows)
        closing_line(console, verdict, deployment.target.base_url, embedded=False)
    return verdict


def _have_probes(document: Mapping[str, object], wanted: list[str]) -> bool:
    """Whether every wanted clause was found red by a probe of its own; a fact needs all the traffic."""
    rows = document["clauses"]
    assert isinstance(rows, list)
    sources = {row["id"]: {finding["source"] for finding in row["findings"]} for row in rows}
    return all("every exchange" not in sources[id] and sources[id] for id in wanted)


def _now(row: ClauseRow) -> str:
    if row.outcome is Outcome.PASS:
        return "fixed"
    return "still failing" if row.outcome.value in RED else f"not decided: {row.outcome} ({row.reason})"


def _chosen(judged: Judged, clauses: tuple[str, ...]) -> list[ClauseRow]:
    return [row for row in judged.rows if not clauses or row.id in clauses]
