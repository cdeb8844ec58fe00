"""Every metric by name, type, unit, labels and meaning: what `/metrics` is built from, and what
`monitor/ops/METRICS.md` is written from (`make ops`).

Names end in the unit, in base units (https://prometheus.io/docs/practices/naming/), and in `_total`
where they only ever grow.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

LATENCY_BUCKETS_S: Final = (
    *(0.15, 0.16, 0.17, 0.18, 0.19, 0.2, 0.225, 0.25, 0.275, 0.3, 0.325, 0.35, 0.375),
    *(0.4, 0.425, 0.45, 0.475, 0.5, 0.55, 0.6, 0.7, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0),
)
"""Fine where quantiles are read: from `settle_s` to the promised 0.5 s."""
LAG_BUCKETS_S: Final = (
    *(0.001, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035),
    *(0.04, 0.045, 0.05, 0.06, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.0, 5.0),
)
STEP_BUCKETS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 2.0, 5.0, 10.0)
"""Fine below the default hop of 1 s, which a step must not exceed."""
BATCH_BUCKETS: Final = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1000.0)
SIMILARITY_BUCKETS: Final = tuple(step / 10 for step in range(-10, 11))


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Described:
    """`name` as Prometheus shows it. `unit` of a value: a base unit, or what is counted."""

    name: str
    kind: Kind
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


def _counter(name: str, unit: str, meaning: str, *labels: str) -> Described:
    return Described(name, Kind.COUNTER, unit, meaning, labels)


def _gauge(name: str, unit: str, meaning: str, *labels: str) -> Described:
    return Described(name, Kind.GAUGE, unit, meaning, labels)


def _histogram(name: str, unit: str, meaning: str, buckets: tuple[float, ...]) -> Described:
    return Described(name, Kind.HISTOGRAM, unit, meaning, (), buckets)


LATENCY: Final = _histogram(
    "vfd_window_to_score_seconds",
    "seconds",
    "From the end of a window to its score.",
    LATENCY_BUCKETS_S,
)
SIMILARITY: Final = _histogram(
    "vfd_similarity",
    "cosine",
    "Similarity of voice and face of single windows, of everybody.",
    SIMILARITY_BUCKETS,
)
SCORED: Final = _counter("vfd_windows_scored_total", "windows", "Windows with a score.")
ABSTAINED: Final = _counter(
    "vfd_windows_abstained_total", "windows", "Windows without a score, by why.", "reason"
)
SCORE_SHIFT: Final = _gauge(
    "vfd_score_shift",
    "deviations",
    "Of the people who match: their mean less the calibrated one, in deviations between people; "
    "none for fewer than five.",
)
HOP: Final = _gauge("vfd_hop_seconds", "seconds", "Between two scores of one participant.")

ENGINE_UP: Final = _gauge("vfd_engine_up", "bool", "1 while the engine answers.")
STEP: Final = _histogram(
    "vfd_engine_step_seconds",
    "seconds",
    "Of the engine's thread for everybody's windows of one hop; beyond the hop windows are lost.",
    STEP_BUCKETS_S,
)
BATCH: Final = _histogram(
    "vfd_engine_step_windows", "windows", "Scored together in one hop.", BATCH_BUCKETS
)
MODEL_INFO: Final = _gauge(
    "vfd_model_info",
    "bool",
    "1; the labels say which model is in use and what it has seen.",
    "model",
    "sha256",
    "trained_on",
    "engine",
    "synthetic",
)

PARTICIPANTS: Final = _gauge(
    "vfd_participants", "participants", "Live participants by state.", "state"
)
LIMIT: Final = _gauge("vfd_participants_limit", "participants", "Taken in at most at a time.")
JOINED: Final = _counter("vfd_participants_joined_total", "participants", "Taken in.")
REFUSED: Final = _counter(
    "vfd_participants_refused_total", "participants", "Turned away because the monitor was full."
)
TRUNCATED: Final = _gauge(
    "vfd_participants_truncated",
    "participants",
    "Live participants beyond metrics.max_participants, without series of their own; those in "
    "doubt have theirs first.",
)
WHO: Final = ("call", "participant")
PARTICIPANT_SIMILARITY: Final = _gauge(
    "vfd_participant_similarity", "cosine", "Smoothed similarity, where there is one.", *WHO
)
PARTICIPANT_STATE: Final = _gauge(
    "vfd_participant_state", "bool", "1 for the state that holds.", *WHO, "state"
)
PARTICIPANT_SPEECH: Final = _gauge(
    "vfd_participant_speech_ratio", "ratio", "Share of speech in the last window.", *WHO
)
SKEW: Final = _gauge(
    "vfd_av_skew_seconds",
    "seconds",
    "How much later than the sound the pictures of the same instant come, where known.",
    *WHO,
)

PICTURES: Final = _counter(
    "vfd_pictures_total", "pictures", "Looked at for a face, by what came of it.", "outcome"
)
KEYFRAMES_REQUESTED: Final = _counter(
    "vfd_keyframes_requested_total", "keyframes", "That publishers were asked for."
)
KEYFRAMES_RECEIVED: Final = _counter(
    "vfd_keyframes_received_total", "keyframes", "That came in whole, asked for or not."
)
KEYFRAMES_DROPPED: Final = _counter(
    "vfd_keyframes_dropped_total",
    "keyframes",
    "And frames of bursts, that too many others waited before.",
)

CALLS: Final = _gauge("vfd_calls", "calls", "Asked for, by state.", "state")
CALLS_JOINED: Final = _counter("vfd_calls_joined_total", "calls", "Times that a call was joined.")
CALLS_FAILED: Final = _counter(
    "vfd_calls_failed_total",
    "calls",
    "Times that a call could not be joined or was lost, by what was the trouble.",
    "trouble",
)
STREAM_LATENCY: Final = _gauge(
    "vfd_stream_latency_seconds", "seconds", "How far behind its live edge a stream is.", "call"
)
STREAM_SKIPPED: Final = _counter(
    "vfd_stream_skipped_seconds_total",
    "seconds",
    "Media of a live stream that was left out to get back to its edge.",
    "call",
)

ALERTS: Final = _counter("vfd_alerts_total", "alerts", "Raised, by kind.", "kind")
DRILL_ALERTS: Final = _counter(
    "vfd_drill_alerts_total", "alerts", "Raised by drills, which wake nobody, by kind.", "kind"
)
DRILLS: Final = _counter("vfd_drills_total", "drills", "Held, by outcome.", "outcome")
DELIVERY_ENABLED: Final = _gauge(
    "vfd_alert_delivery_enabled",
    "bool",
    "0 while alerts mean nothing (weights trained on synthetic people) and nobody is called.",
)
DELIVERIES: Final = _counter(
    "vfd_deliveries_total",
    "messages",
    "Alerts on their way, by what came of it.",
    "sink",
    "outcome",
)
OUTBOX_OLDEST: Final = _gauge(
    "vfd_outbox_oldest_seconds",
    "seconds",
    "Age of the oldest alert that is not delivered yet; 0 where none waits.",
)
OUTBOX_MESSAGES: Final = _gauge(
    "vfd_outbox_messages", "messages", "That wait for delivery.", "webhook"
)
STORE_UP: Final = _gauge(
    "vfd_store_up", "bool", "1 while alerts are written where they are meant to be."
)
STORE_LOST: Final = _counter(
    "vfd_store_writes_lost_total",
    "writes",
    "Given up because the disk took none for too long.",
)
STORE_ASIDE: Final = _counter(
    "vfd_store_set_aside_total", "stores", "That were corrupt and set aside."
)
EVENTS_DROPPED: Final = _counter(
    "vfd_events_dropped_total", "events", "Lost by listeners that were slow."
)

QUEUE_OLDEST: Final = _gauge(
    "vfd_queue_oldest_seconds",
    "seconds",
    "Age of the oldest work that is not finished: a picture before the face detector, a hop in the "
    "engine; 0 where there is none.",
    "queue",
)
LAG: Final = _histogram(
    "vfd_event_loop_lag_seconds",
    "seconds",
    "How late the event loop woke a sleeper.",
    LAG_BUCKETS_S,
)
STAGE_CPU: Final = _counter(
    "vfd_stage_cpu_seconds_total", "seconds", "CPU time of the process by stage.", "stage"
)
PROCESS: Final = (  # prometheus_client's ProcessCollector
    _counter("process_cpu_seconds_total", "seconds", "CPU time of the process."),
    _gauge("process_resident_memory_bytes", "bytes", "Memory in use."),
    _gauge("process_virtual_memory_bytes", "bytes", "Addresses in use."),
    _gauge("process_start_time_seconds", "seconds", "When it began, since 1970."),
    _gauge("process_open_fds", "descriptors", "Open."),
    _gauge("process_max_fds", "descriptors", "Open at most."),
)

CATALOGUE: Final[tuple[Described, ...]] = (
    *(LATENCY, SIMILARITY, SCORED, ABSTAINED, SCORE_SHIFT, HOP),
    *(ENGINE_UP, STEP, BATCH, MODEL_INFO),
    *(PARTICIPANTS, LIMIT, JOINED, REFUSED, TRUNCATED),
    *(PARTICIPANT_SIMILARITY, PARTICIPANT_STATE, PARTICIPANT_SPEECH, SKEW),
    *(PICTURES, KEYFRAMES_REQUESTED, KEYFRAMES_RECEIVED, KEYFRAMES_DROPPED),
    *(CALLS, CALLS_JOINED, CALLS_FAILED, STREAM_LATENCY, STREAM_SKIPPED),
    *(ALERTS, DRILL_ALERTS, DRILLS, DELIVERY_ENABLED, DELIVERIES, EVENTS_DROPPED),
    *(OUTBOX_OLDEST, OUTBOX_MESSAGES, STORE_UP, STORE_LOST, STORE_ASIDE),
    *(QUEUE_OLDEST, LAG, STAGE_CPU, *PROCESS),
)


def as_markdown() -> str:
    """The catalogue as a page."""
    rows = "\n".join(
        f"| `{m.name}` | {m.kind} | {m.unit} | {', '.join(m.labels)} | {m.meaning} |"
        for m in CATALOGUE
    )
    return f"""\
# Metrics

What `GET /metrics` exposes, written from `monitor/catalogue.py`. Series of single participants are
there only while they are in a call, of `metrics.max_participants` at most.

| name | type | unit | labels | meaning |
|-|-|-|-|-|
{rows}
"""
