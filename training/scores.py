"""Embeds a split and scores its pairs: what validation, calibration and evaluation share."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from training.shards import PreparedPeople, spectrograms
from vfd.checkpoint import Calibration
from vfd.metrics import roc
from vfd.model import VfdModel

BATCH: Final = 64
Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """Unit vectors of a split: `voices` (identities, clips, V), `faces` (identities, crops, V);
    `male` (identities,)."""

    voices: Vectors
    faces: Vectors
    male: NDArray[np.bool_]


@torch.inference_mode()
def embed(model: VfdModel, people: PreparedPeople, male: NDArray[np.bool_]) -> Embedded:
    """Every crop, and the first three seconds of every clip."""
    crops = [(i, k) for i in range(len(people)) for k in range(people.faces)]
    clips = [(i, k) for i in range(len(people)) for k in range(people.voices)]
    faces, voices = [], []
    for start in range(0, len(crops), BATCH):
        pictures = np.stack([people.crop(i, k) for i, k in crops[start : start + BATCH]])
        faces.append(model.embed_faces(torch.from_numpy(pictures)).numpy())
    for start in range(0, len(clips), BATCH):
        part = [people.clip(i, k) for i, k in clips[start : start + BATCH]]
        sounds = spectrograms(part, np.zeros(len(part), dtype=np.intp))
        voices.append(model.embed_voice(torch.from_numpy(sounds)).numpy())
    return Embedded(
        np.concatenate(voices).reshape(len(people), people.voices, -1),
        np.concatenate(faces).reshape(len(people), people.faces, -1),
        male,
    )


def similarities(embedded: Embedded) -> NDArray[np.float32]:
    """(voice identity, face identity, clip, crop): the cosine of every window with every crop."""
    scores: NDArray[np.float32] = np.einsum(
        "ivd,jfd->ijvf", embedded.voices, embedded.faces, optimize=True
    )
    return scores


def calibrate(scores: NDArray[np.float32]) -> Calibration:
    """The statistics of `similarities`, of at least two people. The threshold makes the fewest
    errors when matched and swapped pairs are equally frequent; it lies midway between two scores
    seen."""
    people = len(scores)
    own = np.eye(people, dtype=bool)
    real, fake = scores[own].reshape(people, -1), scores[~own].reshape(people * (people - 1), -1)
    curve = roc(real.ravel(), fake.ravel())
    errors = curve.fpr + 1 - curve.tpr
    best = int(np.argmin(errors))
    return Calibration(
        threshold=float(curve.thresholds[best : best + 2].mean()),
        real_mean=float(real.mean()),
        real_std_between=float(real.mean(axis=1).std()),
        real_std_within=float(np.sqrt(real.var(axis=1).mean())),
        fake_mean=float(fake.mean()),
        fake_std_between=float(fake.mean(axis=1).std()),
        fake_std_within=float(np.sqrt(fake.var(axis=1).mean())),
    )
