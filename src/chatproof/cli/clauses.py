"""`chatproof clauses`: the contract, and what proves each clause."""

from __future__ import annotations

import json
from itertools import groupby

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from chatproof.reference.faults import FAULTS
from chatproof.report.clause_docs import clause_docs
from chatproof.target import read_contract


def proofs() -> dict[str, list[str]]:
    """The faults that turn each clause red, by clause id."""
    return {
        clause.id: [fault.name for fault in FAULTS.values() if clause.id in fault.breaks]
        for clause in read_contract()
    }


@click.command("clauses")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with the faults that prove each check.")
@click.option("--markdown", is_flag=True, help="As the page that reports link to.")
def command(as_json: bool, markdown: bool) -> None:
    """Print the contract's clauses and what proves the check of each."""
    if markdown:
        click.echo(clause_docs(read_contract()), nl=False)
        return
    proved = proofs()
    if as_json:
        rows = [
            {
                "id": clause.id,
                "level": clause.level,
                "section": clause.section,
                "sentence": clause.sentence,
                "source": clause.source,
                "every_exchange": clause.every,
                "unchecked": clause.unchecked,
                "faults": proved[clause.id],
            }
            for clause in read_contract()
        ]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("clause", "level", "faults", "judged", "sentence"):
        table.add_column(title, no_wrap=title != "sentence")
    for section, members in groupby(read_contract(), key=lambda clause: clause.section):
        table.add_row(f"[bold]{escape(section)}[/]")
        for clause in members:
            how = "own tests" if clause.unchecked else "every exchange" if clause.every else "probe"
            faults = str(len(proved[clause.id]) or "-")
            table.add_row(clause.id, clause.level.value, faults, how, escape(clause.sentence))
    Console().print(table)
