"""`vfd-train calibrate`: fits lambda, the statistics of the scores and the thresholds of decisions
into a checkpoint."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.caller_scores import JUMP
from training.score_files import Floats, ScoreTable
from vfd.calibration import ScoredWindows, fit_calibration
from vfd.checkpoint import Calibration, load_checkpoint, save_checkpoint
from vfd.operating import DecisionModel
from vfd.turns import fit_decision


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What a checkpoint said of its scores before, and says now. `decision` None: `why_not`."""

    before: Calibration
    now: Calibration
    decision: DecisionModel | None
    why_not: str = ""


def scored_windows_of(table: ScoreTable) -> tuple[ScoredWindows, Floats]:
    """Of the rows that have a score, and their jumps (0 where unknown). Rows of one clip are a
    stream where they have times.

    Raises ValueError when real or fake pairs are missing.
    """
    scored = table.rows(table.scored)
    timed = not np.isnan(scored.time_s).any()
    streams = np.char.add(np.char.add(scored.clip, "\n"), scored.face_id)
    alone = np.arange(len(scored)).astype(str)
    windows = ScoredWindows(
        scored.score,
        scored.real,
        scored.voice_id,
        scored.face_id,
        streams if timed else alone,
        np.nan_to_num(scored.time_s),
    )
    column = scored.attributes.get(JUMP, np.full(len(scored), ""))
    return windows, np.array([float(text) if text else 0.0 for text in column.tolist()])


def calibrate(checkpoint: Path, table: ScoreTable, out: Path) -> Calibrated:
    """Writes `checkpoint` with a new calibration to `out` (which may be the same file). Its tensors
    stay as they are.

    Raises CheckpointError, ValueError for scores that do not lie in [-1, 1]: they are no cosines.
    """
    scores = table.score[table.scored]
    if len(scores) and np.abs(scores).max() > 1.001:
        raise ValueError(
            f"scores reach {np.abs(scores).max():.3g}; a checkpoint's are cosines, in [-1, 1]"
        )
    loaded = load_checkpoint(checkpoint)
    windows, jumps = scored_windows_of(table)
    fitted = fit_calibration(windows)
    decision, why_not = None, ""
    try:
        decision = fit_decision(windows, jumps)
    except ValueError as error:
        why_not = str(error)
    info = dataclasses.replace(loaded.info, calibration=fitted, decision=decision)
    save_checkpoint(out, info, loaded.tensors)
    return Calibrated(loaded.info.calibration, fitted, decision, why_not)


def markdown(found: Calibrated) -> str:
    """What changed, and which rates can be chosen."""
    lines = ["| | before | now |", "|-|-|-|"]
    for field in dataclasses.fields(Calibration):
        values = (getattr(found.before, field.name), getattr(found.now, field.name))
        lines.append(f"| {field.name} | {values[0]:.4f} | {values[1]:.4f} |")
    if found.decision is None:
        return "\n".join([*lines, "", f"No decision by error rates: {found.why_not}."])
    rests = f"{found.decision.people} people, {found.decision.hours:.1f} hours of genuine windows"
    return "\n".join([*lines, "", f"Decisions rest on {rests}.", "", *_points(found.decision)])


def _points(decision: DecisionModel) -> list[str]:
    rows = [
        f"| {p.false_alarms_per_1000_hours:g} | {p.false_alarms_per_1000_people:g} "
        f"| {_share(p.caught)} | {_share(p.caught_change)} |"
        for p in decision.points
    ]
    header = (
        "| false alarms in 1,000 h | in 1,000 people | swaps caught: from the start | mid-call |"
    )
    return [header, "|-|-|-|-|", *rows]


def _share(value: float | None) -> str:
    return "out of reach" if value is None else f"{value:.1%}"
