"""The report as Markdown, for the step summary of a CI job. Knows only the document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from chatproof.report.accept import deviation_entry
from chatproof.report.page.scale import duration, number
from chatproof.report.words import MARKS, about, finding_lines, headline, loud, some, tally, visible
from chatproof.verdict import MEANING, Outcome

MOST_FINDINGS: Final = 3  # of one clause
FIGURES: Final = ("ttft", "itl", "e2e", "tpot")
MOST_BYTES: Final = 900_000  # a GitHub step summary holds 1 MiB
_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>|#])")


def summary(document: Mapping[str, Any]) -> bytes:
    """`summary.md`: the verdict, what is not green, each finding with its evidence, the counts."""
    run, target = document["run"], document["target"]
    models = ", ".join(_code(model["id"]) for model in target["model"])
    head = [
        f"# chatproof {_plain(headline(document))}",
        "",
        f"{_code(target['base_url'])} ({_plain(target['origin'])}), model {models}: "
        f"{_made(run)}, {run['started']}, seed {run['seed']}, "
        f"chatproof {run['tool']['version']}",
        "",
        " · ".join(f"**{count}** {name}" for name, count in tally(document)),
    ]
    lines = [*head, "", *_table(document), *_load(document["load"])]
    size = 0
    for block in _findings(document):
        size += len(block.encode())
        if size > MOST_BYTES:
            lines += ["", "_More findings are in report.json: this summary is full._"]
            break
        lines += ["", block]
    return (visible("\n".join(lines)).rstrip("\n") + "\n").encode()


def _table(document: Mapping[str, Any]) -> list[str]:
    rows = loud(document)
    if not rows:
        return ["Everything that this run can judge was seen and kept."]
    return [
        "| clause | level | outcome | seen | what it says | why |",
        "|---|---|---|---:|---|---|",
        *(
            f"| {_plain(row['id'])} | {row['level']} | {MARKS[row['outcome']]} {row['outcome']} "
            f"| {row['subjects']} | {_sentence(row['sentence'])} | {_plain(_cut(about(row)))} |"
            for row in rows
        ),
    ]


def _made(run: Mapping[str, Any]) -> str:
    return f"{run['jobs']} load workers" if run["command"] == "load" else f"{run['exchanges']} exchanges"


def _load(load: Mapping[str, Any] | None) -> list[str]:
    if load is None:
        return []
    endings = {name: count for name, count in load["streams"].items() if name != "total" and count}
    ended = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in endings.items()) or "none"
    return [
        "",
        "## Load",
        "",
        f"Streams: {ended}. {number(load['rate']['achieved'])} requests/s, "
        f"{number(load['rate']['tokens_per_s'])} tokens/s. In the percentiles an unfinished stream is infinitely slow.",
        "",
        "| metric | n | p50 | p95 | p99 | clock |",
        "|---|---:|---:|---:|---:|---|",
        *(
            f"| {name} | {figure['n']} | "
            + " | ".join(duration(figure["adjusted"][label]) for label in ("p50_s", "p95_s", "p99_s"))
            + f" | {figure['clock']} |"
            for name, figure in load["metrics"].items()
            if name in FIGURES
        ),
    ]


def _findings(document: Mapping[str, Any]) -> Iterator[str]:
    for row in loud(document):
        if not row["findings"]:
            continue
        shown, left = some(row["findings"], MOST_FINDINGS)
        outcome = Outcome(row["outcome"])
        yield f"## {row['id']} · {row['outcome']} ({MEANING[outcome]})\n\n{_sentence(row['sentence'])}"
        for finding in shown:
            yield "\n".join(
                [
                    f"- expected **{_plain(finding['expected'])}**",
                    f"- got **{_plain(finding['actual'])}**",
                    "",
                    "<details><summary>evidence</summary>",
                    "",
                    _fenced("\n".join(finding_lines(finding)[2:])),
                    "",
                    *_acceptance(row, finding),
                    "</details>",
                ]
            )
        if left:
            yield f"_and {left} more of {row['id']} in report.json_"


def _acceptance(row: Mapping[str, Any], finding: Mapping[str, Any]) -> list[str]:
    if finding["known"]:
        return []
    return ["To accept it, with a reason and a date:", "", _fenced(deviation_entry(row["id"], finding)), ""]


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _sentence(text: str) -> str:
    """A clause's sentence, which may hold code in backticks, for a table's cell."""
    parts = text.split("`")
    return "".join(_code(part) if place % 2 else _plain_piece(part) for place, part in enumerate(parts))


def _plain_piece(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def _code(text: str) -> str:
    ticks = "``" if "`" in text else "`"
    return f"{ticks}{text.replace('|', chr(92) + '|')}{ticks}" if text else ""


def _fenced(text: str) -> str:
    longest = max((len(found) for found in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def _cut(text: str, most: int = 240) -> str:
    return text if len(text) <= most else f"{text[:most]}..."
