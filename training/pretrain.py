"""Pre-training on synthetic people, paper section 3.2.3: identity cross-entropy on both towers and
InfoNCE between them, with the known traits of synthetic people as further targets."""

import math
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from training import people
from training.batches import FACES_EACH, Batch, batches
from training.losses import identity_loss, info_nce, trait_loss
from training.network import PretrainModel, some_patches
from training.prepare import Split
from training.scores import calibrate, embed, similarities
from training.shards import PreparedPeople, trait_table
from vfd.checkpoint import FORMAT_VERSION, CheckpointInfo, save_checkpoint
from vfd.metrics import auc
from vfd.model_config import PRESETS

MAX_GRADIENT_NORM = 1.0
BETAS = (0.9, 0.98)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train. `keep_voice`, `keep_face`: share of the patches read until the last `whole`
    share of the steps, which see all of them. `identity_weight` of paper eq. 6 and `trait_weight`
    beside InfoNCE."""

    steps: int
    seed: int
    preset: str = "nano"
    batch: int = 64
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    warm_up_steps: int = 60
    identity_weight: float = 0.1
    trait_weight: float = 1.0
    keep_voice: float = 0.35
    keep_face: float = 0.7
    whole: float = 0.15
    validate_every: int = 100

    def keeps(self, step: int) -> tuple[float, float]:
        """For voice and face in `step`, counted from 1."""
        if step > self.steps * (1 - self.whole):
            return 1.0, 1.0
        return self.keep_voice, self.keep_face


@dataclass(frozen=True, slots=True)
class Origin:
    """What a checkpoint says about where it comes from."""

    command: str
    commit: str


class Trainer:
    """The model, its optimizer, and two threads, one for each tower: they meet at the losses only,
    which on a busy machine costs far less than threads that share every operation."""

    def __init__(self, model: PretrainModel, recipe: Recipe) -> None:
        self.model = model
        self._recipe = recipe
        self._optimizer = _optimizer(model, recipe)
        self._threads = ThreadPoolExecutor(2, initializer=torch.set_num_threads, initargs=(1,))

    def step(self, batch: Batch, number: int) -> dict[str, float]:
        """One update, counted from 1; the parts of the loss before it, unweighted, by name."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._recipe.learning_rate * schedule(number, self._recipe)
        self.model.train()
        self._optimizer.zero_grad(set_to_none=True)
        towers = self.model.voice, self.model.face
        kept = [
            some_patches(t.tower, keep)
            for t, keep in zip(towers, self._recipe.keeps(number), strict=True)
        ]
        outputs = list(
            self._threads.map(nn.Module.__call__, towers, (batch.voices, batch.faces), kept)
        )
        voice_BV, face_BV = leaves = [y.detach().requires_grad_() for y in outputs]
        parts = loss_parts(self.model, voice_BV, face_BV, batch)
        _total(parts, self._recipe).backward()  # type: ignore[no-untyped-call]
        gradients = [leaf.grad for leaf in leaves]
        list(self._threads.map(torch.Tensor.backward, outputs, gradients))
        nn.utils.clip_grad_norm_(self.model.parameters(), MAX_GRADIENT_NORM)
        self._optimizer.step()
        return {name: float(part.detach()) for name, part in parts.items()}

    def close(self) -> None:
        self._threads.shutdown()


def loss_parts(
    model: PretrainModel, voice_BV: Tensor, face_BV: Tensor, batch: Batch
) -> dict[str, Tensor]:
    """The parts of the loss, unweighted, by name. `face_BV` has FACES_EACH * B rows, see Batch."""
    faces = face_BV.chunk(FACES_EACH)
    face_identity = batch.identity.repeat(FACES_EACH)
    face_traits = batch.face_traits.repeat(FACES_EACH, 1)
    return {
        "match": torch.stack([info_nce(voice_BV, f) for f in faces]).mean(),
        "voice_id": identity_loss(voice_BV, model.voice.modulator, batch.identity),
        "face_id": identity_loss(face_BV, model.face.modulator, face_identity),
        "voice_traits": trait_loss(model.voice.traits(voice_BV), batch.voice_traits),
        "face_traits": trait_loss(model.face.traits(face_BV), face_traits),
    }


