"""One conformance run as values: what it was given, what its probes said, and the rows that follow from it.

Knows nothing of pytest; whoever runs the probes hands in their reports and the exchanges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import msgspec

from chatproof import facts
from chatproof.answer import Answer
from chatproof.contract import Clause, Contract, Level
from chatproof.evidence import curl, excerpt
from chatproof.facts import Tariff, Terms
from chatproof.money import Prices
from chatproof.prices import litellm_prices
from chatproof.record import Exchange
from chatproof.schemas import load_schemas
from chatproof.target import Model, Target, folder
from chatproof.verdict import Accepted, ClauseRow, Finding, Problem, Seen, row_of

EVERY = "every exchange"


class ProbeReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one probe said of its clause; JSON-able, so that a worker can hand it over."""

    clause: str
    probe: str
    model: str = ""
    duration_s: float = 0
    seen: Seen


def terms_of(target: Target, contract: Contract) -> Terms:
    """On what the target's exchanges are judged."""
    return Terms(
        settings=target.settings,
        error_codes=contract.error_codes,
        schemas=load_schemas(folder("schemas")),
        tariffs={model.id: tariff_of(model) for model in target.models},
        rate=target.billing.credits_per_usd_rate,
    )


def tariff_of(model: Model) -> Tariff:
    """What a model costs: the target file's prices, else LiteLLM's where it knows the model."""
    markup = model.credits_per_litellm_usd
    if model.input_usd_per_token is not None and model.output_usd_per_token is not None:
        prices = Prices(
            model.input_usd_per_token, model.output_usd_per_token, model.cached_input_usd_per_token
        )
        return Tariff(prices, markup)
    return Tariff(litellm_prices(model.litellm_model) if model.litellm_model else None, markup)


@dataclass(frozen=True, slots=True)
class Judged:
    """All that a run saw: a row a clause, and the exchanges it made.

    It is less than all where the run was interrupted, or where `broken` says how something of ours was lost.
    """

    rows: tuple[ClauseRow, ...]
    exchanges: tuple[Exchange, ...]
    reports: tuple[ProbeReport, ...]
    broken: tuple[str, ...] = ()
    interrupted: bool = False


def judge(
    contract: Contract,
    target: Target,
    exchanges: Sequence[Exchange],
    reports: Sequence[ProbeReport],
    today: date,
    broken: Sequence[str] = (),
) -> Judged:
    """Judge every exchange by the facts, add what the probes said, and weigh it all clause by clause.

    A probe of a clause that facts judge brings about what they look at: where they saw none of it, its silence says
    nothing either.
    """
    ordered = tuple(sorted(exchanges, key=lambda exchange: exchange.started_ns))
    answers = [Answer(exchange) for exchange in ordered if not exchange.tag.aside]
    seen = seen_by_facts(contract, terms_of(target, contract), answers)
    blind = {clause_id for clause_id, by_facts in seen.items() if not by_facts.subjects}
    for report in reports:
        said = (
            replace(report.seen, subjects=0)
            if report.clause in blind and not report.seen.findings
            else report.seen
        )
        seen[report.clause] = seen.get(report.clause, Seen()) + said
    seen["STR-19"] = seen.get("STR-19", Seen()) + Seen(notes=_told(facts.oddities(answers)))
    accepted = Accepted(deviations=target.deviations, waivers=target.waives, today=today)
    rows = tuple(row_of(clause, seen.get(clause.id, Seen()), accepted) for clause in contract.clauses)
    return Judged(rows, ordered, tuple(reports), tuple(broken))


def seen_by_facts(contract: Contract, terms: Terms, answers: Sequence[Answer]) -> dict[str, Seen]:
    """What the facts saw, by clause id, as findings with their evidence."""
    clauses = {clause.id: clause for clause in contract.clauses}
    return {
        clause_id: Seen(
            subjects=tally.subjects,
            findings=tuple(
                finding_of(clauses[clause_id], problem, answer, EVERY) for answer, problem in tally.problems
            ),
            untestable=tally.untestable,
        )
        for clause_id, tally in facts.judge(answers, terms).items()
    }


def finding_of(clause: Clause, problem: Problem, answer: Answer | None, source: str) -> Finding:
    """A problem with its evidence."""
    level = problem.level or clause.level
    if answer is None:
        return Finding(
            clause=clause.id, level=level, expected=problem.expected, actual=problem.actual, source=source
        )
    return Finding(
        clause=clause.id,
        level=level,
        expected=problem.expected,
        actual=problem.actual,
        source=source,
        exchange=str(answer.exchange.tag),
        route=answer.route,
        status=answer.status,
        request_id=answer.request_id,
        model=answer.model,
        excerpt=excerpt(answer, problem.at),
        curl=curl(answer.exchange.request),
    )


def _told(counts: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(f"{name} in {n} streams" for name, n in sorted(counts.items()))


__all__ = ["EVERY", "Judged", "Level", "ProbeReport", "finding_of", "judge", "tariff_of", "terms_of"]
