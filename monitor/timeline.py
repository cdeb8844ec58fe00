"""What was seen of participants over time: one entry a hop and participant, and sums of them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from monitor.alerts import Alert, AlertKind
from vfd.decision import State, Verdict
from vfd.types import Abstention, Score


@dataclass(frozen=True, slots=True)
class Hop:
    """One step. `result` is a score or the reason why there is none; `speech`, `coverage` and
    `faces` (the share of the pictures looked at in the window that showed a usable face) in [0, 1];
    `alert` what this step raised."""

    result: Score | Abstention
    verdict: Verdict
    speech: float
    coverage: float
    faces: float
    alert: Alert | None = None

    @property
    def end_s(self) -> float:
        return self.result.end_s

    @property
    def similarity(self) -> float | None:
        """In [-1, 1]; None if the hop was not scored."""
        return self.result.similarity if isinstance(self.result, Score) else None

    @property
    def raised_alert(self) -> bool:
        """An alert that opened here; one that closed is good news."""
        return self.alert is not None and self.alert.kind is AlertKind.OPENED

    def as_json(self) -> dict[str, object]:
        """JSON-safe values; a key keeps its meaning from the live events."""
        scored = isinstance(self.result, Score)
        return {
            "type": "score" if scored else "abstention",
            "call": self.result.key.call,
            "participant": self.result.key.participant,
            "end_s": round(self.end_s, 6),
            "similarity": self.similarity,
            "jump": self.result.jump if isinstance(self.result, Score) else None,
            "faces_used": self.result.faces_used if isinstance(self.result, Score) else 0,
            "reason": self.result.reason if isinstance(self.result, Abstention) else None,
            "speech": self.speech,
            "coverage": self.coverage,
            "faces": self.faces,
            "state": self.verdict.state,
            "statistic": self.verdict.statistic,
            "since_s": self.verdict.since_s,
            "verdict_reason": self.verdict.reason,
            "log_likelihood_ratio": self.verdict.log_likelihood_ratio,
            "change": self.verdict.change,
            "signal": self.verdict.signal,
            "level": self.verdict.level,
            "alert": self.alert.as_json() if self.alert else None,
        }


@dataclass(frozen=True, slots=True)
class Band:
    """A run of hops in one state, in media time."""

    state: State
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Summary:
    """Sums over the hops of one participant. `mean_similarity` over the scored ones, None without
    any; `alerts` counts those that opened."""

    scored: int
    abstained: Counter[str]
    mean_similarity: float | None
    state_s: dict[State, float]
    alerts: int


def by_participant(hops: Iterable[Hop]) -> dict[str, list[Hop]]:
    """In the order of coming."""
    found: dict[str, list[Hop]] = {}
    for hop in hops:
        found.setdefault(hop.result.key.participant, []).append(hop)
    return found


def bands(hops: Sequence[Hop], hop_s: float) -> Iterator[Band]:
    """Runs of one state of one participant; a hop stands for the `hop_s` up to its end."""
    for state, run in groupby(hops, key=lambda h: h.verdict.state):
        members = list(run)
        yield Band(state, members[0].end_s - hop_s, members[-1].end_s)


def summarize(hops: Sequence[Hop], hop_s: float) -> Summary:
    similarities = [h.similarity for h in hops if h.similarity is not None]
    state_s = dict.fromkeys(State, 0.0)
    for band in bands(hops, hop_s):
        state_s[band.state] += band.end_s - band.start_s
    return Summary(
        scored=len(similarities),
        abstained=Counter(str(h.result.reason) for h in hops if isinstance(h.result, Abstention)),
        mean_similarity=sum(similarities) / len(similarities) if similarities else None,
        state_s=state_s,
        alerts=sum(1 for h in hops if h.raised_alert),
    )
