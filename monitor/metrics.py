"""What Prometheus sees. Call sites use verbs; names and labels live in `monitor.catalogue` alone.

Series of single participants are not kept: they are written out from the live sessions at every
scrape, so that whoever leaves is gone from it.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.process_collector import ProcessCollector

from monitor import catalogue, collectors
from monitor.catalogue import Described
from monitor.collectors import Delay, ScrapeCollector, Waiting
from monitor.config import MetricsConfig
from monitor.cpu import StageCpu
from monitor.keyframe_requests import KeyframeTally
from monitor.sessions import Registry
from monitor.source import Trouble
from vfd.checkpoint import Checkpoint
from vfd.types import Reason

# A second series beside every counter, which nobody reads.
disable_created_metrics()  # type: ignore[no-untyped-call]

ALERT_KINDS = ("opened", "worsened", "closed")


class Sink(StrEnum):
    """Where alerts are delivered to."""

    WEBHOOK = "webhook"
    ALERTMANAGER = "alertmanager"


class Outcome(StrEnum):
    """What came of a message: of one attempt, if that failed; else of all of them."""

    DELIVERED = "delivered"
    FAILED = "failed"
    GIVEN_UP = "given_up"
    DROPPED = "dropped"


class Metrics:
    """Owns its registry: nothing global, so that several monitors fit into one process."""

    def __init__(self, registry: Registry, config: MetricsConfig, cpu: StageCpu) -> None:
        self._registry = CollectorRegistry()
        self._latency = self._histogram(catalogue.LATENCY)
        self._similarity = self._histogram(catalogue.SIMILARITY)
        self._step = self._histogram(catalogue.STEP)
        self._batch = self._histogram(catalogue.BATCH)
        self._lag = self._histogram(catalogue.LAG)
        self._scored = self._counter(catalogue.SCORED)
        self._abstained = self._counter(catalogue.ABSTAINED)
        self._alerts = self._counter(catalogue.ALERTS)
        self._drill_alerts = self._counter(catalogue.DRILL_ALERTS)
        self._drills = self._counter(catalogue.DRILLS)
        self._pictures = self._counter(catalogue.PICTURES)
        self._deliveries = self._counter(catalogue.DELIVERIES)
        self._events_dropped = self._counter(catalogue.EVENTS_DROPPED)
        self._calls_joined = self._counter(catalogue.CALLS_JOINED)
        self._calls_failed = self._counter(catalogue.CALLS_FAILED)
        self._engine_up = self._gauge(catalogue.ENGINE_UP)
        self._hop = self._gauge(catalogue.HOP)
        self._model_info = self._gauge(catalogue.MODEL_INFO)
        self._delivery_enabled = self._gauge(catalogue.DELIVERY_ENABLED)
        self._store_up = self._gauge(catalogue.STORE_UP)
        self._store_lost = self._counter(catalogue.STORE_LOST)
        self._store_aside = self._counter(catalogue.STORE_ASIDE)
        self._begin_at_zero()
        self._read(lambda: collectors.stages(cpu))
        self._read(lambda: collectors.participants(registry, config.max_participants))
        ProcessCollector(registry=self._registry)

    def count_keyframes(self, tally: KeyframeTally) -> None:
        """Adds what is requested, received and dropped from now on to what is exposed; once."""
        self._read(lambda: collectors.keyframes(tally))

    def count_calls(self, by_state: Callable[[], Mapping[str, int]]) -> None:
        """Adds how many calls there are, by state, to what is exposed; once."""
        self._read(lambda: collectors.calls(by_state()))

    def count_streams(self, delays: Callable[[], Mapping[str, Delay]]) -> None:
        """Adds how the live streams do, by call, to what is exposed; once."""
        self._read(lambda: collectors.streams(delays()))

    def queue_ages(self, oldest_s: Mapping[str, Callable[[], float]]) -> None:
        """Adds how old the oldest unfinished work is, by queue, to what is exposed; once. The
        functions are called from another thread."""
        self._read(lambda: collectors.queues(oldest_s))

    def call_joined(self) -> None:
        self._calls_joined.inc()

    def call_failed(self, trouble: Trouble) -> None:
        self._calls_failed.labels(trouble.value).inc()

    def scoring_every(self, hop_s: float) -> None:
        self._hop.set(hop_s)

    def window_scored(self, latency_s: float, similarity: float) -> None:
        self._scored.inc()
        self._latency.observe(latency_s)
        self._similarity.observe(similarity)

    def abstained(self, reason: Reason) -> None:
        self._abstained.labels(reason.value).inc()

    def engine_stepped(self, seconds: float, windows: int) -> None:
        """The engine's thread is done with everybody's `windows` of one hop."""
        self._step.observe(seconds)
        self._batch.observe(windows)

    def drill_ended(self, outcome: str) -> None:
        self._drills.labels(outcome).inc()

    def alert_raised(self, kind: str, *, drill: bool = False) -> None:
        """Drills are counted apart: nobody is woken by one."""
        (self._drill_alerts if drill else self._alerts).labels(kind).inc()

    def delivery(self, sink: Sink, outcome: Outcome) -> None:
        self._deliveries.labels(sink.value, outcome.value).inc()

    def delivery_allowed(self, allowed: bool) -> None:
        """Whether alerts leave the monitor; the alerting rules ask for it too."""
        self._delivery_enabled.set(1.0 if allowed else 0.0)

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
        self.delivery(Sink.WEBHOOK, Outcome.DELIVERED)

    def webhook_failed(self) -> None:
        """One attempt; another follows, or the message is given up."""
        self.delivery(Sink.WEBHOOK, Outcome.FAILED)

    def webhook_given_up(self) -> None:
        self.delivery(Sink.WEBHOOK, Outcome.GIVEN_UP)

    def webhook_dropped(self) -> None:
        self.delivery(Sink.WEBHOOK, Outcome.DROPPED)

    def count_outbox(self, waiting: Callable[[], Mapping[str, Waiting]]) -> None:
        """Adds what waits for delivery, by webhook, to what is exposed; once."""
        self._read(lambda: collectors.outboxes(waiting()))

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

    def _begin_at_zero(self) -> None:
        """A counter that is not there yet cannot be compared with what it becomes."""
        for reason in Reason:
            self._abstained.labels(reason.value)
        for kind in ALERT_KINDS:
            self._alerts.labels(kind)
            self._drill_alerts.labels(kind)
        for trouble in Trouble:
            self._calls_failed.labels(trouble.value)
        for picture in ("face", "skipped", "failed"):
            self._pictures.labels(picture)
        for sink in Sink:
            for outcome in Outcome:
                self._deliveries.labels(sink.value, outcome.value)

    def _counter(self, metric: Described) -> Counter:
        return Counter(metric.name, metric.meaning, metric.labels, registry=self._registry)

    def _gauge(self, metric: Described) -> Gauge:
        return Gauge(metric.name, metric.meaning, metric.labels, registry=self._registry)

    def _histogram(self, metric: Described) -> Histogram:
        return Histogram(
            metric.name, metric.meaning, buckets=metric.buckets, registry=self._registry
        )

    def _read(self, families: Callable[[], collectors.Families]) -> None:
        self._registry.register(ScrapeCollector(families))
