"""What Prometheus sees. Call sites use verbs; names and labels live here alone.

Series of single participants are not kept: they are written out from the live sessions at every
scrape, so that whoever leaves is gone from it.
"""

import asyncio
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
)
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from monitor.config import MetricsConfig
from monitor.cpu import StageCpu
from monitor.keyframe_requests import KeyframeTally
from monitor.sessions import Registry, Session
from monitor.source import Trouble
from vfd.checkpoint import Checkpoint
from vfd.decision import State
from vfd.types import Reason

LATENCY_BUCKETS_S: Final = (
    *(0.15, 0.16, 0.17, 0.18, 0.19, 0.2, 0.225, 0.25, 0.275, 0.3, 0.325, 0.35, 0.375),
    *(0.4, 0.425, 0.45, 0.475, 0.5, 0.55, 0.6, 0.7, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0),
)
"""Fine where quantiles are read: from `settle_s` to the promised 0.5 s."""
LAG_BUCKETS_S: Final = (
    *(0.001, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035),
    *(0.04, 0.045, 0.05, 0.06, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.0, 5.0),
)
LAG_SAMPLE_S: Final = 0.05


class Delay(NamedTuple):
    """How far behind its live edge a stream is played, and what was left out to keep up."""

    latency_s: float
    skipped_s: float


class Waiting(NamedTuple):
    """Messages of one webhook that were not delivered yet; `oldest_s` 0 where there are none."""

    messages: int
    oldest_s: float


