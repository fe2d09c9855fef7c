"""`python -m chatproof.reference`: the reference as a child process; prints one JSON line when it listens."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from .latency import MILLISECOND, Latency
from .server import serve


def main() -> None:
    """Parses the options and serves."""
    default = Latency()
    parser = argparse.ArgumentParser(prog="python -m chatproof.reference", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ttft-ms", type=float, default=default.ttft_ns / MILLISECOND)
    parser.add_argument("--gap-ms", type=float, default=default.gap_ns / MILLISECOND)
    parser.add_argument("--jitter", type=float, default=default.jitter)
    parser.add_argument("--capacity", type=int, default=default.capacity)
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--truth-file", type=Path)
    parser.add_argument("--until-stdin-closes", action="store_true")
    options = parser.parse_args()
    latency = Latency(
        round(options.ttft_ms * MILLISECOND),
        round(options.gap_ms * MILLISECOND),
        options.jitter,
        options.capacity,
        options.seed,
    )

    def ready(root: str) -> None:
        sys.stdout.write(json.dumps({"root": root}) + "\n")
        sys.stdout.flush()

    serve(options.host, options.port, latency, options.truth_file, ready, options.until_stdin_closes)


if __name__ == "__main__":
    main()
