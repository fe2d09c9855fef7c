"""What changed between two reports: findings that are new or gone, verdicts that moved, shapes that differ legally.

Works on documents alone. Load figures stand side by side for information: whether a run is slower than another is
not decided from two recordings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

# Ids and nonces, and in what came also counts and times: they are others in each run.
IDS: Final = re.compile(r"\b(?=\w*\d)(?=\w*[A-Za-z])[\w-]{6,}\b")
NUMBERS: Final = re.compile(r"\b[\w-]*\d[\w.-]*\b")
FIGURES: Final = (("ttft", "p50_s"), ("ttft", "p95_s"), ("itl", "p50_s"), ("itl", "p99_s"), ("e2e", "p95_s"))

Finding = Mapping[str, Any]


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The difference from an older report's document to a newer one's, in JSON's types."""
    before, after = dict(_findings(old)), dict(_findings(new))
    return {
        "against": {
            "id": old["run"]["id"],
            "started": old["run"]["started"],
            "base_url": old["target"]["base_url"],
            "verdict": old["verdict"],
            "tool": old["run"]["tool"]["version"],
            "same_target": old["target"]["hash"] == new["target"]["hash"],
        },
        "new_findings": [_told(key, found) for key, found in after.items() if key not in before],
        "fixed_findings": [_told(key, found) for key, found in before.items() if key not in after],
        "outcomes": _moved(old, new),
        "changed": _changed(old.get("observed") or {}, new.get("observed") or {}),
        "load": _load(old.get("load"), new.get("load")),
    }


def _findings(document: Mapping[str, Any]) -> Iterator[tuple[tuple[object, ...], Finding]]:
    """Each finding under what makes it the same one in another run: its words without what varies."""
    for row in document["clauses"]:
        for found in row["findings"]:
            words = (IDS.sub("#", found["expected"]), NUMBERS.sub("#", found["actual"]))
            yield (row["id"], found["level"], found["source"], *words, found["route"], found["status"]), found


def _told(key: tuple[object, ...], found: Finding) -> dict[str, Any]:
    return {
        "clause": key[0],
        "level": found["level"],
        "expected": found["expected"],
        "actual": found["actual"],
        "known": found["known"],
    }


def _moved(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, str]]:
    """Clauses whose outcome is another; one that the older report does not have came with a newer contract."""
    before = {row["id"]: row["outcome"] for row in old["clauses"]}
    return [
        {"clause": row["id"], "was": before.get(row["id"], "absent"), "is": row["outcome"]}
        for row in new["clauses"]
        if row["outcome"] != before.get(row["id"])
    ]


def _changed(old: Mapping[str, list[str]], new: Mapping[str, list[str]]) -> list[dict[str, str]]:
    """Members and headers that came or went, for the kinds of answer that both runs saw."""
    return [
        {"where": kind, "what": name, "how": how}
        for kind in old
        if kind in new
        for names, how in (
            (set(old[kind]) - set(new[kind]), "gone"),
            (set(new[kind]) - set(old[kind]), "new"),
        )
        for name in sorted(names)
    ]


def _load(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    if not old or not new:
        return []
    return [
        {"metric": metric, "figure": figure, "was": was, "is": now}
        for metric, figure in FIGURES
        for was, now in [(_figure(old, metric, figure), _figure(new, metric, figure))]
        if was is not None or now is not None
    ]


def _figure(load: Mapping[str, Any], metric: str, figure: str) -> float | None:
    found: float | None = load["metrics"].get(metric, {}).get(figure)
    return found
