"""Printed figures, the tolerance rule, and expected charges: by hand, and the rule on any figures."""

from __future__ import annotations

import json
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chatproof.answer import decode_json
from chatproof.money import (
    Prices,
    Printed,
    Usage,
    agrees_balance,
    agrees_charge,
    agrees_reference,
    blemish,
    expected_charge,
    printed,
    shows_nothing,
    usd_reference,
)

D = Decimal
MINIMAX = Prices(D("3e-7"), D("1.2e-6"), D("6e-8"))


def on_the_wire(literal: str) -> Any:
    """The value that the suite's decoder makes of a JSON literal."""
    return decode_json(literal.encode())


def as_printed(text: str) -> Printed:
    """A figure by its text."""
    found = printed(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("literal", "value", "places"),
    [
        ("3", "3", 0),
        ("0", "0", 0),
        ("3.0", "3", 1),
        ("3.0000", "3", 4),
        ('"3.0000"', "3", 4),
        ('"3"', "3", 0),
        ("0.0030", "0.003", 4),
        ("-1.50", "-1.5", 2),
        ('"1500.0000000000"', "1500", 10),
        ("4.5e-05", "0.000045", 6),
        ("2E3", "2000", 0),
        ("0.00022500000000000002", "0.000225", 15),
        ("0.21103840000000001", "0.2110384", 12),
        ("2.9999999999999996", "3", 11),
    ],
)
def test_printed(literal: str, value: str, places: int) -> None:
    """A figure keeps the value and the places of its literal; an exponent is worked out, noise taken off."""
    assert printed(on_the_wire(literal)) == Printed(D(value), places)


@pytest.mark.parametrize(
    "literal", ["null", "true", '""', '"free"', '"$3"', '"3 "', '"1,5"', '"٣"', '"NaN"', "[3]"]
)
def test_not_printed(literal: str) -> None:
    """What is no figure at all gives none, and is a blemish."""
    assert printed(on_the_wire(literal)) is None
    assert blemish(on_the_wire(literal)) is not None


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        ("3", None),
        ("0", None),
        ("3.0000", None),
        ('"3.0000"', None),
        ('"0.0000001"', None),
        ("0.0000001", None),
        ("123456789012", None),
        ("0.000123456789012", None),
        ('"1500.0000000000"', None),
        ("-0.0001", "negative"),
        ('"-3"', "negative"),
        ("4.5e-05", "written with an exponent"),
        ('"3E0"', "written with an exponent"),
        ("0.00022500000000000002", "17 significant digits, binary-float noise"),
        ("1234567890123", "13 significant digits, binary-float noise"),
        ('"+3"', "not a plain decimal"),
        ('".5"', "not a plain decimal"),
        ('"3."', "not a plain decimal"),
        ("null", "neither a number nor a string"),
        ("true", "neither a number nor a string"),
    ],
)
def test_blemish(literal: str, expected: str | None) -> None:
    """BIL-02 accepts a non-negative number or plain decimal string of at most 12 significant digits."""
    assert blemish(on_the_wire(literal)) == expected


def test_decimal_without_its_literal() -> None:
    """A decimal from a plain decoder is taken as written out in full, since its literal is unknown."""
    value = json.loads("0.0000001", parse_float=Decimal)

    assert blemish(value) is None
    assert printed(value) == Printed(D("1e-7"), 7)


def test_binary_floats_are_no_figures() -> None:
    """A binary float that slipped in is refused: its literal is gone."""
    assert printed(3.0) is None


def test_worked_example() -> None:
    """The document's example: 0.00200 USD x 1500 is 3.0000 credits, 0.0030 USD at 1000 a dollar."""
    prices = Prices(input=D("0.000001"), output=D("0.000002"))
    usage = Usage(prompt=1000, completion=500)

    assert expected_charge(usage, prices, D(1)) == D("0.00200")
    assert expected_charge(usage, prices, D(1500)) == D("3.0000")
    assert agrees_charge(as_printed("3.0000"), D("3.0000"))
    assert usd_reference(D("3.0000"), D(1000)) == D("0.0030")
    assert agrees_reference(as_printed("3.0000"), as_printed("0.0030"), D(1000))


@pytest.mark.parametrize(
    ("credits", "agrees"),
    [
        ("0.0513", True),
        ("0.05130", True),
        ("0.051300000", True),
        ("0.051", True),  # truncated
        ("0.052", True),  # rounded up
        ("0.05", True),
        ("0.0514", True),
        ("0.0512", True),  # truncated after a binary float fell short
        ("0.0515", False),
        ("0.0511", False),
        ("0.0342", False),  # at 1000 credits a dollar
        ("0.0450", False),  # the cost rounded to 0.00003 before the markup
        ("76.9500", False),  # the markup applied twice
        ("0.0000", False),
    ],
)
def test_charge(credits: str, agrees: bool) -> None:
    """38 prompt and 19 completion tokens at 1500 credits a dollar are 0.0513, give or take one unit."""
    expected = expected_charge(Usage(38, 19), MINIMAX, D(1500))

    assert expected == D("0.0513")
    assert agrees_charge(as_printed(credits), expected) is agrees


