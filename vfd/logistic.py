"""Logistic regression of a few features, for evidence in nats."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 50
_RIDGE = 1e-6  # per row: separable data has finite weights


def log_odds(features: NDArray[np.floating[Any]], positive: NDArray[np.bool_]) -> list[float]:
    """Weights of the columns of `features` (n, k), then the bias: their sum is the log-likelihood
    ratio of `positive` (n,) against the rest, as both kinds weigh the same (Newton's method).

    Raises ValueError when a kind is missing.
    """
    if positive.all() or not positive.any():
        raise ValueError("log odds need rows of both kinds")
    x = np.column_stack([features, np.ones(len(features))])
    weight = np.where(positive, 0.5 / positive.mean(), 0.5 / (1 - positive.mean())) / len(x)
    ridge = _RIDGE * np.eye(x.shape[1])
    beta = np.zeros(x.shape[1])
    for _ in range(_ROUNDS):
        share = 1 / (1 + np.exp(-np.clip(x @ beta, -500, 500)))
        gradient = x.T @ (weight * (share - positive)) + ridge @ beta
        hessian = (x * (weight * share * (1 - share))[:, None]).T @ x + ridge
        step = np.linalg.solve(hessian, gradient)
        beta = beta - step
        if np.abs(step).max() < 1e-9:
            break
    return [float(b) for b in beta]
