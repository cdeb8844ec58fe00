import asyncio
import contextlib
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitor.collectors import Waiting
from monitor.config import Config, MetricsConfig, WhipConfig
from monitor.cpu import StageCpu
from monitor.keyframe_requests import KeyframeTally
from monitor.loop_lag import LoopLag
from monitor.metrics import Metrics, Outcome, Sink
from monitor.sessions import Registry, TooManyParticipants
from tests.fakes import ALICE, BOB, DECISION, LIMITS, checkpoint
from vfd.limits import sequential_limits
from vfd.types import ParticipantKey, Reason, Score


@pytest.fixture
def registry() -> Registry:
    return Registry(Config(), LIMITS)


@pytest.fixture
def metrics(registry: Registry) -> Metrics:
    return Metrics(registry, MetricsConfig(max_participants=2), StageCpu())


Labels = tuple[tuple[str, str], ...]


def read(metrics: Metrics) -> dict[tuple[str, Labels], float]:
    """Every sample by name and labels, as Prometheus would parse them."""
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return read(metrics).get((name, tuple(sorted(labels.items()))))


def test_verbs_become_series(metrics: Metrics) -> None:
    metrics.window_scored(0.21, -0.25)
    metrics.engine_stepped(0.12, 3)
    metrics.scoring_every(0.5)
    metrics.abstained(Reason.NO_SPEECH)
    metrics.alert_raised("opened")
    metrics.engine_changed(up=True)
    metrics.delivery(Sink.WEBHOOK, Outcome.DELIVERED)
    metrics.delivery_allowed(True)
    metrics.count_outbox(lambda: {"a": Waiting(2, 7.5), "b": Waiting(1, 0.5)})
    metrics.queue_ages({"engine": lambda: 0.25})
    metrics.loop_lagged(-0.001)
    metrics.model_loaded(checkpoint(), "openvino")
    assert value(metrics, "vfd_windows_scored_total") == 1
    assert value(metrics, "vfd_window_to_score_seconds_bucket", le="0.225") == 1
    assert value(metrics, "vfd_window_to_score_seconds_bucket", le="0.2") == 0
    assert value(metrics, "vfd_windows_abstained_total", reason="no_speech") == 1
    assert value(metrics, "vfd_windows_abstained_total", reason="cross_talk") == 0
    assert value(metrics, "vfd_alerts_total", kind="opened") == 1
    assert value(metrics, "vfd_alerts_total", kind="closed") == 0
    assert value(metrics, "vfd_engine_up") == 1
    assert value(metrics, "vfd_similarity_bucket", le="-0.2") == 1
    assert value(metrics, "vfd_similarity_bucket", le="-0.3") == 0
    assert value(metrics, "vfd_engine_step_seconds_bucket", le="0.2") == 1
    assert value(metrics, "vfd_engine_step_windows_bucket", le="2.0") == 0
    assert value(metrics, "vfd_hop_seconds") == 0.5
    assert value(metrics, "vfd_deliveries_total", sink="webhook", outcome="delivered") == 1
    assert value(metrics, "vfd_deliveries_total", sink="alertmanager", outcome="failed") == 0
    assert value(metrics, "vfd_alert_delivery_enabled") == 1
    assert value(metrics, "vfd_outbox_oldest_seconds") == 7.5
    assert value(metrics, "vfd_outbox_messages", webhook="b") == 1
    assert value(metrics, "vfd_queue_oldest_seconds", queue="engine") == 0.25
    assert value(metrics, "vfd_event_loop_lag_seconds_count") == 1
    assert (
        value(
            metrics,
            "vfd_model_info",
            model="nano",
            sha256="ab" * 32,
            trained_on="synthetic people v1",
            engine="openvino",
            synthetic="true",
        )
        == 1
    )
    metrics.engine_changed(up=False)
    assert value(metrics, "vfd_engine_up") == 0


def test_the_process_and_its_stages_are_there(metrics: Metrics) -> None:
    assert (value(metrics, "process_resident_memory_bytes") or 0) > 1e6
    assert (value(metrics, "vfd_stage_cpu_seconds_total", stage="receiver") or 0) > 0
    for stage in ("faces", "engine", "other"):
        assert value(metrics, "vfd_stage_cpu_seconds_total", stage=stage) is not None


def test_keyframes_are_counted_where_they_are_asked_for(metrics: Metrics) -> None:
    tally = KeyframeTally()
    metrics.count_keyframes(tally)
    tally.requested, tally.received, tally.dropped = 5, 3, 1
    exposed = metrics.render().decode()
    assert "vfd_keyframes_requested_total 5.0" in exposed
    assert "vfd_keyframes_received_total 3.0" in exposed
    assert "vfd_keyframes_dropped_total 1.0" in exposed


