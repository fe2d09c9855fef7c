"""Charges as printed, prices, and how far a printed figure may lie from an exact one. Knows no answer.

All figures are `Decimal` from the text they were printed as (BIL-11); 28 digits are carried, more than any
comparison needs.

**The tolerance rule.** A printed figure stands for an exact one that was brought to its last printed place.
Rounded to nearest it is off by at most half a unit of that place; truncated or rounded up, by less than one
unit. A reader cannot see which was done, and the contract leaves it open, so one unit is allowed for a
figure that is compared with an exact one, edge included: LiteLLM reports its cost as a binary float, and
0.0019999999999999998 x 1500, truncated, prints as 2.9999. No more is allowed: rounding before the markup is
an error of the deployment, and is seen wherever it moves the charge by more than a unit. Where *two*
printed figures are compared, the second one adds half a unit of its own place, scaled as the comparison
scales it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

SIGNIFICANT_DIGITS = 12  # more are binary-float noise (BIL-02)
DISPLAYED_PLACES = 4  # what the document's worked example prints: 3.0000 credits, 0.0030 USD

_PLAIN = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)
_SCIENTIFIC = re.compile(r"-?[0-9]+(\.[0-9]+)?[eE][-+]?[0-9]{1,3}", re.ASCII)
_WITHOUT_NOISE = Context(prec=SIGNIFICANT_DIGITS, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Printed:
    """A figure as it was printed: its value, and how many decimal places were shown."""

    value: Decimal
    places: int

    @property
    def unit(self) -> Decimal:
        """One unit of the last printed place."""
        return Decimal(1).scaleb(-self.places)

    def __str__(self) -> str:
        return f"{self.value:.{self.places}f}"


@dataclass(frozen=True, slots=True)
class Prices:
    """USD per token: of the prompt, of the completion, of prompt tokens read from a cache (`None`: unknown).

    `up_to` is the longest prompt, in tokens, for which they hold; `None` where one price holds for all.
    """

    input: Decimal
    output: Decimal
    cached: Decimal | None = None
    up_to: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one answer; `cached` prompt tokens are a part of `prompt`."""

    prompt: int
    completion: int
    cached: int = 0


def printed(value: object) -> Printed | None:
    """The figure that a JSON value prints, `None` where it prints none.

    `value` comes from a decoder that keeps fractions as `Decimal`, best with their literal as `.text`. Read
    generously, so that one blemish of form does not hide the amount: an exponent is worked out, and noise
    beyond the twelfth significant digit is rounded off. :func:`blemish` judges the form.
    """
    text = _text(value)
    if text is None or not (_PLAIN.fullmatch(text) or _SCIENTIFIC.fullmatch(text)):
        return None
    number = Decimal(text)
    if _significant_digits(number) > SIGNIFICANT_DIGITS:
        number = _WITHOUT_NOISE.plus(number)
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)  # neither pattern lets NaN or Infinity through
    return Printed(number, max(0, -exponent))


def blemish(value: object) -> str | None:
    """What BIL-02 has against the way a JSON value prints a figure, or `None`."""
    text = _text(value)
    if text is None:
        return "neither a number nor a string"
    if _SCIENTIFIC.fullmatch(text):
        return "written with an exponent"
    if not _PLAIN.fullmatch(text):
        return "not a plain decimal"
    number = Decimal(text)
    if number < 0:
        return "negative"
    digits = _significant_digits(number)
    if digits > SIGNIFICANT_DIGITS:
        return f"{digits} significant digits, binary-float noise"
    return None


def _text(value: object) -> str | None:
    """The digits of a JSON number or string as they stood on the wire."""
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        literal = getattr(value, "text", None)
        return literal if isinstance(literal, str) else f"{value:f}"
    return str(value) if type(value) is int else None


def _significant_digits(number: Decimal) -> int:
    """Digits from the first to the last that is not 0: zeros that fill up a column are no noise."""
    digits = "".join(map(str, number.as_tuple().digits))
    return len(digits.strip("0"))


def expected_charge(usage: Usage, prices: Prices, markup: Decimal) -> Decimal | None:
    """LiteLLM's cost of the usage x markup, in credits and not rounded; `None` where the prices cannot tell.

    They cannot tell for cached prompt tokens without a price, and for a prompt longer than they hold for.
    """
    fresh = usage.prompt - usage.cached
    if fresh < 0 or usage.cached < 0 or (prices.up_to is not None and usage.prompt > prices.up_to):
        return None
    if usage.cached and prices.cached is None:
        return None
    cached = usage.cached * prices.cached if prices.cached is not None else Decimal(0)
    return (fresh * prices.input + usage.completion * prices.output + cached) * markup


def agrees_charge(credits: Printed, expected: Decimal) -> bool:
    """Whether a printed charge is the expected one, within one unit of its last place (BIL-04)."""
    return abs(credits.value - expected) <= credits.unit


def usd_reference(credits: Decimal, rate: Decimal) -> Decimal:
    """What `usage.credits_usd_reference` displays, not rounded; `rate` is credits per USD."""
    return credits / rate


def agrees_reference(credits: Printed, reference: Printed, rate: Decimal) -> bool:
    """Whether the displayed USD reference is credits / rate (BIL-03).

    Allowed is one unit of the reference's last place, which was rounded or truncated, and half a unit of the
    credits' last place over the rate, since the reference may come from credits before they were rounded.
    Multiplied out by the rate: a quotient could not be held exactly.
    """
    allowed = reference.unit * rate + credits.unit / 2
    return abs(credits.value - reference.value * rate) <= allowed


def shows_nothing(credits: Printed, expected: Decimal | None) -> bool:
    """Whether a charge that must be above 0 is shown as none (BIL-05).

    A zero is excused only where the expected charge is known and lies below a unit of the last place; a
    figure with fewer places than the document shows gets no such excuse, or `0` would hide any small
    charge.
    """
    if credits.value > 0:
        return False
    hidden = expected is not None and credits.places >= DISPLAYED_PLACES and 0 < expected < credits.unit
    return credits.value < 0 or not hidden


def agrees_balance(before: Printed, after: Printed, shown: Sequence[Printed]) -> bool:
    """Whether a balance fell by the sum of the shown charges and by nothing else (BIL-10).

    Each shown charge may hide up to one unit of its last place from the ledger, each balance half a unit of
    its own.
    """
    fell = before.value - after.value
    allowed = sum((charge.unit for charge in shown), (before.unit + after.unit) / 2)
    return abs(fell - sum((charge.value for charge in shown), Decimal(0))) <= allowed
