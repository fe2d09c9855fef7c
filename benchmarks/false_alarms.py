"""How often `chatproof load compare` calls a server slower than itself: A against A, live, many times.

`python -m benchmarks.false_alarms` starts one reference gateway whose every pause is drawn at random, gives it to
`chatproof load compare` as both targets, again and again, and prints how often which answer came, with the interval
that so few comparisons allow. Each comparison is twelve short runs, A B B A ...; nothing else should be running.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.machine import CLIENT_CORE, SERVER_CORE, described, pin
from benchmarks.row import markdown
from chatproof.metrics import Change
from chatproof.metrics.binomial import ALPHA, share_above, share_below
from chatproof.reference import target_text

PACE = ("--ttft-ms", "20", "--gap-ms", "1")
MOST_S = 300
_LINE = re.compile(r"^(?P<figure>\w+ \w+): (?P<change>[a-z ]+): ")
_ANY = "any of them"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is repeated."""

    comparisons: int
    users: int
    duration: str
    jitter: float
    until: float = float("inf")  # of time.monotonic: none is begun later


@contextmanager
def reference(jitter: float, folder: Path) -> Iterator[Path]:
    """The gateway in a process of its own; a target file for it."""
    words = [sys.executable, "-m", "chatproof", "reference", "--port", "0", *PACE, "--jitter", str(jitter)]
    process = subprocess.Popen([*pin(SERVER_CORE), *words], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+/v1", process.stdout.readline())
        if found is None:
            sys.exit("the reference gateway did not start")
        target = folder / "target.toml"
        target.write_text(target_text(found[0]), encoding="utf-8")
        yield target
    finally:
        process.terminate()
        process.wait()


def answers(target: Path, asked: Asked) -> Iterator[Mapping[str, Change]]:
    """Of each comparison the answer for every figure; empty where it was INVALID or had no answer."""
    load = ["--users", str(asked.users), "--duration", asked.duration, "--yes"]
    words = [
        *pin(CLIENT_CORE),
        sys.executable,
        "-m",
        "chatproof",
        "load",
        "compare",
        str(target),
        str(target),
        *load,
    ]
    for _ in range(asked.comparisons):
        if time.monotonic() > asked.until:
            return
        done = subprocess.run(words, capture_output=True, text=True, timeout=MOST_S)
        found = (_LINE.match(line) for line in done.stdout.splitlines())
        told = {each["figure"]: Change(each["change"]) for each in found if each}
        if not told:
            last = (done.stderr + done.stdout).strip().splitlines()[-1:]
            print(f"no answer, exit {done.returncode}: {''.join(last)}", file=sys.stderr)
        yield told


def table(found: Sequence[Mapping[str, Change]]) -> str:
    """How often which answer came, figure by figure, and how often any figure was called slower.

    A comparison without an answer, as where a run of it was INVALID, is none that called anything slower; it is not
    counted.
    """
    figures = dict.fromkeys(figure for told in found for figure in told)
    rows = [_row(figure, [told[figure] for told in found if figure in told]) for figure in figures]
    worst = [Change.SLOWER if Change.SLOWER in told.values() else Change.SAME for told in found if told]
    return markdown(
        ("figure", "comparisons", *_SHOWN, "called slower, 95 % interval"),
        [*rows, [_ANY, str(len(worst)), str(worst.count(Change.SLOWER)), *"---", _share(worst)]],
    )


_SHOWN = (Change.SLOWER, Change.FASTER, Change.SAME, Change.INCONCLUSIVE)


def _row(figure: str, changes: Sequence[Change]) -> list[str]:
    counted = Counter(changes)
    return [figure, str(len(changes)), *(str(counted[change]) for change in _SHOWN), _share(changes)]


def _share(changes: Sequence[Change]) -> str:
    slower, n = changes.count(Change.SLOWER), len(changes)
    if not n:
        return "-"
    low, high = share_above(slower, n, ALPHA / 2), share_below(slower, n, ALPHA / 2)
    return f"{slower / n:.1%} ({low:.1%} to {high:.1%})"


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.false_alarms", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--comparisons", type=int, default=40)
    parser.add_argument("--users", type=int, default=8)
    parser.add_argument("--duration", default="2s", help="of each run; a comparison is twelve")
    parser.add_argument("--jitter", type=float, default=0.5, help="of every pause of the server, a fraction")
    parser.add_argument("--minutes", type=float, default=60, help="begin no comparison after so many")
    options = parser.parse_args()
    until = time.monotonic() + options.minutes * 60
    asked = Asked(options.comparisons, options.users, options.duration, options.jitter, until)
    found: list[Mapping[str, Change]] = []
    with TemporaryDirectory() as folder, reference(asked.jitter, Path(folder)) as target:
        for told in answers(target, asked):
            found.append(told)
            print(f"{len(found)} of {asked.comparisons}: {', '.join(told.values())}", file=sys.stderr)
    load = f"{asked.users} users, {asked.duration} a run, server {' '.join(PACE)} --jitter {asked.jitter}"
    silent = sum(not told for told in found)
    print(
        f"{described(('locust', 'gevent'))}\n\n{load}; {silent} comparisons without an answer\n\n{table(found)}"
    )


if __name__ == "__main__":
    main()