class Metrics:
    """Owns its registry: nothing global, so that several monitors fit into one process."""

    def __init__(self, registry: Registry, config: MetricsConfig, cpu: StageCpu) -> None:
        own = self._registry = CollectorRegistry()
        self._latency = Histogram(
            "vfd_window_to_score_seconds",
            "From the end of a window to its score.",
            buckets=LATENCY_BUCKETS_S,
            registry=own,
        )
        self._lag = Histogram(
            "vfd_event_loop_lag_seconds",
            "How late the event loop woke a sleeper.",
            buckets=LAG_BUCKETS_S,
            registry=own,
        )
        self._scored = Counter("vfd_windows_scored_total", "Windows with a score.", registry=own)
        self._abstained = Counter(
            "vfd_windows_abstained_total", "Seconds without a score.", ["reason"], registry=own
        )
        self._alerts = Counter("vfd_alerts_total", "Alerts raised.", ["kind"], registry=own)
        self._pictures = Counter(
            "vfd_pictures_total",
            "Pictures looked at for a face, by what came of them.",
            ["outcome"],
            registry=own,
        )
        self._webhooks = Counter(
            "vfd_webhook_messages_total", "Webhook messages, by outcome.", ["outcome"], registry=own
        )
        self._events_dropped = Counter(
            "vfd_events_dropped_total", "Events lost by listeners that were slow.", registry=own
        )
        self._calls_joined = Counter(
            "vfd_calls_joined_total", "Times that a call was joined.", registry=own
        )
        self._calls_failed = Counter(
            "vfd_calls_failed_total",
            "Times that a call could not be joined or was lost, by what was the trouble.",
            ["trouble"],
            registry=own,
        )
        self._store_up = Gauge(
            "vfd_store_up", "1 while alerts are written where they are meant to be.", registry=own
        )
        self._store_lost = Counter(
            "vfd_store_writes_lost_total",
            "Writes given up because the disk took none for too long.",
            registry=own,
        )
        self._store_aside = Counter(
            "vfd_store_set_aside_total", "Corrupt stores that were set aside.", registry=own
        )
        self._engine_up = Gauge("vfd_engine_up", "1 while the engine answers.", registry=own)
        self._model_info = Gauge(
            "vfd_model_info",
            "The model in use.",
            ["model", "sha256", "trained_on", "engine", "synthetic"],
            registry=own,
        )
        for reason in Reason:  # a counter that is not there cannot be compared with zero
            self._abstained.labels(reason.value)
        self._drill_alerts = Counter(
            "vfd_drill_alerts_total", "Alerts raised by drills.", ["kind"], registry=own
        )
        self._drills = Counter(
            "vfd_drills_total", "Drills held, by outcome.", ["outcome"], registry=own
        )
        for kind in ("opened", "worsened", "closed"):
            self._alerts.labels(kind)
            self._drill_alerts.labels(kind)
        for trouble in Trouble:
            self._calls_failed.labels(trouble.value)
        own.register(_StageCollector(cpu))
        own.register(_SessionCollector(registry, config.max_participants))
        ProcessCollector(registry=own)

    def count_keyframes(self, tally: KeyframeTally) -> None:
        """Adds what is requested, received and dropped from now on to what is exposed; once."""
        self._registry.register(_KeyframeCollector(tally))

    def count_calls(self, by_state: Callable[[], Mapping[str, int]]) -> None:
        """Adds how many calls there are, by state, to what is exposed; once."""
        self._registry.register(_CallCollector(by_state))

    def count_streams(self, delays: Callable[[], Mapping[str, Delay]]) -> None:
        """Adds how the live streams do, by call, to what is exposed; once."""
        self._registry.register(_StreamCollector(delays))

    def call_joined(self) -> None:
        self._calls_joined.inc()

    def call_failed(self, trouble: Trouble) -> None:
        self._calls_failed.labels(trouble.value).inc()

    def window_scored(self, latency_s: float) -> None:
        self._scored.inc()
        self._latency.observe(latency_s)

    def abstained(self, reason: Reason) -> None:
        self._abstained.labels(reason.value).inc()

    def drill_ended(self, outcome: str) -> None:
        self._drills.labels(outcome).inc()

    def alert_raised(self, kind: str, *, drill: bool = False) -> None:
        """Drills are counted apart: nobody is woken by one."""
        (self._drill_alerts if drill else self._alerts).labels(kind).inc()

    def face_found(self) -> None:
        self._pictures.labels("face").inc()

    def face_rejected(self, reason: Reason) -> None:
        self._pictures.labels(reason.value).inc()

    def picture_skipped(self) -> None:
        """A newer picture took its place before anybody looked at it."""
        self._pictures.labels("skipped").inc()

    def picture_failed(self) -> None:
        self._pictures.labels("failed").inc()

    def webhook_delivered(self) -> None:
        self._webhooks.labels("delivered").inc()

    def webhook_given_up(self) -> None:
        self._webhooks.labels("given_up").inc()

    def webhook_dropped(self) -> None:
        self._webhooks.labels("dropped").inc()

    def count_outbox(self, waiting: Callable[[], Mapping[str, Waiting]]) -> None:
        """Adds what waits for delivery, by webhook, to what is exposed; once."""
        self._registry.register(_OutboxCollector(waiting))

    def store_changed(self, up: bool) -> None:
        self._store_up.set(1.0 if up else 0.0)

    def store_write_lost(self) -> None:
        self._store_lost.inc()

    def store_set_aside(self) -> None:
        self._store_aside.inc()

    def event_dropped(self) -> None:
        self._events_dropped.inc()

    def loop_lagged(self, lag_s: float) -> None:
        self._lag.observe(max(lag_s, 0.0))

    def engine_changed(self, up: bool) -> None:
        self._engine_up.set(1.0 if up else 0.0)

    def model_loaded(self, checkpoint: Checkpoint, engine: str) -> None:
        """`engine`: the name of the one that runs it."""
        info = checkpoint.info
        self._model_info.labels(
            info.config.preset,
            checkpoint.sha256,
            info.trained_on,
            engine,
            "true" if info.synthetic else "false",
        ).set(1.0)

    def render(self) -> bytes:
        """The exposition text. Callable from any thread; not on the event loop, where a thousand
        participants would hold it up for 50 ms."""
        return generate_latest(self._registry)


