"""What a model makes of the clips of a split: a vector for every window of voice and every face."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from training.baseline import mean_colour, median_pitch
from training.shard_set import ShardSet
from vfd.front_ends import FRONT_ENDS
from vfd.model import VfdModel, scale_faces
from vfd.model_config import FACE_NORMALISATIONS
from vfd.speech import speech_share
from vfd.types import SAMPLE_RATE_HZ, WINDOW_SAMPLES

BATCH: Final = 32  # 20 MB of spectrograms
HOP_S: Final = 1.0  # as the monitor scores
Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """`clips` at the variants `variant` (clips,) of one line.

    Windows, a row each: `voice` (W, V), `voice_clip`, `end_s` in the clip, `speech` in [0, 1],
    `pitch` (see training.baseline). Faces, a row each: `face` (F, V), `face_clip`, `crop` (its
    number), `colour` (F, 3). Vectors are of unit length unless `gather` was asked for others.
    """

    clips: ShardSet
    variant: Rows
    voice: Vectors
    voice_clip: Rows
    end_s: Floats
    speech: Floats
    pitch: Floats
    face: Vectors
    face_clip: Rows
    crop: Rows
    colour: Floats


def gather(
    model: VfdModel,
    clips: ShardSet,
    line: str,
    windows: int = 2,
    crops: int = 2,
    *,
    unit: bool = True,
) -> Evidence:
    """The first `windows` windows, a hop apart, and the first `crops` crops of every clip, at
    `line`. Audio shorter than a window is repeated. `unit`: vectors of unit length, as cosines take
    them; else as they leave the towers, as a classifier reads them.

    Raises training.shard_table.ShardError for a line that the data do not have.
    """
    variant = clips.line(line)
    heard = _voices(model, clips, variant, windows, unit)
    seen = _faces(model, clips, variant, crops, unit)
    return Evidence(clips, variant, *heard, *seen)


@torch.inference_mode()
def _voices(
    model: VfdModel, clips: ShardSet, variant: Rows, windows: int, unit: bool
) -> tuple[Vectors, Rows, Floats, Floats, Floats]:
    rows: list[tuple[int, float, float, float]] = []
    device = next(model.parameters()).device
    embed = model.embed_voice if unit else model.voice
    collected = _Batches(lambda x: embed(torch.from_numpy(x).to(device)).cpu().numpy())
    compute = FRONT_ENDS[model.config.front_end].compute
    for clip in range(len(clips)):
        audio = clips.audio(clip, int(variant[clip])).astype(np.float32) / np.float32(32_768)
        for start in _starts(len(audio), windows):
            window = np.resize(audio[start : start + WINDOW_SAMPLES], WINDOW_SAMPLES)
            end_s = (start + WINDOW_SAMPLES) / SAMPLE_RATE_HZ
            rows.append((clip, end_s, speech_share(window), median_pitch(window)))
            collected.add(compute(window))
    table = np.array(rows, dtype=np.float64).T
    return collected.vectors(), table[0].astype(np.int64), table[1], table[2], table[3]


@torch.inference_mode()
def _faces(
    model: VfdModel, clips: ShardSet, variant: Rows, crops: int, unit: bool
) -> tuple[Vectors, Rows, Rows, Floats]:
    rows: list[tuple[int, int]] = []
    colours: list[Floats] = []
    device = next(model.parameters()).device
    embed = model.embed_faces if unit else partial(_face_vectors, model)
    collected = _Batches(lambda x: embed(torch.from_numpy(x).to(device)).cpu().numpy())
    for clip in range(len(clips)):
        for number in range(min(crops, clips.crops(clip, int(variant[clip])))):
            crop = clips.crop(clip, number, int(variant[clip]))
            rows.append((clip, number))
            colours.append(mean_colour(crop))
            collected.add(crop)
    table = np.array(rows, dtype=np.int64).T
    return collected.vectors(), table[0], table[1], np.array(colours)


def _face_vectors(model: VfdModel, crops_BHWC: torch.Tensor) -> torch.Tensor:
    """As they leave the tower."""
    normalisation = FACE_NORMALISATIONS[model.config.face_normalisation]
    vectors: torch.Tensor = model.face(scale_faces(crops_BHWC, normalisation))
    return vectors


class _Batches:
    """Embeds what is added, BATCH at a time, so that no more is held."""

    def __init__(self, embed: Callable[[NDArray[np.generic]], Vectors]) -> None:
        self._embed = embed
        self._waiting: list[NDArray[np.generic]] = []
        self._done: list[Vectors] = []

    def add(self, sample: NDArray[np.generic]) -> None:
        self._waiting.append(sample)
        if len(self._waiting) == BATCH:
            self._flush()

    def vectors(self) -> Vectors:
        if self._waiting:
            self._flush()
        return np.concatenate(self._done)

    def _flush(self) -> None:
        self._done.append(self._embed(np.stack(self._waiting)))
        self._waiting = []


def _starts(samples: int, windows: int) -> list[int]:
    """First samples of the windows that fit; one at least."""
    last = max(0, samples - WINDOW_SAMPLES)
    hop = round(HOP_S * SAMPLE_RATE_HZ)
    return list(range(0, last + 1, hop))[:windows]
