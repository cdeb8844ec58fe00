"""Writes people of a prepared folder as the one file by which engines are judged.

`vfd-engine build --int8` and `vfd-engine verify` read it. It holds three seconds of sound of every
clip, every crop, and whose they are; `engines` states the exact arrays.
"""

import os
from pathlib import Path

import numpy as np

from training.prepare import Split
from training.shards import PreparedPeople
from vfd.types import WINDOW_SAMPLES


def export_validation(data: Path, out: Path, split: Split, people: int | None = None) -> int:
    """The first `people` of a split (None: all) into `out`, an .npz file; how many those are.

    Raises FileNotFoundError and ValueError as `PreparedPeople` does.
    """
    prepared = PreparedPeople(data, split)
    chosen = range(len(prepared) if people is None else min(people, len(prepared)))
    voices = [(i, k) for i in chosen for k in range(prepared.voices)]
    faces = [(i, k) for i in chosen for k in range(prepared.faces)]
    partial = out.with_name(f".{out.name}.partial")
    with partial.open("wb") as file:
        np.savez_compressed(
            file,
            windows=np.stack([prepared.clip(i, k)[:WINDOW_SAMPLES] for i, k in voices]),
            voice_ids=np.array([i for i, _ in voices], dtype=np.int64),
            crops=np.stack([prepared.crop(i, k) for i, k in faces]),
            face_ids=np.array([i for i, _ in faces], dtype=np.int64),
        )
    os.replace(partial, out)
    return len(chosen)
