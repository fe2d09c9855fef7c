"""Linearity of charges: by hand, on any linear tariff, and beside a slow second way to decide the same."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chatproof.linear_charge import Call, first_contradiction, linearity
from chatproof.money import Printed

D = Decimal
COUNTS = [(10, 5), (20, 5), (10, 40)]


def call(prompt: int, completion: int, credits: str) -> Call:
    """One call; the credits with the places they are written with."""
    exponent = D(credits).as_tuple().exponent
    return Call(prompt, completion, Printed(D(credits), -int(exponent)))


def calls(*credits: str) -> list[Call]:
    """Calls with the same three counts, in order."""
    return [
        call(prompt, completion, text) for (prompt, completion), text in zip(COUNTS, credits, strict=True)
    ]


@pytest.mark.parametrize(
    ("credits", "linear"),
    [
        (("0.0135", "0.0180", "0.0765"), True),
        (("0.0134", "0.0180", "0.0766"), True),
        (("0.0135", "0.0180", "0.0135"), False),  # completion tokens left out of one
        (("0.0135", "0.0135", "0.0135"), False),  # a flat fee
        (("0.5135", "0.5180", "0.5765"), False),  # a fee on top
        (("0.0135", "0.0180", "0.1530"), False),  # one charged twice
        (("0.0000", "0.0000", "0.0000"), True),
        (("0.0135", "0.0090", "0.0765"), False),  # a negative price would be needed
    ],
)
def test_by_hand(credits: tuple[str, str, str], linear: bool) -> None:
    """Charges of 0.00045 and 0.0018 credits a token fit; what no price pair explains does not."""
    assert linearity(calls(*credits)).linear is linear


@pytest.mark.parametrize(
    "counts",
    [
        [(10, 5)],
        [(10, 5), (20, 5)],
        [(10, 5)] * 4,
        [(10, 5), (20, 10), (30, 15)],
        [(10, 5), (20, 5), (30, 5)],
    ],
    ids=["one", "two", "all-same", "through-zero", "same-completion"],
)
def test_undecidable(counts: list[tuple[int, int]]) -> None:
    """Too few or collinear counts decide nothing, however the charges are."""
    found = linearity([call(prompt, completion, "1.00") for prompt, completion in counts])

    assert found.linear is None
    assert found.reason


def test_reason_names_the_call() -> None:
    """A contradiction names the call that breaks it, with its counts and its charge."""
    found = linearity([*calls("0.0135", "0.0180", "0.0765"), call(20, 40, "0.0900")])

    assert found.linear is False
    assert "20 prompt + 40 completion tokens for 0.0900 credits" in found.reason


def test_two_calls_of_one_usage() -> None:
    """The same usage at two charges is a contradiction by itself: a stream and a sync answer must agree."""
    assert first_contradiction([call(10, 5, "0.0135"), call(10, 5, "0.0136")]) is None
    assert first_contradiction([call(10, 5, "0.0135"), call(10, 5, "0.0140")]) == call(10, 5, "0.0140")


@pytest.mark.parametrize(
    ("one", "contradicts"),
    [
        (call(0, 0, "0.0000"), False),
        (call(0, 0, "0.0045"), True),
        (call(0, 7, "0.0045"), False),
        (call(7, 0, "0.0045"), False),
        (call(7, 7, "-0.0045"), True),
    ],
)
def test_single_call(one: Call, contradicts: bool) -> None:
    """One call contradicts itself only by a charge for nothing, or a negative one."""
    assert (first_contradiction([one]) is not None) is contradicts


PRICE = st.decimals(0, D("0.01"), places=7)
COUNT = st.tuples(st.integers(0, 5000), st.integers(0, 5000))
ROUNDING = st.sampled_from([ROUND_DOWN, ROUND_CEILING, ROUND_HALF_EVEN])


@given(PRICE, PRICE, st.lists(COUNT, min_size=1, max_size=12), st.integers(0, 6), ROUNDING)
def test_linear_tariffs_fit(
    a: Decimal, b: Decimal, counts: list[tuple[int, int]], places: int, rounding: str
) -> None:
    """Whatever the two prices and the rounding, charges that follow them are never called a contradiction."""
    unit = D(1).scaleb(-places)
    made = [Call(p, c, Printed((a * p + b * c).quantize(unit, rounding), places)) for p, c in counts]

    assert linearity(made).linear is not False


def by_vertices(made: list[Call]) -> bool:
    """Whether a price pair exists, by trying every crossing of two edges: slow, and nothing like clipping."""
    edges = [(Fraction(1), Fraction(0), Fraction(0)), (Fraction(0), Fraction(1), Fraction(0))]
    for one in made:
        for sign in (-1, 1):
            level = Fraction(one.credits.value + sign * one.credits.unit)
            edges.append((Fraction(one.prompt), Fraction(one.completion), level))

    def explains(a: Fraction, b: Fraction) -> bool:
        off = (abs(a * one.prompt + b * one.completion - Fraction(one.credits.value)) for one in made)
        return a >= 0 <= b and all(d <= Fraction(one.credits.unit) for d, one in zip(off, made, strict=True))

    for (p, q, r), (s, t, u) in combinations(edges, 2):
        determinant = p * t - q * s
        if determinant and explains((r * t - q * u) / determinant, (p * u - r * s) / determinant):
            return True
    return False


SMALL = st.builds(
    lambda p, c, credits: Call(p, c, Printed(D(credits).scaleb(-1), 1)),
    st.integers(0, 6),
    st.integers(0, 6),
    st.integers(0, 60),
)


@given(st.lists(SMALL, min_size=2, max_size=5))
def test_beside_vertices(made: list[Call]) -> None:
    """Clipping decides as trying every vertex does, on charges that mostly do not fit."""
    assume(len({(one.prompt, one.completion) for one in made}) > 1)

    assert (first_contradiction(made) is None) == by_vertices(made)
