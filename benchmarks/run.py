"""How much can one core measure, and how well: this engine beside what else a user could pick, in one session.

`python -m benchmarks.run` builds the C server, pins it to the second core and each client to the first, and prints a
table, then what a second worker adds. `--peers` adds inference-perf, `--peers inference-perf,aiperf,guidellm` all
three, each in an environment made on demand. The validity test is the server's own lag: a row is marked where its p99
was above 2 ms, for then the machine, not the client, is in the figures. A saturating load is measured three times for
every client and the best of them counts: on a shared machine the others are somebody else's.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import machine, workers
from benchmarks.ours import CLIENTS, NoReport, client, locust
from benchmarks.peers import MOST_USERS, PEERS, STRONGEST, peer
from benchmarks.row import HEAD, WORKS, Row, Work, markdown
from benchmarks.source import Binaries, build


def rows_of(work: Work, binaries: Binaries, peers: Sequence[str]) -> list[Row]:
    """Every client on one kind of load."""
    rows = [client(each, work, binaries) for each in CLIENTS if work.name in each.loads]
    rows.append(locust(work, binaries))
    if work.users <= MOST_USERS:
        rows += [peer(name, work, binaries) for name in peers]
    return [row for row in rows if row is not None]


def _second_worker(binaries: Binaries) -> str:
    try:
        return workers.compared(binaries)
    except NoReport as problem:
        return f"One worker against two: not measured: {problem}"


def _peers(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in PEERS:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(PEERS)}")
    return names


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--only", choices=[work.name for work in WORKS], help="one kind of load")
    parser.add_argument(
        "--peers",
        type=_peers,
        nargs="?",
        const=[STRONGEST],
        default=[],
        metavar="NAME,...",
        help=f"also other load tools, of {', '.join(PEERS)}; with no name {STRONGEST}",
    )
    parser.add_argument("--tries", type=int, help="how often at most each client is measured")
    parser.add_argument("--no-workers", action="store_true", help="leave out one worker against two")
    options = parser.parse_args()
    works = [
        replace(work, tries=options.tries or work.tries)
        for work in WORKS
        if options.only in (None, work.name)
    ]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        binaries = build(Path(folder))
        for work in works:
            found = rows_of(work, binaries, options.peers)
            print("\n".join("  ".join(row.cells) for row in found), file=sys.stderr, flush=True)
            rows += found
        print(f"{machine.described()}\n\n{markdown(HEAD, [row.cells for row in rows])}", flush=True)
        if not (options.no_workers or options.only):
            print(f"\n{_second_worker(binaries)}")


if __name__ == "__main__":
    main()
