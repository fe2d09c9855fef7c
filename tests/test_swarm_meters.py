"""What a process is told of itself is so: shown on processes made to wait, to work and to rest."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from chatproof.swarm.worker.meters import CpuMeter, WaitMeter

LOOP = """
import os, sys, time
from chatproof.swarm.worker.meters import WaitMeter
os.sched_setaffinity(0, {int(sys.argv[1])})
sys.stdin.read(1)
meter, end = WaitMeter(), time.monotonic() + 0.5
while time.monotonic() < end:
    pass
print(meter.look())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how long a process waited for a core")
def test_waiting_for_a_core_is_seen() -> None:
    """Of two loops that share a core each could have run for half of the time in which it did not."""
    words = [sys.executable, "-c", LOOP, str(min(os.sched_getaffinity(0)))]
    pair = [
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    time.sleep(0.5)  # both have imported what they need
    for process in pair:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    shares = [float(process.communicate(timeout=60)[0]) for process in pair]

    assert min(shares) > 0.25


def test_a_rest_is_neither_work_nor_waiting() -> None:
    """A process that sleeps uses no core and wants none."""
    cpu, waits = CpuMeter(), WaitMeter()
    time.sleep(0.3)

    assert cpu.look() < 0.2
    assert (waits.look() or 0.0) < 0.2
