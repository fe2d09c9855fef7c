"""A load run read back from its folder. Judges nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from chatproof.metrics import StreamRow
from chatproof.swarm.asking.aim import UsageError


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run as its folder holds it."""

    fingerprint: Mapping[str, str]
    verdict: str
    interrupted: bool
    rows: tuple[StreamRow, ...]


def read_run(folder: Path) -> Recorded:
    """The run that a folder holds; UsageError where it holds none."""
    try:
        report = json.loads((folder / "report.json").read_bytes())
        lines = (folder / "samples.jsonl").read_bytes().splitlines()
        load, run, verdict = report.get("load"), report["run"], report["verdict"]
        rows = tuple(msgspec.json.decode(line, type=StreamRow) for line in lines)
    except (OSError, ValueError, KeyError, AttributeError):
        raise UsageError(
            f"{folder}: no load run is recorded here: give the folder that --report named"
        ) from None
    if not load:
        raise UsageError(f"{folder}: its report has no load section: give the folder of a load run")
    return Recorded(run.get("fingerprint", {}), verdict, bool(run.get("interrupted")), rows)
