"""Batches of identities: one window of each voice, two crops of each face, lightly changed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.shards import PreparedPeople, spectrograms, trait_table
from vfd.model import scale_faces
from vfd.types import FACE_SIZE_PX, WINDOW_SAMPLES, Rgb

FACES_EACH: Final = 2  # the face learns more slowly and costs less than half of the voice
MAX_SHIFT_PX: Final = 6  # landmarks of the detector wander by about half of that
MAX_GAIN: Final = 0.15  # of each colour, about mid grey


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """B identities. `voices` (B, 1, 512, 300); `faces` (FACES_EACH * B, 3, 224, 224) in [-1, 1],
    the first B rows one crop of each identity, the next B another; `identity` (B,) int64; traits
    (B, A)."""

    voices: Tensor
    faces: Tensor
    identity: Tensor
    voice_traits: Tensor
    face_traits: Tensor


def batches(people: PreparedPeople, size: int, rng: np.random.Generator) -> Iterator[Batch]:
    """Without end; every identity once before any comes again, the rest of an epoch left out.

    Raises ValueError when there are fewer identities than `size`.
    """
    if len(people) < size:
        raise ValueError(f"{len(people)} identities do not fill a batch of {size}")
    voice_traits, face_traits = trait_table(people.seeds)
    while True:
        order = rng.permutation(len(people))
        for start in range(0, len(order) - size + 1, size):
            chosen = order[start : start + size]
            yield Batch(
                torch.from_numpy(_voices(people, chosen, rng)),
                _faces(people, chosen, rng),
                torch.from_numpy(chosen),
                torch.from_numpy(voice_traits[chosen]),
                torch.from_numpy(face_traits[chosen]),
            )


def _voices(
    people: PreparedPeople, chosen: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.float32]:
    clips = [people.clip(int(i), int(rng.integers(people.voices))) for i in chosen]
    starts = np.array([rng.integers(len(clip) - WINDOW_SAMPLES + 1) for clip in clips])
    return spectrograms(clips, starts)


def _faces(people: PreparedPeople, chosen: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
    picks = np.stack([rng.permutation(max(people.faces, FACES_EACH)) for _ in chosen])
    picks = picks[:, :FACES_EACH] % people.faces
    crops = [
        _shifted(people.crop(int(i), int(pick[k])), rng)
        for k in range(FACES_EACH)
        for i, pick in zip(chosen, picks, strict=True)
    ]
    faces = scale_faces(torch.from_numpy(np.stack(crops)))
    gain = 1 + MAX_GAIN * rng.uniform(-1, 1, (len(faces), 3, 1, 1)).astype(np.float32)
    offset = MAX_GAIN * rng.uniform(-1, 1, (len(faces), 1, 1, 1)).astype(np.float32)
    return faces.mul_(torch.from_numpy(gain)).add_(torch.from_numpy(offset)).clamp_(-1, 1)


def _shifted(crop: Rgb, rng: np.random.Generator) -> Rgb:
    """Moved by a few pixels; the edge is repeated."""
    right, down = rng.integers(-MAX_SHIFT_PX, MAX_SHIFT_PX + 1, 2)
    rows = np.clip(np.arange(FACE_SIZE_PX) + down, 0, FACE_SIZE_PX - 1)
    columns = np.clip(np.arange(FACE_SIZE_PX) + right, 0, FACE_SIZE_PX - 1)
    shifted: Rgb = crop[rows][:, columns]
    return shifted
