"""Real inputs to judge an engine by: three seconds of speech and aligned face crops, by person.

A few synthetic people come with the package; `vfd-train export-validation` writes a file with
hundreds. Sound is stored, not spectrograms: so a file serves every front end.
"""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engines.engine import Embeddings, Engine, EngineError
from vfd.front_ends import FRONT_ENDS
from vfd.model_config import ModelConfig
from vfd.types import FACE_SIZE_PX, WINDOW_SAMPLES

FULL_SCALE: Final = 32_768


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """`windows` (n, 48000) int16 at 16 kHz, `voice_ids` (n,) says whose; `crops` (m, 224, 224, 3)
    uint8, `face_ids` (m,) says whose."""

    windows: NDArray[np.int16]
    voice_ids: NDArray[np.int64]
    crops: NDArray[np.uint8]
    face_ids: NDArray[np.int64]

    def spectrograms(self, config: ModelConfig) -> NDArray[np.float32]:
        """(n, 1, height, width): what the voice tower of `config` reads."""
        front_end = FRONT_ENDS[config.front_end]
        sound = self.windows.astype(np.float32) / np.float32(FULL_SCALE)
        return np.stack([front_end.compute(window) for window in sound])


_ROWS: Final[dict[str, tuple[tuple[int, ...], type]]] = {
    "windows": ((WINDOW_SAMPLES,), np.int16),
    "voice_ids": ((), np.int64),
    "crops": ((FACE_SIZE_PX, FACE_SIZE_PX, 3), np.uint8),
    "face_ids": ((), np.int64),
}


def packaged_samples() -> Path:
    """Four synthetic people, two clips and two crops of each."""
    return Path(__file__).parent / "samples.npz"


def load_samples(path: Path) -> Samples:
    """Raises EngineError, naming the file and the array, for anything that is no such file."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in _ROWS}
    except FileNotFoundError:
        raise EngineError(f"{path}: there is no such file") from None
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise EngineError(
            f"{path}: is no file of validation inputs ({error}); "
            "write one with vfd-train export-validation"
        ) from error
    for name, (row, kind) in _ROWS.items():
        array = found[name]
        if array.dtype != kind or array.ndim != len(row) + 1 or array.shape[1:] != row:
            raise EngineError(f"{path}: {name} are {array.shape} {array.dtype}")
    for rows, ids in (("windows", "voice_ids"), ("crops", "face_ids")):
        if not len(found[rows]) or len(found[rows]) != len(found[ids]):
            raise EngineError(f"{path}: {len(found[rows])} {rows} but {len(found[ids])} {ids}")
    return Samples(**found)


def embed_samples(
    engine: Engine, samples: Samples, config: ModelConfig
) -> tuple[Embeddings, Embeddings]:
    """Voices (n, V) and faces (m, V), in batches as the engine likes them. Raises EngineError."""
    voices = in_batches(engine.embed_voice, samples.spectrograms(config), engine.best_batch)
    return voices, in_batches(engine.embed_faces, samples.crops, engine.best_batch)


def in_batches(
    embed: Callable[[NDArray[Any]], Embeddings], rows: NDArray[Any], batch: int
) -> Embeddings:
    """`embed` over all rows, at most `batch` at a time."""
    parts = [embed(rows[start : start + batch]) for start in range(0, len(rows), batch)]
    return np.concatenate(parts)
