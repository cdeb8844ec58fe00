"""The accuracy report as text for people and as JSON for programs."""

import dataclasses
import json
from pathlib import Path

from training.evaluate import Report
from vfd.metrics import Interval


def write_report(report: Report, folder: Path, command: str) -> None:
    """`accuracy.md` and `accuracy.json` in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "accuracy.md").write_text(markdown(report, command))
    (folder / "accuracy.json").write_text(as_json(report, command) + "\n")


def as_json(report: Report, command: str) -> str:
    """All numbers of the report and the command that made it."""
    return json.dumps(dataclasses.asdict(report) | {"command": command}, indent=1)


def markdown(report: Report, command: str) -> str:
    """The report that the README links."""
    refused, accepted = report.errors_at_threshold
    lines = [
        "# Accuracy of the shipped model on synthetic people",
        "",
        "People drawn by a program, none of them seen in training. **This says nothing about real",
        "people.** Faces went through VP8 at 500 kbit/s and the monitor's own face finder, voices",
        f"through Opus at 32 kbit/s. {report.identities} identities, {report.pairs} pairs of one",
        "3-second window and one face crop, as the monitor scores them. Within one sex: only pairs",
        "whose voice and face have the same sex. Intervals: 95 %, bootstrap over identities. The",
        "best possible is the likelihood ratio of the true traits, which no detector beats.",
        "",
        "| scorer | AUC overall | AUC within one sex | EER overall |",
        "|-|-|-|-|",
    ]
    lines += [
        f"| {name} | {_interval(a.overall)} | {_interval(a.within_sex)} | {100 * a.eer:.1f} % |"
        for name, a in report.accuracy.items()
    ]
    lines += [
        "",
        f"From 0.5 to the best possible the model goes {100 * report.headway[0]:.1f} % of the way "
        f"overall and {100 * report.headway[1]:.1f} % within one sex.",
        "",
        f"At the shipped threshold {100 * refused:.1f} % of the matched and "
        f"{100 * accepted:.1f} % of the swapped pairs fall on the wrong side, before any patience "
        "over time.",
        "",
        "## Calibration in the checkpoint",
        "",
        *_table(report.calibration),
        "",
        "## Provenance",
        "",
        f"Measured by `{command}`.",
        "",
        *_table(report.provenance),
        "",
        "## Data",
        "",
        *_table(report.data),
    ]
    return "\n".join(lines) + "\n"


def _interval(interval: Interval) -> str:
    return f"{interval.value:.4f} ({interval.low:.4f} to {interval.high:.4f})"


def _table(values: dict[str, float] | dict[str, str]) -> list[str]:
    rows = [
        f"| {name} | {value:.4f} |" if isinstance(value, float) else f"| {name} | {value} |"
        for name, value in values.items()
    ]
    return ["| | |", "|-|-|", *rows]
