"""What an answer says it costs (BIL-01..07): the charge is there, well printed, and right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from chatproof import money
from chatproof.answer import Answer
from chatproof.facts.fact import Terms, fact, problem
from chatproof.facts.response import completion
from chatproof.linear_charge import Call
from chatproof.money import Printed, Usage
from chatproof.verdict import Problem

CREDITS = "credits"
REFERENCE = "credits_usd_reference"
FIGURES = (CREDITS, REFERENCE)


def figure(a: Answer, name: str) -> Printed | None:
    """One figure of an answer's `usage`, streamed or not; `None` where it is absent or cannot be read."""
    return money.printed(a.usage.get(name)) if a.usage else None


def token_usage(a: Answer) -> Usage | None:
    """The token counts that an answer is charged for; `None` where they are no counts."""
    prompt, completed, cached = a.count("prompt_tokens"), a.count("completion_tokens"), a.cached_tokens
    if prompt is None or completed is None or completed < 0 or not 0 <= cached <= prompt:
        return None
    return Usage(prompt, completed, cached)


def call_of(a: Answer) -> Call | None:
    """What an answer says of its model's price (BIL-08); `None` where it cannot, or had cached tokens."""
    usage, credits = token_usage(a), figure(a, CREDITS)
    if usage is None or credits is None or usage.cached:
        return None
    return Call(usage.prompt, usage.completion, credits)


def shows_a_figure(a: Answer) -> bool:
    """Whether an unstreamed completion carries at least one of the two figures."""
    return completion(a) and any(_carried(a, name) for name in FIGURES)


def shows_both(a: Answer) -> bool:
    """Whether an unstreamed completion carries both figures in a form that can be read."""
    return completion(a) and _readable(a)


def shows_its_price(a: Answer) -> bool:
    """Whether an unstreamed completion carries its charge and the token counts that it follows from."""
    return completion(a) and figure(a, CREDITS) is not None and token_usage(a) is not None


def shows_a_charge(a: Answer) -> bool:
    """Whether an unstreamed completion that is not empty carries its charge."""
    return completion(a) and figure(a, CREDITS) is not None and _says_something(a)


def failed(a: Answer) -> bool:
    """Whether a chat call failed, by its status or by an error in its body or stream."""
    return a.is_chat and a.status is not None and (a.is_error or a.error is not None)


def streamed_with_usage(a: Answer) -> bool:
    """Whether a stream that came to its end, the transfer's or `[DONE]`, reported usage and no error."""
    ended = a.whole or bool(a.dones)
    return a.is_stream and ended and a.stream_error is None and a.usage is not None


def no_rate(a: Answer, terms: Terms) -> str | None:
    """What the target file lacks to judge the displayed reference."""
    return None if terms.rate else "[billing] credits_per_usd_rate"


def no_markup(a: Answer, terms: Terms) -> str | None:
    """What the target file lacks to know that the model is charged for."""
    tariff = terms.tariffs.get(a.model or "")
    return None if tariff and tariff.markup is not None else f"{_model(a)} credits_per_litellm_usd"


def no_price(a: Answer, terms: Terms) -> str | None:
    """What the target file lacks to work out the expected charge."""
    tariff = terms.tariffs.get(a.model or "")
    if tariff is None or tariff.markup is None:
        return no_markup(a, terms)
    if tariff.prices is None:
        return f"{_model(a)} litellm_model, or input_usd_per_token and output_usd_per_token"
    if expected_credits(a, terms) is not None:
        return None
    cached = a.cached_tokens and tariff.prices.cached is None
    return f"{_model(a)} " + (
        "cached_input_usd_per_token" if cached else "input_usd_per_token for a prompt this long"
    )


def expected_credits(a: Answer, terms: Terms) -> Decimal | None:
    """LiteLLM's cost of the reported usage x markup; `None` where something of it is not known."""
    usage, tariff = token_usage(a), terms.tariffs.get(a.model or "")
    if usage is None or tariff is None or tariff.prices is None or tariff.markup is None:
        return None
    return money.expected_charge(usage, tariff.prices, tariff.markup)


@fact("BIL-01", of=completion)
def charge_is_shown(a: Answer, terms: Terms) -> Iterator[Problem]:
    """`usage` carries both figures."""
    yield from _absent(a)


@fact("BIL-02", of=shows_a_figure)
def figures_are_plain_decimals(a: Answer, terms: Terms) -> Iterator[Problem]:
    """Both figures are non-negative decimals without exponent or noise."""
    yield from _blemished(a)


@fact("BIL-03", of=shows_both, needs=no_rate)
def reference_follows_the_rate(a: Answer, terms: Terms) -> Iterator[Problem]:
    """`credits_usd_reference` is `credits` over the rate."""
    yield from _wrong_reference(a, terms)


@fact("BIL-04", of=shows_its_price, needs=no_price)
def charge_follows_the_usage(a: Answer, terms: Terms) -> Iterator[Problem]:
    """`credits` is the LiteLLM cost of the usage x markup."""
    yield from _wrong_charge(a, terms)


@fact("BIL-05", of=shows_a_charge, needs=no_markup)
def answers_are_not_free(a: Answer, terms: Terms) -> Iterator[Problem]:
    """An answer of a priced model costs something."""
    yield from _no_charge(a, terms)


