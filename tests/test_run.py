"""A run as values: exchanges and probes in, a row a clause out; then the same through pytest."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from chatproof.check import CheckFailed, Conductor, check
from chatproof.contract import Level
from chatproof.money import Prices
from chatproof.record import Exchange, Tag
from chatproof.run import EVERY, Judged, ProbeReport, finding_of, judge, tariff_of, terms_of
from chatproof.target import Model, Money, Target, parse_target, read_contract
from chatproof.verdict import ClauseRow, Finding, Outcome, Problem, Seen
from tests.exchanges import MODEL, error_answer, stream_answer, sync_answer

TODAY = date(2027, 1, 15)
FILE = f"""
base_url = "http://127.0.0.1:1/v1"
api_key = "sk-run-test"
[[model]]
id = "{MODEL}"
credits_per_litellm_usd = "1500"
input_usd_per_token = "0.0000003"
output_usd_per_token = "0.0000012"
[billing]
credits_per_usd_rate = "1000"
"""


def target(more: str = "") -> Target:
    """A target whose prices are those of the answers made by hand."""
    return parse_target(FILE + more, name="target.toml", beside=Path(), env={})


def tagged(exchange: Exchange, step: str, started_ns: int = 0) -> Exchange:
    """The exchange as a step of its own, at another time."""
    moved = {name: getattr(exchange, name) for name in ("connected_ns", "sent_ns", "headers_ns", "ended_ns")}
    shifted = {name: at + started_ns for name, at in moved.items() if at is not None}
    return replace(exchange, tag=Tag("probe", step), started_ns=started_ns, **shifted)


def judged(*exchanges: Exchange, reports: tuple[ProbeReport, ...] = (), more: str = "") -> Judged:
    """These exchanges and reports, judged on TODAY."""
    return judge(read_contract(), target(more), exchanges, reports, TODAY)


def row(run: Judged, clause: str) -> ClauseRow:
    """One clause's row."""
    return next(row for row in run.rows if row.id == clause)


GOOD = sync_answer({"usage.credits": "0.0792", "usage.credits_usd_reference": "0.0000792"}).exchange


LOSES_IT = """
import os, signal

def test_first():
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        pass

def test_second():
    open(os.environ["SECOND"], "w").close()
"""


def test_an_interrupt_that_is_lost_on_its_way_stops_the_run_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python drops what is raised in a finaliser or a callback; the probe that runs ends, and none after it begins."""
    second = tmp_path / "second"
    monkeypatch.setenv("SECOND", str(second))
    probes = tmp_path / "test_lost.py"
    probes.write_text(LOSES_IT)

    with pytest.raises(KeyboardInterrupt):
        check(Conductor(target(), 1), select=[str(probes)])
    assert not second.exists()


def test_every_clause_has_a_row() -> None:
    """Whatever a run saw, its rows are the contract's clauses, in order."""
    assert [row.id for row in judged().rows] == list(read_contract().ids)
    assert [row.id for row in judged(GOOD).rows] == list(read_contract().ids)


def test_a_good_answer_passes_the_clauses_it_is_a_subject_of() -> None:
    """And only those: what no answer showed is not observed."""
    run = judged(GOOD)

    assert (row(run, "RSP-01").outcome, row(run, "RSP-01").subjects) == (Outcome.PASS, 1)
    assert row(run, "STR-02").outcome is Outcome.NOT_OBSERVED
    assert not [row.id for row in run.rows if row.outcome in (Outcome.FAIL, Outcome.BROKEN)]


def test_facts_and_probes_add_up() -> None:
    """Of a clause that both judge, subjects and findings are counted together."""
    problem = Problem(expected="a", actual="b")
    clause = read_contract()["RSP-05"]
    said = Seen(subjects=1, findings=(finding_of(clause, problem, None, "test_x"),))
    run = judged(
        sync_answer({"choices.0.message.role": "user"}).exchange,
        reports=(ProbeReport(clause="RSP-05", probe="test_x", seen=said),),
    )

    assert row(run, "RSP-05").subjects == 2
    assert [finding.source for finding in row(run, "RSP-05").findings] == [EVERY, "test_x"]


@pytest.mark.parametrize(("clause", "subjects"), [("RID-02", 1), ("RID-03", 0)])
def test_a_probe_of_what_facts_judge_is_no_subject_where_they_saw_none(clause: str, subjects: int) -> None:
    """Where no answer carries an id of the kind, its probe's silence is no pass."""
    said = (ProbeReport(clause=clause, probe="test_x", seen=Seen(subjects=1)),)
    silent = judged(sync_answer(headers={"X-Request-Id": None}).exchange, reports=said)
    with_id = judged(sync_answer().exchange, reports=said)

    assert (row(silent, clause).outcome, row(silent, clause).subjects) == (Outcome.NOT_OBSERVED, 0)
    assert row(with_id, clause).subjects == subjects + bool(subjects)


