"""Oddities of charges: how figures are printed and rounded, and prompts that were read from a cache."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

from ..call import Call
from ..changes import document, rewrite, usage
from ..conditions import SUCCEEDED, prompt_has
from ..model import Answer
from ..reply import Json
from ..seams import ANSWER, CHARGE, SHOWN_USAGE, Change
from ..vocabulary import Variation
from ..wallet import CREDITS_PER_USD, Charge, printed

_FIGURES = re.compile(rb'"(credits|credits_usd_reference)":"([0-9.]+)"')
_CREDITS = re.compile(rb'"(credits)":"([0-9.]+)"')


def _as_number(which: re.Pattern[bytes]) -> Callable[[bytes], bytes]:
    return lambda data: which.sub(rb'"\1":\2', data)


def _to(places: int, rounding: str) -> Callable[[str], str]:
    step = Decimal(1).scaleb(-places)
    return lambda old: printed(Decimal(old).quantize(step, rounding))


def _reference_of_the_printed(call: Call, shown: Json) -> Json:
    reference = (Decimal(shown["credits"]) / CREDITS_PER_USD).quantize(Decimal("0.0000001"), ROUND_HALF_EVEN)
    return {**shown, "credits_usd_reference": printed(reference)}


_PRINTED = (
    Variation(
        "figures-as-numbers",
        "Both figures are JSON numbers.",
        (rewrite(_as_number(_FIGURES), when=SUCCEEDED),),
    ),
    Variation(
        "credits-as-number",
        "Credits are a JSON number, their reference is a string.",
        (rewrite(_as_number(_CREDITS), when=SUCCEEDED),),
    ),
    Variation(
        "four-places",
        "Both figures have four places, rounded half up.",
        (usage("credits", _to(4, ROUND_HALF_UP)), usage("credits_usd_reference", _to(4, ROUND_HALF_UP))),
    ),
    Variation(
        "truncated",
        "Both figures are truncated, to five and to six places.",
        (usage("credits", _to(5, ROUND_DOWN)), usage("credits_usd_reference", _to(6, ROUND_DOWN))),
    ),
    Variation(
        "rounded-up",
        "Credits are rounded up to the third place, and their reference follows from that.",
        (usage("credits", _to(3, ROUND_CEILING)), document(SHOWN_USAGE, _reference_of_the_printed)),
    ),
    Variation(
        "many-zeros",
        "Both figures have fifteen places, filled up with zeros.",
        (usage("credits", _to(15, ROUND_DOWN)), usage("credits_usd_reference", _to(15, ROUND_DOWN))),
    ),
    Variation(
        "coarse-reference",
        "The reference has two places, which show nothing of most charges.",
        (usage("credits_usd_reference", _to(2, ROUND_HALF_UP)),),
    ),
)


def _in_four_places(call: Call, charge: Charge) -> Charge:
    credits = charge.credits.quantize(Decimal("0.0001"), ROUND_HALF_EVEN)
    return Charge(credits, credits / CREDITS_PER_USD)


def _cached(call: Call, answer: Answer) -> Answer:
    return replace(answer, cached_tokens=answer.prompt_tokens // 2)


_CHARGED = (
    Variation(
        "charged-in-four-places",
        "The wallet itself is charged in credits of four places.",
        (Change(CHARGE, _in_four_places),),
    ),
    Variation(
        "cached-prompts",
        "Prompts that begin like others come half from a cache, at the cache's price.",
        (Change(ANSWER, _cached, prompt_has("a common opening", lambda text: text.startswith("Repeat"))),),
    ),
    Variation(
        "cost-told",
        "Usage tells the upstream's cost in USD too, as the binary float that LiteLLM makes of it.",
        (usage("cost", 2.3400000000000003e-05),),
    ),
)

VARIATIONS = (*_PRINTED, *_CHARGED)
