"""inference-perf on a kind of load: its settings, and its own records of single requests read back."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.peers.environment import environment, tokenizer
from benchmarks.peers.process import Ended, run
from benchmarks.row import Told, Work

NAME = "inference-perf 0.7.0"
PACKAGES = ("inference-perf==0.7.0", "tokenizers", "transformers")


def once(root: str, work: Work) -> Told | None:
    """One run with one worker process that holds all users; None where it failed."""
    python = environment("inference-perf", "3.12", PACKAGES)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        config = folder / "config.yml"
        config.write_text(json.dumps(_settings(root, work, tokenizer(python, folder / "tokenizer"), folder)))
        words = [str(python.parent / "inference-perf"), "-c", str(config)]
        ended = run(words, folder / "log", {"HF_HUB_OFFLINE": "1"})
        return _told(folder / "out", ended)


def _settings(root: str, work: Work, words: Path, folder: Path) -> dict[str, Any]:
    """Its YAML, of which JSON is a part. By default a worker would hold 100 users, however many are asked for.

    It starts all users at once: a slow start is what it does not know.
    """
    stage = {"num_requests": work.requests, "concurrency_level": work.users}
    load = {"type": "concurrent", "num_workers": 1, "worker_max_concurrency": work.users, "stages": [stage]}
    fields = {"request": False, "response": False}
    return {
        "data": {"type": "mock"},
        "api": {"type": "chat", "streaming": True},
        "server": {
            "type": "vllm",
            "model_name": "bench",
            "base_url": f"{root}{work.path}",
            "ignore_eos": True,
        },
        "tokenizer": {"pretrained_model_name_or_path": str(words)},
        "load": load,
        "report": {"request_lifecycle": {"per_request": True, "per_request_fields": fields}},
        "storage": {"local_storage": {"path": str(folder / "out")}},
    }


def _told(folder: Path, ended: Ended) -> Told | None:
    """Its records. `time.perf_counter` is the monotonic clock; the first chunk's id names the stream."""
    found = next(folder.rglob("*per_request*.json"), None)
    records: list[dict[str, Any]] = json.loads(found.read_text(encoding="utf-8")) if found else []
    if not records:
        print(f"{NAME} recorded no request:\n{ended.said}", file=sys.stderr)
        return None
    firsts = {}
    for record in records:
        seen = (record["info"] or {}).get("response_metrics") or {}
        if seen.get("response_chunks"):
            number = json.loads(seen["response_chunks"][0])["id"].removeprefix("chatcmpl-")
            firsts[f"bench-{number}"] = round(seen["output_token_times"][0] * 1e9)
    return Told(
        ended_ns=round(max(record["end_time"] for record in records) * 1e9),
        firsts=firsts,
        streams=len(records),
        complete=sum(record["error"] is None for record in records),
        rss_mb=ended.memory_mb,
        launched_ns=ended.launched_ns,
    )
