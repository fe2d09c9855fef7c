"""aiperf on a kind of load: its command line, and its own records of single requests read back."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.peers.environment import environment, tokenizer
from benchmarks.peers.process import Ended, run
from benchmarks.row import RAMP_S, Told, Work
from chatproof.swarm.client.transport import wall_offset

NAME = "aiperf 0.13.0"
PACKAGES = ("aiperf==0.13.0",)


def once(root: str, work: Work) -> Told | None:
    """One run with one worker process, which holds all users; None where it failed."""
    python = environment("aiperf", "3.12", PACKAGES)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        words = tokenizer(python, folder / "tokenizer")
        options = {
            "model": "bench",
            "url": f"{root}{work.path}",
            "endpoint-type": "chat",
            "concurrency": work.users,
            "concurrency-ramp-duration": RAMP_S,
            "request-count": work.requests,
            "workers-max": 1,
            "tokenizer": words,
            "artifact-dir": folder / "out",
            "ui": "none",
        }
        flags = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        command = [
            str(python.parent / "aiperf"),
            "profile",
            *flags,
            "--streaming",
            "--use-server-token-count",
        ]
        return _told(folder / "out", run(command, folder / "log", {}))


def _told(folder: Path, ended: Ended) -> Told | None:
    """Its records. Instants are of the calendar clock; its X-Request-Id names the stream."""
    found = next(folder.rglob("profile_export.jsonl"), None)
    lines = found.read_text(encoding="utf-8").splitlines() if found else []
    records: list[dict[str, Any]] = [json.loads(line) for line in lines]
    if not records:
        print(f"{NAME} recorded no request:\n{ended.said}", file=sys.stderr)
        return None
    offset = wall_offset()
    firsts = {
        record["metadata"]["x_request_id"]: record["metadata"]["request_start_ns"]
        + round(record["metrics"]["time_to_first_token"]["value"] * 1e6)
        - offset
        for record in records
        if "time_to_first_token" in (record.get("metrics") or {})
    }
    return Told(
        ended_ns=max(record["metadata"]["request_end_ns"] for record in records) - offset,
        firsts=firsts,
        streams=len(records),
        complete=sum(record.get("error") is None for record in records),
        rss_mb=ended.memory_mb,
        launched_ns=ended.launched_ns,
    )
