"""What an alert says of its numbers: statistics, a probability given a prior, a sentence."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from monitor.alerts import Alert

MAX_TEXT: Final = 128
"""Characters of a name. Keys of live calls have 64 at most, a watched file's name any number."""

SUMMARIES: Final = {
    "opened": "identity mismatch suspected",
    "worsened": "identity mismatch suspected more strongly",
    "closed": "identity mismatch no longer suspected",
    "left": "participant left while a mismatch was suspected",
    "drill": "the drill is over",
}


def safe_text(text: str) -> str:
    """At most MAX_TEXT characters without controls, line breaks or what turns the text around."""
    return "".join(c if c.isprintable() else "�" for c in text[:MAX_TEXT])


def utc(unix_s: float) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds")


def statistics(similarities: Iterable[float | None]) -> dict[str, float | int]:
    """Of those that were scored: how many, the last, the mean, the lowest and the highest."""
    scored = [s for s in similarities if s is not None]
    if not scored:
        return {"windows": 0}
    mean = sum(scored) / len(scored)
    numbers = {"last": scored[-1], "mean": mean, "low": min(scored), "high": max(scored)}
    return {"windows": len(scored)} | {name: round(n, 4) for name, n in numbers.items()}


def probability(log_likelihood_ratio: float | None, prior: float) -> float | None:
    """Bayes' rule: of a swap, where `prior` in (0, 1) was its probability before anybody looked.
    None without a prior or a ratio."""
    if log_likelihood_ratio is None or not 0.0 < prior < 1.0:
        return None
    log_odds = math.log(prior / (1.0 - prior)) + log_likelihood_ratio
    if log_odds >= 0:
        return 1.0 / (1.0 + math.exp(-log_odds))
    odds = math.exp(log_odds)
    return odds / (1.0 + odds)


def sentence(alert: "Alert") -> str:
    """For somebody who was just woken: what happened, how sure it is, and what it does not mean."""
    who = f"{alert.participant} in call {alert.call}"
    parts = [_what(alert, who)]
    if alert.signal == "change":
        parts.append("The voice or the face changed in the middle of the call.")
    if alert.false_alarms_per_1000_hours is not None:
        parts.append(
            f"Genuine people raise at most {alert.false_alarms_per_1000_hours:g} such alerts in "
            "1,000 hours, as this monitor is set."
        )
    if alert.probability is not None:
        parts.append(
            f"With the prior that was set, a swap has probability {alert.probability:.2f}."
        )
    if alert.demo:
        parts.append(
            f"The model has seen {alert.trained_on} only: nothing follows for real people."
        )
    if alert.drill:
        parts.append(
            "This is a drill: the swap was made in a copy of the call, nobody was swapped."
        )
    elif alert.kind != "closed":
        parts.append("This is a suspicion, not proof.")
    return " ".join(parts)


def _what(alert: "Alert", who: str) -> str:
    if alert.kind == "closed":
        return f"{who}: {alert.summary}, {alert.duration_s:.0f} s after the first suspicion."
    similarity = "unknown" if alert.statistic is None else f"{alert.statistic:+.2f}"
    lasting = f"For {alert.duration_s:.0f} s the voice of {who} has not matched the face"
    stronger = " and the evidence has become stronger" if alert.kind == "worsened" else ""
    return f"{lasting}{stronger}: similarity {similarity}, limit {alert.threshold:+.2f}."
