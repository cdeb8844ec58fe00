"""Writes people of a prepared folder as the one file by which engines are judged.

`vfd-engine build --int8` and `vfd-engine verify` read it. It holds three seconds of sound of every
real clip, every crop, and whose they are; `engines` states the exact arrays.
"""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.clips import Split
from training.lines import CALL
from training.shard_set import ShardSet, open_split
from vfd.types import WINDOW_SAMPLES


def export_validation(data: Path, out: Path, split: Split, people: int | None = None) -> int:
    """The first `people` of a split (None: all) into `out`, an .npz file, as a call sends them (as
    recorded, where nothing was sent); how many people those are.

    Raises FileNotFoundError and ShardError as `open_split` does.
    """
    prepared = open_split(data, split)
    chosen = np.flatnonzero(prepared.real & (prepared.identity < (people or prepared.identities)))
    variants = {int(clip): _variant(prepared, int(clip)) for clip in chosen}
    faces = [(c, v, k) for c, v in variants.items() for k in range(prepared.crops(c, v))]
    partial = out.with_name(f".{out.name}.partial")
    with partial.open("wb") as file:
        np.savez_compressed(
            file,
            windows=np.stack([_window(prepared.audio(c, v)) for c, v in variants.items()]),
            voice_ids=prepared.identity[list(variants)],
            crops=np.stack([prepared.crop(c, k, v) for c, v, k in faces]),
            face_ids=prepared.identity[[c for c, _, _ in faces]],
        )
    os.replace(partial, out)
    return len(set(prepared.identity[chosen].tolist()))


def _variant(prepared: ShardSet, clip: int) -> int:
    lines = [variant.line for variant in prepared.records[clip].variants]
    return lines.index(CALL.name) if CALL.name in lines else 0


def _window(audio: NDArray[np.int16]) -> NDArray[np.int16]:
    """What is shorter than a window is repeated."""
    return np.resize(audio[:WINDOW_SAMPLES], WINDOW_SAMPLES)
