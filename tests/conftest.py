"""Tests that measure time have the machine to themselves, also where others run in parallel (xdist).

Generated examples are the same in every run, so that a merge is stopped by what it changed and by nothing else;
`HYPOTHESIS_PROFILE=explore` draws new ones, ten times as many.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from chatproof.reference import Latency, Reference, embedded
from chatproof.turns import turn

settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=1000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


def _is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those marked `alone` come last, so that they keep no other waiting."""
    items.sort(key=_is_alone)


@pytest.fixture(autouse=True)
def my_turn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hold this machine, alone where the test is marked so, until the test ends."""
    if not hasattr(request.config, "workerinput"):
        yield
        return
    file = tmp_path_factory.getbasetemp().parent / "turns"  # one for all workers
    file.touch()
    with turn(file, alone=_is_alone(request.node)):
        yield


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where the reference writes what it really sent."""
    return tmp_path / "truth.jsonl"


@pytest.fixture
def reference(log: Path) -> Iterator[Reference]:
    """A reference with a log of its own."""
    with embedded(Latency(), log) as running:
        yield running
