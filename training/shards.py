"""Reads what `training.prepare` wrote."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training import people, voice_synthesis
from training.people import TRAITS, FaceTraits, VoiceTraits, draw_person
from training.prepare import INDEX, Split
from vfd.spectrogram import stft512
from vfd.types import WINDOW_SAMPLES, Audio, Rgb


class PreparedPeople:
    """One split, but for people whose face was never found.

    Identities are numbered from 0; `seeds` (identities,) int64 says who they are, `faces` and
    `voices` how many crops and clips each has.

    Raises FileNotFoundError without a finished index, ValueError when the data were drawn by
    another version of the synthetic people, or the split is empty.
    """

    def __init__(self, folder: Path, split: Split) -> None:
        index = json.loads((folder / INDEX).read_text())
        for name, version in (
            ("people_version", people.VERSION),
            ("voice_version", voice_synthesis.VERSION),
        ):
            if index[name] != version:
                raise ValueError(f"{folder / INDEX}: {name} is {index[name]}, not {version}")
        shards = [s for s in index["shards"] if s["split"] == split]
        if not shards:
            raise ValueError(f"{folder / INDEX}: split {split} is empty")
        self.faces = int(index["amounts"]["faces"])
        self.voices = int(index["amounts"]["voices"])
        seeds = np.concatenate([np.array(s["seeds"], dtype=np.int64) for s in shards])
        shown = ~np.isin(seeds, index["missing"])
        self.seeds = seeds[shown]
        self._shard = np.repeat(np.arange(len(shards)), [len(s["seeds"]) for s in shards])[shown]
        self._row = np.concatenate([np.arange(len(s["seeds"])) for s in shards])[shown]
        self._faces = [np.load(folder / f"{s['name']}-faces.npy", mmap_mode="r") for s in shards]
        self._voices = [np.load(folder / f"{s['name']}-voices.npy", mmap_mode="r") for s in shards]

    def __len__(self) -> int:
        return len(self.seeds)

    def crop(self, identity: int, number: int) -> Rgb:
        """Crop `number` of an identity, (224, 224, 3) uint8."""
        crop: Rgb = self._faces[self._shard[identity]][self._row[identity], number]
        return crop

    def clip(self, identity: int, number: int) -> NDArray[np.int16]:
        """Clip `number` of an identity, (samples,) int16; at least WINDOW_SAMPLES long."""
        clip: NDArray[np.int16] = self._voices[self._shard[identity]][self._row[identity], number]
        return clip


def window(clip: NDArray[np.int16], start: int = 0) -> Audio:
    """Three seconds of a clip from sample `start` on, (48000,) float32 in [-1, 1]."""
    return clip[start : start + WINDOW_SAMPLES].astype(np.float32) / np.float32(32_768)


def spectrograms(clips: list[NDArray[np.int16]], starts: NDArray[np.intp]) -> NDArray[np.float32]:
    """(B, 1, 512, 300): what the voice tower reads of the windows at `starts`."""
    return np.stack([stft512(window(c, int(s))) for c, s in zip(clips, starts, strict=True)])


def trait_table(seeds: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What voices and faces are made from: two (identities, 1 + traits) float32, first the sex
    (male 1, female -1), then TRAITS in order."""
    drawn = [draw_person(int(seed)) for seed in seeds]
    voices = np.array([_row(person.voice) for person in drawn], dtype=np.float32)
    faces = np.array([_row(person.face) for person in drawn], dtype=np.float32)
    return voices, faces


def _row(traits: VoiceTraits | FaceTraits) -> list[float]:
    return [1.0 if traits.male else -1.0, *(getattr(traits, name) for name in TRAITS)]
