"""The dry run: the whole conversation held with the embedded reference, counted, and priced with the target's prices.

Nothing is sent to the target. The reference's answers are as short as any, so a real model's may be longer: the
token counts are the caps that were asked for where there is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from chatproof.answer import Answer
from chatproof.check import Conductor, check
from chatproof.preflight import settle
from chatproof.reference import embedded, target_text
from chatproof.run import tariff_of
from chatproof.target import Target, parse_target
from chatproof.wire import Gateway

TTFT_S = 1.0
TOKENS_PER_S = 30.0
UNCAPPED_TOKENS = 200  # what an answer without a cap is taken for


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a run would send; `credits` is `None` where the first model's price or markup is unknown."""

    requests: int
    completions: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    credits: Decimal | None


def rehearse(target: Target | None, jobs: int, seed: int) -> Rehearsal:
    """Hold the conversation of a check with the reference, with as many models and provocations as the target has."""
    with embedded() as reference:
        stand_in = _stand_in(target, reference.base_url)
        gateway = Gateway(stand_in, seed=seed)
        settle(gateway, seed)
        gateway.close()
        judged = check(Conductor(stand_in, seed, gateway.exchanges), jobs=2)
    answers = [Answer(exchange) for exchange in judged.exchanges]
    return _counted(target or stand_in, answers, jobs)


def _stand_in(target: Target | None, base_url: str) -> Target:
    """The reference as a target that gives the same provocations as the real one, and as many models."""
    whole = parse_target(target_text(base_url), name="rehearsal", beside=Path.cwd(), env={})
    if target is None:
        return whole
    missing = {row.key for row in target.missing()}
    given = "\n".join(
        line for line in target_text(base_url).splitlines() if not any(_names(line, key) for key in missing)
    )
    partial = parse_target(given, name="rehearsal", beside=Path.cwd(), env={})
    return partial.with_models(partial.models[: max(1, len(target.models))])


def _names(line: str, key: str) -> bool:
    return line.partition(" =")[0] == key.rpartition(".")[2]


def _counted(target: Target, answers: Sequence[Answer], jobs: int) -> Rehearsal:
    billed = [answer for answer in answers if answer.is_chat and answer.status == 200]
    prompt = sum(answer.count("prompt_tokens") or _tokens(answer) for answer in billed)
    caps = [(answer.asked_cap or UNCAPPED_TOKENS) * answer.asked_choices for answer in billed]
    tariff = tariff_of(target.models[0]) if target.models else None
    credits = None
    if tariff is not None and tariff.prices is not None and tariff.markup is not None:
        cost = prompt * tariff.prices.input + sum(caps) * tariff.prices.output
        credits = cost * tariff.markup
    waits = len(answers) * TTFT_S / 2 + len(billed) * TTFT_S / 2 + sum(caps) / TOKENS_PER_S
    return Rehearsal(len(answers), len(billed), prompt, sum(caps), waits / jobs, credits)


def _tokens(answer: Answer) -> int:
    """A rough count for a stream that reported no usage: four bytes a token."""
    return len(answer.exchange.request.body) // 4