def test_a_finding_is_complete_for_a_reader_who_was_not_there() -> None:
    """It names clause, level, exchange, route, status, request id and model, and shows bytes and a curl line."""
    shown = sync_answer({"choices.0.message.role": "user"})
    found = row(judged(shown.exchange), "RSP-05").findings[0]

    assert (found.clause, found.level, found.source) == ("RSP-05", Level.MUST, EVERY)
    assert (found.exchange, found.route, found.status) == ("probe/1", "/chat/completions", 200)
    assert (found.request_id, found.model) == ("req_1", MODEL)
    assert any('"role": "user"' in line for line in found.excerpt)
    assert found.curl is not None
    assert '"Authorization: Bearer "' in found.curl or "$BEATRA_API_KEY" in found.curl


def test_a_finding_without_an_answer_is_still_one() -> None:
    """What no single exchange shows is told in words."""
    found = finding_of(
        read_contract()["BIL-08"], Problem(expected="a line", actual="a curve"), None, "test_x"
    )

    assert found == Finding(
        clause="BIL-08", level=Level.MUST, expected="a line", actual="a curve", source="test_x"
    )


def test_a_limb_has_its_own_level() -> None:
    """A SHOULD limb of a MUST clause warns."""
    found = finding_of(
        read_contract()["REQ-10"], Problem(expected="a", actual="b", level=Level.SHOULD), None, "test_x"
    )

    assert found.level is Level.SHOULD


def test_order_of_arrival_changes_nothing() -> None:
    """Workers hand in their exchanges in any order: the rows are those of the order in time."""
    twins = [tagged(sync_answer().exchange, f"{n}", n * 100_000_000) for n in range(5)]
    shuffled = random.Random(1).sample(twins, len(twins))

    assert judged(*shuffled) == judged(*twins)
    assert row(judged(*twins), "RSP-02").violations == 4


def test_a_listed_finding_is_known() -> None:
    """Deviations of the target file are weighed in."""
    entry = """
[[deviation]]
clause = "ERR-06"
match = { status = 400 }
reason = "comes with the new edge"
until = 2027-02-01
"""
    without_id = tagged(error_answer({"request_id": ""}).exchange, "1")

    assert row(judged(without_id), "ERR-06").outcome is Outcome.WARN
    assert row(judged(without_id, more=entry), "ERR-06").outcome is Outcome.KNOWN


def test_missing_terms_are_named_and_can_be_waived() -> None:
    """Without a price the charge is untestable, and the row says which line of the target file helps."""
    bare = parse_target(
        'base_url = "http://127.0.0.1:1/v1"\napi_key = "sk-run-test"\n', name="t", beside=Path(), env={}
    )
    waived = msgspec.structs.replace(bare, waives=target(WAIVER).waives)
    untestable = row(judge(read_contract(), bare, [GOOD], (), TODAY), "BIL-04")
    accepted = row(judge(read_contract(), waived, [GOOD], (), TODAY), "BIL-04")

    assert untestable.outcome is Outcome.UNTESTABLE
    assert "credits_per_litellm_usd" in untestable.reason
    assert (accepted.outcome, accepted.reason) == (Outcome.WAIVED, "no price yet")


WAIVER = """
[[waive]]
clause = "BIL-04"
reason = "no price yet"
until = 2027-02-01
"""


def test_legal_oddities_are_told_and_never_judged() -> None:
    """STR-19 observes."""
    odd = stream_answer(body=[b": ping\r\n\r\n", *(read.data for read in stream_answer().exchange.reads)])
    told = row(judged(odd.exchange), "STR-19")

    assert told.outcome is Outcome.OBSERVE
    assert "in 1 streams" in told.reason


@pytest.mark.parametrize(
    ("model", "prices", "markup"),
    [
        (Model(id="m"), None, None),
        (Model(id="m", credits_per_litellm_usd=Money("1500")), None, Decimal(1500)),
        (Model(id="m", litellm_model="no/such-model"), None, None),
        (
            Model(id="m", input_usd_per_token=Money("0.1"), output_usd_per_token=Money("0.2")),
            Prices(Decimal("0.1"), Decimal("0.2"), None),
            None,
        ),
        (
            Model(
                id="m",
                litellm_model="no/such-model",
                input_usd_per_token=Money("0.1"),
                output_usd_per_token=Money("0.2"),
                cached_input_usd_per_token=Money("0.05"),
                credits_per_litellm_usd=Money("2"),
            ),
            Prices(Decimal("0.1"), Decimal("0.2"), Decimal("0.05")),
            Decimal(2),
        ),
    ],
)
def test_a_tariff_is_what_the_target_file_says_before_the_map(
    model: Model, prices: Prices | None, markup: Decimal | None
) -> None:
    """Prices in the file win; a model that neither knows has none."""
    tariff = tariff_of(model)

    assert (tariff.prices, tariff.markup) == (prices, markup)


