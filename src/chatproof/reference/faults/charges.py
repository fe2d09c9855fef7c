"""Faults of what is charged: other prices, markups, rounding and fees than the contract's, and nothing at all."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_UP, Decimal
from typing import Any

from ..call import Call
from ..changes import usage
from ..conditions import NON_ASCII, SECOND_MODEL, SYNC, When
from ..rules import resolved
from ..seams import CHARGE, USAGE, Change
from ..vocabulary import Fault, fails, warns
from ..wallet import MODELS, Charge, Model, Usage, charge_of
from .billing import AUTO_ASKED, CREDITS, FIRST_MODEL, REFERENCE
from .chunks import SEVERAL


def _charged(how: Callable[[Model, Usage], Decimal], when: When) -> tuple[Change[Any], ...]:
    """Credits computed in another way, from a model and the counts of tokens."""

    def counted(call: Call, counts: Usage) -> Usage:
        call.world.memory[call.nonce] = counts
        return counts

    def charged(call: Call, charge: Charge) -> Charge:
        return charge_of(how(MODELS[resolved(call.fields.get("model"))], call.world.memory.pop(call.nonce)))

    return Change(USAGE, counted, when), Change(CHARGE, charged, when)


def _usd(model: Model, counts: Usage) -> Decimal:
    return counts.prompt * model.input_usd + counts.completion * model.output_usd


_CENT = Decimal("0.01")
_ONE_MODEL = fails("BIL-04") | warns("BIL-07")  # a whole model at other prices, sync and streamed
_SOME_CALLS = fails("BIL-04", "BIL-08")  # some sync calls of a model at other prices than the rest

_CHARGES = (
    Fault(
        "markup-of-first-model",
        "The second model is charged with the first one's markup.",
        _ONE_MODEL,
        _charged(lambda model, counts: _usd(model, counts) * 1500, SECOND_MODEL),
    ),
    Fault(
        "markup-twice",
        "The second model is charged with twice its markup.",
        _ONE_MODEL,
        _charged(lambda model, counts: _usd(model, counts) * model.markup * 2, SECOND_MODEL),
    ),
    Fault(
        "completion-at-prompt-price",
        "The second model's completion tokens are charged like prompt tokens.",
        _ONE_MODEL,
        _charged(
            lambda model, counts: (counts.prompt + counts.completion) * model.input_usd * model.markup,
            SECOND_MODEL,
        ),
    ),
    Fault(
        "second-model-free",
        "The second model is free.",
        fails("BIL-04", "BIL-05") | warns("BIL-07"),
        _charged(lambda model, counts: Decimal(0), SECOND_MODEL),
    ),
    Fault(
        "non-ascii-costs-double",
        "Sync calls with non-ASCII text cost twice as much.",
        fails("BIL-04"),
        _charged(lambda model, counts: _usd(model, counts) * model.markup * 2, SYNC & NON_ASCII),
    ),
    Fault(
        "one-choice-charged",
        "Of several choices only one is charged.",
        fails("BIL-04"),
        _charged(
            lambda model, counts: _usd(model, Usage(counts.prompt, counts.completion // 2)) * model.markup,
            SYNC & SEVERAL,
        ),
    ),
    Fault(
        "cost-rounded-early",
        "The second model's cost is rounded to six places before the markup.",
        fails("BIL-04", "BIL-08") | warns("BIL-07"),
        _charged(
            lambda model, counts: _usd(model, counts).quantize(Decimal("0.000001")) * model.markup,
            SECOND_MODEL,
        ),
    ),
    Fault(
        "charged-by-whole-cents",
        "Sync credits are rounded up to a hundredth, and printed with eight places.",
        _SOME_CALLS | warns("STR-16"),
        _charged(
            lambda model, counts: (_usd(model, counts) * model.markup).quantize(_CENT, ROUND_UP),
            SYNC & FIRST_MODEL,
        ),
    ),
    Fault(
        "fee-for-each-call",
        "The second model has a fee for each call on top.",
        fails("BIL-04", "BIL-08") | warns("BIL-07"),
        _charged(lambda model, counts: _usd(model, counts) * model.markup + _CENT, SECOND_MODEL),
    ),
    Fault(
        "long-prompts-cost-double",
        "Prompt tokens beyond the hundredth cost twice as much.",
        fails("BIL-04", "BIL-08"),
        _charged(
            lambda model, counts: (
                _usd(model, Usage(counts.prompt + max(0, counts.prompt - 100), counts.completion))
                * model.markup
            ),
            SYNC,
        ),
    ),
)

_FREE = (
    Fault(
        "shown-as-free",
        "Sync answers of several choices show a charge of zero.",
        fails("BIL-05"),
        (usage(CREDITS, "0", SYNC & SEVERAL), usage(REFERENCE, "0", SYNC & SEVERAL)),
    ),
    Fault(
        "auto-shown-as-free",
        "Sync answers of auto show a charge of zero.",
        fails("BIL-04", "BIL-05"),
        (usage(CREDITS, "0.00000000", SYNC & AUTO_ASKED), usage(REFERENCE, "0.00000000", SYNC & AUTO_ASKED)),
    ),
)

FAULTS = (*_CHARGES, *_FREE)
