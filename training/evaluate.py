"""Accuracy of a checkpoint on people never seen, or of any detector by its score file."""

import dataclasses
import json
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch

from training.baseline import fit_baseline
from training.classifier import Classifier, read_classifier, threshold_in
from training.clips import Split
from training.distributed import device_of
from training.evidence import Evidence, gather
from training.measures import RESAMPLES, Result, differences, pooled, result_of
from training.neutral import Neutral, best_possible, neutralised
from training.pairs import SWAPS, Pairs, clip_pairs, swapped_pairs, table_of
from training.readers.synthetic import is_synthetic
from training.score_files import ScoreTable
from training.shard_files import REPORT
from training.shard_set import ShardSet, open_split
from training.slices import slices
from vfd.checkpoint import Calibration, Checkpoint, load_checkpoint
from vfd.intervals import Measured
from vfd.metrics import best_threshold
from vfd.model import VfdModel
from vfd.model_config import TOWERS

MODEL: Final = "model"
PATIENT: Final = "model, mean over windows and faces"
BEST: Final = "best possible"
TRIVIAL: Final = "colour and pitch"
SLICE_RESAMPLES: Final = 200  # many slices; their ends are read with one digit less
PairsKind = Literal["auto", "clips", "swaps"]


@dataclass(frozen=True, slots=True)
class Protocol:
    """How pairs are made. `pairs`: "clips" judges each clip as real or fake, "swaps" real clips
    against faces of others; "auto" takes the first for sets that hold fakes other than drawn ones.
    `windows` and `crops` of each clip at most, embedded on `device` ("auto", "cpu", "cuda")."""

    split: Split = Split.TEST
    line: str = "call"
    pairs: PairsKind = "auto"
    windows: int = 2
    crops: int = 2
    device: str = "auto"
    swaps: int = SWAPS
    seed: int = 0
    resamples: int = RESAMPLES


@dataclass(frozen=True, slots=True)
class SliceResult:
    attribute: str
    condition: str
    result: Result


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """`tables` and `results` by scorer, the first being the one that this is about. `differences`
    of its AUCs from those of others. `calibration` and `evidence` of a checkpoint; `classifier` of
    one that compares no cosines and has no calibration. `provenance` and `data` are facts to
    print."""

    name: str
    tables: dict[str, ScoreTable]
    results: dict[str, Result]
    slices: list[SliceResult]
    neutral: list[Neutral] = field(default_factory=list)
    differences: dict[str, Measured] = field(default_factory=dict)
    calibration: Calibration | None = None
    evidence: Evidence | None = None
    classifier: Classifier | None = None
    provenance: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def main(self) -> str:
        return next(iter(self.tables))

    @property
    def towers(self) -> tuple[str, ...]:
        """That had a say; of other detectors nothing is known."""
        return TOWERS if self.classifier is None else self.classifier.towers

    @property
    def table(self) -> ScoreTable:
        return self.tables[self.main]

    @property
    def result(self) -> Result:
        return self.results[self.main]


def evaluate(checkpoint: Path, folder: Path, protocol: Protocol) -> Evaluation:
    """Scores the pairs of one split and line, by cosine or by the classifier beside the checkpoint.

    Raises CheckpointError, FileNotFoundError, ValueError (ShardError for a line that is not there).
    """
    loaded = load_checkpoint(checkpoint)
    evidence, table = score_checkpoint(checkpoint, folder, protocol)
    synthetic = all(is_synthetic(name) for name in evidence.clips.datasets)
    tables = {MODEL: table}
    if synthetic:
        tables[BEST] = best_possible(table)
    trivial = _trivial(folder, evidence, protocol, table)
    if trivial is not None:
        tables[TRIVIAL] = trivial
    by_clip = _kind(evidence, protocol) == "clips"
    tables[PATIENT] = pooled(table, ("clip",) if by_clip else ("voice_id", "face_id"))
    classifier, threshold = read_classifier(checkpoint), threshold_in(checkpoint)
    fewer = min(SLICE_RESAMPLES, protocol.resamples)
    results = {
        name: result_of(rows, threshold if name in (MODEL, PATIENT) else None, protocol.resamples)
        for name, rows in tables.items()
    }
    return Evaluation(
        name=f"{checkpoint.stem} on {', '.join(evidence.clips.datasets)}, {protocol.line}",
        tables=tables,
        results=results,
        slices=_sliced(table, threshold, protocol.resamples),
        neutral=neutralised(table, tables[BEST], fewer) if synthetic else [],
        differences={
            name: _of_aucs(differences(*_scored(table, tables[name]), resamples=protocol.resamples))
            for name in (BEST, TRIVIAL)
            if name in tables and results[name].auc is not None
        },
        calibration=loaded.info.calibration if classifier is None else None,
        evidence=evidence,
        classifier=classifier,
        provenance=provenance(checkpoint, loaded) | {"judged by": str(classifier or "cosine")},
        data=_data(folder) | dataclasses.asdict(protocol),
    )


