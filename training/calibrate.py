"""`vfd-train calibrate`: fits lambda and the statistics of the scores into a checkpoint."""

import dataclasses
from pathlib import Path

import numpy as np

from training.score_files import ScoreTable
from vfd.calibration import ScoredWindows, fit_calibration
from vfd.checkpoint import Calibration, load_checkpoint, save_checkpoint


def calibration_of(table: ScoreTable) -> Calibration:
    """Of the rows that have a score. Rows of one clip are a stream where they have times.

    Raises ValueError when real or fake pairs are missing.
    """
    scored = table.rows(table.scored)
    timed = not np.isnan(scored.time_s).any()
    streams = np.char.add(np.char.add(scored.clip, "\n"), scored.face_id)
    alone = np.arange(len(scored)).astype(str)
    return fit_calibration(
        ScoredWindows(
            scored.score,
            scored.real,
            scored.voice_id,
            scored.face_id,
            streams if timed else alone,
            np.nan_to_num(scored.time_s),
        )
    )


def calibrate(checkpoint: Path, table: ScoreTable, out: Path) -> tuple[Calibration, Calibration]:
    """Writes `checkpoint` with a new calibration to `out` (which may be the same file); the old and
    the new one.

    Raises CheckpointError, ValueError for scores that do not lie in [-1, 1]: they are no cosines.
    """
    scores = table.score[table.scored]
    if len(scores) and np.abs(scores).max() > 1.001:
        raise ValueError(
            f"scores reach {np.abs(scores).max():.3g}; a checkpoint's are cosines, in [-1, 1]"
        )
    loaded = load_checkpoint(checkpoint)
    fitted = calibration_of(table)
    info = dataclasses.replace(loaded.info, calibration=fitted)
    save_checkpoint(out, info, loaded.tensors)
    return loaded.info.calibration, fitted


def markdown(old: Calibration, new: Calibration) -> str:
    """What changed."""
    lines = ["| | before | now |", "|-|-|-|"]
    for field in dataclasses.fields(Calibration):
        values = (getattr(old, field.name), getattr(new, field.name))
        lines.append(f"| {field.name} | {values[0]:.4f} | {values[1]:.4f} |")
    return "\n".join(lines)
