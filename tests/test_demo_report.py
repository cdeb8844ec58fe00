"""The outcome of a demonstration, from scripted words of the callers and of the service."""

import json
import math
from typing import Any

import pytest

from monitor.demo_report import FIRST_WINDOW_S, Record, Summary, histogram_quantile, stage_seconds

METRICS = """\
# TYPE vfd_event_loop_lag_seconds histogram
vfd_event_loop_lag_seconds_bucket{le="0.001"} 50
vfd_event_loop_lag_seconds_bucket{le="0.01"} 90
vfd_event_loop_lag_seconds_bucket{le="0.05"} 100
vfd_event_loop_lag_seconds_bucket{le="+Inf"} 100
vfd_event_loop_lag_seconds_count 100
vfd_event_loop_lag_seconds_sum 1
# TYPE vfd_stage_cpu_seconds counter
vfd_stage_cpu_seconds_total{stage="faces"} 1.5
vfd_stage_cpu_seconds_total{stage="engine"} 2.5
"""
CAST = {
    "event": "cast",
    "people": ["amira", "dana"],
    "always_speaking": ["amira"],
    "swapped": "dana",
    "oracle_similarity": None,
}


def score(participant: str, end_s: float, similarity: float = 0.5) -> dict[str, Any]:
    return {
        "type": "score",
        "participant": participant,
        "end_s": end_s,
        "similarity": similarity,
        "latency_s": 0.2,
        "speech": 0.9,
    }


def abstention(participant: str, end_s: float, reason: str) -> dict[str, Any]:
    return {
        "type": "abstention",
        "participant": participant,
        "end_s": end_s,
        "reason": reason,
        "speech": 0.1,
    }


def call(alerts: list[tuple[str, float]]) -> Record:
    """A call that is swapped at second 20; `alerts`: who, when."""
    record = Record(seed=3)
    record.heard_from_call(CAST)
    for name in ("amira", "dana"):
        record.heard_from_call({"event": "joined", "participant": name, "time_s": 0.0})
    for second in range(1, 31):
        record.heard_from_monitor(score("amira", float(second)), second + 0.2)
        record.heard_from_monitor(abstention("dana", float(second), "no_speech"), second + 0.2)
        record.memory(float(second), 100.0)
    record.heard_from_call({"event": "swapped", "participant": "dana", "time_s": 20.0})
    for name, at_s in alerts:
        event = {"type": "alert", "kind": "opened", "participant": name}
        record.heard_from_monitor(event, at_s)
    return record


def outcome(alerts: list[tuple[str, float]]) -> Summary:
    return call(alerts).summary(METRICS, {"total": 1.0})


def test_one_alert_on_the_swapped_one_after_the_swap_is_as_promised() -> None:
    summary = outcome([("dana", 26.0)])
    assert summary.as_promised
    assert summary.time_to_detect_s == pytest.approx(6.0)
    assert summary.windows_scored == 30
    assert summary.windows_abstained == {"no_speech": 30}
    assert summary.window_to_score_p95_s == pytest.approx(0.2)
    assert math.isinf(summary.oracle_similarity)
    assert summary.to_json()["oracle_similarity"] is None


@pytest.mark.parametrize(
    "alerts",
    [
        [],
        [("amira", 26.0)],
        [("dana", 12.0)],
        [("dana", 26.0), ("amira", 27.0)],
        [("dana", 26.0), ("dana", 29.0)],
    ],
    ids=["none", "somebody else", "before the swap", "one too many", "twice"],
)
def test_anything_else_is_not(alerts: list[tuple[str, float]]) -> None:
    assert not outcome(alerts).as_promised


def test_the_scored_share_begins_with_the_first_whole_window() -> None:
    record = Record(seed=1)
    record.heard_from_call(CAST)
    record.heard_from_call({"event": "joined", "participant": "amira", "time_s": 10.0})
    record.heard_from_monitor(abstention("amira", 10 + FIRST_WINDOW_S - 0.1, "audio_gap"), 14.0)
    record.heard_from_monitor(score("amira", 15.0), 15.2)
    record.heard_from_monitor(abstention("amira", 16.0, "no_face"), 16.2)
    assert record.summary(METRICS, {}).scored_share == pytest.approx(0.5)


@pytest.mark.parametrize(("reason", "share"), [("no_speech", 1.0), ("audio_gap", 0.5)])
def test_silence_is_no_step_of_who_is_silent_half_of_the_time(reason: str, share: float) -> None:
    record = Record(seed=1)
    record.heard_from_call(CAST)
    record.heard_from_monitor(score("chen", 15.0), 15.2)
    record.heard_from_monitor(abstention("chen", 16.0, reason), 16.2)
    assert record.summary(METRICS, {}).scored_share == pytest.approx(share)


def test_what_could_not_be_measured_is_null() -> None:
    record = Record(seed=1)
    record.heard_from_call(CAST)
    written = json.dumps(record.summary("", {}).to_json(), allow_nan=False)
    assert json.loads(written)["window_to_score_p95_s"] is None


def test_memory_is_judged_after_the_warm_up() -> None:
    record = Record(seed=1)
    for second in range(90):
        record.memory(float(second), 100.0 + (second if second < 30 else 30 + (second - 30) / 60))
    slope = record.summary(METRICS, {}).rss_slope_mb_per_minute
    assert slope == pytest.approx(1.0)


def test_quantiles_are_linear_within_a_bucket() -> None:
    assert histogram_quantile(METRICS, "vfd_event_loop_lag_seconds", 0.5) == pytest.approx(0.001)
    assert histogram_quantile(METRICS, "vfd_event_loop_lag_seconds", 0.95) == pytest.approx(0.03)
    assert math.isnan(histogram_quantile(METRICS, "vfd_no_such_seconds", 0.5))


def test_stage_seconds_reads_the_counters() -> None:
    assert stage_seconds(METRICS) == {"faces": 1.5, "engine": 2.5}
