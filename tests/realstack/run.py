"""Checks two servers that were not written here, and compares every verdict with what is written down of them.

    python -m tests.realstack.run PYTHON FOLDER

PYTHON is an installation of requirements.txt; logs, target files and reports stay in FOLDER. A row of `expected/` says
what the server did and which sentence that breaks: a difference is a change of the server, or of our judgement.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.realstack.servers import LLAMA_KEY, MODEL, PROXY_KEY, litellm, llama

EXPECTED = Path(__file__).parent / "expected"
GREEN = ("pass", "observe", "own")
TARGET = """\
base_url = "{url}"
api_key = "{key}"
timeout_s = 20
stall_s = 10

[[model]]
id = "{model}"
"""
CHECK_WITHIN_S = 300
LOAD_WITHIN_S = 120
USERS, SECONDS = 3, 10
TOKENS, TOKEN_SECONDS = "llamacpp:tokens_predicted_total", "llamacpp:tokens_predicted_seconds_total"
# The server's clock stops where its work on a token ends, and it works on several streams at once.
FACTOR = 2.0
INVALID = 4  # the exit code of a run whose client was late: its times are not the server's, as it says itself


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is written down of one server: the outcomes that a clause may have, where they are not green."""

    outcomes: Mapping[str, Sequence[str]]
    endings: Sequence[str]  # how streams may end under load

    @classmethod
    def read(cls, name: str) -> Expectation:
        """The rows of a server's file; each tells why."""
        said = tomllib.loads((EXPECTED / f"{name}.toml").read_text(encoding="utf-8"))
        assert all(row["why"] for row in (said["load"], *said["row"]))
        return cls({row["clause"]: row["outcome"] for row in said["row"]}, said["load"]["endings"])

    def differences(self, clauses: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """Each clause whose outcome is another one, with its first finding."""
        for clause in clauses:
            may = self.outcomes.get(clause["id"], GREEN)
            if clause["outcome"] not in may:
                shown = [f"{f['expected']} / {f['actual']} ({f['exchange']})" for f in clause["findings"][:3]]
                told = "; ".join(shown) or clause["reason"]
                yield f"{clause['id']}: expected {' or '.join(may)}, got {clause['outcome']}: {told}"


def check(name: str, url: str, key: str, folder: Path) -> list[str]:
    """What is wrong with the check of one server; empty where it says what is written down."""
    target, report = folder / f"{name}.toml", folder / name
    target.write_text(TARGET.format(url=url, key=key, model=MODEL), encoding="utf-8")
    words = ["check", "--target", target, "--report", report, "--jobs", "2"]
    done = chatproof(folder / f"{name}-check.txt", words, CHECK_WITHIN_S)
    wrong = [] if done == 1 else [f"chatproof check ended with {done}, not with 1"]
    said = json.loads((report / "report.json").read_text(encoding="utf-8"))
    return wrong + list(Expectation.read(name).differences(said["clauses"]))


def load(name: str, folder: Path, upstream: str) -> list[str]:
    """What is wrong with a short load on one server, by what llama.cpp itself counted meanwhile."""
    report = folder / f"{name}-load"
    often = ["--users", USERS, "--duration", f"{SECONDS}s"]
    words = ["load", "steady", "--target", folder / f"{name}.toml", *often]
    before = counted(upstream)
    done = chatproof(folder / f"{name}-load.txt", [*words, "--report", report], LOAD_WITHIN_S)
    if not (report / "report.json").is_file():
        return [f"chatproof load ended with {done} and wrote no report: see {name}-load.txt"]
    own = {key: value - before[key] for key, value in counted(upstream).items()}
    said = json.loads((report / "report.json").read_text(encoding="utf-8"))["load"]
    streams, metrics = said["streams"], said["metrics"]
    ttft, tpot, e2e = (metrics[key]["p50_s"] for key in ("ttft", "tpot", "e2e"))
    rows = [json.loads(line) for line in (report / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    tokens = sum(row.get("completion_tokens", 0) for row in rows)
    token_s = own[TOKEN_SECONDS] / own[TOKENS]
    ended = ", ".join(f"{n} {ending}" for ending, n in streams.items() if n)
    print(f"{name}: streams {ended}; exit code {done}")  # noqa: T201
    print(f"  medians: TTFT {ttft} s, TPOT {tpot} s, E2E {e2e} s; {tokens} tokens")  # noqa: T201
    print(f"  the server: {token_s:.6f} s a token; {own[TOKENS]:.0f} tokens")  # noqa: T201
    may = ("total", *Expectation.read(name).endings)
    wrong = [f"{n} streams ended {ending}" for ending, n in streams.items() if n and ending not in may]
    if not streams.get("complete"):
        return [*wrong, "no stream was complete"]
    if not 0 < ttft < e2e:
        wrong.append(f"TTFT {ttft} s, E2E {e2e} s")
    if done != INVALID and not token_s / FACTOR < tpot < token_s * FACTOR:
        wrong.append(f"TPOT {tpot} s, but the server says {token_s} s a token")
    if abs(tokens - own[TOKENS]) > 0.01 * own[TOKENS]:
        wrong.append(f"{tokens} tokens, but the server says {own[TOKENS]}")
    return wrong


def counted(upstream: str) -> dict[str, float]:
    """What llama.cpp has counted so far, by name."""
    asked = Request(
        upstream.removesuffix("/v1") + "/metrics", headers={"Authorization": f"Bearer {LLAMA_KEY}"}
    )
    with urlopen(asked, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    pairs = (line.split() for line in lines if line.startswith((f"{TOKENS} ", f"{TOKEN_SECONDS} ")))
    return {name: float(value) for name, value in pairs}


def chatproof(log: Path, words: Sequence[object], within_s: float) -> int:
    """Run a command of ours; its exit code."""
    with log.open("wb") as out:
        command = [sys.executable, "-m", "chatproof", *map(str, words)]
        return subprocess.run(command, stdout=out, stderr=out, timeout=within_s, check=False).returncode


def main(python: Path, folder: Path) -> int:
    """Check and load both servers; 1 where anything is not as it is written down."""
    folder.mkdir(parents=True, exist_ok=True)
    wrong: list[str] = []
    with llama(python, folder) as upstream, litellm(python, folder, upstream) as proxy:
        for name, url, key in (("llama", upstream, LLAMA_KEY), ("litellm", proxy, PROXY_KEY)):
            found = [*check(name, url, key, folder), *load(name, folder, upstream)]
            wrong += [f"{name}: {line}" for line in found]
    print("\n".join(wrong) or "both servers are judged as it is written down")  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute()))
