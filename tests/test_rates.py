import pytest

from vfd.rates import poisson_upper


@pytest.mark.parametrize(("events", "most"), [(0, 2.996), (1, 4.744), (10, 16.962)])
def test_the_bounds_of_the_tables(events: int, most: float) -> None:
    """Garwood's, one-sided, 95 %; "3/N" for none."""
    assert poisson_upper(events) == pytest.approx(most, abs=5e-4)
