"""A load run on disk: `report.json` and `samples.jsonl`. Writes what it is given."""

from __future__ import annotations

import json
import math
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from chatproof import __version__
from chatproof.swarm.ledger import Ledger
from chatproof.target import Target
from chatproof.verdict import Verdict

SCHEMA_VERSION = "1"


def write_run(
    folder: Path, ledger: Ledger, section: Mapping[str, Any], verdict: Verdict, target: Target, model: str
) -> None:
    """Writes both files, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    report = {
        "schema_version": SCHEMA_VERSION,
        "run": {"id": ledger.run, "tool": f"chatproof {__version__}", "fingerprint": fingerprint(section)},
        "target": {**target.described(), "asked_model": model},
        "clauses": [],
        "totals": {},
        "load": section,
        "verdict": verdict.name,
        "why": verdict.why,
        "exit_code": int(verdict.exit),
    }
    text = json.dumps(finite(report), indent=1, default=str, allow_nan=False)
    _replace(folder / "report.json", text.encode() + b"\n")
    rows = sorted(ledger.rows, key=lambda row: (row.started_ns, row.stream_id))
    _replace(folder / "samples.jsonl", b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


def fingerprint(section: Mapping[str, Any]) -> dict[str, str]:
    """What must be equal for two runs to be compared."""
    options = section["options"]
    kept = {
        name: value for name, value in sorted(options.items()) if name not in ("target", "stop_file", "host")
    }
    return {
        "machine": f"{platform.node()} {platform.machine()} {os.cpu_count()} cores",
        "tool": f"chatproof {__version__}, Python {platform.python_version()}, {sys.platform}",
        "scenario": str(section["scenario"]),
        "seed": str(options.get("seed")),
        "settings": json.dumps(kept, default=str),
    }


def finite(value: Any) -> Any:
    """The same value where every number is one that JSON has; others are null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return value


def _replace(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(data)
    partial.replace(path)
