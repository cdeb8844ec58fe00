"""PromQL for the dashboards. `where`: the matchers of the series that are looked at."""

from typing import Final

Query = tuple[str, str]
"""(PromQL, legend)"""

ME: Final = 'instance=~"$instance"'
CALL: Final = f'{ME},call=~"$call"'
PERSON: Final = f'{CALL},participant=~"$participant"'
EVERY: Final = "[$__rate_interval]"


def series(metric: str, where: str = ME) -> str:
    return f"{metric}{{{where}}}"


def mismatches(metric: str, where: str) -> str:
    return series(metric, f'{where},state="mismatch"')


def total(metric: str, by: str, where: str = ME) -> Query:
    """Of all that agree in the label `by`."""
    return f"sum by ({by}) ({series(metric, where)})", f"{{{{{by}}}}}"


def rate(counter: str, where: str = ME) -> str:
    """Increase a second."""
    return f"rate({series(counter, where)}{EVERY})"


def happened(counter: str, by: str = "") -> str:
    """Increase between two points of the graph; what did not happen is left out if it is split."""
    increase = f"increase({series(counter)}{EVERY})"
    return f"sum by ({by}) ({increase}) > 0" if by else f"sum({increase})"


def quantiles(histogram: str, *quantiles: float) -> list[Query]:
    buckets = f"sum by (le) ({rate(f'{histogram}_bucket')})"
    return [(f"histogram_quantile({q}, {buckets})", f"quantile {q}") for q in quantiles]


def mean(histogram: str, by: str = "instance") -> Query:
    total, count = (f"sum by ({by}) ({rate(f'{histogram}_{end}')})" for end in ("sum", "count"))
    return f"{total} / {count}", f"{{{{{by}}}}}"
