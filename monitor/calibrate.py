"""`vfd-monitor calibrate`: thresholds that fit the user's own genuine calls.

The weights stay as they are; what comes out is a file that `decision.calibration` names. What it
claims is what the calls can carry: no alarm in N hours bounds the rate at 3 / N (95 %).
"""

import argparse
import dataclasses
import os
import sys
from pathlib import Path

from monitor.assembly import configured_checkpoint, decision_limits
from monitor.config import Config, ConfigError
from monitor.config_file import load_config
from monitor.genuine_calls import Calls, CallsError, read_calls
from monitor.override import write_override
from vfd.checkpoint import Checkpoint, CheckpointError
from vfd.decision import Decider, DecisionLimits, State
from vfd.operating import DecisionModel
from vfd.operating_fit import fit_points
from vfd.rates import poisson_upper
from vfd.turns import genuine_of, known_swaps

EXIT_DONE, EXIT_BAD_INPUT = 0, 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `vfd-monitor calibrate`."""
    parser.add_argument(
        "--from",
        dest="source",
        required=True,
        metavar="EVENTS_OR_CALL",
        help="genuine calls: a file of events or of `watch --json`, or the URL of /v1/events",
    )
    parser.add_argument("--out", type=Path, required=True, help="file for decision.calibration")
    parser.add_argument("--config", type=Path, help="configuration file (TOML)")
    parser.add_argument(
        "--seconds", type=float, default=3_600.0, help="how long to listen to a URL"
    )


def run(arguments: argparse.Namespace) -> int:
    try:
        config = load_config(arguments.config, os.environ)
        checkpoint = configured_checkpoint(config)
        calls = read_calls(arguments.source, config.server.token, arguments.seconds)
        model = refitted(calls, checkpoint)
        limits = _limits(config, checkpoint, model)
        write_override(arguments.out, model, checkpoint.sha256, arguments.source)
    except (ConfigError, CheckpointError, CallsError, ValueError) as error:
        print(f"vfd-monitor: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except OSError as error:
        print(f"vfd-monitor: {arguments.out}: cannot be written: {error.strerror}", file=sys.stderr)
        return EXIT_BAD_INPUT
    hours = calls.hours(config.scoring.hop_s)
    print(report(calls.people, hours, alarms(calls, limits), limits))
    print(f"wrote {arguments.out}; set [decision].calibration to it")
    return EXIT_DONE


def refitted(calls: Calls, checkpoint: Checkpoint) -> DecisionModel:
    """The evidence of the checkpoint, with thresholds for these people. Takes half a minute. Raises
    ValueError for too few people, ConfigError for weights without decisions to go by."""
    base = checkpoint.info.decision
    if base is None:
        raise ConfigError("these weights hold no decision to start from (vfd-train calibrate)")
    genuine = genuine_of(calls.windows(), base)
    model = dataclasses.replace(
        base,
        person_mean=genuine.mean,
        person_sd=genuine.person_sd,
        people=genuine.people,
        hours=genuine.hours,
    )
    points = fit_points(model, genuine, known_swaps(checkpoint.info.calibration, base))
    return dataclasses.replace(model, points=points)


def _limits(config: Config, checkpoint: Checkpoint, model: DecisionModel) -> DecisionLimits:
    """At the configured rates, as a monitor with that file would decide."""
    asked = dataclasses.replace(config.decision, rule="sequential", calibration="")
    asked = dataclasses.replace(asked, suspect_below=None, match_above=None)
    info = dataclasses.replace(checkpoint.info, decision=model)
    return decision_limits(
        dataclasses.replace(config, decision=asked), dataclasses.replace(checkpoint, info=info)
    )


def alarms(calls: Calls, limits: DecisionLimits) -> dict[tuple[str, str], int]:
    """How often each stream alarms when it is decided again."""
    found = {}
    for key, outcomes in calls.streams.items():
        decider, before, count = Decider(limits), State.UNKNOWN, 0
        for outcome in outcomes:
            state = decider.update(outcome.end_s, outcome.similarity, outcome.jump).state
            count += state is State.MISMATCH and before is not State.MISMATCH
            before = state
        found[key] = count
    return found


def report(
    people: int, hours: float, found: dict[tuple[str, str], int], limits: DecisionLimits
) -> str:
    """What the calls can carry, in plain words."""
    point = limits.operating_point
    assert point is not None, "sequential limits have one"
    total = sum(found.values())
    accused = len({participant for (_, participant), count in found.items() if count})
    lines = [f"{people} people, {hours:.1f} participant-hours; {total} alarms when decided again."]
    lines += _claim("1,000 participant-hours", point.false_alarms_per_1000_hours, total, hours)
    lines += _claim("1,000 genuine people", point.false_alarms_per_1000_people, accused, people)
    lines.append(
        "Swaps caught at these rates, by the checkpoint's own swaps: "
        f"{_share(point.caught)} from the start on, {_share(point.caught_change)} in a call."
    )
    return "\n".join(lines)


def _claim(per: str, asked: float, alarms: int, amount: float) -> list[str]:
    """`amount` of what the rate is per."""
    bound = 1_000 * poisson_upper(alarms) / amount
    line = f"With 95 % confidence: at most {bound:.3g} false alarms in {per}."
    if bound <= asked:
        return [line]
    needed = 1_000 * poisson_upper(0) / asked
    unit = per.removeprefix("1,000 ")
    return [
        line,
        f"It cannot claim the {asked:g} that is configured: that takes {needed:,.0f} {unit} "
        "without an alarm. Until then it rests on the simulation.",
    ]


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.0%}"