def _total(parts: dict[str, Tensor], recipe: Recipe) -> Tensor:
    identity = recipe.identity_weight * (parts["voice_id"] + parts["face_id"])
    traits = recipe.trait_weight * (parts["voice_traits"] + parts["face_traits"])
    return parts["match"] + identity + traits


def pretrain(data: Path, out: Path, recipe: Recipe, origin: Origin) -> float:
    """Trains, writes the checkpoint of the best validation to `out`, returns its validation AUC.

    Raises FileNotFoundError, ValueError for `data` that is not prepared, KeyError for a preset.
    """
    torch.manual_seed(recipe.seed)
    train, held_out = (PreparedPeople(data, s) for s in (Split.TRAIN, Split.VALIDATION))
    trainer = Trainer(PretrainModel(PRESETS[recipe.preset], len(train)), recipe)
    stream = batches(train, recipe.batch, np.random.default_rng(recipe.seed))
    best, started = 0.0, time.monotonic()
    running: dict[str, float] = {}
    with closing(trainer), ThreadPoolExecutor(1) as reader:
        upcoming = reader.submit(next, stream)
        for step in range(1, recipe.steps + 1):
            batch, upcoming = upcoming.result(), reader.submit(next, stream)
            parts = trainer.step(batch, step)
            running = {n: 0.95 * running.get(n, v) + 0.05 * v for n, v in parts.items()}
            if step % 20 == 0:
                _report(step, recipe, running, started)
            if step % recipe.validate_every == 0 or step == recipe.steps:
                best = max(best, _validate(trainer.model, held_out, out, origin, best))
    return best


def schedule(step: int, recipe: Recipe) -> float:
    """Share of the learning rate: a linear warm-up, then half a cosine down to 0."""
    if step <= recipe.warm_up_steps:
        return step / recipe.warm_up_steps
    passed = (step - recipe.warm_up_steps) / max(1, recipe.steps - recipe.warm_up_steps)
    return 0.5 * (1 + math.cos(math.pi * passed))


def _optimizer(model: PretrainModel, recipe: Recipe) -> torch.optim.AdamW:
    """Weight decay for matrices only."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=BETAS)


def _validate(
    model: PretrainModel, held_out: PreparedPeople, out: Path, origin: Origin, best: float
) -> float:
    """Prints and returns the AUC on people not trained on; writes the checkpoint if it is best."""
    model.eval()
    exported = model.exported()
    male = trait_table(held_out.seeds)[0][:, 0] > 0
    scores = similarities(embed(exported, held_out, male))
    own = np.eye(len(scores), dtype=bool)
    rivals = ~own & (male[:, None] == male[None, :])
    overall = auc(scores[own].ravel(), scores[~own].ravel())
    same_sex = auc(scores[own].ravel(), scores[rivals].ravel())
    print(f"validation AUC {overall:.4f}, within one sex {same_sex:.4f}", flush=True)
    if overall > best:
        info = CheckpointInfo(
            format_version=FORMAT_VERSION,
            config=model.config,
            calibration=calibrate(scores),
            trained_on=f"synthetic people v{people.VERSION}",
            command=origin.command,
            commit=origin.commit,
        )
        tensors = {name: tensor.numpy() for name, tensor in exported.state_dict().items()}
        save_checkpoint(out, info, tensors)
    return overall


def _report(step: int, recipe: Recipe, running: dict[str, float], started: float) -> None:
    elapsed = time.monotonic() - started
    remaining = elapsed / step * (recipe.steps - step)
    parts = " ".join(f"{name} {value:.3f}" for name, value in running.items())
    rate = step * recipe.batch / elapsed
    print(f"{step}/{recipe.steps} {rate:.0f} pairs/s {remaining:.0f} s to go: {parts}", flush=True)
