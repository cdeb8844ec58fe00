"""Dashboards of what does the watching: the engine, the receiver."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from monitor.ops.panels import board, fill, graph, number
from monitor.ops.people import INSTANCE
from monitor.ops.queries import ME, happened, mean, quantiles, rate, series, total

WHICH: Final = "{{instance}}"


def engine() -> Dashboard:
    step_s = f"max({series('instance:vfd_engine_step_seconds:p95_1m')})"
    hop_s = f"max({series('vfd_hop_seconds')})"
    lost = f"max({series('instance:vfd_windows_lost:ratio_rate1m')})"
    model = "{{instance}}: {{model}} on {{engine}}, trained on {{trained_on}}"
    stages = f"sum by (stage) ({rate('vfd_stage_cpu_seconds_total')})"
    queues = f"max by (queue) ({series('vfd_queue_oldest_seconds')})"
    return fill(
        board("engine", "engine", INSTANCE),
        number("Engines that answer", "short", f"sum({series('vfd_engine_up')})"),
        number("Hop", "s", hop_s),
        number("One round, p95", "s", step_s, bad_from=0.8),
        number("Windows lost", "percentunit", lost, bad_from=0.05),
        graph(
            "One round of the engine",
            "s",
            *quantiles("vfd_engine_step_seconds", 0.5, 0.95),
            (hop_s, "hop"),
        ),
        graph("Windows a round", "short", mean("vfd_engine_step_windows")),
        graph(
            "From the end of a window to its score",
            "s",
            *quantiles("vfd_window_to_score_seconds", 0.5, 0.95, 0.99),
        ),
        graph("Oldest unfinished work", "s", (queues, "{{queue}}")),
        graph(
            "Windows a second",
            "ops",
            (series("instance:vfd_windows:rate1m"), f"{WHICH} all"),
            (rate("vfd_windows_scored_total"), f"{WHICH} scored"),
        ),
        graph("CPU by stage", "percentunit", (stages, "{{stage}}")),
        graph("Model in use", "short", (series("vfd_model_info"), model)),
    )


def receiver() -> Dashboard:
    lag_s = f"max({series('instance:vfd_event_loop_lag_seconds:p99_5m')})"
    taken = f"sum({series('vfd_participants')}) / sum({series('vfd_participants_limit')})"
    pictures = f"sum by (outcome) ({rate('vfd_pictures_total')}) > 0"
    ours = f'job="vfd-monitor",{ME}'  # everybody's processes have these names
    return fill(
        board("receiver", "receiver", INSTANCE),
        number("Loop lag, p99", "s", lag_s, bad_from=0.1),
        number("Places taken", "percentunit", taken, bad_from=0.9),
        graph("Lag of the event loop", "s", *quantiles("vfd_event_loop_lag_seconds", 0.5, 0.99)),
        graph(
            "Keyframes",
            "ops",
            *(
                (f"sum({rate(f'vfd_keyframes_{what}_total')})", what)
                for what in ("requested", "received", "dropped")
            ),
        ),
        graph("Pictures looked at", "ops", (pictures, "{{outcome}}")),
        graph("Calls", "short", total("vfd_calls", "state")),
        graph(
            "Joining calls",
            "short",
            (happened("vfd_calls_joined_total"), "joined"),
            (happened("vfd_calls_failed_total", "trouble"), "{{trouble}}"),
        ),
        graph("Events lost by slow listeners", "ops", (rate("vfd_events_dropped_total"), WHICH)),
        graph("Memory", "bytes", (series("process_resident_memory_bytes", ours), WHICH)),
        graph(
            "CPU of the process", "percentunit", (rate("process_cpu_seconds_total", ours), WHICH)
        ),
    )
