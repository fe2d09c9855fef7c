"""Peers that need an environment of their own: made on demand, outside the checkout, and kept for the next time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.run import CLIENT_CORE, Row, Work, pin, serving, told

ENVIRONMENTS = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "chatproof-benchmarks"
INFERENCE_PERF = ("inference-perf==0.7.0", "tokenizers", "transformers")


def environment(name: str, packages: tuple[str, ...]) -> Path:
    """The Python of an environment with these packages; needs uv, for the peers want a newer Python than we do."""
    uv = shutil.which("uv")
    if uv is None:
        sys.exit("--peers makes environments with uv: install uv")
    folder = ENVIRONMENTS / name
    python = folder / "bin/python"
    if not python.exists():
        subprocess.run(
            [uv, "venv", "--quiet", "--python", os.environ.get("PEER_PYTHON", "3.12"), str(folder)],
            check=True,
        )
        subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *packages], check=True)
    return python


TOKENIZER = """
import sys
from tokenizers import Tokenizer, models, pre_tokenizers, decoders
from transformers import PreTrainedTokenizerFast
pre = pre_tokenizers.ByteLevel(add_prefix_space=False)
made = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(sorted(pre.alphabet()))}, merges=[]))
made.pre_tokenizer, made.decoder = pre, decoders.ByteLevel()
PreTrainedTokenizerFast(tokenizer_object=made, eos_token="!").save_pretrained(sys.argv[1])
"""


def inference_perf(binary: Path, work: Work) -> Row:
    """inference-perf on the same work; its own TTFT figures beside the server's truth of 200 ms or its log."""
    python = environment("inference-perf", INFERENCE_PERF)
    with tempfile.TemporaryDirectory() as folder, serving(binary) as root:
        tokenizer = Path(folder) / "tokenizer"
        subprocess.run([str(python), "-c", TOKENIZER, str(tokenizer)], check=True)
        requests = max(work.users, int(work.users * work.seconds / 2.8)) if "paced" in work.name else 1500
        settings = {
            "data": {"type": "mock"},
            "api": {"type": "chat", "streaming": True},
            "server": {
                "type": "vllm",
                "model_name": "bench",
                "base_url": f"{root}{work.path}",
                "ignore_eos": True,
            },
            "tokenizer": {"pretrained_model_name_or_path": str(tokenizer)},
            "load": {
                "type": "concurrent",
                "num_workers": 1,
                "stages": [{"num_requests": requests, "concurrency_level": work.users}],
            },
            "report": {"request_lifecycle": {"summary": True, "per_request": True}},
            "storage": {"local_storage": {"path": f"{folder}/out"}},
        }
        config = Path(folder) / "config.yml"
        config.write_text(json.dumps(settings))  # JSON is YAML
        launched = time.monotonic()
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(
                [*pin(CLIENT_CORE), str(python.parent / "inference-perf"), "-c", str(config)],
                stdout=log,
                stderr=log,
                env={**os.environ, "HF_HUB_OFFLINE": "1"},
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        lines = [line.split() for line in told(root, "truth").splitlines()]
        if not lines:
            sys.exit(f"inference-perf made no request:\n{(Path(folder) / 'log').read_text()[-2000:]}")
        stats: dict[str, Any] = json.loads(told(root, "stats"))
        seconds = (int(lines[-1][3]) - int(lines[0][1])) / 1e9
        return Row(
            client="inference-perf 0.7.0",
            work=work,
            events_per_s=stats["events"] / seconds,
            complete=f"{sum(line[5] == '1' for line in lines)}/{len(lines)}",
            error_p50_ms=None if work.saturating else _own_ttft(Path(folder) / "out", "median"),
            error_p99_ms=None if work.saturating else _own_ttft(Path(folder) / "out", "p99"),
            rss_mb=usage.ru_maxrss / 1024,
            ready_s=int(lines[0][1]) / 1e9 - launched,
            lag_p99_ms=stats["lag_p99"] / 1e6,
        )


def _own_ttft(folder: Path, which: str) -> float | None:
    """Its reported TTFT less the 200 ms that the server took; None where it is not reported."""
    for file in folder.rglob("*summary*.json"):
        latency = json.loads(file.read_text()).get("successes", {}).get("latency", {})
        found = latency.get("time_to_first_token")
        if found and which in found:
            return float(found[which]) * 1e3 - 200
    return None
