"""Faults of what is shown: credits and their reference absent, malformed, miscounted, or told of failed calls."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from ..call import Call
from ..changes import document, drop, put, usage
from ..conditions import (
    NON_ASCII,
    SECOND_MODEL,
    STREAM,
    SUCCEEDED,
    SYNC,
    When,
    asks_for,
    code,
    status,
)
from ..rules import resolved
from ..seams import CHARGE, COMPLETION, ENVELOPE, SHOWN_USAGE, USAGE, Change
from ..vocabulary import Fault, fails, warns
from ..wallet import MODELS, Charge, Model, Usage, charge_of
from .chunks import SEVERAL

_FIRST = ~SECOND_MODEL
_AUTO = asks_for(model="auto")
_CREDITS, _REFERENCE = "credits", "credits_usd_reference"

_ABSENT = (
    Fault(
        "credits-absent",
        "The second model's sync answers carry no credits.",
        fails("BIL-01"),
        (drop(SHOWN_USAGE, "/credits", SYNC & SECOND_MODEL),),
    ),
    Fault(
        "reference-absent",
        "Sync answers of auto carry no reference in USD.",
        fails("BIL-01"),
        (drop(SHOWN_USAGE, "/credits_usd_reference", SYNC & _AUTO),),
    ),
    Fault(
        "charge-absent-with-choices",
        "Sync answers of several choices carry no charge.",
        fails("BIL-01"),
        (
            drop(SHOWN_USAGE, "/credits", SYNC & SEVERAL),
            drop(SHOWN_USAGE, "/credits_usd_reference", SYNC & SEVERAL),
        ),
    ),
    Fault(
        "charge-beside-usage",
        "Sync answers to non-ASCII text carry the charge beside usage instead of in it.",
        fails("BIL-01"),
        (
            document(
                COMPLETION,
                lambda call, told: {
                    **{name: value for name, value in told.items() if name != "usage"},
                    "usage": {
                        name: value for name, value in told["usage"].items() if not name.startswith("credits")
                    },
                    "credits": told["usage"]["credits"],
                    "credits_usd_reference": told["usage"]["credits_usd_reference"],
                },
                SYNC & NON_ASCII,
            ),
        ),
    ),
)


def _scientific(old: str) -> str:
    return f"{Decimal(old):E}"


_FORM = (
    Fault(
        "reference-with-float-noise",
        "The second model's reference is printed with the noise of a binary float.",
        fails("BIL-02"),
        (usage(_REFERENCE, lambda old: f"{old}{'0' * 12}4", SYNC & SECOND_MODEL),),
    ),
    Fault(
        "reference-with-exponent",
        "The reference is printed with an exponent where several choices were asked for.",
        fails("BIL-02"),
        (usage(_REFERENCE, _scientific, SYNC & SEVERAL),),
    ),
    Fault(
        "reference-number-with-exponent",
        "The second model's reference is a JSON number with an exponent.",
        fails("BIL-02"),
        (usage(_REFERENCE, lambda old: float(f"{Decimal(old):.4e}") / 10, SYNC & SECOND_MODEL & SEVERAL),),
    ),
    Fault(
        "credits-with-unit",
        "The second model's credits carry their unit.",
        fails("BIL-02"),
        (usage(_CREDITS, "{} credits".format, SYNC & SECOND_MODEL),),
    ),
    Fault(
        "credits-with-comma",
        "Credits are printed with a decimal comma where the prompt has non-ASCII text.",
        fails("BIL-02"),
        (usage(_CREDITS, lambda old: old.replace(".", ","), SYNC & NON_ASCII),),
    ),
    Fault(
        "reference-negative",
        "The second model's reference is negative.",
        fails("BIL-02", "BIL-03"),
        (usage(_REFERENCE, "-{}".format, SYNC & SECOND_MODEL),),
    ),
)


def _divided(by: str) -> Callable[[str], str]:
    return lambda old: format(Decimal(old) / Decimal(by), "f")


def _two_places_up(old: str) -> str:
    """Rounded to nine places, and then two units of the last of them more."""
    return format(Decimal(old).quantize(Decimal("1e-9")) + Decimal("2e-9"), "f")


_REFERENCES = (
    Fault(
        "reference-at-half-rate",
        "The second model's reference is computed with half the rate.",
        fails("BIL-03"),
        (usage(_REFERENCE, _divided("0.5"), SYNC & SECOND_MODEL),),
    ),
    Fault(
        "reference-is-cost",
        "The reference is LiteLLM's cost before the markup where several choices were asked for.",
        fails("BIL-03"),
        (usage(_REFERENCE, _divided("1.5"), SYNC & SEVERAL & _FIRST),),
    ),
    Fault(
        "reference-is-credits",
        "The reference repeats the credits where the prompt has non-ASCII text.",
        fails("BIL-03"),
        (
            document(
                SHOWN_USAGE,
                lambda call, shown: {**shown, _REFERENCE: shown[_CREDITS]},
                SYNC & NON_ASCII,
            ),
        ),
    ),
    Fault(
        "reference-two-units-off",
        "The reference of auto's answers is two units of its last place too large.",
        fails("BIL-03"),
        (usage(_REFERENCE, _two_places_up, SYNC & _AUTO),),
    ),
)


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
            lambda model, counts: -(-_usd(model, counts) * model.markup // _CENT) * _CENT, SYNC & _FIRST
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
        (usage(_CREDITS, "0", SYNC & SEVERAL), usage(_REFERENCE, "0", SYNC & SEVERAL)),
    ),
    Fault(
        "auto-shown-as-free",
        "Sync answers of auto show a charge of zero.",
        fails("BIL-04", "BIL-05"),
        (usage(_CREDITS, "0.00000000", SYNC & _AUTO), usage(_REFERENCE, "0.00000000", SYNC & _AUTO)),
    ),
)

_FAILED = (
    Fault(
        "invalid-carries-charge",
        "The envelope of an invalid request carries a charge in usage.",
        fails("BIL-06"),
        (
            put(
                ENVELOPE, "/usage", {_CREDITS: "0.00210000", _REFERENCE: "0.0000021"}, code("invalid_request")
            ),
        ),
    ),
    Fault(
        "unavailable-carries-charge",
        "The envelope of an unavailable model carries a charge inside error.",
        fails("BIL-06"),
        (put(ENVELOPE, "/error/usage", {_CREDITS: "0.5", _REFERENCE: "0.0005"}, status(503)),),
    ),
    Fault(
        "rate-limit-carries-charge",
        "The envelope of a rate limit carries a charge in usage.",
        fails("BIL-06"),
        (put(ENVELOPE, "/usage", {_CREDITS: 0.01, _REFERENCE: 0.00001}, status(429)),),
    ),
)

_STREAMED = STREAM & SUCCEEDED & SECOND_MODEL

_IN_STREAMS = (
    Fault(
        "stream-without-credits",
        "The usage of the second model's streams carries no credits.",
        warns("BIL-07"),
        (drop(SHOWN_USAGE, "/credits", _STREAMED),),
    ),
    Fault(
        "stream-without-reference",
        "The usage of the second model's streams carries no reference.",
        warns("BIL-07"),
        (drop(SHOWN_USAGE, "/credits_usd_reference", _STREAMED),),
    ),
    Fault(
        "stream-credits-with-exponent",
        "The reference in the second model's streams is printed with an exponent.",
        warns("BIL-07"),
        (usage(_REFERENCE, _scientific, _STREAMED),),
    ),
    Fault(
        "stream-reference-at-other-rate",
        "The reference in the second model's streams is computed with another rate.",
        warns("BIL-07"),
        (usage(_REFERENCE, _divided("2"), _STREAMED),),
    ),
    Fault(
        "stream-shown-as-free",
        "The usage of the second model's streams shows a charge of zero.",
        warns("BIL-07"),
        (usage(_CREDITS, "0", _STREAMED), usage(_REFERENCE, "0", _STREAMED)),
    ),
)

FAULTS = (*_ABSENT, *_FORM, *_REFERENCES, *_CHARGES, *_FREE, *_FAILED, *_IN_STREAMS)
