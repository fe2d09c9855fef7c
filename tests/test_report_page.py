"""The page: whole in one file, the same for the same rows, and unable to run what a deployment sent."""

from __future__ import annotations

import base64
import copy
import hashlib
import html
import json
import re
from dataclasses import replace
from typing import Any

import pytest

from chatproof.contract import Level
from chatproof.report import difference, report_of
from chatproof.report.document import Document
from chatproof.report.page import page
from chatproof.report.page.figures import charts
from chatproof.report.page.risk import RISKS, at_risk, foremost
from chatproof.report.page.scale import Scale, duration, number, scale, share
from chatproof.run import Judged
from chatproof.schemas import load_schemas
from chatproof.target import folder, read_contract
from chatproof.verdict import Exit, Outcome, Verdict, decide
from tests.judged import FINDING, RUN, judged, row, target
from tests.loaded import load

PROOFS = {"STR-02": ("no-done", "done-twice")}


def document(load: dict[str, Any] | None = None, run: Judged | None = None) -> Document:
    """The hand-made run's document."""
    made = run or judged()
    return report_of(made, target(), RUN, decide(made.rows), load, proved_by=PROOFS)


def test_same_rows_give_the_same_page() -> None:
    """Two renderings are identical, and so is one of the document that was read back from JSON."""
    first = page(document(load()))

    assert page(document(load())) == first
    assert page(json.loads(json.dumps(document(load())))) == first


def test_page_needs_nothing_else() -> None:
    """No address of anything that would be fetched: no script, style, image or font from elsewhere."""
    text = page(document(load())).decode()
    fetched = re.findall(r"<(?:script|img|iframe|object|embed)[^>]*\bsrc=|@import|url\((?!#)", text)
    links = set(re.findall(r'<link[^>]*href="([^"]*)"', text))

    assert fetched == []
    assert links == {"data:,"}


def test_policy_names_exactly_the_script_and_style_within() -> None:
    """The digests in the content security policy are those of the page's own script and style."""
    text = page(document()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.S)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.S)

    for part in (style, script):
        digest = base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in html.unescape(policy)
    assert "unsafe" not in policy
    assert 'style="' not in text


def test_what_a_deployment_sent_is_text() -> None:
    """Markup in an answer, a header or a model's name is shown, not obeyed."""
    evil = replace(
        FINDING,
        actual="</script><script>alert(1)</script>",
        model='"><img src=x onerror=alert(1)>',
        excerpt=("<!--", "]]>", "\x1b[31m"),
    )
    text = page(document(run=Judged((row("STR-02", Outcome.FAIL, evil),), (), ()))).decode()

    assert text.count("<script>") == 1
    assert "<img" not in text
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in text
    assert "\x1b" not in text


def test_page_of_very_many_findings_stays_small() -> None:
    """A deployment that breaks every clause on every exchange still makes a page below 2 MB."""
    long = tuple(replace(FINDING, excerpt=("x" * 900,) * 12, curl="c" * 9000) for _ in range(300))
    rows = tuple(row(f"STR-{n:02}", Outcome.FAIL, *long) for n in range(99))

    assert len(page(document(load(), Judged(rows, (), ())))) < 2_000_000


def test_every_clause_and_finding_is_on_the_page() -> None:
    """Each clause has its row with outcome and count, the finding its evidence, the check the faults that prove it."""
    text = html.unescape(page(document()).decode())

    for clause in judged().rows:
        assert f'id="{clause.id}" data-outcome="{clause.outcome}"' in text
    for shown in (FINDING.expected, FINDING.curl, "req_1", "exchanges.har#0", "no-done", "[[deviation]]"):
        assert shown is not None
        assert shown in text


def test_load_is_absent_where_there_was_none() -> None:
    """A run without load has neither its section nor its charts."""
    text = page(document()).decode()

    assert 'id="load"' not in text
    assert "<figure>" not in text
    assert 'id="load"' in page(document(load())).decode()


def test_hand_made_load_is_valid_by_the_schema() -> None:
    """The section that these tests show is one that a real run may have."""
    assert list(load_schemas(folder("schemas"))["report"].problems(document(load()))) == []


def test_unfit_client_is_said_before_any_figure() -> None:
    """A run whose client was saturated warns on top of its figures, and marks the seconds in the chart."""
    text = page(document(load(busy=True))).decode()

    assert text.index("the client's, not the target's") < text.index('class="tiles"')
    assert text.count('class="band"') == 2
    assert 'class="band"' not in page(document(load())).decode()


