"""The capacity search: it finds the knee of a target that has one, and always ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproof.metrics import Ask, Capacity, CapacitySearch, Outcome, Step

PASS, FAIL, INCONCLUSIVE, INVALID = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.INVALID


def searched(search: CapacitySearch, knee: float) -> Capacity:
    """The result of a search on a target that meets its SLO up to `knee`."""
    while (ask := search.next) is not None:
        search = search.after(PASS if ask.rate <= knee else FAIL)
    return search.result


def rates(search: CapacitySearch, *outcomes: Outcome) -> list[float]:
    """The rates that a search asks for, given these outcomes."""
    asked = []
    for outcome in outcomes:
        assert search.next is not None
        asked.append(search.next.rate)
        search = search.after(outcome)
    return asked


@given(st.floats(0.5, 500), st.floats(0.1, 5000))
def test_the_knee_is_found_within_the_tolerance(low: float, knee: float) -> None:
    """Whatever the first rate and the knee, the search brackets the knee within 5 %, or says why it could not."""
    found = searched(CapacitySearch(low, most_steps=60), knee)

    if found.knee is None:
        assert found.reason.startswith("not even")
        assert knee < low / 64
    else:
        assert found.not_met is not None
        assert found.knee <= knee < found.not_met <= found.knee * 1.05


def test_it_brackets_by_doubling_and_then_bisects() -> None:
    """10, 20, 40 met, 80 not, then the middle of what is left."""
    assert rates(CapacitySearch(10), PASS, PASS, PASS, FAIL, PASS, FAIL, FAIL) == [10, 20, 40, 80, 60, 70, 65]


def test_it_goes_below_a_first_rate_that_is_too_much() -> None:
    """10 not met, 5 not met, 2.5 met, then between 2.5 and 5."""
    assert rates(CapacitySearch(10), FAIL, FAIL, PASS, PASS) == [10, 5, 2.5, 3.75]


def test_it_never_asks_for_more_than_the_highest_rate() -> None:
    """Doubling is clipped at `high`, and meeting that ends the search."""
    assert rates(CapacitySearch(10, 30), PASS, PASS, PASS) == [10, 20, 30]
    assert searched(CapacitySearch(10, 30), 1000) == Capacity(
        30,
        None,
        (Step(10, PASS), Step(20, PASS), Step(30, PASS)),
        "30/s, the highest rate asked for, meets the SLO",
    )


def test_an_inconclusive_step_is_tried_once_more_and_longer() -> None:
    """The second try decides; if it is inconclusive too, the rate was not shown to be met."""
    search = CapacitySearch(10).after(INCONCLUSIVE)
    met, not_met = search.after(PASS), search.after(INCONCLUSIVE)

    assert search.next == Ask(10, longer=True)
    assert met.next == Ask(20)
    assert not_met.next == Ask(5)
    assert not_met.result.not_met == 10


def test_an_invalid_step_ends_the_search() -> None:
    """A saturated client says nothing of the target: what was shown before stands, with the advice."""
    found = CapacitySearch(10).after(PASS).after(INVALID)

    assert found.next is None
    assert (found.result.knee, found.result.not_met) == (10, None)
    assert found.result.reason == "the client could not hold 20/s: add workers"


def test_a_target_that_never_meets_it_is_given_up() -> None:
    """After six halvings there is no knee, and the reason names the lowest rate tried."""
    found = searched(CapacitySearch(64), 0.0)

    assert (found.knee, found.not_met) == (None, 1)
    assert found.reason == "not even 1/s was shown to meet the SLO"


@given(st.lists(st.sampled_from([PASS, FAIL, INCONCLUSIVE]), min_size=24, max_size=24))
def test_any_answers_end_it(outcomes: list[Outcome]) -> None:
    """Whatever the steps show, in 24 of them the search has ended, with met below not met."""
    search = CapacitySearch(10)
    for outcome in outcomes:
        if search.next is None:
            break
        search = search.after(outcome)
    found = search.result

    assert search.next is None
    assert found.knee is None or found.not_met is None or found.knee < found.not_met
    with pytest.raises(ValueError, match="the search has ended"):
        search.after(PASS)


def test_a_search_that_goes_on_says_so() -> None:
    """A result asked for too early is no result."""
    assert CapacitySearch(10).after(PASS).result.reason == "the search has not ended"


@pytest.mark.parametrize(("low", "high", "tolerance"), [(0, None, 0.05), (10, 5, 0.05), (10, None, 0)])
def test_a_search_without_a_range_is_refused(low: float, high: float | None, tolerance: float) -> None:
    """A first rate of 0, a range upside down and a tolerance of 0 would never end."""
    with pytest.raises(ValueError, match="0 < low <= high"):
        CapacitySearch(low, high, tolerance)
