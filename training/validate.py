"""How well a model that is being trained tells real from fake, or own from other, on people that it
does not learn from."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from training.batches import Clips, Numbers
from training.distributed import Processes, gather_objects
from training.embed import Vectors, embed_clips
from training.network import TrainedModel
from training.recipe import Recipe
from vfd.metrics import auc, best_threshold

MAX_RIVALS: Final = 200  # swapped faces for each voice; more say nothing new
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Validation:
    """`figures` by name, of which "AUC" decides. Scored pairs: `score`, identities of voice and
    face, and whether they are real; empty where clips of one tower were compared. `cosines`: the
    scores are such, and can be calibrated; those of a classifier are logits."""

    figures: dict[str, float]
    score: Floats
    voice_identity: Numbers
    face_identity: Numbers
    real: NDArray[np.bool_]
    cosines: bool = True

    @property
    def threshold(self) -> float:
        """That makes the fewest errors here (paper eq. 10)."""
        return best_threshold(self.score[self.real], self.score[~self.real])

    def accuracy(self, threshold: float) -> float:
        """Share of pairs on their side of a threshold that was chosen on other data."""
        return float(((self.score >= threshold) == self.real).mean())


NO_PAIRS: Final = (
    np.empty(0),
    np.empty(0, dtype=np.int64),
    np.empty(0, dtype=np.int64),
    np.empty(0, dtype=np.bool_),
)


def validate(model: TrainedModel, clips: Clips, recipe: Recipe, processes: Processes) -> Validation:
    """Every process embeds its part; all return the same. Raises ValueError for a split that does
    not hold two identities, or for fine-tuning both real and fake clips."""
    chosen = choose(clips, recipe)
    own = embed_clips(
        model, clips, chosen[processes.rank :: processes.count].tolist(), recipe.run.line
    )
    parts = gather_objects(own)
    vectors = {name: _interleaved([part[name] for part in parts]) for name in own}
    if recipe.loss.objective == "match":
        return _of_pretraining(vectors, clips, chosen, recipe)
    identity, real = clips.identity[chosen], clips.real[chosen]
    if real.all() or not real.any():
        raise ValueError("the validation split of fine-tuning must hold real and fake clips")
    classifies = recipe.loss.objective == "classify"
    if classifies:
        tensors = {n: torch.from_numpy(v).to(processes.device) for n, v in vectors.items()}
        with torch.inference_mode():
            score = model.heads.logits(tensors).double().cpu().numpy()
    else:
        score = (unit(vectors["voice"]) * unit(vectors["face"])).sum(axis=1).astype(np.float64)
    figures = {"AUC": auc(score[real], score[~real])}
    return Validation(figures, score, identity, identity, real, cosines=not classifies)


def choose(clips: Clips, recipe: Recipe) -> Numbers:
    """At most `run.validation_clips`, evenly over the split; pre-training looks at real ones."""
    usable = np.arange(len(clips))
    if recipe.loss.objective == "match":
        usable = np.flatnonzero(clips.real)
    if len(np.unique(clips.identity[usable])) < 2:
        raise ValueError("the validation split must hold clips of at least two identities")
    wanted = min(recipe.run.validation_clips, len(usable))
    return np.asarray(usable[np.linspace(0, len(usable) - 1, wanted).round().astype(np.int64)])


def unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-8), dtype=np.float32)


def _of_pretraining(
    vectors: dict[str, Vectors], clips: Clips, chosen: Numbers, recipe: Recipe
) -> Validation:
    """Voices against faces of their own and of other identities. Where matching is not trained
    (Table 2 without InfoNCE): clips of one tower against one another, the mean over towers."""
    identity = clips.identity[chosen]
    if recipe.loss.match_weight == 0:
        areas = [_auc_within(unit(v), identity) for v in vectors.values()]
        return Validation({"AUC": float(np.mean(areas))}, *NO_PAIRS)
    voice, face = _pairs(identity, recipe.run.seed)
    cosines = (unit(vectors["voice"])[voice] * unit(vectors["face"])[face]).sum(axis=1)
    score = cosines.astype(np.float64)
    real = identity[voice] == identity[face]
    figures = {"AUC": auc(score[real], score[~real])}
    if clips.traits is not None:
        sex = clips.traits[0][chosen, 0]  # the first trait of synthetic people
        rivals = ~real & (sex[voice] == sex[face])
        figures["AUC within one sex"] = auc(score[real], score[rivals])
    return Validation(figures, score, identity[voice], identity[face], real)


def _pairs(identity: Numbers, seed: int) -> tuple[Numbers, Numbers]:
    """Rows of voices and faces: all of one identity, and at most MAX_RIVALS others a voice."""
    rng = np.random.default_rng(seed)
    rows = []
    for voice, own in enumerate(identity):
        others = np.flatnonzero(identity != own)
        if len(others) > MAX_RIVALS:
            others = rng.choice(others, MAX_RIVALS, replace=False)
        faces = np.concatenate([np.flatnonzero(identity == own), others])
        rows.append(np.stack([np.full(len(faces), voice), faces]))
    voices, faces = np.concatenate(rows, axis=1)
    return voices, faces


def _auc_within(units: Vectors, identity: Numbers) -> float:
    """Pairs of different clips of one tower."""
    first, second = np.triu_indices(len(units), k=1)
    score = (units @ units.T)[first, second]
    same = identity[first] == identity[second]
    if not same.any():
        raise ValueError("the validation split must hold two clips of some identity")
    return auc(score[same], score[~same])


def _interleaved(parts: list[Vectors]) -> Vectors:
    """The inverse of dealing rows out to processes in turn."""
    total = np.empty((sum(map(len, parts)), parts[0].shape[1]), dtype=np.float32)
    for rank, part in enumerate(parts):
        total[rank :: len(parts)] = part
    return total