def test_each_figure_states_n_clock_and_definition() -> None:
    """No chart without its words: how many, by which clock, of what."""
    found = {chart.title: chart for chart in charts(load())}
    distribution = found["Distribution of the time to first token"]

    assert set(found) == {
        "Distribution of the time to first token",
        "Distribution of the gap between tokens",
        "Distribution of the whole answer",
        "The time to first token over time",
        "The gap between tokens over time",
        "The whole answer over time",
        "How streams ended over time",
        "Capacity: TTFT p95 by rate",
        "Was the client fit to measure?",
    }
    assert "n = 395; 5 unfinished streams never get there" in distribution.note
    assert "stamped by the kernel" in distribution.note
    assert all(chart.values and chart.note for chart in found.values())


def test_chart_values_are_the_figures_of_the_report() -> None:
    """What a chart says on hover is what the section holds; the objective stands in it as a line."""
    section = load()
    found = {chart.title: chart for chart in charts(section)}
    slowest = section["series"]["distributions"]["ttft"]["points"][-1]
    endings = found["How streams ended over time"].values

    assert found["Distribution of the time to first token"].values[-1].text == "98.8 % within 279 ms"
    assert slowest == [0.279, 0.9875]
    assert "ttft_p95&lt;250ms" in found["Distribution of the time to first token"].svg
    assert endings[3].text == "3 to 4 s: 18 complete, 1 rate limited, 1 http error"
    assert found["Capacity: TTFT p95 by rate"].values[0].text == "10/s: 200 ms, pass, 99 of 100 complete"


def test_charts_of_an_empty_run_are_none() -> None:
    """A run in which nothing was measured draws nothing and does not fail."""
    section = load() | {"series": {"distributions": {"ttft": {"n": 0, "unfinished": 3, "points": []}}}}
    del section["capacity"], section["health"]

    assert charts(section) == []


def test_what_is_at_risk_follows_from_what_is_violated() -> None:
    """Each violated MUST clause stands under its risk, the weightiest first; a warning puts nothing at risk."""
    rows = (
        row("STR-02", Outcome.FAIL, FINDING),
        row("BIL-01", Outcome.FAIL, FINDING),
        row("BIL-04", Outcome.FAIL, FINDING),
        row("ERR-03", Outcome.WARN, FINDING, level=Level.SHOULD),
    )
    made = document(run=Judged(rows, (), ()))
    risks = [(text, [violated["id"] for violated in found]) for text, found in at_risk(made)]

    assert risks == [(RISKS["BIL"], ["BIL-01", "BIL-04"]), (RISKS["STR"], ["STR-02"])]
    assert [clause["id"] for clause in foremost(made)] == ["BIL-01", "BIL-04", "STR-02"]


def test_every_section_of_the_contract_has_its_risk() -> None:
    """No clause that a run can violate is without a sentence of what it puts at risk."""
    letters = {clause.id.partition("-")[0] for clause in read_contract() if not clause.unchecked}

    assert letters - set(RISKS) == set()


def test_difference_names_new_and_fixed_findings_and_what_changed_legally() -> None:
    """A finding is the same one whatever ids it carries; members that came or went are no findings."""
    old = document(load())
    new = copy.deepcopy(old)
    old["observed"] = {"completion": ["id", "system_fingerprint"], "error": ["error"]}
    new["observed"] = {"completion": ["id", "service_tier"], "GET /models": ["data"]}
    same = new["clauses"][1]["findings"][0]
    new["clauses"][0] |= {
        "outcome": "fail",
        "findings": [{**same, "expected": "200", "actual": "500 req_9z8"}],
    }
    new["clauses"][2] |= {"outcome": "pass", "findings": []}
    found = difference(old, new)

    assert [(f["clause"], f["actual"]) for f in found["new_findings"]] == [("EP-01", "500 req_9z8")]
    assert [f["clause"] for f in found["fixed_findings"]] == ["RID-03"]
    assert found["outcomes"] == [
        {"clause": "EP-01", "was": "pass", "is": "fail"},
        {"clause": "RID-03", "was": "warn", "is": "pass"},
    ]
    assert found["changed"] == [
        {"where": "completion", "what": "system_fingerprint", "how": "gone"},
        {"where": "completion", "what": "service_tier", "how": "new"},
    ]
    assert {"metric": "ttft", "figure": "p50_s", "was": 0.23, "is": 0.23} in found["load"]


