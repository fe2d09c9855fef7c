"""`chatproof prove`: shows that every check bites, and that none bites what is legal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from chatproof import proof
from chatproof.cli.deployment import Stop
from chatproof.reference import embedded
from chatproof.reference.faults import FAULTS
from chatproof.reference.variations import VARIATIONS
from chatproof.target import read_contract
from chatproof.verdict import Exit

RUNS_PER_CORE = 4  # a run waits for three quarters of its time


@click.command("prove")
@click.option("--clause", metavar="ID", help="Only the faults that touch this clause.")
@click.option("--fault", metavar="NAME", help="Only this fault or variation.")
@click.option("--jobs", type=click.IntRange(1, 32), help="Runs at a time; four times the cores unless given.")
@click.option("--json", "as_json", is_flag=True, help="The results as JSON.")
@click.option(
    "--matrix", is_flag=True, help="Print the declared clause x fault matrix as Markdown; run nothing."
)
def command(clause: str | None, fault: str | None, jobs: int | None, as_json: bool, matrix: bool) -> None:
    """Run the suite against the reference, every legal variation and every fault, and compare each verdict.

    Ends 0 where every fault turns exactly its clauses red and nothing else changes, else 1.
    """
    contract = read_contract()
    if matrix:
        click.echo(proof.matrix(contract), nl=False)
        return
    if clause is not None and clause not in contract:
        raise Stop(f"no clause is named {clause!r}: chatproof clauses", Exit.USAGE)
    if fault is not None and fault not in FAULTS and fault not in VARIATIONS:
        raise Stop(f"no fault or variation is named {fault!r}: chatproof reference --list", Exit.USAGE)
    console = Console(stderr=as_json)
    with embedded() as reference:
        todo = proof.cases(reference, fault, clause)
        wrong, results = _run(console, todo, jobs or RUNS_PER_CORE * (os.cpu_count() or 1))
    unproved = [] if fault or clause else proof.unproved(contract)
    if as_json:
        rows = [{**asdict(result), "wrong": wrong[result.name]} for result in results]
        click.echo(json.dumps({"results": rows, "unproved": unproved}, indent=2))
    _tell(console, todo, wrong, unproved)
    sys.exit(int(Exit.VIOLATES if unproved or any(wrong.values()) else Exit.CONFORMS))


def _run(
    console: Console, todo: Sequence[proof.Case], jobs: int
) -> tuple[dict[str, list[str]], list[proof.Shown]]:
    wrong: dict[str, list[str]] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("proving", total=len(todo))

        def shown(case: proof.Case, result: proof.Shown) -> None:
            again = case.name in wrong
            wrong[case.name] = result.wrong(case.expected)
            bar.update(task, advance=0 if again else 1, description=case.name)
            if again and not wrong[case.name]:
                bar.console.print(
                    f"[yellow]unsteady[/] {case.name}: alone it came out as expected", soft_wrap=True
                )
            for line in wrong[case.name]:
                bar.console.print(f"[red]{case.kind} {case.name}[/]: {line}", soft_wrap=True, highlight=False)

        results = proof.prove(todo, jobs, shown)
    return wrong, results


def _tell(
    console: Console, todo: Sequence[proof.Case], wrong: dict[str, list[str]], unproved: Sequence[str]
) -> None:
    for id in unproved:
        console.print(f"[red]{id}[/]: no fault breaks it")
    kinds = {kind: [case.name for case in todo if case.kind == kind] for kind in ("variation", "fault")}
    green = sum(not wrong[name] for name in kinds["variation"])
    bitten = sum(not wrong[name] for name in kinds["fault"])
    clean = "green" if not wrong[proof.CLEAN] else "NOT green"
    console.print(
        f"reference {clean}, {green} of {len(kinds['variation'])} variations green, "
        f"{bitten} of {len(kinds['fault'])} faults turn exactly their clauses red"
        + (f", {len(unproved)} clauses unproved" if unproved else ""),
        highlight=False,
    )
