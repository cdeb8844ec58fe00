"""What a count of rare events says of their rate."""

from typing import Final

from scipy.stats import chi2

CONFIDENCE: Final = 0.95


def poisson_upper(events: int) -> float:
    """The most events that were to be expected, with CONFIDENCE, where `events` were seen: 3.0 for
    none (Garwood 1936)."""
    return float(chi2.ppf(CONFIDENCE, 2 * (events + 1)) / 2)
