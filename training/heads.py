"""What hangs on the towers in training, and the losses that it makes of their vectors.

Shapes: B rows of this process, G rows of all processes, V embedding, A traits, C identities, Q
fakes of each real clip.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from training.batches import Batch
from training.distributed import gather, rank, together
from training.losses import (
    classification_loss,
    identity_loss,
    info_nce,
    real_fake_contrastive,
    real_fake_info_nce,
    similarity,
    trait_loss,
)
from training.recipe import LossRecipe, Recipe


class BatchNorm(nn.BatchNorm1d):
    """Normalises every number of an embedding over the rows of all processes together."""

    def forward(self, x_BV: Tensor) -> Tensor:
        if not (self.training and together()):
            return super().forward(x_BV)
        x_GV = gather(x_BV)
        start = rank() * len(x_BV)
        y_BV: Tensor = super().forward(x_GV)[start : start + len(x_BV)]
        return y_BV


class Head(nn.Module):
    """On one tower: a normalisation of its vector over the batch, the modulator W of paper eq. 6,
    and a linear reading of the traits; nothing of what a recipe gives no weight."""

    def __init__(self, recipe: Recipe, embedding: int, identities: int, traits: int) -> None:
        super().__init__()
        self.norm = BatchNorm(embedding) if recipe.model.batch_norm else nn.Identity()
        self.modulator: nn.Parameter | None = None
        if recipe.loss.identity_weight > 0:
            self.modulator = nn.Parameter(torch.randn(identities, embedding) * embedding**-0.5)
        self.traits = nn.Linear(embedding, traits) if recipe.loss.trait_weight > 0 else None

    def forward(self, x_BV: Tensor) -> Tensor:
        """The vector that every loss reads."""
        y_BV: Tensor = self.norm(x_BV)
        return y_BV

    def parts(self, x_BV: Tensor, identity_B: Tensor, traits_BA: Tensor) -> dict[str, Tensor]:
        parts = {}
        if self.modulator is not None:
            parts["id"] = identity_loss(x_BV, self.modulator, identity_B)
        if self.traits is not None:
            parts["traits"] = trait_loss(self.traits(x_BV), traits_BA)
        return parts


class Heads(nn.Module):
    """Calling it gives the parts of the loss, unweighted, by name. `classifier`: of the variants in
    Table 2 that classify, from the vectors of all towers that are trained."""

    def __init__(self, recipe: Recipe, embedding: int, identities: int, traits: int) -> None:
        super().__init__()
        self.recipe: LossRecipe = recipe.loss
        heads = {n: Head(recipe, embedding, identities, traits) for n in recipe.loss.towers}
        self.voice, self.face = heads.get("voice"), heads.get("face")
        self.classifier: nn.Linear | None = None
        if recipe.loss.objective == "classify":
            self.classifier = nn.Linear(embedding * len(recipe.loss.towers), 1)

    def forward(self, vectors: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """`vectors`: of the towers that are trained, "voice" and "face", each (rows, V)."""
        normed = {name: getattr(self, name)(x_BV) for name, x_BV in vectors.items()}
        if self.recipe.objective == "match":
            return self._pretraining(normed, batch)
        if self.recipe.objective == "classify":
            real_B = torch.arange(len(batch.voices), device=batch.voices.device) < batch.reals
            return {"classify": classification_loss(self.logits(normed), real_B)}
        return {"contrast": self._fine_tuning(normed["voice"], normed["face"], batch.reals)}

    def total(self, parts: Mapping[str, Tensor], guided: bool = True) -> Tensor:
        """The weighted sum; a part without a weight of its own counts once. `guided`: identity and
        traits count."""
        weights = {
            "match": self.recipe.match_weight,
            "id": self.recipe.identity_weight * guided,
            "traits": self.recipe.trait_weight * guided,
        }
        return torch.stack([weights.get(n.split("_")[-1], 1.0) * p for n, p in parts.items()]).sum()

    def logits(self, normed: Mapping[str, Tensor]) -> Tensor:
        """(B,), higher for real clips."""
        assert self.classifier is not None
        y_B: Tensor = self.classifier(torch.cat([normed[n] for n in self.recipe.towers], dim=1))
        return y_B[:, 0]

    def _pretraining(self, normed: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Paper section 3.2.3, which sums its three losses without saying with what weights."""
        parts = {}
        if self.recipe.match_weight > 0:
            parts["match"] = self._match(normed["voice"], normed["face"], batch)
        known = {
            "voice": (batch.voice_identity, batch.voice_traits),
            "face": (batch.face_identity, batch.face_traits),
        }
        for name, x_BV in normed.items():
            head_parts = getattr(self, name).parts(x_BV, *known[name])
            parts |= {f"{name}_{part}": value for part, value in head_parts.items()}
        return parts

    def _match(self, voice_BV: Tensor, face_BV: Tensor, batch: Batch) -> Tensor:
        """Eq. 7 with each of a voice's faces in turn, against those of all processes."""
        losses = []
        tau, B = self.recipe.temperature, len(voice_BV)
        voice_id, voices = batch.voice_identity, (voice_BV, batch.voice_identity)
        for own_BV, own_id in zip(
            torch.split(face_BV, B), torch.split(batch.face_identity, B), strict=True
        ):
            faces_GV, ids_G = _own_first(own_BV), _own_first(own_id)
            losses.append(info_nce(voice_BV, faces_GV, voice_id, ids_G, tau))
            if self.recipe.both_directions:
                voices_GV, ids_G = (_own_first(x) for x in voices)
                losses.append(info_nce(own_BV, voices_GV, own_id, ids_G, tau))
        return torch.stack(losses).mean()

    def _fine_tuning(self, voice_NV: Tensor, face_NV: Tensor, reals: int) -> Tensor:
        """Paper section 3.3, rows as in Batch."""
        tau, q = self.recipe.temperature, self.recipe.negatives
        if self.recipe.objective == "info-nce":
            fakes_BQV = face_NV[reals:].view(q, reals, -1).transpose(0, 1)
            return real_fake_info_nce(voice_NV[:reals], face_NV[:reals], fakes_BQV, tau)
        cosine_N = similarity(voice_NV, face_NV)
        return real_fake_contrastive(cosine_N[:reals], cosine_N[reals:].view(q, reals).t(), tau)


def _own_first(x: Tensor) -> Tensor:
    """The rows of all processes, beginning with this one's."""
    return torch.roll(gather(x), -rank() * len(x), dims=0)
