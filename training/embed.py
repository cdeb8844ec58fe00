"""Vectors of prepared clips, one window and one face of each."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from training.augment import first_window
from training.batches import Clips, as_float, voice_input
from training.network import TrainedModel

BATCH: Final = 64
Vectors = NDArray[np.float32]


@torch.inference_mode()
def embed_clips(
    model: TrainedModel, clips: Clips, chosen: Sequence[int], line: str
) -> dict[str, Vectors]:
    """For every tower that is trained ("voice", "face") what the losses read, (chosen, V): of the
    first three seconds and the first crop of each clip, as its variant of `line` has them. Puts the
    model in evaluation mode."""
    model.eval()
    variants = clips.line(line)
    found: dict[str, list[Vectors]] = {name: [] for name in model.heads.recipe.towers}
    for start in range(0, len(chosen), BATCH):
        part = [(int(clip), int(variants[clip])) for clip in chosen[start : start + BATCH]]
        if "voice" in found:
            windows = [first_window(as_float(clips.audio(c, v))) for c, v in part]
            found["voice"].append(_vectors(model, "voice", voice_input(windows, model.config)))
        if "face" in found:
            crops = [clips.crop(c, 0, v) for c, v in part]
            found["face"].append(_vectors(model, "face", torch.from_numpy(np.stack(crops))))
    return {name: np.concatenate(vectors) for name, vectors in found.items()}


def _vectors(model: TrainedModel, name: str, samples: torch.Tensor) -> Vectors:
    device = next(model.parameters()).device
    x_BCHW = model.inputs(name, samples.to(device))
    head = getattr(model.heads, name)
    vectors: Vectors = head(getattr(model, name)(x_BCHW)).float().cpu().numpy()
    return vectors
