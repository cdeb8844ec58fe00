"""The model while it is trained: towers without some of their patches, and the heads that are
dropped afterwards.

Shapes as in `vfd.model`; A traits, C identities, N numbers of a patch.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.people import TRAITS
from vfd.model import Block, Tower, VfdModel
from vfd.model_config import ModelConfig, Size

POSITION_STD = (
    0.4  # with the paper's 0.02 the loss stayed at the logarithm of the batch for minutes
)
TRAIT_COUNT = 1 + len(TRAITS)  # and the sex


class PretrainedTower(nn.Module):
    """One tower, the normalisation of its vector over the batch, and its two heads."""

    def __init__(self, tower: Tower, identities: int) -> None:
        super().__init__()
        embedding = tower.config.embedding
        self.tower = tower
        self.norm = nn.BatchNorm1d(embedding)
        self.modulator = nn.Parameter(torch.empty(identities, embedding))  # W of paper eq. 6
        self.traits = nn.Linear(embedding, TRAIT_COUNT)
        _initialise(tower)
        nn.init.normal_(self.modulator, std=embedding**-0.5)

    def forward(self, x_BCHW: Tensor, kept_T: Tensor | None = None) -> Tensor:
        """The vector that all losses read, (B, V); `kept_T` as in `embed_some`."""
        y_BV: Tensor = self.norm(embed_some(self.tower, x_BCHW, kept_T))
        return y_BV


class PretrainModel(nn.Module):
    """Both towers with their heads."""

    def __init__(self, config: ModelConfig, identities: int) -> None:
        super().__init__()
        self.config = config
        model = VfdModel(config)
        self.face = PretrainedTower(_transformer(model.face), identities)
        self.voice = PretrainedTower(_transformer(model.voice), identities)

    def exported(self) -> VfdModel:
        """A plain model that gives the same embeddings, heads dropped, normalisation folded in."""
        model = VfdModel(self.config)
        for target, source in ((model.face, self.face), (model.voice, self.voice)):
            target.load_state_dict(source.tower.state_dict())
            fold_batch_norm(_transformer(target), source.norm)
        return model.eval()


def _transformer(tower: nn.Module) -> Tower:
    """Raises ValueError for another family: it has no patches to leave out."""
    if isinstance(tower, Tower):
        return tower
    raise ValueError(f"{type(tower).__name__} cannot be trained here, only transformers")


def embed_some(tower: Tower, x_BCHW: Tensor, kept_T: Tensor | None = None) -> Tensor:
    """As `tower(x_BCHW)`, from the patches numbered `kept_T` alone, None for all: that much
    cheaper, and what is read changes from step to step (after FLIP, Li et al. 2023).

    Cheaper than the tower even with all of them, since the last block is computed for the class
    vector alone. Raises ValueError where patches do not divide the image evenly.
    """
    if tower.config.padded != tower.config.image:
        raise ValueError(f"patches {tower.config.patch} do not divide {tower.config.image}")
    if kept_T is None:
        kept_T = torch.arange(tower.config.tokens - 1)
    x_BTN = _patches(x_BCHW, tower.config.grid, kept_T)
    x_BTD = F.linear(x_BTN, tower.patch.weight.flatten(1), tower.patch.bias)
    x_BTD = x_BTD + tower.positions[1 + kept_T]
    class_B1D = (tower.class_vector + tower.positions[0]).expand(len(x_BTD), 1, -1)
    x_BTD = tower.ln_pre(torch.cat([class_B1D, x_BTD], dim=1))
    for block in tower.blocks[:-1]:
        x_BTD = block(x_BTD)
    last_BD = _class_vector_after(cast(Block, tower.blocks[-1]), x_BTD)
    y_BV: Tensor = tower.projection(tower.norm(last_BD))
    return y_BV


def _patches(x_BCHW: Tensor, grid: Size, kept_T: Tensor) -> Tensor:
    """(B, T, N): the N numbers of every kept patch in the order of a convolution's weight."""
    B, C, H, W = x_BCHW.shape
    rows, columns = grid
    x_BCRhSw = x_BCHW.view(B, C, rows, H // rows, columns, W // columns)
    x_BTChw = x_BCRhSw.permute(0, 2, 4, 1, 3, 5)[:, kept_T // columns, kept_T % columns]
    return x_BTChw.flatten(2)


def _class_vector_after(block: Block, x_BTD: Tensor) -> Tensor:
    """The first row, (B, D), of what `block` makes of x_BTD."""
    B, T, D = x_BTD.shape
    attention = block.attention
    h_BTD = block.norm1(x_BTD)
    weight, bias = attention.qkv.weight, attention.qkv.bias
    q_BE1K = F.linear(h_BTD[:, 0], weight[:D], bias[:D]).view(B, attention.heads, 1, -1)
    kv_2BETK = F.linear(h_BTD, weight[D:], bias[D:]).view(B, T, 2, attention.heads, -1)
    k_BETK, v_BETK = kv_2BETK.permute(2, 0, 3, 1, 4).unbind(0)
    y_BE1K = F.scaled_dot_product_attention(q_BE1K, k_BETK, v_BETK)
    y_BD = x_BTD[:, 0] + attention.out(y_BE1K.reshape(B, D))
    z_BD: Tensor = y_BD + block.mlp(block.norm2(y_BD))
    return z_BD


def some_patches(tower: Tower, keep: float) -> Tensor | None:
    """A random share `keep` of the patches, the same for a whole batch; None for all."""
    if keep >= 1.0:
        return None
    count = tower.config.tokens - 1
    return torch.randperm(count)[: max(1, round(keep * count))]


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


def _initialise(tower: Tower) -> None:
    """Xavier weights; class vector and positions large enough to be told apart from the start."""
    for name, parameter in tower.named_parameters():
        if parameter.ndim >= 2 and name != "positions":
            nn.init.xavier_uniform_(parameter.flatten(1))
    nn.init.normal_(tower.class_vector, std=POSITION_STD)
    nn.init.normal_(tower.positions, std=POSITION_STD)
