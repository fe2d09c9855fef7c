"""From a run's book to the load section of the report and to one verdict. Pure: same rows, same section."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from chatproof.contract import Contract, Level
from chatproof.metrics import StreamRow
from chatproof.metrics.drift import drift, over_time
from chatproof.metrics.figures import figures
from chatproof.metrics.measures import clock_of, endings, lag, spent
from chatproof.metrics.percentiles import Sample, sample_figure
from chatproof.metrics.series import series
from chatproof.metrics.slo import Judged, Judgement, NotMeasured, judge, overall, slo_report
from chatproof.metrics.terms import Term
from chatproof.metrics.throughput import bunching, per_second, throughput
from chatproof.record import Ending
from chatproof.swarm.master.ledger import Ledger
from chatproof.swarm.streams.kept import EVERY, IN_FULL, Tally, scope_of
from chatproof.swarm.worker.health import advice, complaints
from chatproof.swarm.worker.health import shown as health_shown
from chatproof.verdict import Exit, Verdict

MOST_DETAILS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A run that is over, as the master saw it."""

    scenario: str
    seconds: float  # from the first start to the end of the load, draining left out
    reason: str
    interrupted: bool = False
    incomplete: tuple[str, ...] = ()  # workers that never sent their last report
    broken: str | None = None  # what of ours failed
    asked_per_s: float | None = None  # open loop only
    budget_credits: Decimal | None = None
    terms: tuple[Term, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    soak: bool = False

    @property
    def cut_short(self) -> bool:
        """Whether it ended before it had come to what it was to measure."""
        return self.interrupted or self.broken is not None or bool(self.incomplete)


def load_section(ledger: Ledger, ended: Ended, contract: Contract) -> dict[str, Any]:
    """The report's `load`."""
    rows, window = ledger.rows, round(ended.seconds * 1e9)
    clock = clock_of(rows)
    rates = throughput(rows, 0, window, ended.terms)
    credits, silent = spent(rows)
    found = complaints(ledger.health, clock)
    section: dict[str, Any] = {
        "scenario": ended.scenario,
        "seconds": round(ended.seconds, 3),
        "reason": ended.reason,
        "interrupted": ended.interrupted,
        "options": dict(ended.options),
        "metrics": figures(rows),
        "streams": {"total": len(rows), **endings(rows)},
        "details": _details(rows),
        "connections": {
            "opened": sum(row.connected_ns is not None for row in rows),
            "reused": sum(row.reused for row in rows),
            "reconnected": sum(row.reconnected for row in rows),
        },
        "rate": {
            "asked": ended.asked_per_s,
            "achieved": _per_s(_made(rows, ended, window), ended.seconds),
            "tokens_per_s": rates.tokens_per_s,
            "events_per_s": rates.events_per_s,
            "streams_per_s": rates.streams_per_s,
            "goodput_per_s": rates.goodput_per_s,
            "user_tokens_per_s": rates.user_tokens_per_s,
            "approximate_tokens": rates.approximate_tokens,
            "start_lag": sample_figure(Sample(tuple(sorted(max(0, lag(row)) for row in rows))), "user"),
        },
        "bunching": asdict(bunching(rows)),
        "over_time": _over_time(rows, window),
        "series": series(rows, window),
        "by_scenario": _by_scenario(rows),
        "cost": {
            "credits": str(credits),
            "answers_without_charge": silent,
            "budget_credits": None if ended.budget_credits is None else str(ended.budget_credits),
        },
        "conformance": conformance(ledger.tallies, contract, rows),
        "judged": {
            "every_stream": sorted(EVERY | {"STR-17"}),
            "sample_only": sorted({fact.clause for fact in IN_FULL} - EVERY),
            "streams": dict(ledger.judged),
        },
        "health": {
            "valid": not found and not ended.incomplete and ended.broken is None,
            "clock": clock,
            "complaints": [complaint.text for complaint in found],
            "advice": advice(found, ledger.health),
            "workers": [health_shown(health) for health in ledger.health],
            "incomplete_workers": list(ended.incomplete),
        },
        "troubles": [*ledger.troubles, *([ended.broken] if ended.broken else [])],
        **ended.extra,
    }
    if ended.terms and "capacity" not in ended.extra:  # a search goes beyond its objectives on purpose
        # an interrupt cuts streams off that would have ended: those are not the target's
        own = [row for row in rows if row.ending is not Ending.STILL_RUNNING] if ended.interrupted else rows
        section["slo"] = slo_report(judged(ended.terms, own))
    if ended.soak:
        section["drift"] = _drift(ledger, rows, window)
    return section


def _details(rows: Sequence[StreamRow]) -> dict[str, list[dict[str, Any]]]:
    """Of each ending but complete, what was said of it most often."""
    said: dict[str, Counter[str]] = {}
    for row in rows:
        if row.detail and row.ending is not Ending.COMPLETE:
            said.setdefault(row.ending.value, Counter())[row.detail] += 1
    return {
        ending: [{"detail": text, "count": count} for text, count in counts.most_common(MOST_DETAILS)]
        for ending, counts in said.items()
    }


def judged(terms: Sequence[Term], rows: Sequence[StreamRow]) -> list[Judged]:
    """What the rows show of each term; NotMeasured where a term's metric is in none of them."""
    return [judge(term, rows) for term in terms]


def conformance(
    tallies: Mapping[str, Tally], contract: Contract, rows: Sequence[StreamRow]
) -> list[dict[str, Any]]:
    """A row a clause that is judged on every exchange: how many kept it, and the first that did not."""
    shown = []
    for clause in contract.clauses:
        tally = tallies.get(clause.id)
        if not clause.every or (tally is None and clause.id not in tallies):
            continue
        assert tally is not None
        first = tally.first_ns
        shown.append(
            {
                "id": clause.id,
                "level": clause.level.value,
                "sentence": clause.sentence,
                "scope": scope_of(clause.id),
                "subjects": tally.subjects,
                "kept": tally.subjects - tally.violations - tally.known,
                "violations": tally.violations,
                "known": tally.known,
                "worst": tally.level,
                "first_at_s": None if first is None else round(first / 1e9, 3),
                "rate_at_first_per_s": None if first is None else _rate_at(rows, first),
                "findings": tally.findings,
            }
        )
    return shown


def verdict(section: Mapping[str, Any], ended: Ended) -> Verdict:
    """4 before 1 before 3 before 0: an unfit client first, then the target, then what could not be told."""
    health, streams = section["health"], section["streams"]
    if ended.broken is not None:
        return Verdict(Exit.INVALID, ended.broken)
    if health["incomplete_workers"] or streams[Ending.LOST]:
        who = ", ".join(health["incomplete_workers"]) or "a worker"
        return Verdict(Exit.INVALID, f"{streams[Ending.LOST]} streams were lost with {who}")
    if "capacity" in section:
        return _capacity_verdict(section, ended)
    if health["complaints"]:
        return Verdict(Exit.INVALID, f"{health['complaints'][0]}; {health['advice']}")
    broken = _broken(section)
    slo = section.get("slo")
    missed = [term["term"] for term in slo["terms"] if term["verdict"] == Judgement.FAIL] if slo else []
    if broken or missed:
        said = [f"clauses violated: {', '.join(broken)}"] if broken else []
        said += [f"SLO missed: {', '.join(missed)}"] if missed else []
        return Verdict(Exit.VIOLATES, "; ".join(said))
    if not streams["total"]:
        return Verdict(Exit.INCONCLUSIVE, "no request was made")
    judgeable = streams["total"] - streams[Ending.LEFT]
    if not streams[Ending.COMPLETE] and judgeable:
        common = Counter({e.value: streams[e.value] for e in Ending}).most_common(1)[0][0]
        return Verdict(Exit.INCONCLUSIVE, f"no answer was complete; most ended as {common}")
    if ended.interrupted:
        return Verdict(Exit.INCONCLUSIVE, f"{ended.reason}: reported is what was measured until then")
    if slo and slo["verdict"] == Judgement.INCONCLUSIVE:
        open_terms = [term for term in slo["terms"] if term["verdict"] == Judgement.INCONCLUSIVE]
        return Verdict(
            Exit.INCONCLUSIVE, "; ".join(f"{term['term']}: {term['reason']}" for term in open_terms)
        )
    done = f"{streams[Ending.COMPLETE]} of {judgeable} complete"
    return Verdict(Exit.CONFORMS, f"{done}, every SLO met" if slo else f"{done}; no SLO was given")


def _broken(section: Mapping[str, Any]) -> list[str]:
    return [row["id"] for row in section["conformance"] if row["worst"] == Level.MUST]


def _capacity_verdict(section: Mapping[str, Any], ended: Ended) -> Verdict:
    """Of a search: the steps were judged one by one, the client's health with them."""
    found = section["capacity"]
    knee, broken = found["knee_per_s"], _broken(section)
    held = "no rate was shown to meet the SLO" if knee is None else f"{knee:.4g}/s meets the SLO"
    why = f"{held}; {found['reason']}"
    if any(step["outcome"] == "invalid" for step in found["steps"]):
        return Verdict(Exit.INVALID, why)
    if broken:
        return Verdict(Exit.VIOLATES, f"clauses violated: {', '.join(broken)}; {why}")
    if ended.interrupted or not found["steps"]:
        return Verdict(Exit.INCONCLUSIVE, why)
    if knee is None:
        tried = {step["outcome"] for step in found["steps"]}
        return Verdict(Exit.VIOLATES if "fail" in tried else Exit.INCONCLUSIVE, why)
    return Verdict(Exit.CONFORMS, why)


def slo_verdict(terms: Sequence[Term], rows: Sequence[StreamRow]) -> Judgement:
    """The verdict of some rows on all terms; inconclusive where nothing was measured."""
    try:
        return overall(judged(terms, rows))
    except NotMeasured:
        return Judgement.INCONCLUSIVE


def _made(rows: Sequence[StreamRow], ended: Ended, window: int) -> int:
    """The requests of the window; in an open loop all of them, for it makes none that the schedule has not."""
    return len(rows) if ended.asked_per_s is not None else sum(row.intended_ns < window for row in rows)


def _per_s(count: int, seconds: float) -> float | None:
    return count / seconds if seconds > 0 else None


def _rate_at(rows: Sequence[StreamRow], at_ns: int) -> float:
    """Requests a second in the five seconds before an instant."""
    window = min(at_ns, 5_000_000_000)
    return sum(at_ns - window <= row.intended_ns <= at_ns for row in rows) / (window / 1e9) if window else 0.0


def _over_time(rows: Sequence[StreamRow], window: int) -> dict[str, Any]:
    return {
        "ttft_p50_s": over_time(rows, "ttft", "p50", 0, max(window, 1)),
        "ttft_p95_s": over_time(rows, "ttft", "p95", 0, max(window, 1)),
        "itl_p50_s": over_time(rows, "itl", "p50", 0, max(window, 1)),
        "itl_p99_s": over_time(rows, "itl", "p99", 0, max(window, 1)),
        "tokens_per_s": [round(tokens, 1) for tokens in per_second(rows, _tokens, 0, window)][:3600],
    }


def _tokens(row: StreamRow) -> int:
    return row.completion_tokens or 0


def _by_scenario(rows: Sequence[StreamRow]) -> dict[str, Any]:
    names = sorted({row.scenario for row in rows})
    if len(names) < 2:
        return {}
    parts = {name: [row for row in rows if row.scenario == name] for name in names}
    return {
        name: {"streams": {"total": len(part), **endings(part)}, "metrics": figures(part)}
        for name, part in parts.items()
    }


def _drift(ledger: Ledger, rows: Sequence[StreamRow], window: int) -> dict[str, Any]:
    every = {
        "ttft_p50": over_time(rows, "ttft", "p50", 0, max(window, 1)),
        "itl_p50": over_time(rows, "itl", "p50", 0, max(window, 1)),
    }
    for health in ledger.health:
        every[f"client_rss_mb_{health.worker}"] = tuple((5.0 * i, mb) for i, mb in enumerate(health.rss_mb))
    return {name: {**asdict(drift(points)), "series": points} for name, points in every.items()}
