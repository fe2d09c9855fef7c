"""What a run looks like in a terminal: a line a clause, the findings, one closing line; computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from chatproof.contract import Level
from chatproof.report import deviation_entry
from chatproof.verdict import MEANING, ClauseRow, Exit, Finding, Outcome, Verdict

COLOURS = {
    Outcome.PASS: "green",
    Outcome.FAIL: "bold red",
    Outcome.WARN: "yellow",
    Outcome.OBSERVE: "cyan",
    Outcome.NOT_OBSERVED: "magenta",
    Outcome.UNTESTABLE: "magenta",
    Outcome.WAIVED: "blue",
    Outcome.KNOWN: "blue",
    Outcome.STALE: "bold red",
    Outcome.BROKEN: "bold white on red",
    Outcome.OWN: "dim",
}
VERDICT_COLOURS = {Exit.CONFORMS: "bold green", Exit.VIOLATES: "bold red"}
FINDINGS_PER_CLAUSE = 3
ENTRIES = 10  # of [[deviation]], on the screen


def clause_line(row: ClauseRow) -> Text:
    """One clause: id, level, outcome, how often it was judged, and what it promises or why it was not judged."""
    line = Text(f"{row.id:<8}{row.level:<8}")
    line.append(f"{row.outcome:<13}", style=COLOURS[row.outcome])
    return line.append(f"{row.subjects or '':>5}  {row.reason or row.sentence}")


def show_rows(console: Console, rows: Sequence[ClauseRow], advice: str | None = None) -> None:
    """The table, advice where there is some, the findings, worst first, and what each outcome that occurs means."""
    _show_table(console, rows)
    if advice:
        console.print(f"\n[bold yellow]hint[/] {escape(advice)}", soft_wrap=True, highlight=False)
    red = [row for row in rows if any(f.known is None for f in row.findings)]
    for row in sorted(red, key=lambda row: row.outcome is not Outcome.FAIL):
        _show_findings(console, row)
    _show_entries(console, red)
    counts = {outcome: sum(row.outcome is outcome for row in rows) for outcome in Outcome}
    console.print()
    for outcome, count in counts.items():
        if count:
            said = f"[{COLOURS[outcome]}]{count:4d} {outcome:<12}[/]  [dim]{escape(MEANING[outcome])}[/]"
            console.print(said, soft_wrap=True, highlight=False)


def _show_table(console: Console, rows: Sequence[ClauseRow]) -> None:
    """A line a clause; cut at the console's width where it only repeats the contract."""
    for section, members in groupby(rows, key=lambda row: row.section):
        console.print(f"\n[bold]{escape(section)}[/]", highlight=False)
        for row in members:
            if row.reason and row.outcome is not Outcome.OWN:
                console.print(clause_line(row), soft_wrap=True)
            else:
                console.print(clause_line(row), no_wrap=True, overflow="ellipsis", crop=True)


def _show_findings(console: Console, row: ClauseRow) -> None:
    fresh = [finding for finding in row.findings if finding.known is None]
    console.print()
    console.print(
        f"[{COLOURS[row.outcome]}]{row.id} {row.outcome}[/]  {escape(row.sentence)}", soft_wrap=True
    )
    distinct = list({(f.level, f.expected, f.actual): f for f in fresh}.values())
    for finding in distinct[:FINDINGS_PER_CLAUSE]:
        _show_finding(console, finding)
    if len(fresh) > FINDINGS_PER_CLAUSE:
        kept = f"  [dim]... {len(fresh)} findings in all; --report DIR keeps every one[/]"
        console.print(kept, soft_wrap=True, highlight=False)


def _show_entries(console: Console, red: Sequence[ClauseRow]) -> None:
    """For each finding the entry that would accept it, to paste and date."""
    fresh = [finding for row in red for finding in row.findings if finding.known is None]
    entries = dict.fromkeys(deviation_entry(finding.clause, asdict(finding)) for finding in fresh)
    if not entries:
        return
    console.print("To accept a finding until a day, put its entry into the target file:", style="bold")
    for entry in list(entries)[:ENTRIES]:
        console.print(f"\n{escape(entry)}", style="dim", soft_wrap=True, highlight=False)
    if len(entries) > ENTRIES:
        console.print(f"\n[dim]... {len(entries)} in all; summary.md of --report DIR has every one[/]")


def _show_finding(console: Console, finding: Finding) -> None:
    lines = [
        f"  expected  {finding.expected}" + (" (SHOULD)" if finding.level is Level.SHOULD else ""),
        f"  got       {finding.actual}",
        f"  where     {finding.exchange or finding.source}, status {finding.status}, "
        f"X-Request-Id {finding.request_id or '-'}, model {finding.model or '-'}",
    ]
    for line in lines:
        console.print(escape(line), soft_wrap=True, highlight=False)
    for line in finding.excerpt:
        console.print(f"  [dim]|[/] {escape(line)}", soft_wrap=True, highlight=False)
    if finding.curl:
        console.print(f"  repeat    {escape(finding.curl)}", soft_wrap=True, highlight=False)
    console.print()


def closing_line(console: Console, verdict: Verdict, target: str, *, embedded: bool) -> None:
    """The last line: verdict, why, and of what."""
    colour = VERDICT_COLOURS.get(verdict.exit, "bold yellow")
    of = f"EMBEDDED REFERENCE ({target})" if embedded else target
    console.print(
        f"[{colour}]{verdict.name.upper()}[/] {escape(of)}: {escape(verdict.why)} (exit {int(verdict.exit)})",
        soft_wrap=True,
        highlight=False,
    )