@fact("BIL-06", of=failed)
def failures_are_free(a: Answer, terms: Terms) -> Iterator[Problem]:
    """No `usage` object in a failed answer shows a charge."""
    for usage in _usages([chunk.value for chunk in a.chunks] if a.is_stream else a.json):
        for name in FIGURES:
            shown = money.printed(usage.get(name))
            if shown is not None and shown.value != 0:
                yield problem("no charge on a failed call", f"usage.{name} {shown}", at=_at(a))


def _lacking(a: Answer, terms: Terms) -> str | None:
    """What is missing to find nothing wrong; what is wrong is told with what there is."""
    if not _readable(a) or next(_all_of_it(a, terms), None) is not None:
        return None
    return no_rate(a, terms) or (no_price(a, terms) if token_usage(a) else None)


@fact("BIL-07", of=streamed_with_usage, needs=_lacking)
def streams_show_their_charge(a: Answer, terms: Terms) -> Iterator[Problem]:
    """The usage of a stream carries both figures, under the rules of BIL-02..05."""
    yield from _all_of_it(a, terms)


def _all_of_it(a: Answer, terms: Terms) -> Iterator[Problem]:
    yield from _absent(a)
    yield from _blemished(a)
    yield from _wrong_reference(a, terms)
    yield from _wrong_charge(a, terms)
    yield from _no_charge(a, terms)


def _absent(a: Answer) -> Iterator[Problem]:
    for name in FIGURES:
        if not _carried(a, name):
            null = a.usage is not None and name in a.usage
            shows = "no usage" if a.usage is None else f"{name}: null" if null else f"usage without {name}"
            yield problem(f"usage.{name}", shows, at=_at(a))


def _blemished(a: Answer) -> Iterator[Problem]:
    for name in FIGURES:
        value = a.usage.get(name) if a.usage else None
        wrong = money.blemish(value) if value is not None else None
        if wrong is not None:
            shows = getattr(value, "text", repr(value))
            yield problem(f"usage.{name} as a plain non-negative decimal", f"{shows}: {wrong}", at=_at(a))


def _wrong_reference(a: Answer, terms: Terms) -> Iterator[Problem]:
    credits, reference = figure(a, CREDITS), figure(a, REFERENCE)
    if credits is None or reference is None or not terms.rate:
        return
    if not money.agrees_reference(credits, reference, terms.rate):
        exact = _plain(money.usd_reference(credits.value, terms.rate))
        expected = f"usage.{REFERENCE} {exact}, which is {credits} credits / {_plain(terms.rate)}"
        yield problem(expected, str(reference), at=_at(a))


def _wrong_charge(a: Answer, terms: Terms) -> Iterator[Problem]:
    credits, expected = figure(a, CREDITS), expected_credits(a, terms)
    if credits is None or expected is None:
        return
    if not money.agrees_charge(credits, expected):
        yield problem(f"usage.credits {_plain(expected)}, which is {_sum(a, terms)}", str(credits), at=_at(a))


def _no_charge(a: Answer, terms: Terms) -> Iterator[Problem]:
    credits, tariff = figure(a, CREDITS), terms.tariffs.get(a.model or "")
    if credits is None or tariff is None or not tariff.markup or not _says_something(a):
        return
    expected = expected_credits(a, terms)
    if expected != 0 and money.shows_nothing(credits, expected):
        yield problem(
            "a charge above 0 for an answer of a priced model", f"usage.credits {credits}", at=_at(a)
        )


def _carried(a: Answer, name: str) -> bool:
    """Whether the figure is there; null says that it is not."""
    return a.usage is not None and a.usage.get(name) is not None


def _readable(a: Answer) -> bool:
    return None not in (figure(a, CREDITS), figure(a, REFERENCE))


def _says_something(a: Answer) -> bool:
    return bool(a.text) or (a.count("completion_tokens") or 0) > 0


def _usages(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every `usage` object in a JSON value, at any depth."""
    if isinstance(value, list):
        for one in value:
            yield from _usages(one)
    elif isinstance(value, dict):
        for name, member in value.items():
            if name == "usage" and isinstance(member, dict):
                yield member
            else:
                yield from _usages(member)


def _model(a: Answer) -> str:
    return f'[[model]] id = "{a.model}":' if a.model else "[[model]] of an answer that names none:"


def _sum(a: Answer, terms: Terms) -> str:
    """The expected charge as a calculation that a reader can follow."""
    usage, tariff = token_usage(a), terms.tariffs[a.model or ""]
    assert usage is not None
    assert tariff.prices is not None
    assert tariff.markup is not None
    parts = [
        (usage.prompt - usage.cached, "prompt", tariff.prices.input),
        (usage.cached, "cached", tariff.prices.cached),
        (usage.completion, "completion", tariff.prices.output),
    ]
    terms_of_it = " + ".join(
        f"{n} {kind} x {_plain(price)}" for n, kind, price in parts if n and price is not None
    )
    return f"({terms_of_it or 'no tokens'}) USD x {_plain(tariff.markup)}"


def _plain(number: Decimal) -> str:
    """A decimal as people write it: no exponent, no trailing zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _at(a: Answer) -> tuple[int, int] | None:
    """Where the last `usage` object stands in the body."""
    start = a.body.rfind(b'"usage"')
    return (start, min(start + 240, len(a.body))) if start >= 0 else None
