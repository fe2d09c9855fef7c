"""Turns at the target: shared ones overlap, one alone overlaps with none, over processes too."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

from chatproof.turns import turn

HOLDS = "import sys, time; from pathlib import Path; from chatproof.turns import turn\n"


def test_shared_turns_overlap(tmp_path: Path) -> None:
    """Whoever shares does not wait for others who share."""
    file = tmp_path / "turns"
    file.touch()
    both = threading.Barrier(2, timeout=10)

    def hold() -> None:
        with turn(file, alone=False):
            both.wait()

    other = threading.Thread(target=hold)
    other.start()
    hold()
    other.join()

    assert not both.broken


def test_turn_alone_waits_for_another_process(tmp_path: Path) -> None:
    """A turn alone begins when the shared one of another process has ended, also where that process just dies."""
    file = tmp_path / "turns"
    file.touch()
    program = HOLDS + "with turn(Path(sys.argv[1]), alone=False): print('held', flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", program, str(file)], stdout=subprocess.PIPE)
    assert other.stdout is not None
    assert other.stdout.readline() == b"held\n"
    killer = threading.Timer(0.3, other.kill)
    began = time.monotonic()
    killer.start()
    with turn(file, alone=True):
        waited_s = time.monotonic() - began
    other.wait()
    other.stdout.close()

    assert waited_s >= 0.3


def test_nobody_shares_while_one_is_alone(tmp_path: Path) -> None:
    """What happens in a turn alone is between no other turn's begin and end."""
    file = tmp_path / "turns"
    file.touch()
    spans: list[tuple[str, float, float]] = []

    def hold(name: str, alone: bool) -> None:
        with turn(file, alone=alone):
            began = time.monotonic()
            time.sleep(0.02)
            spans.append((name, began, time.monotonic()))

    threads = [threading.Thread(target=hold, args=(str(n), n % 4 == 0)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = [span for span in spans if int(span[0]) % 4 == 0]
    overlaps = [
        (mine[0], other[0])
        for mine in alone
        for other in spans
        if mine[0] != other[0] and mine[1] < other[2] and other[1] < mine[2]
    ]

    assert len(spans) == 12
    assert overlaps == []