class LoopLag:
    """Measures how late the event loop is."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + LAG_SAMPLE_S
            await asyncio.sleep(LAG_SAMPLE_S)
            self._metrics.loop_lagged(loop.time() - due_s)


class _StageCollector(Collector):
    def __init__(self, cpu: StageCpu) -> None:
        self._cpu = cpu

    def describe(self) -> Iterable[Metric]:
        return []  # registering must not sample

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "vfd_stage_cpu_seconds", "CPU time of the process by stage.", labels=["stage"]
        )
        for stage, seconds in self._cpu.sample().items():
            family.add_metric([stage.value], seconds)
        yield family


class _KeyframeCollector(Collector):
    def __init__(self, tally: KeyframeTally) -> None:
        self._tally = tally

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "vfd_keyframes_requested",
            "Keyframes that publishers were asked for.",
            value=self._tally.requested,
        )
        yield CounterMetricFamily(
            "vfd_keyframes_received",
            "Keyframes that came in whole, asked for or not.",
            value=self._tally.received,
        )
        yield CounterMetricFamily(
            "vfd_keyframes_dropped",
            "Keyframes, and frames of bursts, that too many others waited before.",
            value=self._tally.dropped,
        )


class _CallCollector(Collector):
    def __init__(self, by_state: Callable[[], Mapping[str, int]]) -> None:
        self._by_state = by_state

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily("vfd_calls", "Calls asked for, by state.", labels=["state"])
        for state, count in self._by_state().items():
            family.add_metric([state], count)
        yield family


class _StreamCollector(Collector):
    def __init__(self, delays: Callable[[], Mapping[str, Delay]]) -> None:
        self._delays = delays

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        latency = GaugeMetricFamily(
            "vfd_stream_latency_seconds",
            "How far behind its live edge a stream is played.",
            labels=["call"],
        )
        skipped = CounterMetricFamily(
            "vfd_stream_skipped_seconds",
            "Media of a live stream that was left out to get back to its edge.",
            labels=["call"],
        )
        for call, delay in self._delays().items():
            latency.add_metric([call], delay.latency_s)
            skipped.add_metric([call], delay.skipped_s)
        yield from (latency, skipped)


class _OutboxCollector(Collector):
    def __init__(self, waiting: Callable[[], Mapping[str, Waiting]]) -> None:
        self._waiting = waiting

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        messages = GaugeMetricFamily(
            "vfd_outbox_messages", "Messages that wait for delivery.", labels=["webhook"]
        )
        oldest = GaugeMetricFamily(
            "vfd_outbox_oldest_seconds", "How long the oldest of them waits.", labels=["webhook"]
        )
        for webhook, waiting in self._waiting().items():
            messages.add_metric([webhook], waiting.messages)
            oldest.add_metric([webhook], waiting.oldest_s)
        yield from (messages, oldest)


class _SessionCollector(Collector):
    """Gauges from the sessions that are live now, the first `limit` of them one by one."""

    def __init__(self, registry: Registry, limit: int) -> None:
        self._registry = registry
        self._limit = limit

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        sessions = self._registry.sessions()
        yield _by_state(sessions)
        yield GaugeMetricFamily(
            "vfd_participants_truncated",
            "Live participants beyond metrics.max_participants, without series of their own.",
            value=max(0, len(sessions) - self._limit),
        )
        yield from _each(sessions[: self._limit])


def _by_state(sessions: Iterable[Session]) -> Metric:
    tally = Tally(session.verdict.state for session in sessions)
    family = GaugeMetricFamily("vfd_participants", "Live participants by state.", labels=["state"])
    for state in State:
        family.add_metric([state.value], tally[state])
    return family


def _each(sessions: Iterable[Session]) -> Iterator[Metric]:
    who = ["call", "participant"]
    similarity = GaugeMetricFamily(
        "vfd_participant_similarity", "The smoothed similarity, where there is one.", labels=who
    )
    state = GaugeMetricFamily(
        "vfd_participant_state", "1 for the state that holds.", labels=[*who, "state"]
    )
    speech = GaugeMetricFamily(
        "vfd_participant_speech_ratio", "Share of speech in the last window.", labels=who
    )
    skew = GaugeMetricFamily(
        "vfd_av_skew_seconds",
        "How much later than the sound the pictures of the same instant come, where known.",
        labels=who,
    )
    for session in sessions:
        verdict = session.verdict
        if verdict.statistic is not None:
            similarity.add_metric([*session.key], verdict.statistic)
        state.add_metric([*session.key, verdict.state.value], 1.0)
        speech.add_metric([*session.key], session.speech)
        if session.buffer.skew_s is not None:
            skew.add_metric([*session.key], session.buffer.skew_s)
    yield from (similarity, state, speech, skew)
