"""A load run on disk: the report with all its faces, and `samples.jsonl`. Writes what it is given."""

from __future__ import annotations

import json
import math
import os
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from chatproof import __version__
from chatproof.redact import Redactor
from chatproof.report import RunInfo, faces, made_with, report_of
from chatproof.report.directory import place
from chatproof.report.document import encodable
from chatproof.run import Judged
from chatproof.swarm.master.clauses import clause_rows
from chatproof.swarm.master.ledger import Ledger
from chatproof.target import Target, read_contract
from chatproof.verdict import Verdict

REFERENCE = "EMBEDDED REFERENCE"
NO_SECRETS = Redactor({})


def write_run(
    folder: Path, ledger: Ledger, section: Mapping[str, Any], verdict: Verdict, target: Target, model: str
) -> None:
    """Writes every file, all or none; what a target said is without the secrets that the run knows."""
    redactor = Redactor(target.secrets)
    shown = plain(section, redactor)
    ended = datetime.now(UTC)
    info = RunInfo(
        command="load",
        name=ledger.run,
        seed=shown["options"].get("seed") or 0,
        started=ended - timedelta(seconds=shown["seconds"]),
        ended=ended,
        jobs=max(1, len(shown["health"]["workers"])),
        interrupted=shown["interrupted"],
        reference=target.origin == REFERENCE,
        made_with={**made_with(), "fingerprint": fingerprint(shown), "asked_model": model},
    )
    judged = Judged(clause_rows(shown["conformance"], read_contract()), (), ())
    document = report_of(judged, target, info, verdict, shown)
    rows = sorted(ledger.rows, key=lambda row: (row.started_ns, row.stream_id))
    samples = b"".join(redactor.data(msgspec.json.encode(row)) + b"\n" for row in rows)
    place(folder, {"samples.jsonl": samples, **faces(document, ())})


def fingerprint(section: Mapping[str, Any]) -> dict[str, str]:
    """What must be equal for two runs to be compared."""
    options = section["options"]
    kept = {
        name: value for name, value in sorted(options.items()) if name not in ("target", "stop_file", "host")
    }
    if "trace" in section:  # what it says counts, not where it lies
        kept["trace"] = section["trace"]["digest"]
    return {
        "machine": f"{platform.node()} {platform.machine()} {os.cpu_count()} cores",
        "tool": f"chatproof {__version__}, Python {platform.python_version()}, {sys.platform}",
        "scenario": str(section["scenario"]),
        "seed": str(options.get("seed")),
        "settings": json.dumps(kept, default=str),
    }


def finite(value: Any) -> Any:
    """The value in JSON's types, null in place of numbers that JSON lacks."""
    return plain(value, NO_SECRETS)


def plain(value: Any, redactor: Redactor) -> Any:
    """The value in JSON's types: markers in place of secrets, null in place of numbers that JSON lacks."""
    match value:
        case bool() | int() | None:
            return value
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {str(key): plain(each, redactor) for key, each in value.items()}
        case list() | tuple():
            return [plain(each, redactor) for each in value]
        case _:
            return redactor.text(encodable(str(value)))
