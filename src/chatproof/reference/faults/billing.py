"""Faults of how a charge is shown: absent, malformed, at another rate, of failed calls, in streams."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from ..changes import document, drop, put, usage
from ..conditions import (
    NON_ASCII,
    SECOND_MODEL,
    STREAM,
    SUCCEEDED,
    SYNC,
    asks_for,
    code,
    status,
)
from ..seams import COMPLETION, ENVELOPE, SHOWN_USAGE
from ..vocabulary import Fault, fails, unseen, warns
from .chunks import SEVERAL

FIRST_MODEL = ~SECOND_MODEL
AUTO_ASKED = asks_for(model="auto")
CREDITS, REFERENCE = "credits", "credits_usd_reference"

_SECOND_UNREAD = unseen("BIL-08", "BIL-09", "BIL-10")  # they compare what the second model's sync calls show

_ABSENT = (
    Fault(
        "credits-absent",
        "The second model's sync answers carry no credits.",
        fails("BIL-01"),
        (drop(SHOWN_USAGE, "/credits", SYNC & SECOND_MODEL),),
        _SECOND_UNREAD,
    ),
    Fault(
        "reference-absent",
        "Sync answers of auto carry no reference in USD.",
        fails("BIL-01"),
        (drop(SHOWN_USAGE, "/credits_usd_reference", SYNC & AUTO_ASKED),),
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
        (usage(REFERENCE, lambda old: f"{old}{'0' * 12}4", SYNC & SECOND_MODEL),),
    ),
    Fault(
        "reference-with-exponent",
        "The reference is printed with an exponent where several choices were asked for.",
        fails("BIL-02"),
        (usage(REFERENCE, _scientific, SYNC & SEVERAL),),
    ),
    Fault(
        "reference-number-with-exponent",
        "The reference is a JSON number with an exponent where the prompt has non-ASCII text.",
        fails("BIL-02"),
        (usage(REFERENCE, float, SYNC & NON_ASCII),),
    ),
    Fault(
        "credits-with-unit",
        "The second model's credits carry their unit.",
        fails("BIL-02"),
        (usage(CREDITS, "{} credits".format, SYNC & SECOND_MODEL),),
        _SECOND_UNREAD,
    ),
    Fault(
        "credits-with-comma",
        "Credits are printed with a decimal comma where the prompt has non-ASCII text.",
        fails("BIL-02"),
        (usage(CREDITS, lambda old: old.replace(".", ","), SYNC & NON_ASCII),),
    ),
    Fault(
        "reference-negative",
        "The second model's reference is negative.",
        fails("BIL-02", "BIL-03"),
        (usage(REFERENCE, "-{}".format, SYNC & SECOND_MODEL),),
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
        (usage(REFERENCE, _divided("0.5"), SYNC & SECOND_MODEL),),
    ),
    Fault(
        "reference-is-cost",
        "The reference is LiteLLM's cost before the markup where several choices were asked for.",
        fails("BIL-03"),
        (usage(REFERENCE, _divided("1.5"), SYNC & SEVERAL & FIRST_MODEL),),
    ),
    Fault(
        "reference-is-credits",
        "The reference repeats the credits where the prompt has non-ASCII text.",
        fails("BIL-03"),
        (
            document(
                SHOWN_USAGE,
                lambda call, shown: {**shown, REFERENCE: shown[CREDITS]},
                SYNC & NON_ASCII,
            ),
        ),
    ),
    Fault(
        "reference-two-units-off",
        "The reference of auto's answers is two units of its last place too large.",
        fails("BIL-03"),
        (usage(REFERENCE, _two_places_up, SYNC & AUTO_ASKED),),
    ),
)


_FAILED = (
    Fault(
        "invalid-carries-charge",
        "The envelope of an invalid request carries a charge in usage.",
        fails("BIL-06"),
        (put(ENVELOPE, "/usage", {CREDITS: "0.00210000", REFERENCE: "0.0000021"}, code("invalid_request")),),
    ),
    Fault(
        "unavailable-carries-charge",
        "The envelope of an unavailable model carries a charge inside error.",
        fails("BIL-06"),
        (put(ENVELOPE, "/error/usage", {CREDITS: "0.5", REFERENCE: "0.0005"}, status(503)),),
    ),
    Fault(
        "rate-limit-carries-charge",
        "The envelope of a rate limit carries a charge in usage.",
        fails("BIL-06"),
        (put(ENVELOPE, "/usage", {CREDITS: 0.01, REFERENCE: 0.00001}, status(429)),),
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
        (usage(REFERENCE, _scientific, _STREAMED),),
    ),
    Fault(
        "stream-reference-at-other-rate",
        "The reference in the second model's streams is computed with another rate.",
        warns("BIL-07"),
        (usage(REFERENCE, _divided("2"), _STREAMED),),
    ),
    Fault(
        "stream-shown-as-free",
        "The usage of the second model's streams shows a charge of zero.",
        warns("BIL-07"),
        (usage(CREDITS, "0", _STREAMED), usage(REFERENCE, "0", _STREAMED)),
    ),
)

FAULTS = (*_ABSENT, *_FORM, *_REFERENCES, *_FAILED, *_IN_STREAMS)
