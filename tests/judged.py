"""A run made by hand, with a clause of each outcome: what the tests of reports show."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from chatproof.contract import Level
from chatproof.record import Exchange, Read, Request, Tag, Transfer
from chatproof.report import RunInfo
from chatproof.run import Judged, ProbeReport
from chatproof.target import Target, parse_target
from chatproof.verdict import ClauseRow, Finding, Outcome, Seen

MADE_WITH = {
    "tool": {"name": "chatproof", "version": "1.0.0"},
    "dependencies": {"httpx": "0.28.1", "pytest": "9.0.0"},
    "python": "CPython 3.12.1",
    "machine": {"system": "Linux", "release": "6.1", "architecture": "x86_64", "cpus": 2},
}
RUN = RunInfo(
    command="check",
    seed=42,
    started=datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC),
    ended=datetime(2026, 3, 1, 12, 0, 20, tzinfo=UTC),
    jobs=2,
    made_with=MADE_WITH,
)
FILE = """
base_url = "http://127.0.0.1:9/v1"
api_key = "sk-live-0123456789abcdef"
[[model]]
id = "small"
input_usd_per_token = "0.000001"
output_usd_per_token = "0.000002"
"""


def target() -> Target:
    """A target that nothing is sent to."""
    return parse_target(FILE, name="staging.toml", beside=Path(), env={})


TAG = Tag("test_stream", "ask")


def stream(tag: Tag = TAG, started_ns: int = 1_000) -> Exchange:
    """A stream in three reads, of which one cuts a character and one is no UTF-8 at all."""
    return Exchange(
        tag=tag,
        request=Request(
            method="POST",
            url="http://127.0.0.1:9/v1/chat/completions",
            headers=(("Authorization", "Bearer <redacted:api_key>"), ("Content-Type", "application/json")),
            body='{"messages":[{"role":"user","content":"ü"}]}'.encode(),
        ),
        wall_ns=1_772_366_400_300_000_000,
        started_ns=started_ns,
        connected_ns=started_ns + 100_000,
        sent_ns=started_ns + 200_000,
        headers_ns=started_ns + 12_000_000,
        ended_ns=started_ns + 30_000_000,
        http_version="HTTP/1.1",
        status=200,
        headers=(
            ("Content-Type", "text/event-stream"),
            ("Server", "gateway/7.1"),
            ("X-Request-Id", "req_1"),
        ),
        reads=(
            Read(started_ns + 12_000_000, b'data: {"choices":[]}\n\ndata: "\xc3'),
            Read(started_ns + 20_000_000, b'\xbc"\n\n'),
            Read(started_ns + 30_000_000, b"\xff\xfe\n\n"),
        ),
        transfer=Transfer.CUT,
        detail="peer closed connection",
        lateness_ns=77,
    )


FINDING = Finding(
    clause="STR-02",
    level=Level.MUST,
    expected="data: [DONE] at the end",
    actual="no [DONE]; the last event was <b>\x1b[31m&\ud800]]>",
    source="every exchange",
    exchange="test_stream/ask",
    route="/chat/completions",
    status=200,
    request_id="req_1",
    model="small",
    excerpt=('     12.0 ms  data: {"choices":[]}', "     20.0 ms  data: </script><b>"),
    curl="curl -sS -N -i -H 'Authorization: Bearer '\"$BEATRA_API_KEY\" http://127.0.0.1:9/v1/chat/completions",
)


def row(id: str, outcome: Outcome, *findings: Finding, **more: object) -> ClauseRow:
    """One clause's row; the section is that of its letters."""
    values: dict[str, object] = {
        "level": Level.MUST,
        "section": f"Section {id[:3]}",
        "sentence": f"`{id}` holds: an answer ends with `data: [DONE]`",
        "subjects": 3,
        **more,
    }
    return ClauseRow(id=id, outcome=outcome, findings=findings, **values)  # type: ignore[arg-type]


def judged() -> Judged:
    """A run with each outcome once, a finding on the recorded stream, and a probe."""
    warning = Finding(
        clause="RID-03", level=Level.SHOULD, expected="an id", actual="none", source="test_id[sync]"
    )
    known = Finding(
        clause="ERR-07",
        level=Level.MUST,
        expected="param",
        actual="null",
        known="new validator (GW-1432), until 2027-01-31",
    )
    rows = (
        row("EP-01", Outcome.PASS),
        row("STR-02", Outcome.FAIL, FINDING),
        row("RID-03", Outcome.WARN, warning, level=Level.SHOULD),
        row("STR-19", Outcome.OBSERVE, level=Level.OBSERVE, reason="comments in 2 streams"),
        row("MOD-01", Outcome.NOT_OBSERVED, subjects=0, reason="429 each time"),
        row("AUT-05", Outcome.UNTESTABLE, subjects=0, reason='revoked_key = "${REVOKED_KEY}"'),
        row("ERR-11", Outcome.WAIVED, subjects=0, reason="no empty wallet in staging"),
        row("ERR-07", Outcome.KNOWN, known, reason="new validator (GW-1432), until 2027-01-31"),
        row("ERR-03", Outcome.STALE, reason="line 12: the deviation no longer happens: remove it"),
        row("BIL-01", Outcome.BROKEN, reason="test_price: KeyError: 'usage'"),
        row("OWN-01", Outcome.OWN, subjects=0, reason="a duty of the suite"),
    )
    reports = (
        ProbeReport(
            clause="EP-01", probe="test_minimal", model="small", duration_s=0.25, seen=Seen(subjects=1)
        ),
        ProbeReport(
            clause="RID-03",
            probe="test_id[sync]",
            model="small",
            duration_s=0.5,
            seen=Seen(subjects=1, findings=(warning,)),
        ),
        ProbeReport(
            clause="MOD-01", probe="test_models", model="small", duration_s=1, seen=Seen(unjudged=("429",))
        ),
    )
    return Judged(rows, (stream(), stream(Tag("test_minimal", "ask", 2), 9_000)), reports)
