"""Accuracy on people never seen, beside the best possible and a trivial baseline."""

import dataclasses
import json
import math
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from training.baseline import Baseline, colours, pitches
from training.people import draw_person, oracle_similarity
from training.prepare import INDEX, Split
from training.scores import Embedded, embed
from training.shards import PreparedPeople, trait_table
from vfd.checkpoint import CheckpointInfo, load_checkpoint
from vfd.metrics import Interval, auc_interval, eer
from vfd.model import VfdModel

SWAPS: Final = 40  # swapped faces for each voice: 20 or so of its own sex
IMPOSSIBLE: Final = -1e9  # stands for minus infinity, which no resampling can add up
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """What is scored, a row for every pair: identities (numbers in the split) of voice and face,
    which clip and which crop of theirs."""

    voice: NDArray[np.intp]
    face: NDArray[np.intp]
    clip: NDArray[np.intp]
    crop: NDArray[np.intp]

    @property
    def matched(self) -> Bools:
        return np.asarray(self.voice == self.face)


@dataclass(frozen=True, slots=True)
class Accuracy:
    """AUC of one scorer with its 95 % interval, over all pairs and over pairs of one sex, and the
    equal error rate over all."""

    overall: Interval
    within_sex: Interval
    eer: float


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that `training/reports/accuracy.md` says. `accuracy` by scorer; `headway`: how far
    the model gets from 0.5 to the best possible, overall and within one sex."""

    identities: int
    pairs: int
    accuracy: dict[str, Accuracy]
    headway: tuple[float, float]
    errors_at_threshold: tuple[float, float]
    calibration: dict[str, float]
    provenance: dict[str, str]
    data: dict[str, Any]


def evaluate(checkpoint: Path, data: Path, seed: int = 0) -> Report:
    """Scores matched and swapped pairs of the test split.

    Raises CheckpointError, FileNotFoundError, ValueError.
    """
    loaded = load_checkpoint(checkpoint)
    people = PreparedPeople(data, Split.TEST)
    male = trait_table(people.seeds)[0][:, 0] > 0
    pairs = draw_pairs(len(people), people.voices, people.faces, seed)
    embedded = embed(VfdModel.from_checkpoint(checkpoint), people, male)
    scores = {
        "model": pair_scores(embedded, pairs),
        "best possible": _oracle_scores(people, pairs),
        "colour and pitch": _baseline_scores(
            Baseline(PreparedPeople(data, Split.TRAIN)), people, pairs
        ),
        "model, mean of all clips and crops": _pooled_scores(embedded, pairs),
    }
    accuracy = {name: measure(values, pairs, male) for name, values in scores.items()}
    threshold = loaded.info.calibration.threshold
    matched = pairs.matched
    return Report(
        identities=len(people),
        pairs=len(matched),
        accuracy=accuracy,
        headway=_headway(accuracy["model"], accuracy["best possible"]),
        errors_at_threshold=(
            float((scores["model"][matched] < threshold).mean()),
            float((scores["model"][~matched] >= threshold).mean()),
        ),
        calibration=dataclasses.asdict(loaded.info.calibration),
        provenance=_provenance(checkpoint, loaded.info, loaded.sha256),
        data=_data(data),
    )


def draw_pairs(people: int, clips: int, crops: int, seed: int) -> Pairs:
    """Every clip with a crop of its own person and, together, SWAPS crops of others."""
    rng = np.random.default_rng(seed)
    rows = []
    for voice in range(people):
        rows += [(voice, voice, clip, clip % crops) for clip in range(clips)]
        swaps = min(SWAPS, people - 1)
        others = (voice + 1 + rng.choice(people - 1, swaps, replace=False)) % people
        rows += [
            (voice, int(face), int(rng.integers(clips)), int(rng.integers(crops)))
            for face in others
        ]
    columns = np.array(rows, dtype=np.intp).T
    return Pairs(*columns)


def measure(scores: Floats, pairs: Pairs, male: Bools) -> Accuracy:
    """AUC with intervals by identity. `male` (identities,)."""
    matched = pairs.matched
    same = male[pairs.voice] == male[pairs.face]
    return Accuracy(
        overall=auc_interval(scores, matched, pairs.voice, pairs.face),
        within_sex=auc_interval(scores[same], matched[same], pairs.voice[same], pairs.face[same]),
        eer=eer(scores[matched], scores[~matched]),
    )


def pair_scores(embedded: Embedded, pairs: Pairs) -> Floats:
    """The cosine of one window with one crop, as the monitor scores them."""
    voices = embedded.voices[pairs.voice, pairs.clip]
    faces = embedded.faces[pairs.face, pairs.crop]
    return np.asarray((voices * faces).sum(axis=1), dtype=np.float64)


def _pooled_scores(embedded: Embedded, pairs: Pairs) -> Floats:
    """The mean cosine over all clips and crops: what patience gains."""
    voices, faces = embedded.voices.mean(axis=1), embedded.faces.mean(axis=1)
    return np.asarray((voices[pairs.voice] * faces[pairs.face]).sum(axis=1), dtype=np.float64)


def _oracle_scores(people: PreparedPeople, pairs: Pairs) -> Floats:
    drawn = [draw_person(int(seed)) for seed in people.seeds]
    scores = [
        oracle_similarity(drawn[v].voice, drawn[f].face)
        for v, f in zip(pairs.voice, pairs.face, strict=True)
    ]
    return np.array([s if math.isfinite(s) else IMPOSSIBLE for s in scores])


def _baseline_scores(baseline: Baseline, people: PreparedPeople, pairs: Pairs) -> Floats:
    pitch = np.stack([pitches(people, k) for k in range(people.voices)], axis=1)
    colour = np.stack([colours(people, k) for k in range(people.faces)], axis=1)
    return baseline.scores(pitch[pairs.voice, pairs.clip], colour[pairs.face, pairs.crop])


def _headway(model: Accuracy, best: Accuracy) -> tuple[float, float]:
    return (
        (model.overall.value - 0.5) / (best.overall.value - 0.5),
        (model.within_sex.value - 0.5) / (best.within_sex.value - 0.5),
    )


def _provenance(checkpoint: Path, info: CheckpointInfo, sha256: str) -> dict[str, str]:
    return {
        "checkpoint": checkpoint.name,
        "sha256": sha256,
        "trained on": info.trained_on,
        "made by": info.command,
        "commit": info.commit,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, no GPU used",
    }


def _data(folder: Path) -> dict[str, Any]:
    index = json.loads((folder / INDEX).read_text())
    del index["shards"]
    return dict(index)
