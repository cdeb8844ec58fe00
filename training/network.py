"""The model while it is trained: both towers, and the heads that are dropped afterwards.

Shapes: B batch, D width, V embedding.
"""

import torch
from torch import Tensor, nn

from training.heads import BatchNorm, Heads
from training.recipe import Recipe
from training.token_dropping import TrainedTower
from vfd.model import Tower, VfdModel, scale_faces
from vfd.model_config import FACE_NORMALISATIONS, PRESETS, ModelConfig

POSITION_STD = 0.4  # with the paper's 0.02 `nano` stayed at the logarithm of the batch for minutes


class TrainedModel(nn.Module):
    """`voice` and `face` read what the towers of VfdModel read; `heads` make losses of it."""

    def __init__(self, recipe: Recipe, identities: int, traits: int) -> None:
        super().__init__()
        self.config: ModelConfig = PRESETS[recipe.model.preset]
        model = VfdModel(self.config)
        if recipe.model.initial == "xavier":
            for tower in (model.voice, model.face):
                _xavier(tower)
        self.voice = TrainedTower(model.voice, recompute=recipe.model.recompute)
        self.face = TrainedTower(model.face, recompute=recipe.model.recompute)
        self.heads = Heads(recipe, self.config.embedding, identities, traits)
        for name in {"voice", "face"} - set(recipe.loss.towers):
            getattr(self, name).requires_grad_(False)

    def inputs(self, tower: str, samples: Tensor) -> Tensor:
        """What `tower` reads of samples as in Batch: faces as float32, voices as they are."""
        if tower == "voice":
            return samples
        return scale_faces(samples, FACE_NORMALISATIONS[self.config.face_normalisation])

    def exported(self) -> VfdModel:
        """A plain model that gives the same embeddings, heads dropped, normalisation folded in."""
        model = VfdModel(self.config).to(self.voice.tower.projection.weight.device)
        for target, source, head in (
            (model.face, self.face, self.heads.face),
            (model.voice, self.voice, self.heads.voice),
        ):
            target.load_state_dict(source.tower.state_dict())
            if head is not None and isinstance(head.norm, BatchNorm):
                assert isinstance(target, Tower)  # Recipe allows no other
                fold_batch_norm(target, head.norm)
        return model.eval()


@torch.no_grad()
def fold_batch_norm(tower: Tower, norm: nn.BatchNorm1d) -> None:
    """Changes the tower so that it gives what `norm` (in evaluation mode) made of its output.

    The projection has no bias to take up the shift c. But what a LayerNorm makes, u, sums to zero
    before its gain g and bias b, so a row q = 1 / g sees the bias alone: q (g u + b) = sum(b / g).
    With the bias moved to b' = b + g, adding c q / sum(b' / g) to the scaled projection adds
    exactly c, once what moving the bias adds is taken off.
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale_V = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    shift_V = norm.bias - scale_V * norm.running_mean
    gain_D, bias_D = tower.norm.weight, tower.norm.bias
    weight_VD = scale_V[:, None] * tower.projection.weight
    shift_V = shift_V - weight_VD @ gain_D
    moved_D = bias_D + gain_D
    row_D = (1 / gain_D) / (moved_D / gain_D).sum()
    tower.projection.weight.copy_(weight_VD + shift_V[:, None] * row_D)
    tower.norm.bias.copy_(moved_D)


@torch.no_grad()
def neutral_batch_norm(norm: nn.BatchNorm1d, vectors_BV: Tensor) -> None:
    """Sets `norm` so that it changes nothing of vectors like these: training can go on from a
    tower whose normalisation was folded in. `vectors_BV`: a few hundred outputs of the tower."""
    mean_V, var_V = vectors_BV.mean(dim=0), vectors_BV.var(dim=0)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(mean_V)
    norm.running_var.copy_(var_V)
    norm.weight.copy_(torch.sqrt(var_V + norm.eps))
    norm.bias.copy_(mean_V)


def _xavier(tower: nn.Module) -> None:
    """Xavier weights; class vector and positions large enough to be told apart from the start."""
    for name, parameter in tower.named_parameters():
        if parameter.ndim >= 2 and name != "positions":
            nn.init.xavier_uniform_(parameter.flatten(1))
        elif name == "class_vector":
            nn.init.normal_(parameter, std=POSITION_STD)
    if isinstance(tower, Tower):
        nn.init.normal_(tower.positions, std=POSITION_STD)