def test_terms_come_from_target_and_contract() -> None:
    """What exchanges are judged on: settings, codes, schemas, a tariff a model, the wallet's rate."""
    terms = terms_of(target("[settings]\ninvalid_request_status = [400, 422]\n"), read_contract())

    assert terms.settings.invalid_request_status == (400, 422)
    assert terms.error_codes == read_contract().error_codes
    assert set(terms.tariffs) == {MODEL}
    assert terms.rate == Decimal(1000)


def test_a_report_survives_the_way_from_a_worker() -> None:
    """A probe's report is JSON, findings and all."""
    report = ProbeReport(
        clause="RSP-05",
        probe="test_x",
        model=MODEL,
        duration_s=0.25,
        seen=Seen(
            subjects=1,
            findings=(
                finding_of(read_contract()["RSP-05"], Problem(expected="a", actual="b"), sync_answer(), "x"),
            ),
            unjudged=("429",),
        ),
    )

    assert msgspec.json.decode(msgspec.json.encode(report), type=ProbeReport) == report


# --- through pytest -------------------------------------------------------------------------------------------

PROBES = '''
"""Probes of a test."""
import pytest
from chatproof.verdict import NotObserved, Untestable

@pytest.mark.clause("EP-01")
def test_right():
    """Kept."""

@pytest.mark.clause("EP-03", level="MUST")
def test_wrong():
    """Two is two."""

    assert 1 == 2

@pytest.mark.clause("EP-04")
def test_noise():
    """Noise."""
    raise NotObserved("503")

@pytest.mark.clause("AUT-05")
def test_missing():
    """Missing."""
    raise Untestable("provoke.revoked_key")

@pytest.mark.clause("REQ-01")
def test_crash():
    """Ours."""
    raise KeyError("ours")

@pytest.fixture
def broken():
    raise RuntimeError("a fixture")

@pytest.mark.clause("REQ-02")
def test_setup(broken):
    """Ours too."""
'''


@pytest.fixture
def probes(tmp_path: Path) -> Path:
    """A folder of probes beside the suite's own knowledge of pytest."""
    suite = Path(__file__).parents[1] / "conformance" / "conftest.py"
    (tmp_path / "conftest.py").write_text(suite.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "test_probes.py").write_text(PROBES, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("jobs", [1, 2])
def test_each_end_of_a_probe_is_an_outcome(probes: Path, jobs: int) -> None:
    """Whatever a probe raises that is no statement about the target is our own fault; with workers and without."""
    conductor = Conductor(target(), seed=1)
    run = check(conductor, jobs=jobs, select=[str(probes)])

    assert {id: row(run, id).outcome for id in ("EP-01", "EP-03", "EP-04", "AUT-05", "REQ-01", "REQ-02")} == {
        "EP-01": Outcome.PASS,
        "EP-03": Outcome.FAIL,
        "EP-04": Outcome.NOT_OBSERVED,
        "AUT-05": Outcome.UNTESTABLE,
        "REQ-01": Outcome.BROKEN,
        "REQ-02": Outcome.BROKEN,
    }
    assert row(run, "REQ-01").reason == "test_crash: KeyError: 'ours'"
    assert len(run.reports) == 6


@pytest.mark.parametrize(
    "wrong",
    ["import no_such_module", "def test_x(:", "import pytest\npytest.exit('enough')"],
    ids=["import", "syntax", "exit"],
)
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_suite_that_cannot_be_collected_comes_to_no_judgement(probes: Path, wrong: str, jobs: int) -> None:
    """Half a suite must never pass: that is our own fault, and pytest's words say which."""
    (probes / "test_worse.py").write_text(wrong, encoding="utf-8")

    with pytest.raises(CheckFailed, match="not every probe was run"):
        check(Conductor(target(), seed=1), jobs=jobs, select=[str(probes)])


@pytest.mark.parametrize("jobs", [2])
def test_a_worker_that_dies_takes_no_verdict_along(probes: Path, jobs: int) -> None:
    """What a lost worker had seen is missing: that run is invalid, and names the probe."""
    (probes / "test_dies.py").write_text(
        'import os, pytest\n@pytest.mark.clause("RSP-09")\ndef test_dies():\n    os._exit(3)\n',
        encoding="utf-8",
    )

    with pytest.raises(CheckFailed, match="test_dies did not come to its end"):
        check(Conductor(target(), seed=1), jobs=jobs, select=[str(probes)])


def test_an_interrupted_run_says_so(probes: Path) -> None:
    """Ctrl-C keeps what was judged so far and marks it as less than all."""
    (probes / "test_0.py").write_text(
        'import pytest\n@pytest.mark.clause("RSP-09")\ndef test_x():\n    raise KeyboardInterrupt\n',
        encoding="utf-8",
    )
    run = check(Conductor(target(), seed=1), select=[str(probes)])

    assert run.interrupted
    assert row(run, "EP-01").outcome is Outcome.NOT_OBSERVED


def test_options_for_other_tests_do_not_reach_the_probes(
    probes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PYTEST_ADDOPTS of a developer's shell does not deselect probes."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k nothing")
    run = check(Conductor(target(), seed=1), select=[str(probes)])

    assert len(run.reports) == 6
