"""What happened in a demonstration call, gathered from what the service and the callers said."""

import math
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from monitor.table import SPARKLINE_LENGTH, Row
from vfd.decision import State
from vfd.types import Reason

STAGES = ("receiver", "faces", "engine", "other")
SOUND_REASONS = frozenset({Reason.NO_AUDIO, Reason.AUDIO_GAP, Reason.NO_SPEECH})
WARM_UP_S = 30.0  # memory is judged once caches and pools are full
FIRST_WINDOW_S = 4.0  # a window is three seconds long, and the first one needs a connection

Event = Mapping[str, Any]


@dataclass(slots=True)
class Person:
    """What is shown of one participant."""

    state: State = State.UNKNOWN
    joined_s: float = 0.0
    speech: float = 0.0
    last_reason: str = ""
    history: deque[float | None] = field(default_factory=lambda: deque(maxlen=SPARKLINE_LENGTH))
    faces: deque[bool] = field(default_factory=lambda: deque(maxlen=SPARKLINE_LENGTH))
    scored: int = 0
    abstained: Counter[str] = field(default_factory=Counter)
    settled_scored: int = 0
    settled_abstained: int = 0

    def row(self, name: str) -> Row:
        """The line of this person in the table."""
        similarity = next((s for s in reversed(self.history) if s is not None), None)
        share = sum(self.faces) / len(self.faces) if self.faces else 0.0
        return Row(
            name, self.state, similarity, list(self.history), self.speech, share, self.last_reason
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """The outcome, as `--json` writes it. Times in seconds unless the name says otherwise;
    `scored_share` of the steps in which somebody spoke, from their first whole window on; silence
    (`no_speech`) is no step of the person who is silent half of the time, but one of the others;
    `rss_slope_mb_per_minute` after the first 30 s, None for a shorter call."""

    seed: int
    swapped: str
    oracle_similarity: float
    time_to_detect_s: float | None
    alerts: list[dict[str, Any]]
    false_alerts: int
    windows_scored: int
    windows_abstained: dict[str, int]
    scored_share: float
    window_to_score_p95_s: float
    loop_lag_p99_ms: float
    cpu_ms_per_participant_second: dict[str, float]
    rss_mb: float
    rss_slope_mb_per_minute: float | None

    @property
    def as_promised(self) -> bool:
        """Exactly one alert, on the swapped participant, after the swap; nobody else."""
        return len(self.alerts) == 1 and self.false_alerts == 0 and self.windows_scored > 0

    def to_json(self) -> dict[str, Any]:
        """Plain types only. What is not finite becomes None: the oracle similarity of another sex,
        and what could not be measured."""
        return {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in asdict(self).items()
        }


class Record:
    """Everything said during the call, in the order it was said."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.people: dict[str, Person] = defaultdict(Person)
        self.expected: Sequence[str] = ()
        self.always_speaking: Sequence[str] = ()
        self.swapped, self.oracle_similarity = "", float("nan")
        self.swapped_s: float | None = None
        self.left = False
        self.alerts: list[dict[str, Any]] = []
        self._latencies_s: list[float] = []
        self._memory: list[tuple[float, float]] = []

    def heard_from_call(self, event: Event) -> None:
        """Takes one line of the callers."""
        match event["event"]:
            case "cast":
                self.swapped = event["swapped"]
                self.expected = event["people"]
                self.always_speaking = event["always_speaking"]
                score = event["oracle_similarity"]
                self.oracle_similarity = float("-inf") if score is None else score
            case "joined":
                self.people[event["participant"]].joined_s = event["time_s"]
            case "swapped":
                self.swapped_s = event["time_s"]
            case "left":
                self.left = True

    def heard_from_monitor(self, event: Event, now_s: float) -> None:
        """Takes one event of the service; `now_s` on the clock of `end_s`. What comes after the
        call has ended is not counted."""
        if self.left:
            return
        match event["type"]:
            case "score":
                self._scored(event)
            case "abstention":
                self._abstained(event)
            case "verdict":
                self.people[event["participant"]].state = State(event["state"])
            case "alert" if event["kind"] == "opened":
                self.alerts.append({"participant": event["participant"], "at_s": now_s})

    def memory(self, now_s: float, rss_mb: float) -> None:
        """Takes one reading of the service's resident memory."""
        self._memory.append((now_s, rss_mb))

    def _scored(self, event: Event) -> None:
        person = self.people[event["participant"]]
        self._latencies_s.append(event["latency_s"])
        person.history.append(event["similarity"])
        person.faces.append(True)
        person.speech = event["speech"]
        person.scored += 1
        person.settled_scored += self._settled(person, event)

    def _abstained(self, event: Event) -> None:
        person = self.people[event["participant"]]
        reason = Reason(event["reason"])
        person.history.append(None)
        if reason not in SOUND_REASONS:
            person.faces.append(False)
        person.speech = event["speech"]
        person.last_reason = reason
        person.abstained[reason] += 1
        silent = reason is Reason.NO_SPEECH and event["participant"] not in self.always_speaking
        person.settled_abstained += self._settled(person, event) and not silent

    def _settled(self, person: Person, event: Event) -> bool:
        return bool(event["end_s"] >= person.joined_s + FIRST_WINDOW_S)

    def summary(self, metrics_text: str, cpu_ms: dict[str, float]) -> Summary:
        """The outcome, once the call is over. `metrics_text` in Prometheus' text format."""
        swapped_s = self.swapped_s if self.swapped_s is not None else float("inf")
        hits = [a for a in self.alerts if self._is_hit(a, swapped_s)]
        people = list(self.people.values())
        scored = sum(p.settled_scored for p in people)
        steps = scored + sum(p.settled_abstained for p in people)
        return Summary(
            seed=self.seed,
            swapped=self.swapped,
            oracle_similarity=self.oracle_similarity,
            time_to_detect_s=hits[0]["at_s"] - swapped_s if hits else None,
            alerts=self.alerts,
            false_alerts=len(self.alerts) - len(hits),
            windows_scored=sum(p.scored for p in people),
            windows_abstained=dict(sum((p.abstained for p in people), Counter())),
            scored_share=scored / steps if steps else 0.0,
            window_to_score_p95_s=_percentile(self._latencies_s, 95),
            loop_lag_p99_ms=1e3
            * histogram_quantile(metrics_text, "vfd_event_loop_lag_seconds", 0.99),
            cpu_ms_per_participant_second=cpu_ms,
            rss_mb=self._memory[-1][1] if self._memory else 0.0,
            rss_slope_mb_per_minute=self._memory_slope(),
        )

    def _is_hit(self, alert: Mapping[str, Any], swapped_s: float) -> bool:
        return bool(alert["participant"] == self.swapped and alert["at_s"] >= swapped_s)

    def _memory_slope(self) -> float | None:
        if not self._memory:
            return None
        start_s = self._memory[0][0] + WARM_UP_S
        late = np.array([m for m in self._memory if m[0] >= start_s])
        if len(late) < 10:
            return None
        return float(np.polyfit(late[:, 0] / 60, late[:, 1], 1)[0])


def _percentile(values: Sequence[float], q: float) -> float:
    return float(np.percentile(values, q)) if values else float("nan")


def stage_seconds(metrics_text: str) -> dict[str, float]:
    """CPU seconds of each stage since the service began, from its own counters."""
    return {
        sample.labels["stage"]: sample.value
        for family in text_string_to_metric_families(metrics_text)
        for sample in family.samples
        if sample.name == "vfd_stage_cpu_seconds_total"
    }


def histogram_quantile(metrics_text: str, name: str, q: float) -> float:
    """The quantile `q` of a histogram without labels, linear within a bucket as PromQL does it."""
    buckets = sorted(
        (float(sample.labels["le"]), sample.value)
        for family in text_string_to_metric_families(metrics_text)
        for sample in family.samples
        if sample.name == f"{name}_bucket"
    )
    if not buckets or not buckets[-1][1]:
        return float("nan")
    rank = q * buckets[-1][1]
    low, below = 0.0, 0.0
    for high, count in buckets:
        if count >= rank:
            high = low if math.isinf(high) else high
            return low + (high - low) * (rank - below) / (count - below)
        low, below = high, count
    return low
