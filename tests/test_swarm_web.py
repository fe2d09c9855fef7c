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
from contextlib import contextmanager
from html.parser import HTMLParser
from http.client import HTTPException
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest

from chatproof.reference import embedded
from chatproof.target import folder
from tests.load_run import KEY, environment

pytestmark = pytest.mark.alone  # it measures


@contextmanager
def web_ui(report: Path, *options: str, beside: tuple[Path, ...] = (), base: str = "") -> Iterator[str]:
    """Locust with its web UI and no run yet; the URL."""
    files = ",".join(map(str, (folder("load") / "steady.py", *beside)))
    words = [sys.executable, "-m", "locust", "-f", files, "--skip-log-setup", "--report", str(report)]
    with embedded() as reference:
        given = [*words, "--host", reference.base_url, "--max-tokens", "20", *options]
        for _ in range(3):  # a port that was free may be taken before locust is there
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            where = ["--web-host", "127.0.0.1", "--web-port", str(port)]
            process = subprocess.Popen([*given, *where], env=environment(KEY))
            url = f"http://127.0.0.1:{port}{base}"
            if answers(url, process):
                break
            process.kill()
            process.wait()
        try:
            yield url
        finally:
            process.kill()
            process.wait()


def answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    """Whether a process comes to serve locust's page there."""
    for _ in range(300):
        try:
            return "<title>Locust" in text_of(url) and process.poll() is None
        except (OSError, HTTPException):
            if process.poll() is not None:
                return False
            time.sleep(0.1)
    return False


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A web UI as it comes."""
    with web_ui(tmp_path) as url:
        yield url


class Links(HTMLParser):
    """The links of a page: where each leads and what it says."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self._href: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A link begins."""
        self._href = dict(attrs).get("href") if tag == "a" else None

    def handle_data(self, data: str) -> None:
        """What it says."""
        if self._href is not None:
            self.found.append((self._href, data))
            self._href = None


def text_of(url: str, opener: urllib.request.OpenerDirector | None = None) -> str:
    """The page behind a URL."""
    with (opener or urllib.request.build_opener()).open(url, timeout=5) as answer:
        body: bytes = answer.read()
        return body.decode()


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


@pytest.mark.parametrize("base", ["", "/behind/a/proxy"])
def test_a_link_above_all_that_locust_shows_leads_to_the_page(tmp_path: Path, base: str) -> None:
    """It stands in the document itself, before locust's tabs, and leads there under another base path too."""
    with web_ui(tmp_path, *(("--web-base-path", base) if base else ()), base=base) as url:
        start = text_of(f"{url}/")
        ((href, said),) = Links(start).found
        page = text_of(urllib.parse.urljoin(f"{url}/", href))
        data = urllib.parse.urljoin(f"{url}/chatproof", "chatproof/data")

        assert said.startswith("chatproof: time to first token")
        assert start.index(said) < start.index('<div id="root">')
        assert "<title>chatproof load</title>" in page
        assert got(data) == {"state": "no run yet"}


def test_the_page_is_behind_the_login(tmp_path: Path) -> None:
    """With --web-login neither the page nor its figures are there for one who has not logged in."""
    with web_ui(tmp_path, "--web-login", beside=(Path(__file__).parent / "web_login.py",)) as url:
        outside = {
            path: urllib.request.urlopen(f"{url}{path}", timeout=5).geturl()
            for path in ("/chatproof", "/chatproof/data")
        }
        someone = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        someone.open(f"{url}/enter", b"", timeout=5).close()
        page = text_of(f"{url}/chatproof", someone)
        data = json.loads(text_of(f"{url}/chatproof/data", someone))

    assert [urllib.parse.urlsplit(each).path for each in outside.values()] == ["/login", "/login"]
    assert "<title>chatproof load</title>" in page
    assert data == {"state": "no run yet"}
