"""Prices, charges and wallets of the reference, in decimals end to end. Knows nothing of HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

CREDITS_PER_USD = Decimal("1000")
_CREDITS_STEP = Decimal("0.00000001")
_REFERENCE_STEP = Decimal("0.00000000001")  # credits' last place divided by the rate: nothing is lost


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the catalogue: USD per token as LiteLLM prices it, and the markup in credits a USD."""

    id: str
    input_usd: Decimal
    output_usd: Decimal
    cached_usd: Decimal
    markup: Decimal


MODELS = {
    model.id: model
    for model in (
        Model(
            "MiniMax-M2.7", Decimal("0.0000003"), Decimal("0.0000012"), Decimal("0.00000006"), Decimal("1500")
        ),
        Model(
            "swift-small-1",
            Decimal("0.0000001"),
            Decimal("0.0000004"),
            Decimal("0.00000002"),
            Decimal("1850"),
        ),
    )
}
AUTO = "MiniMax-M2.7"
DOWN = "down-model"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer; `cached` of the `prompt` were read from a cache."""

    prompt: int
    completion: int
    cached: int = 0


@dataclass(frozen=True, slots=True)
class Charge:
    """What one answer costs, in credits and as the display-only reference in USD."""

    credits: Decimal
    reference: Decimal


@dataclass(slots=True)
class Wallet:
    """The balance of one key in credits, and what was taken from it; the only thing here that changes."""

    balance: Decimal
    postings: int = field(default=0)

    def post(self, amounts: Iterable[Decimal]) -> None:
        """Takes each amount of credits off the balance."""
        for amount in amounts:
            self.balance -= amount
            self.postings += 1


def litellm_cost(model: Model, usage: Usage) -> Decimal:
    """The cost in USD of a usage, cached prompt tokens at their own price."""
    return (
        (usage.prompt - usage.cached) * model.input_usd
        + usage.cached * model.cached_usd
        + usage.completion * model.output_usd
    )


def charge(model: Model, usage: Usage) -> Charge:
    """Credits = cost in USD x markup; the reference is credits / rate."""
    return charge_of(litellm_cost(model, usage) * model.markup)


def charge_of(credits: Decimal) -> Charge:
    """A charge of so many credits, rounded to what is printed."""
    rounded = credits.quantize(_CREDITS_STEP)
    return Charge(rounded, (rounded / CREDITS_PER_USD).quantize(_REFERENCE_STEP))


def printed(amount: Decimal) -> str:
    """A decimal without exponent."""
    return format(amount, "f")
