"""llama.cpp, and LiteLLM's proxy in front of it, on loopback ports for the time of a block. Knows no contract."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

HERE = Path(__file__).parent
MODEL = "tiny-llama"
LLAMA_KEY, PROXY_KEY = "sk-llama-on-loopback", "sk-litellm-on-loopback"
READY_WITHIN_S = 120.0  # LiteLLM takes 9 to 27 s
END_WITHIN_S = 15.0
QUIET = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False", "NO_PROXY": "127.0.0.1"}


@contextmanager
def llama(python: Path, folder: Path) -> Iterator[str]:
    """llama.cpp's server: its base URL."""
    with (folder / "llama.log").open("wb") as log:
        words: list[str | Path] = [python, HERE / "llama.py", folder, LLAMA_KEY]
        process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            root = process.stdout.readline().strip()
            if not root:
                raise RuntimeError(f"llama.cpp did not start: see {log.name}")
            yield f"{root}/v1"
        finally:
            process.stdin.close()
            ended(process)
            process.stdout.close()


@contextmanager
def litellm(python: Path, folder: Path, upstream: str) -> Iterator[str]:
    """LiteLLM's proxy without a database, one model: its base URL."""
    config, port = folder / "litellm.yaml", free_port()
    config.write_text(json.dumps(settings(upstream)), encoding="utf-8")  # JSON is YAML
    words: list[str | Path] = [
        python.parent / "litellm",
        "--config",
        config,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    with (folder / "litellm.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, env={**os.environ, **QUIET}, cwd=folder)
        try:
            wait_for(f"http://127.0.0.1:{port}/health/liveliness", process, Path(log.name))
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            ended(process)


def settings(upstream: str) -> dict[str, object]:
    """The proxy's own: one model with a price, one key, no retries behind our back."""
    model = {
        "model": f"openai/{MODEL}",
        "api_base": upstream,
        "api_key": LLAMA_KEY,
        "input_cost_per_token": 3e-7,
        "output_cost_per_token": 1.2e-6,
    }
    return {
        "model_list": [{"model_name": MODEL, "litellm_params": model}],
        "general_settings": {"master_key": PROXY_KEY},
        "router_settings": {"num_retries": 0},
    }


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        port: int = tried.getsockname()[1]
        return port


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a server answers; RuntimeError where it ends before, or takes too long."""
    until = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            with urlopen(url, timeout=2):
                return
        except (URLError, TimeoutError, ConnectionError):
            time.sleep(0.3)
    raise RuntimeError(f"no answer from {url}: see {log}")


def ended(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """Wait for a process that was told to end, not for ever."""
    try:
        process.wait(END_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
