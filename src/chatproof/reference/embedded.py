"""The reference in a process of its own, started and ended here; and the target file for it."""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from .access import EMPTY_KEY, FLAKY_KEY, LIMITED_KEY, MAIN_KEY, REVOKED_KEY
from .latency import MILLISECOND, Latency
from .wallet import CREDITS_PER_USD, DOWN, MODELS, Model

_READY_WITHIN_S = 20.0
_END_WITHIN_S = 3.0


@dataclass(frozen=True, slots=True)
class Reference:
    """A running reference gateway."""

    root: str
    process: subprocess.Popen[bytes]

    @property
    def base_url(self) -> str:
        """The clean deployment."""
        return f"{self.root}/v1"

    def base_url_of(self, name: str) -> str:
        """The deployment with a fault, a variation, or a sum of one kind (``a+b``).

        Raises KeyError where a name is neither.
        """
        from .faults import FAULTS
        from .variations import VARIATIONS

        first = name.split("+")[0]
        if first not in FAULTS and first not in VARIATIONS:
            raise KeyError(name)
        return f"{self.root}/{'faults' if first in FAULTS else 'variations'}/{name}/v1"

    def close(self) -> None:
        """Ends the process, and waits for it."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(_END_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def start(latency: Latency | None = None, truth_file: Path | None = None) -> Reference:
    """Starts a reference on a free loopback port; it ends with `close`, or when this process does.

    Raises RuntimeError where it does not listen within 20 seconds.
    """
    latency = latency or Latency()
    options = {
        "--ttft-ms": latency.ttft_ns / MILLISECOND,
        "--gap-ms": latency.gap_ns / MILLISECOND,
        "--jitter": latency.jitter,
        "--capacity": latency.capacity,
        "--seed": latency.seed,
        **({"--truth-file": truth_file} if truth_file else {}),
    }
    words = [str(word) for option in options.items() for word in option]
    process = subprocess.Popen(
        [sys.executable, "-m", "chatproof.reference", "--port", "0", "--until-stdin-closes", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        line = process.stdout.readline() if selector.select(_READY_WITHIN_S) else b""
    if not line:
        process.kill()
        process.wait()
        raise RuntimeError("the embedded reference did not start")
    return Reference(json.loads(line)["root"], process)


@contextmanager
def embedded(latency: Latency | None = None, truth_file: Path | None = None) -> Iterator[Reference]:
    """A reference for the time of a block."""
    reference = start(latency, truth_file)
    try:
        yield reference
    finally:
        reference.close()


def target_text(base_url: str) -> str:
    """A target file for the reference's deployment at `base_url`: every prerequisite is there."""
    host = urlsplit(base_url).hostname or ""
    if host not in ("127.0.0.1", "::1", "localhost"):
        raise ValueError(f"the reference's keys are for loopback only, not for {host}")
    models = "\n".join(_model(model) for model in MODELS.values())
    return f"""\
base_url = "{base_url}"
api_key = "{MAIN_KEY}"
timeout_s = 10
stall_s = 2

{models}
[billing]
credits_per_usd_rate = "{CREDITS_PER_USD}"
balance = {{ url = "{base_url.removesuffix("/v1")}/admin/balance", pointer = "/balance" }}

[provoke]
rate_limited_key = "{LIMITED_KEY}"
empty_wallet_key = "{EMPTY_KEY}"
revoked_key = "{REVOKED_KEY}"
flaky_key = "{FLAKY_KEY}"
unavailable_model = "{DOWN}"
"""


def _model(model: Model) -> str:
    return f"""\
[[model]]
id = "{model.id}"
credits_per_litellm_usd = "{model.markup}"
input_usd_per_token = "{model.input_usd:f}"
output_usd_per_token = "{model.output_usd:f}"
cached_input_usd_per_token = "{model.cached_usd:f}"
"""