def test_participants_have_series_only_while_they_are_here(
    metrics: Metrics, registry: Registry
) -> None:
    alice = registry.join(ALICE, 0.0)
    who = {"call": "standup", "participant": "alice"}
    assert value(metrics, "vfd_participant_similarity", **who) is None
    for end_s in (1.0, 2.0, 3.0):
        alice.apply(Score(ALICE, end_s, 0.6, 1), speech=0.7)
    assert value(metrics, "vfd_participant_similarity", **who) == pytest.approx(0.6)
    assert value(metrics, "vfd_participant_state", state="match", **who) == 1
    assert value(metrics, "vfd_participant_speech_ratio", **who) == pytest.approx(0.7)
    assert value(metrics, "vfd_participants", state="match") == 1
    assert value(metrics, "vfd_av_skew_seconds", **who) is None
    alice.buffer.note_skew(0.25)
    assert value(metrics, "vfd_av_skew_seconds", **who) == pytest.approx(0.25)
    registry.leave(ALICE)
    assert not [name for name, labels in read(metrics) if ("participant", "alice") in labels]
    assert value(metrics, "vfd_participants", state="match") == 0


def test_series_are_bounded_and_it_is_said(metrics: Metrics, registry: Registry) -> None:
    for key in (ALICE, BOB, ParticipantKey("standup", "carol")):
        registry.join(key, 0.0)
    assert value(metrics, "vfd_participants_truncated") == 1
    assert value(metrics, "vfd_participants", state="unknown") == 3
    shown = [name for name, _ in read(metrics) if name == "vfd_participant_state"]
    assert len(shown) == 2


def test_who_is_in_doubt_has_series_before_who_is_not(metrics: Metrics, registry: Registry) -> None:
    carol = ParticipantKey("standup", "carol")
    for key in (ALICE, BOB, carol):
        registry.join(key, 0.0)
    for second in range(10):
        registry.sessions()[2].apply(Score(carol, float(second), -0.5, 1))
    assert value(
        metrics, "vfd_participant_state", call="standup", participant="carol", state="mismatch"
    )
    assert value(metrics, "vfd_participants_truncated") == 1


def test_who_comes_and_who_is_turned_away_is_counted() -> None:
    registry = Registry(Config(whip=WhipConfig(max_participants=1)), LIMITS)
    metrics = Metrics(registry, MetricsConfig(), StageCpu())
    registry.join(ALICE, 0.0)
    registry.join(ALICE, 1.0)
    with pytest.raises(TooManyParticipants):
        registry.join(BOB, 2.0)
    assert value(metrics, "vfd_participants_limit") == 1
    assert value(metrics, "vfd_participants_joined_total") == 1
    assert value(metrics, "vfd_participants_refused_total") == 1


def test_hostile_names_stay_inside_their_label(metrics: Metrics, registry: Registry) -> None:
    name = 'x"} 1\nvfd_engine_up 0 \\'
    registry.join(ParticipantKey("c", name), 0.0)
    key = (("call", "c"), ("participant", name), ("state", "unknown"))
    assert read(metrics)[("vfd_participant_state", key)] == 1


def test_two_monitors_fit_into_one_process(metrics: Metrics, registry: Registry) -> None:
    other = Metrics(registry, MetricsConfig(), StageCpu())
    metrics.window_scored(0.2, 0.5)
    assert value(other, "vfd_windows_scored_total") == 0


async def test_a_blocked_loop_shows_as_lag(metrics: Metrics) -> None:
    task = asyncio.create_task(LoopLag(metrics).run())
    await asyncio.sleep(0.06)
    time.sleep(0.2)  # noqa: ASYNC251 - the defect that the metric is for
    await asyncio.sleep(0.06)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    count = value(metrics, "vfd_event_loop_lag_seconds_count") or 0
    assert count - (value(metrics, "vfd_event_loop_lag_seconds_bucket", le="0.1") or 0) == 1


def test_scores_that_drift_are_seen(metrics: Metrics) -> None:
    limits = sequential_limits(DECISION, 1.0, 10.0)
    registry = Registry(Config(), limits)
    drifting = Metrics(registry, MetricsConfig(), StageCpu())
    for number in range(5):
        key = ParticipantKey("standup", f"p{number}")
        session = registry.join(key, 0.0)
        for end_s in range(12):
            session.apply(Score(key, float(end_s), 0.9, 1))
    assert "\nvfd_score_shift " not in metrics.render().decode()  # too few people
    found = registry.drift()
    assert found is not None
    assert found.shift is not None
    assert value(drifting, "vfd_score_shift") == pytest.approx(found.shift)