def score_checkpoint(
    checkpoint: Path, folder: Path, protocol: Protocol
) -> tuple[Evidence, ScoreTable]:
    """The table of a checkpoint's scores, and what they were computed from."""
    evidence, _, table = gather_pairs(checkpoint, folder, protocol)
    return evidence, table


def gather_pairs(
    checkpoint: Path, folder: Path, protocol: Protocol
) -> tuple[Evidence, Pairs, ScoreTable]:
    """What a checkpoint makes of a split, which pairs are judged, and their scores."""
    clips = open_split(folder, protocol.split)
    model = VfdModel.from_checkpoint(checkpoint).eval().to(device_of(protocol.device))
    classifier = read_classifier(checkpoint)
    evidence = gather(
        model, clips, protocol.line, protocol.windows, protocol.crops, unit=classifier is None
    )
    clips.close()
    pairs = _pairs(evidence, protocol)
    table = table_of(evidence, pairs)
    if classifier is not None:
        vectors = {"voice": evidence.voice[pairs.voice], "face": evidence.face[pairs.face]}
        table = table.with_scores(classifier.logits(vectors))
    return evidence, pairs, table


def evaluate_scores(
    tables: dict[str, ScoreTable], threshold: float | None, resamples: int = RESAMPLES
) -> Evaluation:
    """Any detectors by their scores; lambda (chosen on other data) is that of the first."""
    main = next(iter(tables))
    return Evaluation(
        name=", ".join(tables),
        tables=tables,
        results={
            name: result_of(table, threshold if name == main else None, resamples)
            for name, table in tables.items()
        },
        slices=_sliced(tables[main], threshold, resamples),
    )


def threshold_of(validation: ScoreTable) -> float:
    """Lambda, chosen on the scores of a validation set."""
    scored = validation.rows(validation.scored)
    return best_threshold(scored.score[scored.real], scored.score[~scored.real])


def _pairs(evidence: Evidence, protocol: Protocol) -> Pairs:
    if _kind(evidence, protocol) == "clips":
        return clip_pairs(evidence)
    return swapped_pairs(evidence, protocol.swaps, protocol.seed)


def _kind(evidence: Evidence, protocol: Protocol) -> PairsKind:
    if protocol.pairs != "auto":
        return protocol.pairs
    drawn = all(is_synthetic(name) for name in evidence.clips.datasets)
    return "swaps" if drawn or evidence.clips.real.all() else "clips"


def _trivial(
    folder: Path, evidence: Evidence, protocol: Protocol, table: ScoreTable
) -> ScoreTable | None:
    """The baseline learns from another split, the training one where there is one; None for a
    folder that holds test people alone."""
    other = _split_to_learn_from(folder, protocol.split)
    if other is None:
        return None
    learnt: ShardSet = open_split(folder, other)
    baseline = fit_baseline(learnt, protocol.line)
    learnt.close()
    pairs = _pairs(evidence, protocol)
    scores = baseline.scores(evidence.pitch[pairs.voice], evidence.colour[pairs.face])
    return table.with_scores(scores)


def _split_to_learn_from(folder: Path, judged: Split) -> Split | None:
    for split in (Split.TRAIN, Split.VALIDATION):
        if split != judged and any(folder.glob(f"{split}-*.jsonl")):
            return split
    return None


def _sliced(table: ScoreTable, threshold: float | None, resamples: int) -> list[SliceResult]:
    fewer = min(SLICE_RESAMPLES, resamples)
    return [
        SliceResult(s.attribute, s.condition, result_of(table.rows(s.rows), threshold, fewer))
        for s in slices(table)
    ]


def _scored(first: ScoreTable, second: ScoreTable) -> tuple[ScoreTable, ScoreTable]:
    """Rows that both scored, of two tables of the same rows."""
    rows = first.scored & second.scored
    return first.rows(rows), second.rows(rows)


def _of_aucs(measured: Measured) -> Measured:
    return {name: value for name, value in measured.items() if name.startswith("auc")}


def provenance(checkpoint: Path, loaded: Checkpoint) -> dict[str, str]:
    """Where the numbers come from."""
    info = loaded.info
    return {
        "checkpoint": checkpoint.name,
        "sha256": loaded.sha256,
        "tensors_sha256": loaded.tensors_sha256,
        "trained on": info.trained_on,
        "made by": info.command,
        "commit": info.commit,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }


def _data(folder: Path) -> dict[str, Any]:
    report = json.loads((folder / REPORT).read_text())
    wanted = ("dataset", "clips_of_split", "dropped")
    return {name: report[name] for name in wanted if name in report}
