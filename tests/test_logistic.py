import numpy as np
import pytest

from vfd.logistic import log_odds


def test_the_log_likelihood_ratio_of_two_normals_is_found() -> None:
    """Of equal deviation s and means a, b: (b - a) / s^2 * x + (a^2 - b^2) / (2 s^2), whatever the
    shares of the two kinds."""
    rng = np.random.default_rng(6)
    x = np.concatenate([rng.normal(0.8, 0.2, 20_000), rng.normal(0.2, 0.2, 2_000)])
    weight, bias = log_odds(x[:, None], np.arange(len(x)) >= 20_000)
    assert weight == pytest.approx(-15.0, rel=0.05)
    assert bias == pytest.approx(7.5, rel=0.05)


def test_separable_kinds_have_finite_weights() -> None:
    x = np.array([[0.0], [0.1], [0.9], [1.0]])
    assert np.isfinite(log_odds(x, np.array([False, False, True, True]))).all()


def test_one_kind_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="both kinds"):
        log_odds(np.zeros((3, 1)), np.ones(3, np.bool_))
