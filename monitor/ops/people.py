"""Dashboards of who is watched: all of them, one call, one participant."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard, QueryVariable

from monitor.ops.panels import board, choice, fill, graph, number
from monitor.ops.queries import (
    CALL,
    ME,
    PERSON,
    happened,
    mismatches,
    quantiles,
    rate,
    series,
    total,
)

INSTANCE: Final = choice("instance", "label_values(vfd_engine_up, instance)", several=True)
NAME: Final = "{{participant}}"


def overview() -> Dashboard:
    allowed = f"min({series('vfd_alert_delivery_enabled')})"
    oldest = f"max({series('vfd_outbox_oldest_seconds')})"
    reasons = f"sum by (reason) ({rate('vfd_windows_abstained_total')}) > 0"
    return fill(
        board("overview", "overview", INSTANCE),
        number("Monitors down", "short", f"count({series('up')} == 0) or vector(0)", bad_from=1),
        number("Participants", "short", f"sum({series('vfd_participants')})"),
        number("Mismatches", "short", f"sum({mismatches('vfd_participants', ME)})", bad_from=1),
        number("Calls", "short", f"sum({series('vfd_calls')})"),
        number("Oldest undelivered alert", "s", oldest, bad_from=60),
        number("Alerts leave the monitor", "bool_yes_no", allowed),
        graph("Participants by state", "short", total("vfd_participants", "state")),
        graph(
            "Mismatches by call",
            "short",
            (mismatches("call:vfd_participants:count", ME), "{{call}}"),
        ),
        graph(
            "Share of windows with a score",
            "percentunit",
            (series("instance:vfd_windows_scored:ratio_rate5m"), "{{instance}}"),
            about="Of those in which somebody spoke and was seen.",
        ),
        graph("Why windows have no score", "ops", (reasons, "{{reason}}")),
        graph("Alerts", "short", (happened("vfd_alerts_total", "kind"), "{{kind}}")),
        graph(
            "Deliveries",
            "short",
            (happened("vfd_deliveries_total", "sink, outcome"), "{{sink}} {{outcome}}"),
        ),
        graph("Similarity, all windows", "short", *quantiles("vfd_similarity", 0.05, 0.5, 0.95)),
        graph(
            "Comings and refusals",
            "short",
            (happened("vfd_participants_joined_total"), "joined"),
            (happened("vfd_participants_refused_total"), "refused"),
            (f"sum({series('vfd_participants_truncated')})", "without series of their own"),
        ),
    )


def one_call() -> Dashboard:
    count = f"count({mismatches('vfd_participant_state', CALL)}) or vector(0)"
    return fill(
        board("call", "one call", INSTANCE, _calls()),
        number("Participants", "short", f"count({series('vfd_participant_state', CALL)})"),
        number("Mismatches", "short", count, bad_from=1),
        graph("Smoothed similarity", "short", (series("vfd_participant_similarity", CALL), NAME)),
        graph("States", "short", (series("call:vfd_participants:count", CALL), "{{state}}")),
        graph(
            "Share of speech", "percentunit", (series("vfd_participant_speech_ratio", CALL), NAME)
        ),
        graph("Pictures later than sound", "s", (series("vfd_av_skew_seconds", CALL), NAME)),
        graph(
            "Behind the live edge",
            "s",
            (series("vfd_stream_latency_seconds", CALL), "{{call}}"),
            (rate("vfd_stream_skipped_seconds_total", CALL), "left out, a second"),
            about="Of streams only.",
        ),
    )


def one_participant() -> Dashboard:
    people = series("vfd_participant_state", CALL)
    person = choice("participant", f"label_values({people}, participant)")
    mismatch = f"count({mismatches('vfd_participant_state', PERSON)}) or vector(0)"
    similarity = series("vfd_participant_similarity", PERSON)
    return fill(
        board("participant", "one participant", INSTANCE, _calls(), person),
        number("Similarity", "short", similarity),
        number("Mismatch", "bool_yes_no", mismatch, bad_from=1),
        graph("Smoothed similarity", "short", (similarity, NAME)),
        graph("State", "short", (series("vfd_participant_state", PERSON), "{{state}}")),
        graph(
            "Share of speech", "percentunit", (series("vfd_participant_speech_ratio", PERSON), NAME)
        ),
        graph("Pictures later than sound", "s", (series("vfd_av_skew_seconds", PERSON), NAME)),
    )


def _calls() -> QueryVariable:
    return choice("call", f"label_values({series('vfd_participant_state')}, call)")
