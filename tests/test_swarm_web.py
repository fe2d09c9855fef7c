"""The web UI of a load run: the page and its figures, runs started and stopped by hand, one after the other."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatproof.reference import embedded
from chatproof.target import folder
from tests.load_run import environment
from tests.test_swarm_runs import KEY

pytestmark = pytest.mark.alone  # it measures


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """Locust with its web UI and no run yet; the URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with embedded() as reference:
        words = [sys.executable, "-m", "locust", "-f", str(folder("load") / "steady.py"), "--skip-log-setup"]
        options = ["--web-host", "127.0.0.1", "--web-port", str(port), "--host", reference.base_url]
        report = ["--report", str(tmp_path), "--max-tokens", "20"]
        process = subprocess.Popen([*words, *options, *report], env=environment(KEY))
        try:
            url = f"http://127.0.0.1:{port}"
            for _ in range(100):
                try:
                    urllib.request.urlopen(url, timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield url
        finally:
            process.kill()
            process.wait()


def got(url: str) -> Any:
    """The JSON behind a URL."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


def swarm(url: str, **fields: str) -> None:
    """What the form's button sends."""
    data = urllib.parse.urlencode({"user_count": "3", "spawn_rate": "3", **fields}).encode()
    urllib.request.urlopen(f"{url}/swarm", data, timeout=5).close()


def until(url: str, state: str) -> Any:
    """The page's data once the run is in a state."""
    for _ in range(100):
        data = got(f"{url}/chatproof/data")
        if data["state"] == state and data.get("total"):
            return data
        time.sleep(0.1)
    raise AssertionError(f"never {state}: {data}")


def test_runs_by_hand_one_after_the_other(web: str, tmp_path: Path) -> None:
    """The page is self-contained and its figures move; a run ends by its time or by the button, each with a verdict."""
    page = urllib.request.urlopen(f"{web}/chatproof", timeout=5).read().decode()
    assert "https://" not in page
    assert got(f"{web}/chatproof/data") == {"state": "no run yet"}
    assert "extended_tabs" in urllib.request.urlopen(web, timeout=5).read().decode()

    swarm(web, run_time="2s")
    first = until(web, "running")
    time.sleep(0.5)
    second = got(f"{web}/chatproof/data")
    ended = until(web, "ended")
    report = json.loads((tmp_path / "report.json").read_text())

    assert second["total"] >= first["total"]
    assert ended["verdict"] == report["verdict"]
    assert report["verdict"] == "pass" or report["load"]["health"]["complaints"]
    assert ended["total"] == report["load"]["streams"]["total"] == report["load"]["streams"]["complete"]
    assert ended["ttft_ms"]["p50"][-1] is not None
    assert got(f"{web}/stats/requests")["extended_stats"][0]["key"] == "chatproof"

    swarm(web)
    until(web, "running")
    time.sleep(1)
    urllib.request.urlopen(f"{web}/stop", b"", timeout=20).close()
    until(web, "ended")
    again = json.loads((tmp_path / "report.json").read_text())

    assert again["run"]["id"] != report["run"]["id"]
    assert again["load"]["streams"]["complete"] == again["load"]["streams"]["total"] > 5
