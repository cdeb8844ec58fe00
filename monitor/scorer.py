"""Windows to similarities, through the engine."""

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from engines.engine import Engine, EngineError
from vfd.front_ends import FRONT_ENDS
from vfd.own import OwnMemory
from vfd.types import FaceFrame, Score, Window


class Scorer:
    """Windows to similarities. `front_end`: what the engine's checkpoint was trained with, a name
    of FRONT_ENDS. Called from one thread at a time."""

    def __init__(self, engine: Engine, faces_per_window: int, front_end: str = "stft512") -> None:
        self._engine = engine
        self._faces_per_window = faces_per_window
        self._front_end = FRONT_ENDS[front_end]
        self._pictures = np.empty((engine.best_batch, 1, *self._front_end.shape), np.float32)
        self._faces = WeakKeyDictionary[FaceFrame, NDArray[np.float32]]()
        """Embeddings by identity of the frame, for as long as somebody's buffer holds it: a face is
        looked at for several seconds, and its owner may pause in between."""
        self._own = OwnMemory()

    def score(self, windows: Sequence[Window]) -> list[Score]:
        """One score a window, in order. Raises EngineError, or whatever the engine raises."""
        if not windows:
            return []
        voices = self._embed_voices(windows)
        used = [window.faces[: self._faces_per_window] for window in windows]
        self._embed_faces([face for faces in used for face in faces])
        return [
            self._score(window, voice, faces)
            for window, voice, faces in zip(windows, voices, used, strict=True)
        ]

    def probe(self) -> None:
        """Runs the engine on silence. Raises what it raises."""
        self._engine.embed_voice(np.zeros((1, 1, *self._front_end.shape), np.float32))

    def _embed_voices(self, windows: Sequence[Window]) -> list[NDArray[np.float32]]:
        voices: list[NDArray[np.float32]] = []
        batch = len(self._pictures)
        for start in range(0, len(windows), batch):
            part = windows[start : start + batch]
            for window, picture in zip(part, self._pictures, strict=False):
                self._front_end.compute(window.audio, picture)
            voices.extend(self._engine.embed_voice(self._pictures[: len(part)]))
        return voices

    def _embed_faces(self, faces: Sequence[FaceFrame]) -> None:
        new = [face for face in dict.fromkeys(faces) if face not in self._faces]
        batch = self._engine.best_batch
        for start in range(0, len(new), batch):
            part = new[start : start + batch]
            embeddings = self._engine.embed_faces(np.stack([face.rgb for face in part]))
            self._faces.update(zip(part, embeddings, strict=True))

    def _score(
        self, window: Window, voice: NDArray[np.float32], faces: Sequence[FaceFrame]
    ) -> Score:
        """Cosine between the voice and the mean direction of the faces (paper eq. 1)."""
        face = np.mean([self._faces[face] for face in faces], axis=0)
        norm = max(float(np.linalg.norm(face)), 1e-8)
        similarity = float(np.dot(voice, face)) / norm
        if not np.isfinite(similarity):
            raise EngineError("the engine returned numbers that are not finite")
        jump = self._own.jump(window.key, window.end_s, voice, face)
        similarity = min(1.0, max(-1.0, similarity))
        return Score(window.key, window.end_s, similarity, len(faces), jump)
