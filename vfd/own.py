"""What a participant's own voice and face have been in this call, to notice when one jumps.

Kept in memory only, for as long as somebody is in the call: embeddings tell who somebody is.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vfd.types import ParticipantKey

Vectors = NDArray[np.floating[Any]]

MEMORY: Final = 60.0  # windows
STEP: Final = 0.05
"""Of a jump, in cosine, what a window is learnt in full for; one that jumps further is learnt by so
much less. A swap must not become what was, and a camera that was moved still does in the end."""
BOUNDED_AFTER: Final = 4  # windows, in which the means settle
FORGET_S: Final = 600.0
"""Of those who are not scored any more, by their own last window: long enough for a silent listener
to be known again; whoever left is gone after it."""
PRUNE_EVERY: Final = 1_000  # scores


class OwnVectors:
    """Running means of both embeddings, (..., D)."""

    def __init__(self) -> None:
        self._voice: Vectors | None = None
        self._face: Vectors | None = None
        self._windows = 0

    def jump(self, voice: Vectors, face: Vectors) -> Vectors:
        """By how much more one of the two differs from what it was than the other, (...) in [0, 2]
        in units of cosine; then remembers both.

        Somebody who takes the seat changes both, which is no swap of a face or a voice.
        """
        if self._voice is None or self._face is None:
            self._voice, self._face = np.zeros_like(voice), np.zeros_like(face)
        jump = np.abs(_distance(voice, self._voice) - _distance(face, self._face))
        settling = self._windows < BOUNDED_AFTER
        learnt = np.ones_like(jump) if settling else STEP / np.maximum(jump, STEP)
        known = self._windows > 0
        self._windows += 1
        gain = (learnt / min(self._windows, MEMORY))[..., None]
        self._voice = self._voice + gain * (voice - self._voice)
        self._face = self._face + gain * (face - self._face)
        return jump if known else np.zeros_like(jump)


class OwnMemory:
    """The vectors of everybody who is scored. For one thread."""

    def __init__(self) -> None:
        self._known: dict[ParticipantKey, tuple[float, OwnVectors]] = {}
        self._scores = 0

    def __len__(self) -> int:
        return len(self._known)

    def jump(self, key: ParticipantKey, end_s: float, voice: Vectors, face: Vectors) -> float:
        """Of the window that ends at `end_s`, in [0, 2]; 0 for the first of a participant."""
        _, own = self._known.get(key, (end_s, OwnVectors()))
        self._known[key] = end_s, own
        self._scores += 1
        if self._scores % PRUNE_EVERY == 0:
            self._known = {k: v for k, v in self._known.items() if end_s - v[0] < FORGET_S}
        return float(own.jump(voice, face))


def _distance(vector: Vectors, mean: Vectors) -> Vectors:
    """1 - cosine, (...)."""
    norm = np.linalg.norm(vector, axis=-1) * np.linalg.norm(mean, axis=-1)
    return np.asarray(1.0 - (vector * mean).sum(-1) / np.maximum(norm, 1e-8))
