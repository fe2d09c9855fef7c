"""Makes the sample report: a check and a short load run against the reference gateway with two faults on.

    python docs/sample-report/make.py             runs both, and writes rows and faces anew
    python docs/sample-report/make.py --render    writes the faces again from the rows that are there

The rows are `report.json` and `exchanges.har`; every other file is made of them alone. What tells one machine and
one moment from another is replaced, so that the sample is about the report.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from chatproof import har
from chatproof.check import Conductor, check
from chatproof.cli.clauses import proofs
from chatproof.preflight import settle
from chatproof.reference import embedded, target_text
from chatproof.report import RunInfo, difference, faces, made_with, report_of
from chatproof.report.allure import FOLDER
from chatproof.run import Judged
from chatproof.target import Target, folder, parse_target
from chatproof.verdict import decide
from chatproof.wire import Gateway

HERE = Path(__file__).parent
FAULTS = ("no-done-after-length", "replay-costs-double")
SEED = 42
BEGUN = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
MACHINE = {"system": "Linux", "release": "6.1", "architecture": "x86_64", "cpus": 2}
LOAD_SECONDS = 20
ATTEMPTS = 5
ENTRIES = """
[[deviation]]
clause = "IDM-02"
match = { contains = "charge" }
reason = "replays are charged anew until the ledger moves"
ticket = "GW-1432"
until = 2099-12-31
"""


def judged(target: Target) -> tuple[Target, Judged]:
    """A whole conformance run, and the target as it was settled."""
    gateway = Gateway(target, seed=SEED)
    settled = settle(gateway, SEED)
    gateway.close()
    return settled, check(Conductor(settled, SEED, gateway.exchanges))


def load(text: str) -> dict[str, Any]:
    """The load section of a short steady run by a client that was fit to measure; on a busy machine try again."""
    for _ in range(ATTEMPTS):
        section = steady(text)
        if section["health"]["valid"]:
            return section
    raise SystemExit(f"the client was not fit to measure: {'; '.join(section['health']['complaints'])}")


def steady(text: str) -> dict[str, Any]:
    """The load section of one steady run."""
    with tempfile.TemporaryDirectory() as there:
        (Path(there) / "target.toml").write_text(text)
        words = [sys.executable, "-m", "locust", "-f", str(folder("load") / "steady.py"), "--headless"]
        words += ["-u", "8", "-t", f"{LOAD_SECONDS}s", "--target", f"{there}/target.toml", "--report", there]
        words += ["--slo", "ttft_p95<30ms,itl_p99<40ms", "--yes"]
        ended = subprocess.run(words, capture_output=True, text=True, timeout=LOAD_SECONDS + 60, check=False)
        if not (Path(there) / "report.json").exists():
            raise SystemExit(ended.stdout + ended.stderr)
        section: dict[str, Any] = json.loads((Path(there) / "report.json").read_text())["load"]
    section["options"] = {name: value for name, value in section["options"].items() if name != "target"}
    return section


def document_of(target: Target, run: Judged, begun: datetime, **more: Any) -> dict[str, Any]:
    """A run's document, as if it had been made on an afternoon like any other."""
    made = {**made_with(), "machine": MACHINE}
    info = RunInfo(
        command="gate", seed=SEED, started=begun, ended=begun + timedelta(seconds=50), made_with=made
    )
    return report_of(run, target, info, decide(run.rows, gate=True), proved_by=proofs(), **more)


def run() -> tuple[dict[str, Any], bytes]:
    """The rows of a new run: the document and the recording."""
    with embedded() as reference:
        clean, clean_run = judged(target_of(target_text(reference.base_url)))
        text = target_text(reference.base_url_of("+".join(FAULTS)))
        broken, broken_run = judged(target_of(text + ENTRIES))
        section = load(text)
    before = document_of(clean, clean_run, BEGUN - timedelta(days=1))
    now = document_of(broken, broken_run, BEGUN)
    document = document_of(broken, broken_run, BEGUN, load=section, baseline=difference(before, now))
    return document, har.dumps(har.to_har(broken_run.exchanges))


def target_of(text: str) -> Target:
    """The target of a file's text."""
    return parse_target(text, name="sample.toml", beside=HERE, env={})


def render(document: dict[str, Any], recording: bytes) -> dict[str, bytes]:
    """Every file of the sample, from its rows; Allure's are left out, there are a hundred of them."""
    made = faces(document, har.loads(recording))
    return {name: data for name, data in made.items() if not name.startswith(f"{FOLDER}/")}


if __name__ == "__main__":
    if sys.argv[1:] == ["--render"]:
        rows = json.loads((HERE / "report.json").read_bytes()), (HERE / "exchanges.har").read_bytes()
    else:
        rows = run()
    for name, data in render(*rows).items():
        (HERE / name).write_bytes(data)
