"""The classifier of the variants in Table 2, as training leaves it beside a checkpoint: it judges a
clip where other models compare a voice with a face."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from training.score_files import Floats
from vfd.checkpoint import load_checkpoint

HEADS_SUFFIX: Final = ".heads.pt"


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """Reads the vectors of `towers` ("voice", "face") side by side, as they leave the towers, with
    `weight` (V of each tower) and `bias`. `threshold`: from which logit on a clip counts as real,
    chosen on validation."""

    towers: tuple[str, ...]
    weight: Floats
    bias: float
    threshold: float

    def logits(self, vectors: Mapping[str, NDArray[np.float32]]) -> Floats:
        """(B,), higher for real clips. `vectors`: (B, V) of each tower; others are passed over."""
        side_by_side = np.concatenate([vectors[name] for name in self.towers], axis=1)
        return np.asarray(side_by_side @ self.weight + self.bias)

    def __str__(self) -> str:
        return f"a classifier over the vector of {' and '.join(self.towers)}"


def heads_path(checkpoint: Path) -> Path:
    """The modulators (eq. 6) and the classifier that belong to a checkpoint, by name; they read the
    vectors of its towers."""
    return checkpoint.with_name(checkpoint.name + HEADS_SUFFIX)


def read_classifier(checkpoint: Path) -> Classifier | None:
    """That of `checkpoint`; None where cosines are compared.

    Raises ValueError for a file that says neither over which towers nor from where on it is real.
    """
    path = heads_path(checkpoint)
    if not path.exists():
        return None
    heads: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    if "classifier.weight" not in heads:
        return None
    try:
        return Classifier(
            tuple(heads["classifier.towers"]),
            heads["classifier.weight"][0].double().numpy(),
            float(heads["classifier.bias"]),
            float(heads["classifier.threshold"]),
        )
    except KeyError as error:
        raise ValueError(f"{path}: has no {error}; train it again") from None


def threshold_in(checkpoint: Path) -> float:
    """Lambda of the checkpoint, or where its classifier begins to say real."""
    classifier = read_classifier(checkpoint)
    if classifier is not None:
        return classifier.threshold
    return load_checkpoint(checkpoint).info.calibration.threshold
