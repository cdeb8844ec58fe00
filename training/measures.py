"""What a table of scores amounts to: every measure with its interval, and how much was scored."""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from training.score_files import Bools, ScoreTable, Strings
from vfd.intervals import FPRS, Measured, PairSet, measure, measure_difference
from vfd.metrics import Interval

RESAMPLES: Final = 1000


@dataclass(frozen=True, slots=True)
class Result:
    """`measured`: see `vfd.intervals`; empty where real or fake pairs are missing. `auc_same_sex`:
    real pairs against fakes whose voice and face have one sex, None where sexes are unknown.
    `threshold`: lambda, None where nobody chose one. Pairs and identities count those scored;
    `coverage` is the share of all pairs that is."""

    measured: Measured
    auc_same_sex: Interval | None
    threshold: float | None
    n_real: int
    n_fake: int
    n_identities: int
    coverage: float

    @property
    def n_pairs(self) -> int:
        return self.n_real + self.n_fake

    @property
    def auc(self) -> Interval | None:
        return self.measured.get("auc")


def result_of(
    table: ScoreTable, threshold: float | None, resamples: int = RESAMPLES, seed: int = 0
) -> Result:
    """`threshold` must have been chosen on other data than these."""
    scored = table.rows(table.scored)
    measured: Measured = {}
    if scored.real.any() and not scored.real.all():
        measured = measure(pair_set(scored), threshold, resamples, seed)
    return Result(
        measured=measured,
        auc_same_sex=_auc_same_sex(scored, resamples, seed),
        threshold=threshold,
        n_real=int(scored.real.sum()),
        n_fake=int((~scored.real).sum()),
        n_identities=scored.identities if len(scored) else 0,
        coverage=table.coverage if len(table) else 0.0,
    )


def pair_set(scored: ScoreTable) -> PairSet:
    """Of rows that all have a score."""
    return PairSet(scored.score, scored.real, scored.voice_id, scored.face_id)


def difference(
    first: ScoreTable,
    second: ScoreTable,
    thresholds: tuple[float | None, float | None] = (None, None),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Measured:
    """`first` less `second`, of rows that `training.score_files.common_rows` put side by side: a
    paired bootstrap by identity."""
    return measure_difference(pair_set(first), pair_set(second), thresholds, resamples, seed)


def differences(
    first: ScoreTable,
    second: ScoreTable,
    thresholds: tuple[float | None, float | None] = (None, None),
    resamples: int = RESAMPLES,
) -> Measured:
    """`difference`, and `auc_same_sex` among it where sexes are known."""
    measured = difference(first, second, thresholds, resamples)
    rows = same_sex(first)
    if rows is not None and first.real[rows].any() and not first.real[rows].all():
        within = difference(first.rows(rows), second.rows(rows), resamples=resamples)
        measured |= {"auc_same_sex": within["auc"]}
    return measured


def pooled(table: ScoreTable, by: tuple[str, ...]) -> ScoreTable:
    """One row for each combination of the columns `by` (of clip, voice_id, face_id) and the label,
    with the mean of the scores there are: what patience gains. Attributes of the first row."""
    key = np.where(table.real, "real", "fake")
    for name in by:
        key = np.char.add(np.char.add(key, "\n"), getattr(table, name))
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    scored = table.scored
    sums = np.bincount(group[scored], table.score[scored], len(first))
    counts = np.bincount(group[scored], minlength=len(first))
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    rows = table.rows(first)
    return ScoreTable(
        rows.clip,
        rows.voice_id,
        rows.face_id,
        rows.real,
        means,
        np.full(len(first), np.nan),
        rows.attributes,
    )


def same_sex(table: ScoreTable) -> Bools | None:
    """Rows whose voice and face have one sex; None where sexes are unknown."""
    voice, face = (table.attributes.get(name) for name in ("voice_sex", "face_sex"))
    if voice is None or face is None or not (_known(voice) & _known(face)).any():
        return None
    return np.asarray(_known(voice) & (voice == face))


def as_dict(result: Result) -> dict[str, Any]:
    """For JSON: None stands for what could not be measured. A rate at FPR F needs 1 / F pairs of
    the kind that is counted against it."""
    values: dict[str, Any] = {}
    for name in ("auc", "eer", "ap", "accuracy", "balanced_accuracy"):
        values |= _three(name, result.measured.get(name))
    values |= _three("auc_same_sex", result.auc_same_sex)
    for name, prefix, against in (
        ("tpr_at_fpr", "tpr_at_fpr_", result.n_fake),
        ("detected_at_false_alarms", "detected_at_", result.n_real),
    ):
        rates = {f"{fpr:g}": result.measured.get(f"{prefix}{fpr:g}") for fpr in FPRS}
        enough = {f: i for f, i in rates.items() if i and against >= 1 / float(f)}
        values[name] = {f: enough[f].value if f in enough else None for f in rates}
        values[f"{name}_low"] = {f: _number(enough[f].low) if f in enough else None for f in rates}
        values[f"{name}_high"] = {
            f: _number(enough[f].high) if f in enough else None for f in rates
        }
    return values | {
        "lambda": result.threshold,
        "n_pairs": result.n_pairs,
        "n_real": result.n_real,
        "n_fake": result.n_fake,
        "n_identities": result.n_identities,
        "coverage": result.coverage,
    }


def _auc_same_sex(scored: ScoreTable, resamples: int, seed: int) -> Interval | None:
    same = same_sex(scored)
    if same is None:
        return None
    rows = scored.rows(same)
    if not rows.real.any() or rows.real.all():
        return None
    return measure(pair_set(rows), None, resamples, seed)["auc"]


def _known(column: Strings) -> Bools:
    return np.asarray(column != "")


def _three(name: str, interval: Interval | None) -> dict[str, float | None]:
    if interval is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {
        name: interval.value,
        f"{name}_low": _number(interval.low),
        f"{name}_high": _number(interval.high),
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