@pytest.mark.parametrize(
    ("usage", "prices", "expected"),
    [
        (Usage(100, 10, cached=40), MINIMAX, D("0.0000324")),
        (Usage(100, 10, cached=100), MINIMAX, D("0.000018")),
        (Usage(100, 10), Prices(MINIMAX.input, MINIMAX.output), D("0.000042")),
        (Usage(100, 10, cached=1), Prices(MINIMAX.input, MINIMAX.output), None),
        (Usage(100, 10, cached=101), MINIMAX, None),
        (Usage(100, 10, cached=-1), MINIMAX, None),
        (Usage(200_000, 0), Prices(D("1e-6"), D(0), up_to=200_000), D("0.2")),
        (Usage(200_001, 0), Prices(D("1e-6"), D(0), up_to=200_000), None),
    ],
    ids=["cached", "all-cached", "none-cached", "no-price", "more-than-all", "negative", "up-to", "beyond"],
)
def test_expected_charge(usage: Usage, prices: Prices, expected: Decimal | None) -> None:
    """Cached prompt tokens cost their own price; without one, or beyond the range, nothing is judged."""
    assert expected_charge(usage, prices, D(1)) == expected


@pytest.mark.parametrize(
    ("credits", "reference", "agrees"),
    [
        ("3.0000", "0.0030", True),
        ("3.0000", "0.003", True),
        ("3", "0.003", True),
        ("3.0000", "0.0029", True),
        ("3.0000", "0.0031", True),
        ("3.0000", "0.0032", False),
        ("3.0000", "0.00300", True),
        ("3.0000", "0.00302", False),
        ("3.0000", "3.0000", False),
        ("3.0000", "0.0045", False),
        ("3.0000", "0.0000", False),
        ("0.0450", "0.00004500", True),
        ("0.0450", "0.00004504", True),  # half a unit of the credits' last place is 0.00000005 USD
        ("0.0450", "0.00004506", True),  # and one unit of the reference's own on top
        ("0.0450", "0.00004507", False),
    ],
)
def test_reference(credits: str, reference: str, agrees: bool) -> None:
    """At 1000 credits a dollar: a unit of the reference's place, half a unit of the credits' over it."""
    assert agrees_reference(as_printed(credits), as_printed(reference), D(1000)) is agrees


@pytest.mark.parametrize(
    ("credits", "expected", "nothing"),
    [
        ("0.0045", "0.0045", False),
        ("0.0000", "0.0045", True),
        ("0", "0.0045", True),
        ("0.0", "0.0045", True),
        ("0.0000", None, True),
        ("0.0000", "0.00009", False),
        ("0.000", "0.00009", True),
        ("0.0000", "0", True),
        ("-0.0045", "0.0045", True),
        ("-0.0001", "0.00009", True),
    ],
)
def test_shows_nothing(credits: str, expected: str | None, nothing: bool) -> None:
    """A zero is excused only below a unit of a last place as fine as the document's own."""
    assert shows_nothing(as_printed(credits), None if expected is None else D(expected)) is nothing


@pytest.mark.parametrize(
    ("after", "charges", "agrees"),
    [
        ("99.9415", ["0.0450", "0.0135"], True),
        ("99.9413", ["0.0450", "0.0135"], True),
        ("99.8830", ["0.0450", "0.0135"], False),
        ("99.9550", ["0.0450", "0.0135"], False),
        ("100.0000", [], True),
        ("99.9955", [], False),
    ],
    ids=["exact", "truncated", "twice", "one-missing", "nothing", "hidden"],
)
def test_balance(after: str, charges: list[str], agrees: bool) -> None:
    """A balance falls by the sum of the shown charges, within what their last places hide."""
    shown = [as_printed(charge) for charge in charges]

    assert agrees_balance(as_printed("100.0000"), as_printed(after), shown) is agrees


PRICE = st.decimals(0, D("0.001"), places=9)
MARKUP = st.decimals(1, 5000, places=2)
TOKENS = st.integers(0, 200_000)
ROUNDING = st.sampled_from([ROUND_DOWN, ROUND_CEILING, ROUND_HALF_EVEN, ROUND_HALF_UP])
PLACES = st.integers(0, 6)


def show(exact: Decimal, places: int, rounding: str) -> Printed:
    """How a deployment prints an exact figure."""
    return as_printed(str(exact.quantize(D(1).scaleb(-places), rounding)))


@given(PRICE, PRICE, MARKUP, TOKENS, TOKENS, PLACES, ROUNDING)
def test_any_rounding_agrees(
    a: Decimal, b: Decimal, markup: Decimal, prompt: int, completion: int, places: int, rounding: str
) -> None:
    """Whatever the prices and however the deployment rounds once, at the end, no charge is called wrong."""
    exact = expected_charge(Usage(prompt, completion), Prices(a, b), markup)
    assert exact is not None
    assume(exact < D("1e5"))
    credits = show(exact, places, rounding)

    assert agrees_charge(credits, exact)
    for reference_rounding in (ROUND_DOWN, ROUND_HALF_EVEN):
        from_shown = show(usd_reference(credits.value, D(1000)), places, reference_rounding)
        assert agrees_reference(credits, from_shown, D(1000))


@given(PRICE, PRICE, MARKUP, TOKENS, TOKENS, PLACES, st.integers(2, 1000), st.sampled_from([1, -1]))
def test_two_units_disagree(
    a: Decimal, b: Decimal, markup: Decimal, prompt: int, completion: int, places: int, units: int, sign: int
) -> None:
    """A charge that is two or more units of its last place away from what rounding makes is always seen."""
    exact = expected_charge(Usage(prompt, completion), Prices(a, b), markup)
    assert exact is not None
    assume(exact < D("1e5"))
    right = show(exact, places, ROUND_HALF_EVEN)
    wrong = Printed(right.value + sign * units * right.unit, places)

    assert not agrees_charge(wrong, exact)