def test_a_finding_with_another_id_is_the_same_finding() -> None:
    """Request ids, nonces and counts differ in each run; a defect that stays is neither new nor fixed."""
    old, new = document(), document()
    old["clauses"][1]["findings"][0]["actual"] = "req_01J5ab differs from chatcmpl-77 after 12 tokens"
    new["clauses"][1]["findings"][0]["actual"] = "req_09Z1xy differs from chatcmpl-4 after 31 tokens"
    found = difference(old, new)

    assert (found["new_findings"], found["fixed_findings"]) == ([], [])


def test_limbs_of_one_clause_are_findings_of_their_own() -> None:
    """Two cases of one probe differ in a number only; that one of them is mended is seen."""
    low, high = (
        replace(FINDING, expected=f"400 to temperature {n}", source=f"test_range[{n}]") for n in ("-1", "3")
    )
    old, new = (
        document(run=Judged((row("SMP-01", Outcome.FAIL, *found),), (), ()))
        for found in ((low, high), (high,))
    )

    assert [f["expected"] for f in difference(old, new)["fixed_findings"]] == ["400 to temperature -1"]


def test_difference_is_on_the_page_and_in_the_schema() -> None:
    """With a baseline the page shows all three columns, and the document stays valid."""
    old = document()
    made = report_of(
        judged(), target(), RUN, decide(judged().rows), proved_by=PROOFS, baseline=difference(old, document())
    )
    text = page(made).decode()

    assert all(name in text for name in ("New findings", "Fixed findings", "Changed but legal"))
    assert list(load_schemas(folder("schemas"))["report"].problems(made)) == []


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "-"),
        (0, "0 s"),
        (1.2345, "1.23 s"),
        (0.8124, "812 ms"),
        (0.01, "10 ms"),
        (0.0000123, "12.3 µs"),
        (0.9996, "1 s"),
        (754.2, "754 s"),
    ],
)
def test_durations_are_said_in_three_digits(seconds: float | None, said: str) -> None:
    """A duration has the unit that reads best."""
    assert duration(seconds) == said


def test_numbers_and_shares_are_short_and_never_round_to_all() -> None:
    """99.96 % is not said to be 100 %."""
    assert [number(n) for n in (0, 4677.3, 37.21, 0.0123, None)] == ["0", "4,677", "37.2", "0.0123", "-"]
    assert [share(n) for n in (0.0, 0.5, 0.98765, 0.9996, 1.0, None)] == [
        "0 %",
        "50 %",
        "98.8 %",
        "99.96 %",
        "100 %",
        "-",
    ]


def test_scale_places_values_between_its_ends() -> None:
    """Linear and logarithmic scales meet their ends; ticks are round and inside; one value alone is no failure."""
    linear, log = Scale(0, 10, 100, 200), Scale(1, 100, 0, 10, log=True)

    assert [linear.at(v) for v in (0, 5, 10, 99)] == [100, 150, 200, 200]
    assert [log.at(v) for v in (1, 10, 100)] == [0, 5, 10]
    assert linear.ticks() == [0, 2, 4, 6, 8, 10]
    assert log.ticks() == [1, 2, 5, 10, 20, 50, 100]
    assert scale([5.0], 0, 1).at(5.0) == pytest.approx(0.5, abs=0.05)
    assert scale([], 0, 1).ticks() != []


def test_each_part_of_a_gate_says_its_own_verdict() -> None:
    """A gate that failed in one half shows which; the document with its parts is valid."""
    parts = (
        ("conformance", Verdict(Exit.CONFORMS, "97 clauses kept")),
        ("load", Verdict(Exit.VIOLATES, "SLO missed: ttft_p95<250ms")),
    )
    made = report_of(judged(), target(), RUN, parts[1][1], load(), parts=parts)
    text = page(made).decode()

    assert list(load_schemas(folder("schemas"))["report"].problems(made)) == []
    assert "97 clauses kept" in text
    assert (
        text.index("<b>conformance</b>")
        < text.index("<b>load</b>")
        < text.index("SLO missed: ttft_p95&lt;250ms")
    )
