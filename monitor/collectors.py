"""Metrics that are read off the living parts at every scrape, on the thread that renders.

Whoever leaves is thereby gone from what is exposed, and nothing has to be counted twice.
"""

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from monitor import catalogue
from monitor.catalogue import Described, Kind
from monitor.cpu import StageCpu
from monitor.keyframe_requests import KeyframeTally
from monitor.sessions import Registry, Session
from vfd.decision import State

Families = Iterable[Metric]

Rows = Iterable[tuple[tuple[str, ...], float]]
"""(values of the labels, value)"""

FIRST_SHOWN: Final = (State.MISMATCH, State.SUSPECT)
"""Whoever is in one of these has series before anybody else: a limit must not hide an alert."""


class Delay(NamedTuple):
    """How far behind its live edge a stream is played, and what was left out to keep up."""

    latency_s: float
    skipped_s: float


class Waiting(NamedTuple):
    """Messages of one webhook that were not delivered yet; `oldest_s` 0 where there are none."""

    messages: int
    oldest_s: float


class ScrapeCollector(Collector):
    """`read` yields the families. Registering one must not read, so it describes nothing."""

    def __init__(self, read: Callable[[], Families]) -> None:
        self._read = read

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        return self._read()


def family(described: Described, rows: Rows) -> Metric:
    """A counter or gauge of the catalogue, filled."""
    kind = CounterMetricFamily if described.kind is Kind.COUNTER else GaugeMetricFamily
    filled = kind(described.name, described.meaning, labels=described.labels)
    for labels, value in rows:
        filled.add_metric(labels, value)
    return filled


def single(described: Described, value: float) -> Metric:
    """One without labels."""
    return family(described, [((), value)])


def stages(cpu: StageCpu) -> Iterator[Metric]:
    seconds = cpu.sample()
    yield family(catalogue.STAGE_CPU, [((stage.value,), s) for stage, s in seconds.items()])


def keyframes(tally: KeyframeTally) -> Iterator[Metric]:
    yield single(catalogue.KEYFRAMES_REQUESTED, tally.requested)
    yield single(catalogue.KEYFRAMES_RECEIVED, tally.received)
    yield single(catalogue.KEYFRAMES_DROPPED, tally.dropped)


def calls(by_state: Mapping[str, int]) -> Iterator[Metric]:
    yield family(catalogue.CALLS, [((state,), count) for state, count in by_state.items()])


def streams(delays: Mapping[str, Delay]) -> Iterator[Metric]:
    yield family(catalogue.STREAM_LATENCY, [((c,), d.latency_s) for c, d in delays.items()])
    yield family(catalogue.STREAM_SKIPPED, [((c,), d.skipped_s) for c, d in delays.items()])


def outboxes(waiting: Mapping[str, Waiting]) -> Iterator[Metric]:
    rows = [((webhook,), w.messages) for webhook, w in waiting.items()]
    yield family(catalogue.OUTBOX_MESSAGES, rows)
    yield single(catalogue.OUTBOX_OLDEST, max((w.oldest_s for w in waiting.values()), default=0.0))


def queues(oldest_s: Mapping[str, Callable[[], float]]) -> Iterator[Metric]:
    yield family(catalogue.QUEUE_OLDEST, [((queue,), age()) for queue, age in oldest_s.items()])


def participants(registry: Registry, limit: int) -> Iterator[Metric]:
    """Of the sessions that are live now: all of them counted, `limit` of them one by one."""
    sessions = registry.sessions()
    states = Tally(session.verdict.state for session in sessions)
    yield family(catalogue.PARTICIPANTS, [((state.value,), states[state]) for state in State])
    yield single(catalogue.LIMIT, registry.limit)
    yield single(catalogue.JOINED, registry.joined)
    yield single(catalogue.REFUSED, registry.refused)
    yield single(catalogue.TRUNCATED, max(0, len(sessions) - limit))
    yield family(catalogue.SCORE_SHIFT, _shift(registry))
    yield from _one_by_one(sorted(sessions, key=_rank)[:limit])


def _shift(registry: Registry) -> Rows:
    found = registry.drift()
    return [] if found is None or found.shift is None else [((), found.shift)]


def _rank(session: Session) -> int:
    """Sorting by it is stable: within a rank the order of joining holds."""
    state = session.verdict.state
    return FIRST_SHOWN.index(state) if state in FIRST_SHOWN else len(FIRST_SHOWN)


def _one_by_one(sessions: list[Session]) -> Iterator[Metric]:
    seen = [(session.key, session.verdict, session) for session in sessions]
    yield family(
        catalogue.PARTICIPANT_SIMILARITY,
        [(key, v.statistic) for key, v, _ in seen if v.statistic is not None],
    )
    yield family(catalogue.PARTICIPANT_STATE, [((*key, v.state.value), 1.0) for key, v, _ in seen])
    yield family(catalogue.PARTICIPANT_SPEECH, [(key, s.speech) for key, _, s in seen])
    skews = [(key, s.buffer.skew_s) for key, _, s in seen]
    yield family(catalogue.SKEW, [(key, skew_s) for key, skew_s in skews if skew_s is not None])
