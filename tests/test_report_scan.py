"""No secret of a run stands in its report, and the look that says so can find one."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest

from chatproof.probe import Shared, Talk
from chatproof.record import Read
from chatproof.redact import Redactor, forms
from chatproof.report import Leak, report_of, scan, write
from chatproof.report.scan import scan_files
from chatproof.run import Judged, judge
from chatproof.target import parse_target, read_contract
from chatproof.verdict import decide
from chatproof.wire import Gateway
from tests.judged import RUN, judged, stream, target

KEY = "sk-live+planted/0123456789_abcdef"


class Leaky(BaseHTTPRequestHandler):
    """Answers with the caller's key in a header and, in four spellings, in an error body."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Refuse, and tell all."""
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        key = self.headers["Authorization"].removeprefix("Bearer ")
        said = [key, base64.b64encode(key.encode()).decode(), quote(key, safe=""), f"https://u:{key}@host/"]
        error = {"code": "invalid_request", "message": " and ".join(said), "retryable": False}
        body = json.dumps({"error": error}).encode() + b"\xff"
        self.send_response(400)
        self.send_header("X-Debug-Key", f"key={key}")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *said: object) -> None:
        """Keep quiet."""


@contextmanager
def leaky() -> Iterator[str]:
    """The base URL of a server that tells all."""
    server = HTTPServer(("127.0.0.1", 0), Leaky)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_planted_secret_leaves_no_trace(tmp_path: Path) -> None:
    """A key that a deployment sends back in a header and in an error body is in no file of the report."""
    with leaky() as url:
        text = f'base_url = "{url}"\napi_key = "{KEY}"\n[[model]]\nid = "small"\n'
        asked = parse_target(text, name="t.toml", beside=tmp_path, env={})
        gateway = Gateway(asked, seed=1)
        answer = Talk(gateway, "test_leak", 1, Shared(), "small").chat()
        gateway.close()
    run = judge(read_contract(), asked, gateway.exchanges, (), date(2026, 3, 1))
    write(tmp_path / "r", report_of(run, asked, RUN, decide(run.rows)), run.exchanges, gateway.redactor)
    files = [path for path in (tmp_path / "r").rglob("*") if path.is_file()]
    spellings = [*forms(KEY).values(), KEY.replace("_", "\\_").encode()]

    assert answer.status == 400
    assert next(row.outcome for row in run.rows if row.id == "ERR-12") == "fail"
    assert [f.name for f in files for spelling in spellings if spelling in f.read_bytes()] == []
    assert scan(tmp_path / "r", gateway.redactor) == ()
    assert b"<redacted:api_key>" in (tmp_path / "r" / "exchanges.har").read_bytes()


def leaking() -> Judged:
    """The hand-made run with an exchange that was not redacted, its body no text."""
    key = target().api_key.encode()
    return replace(judged(), exchanges=(replace(stream(), reads=(Read(1, b"\xff" + key),)),))


def test_report_that_would_leak_is_not_written(tmp_path: Path) -> None:
    """The scan bites: a secret in a body that the recording holds as base64 keeps the whole report from the disk."""
    run = leaking()
    document = report_of(run, target(), RUN, decide(run.rows))

    with pytest.raises(Leak, match=r"exchanges\.har holds <api_key>, a secret of this run"):
        write(tmp_path / "r", document, run.exchanges, Redactor(target().secrets))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "x KEY x"),
        ("a.md", r"sk\_\"live"),
        ("a.html", "sk_&quot;live"),
        ("a.xml", "sk_&#34;live"),
        ("a.json", r'["sk_\u0022live"]'),
        ("a.jsonl", '{}\n{"a":{"b":["sk_\\u0022live"]}}\n'),
        ("a.har", r'{"log": {"x": "sk_\u0022live"}}'),
        ("a.bin", base64.b64encode(b'sk_"live').decode()),
    ],
)
def test_scan_reads_each_format_as_its_reader_would(name: str, text: str) -> None:
    """A secret is found however the file's format spells it; the hit names the file and the kind, not the value."""
    redactor = Redactor({"api_key": 'sk_"live'})
    (hit,) = scan_files({name: text.replace("KEY", 'sk_"live').encode()}, redactor)

    assert hit.file == name
    assert hit.marker.startswith("<redacted:api_key")
    assert "live" not in hit.text


def test_scan_looks_into_every_folder(tmp_path: Path) -> None:
    """Files that others wrote beside the report are looked at too, in any depth."""
    (tmp_path / "allure-results" / "deep").mkdir(parents=True)
    (tmp_path / "allure-results" / "deep" / "x").write_text(target().api_key)
    (tmp_path / "samples.jsonl").write_text("{}\n")

    assert [hit.file for hit in scan(tmp_path, Redactor(target().secrets))] == ["allure-results/deep/x"]
