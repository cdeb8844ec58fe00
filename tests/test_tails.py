"""Beyond what a table holds, on the safe side."""

import numpy as np
import pytest

from vfd.tails import tail_bounds

SELDOM = np.array([0.01, 1e-4])


def test_an_exponential_tail_is_continued() -> None:
    values = np.random.default_rng(3).exponential(0.7, 20_000) - 5.0
    found = tail_bounds(values, np.arange(20_000), SELDOM)
    exact = 0.7 * np.log(1 / SELDOM)
    assert (found + 5.0 > exact).all()
    assert found + 5.0 == pytest.approx(exact, rel=0.06)


def test_a_tail_that_few_people_hold_is_less_sure() -> None:
    """The same values: of twenty to each, or a value of each."""
    values = np.sort(np.random.default_rng(4).exponential(1.0, 2_000))
    many = tail_bounds(values, np.arange(2_000), SELDOM)
    few = tail_bounds(values, np.arange(2_000) // 20, SELDOM)
    assert (few > many + 0.3).all()


def test_values_that_are_all_the_same_have_no_tail() -> None:
    assert tail_bounds(np.full(50, 2.0), np.arange(50), SELDOM) == pytest.approx([2.0, 2.0])
