"""The page on reading a report says what the code does: its names, its thresholds and its false alarms."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import pytest

from chatproof.metrics import METRICS, Change, Judgement, StreamRow, Trend, false_alarms, judge, parse_term
from chatproof.metrics.binomial import carries
from chatproof.metrics.percentiles import SHOWN, quantile_of, shown_label
from chatproof.record import Ending

PAGE = (Path(__file__).parents[1] / "docs" / "reading-a-load-report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_has_its_line(metric: str) -> None:
    """A figure of the report stands in the table of figures."""
    assert f"\n| `{metric}` | " in PAGE


def test_the_n_each_percentile_needs_is_the_codes() -> None:
    """The table of percentiles is the rule that refuses them."""
    told = dict(re.findall(r"^\| (p[\d.]+) \| (\d+) \|$", PAGE, re.MULTILINE))

    assert told == {shown_label(label): str(carries(quantile_of(label))) for label in SHOWN}


def test_the_false_alarms_are_those_of_a_run_now() -> None:
    """Each rate of the table is within three standard deviations of 600 comparisons made now."""
    rows = re.findall(r"^\| (\d+) \| (\d+) % \| ([\d.]+) % \| ([\d.]+) % \|$", PAGE, re.MULTILINE)
    assert len(rows) == 6
    for pairs, noise, *told in rows:

        def draw(random: Random, sd: float = int(noise) / 100) -> float:
            return random.lognormvariate(0, sd)

        for floor, percent in zip((1.10, 1.0), told, strict=True):
            rate = false_alarms(draw, pairs=int(pairs), rounds=600, seed=2, floor=floor)
            share = float(percent) / 100

            assert abs(rate - share) <= 3 * (share * (1 - share) / 600) ** 0.5 + 1 / 600


@pytest.mark.parametrize(
    ("term", "least"), [("ttft_p95<1s", 59), ("ttft_p99<1s", 299), ("complete_fraction>=0.999", 2995)]
)
def test_the_shortest_run_that_passes_is_the_one_told(term: str, least: int) -> None:
    """With no stream over the limit, the n of the page passes and one less does not."""
    good = StreamRow(
        stream_id="n", scenario="s", intended_ns=0, started_ns=0, first_content_ns=1, ending=Ending.COMPLETE
    )

    assert str(least) in PAGE
    assert [judge(parse_term(term), [good] * n).judgement for n in (least, least - 1)] == [
        Judgement.PASS,
        Judgement.INCONCLUSIVE,
    ]


def test_every_answer_is_explained() -> None:
    """The words that verdicts, trends and comparisons can say are on the page."""
    words = [*(f"| {change.value} |" for change in Change), *(f"**{verdict.value}" for verdict in Judgement)]

    assert [word for word in words if word not in PAGE] == []
    assert [trend.value for trend in Trend if trend.value not in PAGE.lower()] == []
